"""Bundles drawn by hand: a classifier that names the strongest colour, a segmenter that names it for each pixel."""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path

import numpy as np

from etude.core.bundle_record import BundleRecord, Certainty, DataSummary, FileEntry, Gate, Origin
from etude.pictures.prepare import Prepare
from etude.runtime.reference import Reference, drawn_pictures
from etude.runtime.session import Session

COLOURS = ("red", "green", "blue")


def make_graph(task: str, size: int, *, sharpness: float = 0.1, domain: str = "") -> bytes:
    """Return a graph over three colours; its logits are the mean levels of the channels, times the sharpness."""
    from onnx import TensorProto, helper, numpy_helper

    nodes = [helper.make_node("Cast", ["pictures"], ["floats"], to=TensorProto.FLOAT)]
    if task == "classification":
        nodes += [
            helper.make_node("ReduceMean", ["floats", "axes"], ["means"], keepdims=0),
            helper.make_node("Mul", ["means", "sharpness"], ["logits"]),
            helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1, domain=domain),
        ]
        initial = [
            numpy_helper.from_array(np.array([1, 2], np.int64), "axes"),
            numpy_helper.from_array(np.array(sharpness, np.float32), "sharpness"),
        ]
        output = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", 3])
    else:
        nodes += [
            helper.make_node("ArgMax", ["floats"], ["positions"], axis=3, keepdims=0),
            helper.make_node("Cast", ["positions"], ["ids"], to=TensorProto.UINT8, domain=domain),
        ]
        initial = []
        output = helper.make_tensor_value_info("ids", TensorProto.UINT8, ["batch", size, size])
    given = helper.make_tensor_value_info("pictures", TensorProto.UINT8, ["batch", size, size, 3])
    opsets = [helper.make_opsetid("", 18)] + ([helper.make_opsetid(domain, 1)] if domain else [])
    model = helper.make_model(helper.make_graph(nodes, "colours", [given], [output], initial), opset_imports=opsets)
    model.ir_version = 9
    return model.SerializeToString()


def make_contents(task: str = "classification", size: int = 16, **changes: object) -> dict[str, bytes]:
    """Return the files of a bundle."""
    graph = changes.pop("graph_bytes", None) or make_graph(task, size)
    prepare = Prepare(size_px=size, fit=changes.pop("fit", "stretch"))
    output = "probabilities" if task == "classification" else "ids"
    pictures = drawn_pictures((size, size))
    answers = Session(graph, "pictures", output, threads=1).run(pictures) if "reference" not in changes else None
    reference = Reference(pictures, answers).to_bytes() if answers is not None else changes.pop("reference")
    contents = {
        "model.onnx": graph,
        "reference.npz": reference,
        "MODEL_CARD.md": b"# colours\n",
        "CONTRACT.md": b"# contract\n",
    }
    record = BundleRecord(
        name=str(changes.pop("name", "colours")),
        etude="0.1.0",
        created_at="2026-01-01T00:00:00+00:00",
        task=task,
        classes=COLOURS,
        palette=((255, 0, 0), (0, 255, 0), (0, 0, 255)) if task == "segmentation" else (),
        output=output,
        prepare=prepare.model_dump(mode="json"),
        certainty=Certainty(unsure_below=0.6, sure_share=0.9, sure_accuracy=0.95) if output != "ids" else None,
        gate=Gate(pictures=10, agreement=1.0),
        origin=Origin(study="colours", candidate="mean", run="0", network="means", trained_at="2026-01-01T00:00:00"),
        data=DataSummary(source="drawn", fingerprint="0"),
        files={
            name: FileEntry(sha256=hashlib.sha256(content).hexdigest(), bytes=len(content))
            for name, content in contents.items()
        },
    )
    record = record.model_copy(update=changes)
    return {"bundle.json": record.model_dump_json().encode(), **contents}


def write_zip(path: Path, contents: dict[str, bytes]) -> Path:
    """Write a bundle as a zip file."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in contents.items():
            packed.writestr(name, content)
    return path


def with_record(contents: dict[str, bytes], **changes: object) -> dict[str, bytes]:
    """Return the files with other fields in the record."""
    record = {**json.loads(contents["bundle.json"]), **changes}
    return {**contents, "bundle.json": json.dumps(record).encode()}


def plain(colour: tuple[int, int, int], size: int | tuple[int, int] = 24) -> np.ndarray:
    """Return a picture of one colour."""
    height, width = (size, size) if isinstance(size, int) else size
    return np.full((height, width, 3), colour, np.uint8)


def png_bomb(width: int, height: int) -> bytes:
    """Return a small PNG file that says it is huge."""
    import struct
    import zlib

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )
