"""What the benchmarks of deployment share: bundles of real networks with drawn weights, and pictures to ask about."""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from etude.core.bundle_record import BundleRecord, DataSummary, Familiarity, FileEntry, Gate, Origin
from etude.export.familiarity import find_head
from etude.export.graph import OUTPUTS, Deployed, export_graph
from etude.export.quantise import quantise
from etude.models import build_model
from etude.pictures.prepare_config import Prepare
from etude.runtime.reference import Reference, drawn_pictures
from etude.runtime.session import Session

MOBILENET = ("classification", "mobilenetv2_100", Prepare(size_px=224, normalize="half"), 10)
UNET = ("segmentation", {"name": "smp-unet", "encoder": "mobilenetv2_100"}, Prepare(size_px=(256, 512)), 11)
Case = tuple[str, object, Prepare, int]


def make_network(case: Case) -> Deployed:
    """Build a network with drawn weights: what it answers does not matter here.

    A classifier tells how familiar a picture is, as those that are exported do; its means are drawn too.
    """
    task, spec, prepare, n_classes = case
    size_px = (prepare.height_px, prepare.width_px)
    model = build_model(spec, n_outputs=n_classes, size_px=size_px, seed=0, task=task).eval()
    plain = Deployed(model, prepare, task).eval()
    if task != "classification":
        return plain
    head = find_head(model, plain.normalise(torch.zeros(2, *size_px, 3, dtype=torch.uint8)), n_classes)
    assert head is not None, "the networks here end in a linear layer"
    n_features = model.get_submodule(head).in_features
    drawn_KD = torch.randn(n_classes, n_features, generator=torch.Generator().manual_seed(0))
    return Deployed(model, prepare, task, head=head, means_KD=F.normalize(drawn_KD, dim=1)).eval()


def make_graphs(deployed: Deployed, prepare: Prepare) -> dict[str, bytes]:
    """Return the graph with 32 bits and the one with 8, calibrated on drawn pictures."""
    fp32 = export_graph(deployed, prepare)
    pictures = drawn_pictures((prepare.height_px, prepare.width_px), 16)
    return {"fp32": fp32, "int8": quantise(fp32, iter(np.split(pictures, 4)))}


def write_bundle(path: Path, case: Case, graph: bytes) -> Path:
    """Write a bundle around a graph."""
    task, _, prepare, n_classes = case
    pictures = drawn_pictures((prepare.height_px, prepare.width_px))
    session = Session(graph, "pictures", OUTPUTS[task], threads=1)
    answers = session.run(pictures)
    known = Familiarity(unfamiliar_below=-1.0, familiar_share=1.0, pictures=0) if session.tells_familiarity else None
    contents = {
        "model.onnx": graph, "reference.npz": Reference(pictures, answers).to_bytes(), "MODEL_CARD.md": b"-",
        "CONTRACT.md": b"-",
    }  # fmt: skip
    record = BundleRecord(
        name=path.stem, etude="", created_at="", task=task, classes=tuple(f"c{number}" for number in range(n_classes)),
        palette=tuple((number, 0, 0) for number in range(n_classes)) if task == "segmentation" else (),
        output=OUTPUTS[task], familiarity=known, prepare=prepare.model_dump(mode="json"),
        gate=Gate(pictures=0, agreement=1.0),
        origin=Origin(study="", candidate="", run="", network="", trained_at=""),
        data=DataSummary(source="", fingerprint=""),
        files={name: FileEntry(sha256=hashlib.sha256(content).hexdigest(), bytes=len(content))
               for name, content in contents.items()},
    )  # fmt: skip
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("bundle.json", record.text())
        for name, content in contents.items():
            packed.writestr(name, content)
    return path


def draw_jpeg(size: tuple[int, int], seed: int, quality: int = 88) -> bytes:
    """Draw a JPEG file of (width, height) as a camera would fill it: smooth shapes with some grain."""
    rng = np.random.default_rng(seed)
    width, height = size
    small = Image.fromarray(rng.integers(0, 256, (24, 32, 3), dtype=np.uint8)).resize(size, Image.Resampling.BICUBIC)
    grain = rng.integers(0, 24, (256, 256, 3), dtype=np.uint8)
    tiled = np.tile(grain, (height // 256 + 1, width // 256 + 1, 1))[:height, :width]
    pixels = np.asarray(small) // 8 * 7 + tiled
    packed = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(packed, "JPEG", quality=quality)
    return packed.getvalue()
