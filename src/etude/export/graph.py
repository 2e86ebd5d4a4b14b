"""From a network to an ONNX graph that takes uint8 pictures.

Shapes: B pictures, H and W pixels, K classes.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from etude.core.errors import ModelError
from etude.export.familiarity import features_of, nearest_mean
from etude.pictures.prepare import normalisation
from etude.pictures.prepare_config import Prepare
from etude.runtime.session import FAMILIARITY, LOGITS
from etude.tasks import classification, segmentation

if TYPE_CHECKING:
    import onnx

INPUT = "pictures"
OUTPUTS: dict[str, str] = {"classification": classification.OUTPUT, "segmentation": segmentation.OUTPUT}
"""What the tasks say that their networks give."""
_OPSET = 18


class Deployed(nn.Module):
    """A network with its normalisation before it and its answer behind it.

    Maps uint8 pictures (B, H, W, 3) to probabilities (B, K) float32, or to ids (B, H, W) uint8. Where it knows the
    means of the classes it also gives how familiar each picture is (B,) float32, and where they are wanted the logits
    (B, K) or (B, K, H, W) float32 that the answers are taken from; `outputs` names what it gives, in this order.

    Args:
        model: the network.
        prepare: the rule whose normalisation is put before it.
        task: classification or segmentation.
        temperature: what the logits are divided by.
        head: name of the last layer, whose features are compared with the means.
        means_KD: the means of the classes in those features, at length 1; none: familiarity is not told.
        tells_logits: whether it gives the logits too, as they are before the softmax and before the temperature.
    """

    scale: Tensor
    shift: Tensor
    means_KD: Tensor

    def __init__(
        self,
        model: nn.Module,
        prepare: Prepare,
        task: str,
        temperature: float | None = None,
        head: str = "",
        means_KD: Tensor | None = None,
        *,
        tells_logits: bool = False,
    ) -> None:
        super().__init__()
        self.model, self.task, self.temperature, self.head = model, task, temperature, head
        self.prepare, self.tells_familiarity, self.tells_logits = prepare, means_KD is not None, tells_logits
        if means_KD is not None:
            self.register_buffer("means_KD", means_KD)
        # As wide as the picture: onnxruntime is slow at spreading three numbers where channels come last.
        mean, deviation = (
            torch.tensor(values).view(1, 3, 1, 1).repeat(1, 1, 1, prepare.width_px) for values in normalisation(prepare)
        )
        # (x / 255 - mean) / deviation as one multiplication and one addition
        self.register_buffer("scale", 1 / (255 * deviation))
        self.register_buffer("shift", -mean / deviation)

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of what it gives, in order."""
        beside = ((FAMILIARITY, self.tells_familiarity), (LOGITS, self.tells_logits))
        return (OUTPUTS[self.task], *(name for name, is_told in beside if is_told))

    def at_temperature(self, temperature: float) -> Deployed:
        """Return the same with another temperature."""
        means_KD = self.means_KD if self.tells_familiarity else None
        return Deployed(
            self.model, self.prepare, self.task, temperature, self.head, means_KD, tells_logits=self.tells_logits
        )  # fmt: skip

    def forward(self, pictures: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Answer pictures as they are read."""
        images_BCHW = self.normalise(pictures)
        if self.tells_familiarity:
            with features_of(self.model, self.head) as features:
                logits = self.model(images_BCHW).float()
            told: tuple[Tensor, ...] = (self._answer(logits), nearest_mean(features[-1], self.means_KD))
        else:
            logits = self.model(images_BCHW).float()
            told = (self._answer(logits),)
        if self.tells_logits:
            told = (*told, logits)
        return told if len(told) > 1 else told[0]

    def normalise(self, pictures: Tensor) -> Tensor:
        """Return uint8 pictures (B, H, W, 3) as the network takes them: float32 (B, 3, H, W)."""
        pictures_BCHW = pictures.permute(0, 3, 1, 2)
        if torch.compiler.is_exporting():  # the order in memory would enter the graph, as gathers
            pictures_BCHW = pictures_BCHW.contiguous()
        return pictures_BCHW.float() * self.scale + self.shift

    def _answer(self, logits: Tensor) -> Tensor:
        if self.task == "segmentation":
            return logits.argmax(1).to(torch.uint8)
        return (logits if self.temperature is None else logits / self.temperature).softmax(1)


def export_graph(deployed: Deployed, prepare: Prepare) -> bytes:
    """Return the ONNX file of a network, for any number of pictures at a time.

    Raises:
        ModelError: if PyTorch cannot turn the network into a graph of standard operators.
    """
    example_BHWC = torch.zeros(2, prepare.height_px, prepare.width_px, 3, dtype=torch.uint8)
    return make_onnx(deployed, (example_BHWC,), (INPUT,), deployed.outputs)


def make_onnx(
    network: nn.Module, example: tuple[Tensor, ...], inputs: tuple[str, ...], outputs: tuple[str, ...]
) -> bytes:
    """Return the ONNX file of a network whose inputs all have the batch first.

    Args:
        network: its `forward` names its arguments as `inputs` does.
        example: two of what goes in, in that order.
        inputs: names of the inputs.
        outputs: names of the outputs.

    Raises:
        ModelError: if PyTorch cannot turn the network into a graph of standard operators.
    """
    batch = torch.export.Dim("batch", min=1, max=4096)
    try:
        with silence(), torch.no_grad():
            program = torch.onnx.export(
                network.eval(),
                example,
                dynamo=True,
                dynamic_shapes={name: {0: batch} for name in inputs},
                input_names=list(inputs),
                output_names=list(outputs),
                opset_version=_OPSET,
                external_data=False,
                optimize=True,
                verbose=False,
            )
    except Exception as error:  # the exporter raises errors of its own and of Python's for each thing it cannot do
        if was_interrupted(error):
            raise KeyboardInterrupt from error
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(f"export: the network cannot be made an ONNX graph ({first}).") from error
    assert program is not None
    return _cleaned(program.model_proto)


def cooled(graph: bytes, further: float) -> bytes | None:
    """Return a graph of classes whose logits are divided by so much more before they become probabilities.

    Args:
        graph: an ONNX file.
        further: what they are divided by beyond the temperature that the graph has.

    Returns:
        The ONNX file; none where its probabilities are not what a softmax gives.
    """
    import onnx
    from onnx import helper, numpy_helper

    model = onnx.load_from_string(graph)
    nodes, output = model.graph.node, OUTPUTS["classification"]
    at = next((place for place, node in enumerate(nodes) if output in node.output), None)
    if at is None or nodes[at].op_type != "Softmax":
        return None
    logits = nodes[at].input[0]
    divisor, divided = f"{logits}/further temperature", f"{logits}/cooled"
    model.graph.initializer.append(numpy_helper.from_array(np.array(further, np.float32), divisor))
    nodes[at].input[0] = divided
    nodes.insert(at, helper.make_node("Div", [logits, divisor], [divided], name=divided))
    return bytes(model.SerializeToString())


def was_interrupted(error: BaseException | None) -> bool:
    """Whether an error comes of Ctrl-C or of SIGTERM, which the exporter takes for a fault of the network."""
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__cause__ or error.__context__
    return False


def _cleaned(proto: onnx.ModelProto) -> bytes:
    """Return the bytes of a graph without what tells of the machine that made it."""
    kept = [entry for entry in proto.opset_import if entry.domain in _domains(proto.graph)]
    del proto.opset_import[:]
    proto.opset_import.extend(kept)
    del proto.metadata_props[:]
    del proto.graph.value_info[:]  # shapes of a batch of two that a quantiser would take for fixed
    for node in proto.graph.node:
        del node.metadata_props[:]
        node.ClearField("doc_string")
    for entry in (*proto.graph.initializer, *proto.graph.input, *proto.graph.output):
        del entry.metadata_props[:]
    return bytes(proto.SerializeToString())


def _domains(graph: Any) -> set[str]:  # noqa: ANN401 - an ONNX graph
    return {"", *(node.domain for node in graph.node)}


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """Keep the exporter's talk in."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
