"""A picture that a person points at: one of the study's, by its id, or any file, prepared as the run's own are."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from etude.core.errors import MistakeError, sentence
from etude.core.registry import nearest
from etude.data.prepared import PreparedSet, prepare_items
from etude.pictures.prepare import VOID, prepare_picture
from etude.study.opened import OpenedRun

_MOST_COMPARED = 5000  # ids that are compared with one that is unknown


def find_picture(opened: OpenedRun, given: str) -> tuple[PreparedSet, str]:
    """Return a set of one picture, and its name.

    Args:
        opened: the run.
        given: the id of a picture of the study, of any part; else the path of a file, whose class is not known.

    Raises:
        MistakeError: if it is neither.
        DataError: if it cannot be read.
    """
    source, prepare = opened.workspace.source, opened.job.prepare
    places = np.flatnonzero(source.items.ids == given)
    if len(places):
        return prepare_items(source, places[:1], prepare, keep=False), given
    path = Path(given).expanduser()
    if path.is_file():
        pixels_HWC = prepare_picture(path, prepare)
        is_of_masks = source.kind == "segmentation"
        masks_1HW = np.full((1, *pixels_HWC.shape[:2]), VOID, np.uint8) if is_of_masks else None
        return PreparedSet(pixels_HWC[None], np.array([-1]), masks_1HW, np.array([-1])), path.name
    known = [str(item) for item in source.items.ids[:_MOST_COMPARED]]
    close = nearest(given, known)
    remedy = f"Did you mean {close[0]!r}?" if close else f"An id looks like {known[0]!r}."
    raise MistakeError(sentence("explain", "picture", "an id of the study's pictures, or a file", given, remedy))
