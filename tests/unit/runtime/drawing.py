"""Bundles drawn by hand: a classifier that names the strongest colour, a segmenter that names it for each pixel."""

from __future__ import annotations

import hashlib
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from etude.core.bundle_record import BundleRecord, Certainty, DataSummary, FileEntry, Gate, Origin
from etude.pictures.prepare_config import Prepare
from etude.runtime.latents import draw_latents
from etude.runtime.reference import Reference, drawn_pictures, thinned
from etude.runtime.session import LatentSession, Session

COLOURS = ("red", "green", "blue")
CALLED = {"fr": {"red": "rouge", "green": "vert", "blue": "bleu"}}


def make_graph(
    task: str,
    size: int,
    *,
    sharpness: float = 0.1,
    domain: str = "",
    tells_familiarity: bool = False,
    tells_logits: bool = False,
) -> bytes:
    """Return a graph over three colours; its logits are the mean levels of the channels, times the sharpness.

    The logits of a mask are the levels themselves. The brighter a picture, the more familiar it is.
    """
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
        outputs = [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", 3])]
        if tells_familiarity:
            nodes.append(helper.make_node("ReduceMean", ["means", "last"], ["brightness"], keepdims=0))
            nodes.append(helper.make_node("Mul", ["brightness", "level"], ["familiarity"]))
            initial.append(numpy_helper.from_array(np.array([1], np.int64), "last"))
            initial.append(numpy_helper.from_array(np.array(1 / 255, np.float32), "level"))
            outputs.append(helper.make_tensor_value_info("familiarity", TensorProto.FLOAT, ["batch"]))
    else:
        nodes += [
            helper.make_node("ArgMax", ["floats"], ["positions"], axis=3, keepdims=0),
            helper.make_node("Cast", ["positions"], ["ids"], to=TensorProto.UINT8, domain=domain),
        ]
        initial = []
        outputs = [helper.make_tensor_value_info("ids", TensorProto.UINT8, ["batch", size, size])]
        if tells_logits:
            nodes.append(helper.make_node("Transpose", ["floats"], ["logits"], perm=[0, 3, 1, 2]))
    if tells_logits:
        axes = ["batch", 3] if task == "classification" else ["batch", 3, size, size]
        outputs.append(helper.make_tensor_value_info("logits", TensorProto.FLOAT, axes))
    given = helper.make_tensor_value_info("pictures", TensorProto.UINT8, ["batch", size, size, 3])
    opsets = [helper.make_opsetid("", 18)] + ([helper.make_opsetid(domain, 1)] if domain else [])
    model = helper.make_model(helper.make_graph(nodes, "colours", [given], outputs, initial), opset_imports=opsets)
    model.ir_version = 9
    return model.SerializeToString()


def make_contents(task: str = "classification", size: int = 16, **changes: object) -> dict[str, bytes]:
    """Return the files of a bundle."""
    graph = changes.pop("graph_bytes", None) or make_graph(task, size)
    prepare = Prepare(size_px=size, fit=changes.pop("fit", "stretch"))
    output = "probabilities" if task == "classification" else "ids"
    pictures = drawn_pictures((size, size))
    reference = changes.pop("reference", None)
    if reference is None:
        session = Session(graph, "pictures", output, threads=1)
        logits = thinned(session.run_with_logits(pictures)[1]) if session.tells_logits else None
        reference = Reference(pictures, session.run(pictures), logits).to_bytes()
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
        called=CALLED,
        palette=((255, 0, 0), (0, 255, 0), (0, 0, 255)) if task == "segmentation" else (),
        output=output,
        prepare=prepare.model_dump(mode="json"),
        certainty=Certainty(unsure_below=0.6, sure_share=0.9, sure_accuracy=0.95) if output != "ids" else None,
        gate=Gate(pictures=10, agreement=1.0),
        origin=Origin(study="colours", candidate="mean", run="0", network="means", trained_at="2026-01-01T00:00:00"),
        data=DataSummary(source="drawn", fingerprint="0"),
        files=_entries(contents),
    )
    record = replace(record, **changes)
    return {"bundle.json": record.text().encode(), **contents}


