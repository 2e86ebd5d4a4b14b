"""Training parts of other sizes: nested, in proportion, and nothing else moves."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etude.core.errors import DataError
from etude.core.words import Part
from etude.data.items import Items
from etude.data.split import SplitConfig, make_splits
from etude.data.subsets import HeldOut, hold_out, resize_training_part


def items_of(counts: list[int]) -> Items:
    labels = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    ids = np.array([f"{number:05d}" for number in range(len(labels))], dtype=np.dtypes.StringDType())
    return Items(ids=ids, labels=labels, official=None, groups=None)


@given(counts=st.lists(st.integers(5, 60), min_size=2, max_size=6), own=st.booleans(), data=st.data())
@settings(max_examples=60, deadline=None)
def test_smaller_parts_lie_within_larger_ones_and_the_rest_stays(
    counts: list[int], own: bool, data: st.DataObject
) -> None:
    items = items_of(counts)
    config = SplitConfig(kind="random", seed=3)
    whole = make_splits(items, len(counts), config)[0]
    n_whole = int((whole == Part.TRAIN).sum())
    parts = whole
    if own:
        n_own = data.draw(st.integers(len(counts), n_whole))
        parts = make_splits(items, len(counts), config.model_copy(update={"train_items": n_own}))[0]
    sizes = sorted(data.draw(st.sets(st.integers(len(counts), n_whole), min_size=2, max_size=5)))
    sizes = sorted({*sizes, int((parts == Part.TRAIN).sum())})
    before: set[int] = set()
    for size in sizes:
        made = resize_training_part(items, parts, whole, size, seed=3)
        train = set(np.flatnonzero(made == Part.TRAIN).tolist())
        assert len(train) == size
        assert before <= train
        assert set(items.labels[sorted(train)].tolist()) == set(range(len(counts)))
        for part in (Part.VALIDATION, Part.TEST):
            np.testing.assert_array_equal(made == part, parts == part)
        before = train
        if size == (parts == Part.TRAIN).sum():
            np.testing.assert_array_equal(made, parts)


def test_classes_stay_in_proportion() -> None:
    items = items_of([200, 100, 20])
    parts = make_splits(items, 3, SplitConfig(kind="random", seed=0))[0]
    n_train = int((parts == Part.TRAIN).sum())
    shares = np.bincount(items.labels[parts == Part.TRAIN]) / n_train
    for size in (10, 32, 64, 128):
        made = resize_training_part(items, parts, parts, size, seed=0)
        counts = np.bincount(items.labels[made == Part.TRAIN], minlength=3)
        assert np.abs(counts - shares * size).max() <= 2


def test_more_than_there_are_is_told() -> None:
    items = items_of([20, 20])
    parts = make_splits(items, 2, SplitConfig(kind="random"))[0]
    with pytest.raises(DataError, match=r"data.split.train_items must be between 2 .* and \d+ .*Got 500"):
        resize_training_part(items, parts, parts, 500, seed=0)


@pytest.mark.parametrize("by_group", [False, True])
def test_each_picture_that_is_not_tested_is_held_out_once(by_group: bool) -> None:
    plain = items_of([60, 33])
    groups = np.array([f"g{number % 12}" for number in range(93)], dtype=np.dtypes.StringDType())
    items = Items(plain.ids, plain.labels, None, groups)
    parts = make_splits(items, 2, SplitConfig(kind="group" if by_group else "random", seed=1))[0]
    cuts = [hold_out(items, parts, HeldOut(part, 4), by_group=by_group, seed=1) for part in range(4)]
    rest = np.flatnonzero((parts == Part.TRAIN) | (parts == Part.VALIDATION))
    held_out = np.array([cut == Part.VALIDATION for cut in cuts])
    np.testing.assert_array_equal(held_out[:, rest].sum(0), 1)
    for cut in cuts:
        np.testing.assert_array_equal(cut == Part.TEST, parts == Part.TEST)
        np.testing.assert_array_equal(np.flatnonzero(cut == Part.TRAIN), np.setdiff1d(rest, np.flatnonzero(cut == 1)))
        if by_group:
            assert not set(groups[cut == Part.TRAIN].tolist()) & set(groups[cut == Part.VALIDATION].tolist())
        else:
            counts = np.bincount(items.labels[cut == Part.VALIDATION])
            assert np.abs(counts - np.bincount(items.labels[rest]) / 4).max() < 1
    np.testing.assert_array_equal(cuts[2], hold_out(items, parts, HeldOut(2, 4), by_group=by_group, seed=1))


def test_more_parts_than_pictures_of_a_class_are_told() -> None:
    items = items_of([40, 6])
    parts = make_splits(items, 2, SplitConfig(kind="random"))[0]
    with pytest.raises(
        DataError, match=r"combine.folds must be at most \d, the number of pictures of the rarest class"
    ):
        hold_out(items, parts, HeldOut(0, 9), by_group=False, seed=0)
