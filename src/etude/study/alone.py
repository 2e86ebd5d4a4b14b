"""A finished run opened from its record and its weights alone: it answers without the pictures of its study.

Shapes: K classes, H and W pixels.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image

from etude.core.errors import MistakeError, sentence
from etude.core.files import write_apart
from etude.core.run_record import RunRecord
from etude.core.words import Part
from etude.evaluate.detector import Adjustment
from etude.evaluate.predictions import Predictions
from etude.models import build_model
from etude.pictures.palette import palette_of
from etude.pictures.prepare import VOID, normalisation, prepare_opened
from etude.pictures.prepare_config import Prepare
from etude.pictures.reading import OpenPicture
from etude.study.file import CombineConfig

if TYPE_CHECKING:
    import torch
    from torch import nn

Ids = npt.NDArray[np.uint8]
_FILES_OF_A_MODEL = {"weights": None, "checkpoint": None, "new_head": False}
_MOST_DRAWN = 64


def rebuild_network(record: RunRecord, weights: Path, task: str, *, base: Path | None = None) -> nn.Module:
    """Build the network of a finished run as it answers, on the CPU in float32: members joined, views averaged.

    What it was pretrained with is not needed any more. Of a generator, its own weights alone are loaded.

    Args:
        record: the run.
        weights: the file of its weights.
        task: classification, segmentation or generation.
        base: the folder that the path of a network of one's own starts from, where it is not absolute.

    Raises:
        ModelError: if it cannot be built.
        MistakeError: if the weights are not there or cannot be read.
    """
    import torch

    from etude.models.networks.adversaries import Adversaries
    from etude.train.ensemble import build_ensemble
    from etude.train.state import load_weights
    from etude.train.views import Views

    prepare = Prepare.model_validate(record.config["prepare"])
    combine = CombineConfig.model_validate(record.config.get("combine", {}))

    def build() -> nn.Module:
        return build_model(
            {**record.config["model"], **_FILES_OF_A_MODEL},
            n_outputs=len(record.classes),
            size_px=(prepare.height_px, prepare.width_px),
            seed=record.seed,
            base=base,
            task=task,
        )

    # Averaged weights are those of one network, and that is what the run has kept.
    joined = (combine.members or combine.folds or 0) if combine.average == "probabilities" else 0
    model: nn.Module = build_ensemble([build] * joined) if joined else build()
    tensors = load_weights(weights)
    if task == "generation":
        assert isinstance(model, Adversaries)
        model.generator.load_state_dict(tensors)
        return model.eval()
    model.load_state_dict(tensors)
    model = model.to(torch.float32)
    return (model if combine.tta == "none" else Views(model, combine.tta)).eval()


@dataclass(frozen=True, eq=False)
class LoneRun:
    """A finished run that answers as it did on its study's test part."""

    record: RunRecord
    task: str
    network: nn.Module

    def classify(self, path: Path) -> tuple[str, float]:
        """Return the class of a picture and its probability, at the temperature and the threshold that were chosen.

        Raises:
            DataError: if it cannot be read.
        """
        logits_1K, _ = self._ask(path)
        asked = Predictions(np.array([str(path)]), Part.TEST, np.zeros(1, np.int64), logits_1K.softmax(1).numpy())
        answered = Adjustment(self.record.temperature, self.record.threshold).apply(asked)
        label = int(answered.labels[0])
        return self.record.classes[label], float(answered.probabilities[0, label])

    def segment(self, path: Path) -> Ids:
        """Return the class of each pixel of a picture, (H, W) at its own size.

        Raises:
            DataError: if it cannot be read.
        """
        from etude.tasks.segmentation import Segmentation
        from etude.train.mask_answers import answer_at

        logits_1KHW, size_px = self._ask(path)
        unknown_HW = np.full(size_px, VOID, np.uint8)
        return answer_at(logits_1KHW[0], unknown_HW, Segmentation(self.record.classes), self._prepare)[1]

    def draw(self, count: int, seed: int = 0) -> npt.NDArray[np.uint8]:
        """Return pictures of a generator, (count, H, W, 3); the same seed gives the same."""
        from etude.models.execution import choose_execution
        from etude.models.networks.adversaries import Adversaries
        from etude.train.samples import draw_wanted, generate, to_bytes

        assert isinstance(self.network, Adversaries)
        on_cpu = choose_execution("cpu", "fp32", "contiguous")
        return to_bytes(generate(self.network, draw_wanted(self.network, count, seed), on_cpu))

    def tell(self, given: Iterable[str], to: Path) -> Iterator[str]:
        """Answer, and give a line for each answer; masks and drawn pictures are written.

        Args:
            given: the paths of pictures; of a generator, how many pictures to draw.
            to: the folder for what is written.

        Raises:
            MistakeError: if the number is none.
            DataError: if a picture cannot be read.
        """
        if self.task == "generation":
            yield str(self._write_drawn(next(iter(given), "16"), to / "generated.png"))
            return
        for name in given:
            if self.task == "segmentation":
                yield self._write_mask(Path(name), to)
            else:
                label, probability = self.classify(Path(name))
                yield f"{name} {label} {probability:.3f}"

    def _write_mask(self, path: Path, to: Path) -> str:
        ids_HW, content = self.segment(path), io.BytesIO()
        Image.fromarray(palette_of(self.record.classes)[ids_HW]).save(content, "PNG")
        (file,) = write_apart(to, path.stem, {"mask.png": content.getvalue()})
        shares_K = np.bincount(ids_HW.ravel(), minlength=len(self.record.classes)) / ids_HW.size
        seen = [f"{self.record.classes[label]} {shares_K[label]:.1%}" for label in np.argsort(-shares_K, kind="stable")]
        return f"{path} {file}: {', '.join(seen[: np.count_nonzero(shares_K)])}"

    def _write_drawn(self, count: str, file: Path) -> Path:
        from etude.figures.samples import write_grid

        if not count.isdecimal() or not 1 <= int(count) <= _MOST_DRAWN:
            raise MistakeError(sentence("predict", "how many pictures", f"a number from 1 to {_MOST_DRAWN}", count))
        write_grid(file, self.draw(int(count)), made_by=f"{self.record.candidate} (run {self.record.identity})")
        return file

    @property
    def _prepare(self) -> Prepare:
        return Prepare.model_validate(self.record.config["prepare"])

    def _ask(self, path: Path) -> tuple[torch.Tensor, tuple[int, int]]:
        """Return the logits of one picture, and its size when upright."""
        import torch

        from etude.train.windows import answer_in_windows

        opened = OpenPicture(path, name=str(path))
        pixels_HWC = torch.from_numpy(np.array(prepare_opened(opened, self._prepare)))
        mean, std = (torch.tensor(values) for values in normalisation(self._prepare))
        image_1CHW = ((pixels_HWC.float() / 255 - mean) / std).permute(2, 0, 1)[None].contiguous()
        window_px = self._window_px
        with torch.no_grad():
            if window_px is None:
                logits: torch.Tensor = self.network(image_1CHW).float()
            else:
                logits = answer_in_windows(self.network, image_1CHW, size_px=window_px)
        return logits, opened.size_px

    @property
    def _window_px(self) -> tuple[int, int] | None:
        """The size of the windows in which pictures are answered; none where they are answered whole."""
        config = self.record.config
        crop_px = config["train"].get("crop_px")
        is_sliding = config.get("combine", {}).get("windows") == "sliding"
        return (int(crop_px[0]), int(crop_px[1])) if is_sliding and crop_px else None


def open_alone(record: Path, weights: Path, task: str, base: Path) -> LoneRun:
    """Open a finished run from the files of its record and its weights.

    Args:
        record: the record of the run, `run.json` or a copy of it.
        weights: the file of its weights.
        task: classification, segmentation or generation.
        base: the folder that the path of a network of one's own starts from.

    Raises:
        MistakeError: if the record cannot be read.
        ModelError: if the network cannot be built.
    """
    read = RunRecord.load(record)
    return LoneRun(read, task, rebuild_network(read, weights, task, base=base))
