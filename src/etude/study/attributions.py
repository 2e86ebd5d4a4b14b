"""Why a finished network answers as it does, on right and on wrong answers: maps, and the checks on them.

Shapes: N pictures, K classes, C channels, H and W pixels.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from etude.core.words import Part
from etude.evaluate.mask_counts import MaskCounts
from etude.evaluate.predictions import Predictions
from etude.explain.records import Attribution, Member, PictureRef, WhyRecord
from etude.metrics.statistics import t_interval
from etude.study.arrays import fitting, save_arrays, shrink_to_most
from etude.study.opened import OpenedRun, Wishes, mixed, spread

if TYPE_CHECKING:
    import torch

    from etude.data.prepared import PreparedSet
    from etude.explain.questions import Question

_RIGHT, _WRONG = 4, 4
_FOR_STATISTICS = 32  # pictures that random weights take the statistics of their normalisations from
_MOST_PX = 192  # of what is kept of pictures with masks: they are looked at side by side
_LEAST_COVERED = 0.002  # of a picture, so that there is something to see
_HALF = 0.5


@dataclass(frozen=True)
class _Asked:
    """One answer to be explained."""

    place: int
    """Of its picture in the part."""
    question: Question
    picture: PictureRef


def explain_why(opened: OpenedRun, target: Path, wishes: Wishes) -> str | None:
    """Write `why.json` and `why.npz`; where no layer gives maps, or nothing was answered, return why there are none."""
    from etude.explain.channels import works_on_last
    from etude.explain.questions import OfPixels
    from etude.explain.sight import find_cam_layer
    from etude.explain.why import check_by_occlusion, draw_anew, explain_answer, likeness

    prepared = opened.part("test")
    layer = find_cam_layer(opened.network, opened.images(prepared, np.arange(1)))
    if layer is None:
        return f"no layer of {opened.network_name} says what it sees and where in the picture, as Grad-CAM needs."
    asked = list(_ask_of_pixels(opened, prepared) if prepared.masks_NHW is not None else _ask_of_pictures(opened))
    if not asked:
        return "the run left no answer to a picture of the test part that could be explained."
    seen = opened.part("validation", "train")
    some_BCHW = opened.images(seen, mixed(seen, _FOR_STATISTICS))
    attributions: list[Attribution] = []
    arrays: dict[str, npt.NDArray[np.generic]] = {}
    for row, entry in enumerate(asked):
        image_1CHW = opened.images(prepared, np.array([entry.place]))
        maps = explain_answer(opened.network, image_1CHW, entry.question, layer)
        check = check_by_occlusion(opened.network, image_1CHW, entry.question, maps)
        blank = explain_answer(draw_anew(opened.network, some_BCHW, row), image_1CHW, entry.question, layer)
        arrays |= {f"grad_cam.{row}": _kept(maps.grad_cam_HW, prepared)}
        arrays |= {f"integrated.{row}": _kept(maps.integrated_HW, prepared)}
        inside = None
        if isinstance(entry.question, OfPixels):
            pixels_HW = entry.question.pixels_HW.cpu()
            arrays[f"pixels.{row}"] = _kept(pixels_HW.float(), prepared) >= _HALF
            inside = float(maps.grad_cam_HW[pixels_HW].sum() / maps.grad_cam_HW.sum().clamp(min=1e-12))
        attributions.append(
            Attribution(
                picture=entry.picture,
                is_right=entry.picture.answer == entry.picture.truth,
                drop_grad_cam=check.drop_grad_cam,
                drop_integrated=check.drop_integrated,
                drop_random=check.drop_random,
                likeness=likeness(maps.grad_cam_HW, blank.grad_cam_HW),
                likeness_integrated=likeness(maps.integrated_HW, blank.integrated_HW),
                inside=inside,
            )
        )
    places = np.array([entry.place for entry in asked])
    arrays["pictures"] = (
        prepared.pictures_NHWC[places]
        if prepared.masks_NHW is None
        else shrink_to_most(prepared.pictures_NHWC, places, _MOST_PX)
    )
    save_arrays(target / "why.npz", arrays)
    of_tokens = works_on_last(opened.network.get_submodule(layer))
    sum_up(layer, attributions, of_tokens=of_tokens, member=opened.member).save(target / "why.json")
    return None


def sum_up(
    layer: str, attributions: Sequence[Attribution], *, of_tokens: bool = False, member: Member | None = None
) -> WhyRecord:
    """Return the record of what was found of some answers, with its means and the intervals of what is claimed."""
    inside = [entry.inside for entry in attributions if entry.inside is not None]
    covers = [entry.picture.covers for entry in attributions if entry.picture.covers is not None]
    of_cam = [entry.likeness for entry in attributions if entry.likeness is not None]
    of_integrated = [entry.likeness_integrated for entry in attributions if entry.likeness_integrated is not None]
    return WhyRecord(
        member=member,
        layer=layer,
        of_tokens=of_tokens,
        pictures=tuple(attributions),
        mean_drop_grad_cam=statistics.fmean(entry.drop_grad_cam for entry in attributions),
        mean_drop_integrated=statistics.fmean(entry.drop_integrated for entry in attributions),
        mean_drop_random=statistics.fmean(entry.drop_random for entry in attributions),
        mean_likeness=statistics.fmean(of_cam) if of_cam else None,
        interval_likeness=t_interval(of_cam) if of_cam else None,
        mean_likeness_integrated=statistics.fmean(of_integrated) if of_integrated else None,
        interval_likeness_integrated=t_interval(of_integrated) if of_integrated else None,
        gain_grad_cam=t_interval([entry.drop_grad_cam - entry.drop_random for entry in attributions]),
        gain_integrated=t_interval([entry.drop_integrated - entry.drop_random for entry in attributions]),
        mean_inside=statistics.fmean(inside) if inside else None,
        mean_covers=statistics.fmean(covers) if covers else None,
    )


def _ask_of_pictures(opened: OpenedRun) -> Iterator[_Asked]:
    """Choose right answers, evenly spread, and the most confident wrong ones."""
    from etude.explain.questions import OfPicture

    answers = Predictions.read(opened.answers_path, Part.TEST)
    classes = opened.job.classes
    right = np.flatnonzero(answers.labels == answers.truth)
    wrong = np.flatnonzero(answers.labels != answers.truth)
    surety_M = answers.probabilities[wrong, answers.labels[wrong]]  # of what was answered: a threshold may decide
    wrong = wrong[np.argsort(-surety_M, kind="stable")][:_WRONG]
    for place in (*(right[spread(len(right), _RIGHT)] if len(right) else right), *wrong):
        label = int(answers.labels[place])
        picture = PictureRef(
            item=str(answers.ids[place]),
            truth=classes[answers.truth[place]],
            answer=classes[label],
            probability=float(answers.probabilities[place, label]),
        )
        yield _Asked(int(place), OfPicture(label), picture)


def _ask_of_pixels(opened: OpenedRun, prepared: PreparedSet) -> Iterator[_Asked]:
    """Choose classes that were rightly and wrongly found in a picture.

    They are chosen by the counts of the test part; the pixels are those that the network, asked once and about the
    whole picture, gives the class, void left out.
    """
    import torch

    from etude.explain.questions import OfPixels

    counts = MaskCounts.read(opened.answers_path, Part.TEST)
    classes = opened.job.classes
    rows = {str(item): row for row, item in enumerate(opened.workspace.item_ids(prepared.indices_N))}
    for line, label in choose_regions(counts.confusions):
        place = rows.get(str(counts.ids[line]))
        if place is None:
            continue
        probabilities_KHW, truth_HW = _answer_one(opened, prepared, place)
        is_asked_HW = (probabilities_KHW.argmax(0).numpy() == label) & (truth_HW < len(classes))
        if not is_asked_HW.any():
            continue
        truth = int(np.bincount(truth_HW[is_asked_HW], minlength=len(classes)).argmax())
        picture = PictureRef(
            item=str(counts.ids[line]),
            truth=classes[truth],
            answer=classes[label],
            probability=float(probabilities_KHW[label].numpy()[is_asked_HW].mean()),
            covers=float(is_asked_HW.mean()),
        )
        yield _Asked(place, OfPixels(label, torch.from_numpy(is_asked_HW).to(opened.job.execution.device)), picture)


def choose_regions(
    confusions_NKK: npt.NDArray[np.int64], right: int = _RIGHT, wrong: int = _WRONG
) -> list[tuple[int, int]]:
    """Choose answers to explain: pairs of a picture's row and a class, the right ones first.

    An answer is all that a picture was given of a class; it is right where most of these pixels are of the class. Of
    the right ones, each class's with the best intersection over union stands for it, the rarest classes first, as they
    are those that one wonders about; of the wrong ones, those with the most wrong pixels, each of another class.
    """
    given_NK, true_NK = confusions_NKK.sum(1), confusions_NKK.sum(2)
    hit_NK = np.einsum("nkk->nk", confusions_NKK)
    pixels_N1 = np.maximum(given_NK.sum(1, keepdims=True), 1)
    is_seen_NK = given_NK >= np.maximum(1, _LEAST_COVERED * pixels_N1)
    is_right_NK = is_seen_NK & (hit_NK > given_NK / 2)
    iou_NK = hit_NK / np.maximum(given_NK + true_NK - hit_NK, 1)
    best_K = np.where(is_right_NK, iou_NK, -1).argmax(0)
    rarest_first = np.argsort(true_NK.sum(0), kind="stable")
    found = [(int(best_K[k]), int(k)) for k in rarest_first if is_right_NK[:, k].any()][:right]
    missed_NK = np.where(is_seen_NK & ~is_right_NK, given_NK - hit_NK, 0)
    worst_K, most_K = missed_NK.argmax(0), missed_NK.max(0)
    worst_first = np.argsort(-most_K, kind="stable")
    return found + [(int(worst_K[k]), int(k)) for k in worst_first if most_K[k] > 0][:wrong]


def _answer_one(opened: OpenedRun, prepared: PreparedSet, place: int) -> tuple[torch.Tensor, npt.NDArray[np.uint8]]:
    import torch

    assert prepared.masks_NHW is not None
    with torch.no_grad():
        logits_KHW = opened.network.eval()(opened.images(prepared, np.array([place])))[0].float().cpu()
    return logits_KHW.softmax(0), np.asarray(prepared.masks_NHW[place])


def _kept(map_HW: torch.Tensor, prepared: PreparedSet) -> npt.NDArray[np.floating]:
    """Return a map as it is kept: that of a mask as small as the picture beside it."""
    import torch

    if prepared.masks_NHW is None:
        return map_HW.numpy()
    size_px = fitting(tuple(map_HW.shape), _MOST_PX)
    return torch.nn.functional.interpolate(map_HW[None, None], size_px, mode="area")[0, 0].numpy().astype(np.float16)
