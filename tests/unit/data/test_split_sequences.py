"""Validation cut in stretches of time, and sequences left out."""

from __future__ import annotations

import numpy as np
import pytest

from etude.core.errors import DataError
from etude.core.words import Part
from etude.data.items import UNLABELLED, Items, texts
from etude.data.split import SplitConfig, make_splits


def items() -> Items:
    names = [f"{sequence}_{frame:03d}" for sequence in "abc" for frame in range(20)]
    groups = [name[0] for name in names]
    official = [Part.TEST if name[0] == "c" and int(name[2:]) >= 10 else Part.TRAIN for name in names]
    labels = np.full(len(names), UNLABELLED, np.int32)
    return Items(texts(names), labels, np.array(official, np.int8), texts(groups))


def split(**fields) -> np.ndarray:
    return make_splits(items(), 2, SplitConfig(kind="official", **fields))[0]


def test_validation_is_one_stretch_of_each_sequence_and_the_test_part_stays():
    parts = split(validation=0.2, validation_by="blocks", gap=1)
    official = items().official
    assert np.array_equal(parts == Part.TEST, official == Part.TEST)
    for start, stop in ((0, 20), (20, 40), (40, 50)):
        rows = np.flatnonzero(parts[start:stop] == Part.VALIDATION)
        assert len(rows) == round(0.2 * (stop - start))
        assert np.ptp(rows) == len(rows) - 1
        neighbours = {row for row in (rows[0] - 1, rows[-1] + 1) if 0 <= row < stop - start}
        assert all(parts[start + row] == Part.LEFT_OUT for row in neighbours)


def test_nothing_of_a_sequence_that_is_left_out_is_trained_or_validated_on():
    parts = split(validation=0.2, validation_by="blocks", leave_out=["c"])
    of_c = items().groups == "c"
    assert set(parts[of_c].tolist()) == {Part.TEST, Part.LEFT_OUT}
    assert (parts[~of_c] == Part.TRAIN).sum() == 32
    with pytest.raises(DataError, match=r"leave_out.*unknown name 'd'"):
        split(leave_out=["d"])
