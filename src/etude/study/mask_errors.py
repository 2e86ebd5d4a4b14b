"""Where a finished run of masks errs, with its hardest pictures to look at.

Shapes: N pictures, H and W pixels.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from etude.core.words import Part
from etude.evaluate.mask_counts import MaskCounts
from etude.metrics import SEGMENTATION_METRICS
from etude.study.arrays import save_arrays, shrink_to_most, thin
from etude.study.opened import OpenedRun, Wishes

if TYPE_CHECKING:
    from etude.data.prepared import PreparedSet

_MOST_PX = 320


def explain_mask_mistakes(opened: OpenedRun, target: Path, wishes: Wishes) -> None:
    """Write `mask_errors.json` and `mask_errors.npz`: the answers of all runs of the candidate taken together."""
    from etude.explain.mask_mistakes import find_mask_mistakes

    own = MaskCounts.read(opened.answers_path, Part.TEST)
    others = [MaskCounts.read(path, Part.TEST) for path in opened.other_answers_paths]
    counts = [own, *(other for other in others if np.array_equal(other.ids, own.ids))]
    prepared = opened.part("test")
    rows = {str(item): row for row, item in enumerate(opened.workspace.item_ids(prepared.indices_N))}
    own_rows = np.array([rows[str(item)] for item in own.ids], np.int64)
    groups = opened.workspace.source.items.groups
    metric = opened.record.metric if SEGMENTATION_METRICS[opened.record.metric].from_confusion else "miou"
    record = find_mask_mistakes(
        counts,
        opened.job.classes,
        opened.ref.candidate,
        metric,
        None if groups is None else np.array(groups[prepared.indices_N[own_rows]].tolist()),
    )
    shown = np.array([rows[entry.item] for entry in record.hardest], np.int64)
    assert prepared.masks_NHW is not None
    masks = {
        "truth": np.asarray(prepared.masks_NHW[shown]),
        "answers": np.stack([_answer(opened, prepared, row) for row in shown]),
    }
    arrays = {name: thin(ids_NHW, _MOST_PX) for name, ids_NHW in masks.items()}
    arrays["pictures"] = shrink_to_most(prepared.pictures_NHWC, shown, _MOST_PX)
    save_arrays(target / "mask_errors.npz", arrays)
    record.save(target / "mask_errors.json")


def _answer(opened: OpenedRun, prepared: PreparedSet, row: int) -> npt.NDArray[np.uint8]:
    import torch

    with torch.no_grad():
        logits_1KHW = opened.network.eval()(opened.images(prepared, np.array([row])))
    ids_HW: npt.NDArray[np.uint8] = opened.fitted.task.answer(logits_1KHW)[0].cpu().numpy()
    return ids_HW
