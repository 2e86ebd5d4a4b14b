"""Pictures as a finished network answers them, brought to a line a picture: features, class, answer.

Of masks, a picture's class is the one that most of its pixels have, and its answer the one that most are given.
Shapes: N pictures, B of a batch, D features, K classes, H and W pixels.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from etude.core.machine import answered_at_once
from etude.explain.records import PictureRef
from etude.metrics.calibration import with_temperature
from etude.metrics.classification import predicted_labels
from etude.pictures.prepare import VOID
from etude.study.opened import OpenedRun

if TYPE_CHECKING:
    import torch

    from etude.data.prepared import PreparedSet

Integers = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Answered:
    """Some pictures with what a network makes of each."""

    features_ND: Numbers
    """What the head is given; of masks the mean over the maps that hold the most of what is seen."""
    labels_N: Integers
    """Classes; -1 where it is not known."""
    answers_N: Integers
    """Classes that were answered."""
    surety_N: Numbers
    """Probability of the answer; of masks, its mean over the pixels that were given it."""
    covers_N: Numbers | None = None
    """Of masks, the share of the pixels that was given the answer."""

    def refer(self, row: int, item: object, classes: tuple[str, ...]) -> PictureRef:
        """Return one of the pictures for a record."""
        label = int(self.labels_N[row])
        return PictureRef(
            item=str(item),
            truth=classes[label] if label >= 0 else "",
            answer=classes[int(self.answers_N[row])],
            probability=float(self.surety_N[row]),
            covers=None if self.covers_N is None else float(self.covers_N[row]),
        )


def answer_pictures(opened: OpenedRun, prepared: PreparedSet, chosen: Integers) -> Answered:
    """Let the network of a run answer some pictures of a set, a batch at a time."""
    masks_NHW = prepared.masks_NHW
    parts = []
    at_once = answered_at_once(*prepared.pictures_NHWC.shape[1:3])
    with _heard(opened, prepared, chosen) as held:
        for places in np.array_split(chosen, max(1, -(-len(chosen) // at_once))):
            held.clear()
            logits = _ask(opened, prepared, places)
            features_BD = held[0] if held else None
            if masks_NHW is None:
                parts.append(_of_classes(opened, logits, features_BD, prepared.labels_N[places]))
            else:
                parts.append(_of_masks(logits, features_BD, np.asarray(masks_NHW[places])))
    return _join(parts)


def dominant(ids_BHW: npt.NDArray[np.uint8], n_classes: int) -> Integers:
    """Return the class that most pixels of each mask have, void left out; -1 where all are void.

    >>> dominant(np.array([[[0, 1], [1, 255]], [[255, 255], [255, 255]]], np.uint8), 2)
    array([ 1, -1])
    """
    counts_BK = np.stack([np.bincount(ids.ravel(), minlength=VOID + 1)[:n_classes] for ids in ids_BHW])
    return np.where(counts_BK.any(1), counts_BK.argmax(1), -1)


def _ask(opened: OpenedRun, prepared: PreparedSet, places: Integers) -> torch.Tensor:
    import torch

    with torch.no_grad():
        logits: torch.Tensor = opened.network.eval()(opened.images(prepared, places)).float().cpu()
    return logits


def _of_classes(
    opened: OpenedRun, logits_BK: torch.Tensor, features_BD: torch.Tensor | None, labels_B: Integers
) -> Answered:
    probabilities_BK = opened.fitted.task.answer(logits_BK).numpy()
    chosen = opened.adjustment
    if chosen.temperature is not None:
        probabilities_BK = with_temperature(probabilities_BK, chosen.temperature).astype(np.float32)
    answers_B = predicted_labels(probabilities_BK, chosen.threshold)
    features = logits_BK if features_BD is None else features_BD
    return Answered(features.numpy(), labels_B, answers_B, probabilities_BK[np.arange(len(answers_B)), answers_B])


def _of_masks(
    logits_BKHW: torch.Tensor, features_BD: torch.Tensor | None, masks_BHW: npt.NDArray[np.uint8]
) -> Answered:
    n_classes = logits_BKHW.shape[1]
    probabilities_BKHW = logits_BKHW.softmax(1)
    surety_BHW, ids_BHW = (found.numpy() for found in probabilities_BKHW.max(1))
    answers_B = dominant(ids_BHW.astype(np.uint8), n_classes)
    is_so_BHW = ids_BHW == answers_B[:, None, None]
    return Answered(
        features_ND=(probabilities_BKHW.mean((2, 3)) if features_BD is None else features_BD).numpy(),
        labels_N=dominant(masks_BHW, n_classes),
        answers_N=answers_B,
        surety_N=np.array([own[so].mean() for own, so in zip(surety_BHW, is_so_BHW, strict=True)], np.float32),
        covers_N=is_so_BHW.mean((1, 2)).astype(np.float32),
    )


@contextmanager
def _heard(opened: OpenedRun, prepared: PreparedSet, chosen: Integers) -> Iterator[list[torch.Tensor]]:
    """Listen to the layer whose numbers are the features; the list holds those of the latest batch."""
    held: list[torch.Tensor] = []
    handle = _listen(opened, opened.images(prepared, chosen[:1]), held, of_masks=prepared.masks_NHW is not None)
    held.clear()
    try:
        yield held
    finally:
        if handle is not None:
            handle.remove()


def _listen(
    opened: OpenedRun, image_1CHW: torch.Tensor, held: list[torch.Tensor], *, of_masks: bool
) -> torch.utils.hooks.RemovableHandle | None:
    from etude.core.errors import ModelError
    from etude.explain.channels import as_maps
    from etude.explain.sight import find_cam_layer
    from etude.models.networks.depth import find_head

    model = opened.network.eval()
    if of_masks:
        layer = find_cam_layer(model, image_1CHW)
        if layer is None:
            return None
        size_px = (image_1CHW.shape[2], image_1CHW.shape[3])

        def keep(module: torch.nn.Module, _inputs: object, output: torch.Tensor) -> None:
            maps_BChw = as_maps(module, output.detach(), size_px)
            assert maps_BChw is not None
            held.append(maps_BChw.float().mean((2, 3)).cpu())

        return model.get_submodule(layer).register_forward_hook(keep)
    try:
        return model.get_submodule(find_head(model)).register_forward_pre_hook(
            lambda _module, inputs: held.append(inputs[0].detach().float().flatten(1).cpu())
        )
    except ModelError:
        return None


def _join(parts: list[Answered]) -> Answered:
    columns: dict[str, Any] = {}
    for field in fields(Answered):
        values = [getattr(part, field.name) for part in parts]
        columns[field.name] = None if values[0] is None else np.concatenate(values)
    return Answered(**columns)
