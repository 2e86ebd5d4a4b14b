"""Blocks of time: each sequence is cut into stretches for training, validation and test, with a gap between them."""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt

from etude.core.texts import number_texts
from etude.core.words import Part
from etude.data.items import Texts

_IN_SPLIT = (Part.TRAIN, Part.VALIDATION, Part.TEST)


def cut_blocks(
    ids: Texts, groups: Texts, *, validation: float, test: float, gap: int, rng: np.random.Generator
) -> npt.NDArray[np.int8]:
    """Cut every sequence into three stretches, in a drawn order.

    Frames follow each other in the order of their ids, numbers in them compared as numbers.

    Args:
        ids: (N,) ids of the pictures.
        groups: (N,) the sequence of each.
        validation: fraction of what the test stretch leaves.
        test: fraction of a sequence.
        gap: frames left out where two stretches meet, from training if it is one of them, else from validation.
        rng: draws the order of the stretches.

    Returns:
        (N,) parts; a sequence too short for a stretch has none of it.
    """
    parts = np.full(len(ids), Part.LEFT_OUT, np.int8)
    _, sequence_of = number_texts(groups)
    for number in range(int(sequence_of.max(initial=-1)) + 1):
        frames = np.array(
            sorted(np.flatnonzero(sequence_of == number).tolist(), key=lambda row: time_key(str(ids[row])))
        )
        n_test = round(test * len(frames))
        n_validation = round(validation * (len(frames) - n_test))
        sizes = (len(frames) - n_test - n_validation, n_validation, n_test)
        order = rng.permutation(3)
        row = np.repeat(np.array(_IN_SPLIT, np.int8)[order], np.array(sizes)[order])
        parts[frames] = _open_gaps(row, gap)
    return parts


def time_key(item: str) -> list[tuple[int, int | str]]:
    """Return what ids are sorted by, so that frame 10 comes after frame 9.

    >>> sorted(["a_10", "a_9"], key=time_key)
    ['a_9', 'a_10']
    """
    return [(0, int(word)) if word.isdecimal() else (1, word) for word in re.split(r"(\d+)", item) if word]


def _open_gaps(row: npt.NDArray[np.int8], gap: int) -> npt.NDArray[np.int8]:
    """Leave `gap` frames out where two stretches meet."""
    opened = row.copy()
    for border in np.flatnonzero(np.diff(row)) + 1:
        before, after = int(row[border - 1]), int(row[border])
        side = slice(max(0, border - gap), border) if before < after else slice(border, border + gap)
        giving = min(before, after)
        opened[side] = np.where(row[side] == giving, np.int8(Part.LEFT_OUT), opened[side])
    return opened
