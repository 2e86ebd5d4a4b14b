"""Blocks of time: stretches of each sequence that follow each other, a gap between them, frames in order."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etude.core.errors import DataError
from etude.core.words import Part
from etude.data.items import Items, texts
from etude.data.split import SplitConfig, make_splits


def sequences(lengths):
    """Return frames `s0_0`, `s0_1`, … of sequences, shuffled, and the number of each frame in its sequence."""
    names = [(f"s{place}_{frame}", f"s{place}", frame) for place, size in enumerate(lengths) for frame in range(size)]
    order = np.random.default_rng(0).permutation(len(names))
    rows = [names[place] for place in order]
    items = Items(texts(row[0] for row in rows), np.full(len(rows), -1, np.int32), None, texts(row[1] for row in rows))
    return items, np.array([row[2] for row in rows])


@given(
    lengths=st.lists(st.integers(40, 80), min_size=1, max_size=5),
    gap=st.integers(0, 3),
    test=st.floats(0.15, 0.4),
    validation=st.floats(0.15, 0.4),  # with the gaps, more would leave nothing to train on
    seed=st.integers(0, 50),
)
@settings(deadline=None, max_examples=80)
def test_stretches_are_whole_in_time_and_apart_by_the_gap(lengths, gap, test, validation, seed):
    items, frame = sequences(lengths)
    config = SplitConfig(kind="blocks", test=test, validation=validation, gap=gap, seed=seed)
    (parts,) = make_splits(items, 2, config)
    for place, size in enumerate(lengths):
        here = items.groups == f"s{place}"
        spans = {}
        for part in (Part.TRAIN, Part.VALIDATION, Part.TEST):
            frames = np.sort(frame[here & (parts == part)])
            if len(frames):
                assert frames[-1] - frames[0] + 1 == len(frames)
                spans[part] = (frames[0], frames[-1])
        ordered = sorted(spans.values())
        assert all(after[0] - before[1] > gap for before, after in itertools.pairwise(ordered))
        assert (here & (parts == Part.TEST)).sum() == round(test * size)
        assert (here & (parts == Part.LEFT_OUT)).sum() <= 2 * gap
    assert np.array_equal(parts, make_splits(items, 2, config)[0])


def test_what_cannot_be_cut_is_said():
    items, _ = sequences([3, 3])
    with pytest.raises(DataError, match="too short"):
        make_splits(items, 2, SplitConfig(kind="blocks", gap=10, test=0.34))
    alone = Items(items.ids, items.labels)
    with pytest.raises(DataError, match="needs no groups"):
        make_splits(alone, 2, SplitConfig(kind="blocks"))


@given(sizes=st.lists(st.integers(1, 9), min_size=6, max_size=15), n_folds=st.integers(2, 4), seed=st.integers(0, 20))
@settings(deadline=None, max_examples=40)
def test_repeated_group_folds_each_partition_the_pictures_and_part_no_group(sizes, n_folds, seed):
    groups = np.repeat(np.arange(len(sizes)), sizes)
    names = texts(str(row) for row in range(len(groups)))
    items = Items(names, np.zeros(len(groups), np.int32), None, texts(str(group) for group in groups))
    config = SplitConfig(kind="stratified-group-kfold", folds=n_folds, repeats=3, seed=seed)
    splits = make_splits(items, 1, config)
    assert len(splits) == 3 * n_folds
    for repeat in range(3):
        folds = splits[repeat * n_folds : (repeat + 1) * n_folds]
        assert (sum((parts == Part.TEST).astype(int) for parts in folds) == 1).all()
        for parts in folds:
            assert all(len(set(parts[groups == group].tolist())) == 1 for group in range(len(sizes)))
