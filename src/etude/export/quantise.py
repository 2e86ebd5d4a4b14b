"""Eight bits: static quantisation, with ranges taken from training pictures.

Weights become int8, each output channel with a scale of its own; activations uint8. What comes before the network
(the pictures are uint8 already) and behind it (softmax or the choice of the class) stays as it is.
"""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from etude.core.errors import ModelError
from etude.export.graph import INPUT
from etude.export.lowering import lower
from etude.pictures.reading import Pixels

_OPERATORS = [
    "Conv", "MatMul", "Gemm", "Add", "Mul", "GlobalAveragePool", "AveragePool", "MaxPool", "Concat", "Resize",
    "Relu", "Clip", "ReduceMean", "Reshape", "Transpose", "Flatten", "Squeeze", "Unsqueeze", "Slice", "Split",
]  # fmt: skip
"""What computes with 8 bits. An activation that only cuts (ReLU, clip) goes into the range of what is before it."""
_STANDARD_DOMAINS = ("", "ai.onnx")


class _Calibration:
    """Hands batches of pictures to the quantiser, once."""

    def __init__(self, batches: Iterator[Pixels]) -> None:
        self._batches = batches

    def get_next(self) -> dict[str, Pixels] | None:
        """Return the next batch, or none."""
        batch = next(self._batches, None)
        return None if batch is None else {INPUT: np.ascontiguousarray(batch)}


def quantise(graph: bytes, batches: Iterator[Pixels]) -> bytes:
    """Return a graph with 8-bit arithmetic.

    Args:
        graph: the ONNX file with 32 bits.
        batches: prepared training pictures, uint8 (B, H, W, 3), from which the ranges are taken.

    Raises:
        ModelError: if onnxruntime cannot quantise it.
    """
    with tempfile.TemporaryDirectory() as folder, _silence():
        given, prepared, made = (Path(folder) / name for name in ("given.onnx", "prepared.onnx", "made.onnx"))
        given.write_bytes(graph)
        try:
            _quantise_files(given, prepared, made, batches)
            return _cleaned(made)
        except Exception as error:  # onnxruntime raises errors of its own for each kind of graph it cannot take
            first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise ModelError(f"export: the graph cannot be brought to 8 bits ({first}). Leave --int8 out.") from error


def _quantise_files(given: Path, prepared: Path, made: Path, batches: Iterator[Pixels]) -> None:
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    quant_pre_process(str(given), str(prepared), skip_symbolic_shape=True)
    _name_pools(prepared)
    quantize_static(
        str(prepared),
        str(made),
        _Calibration(batches),  # type: ignore[arg-type, unused-ignore]
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=_OPERATORS,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        calibrate_method=CalibrationMethod.MinMax,
        nodes_to_exclude=[*_outside_network(prepared), *_beside_answer(prepared)],
    )


def _name_pools(path: Path) -> None:
    """Call a mean over height and width what it is, in the file: a mean as such has no 8-bit form."""
    import onnx
    from onnx import numpy_helper

    model: Any = onnx.load(str(path))
    constants = {entry.name: entry for entry in model.graph.initializer}
    shapes = {
        entry.name: entry.type.tensor_type.shape.dim
        for entry in onnx.shape_inference.infer_shapes(model).graph.value_info
    }
    for node in model.graph.node:
        if node.op_type != "ReduceMean" or len(node.input) != 2 or node.input[1] not in constants:
            continue
        keeps = all(entry.i for entry in node.attribute if entry.name == "keepdims")  # the default is to keep them
        axes = {int(axis) % 4 for axis in numpy_helper.to_array(constants[node.input[1]])}
        if keeps and axes == {2, 3} and len(shapes.get(node.input[0], ())) == 4:
            node.op_type = "GlobalAveragePool"
            del node.input[1:]
            del node.attribute[:]
    used = {name for node in model.graph.node for name in node.input}
    for name in constants.keys() - used:
        model.graph.initializer.remove(constants[name])
    onnx.save(model, str(path))


def _beside_answer(path: Path) -> list[str]:
    """Return the names of the nodes that the first output does not need: they compare, and want all their digits."""
    import onnx

    graph = onnx.load(str(path)).graph
    needed = {graph.output[0].name}
    beside = []
    for node in reversed(graph.node):
        if needed & set(node.output):
            needed |= set(node.input)
        else:
            beside.append(node.name)
    return beside


def _outside_network(path: Path) -> list[str]:
    """Return the names of the nodes that normalise the picture: everything before the first convolution or product."""
    import onnx

    outside = []
    for node in onnx.load(str(path)).graph.node:  # nodes are in order
        if node.op_type in ("Conv", "Gemm", "MatMul"):
            break
        outside.append(node.name)
    return outside


def _cleaned(path: Path) -> bytes:
    """Return the bytes of the file in the operators that are fast, without libraries that it does not use."""
    import onnx

    model: Any = lower(onnx.load(str(path)))
    used = {node.domain for node in model.graph.node} | set(_STANDARD_DOMAINS)
    kept = [entry for entry in model.opset_import if entry.domain in used]
    del model.opset_import[:]
    model.opset_import.extend(kept)
    del model.metadata_props[:]
    return bytes(model.SerializeToString())


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Keep the quantiser's talk in."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(before)