def make_generator_graph(size: int, latent: int, *, conditional: bool) -> bytes:
    """Return a graph whose pictures are the first three latent numbers as colours; a class brightens one channel."""
    from onnx import TensorProto, helper, numpy_helper

    shades = np.zeros((latent, 3), np.float32)
    shades[:3] = 40 * np.eye(3)
    nodes = [
        helper.make_node("MatMul", ["latents", "shades"], ["plain"]),
        helper.make_node("Add", ["plain", "grey"], ["colours"]),
        *(
            [
                helper.make_node("Gather", ["brightened", "classes"], ["lights"]),
                helper.make_node("Add", ["colours", "lights"], ["lit"]),
            ]
            if conditional
            else [helper.make_node("Identity", ["colours"], ["lit"])]
        ),
        helper.make_node("Clip", ["lit", "low", "high"], ["levels"]),
        helper.make_node("Unsqueeze", ["levels", "axes"], ["dots"]),
        helper.make_node("Tile", ["dots", "repeats"], ["floats"]),
        helper.make_node("Cast", ["floats"], ["pictures"], to=TensorProto.UINT8),
    ]
    initial = {
        "shades": shades, "grey": np.full(3, 100, np.float32), "brightened": 60 * np.eye(3, dtype=np.float32),
        "low": np.array(0, np.float32), "high": np.array(255, np.float32), "axes": np.array([1, 2], np.int64),
        "repeats": np.array([1, size, size, 1], np.int64),
    }  # fmt: skip
    given = [helper.make_tensor_value_info("latents", TensorProto.FLOAT, ["batch", latent])]
    if conditional:
        given.append(helper.make_tensor_value_info("classes", TensorProto.INT64, ["batch"]))
    output = helper.make_tensor_value_info("pictures", TensorProto.UINT8, ["batch", size, size, 3])
    tensors = [numpy_helper.from_array(values, name) for name, values in initial.items()]
    graph = helper.make_graph(nodes, "shades", given, [output], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    model.ir_version = 9
    return model.SerializeToString()


def make_generator_contents(
    size: int = 8, latent: int = 5, *, conditional: bool = True, **changes: object
) -> dict[str, bytes]:
    """Return the files of the bundle of a generator."""
    graph = make_generator_graph(size, latent, conditional=conditional)
    latents = draw_latents(0, range(4), latent)
    made = LatentSession(graph, latent, conditional=conditional, threads=1).generate(latents, np.arange(4) % 3)
    contents = {
        "model.onnx": graph,
        "reference.npz": Reference(made, latents).to_bytes(),
        "MODEL_CARD.md": b"# shades\n",
        "CONTRACT.md": b"# contract\n",
    }
    record = BundleRecord(
        name="shades",
        etude="0.1.0",
        created_at="2026-01-01T00:00:00+00:00",
        task="generation",
        classes=COLOURS,
        called=CALLED,
        latent=latent,
        conditional=conditional,
        input="latents",
        output="pictures",
        prepare=Prepare(size_px=size, normalize="half").model_dump(mode="json"),
        gate=Gate(pictures=10, agreement=1.0),
        origin=Origin(study="colours", candidate="shades", run="0", network="shades", trained_at="2026-01-01T00:00:00"),
        data=DataSummary(source="drawn", fingerprint="0"),
        files=_entries(contents),
    )
    return {"bundle.json": replace(record, **changes).text().encode(), **contents}


def _entries(contents: dict[str, bytes]) -> dict[str, FileEntry]:
    return {
        name: FileEntry(sha256=hashlib.sha256(content).hexdigest(), bytes=len(content))
        for name, content in contents.items()
    }


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
