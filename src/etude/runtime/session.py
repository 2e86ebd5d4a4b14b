"""One graph, ready to be asked; onnxruntime is imported here and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from etude.core.errors import BundleError, sentence
from etude.runtime.graph import check_graph

_DTYPES: Final = {"tensor(uint8)": np.uint8, "tensor(float)": np.float32, "tensor(int64)": np.int64}
FAMILIARITY: Final = "familiarity"
LOGITS: Final = "logits"
"""Names of what a graph may give beside its answers, in this order, both float32."""
LATENTS: Final = "latents"
CLASSES: Final = "classes"
PICTURES: Final = "pictures"
"""Names of what goes into the graph of a generator and comes out of it."""
Shape = tuple[int | None, ...]
"""Lengths of the axes; none: any."""
_ORT_FORMAT: Final = b"ORTM"
"""What a graph in the format of onnxruntime has at its fifth byte."""
_QUIET: Final = 3  # errors only: what onnxruntime warns of is no concern of the person's


class Session:
    """A graph from uint8 pictures (B, H, W, 3) to an array whose first axis is B.

    Beside it the graph may give a familiarity (B,), and logits (B, K) or (B, K, H, W). onnxruntime is asked for what
    is wanted alone: logits that nobody looks at are not handed out.

    Threads may share it.

    Args:
        content: an ONNX file.
        input_name: the name of its input.
        output_name: the name of its output.
        threads: threads of one call; 0: all that the machine has.
        name: what errors call it.

    Raises:
        BundleError: if the graph reaches outside of the file, or is not of this form.
    """

    def __init__(
        self, content: bytes, input_name: str, output_name: str, *, threads: int = 0, name: str = "model.onnx"
    ) -> None:
        if content[4:8] == _ORT_FORMAT:
            raise _refused(name, "an ONNX file", "one in the format of onnxruntime")
        check_graph(content, name)
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = _QUIET
        # Threads that wait for each other inside a call spin, as the steps of 8 bits are shorter than waking a thread;
        # after it they do not, which would take the cores from decoding and from the other sessions.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        # Of bytes that are a graph of its own format too, onnxruntime would run that one, which nobody has checked.
        options.add_session_config_entry("session.load_model_format", "ONNX")
        ort.set_default_logger_severity(_QUIET)
        try:
            self._session = ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime raises errors of its own for each kind of damage
            raise _refused(name, "a graph that onnxruntime can load", f"{type(error).__name__}: {error}") from error
        # Its wrapper keeps the bytes for another try with other providers, of which there are none.
        if hasattr(self._session, "_model_bytes"):
            self._session._model_bytes = None
        self._input, self._output, self._name = input_name, output_name, name
        self._check_form(name)

    def _check_form(self, name: str) -> None:
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        form: list[tuple[str, object]] = [(entry.name, _DTYPES.get(entry.type)) for entry in (*inputs, *outputs)]
        wanted = self._form()
        beside = [name for name in (FAMILIARITY, LOGITS) if (name, np.float32) in form]
        self.tells_familiarity, self.tells_logits = FAMILIARITY in beside, LOGITS in beside
        if form != [*wanted, *((name, np.float32) for name in beside)]:
            *given, (output, kind) = [(name, dtype.__name__) for name, dtype in wanted]
            rule = f"a graph from {' and '.join(f'{name} ({dtype})' for name, dtype in given)} to {output} ({kind})"
            raise _refused(name, rule, str([(entry.name, entry.type) for entry in (*inputs, *outputs)]))

    def _form(self) -> list[tuple[str, type[np.generic]]]:
        """Return name and type of the inputs, then of the output."""
        return [(self._input, np.uint8), (self._output, np.uint8 if self._output == "ids" else np.float32)]

    def run(self, pictures_BHWC: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
        """Answer a batch.

        Args:
            pictures_BHWC: uint8 (B, H, W, 3), RGB, at the size of the graph.

        Returns:
            What the graph gives: probabilities (B, K) float32, or ids (B, H, W) uint8.
        """
        return self.run_both(pictures_BHWC)[0]

    def run_both(self, pictures_BHWC: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[Any], npt.NDArray[np.float32] | None]:
        """Answer a batch, and tell how familiar each picture is (B,); none where the graph does not."""
        names = [self._output, FAMILIARITY] if self.tells_familiarity else [self._output]
        answers, *beside = self._ask(names, {self._input: pictures_BHWC})
        return answers, (beside[0] if beside else None)

    def run_with_logits(self, pictures_BHWC: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[Any], npt.NDArray[np.float32]]:
        """Answer a batch, and give the logits (B, K) or (B, K, H, W) that the answers are taken from.

        The graph must have them: see `tells_logits`.
        """
        answers, logits = self._ask([self._output, LOGITS], {self._input: pictures_BHWC})
        return answers, logits

    def check_shapes(self, wanted: Mapping[str, Shape]) -> None:
        """Compare the shapes that the graph tells of with those that its record means.

        A graph may leave the length of an axis open; its answers show it then.

        Args:
            wanted: the shape of each input and output, by its name, the batch first.

        Raises:
            BundleError: if one differs, or the batch has a fixed length.
        """
        for entry in (*self._session.get_inputs(), *self._session.get_outputs()):
            told, shape = list(entry.shape), wanted.get(entry.name)
            if shape is None or not told:
                continue
            sides = zip(told, shape, strict=False)
            differs = any(isinstance(side, int) and length not in (None, side) for side, length in sides)
            is_one_batch = entry.name == self._input and isinstance(told[0], int)
            if len(told) != len(shape) or differs or is_one_batch:
                rule = f"a graph whose {entry.name} {_axes(shape)} are as its record says"
                raise _refused(self._name, rule, str(told))

    def _ask(self, names: list[str], given: dict[str, npt.NDArray[Any]]) -> list[npt.NDArray[Any]]:
        try:
            answers: list[npt.NDArray[Any]] = self._session.run(names, given)
        except Exception as error:  # what a forged graph cannot compute is told in onnxruntime's own kinds of errors
            raise _refused(self._name, "a graph that can answer", f"{type(error).__name__}: {error}") from error
        return answers


class LatentSession(Session):
    """A graph from latent vectors, and class ids where it is conditional, to pictures. Threads may share it.

    Args:
        content: an ONNX file.
        latent: length of a vector.
        conditional: whether it is told the class that is wanted.
        threads: threads of one call; 0: all that the machine has.
        name: what errors call it.

    Raises:
        BundleError: if the graph reaches outside of the file, or is not of this form.
    """

    def __init__(
        self, content: bytes, latent: int, *, conditional: bool, threads: int = 0, name: str = "model.onnx"
    ) -> None:
        self._conditional = conditional
        super().__init__(content, LATENTS, PICTURES, threads=threads, name=name)
        shape = self._session.get_inputs()[0].shape
        if len(shape) != 2 or shape[1] != latent or isinstance(shape[0], int):
            raise _refused(name, f"a graph of vectors of {latent} numbers", str(shape))

    def _form(self) -> list[tuple[str, type[np.generic]]]:
        classes: list[tuple[str, type[np.generic]]] = [(CLASSES, np.int64)] if self._conditional else []
        return [(LATENTS, np.float32), *classes, (PICTURES, np.uint8)]

    def generate(self, latents_BZ: npt.NDArray[np.float32], classes_B: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """Generate a batch.

        Args:
            latents_BZ: standard normal vectors.
            classes_B: class ids; not looked at where the graph is not conditional.

        Returns:
            Pictures, uint8 (B, H, W, 3), RGB.
        """
        given: dict[str, npt.NDArray[Any]] = {LATENTS: latents_BZ} | ({CLASSES: classes_B} if self._conditional else {})
        pictures: npt.NDArray[np.uint8] = self._ask([PICTURES], given)[0]
        return pictures


def _axes(shape: Shape) -> str:
    """Write a shape, the batch as B.

    >>> _axes((None, 4))
    '(B, 4)'
    """
    return f"({', '.join(['B', *map(str, shape[1:])])})"


def _refused(name: str, rule: str, found: str) -> BundleError:
    return BundleError(sentence("bundle", name, rule, found[:300], "Export it anew with `etude export`."))
