"""Splits: disjoint, complete, in proportion, by group, the same every time, and read back only for the same pictures."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from etude.core.errors import DataError
from etude.core.words import Part
from etude.data.apportion import apportion
from etude.data.items import Items, texts
from etude.data.split import SplitConfig, make_splits, read_split, split_digest, write_split
from etude.data.split_file import read_groups


def items_of(labels, official=None, groups=None):
    return Items(
        texts(f"{row:04d}.png" for row in range(len(labels))),
        np.asarray(labels, np.int32),
        None if official is None else np.asarray(official, np.int8),
        None if groups is None else texts(str(group) for group in groups),
    )


def count(labels, parts, part, n_classes):
    return np.bincount(np.asarray(labels)[parts == part], minlength=n_classes)


labels_of_some_classes = (
    st.integers(2, 5)
    .flatmap(lambda n: st.tuples(st.just(n), st.lists(st.integers(6, 40), min_size=n, max_size=n)))
    .map(lambda drawn: (drawn[0], np.repeat(np.arange(drawn[0]), drawn[1])))
)


@given(drawn=labels_of_some_classes, seed=st.integers(0, 99), test=st.floats(0.05, 0.6), validation=st.floats(0, 0.6))
@settings(deadline=None, max_examples=40)
def test_random_parts_are_disjoint_complete_and_in_proportion(drawn, seed, test, validation):
    n_classes, labels = drawn
    labels = np.random.default_rng(seed).permutation(labels)
    config = SplitConfig(kind="random", seed=seed, test=test, validation=validation)
    (parts,) = make_splits(items_of(labels), n_classes, config)
    assert set(np.unique(parts)) <= {Part.TRAIN, Part.VALIDATION, Part.TEST}
    counts = np.bincount(labels, minlength=n_classes)
    tested = count(labels, parts, Part.TEST, n_classes)
    validated = count(labels, parts, Part.VALIDATION, n_classes)
    assert (np.abs(tested - test * counts) <= 1 + 0.5 / n_classes).all()
    assert (np.abs(validated - validation * (counts - tested)) <= 1 + 0.5 / n_classes).all()
    assert (tested >= 1).all()
    assert (count(labels, parts, Part.TRAIN, n_classes) >= 1).all()
    assert np.array_equal(parts, make_splits(items_of(labels), n_classes, config)[0])


def test_another_seed_is_another_split():
    items = items_of(np.arange(100) % 4)
    one, other = (make_splits(items, 4, SplitConfig(kind="random", seed=seed))[0] for seed in (0, 1))
    assert not np.array_equal(one, other)


@given(
    sizes=st.lists(st.integers(1, 12), min_size=6, max_size=25),
    seed=st.integers(0, 99),
    n_folds=st.integers(2, 4),
)
@settings(deadline=None, max_examples=40)
def test_groups_are_never_parted(sizes, seed, n_folds):
    groups = np.repeat(np.arange(len(sizes)), sizes)
    labels = np.arange(len(groups)) % 1  # one stratum: whether the classes fit is another test
    items = items_of(labels, groups=groups)
    for kind in ("group", "stratified-group-kfold"):
        config = SplitConfig(kind=kind, seed=seed, folds=n_folds, test=0.3, validation=0.3)
        splits = make_splits(items, 1, config)
        for parts in splits:
            for group in np.unique(groups):
                assert len(np.unique(parts[groups == group])) == 1
            assert set(np.unique(parts)) == {0, 1, 2}
        if kind != "group":
            assert (sum((parts == Part.TEST).astype(int) for parts in splits) == 1).all()


def test_group_parts_come_near_their_share_of_every_class():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(60), 20)
    labels = rng.integers(0, 3, 60)[groups] * (rng.random(1200) < 0.8)  # groups lean to a class
    items = items_of(labels, groups=groups)
    (parts,) = make_splits(items, 3, SplitConfig(kind="group", test=0.2, validation=0.1))
    shares = count(labels, parts, Part.TEST, 3) / np.bincount(labels)
    assert np.abs(shares - 0.2).max() < 0.05
    for parts in make_splits(items, 3, SplitConfig(kind="stratified-group-kfold", folds=5)):
        shares = count(labels, parts, Part.TEST, 3) / np.bincount(labels)
        assert np.abs(shares - 0.2).max() < 0.06


@given(drawn=labels_of_some_classes, n_folds=st.integers(2, 6), repeats=st.integers(1, 2), seed=st.integers(0, 9))
@settings(deadline=None, max_examples=40)
def test_the_test_parts_of_folds_partition_the_pictures(drawn, n_folds, repeats, seed):
    n_classes, labels = drawn
    config = SplitConfig(kind="kfold", folds=n_folds, repeats=repeats, seed=seed)
    splits = make_splits(items_of(labels), n_classes, config)
    assert len(splits) == n_folds * repeats
    for repeat in range(repeats):
        folds = splits[repeat * n_folds : (repeat + 1) * n_folds]
        assert (sum((parts == Part.TEST).astype(int) for parts in folds) == 1).all()
        for parts in folds:
            exact = np.bincount(labels, minlength=n_classes) / n_folds
            assert (np.abs(count(labels, parts, Part.TEST, n_classes) - exact) < 1).all()
            assert (count(labels, parts, Part.VALIDATION, n_classes) >= 1).all()
        sizes = [int((parts == Part.TEST).sum()) for parts in folds]
        assert max(sizes) - min(sizes) <= 1
    if repeats == 2:
        assert not np.array_equal(splits[0], splits[n_folds])


def test_official_parts_are_kept_and_validation_is_cut_from_train():
    labels = np.arange(200) % 5
    official = np.where(np.arange(200) < 150, Part.TRAIN, Part.TEST)
    (parts,) = make_splits(items_of(labels, official), 5, SplitConfig(validation=0.2))
    assert ((parts == Part.TEST) == (official == Part.TEST)).all()
    assert count(labels, parts, Part.VALIDATION, 5).tolist() == [6] * 5


def test_an_official_validation_part_is_used_as_it_is():
    official = np.repeat([Part.TRAIN, Part.VALIDATION, Part.TEST], 20)
    (parts,) = make_splits(items_of(np.arange(60) % 2, official), 2, SplitConfig(validation=0.4))
    assert np.array_equal(parts, official)


def test_without_an_official_test_part_the_validation_part_is_it():
    labels = np.tile([0, 1], 30)
    official = np.repeat([Part.TRAIN, Part.VALIDATION, Part.TEST], 20)
    labels[40:] = -1  # as where the test labels are not public
    (parts,) = make_splits(items_of(labels, official), 2, SplitConfig())
    assert (parts[20:40] == Part.TEST).all()
    assert (parts[40:] == Part.LEFT_OUT).all()
    assert set(parts[:20]) == {Part.TRAIN, Part.VALIDATION}


def test_official_validation_is_cut_by_group_where_there_are_groups():
    official = np.repeat([Part.TRAIN, Part.TEST], [80, 20])
    groups = np.arange(100) // 10
    (parts,) = make_splits(items_of([-1] * 100, official, groups), 8, SplitConfig())
    for group in range(10):
        assert len(set(parts[groups == group])) == 1
    assert set(parts[:80]) == {Part.TRAIN, Part.VALIDATION}


def test_auto_is_official_then_group_then_random():
    labels = np.arange(60) % 2
    official = np.repeat([Part.TRAIN, Part.TEST], 30)
    groups = np.arange(60) // 6
    (by_group,) = make_splits(items_of(labels, None, groups), 2, SplitConfig())
    assert all(len(set(by_group[groups == group])) == 1 for group in range(10))
    (given_parts,) = make_splits(items_of(labels, official, groups), 2, SplitConfig())
    assert (given_parts[30:] == Part.TEST).all()
    (drawn,) = make_splits(items_of(labels), 2, SplitConfig())
    assert (drawn == Part.TEST).sum() == 12
    (only_train,) = make_splits(items_of(labels, np.zeros(60)), 2, SplitConfig())
    assert (only_train == Part.TEST).sum() == 12


def test_fewer_training_pictures_in_proportion():
    labels = np.repeat([0, 1, 2], [600, 300, 6])
    for n_kept in (90, 3, 500):
        config = SplitConfig(kind="random", train_items=n_kept)
        (parts,) = make_splits(items_of(labels), 3, config)
        (whole,) = make_splits(items_of(labels), 3, SplitConfig(kind="random"))
        kept = count(labels, parts, Part.TRAIN, 3)
        assert kept.sum() == n_kept
        assert (kept >= 1).all()
        assert ((parts == whole) | (parts == Part.LEFT_OUT)).all()
        assert not (parts == Part.LEFT_OUT)[whole != Part.TRAIN].any()
    assert count(labels, parts, Part.TRAIN, 3)[0] == pytest.approx(500 * 600 / 906, abs=3)


def test_pictures_without_a_label_are_left_out():
    labels = np.where(np.arange(50) % 5 == 0, -1, np.arange(50) % 2)
    (parts,) = make_splits(items_of(labels), 2, SplitConfig())
    assert ((parts == Part.LEFT_OUT) == (labels == -1)).all()


@pytest.mark.parametrize(
    ("labels", "official", "groups", "config", "said"),
    [
        ([0, 0, 0, 1, 1], None, None, {"kind": "random"}, "test must be a part with a picture of dog.*Got '2 in all'"),
        ([0, 0, 0, 1], [0, 0, 2, 0], None, {}, "validation must be .*picture of dog.*'1 in all'"),
        ([0, 0, 0, 1, 1, 1], None, None, {"kind": "kfold", "folds": 4}, "folds must be at most 3"),
        ([0, 1] * 4, None, [1, 1, 2, 2, 3, 3, 4, 4], {"kind": "stratified-group-kfold"}, "folds must be at most 4"),
        ([0, 1] * 4, None, [1, 1, 1, 1, 2, 2, 2, 2], {"kind": "group"}, "leaves 2 or more. Got '2 in all'"),
        ([0, 1] * 4, None, None, {"kind": "group"}, "needs no groups"),
        ([0, 1] * 4, None, None, {"kind": "official"}, "needs no parts"),
        ([0, 1] * 8, None, None, {"kind": "random", "train_items": 99}, "train_items must be between 2"),
        ([0, 1] * 8, None, None, {"kind": "random", "train_items": 1}, "train_items must be between 2"),
        ([0, 0, 1, 1], [0, 0, 2, 2], None, {}, "no picture of dog"),
        ([0, 1, -1], [0, 0, 2], None, {"kind": "official"}, "official test part"),
        ([], None, None, {}, "with pictures"),
    ],
)
def test_what_cannot_be_split_is_said(labels, official, groups, config, said):
    with pytest.raises(DataError, match=said):
        make_splits(items_of(labels, official, groups), 2, SplitConfig(**config), classes=("cat", "dog"))


def test_a_class_that_lies_in_one_group_only_is_reported_when_train_lacks_it():
    labels = [1] * 20 + [0] * 20
    groups = [0] * 20 + [1 + row // 4 for row in range(20)]
    with pytest.raises(DataError, match="every class"):
        for seed in range(10):
            make_splits(items_of(labels, None, groups), 2, SplitConfig(kind="group", test=0.5, seed=seed))


def test_configurations_that_make_no_sense_are_refused():
    for wrong in ({"test": 0}, {"test": 1}, {"validation": -0.1}, {"folds": 1}, {"kind": "leave-one-out"}):
        with pytest.raises(ValidationError):
            SplitConfig(**wrong)


@given(counts=st.lists(st.integers(0, 50), min_size=1, max_size=8), share=st.floats(0, 1))
def test_apportioning_gives_the_total_each_share_rounded(counts, share):
    counts = np.array(counts)
    total = round(share * int(counts.sum()))
    shares = apportion(counts, total)
    assert shares.sum() == total
    assert (np.abs(shares - counts * (total / max(1, counts.sum()))) < 1).all()
    assert (shares <= counts).all()


def test_a_split_is_read_back_in_any_order_of_the_items(tmp_path):
    labels = np.arange(40) % 2
    items = items_of(labels, None, np.arange(40) // 4)
    splits = make_splits(items, 2, SplitConfig(kind="stratified-group-kfold", folds=3))
    path = tmp_path / "split.parquet"
    write_split(path, items, splits)
    assert [parts.tolist() for parts in read_split(path, items)] == [parts.tolist() for parts in splits]
    order = np.random.default_rng(0).permutation(40)
    shuffled = items.take(order)
    again = read_split(path, shuffled)
    assert np.array_equal(again[2], splits[2][order])
    assert split_digest(shuffled, again[2]) == split_digest(items, splits[2])
    assert split_digest(items, splits[0]) != split_digest(items, splits[1])
    assert [entry.name for entry in tmp_path.iterdir()] == ["split.parquet"]


def test_the_file_has_the_columns_that_others_read(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    items = items_of(np.arange(40) % 2)
    write_split(tmp_path / "split.parquet", items, make_splits(items, 2, SplitConfig(train_items=10)))
    table = parquet.read_table(tmp_path / "split.parquet")
    assert table.column_names == ["item", "part", "fold", "group"]
    assert set(table.column("part").to_pylist()) == {"train", "validation", "test", "left_out"}
    assert table.column("group").null_count == 40


def test_the_groups_are_read_back(tmp_path):
    path = tmp_path / "split.parquet"
    items = items_of(np.arange(40) % 2, None, np.arange(40) // 4)
    write_split(path, items, make_splits(items, 2, SplitConfig(kind="stratified-group-kfold", folds=3)))
    assert read_groups(path) == dict(zip(items.ids.tolist(), items.groups.tolist(), strict=True))
    alone = items_of(np.arange(40) % 2)
    write_split(path, alone, make_splits(alone, 2, SplitConfig()))
    assert read_groups(path) is None
    path.write_bytes(b"no split")
    with pytest.raises(DataError, match="a split that can be read"):
        read_groups(path)


def test_other_pictures_are_noticed(tmp_path):
    items = items_of(np.arange(40) % 2)
    path = tmp_path / "split.parquet"
    write_split(path, items, make_splits(items, 2, SplitConfig()))
    renamed = Items(texts(["new.png", *items.ids[1:].tolist()]), items.labels)
    with pytest.raises(DataError, match=r"1 gone \(such as 0000\.png\), 1 new \(such as new\.png\)"):
        read_split(path, renamed)
    with pytest.raises(DataError, match="1 gone"):
        read_split(path, items.take(np.arange(39)))


def test_a_damaged_split_is_said(tmp_path):
    path = tmp_path / "split.parquet"
    path.write_bytes(b"PAR1 nonsense")
    with pytest.raises(DataError, match=r"split\.parquet must be a split that can be read"):
        read_split(path, items_of([0, 1]))
    with pytest.raises(DataError, match="can be read"):
        read_split(tmp_path / "absent.parquet", items_of([0, 1]))


def test_sixty_thousand_pictures_are_split_in_no_time():
    labels = np.arange(60_000) % 10
    splits = make_splits(items_of(labels), 10, SplitConfig(kind="kfold", folds=10))
    assert len(splits) == 10
