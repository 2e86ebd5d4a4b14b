"""Parquet: the hub's layout and its relatives, bounded memory, and damaged files."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from etude.core.errors import DataError
from etude.core.words import Part
from etude.data.sources import parquet as module
from etude.data.sources.parquet import ParquetSource

pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")


def encoded(number, side=6):
    buffer = io.BytesIO()
    Image.fromarray(np.full((side, side, 3), number, np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def write(path, columns, features=None, **options):
    table = pa.table(columns)
    if features:
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(table, path, **options)
    return path


def names(*classes):
    return {"names": list(classes), "_type": "ClassLabel"}


def structs(n):
    return [{"bytes": encoded(row), "path": f"{row}.png"} for row in range(n)]


def test_the_layout_of_the_hub(tmp_path):
    features = {"img": {"_type": "Image"}, "label": names("cat", "dog")}
    path = write(tmp_path / "pets.parquet", {"img": structs(5), "label": [0, 1, 0, 1, 1]}, features, row_group_size=2)
    source = ParquetSource(path)
    assert source.classes == ("cat", "dog")
    assert source.items.labels.tolist() == [0, 1, 0, 1, 1]
    assert source.items.ids.tolist()[:2] == ["000000", "000001"]
    assert source.items.official is None
    assert [source.raw(row) for row in (4, 0, 3)] == [encoded(4), encoded(0), encoded(3)]


@pytest.mark.parametrize("kind", ["binary", "large_binary"])
def test_plain_bytes_and_distinct_labels(tmp_path, kind):
    pictures = pa.array([encoded(row) for row in range(4)], getattr(pa, kind)())
    path = write(tmp_path / "pets.parquet", {"image": pictures, "label": ["dog", "cat", "dog", None]})
    source = ParquetSource(path)
    assert source.classes == ("cat", "dog")
    assert source.items.labels.tolist() == [1, 0, 1, -1]
    assert source.raw(2) == encoded(2)


def test_numbers_without_names_are_their_own(tmp_path):
    path = write(tmp_path / "pets.parquet", {"image": structs(3), "label": [7, 3, -1]})
    assert ParquetSource(path).classes == ("3", "7")
    assert ParquetSource(path).items.labels.tolist() == [1, 0, -1]


def test_the_finer_of_two_labels_is_taken(tmp_path):
    features = {"coarse_label": names("animal", "thing"), "fine_label": names("cat", "car")}
    columns = {"img": structs(2), "coarse_label": [0, 1], "fine_label": [0, 1]}
    assert ParquetSource(write(tmp_path / "a.parquet", columns, features)).classes == ("cat", "car")


def test_shards_are_parts_and_rows_do_not_hang_on_how_they_are_cut(tmp_path):
    features = {"image": {"_type": "Image"}, "label": names("cat", "dog")}
    rows = structs(6)

    def columns(start, stop):
        return {"image": rows[start:stop], "label": [row % 2 for row in range(start, stop)]}

    write(tmp_path / "one" / "train.parquet", columns(0, 4), features)
    write(tmp_path / "one" / "test.parquet", columns(4, 6), features)
    write(tmp_path / "two" / "data" / "train-00000-of-00002.parquet", columns(0, 2), features, compression="none")
    write(tmp_path / "two" / "data" / "train-00001-of-00002.parquet", columns(2, 4), features, row_group_size=1)
    write(tmp_path / "two" / "data" / "test-00000-of-00001.parquet", columns(4, 6), features)
    one, two = ParquetSource(tmp_path / "one"), ParquetSource(tmp_path / "two")
    assert sorted(one.items.ids.tolist()) == [
        *[f"test/00000{row}" for row in range(2)],
        *[f"train/00000{row}" for row in range(4)],
    ]
    assert np.bincount(one.items.official).tolist() == [4, 0, 2]
    assert one.items.official[one.items.ids.tolist().index("test/000001")] == Part.TEST
    assert one.fingerprint() == two.fingerprint()


def test_parts_are_not_used_when_a_shard_names_none(tmp_path):
    for name in ("train-0", "test-0", "extra"):
        write(tmp_path / "pets" / f"{name}.parquet", {"image": structs(2), "label": [0, 1]})
    source = ParquetSource(tmp_path / "pets")
    assert source.items.official is None
    assert source.items.ids.tolist() == [
        "000000",
        "000001",
        "test/000000",
        "test/000001",
        "train/000000",
        "train/000001",
    ]
    assert any("extra.parquet" in note for note in source.notes)


def test_only_the_last_row_groups_are_kept(tmp_path, monkeypatch):
    path = write(tmp_path / "a.parquet", {"image": structs(20), "label": [0, 1] * 10}, row_group_size=2)
    monkeypatch.setattr(module, "CACHE_BYTES", 4 * len(encoded(0)))
    source = ParquetSource(path)
    for row in [*range(20), 0, 19, 7]:
        assert source.raw(row) == encoded(row)
        assert len(source._kept) <= 3


def test_a_row_without_bytes_is_empty(tmp_path):
    rows = [{"bytes": encoded(0), "path": None}, {"bytes": None, "path": "gone.png"}, None]
    source = ParquetSource(write(tmp_path / "a.parquet", {"image": rows, "label": [0, 1, 1]}))
    assert [len(source.raw(row)) > 0 for row in range(3)] == [True, False, False]


@pytest.mark.parametrize(
    ("columns", "features", "said"),
    [
        ({"label": [0, 1]}, None, "column of encoded pictures"),
        ({"image": [b"x", b"y"], "tag": [0, 1]}, None, "column of labels"),
        ({"image": [b"x", b"y"], "label": [0, 5]}, {"label": names("cat", "dog")}, "between 0 and 1. Got 5"),
        ({"image": [b"x", b"y"], "label": [0, 0]}, {"label": names("cat", "dog")}, "dog"),
    ],
)
def test_what_does_not_hold_is_said(tmp_path, columns, features, said):
    path = write(tmp_path / "pets.parquet", columns, features)
    with pytest.raises(DataError, match=said) as caught:
        ParquetSource(path)
    assert "pets.parquet" in str(caught.value)


def test_a_damaged_file_is_said(tmp_path):
    path = write(tmp_path / "pets.parquet", {"image": structs(50), "label": [0, 1] * 25}, compression="none")
    whole = path.read_bytes()
    path.write_bytes(whole[:300])
    with pytest.raises(DataError, match=r"pets\.parquet must be a whole Parquet file"):
        ParquetSource(path)
