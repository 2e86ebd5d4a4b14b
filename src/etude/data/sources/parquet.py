"""Parquet in the layout of the Hugging Face hub: one file, or a folder of shards named after their part."""

from __future__ import annotations

import json
import re
import threading
from collections import OrderedDict
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from etude.core.errors import DataError, sentence
from etude.core.words import Part
from etude.data.arrow import arrow
from etude.data.fingerprint import content_fingerprint
from etude.data.items import UNLABELLED, Items, check_classes, part_named, texts

if TYPE_CHECKING:
    from etude.data.source import Kind

CACHE_BYTES = 256 << 20
"""Decompressed row groups are kept up to this size; the one in use is always kept."""

_PICTURE_NAMES = ("image", "img", "picture", "photo")
_LABEL_NAMES = ("label", "labels", "fine_label", "class", "target")


def is_parquet(path: Path) -> bool:
    """Whether a path is a Parquet file, or a folder that holds some (directly or in `data`)."""
    return path.suffix.lower() == ".parquet" if path.is_file() else bool(_shards(path))


class ParquetSource:
    """Pictures in the rows of Parquet files.

    The column of pictures holds encoded bytes, alone or in a structure {bytes, path}. The names of the classes are
    those of the ClassLabel feature in the schema's `huggingface` metadata, or else the distinct labels. Shards named
    `train*`, `validation*`, `test*` are the official parts. Row groups are read when one of their pictures is asked
    for, and the last of them are kept, so that memory stays bounded whatever the files' size.

    Args:
        path: a file, or a folder of shards.
        name: what the source is called.

    Raises:
        DataError: if a file is damaged, or has no column of pictures or of labels.
        MissingPartError: if pyarrow is not installed.
    """

    kind: Kind = "classification"
    licence = ""

    def __init__(self, path: Path, name: str = "") -> None:
        self.name = name or path.stem
        shards = [path] if path.is_file() else _shards(path)
        self._files = [_open(shard) for shard in shards]
        self._columns = _choose_columns(self._files[0], shards[0])
        self._row_groups, self._first_rows = self._index()
        self._kept: OrderedDict[int, _RowGroup] = OrderedDict()
        self._kept_bytes = 0
        self._lock = threading.Lock()
        self.classes, labels = self._labels(shards)
        self.items = Items(self._ids(shards), labels, self._official(shards), None)
        self.notes = _note_unnamed(shards)
        check_classes(self.classes, labels, str(path))

    def raw(self, index: int) -> bytes:
        """Return the encoded bytes of one row."""
        group = int(np.searchsorted(self._first_rows, index, side="right")) - 1
        return self._row_group(group).picture(index - int(self._first_rows[group]))

    def mask(self, index: int) -> None:
        """Return None: there are no masks."""

    def box(self, index: int) -> None:
        """Return None: there are no boxes."""

    def fingerprint(self) -> str:
        """Return the fingerprint of the pictures and labels, however they are compressed and cut into files."""
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        return content_fingerprint(self.classes, self.items, self.raw, workers=1)

    def _index(self) -> tuple[list[tuple[int, int]], npt.NDArray[np.int64]]:
        """Return (file, row group) of every row group, and the first row of each."""
        groups, sizes = [], [0]
        for number, file in enumerate(self._files):
            for group in range(file.metadata.num_row_groups):
                groups.append((number, group))
                sizes.append(file.metadata.row_group(group).num_rows)
        return groups, np.cumsum(sizes)[:-1]

    def _labels(self, shards: list[Path]) -> tuple[tuple[str, ...], npt.NDArray[np.int32]]:
        """Read the labels of all files, and name the classes."""
        pa, _ = arrow()
        columns = []
        for file, shard in zip(self._files, shards, strict=True):
            try:
                columns.append(file.read(columns=[self._columns.label]).column(0).combine_chunks())
            except (OSError, ValueError, KeyError) as error:
                raise _damaged(shard, error) from error
        values = pa.concat_arrays(columns).to_pylist()
        if self._columns.classes:
            numbers = [UNLABELLED if value is None else int(value) for value in values]
            return self._columns.classes, np.array(numbers, np.int32)
        distinct = sorted({value for value in values if value is not None and value != UNLABELLED})
        numbers = {value: number for number, value in enumerate(distinct)}  # type: ignore[assignment]
        labels = [numbers.get(value, UNLABELLED) for value in values]  # type: ignore[attr-defined]
        return tuple(str(value) for value in distinct), np.array(labels, np.int32)

    def _ids(self, shards: list[Path]) -> npt.NDArray[Any]:
        """Name each row by its part and its number in that part, however the part is cut into shards."""
        counted: dict[str, int] = {}
        ids: list[str] = []
        for file, shard in zip(self._files, shards, strict=True):
            part = _part(shard)
            prefix = f"{part.label}/" if part is not None else ""
            start = counted.get(prefix, 0)
            counted[prefix] = start + file.metadata.num_rows
            ids += [f"{prefix}{row:06d}" for row in range(start, counted[prefix])]
        return texts(ids)

    def _official(self, shards: list[Path]) -> npt.NDArray[np.int8] | None:
        """Return the part of each row, where the shards name more than one."""
        parts = [_part(shard) for shard in shards]
        if None in parts or len(set(parts)) < 2:
            return None
        sizes = [file.metadata.num_rows for file in self._files]
        return np.repeat(np.array(parts, np.int8), sizes)

    def _row_group(self, number: int) -> _RowGroup:
        """Return one row group, from memory if it is there."""
        with self._lock:
            if number in self._kept:
                self._kept.move_to_end(number)
                return self._kept[number]
            file, group = self._row_groups[number]
            try:
                read = _RowGroup.read(self._files[file], group, self._columns.picture, self._columns.is_struct)
            except (OSError, ValueError) as error:
                raise _damaged(Path(f"{self.name}, file {file}, row group {group}"), error) from error
            self._kept[number] = read
            self._kept_bytes += read.n_bytes
            while self._kept_bytes > CACHE_BYTES and len(self._kept) > 1:
                self._kept_bytes -= self._kept.popitem(last=False)[1].n_bytes
            return read


class _RowGroup(NamedTuple):
    """The encoded pictures of some rows: one buffer, and where each begins."""

    content: memoryview
    starts: npt.NDArray[np.int64]
    n_bytes: int

    @classmethod
    def read(cls, file: Any, group: int, column: str, is_struct: bool) -> _RowGroup:  # noqa: ANN401 - pyarrow has no types
        """Read the pictures of one row group."""
        pa, _ = arrow()
        path = f"{column}.bytes" if is_struct else column
        array = file.read_row_group(group, columns=[path]).column(0).combine_chunks()
        if is_struct:
            array = array.field("bytes")
        array = array.cast(pa.large_binary())
        _, offsets, content = array.buffers()
        starts = np.frombuffer(offsets, np.int64)[array.offset : array.offset + len(array) + 1]
        return cls(memoryview(content if content is not None else b""), starts, int(starts[-1] - starts[0]))

    def picture(self, row: int) -> bytes:
        """Return the bytes of one row; none where the row is null."""
        return bytes(self.content[self.starts[row] : self.starts[row + 1]])


class _Columns(NamedTuple):
    """Which columns hold what."""

    picture: str
    is_struct: bool
    label: str
    classes: tuple[str, ...]


def _shards(folder: Path) -> list[Path]:
    """Return the Parquet files of a folder, or of its folder `data`, in order of their names."""
    for place in (folder, folder / "data"):
        if place.is_dir():
            found = sorted(
                path for path in place.iterdir() if path.suffix.lower() == ".parquet" and path.name[0] != "."
            )
            if found:
                return found
    return []


def _part(shard: Path) -> Part | None:
    """Return the part that a shard's name begins with, as in `train-00000-of-00002.parquet`."""
    return part_named(re.split(r"[-_.\d]", shard.stem, maxsplit=1)[0])


def _note_unnamed(shards: list[Path]) -> tuple[str, ...]:
    """Say when some shards name their part and others do not, so that none of the parts is used."""
    unnamed = [shard.name for shard in shards if _part(shard) is None]
    if not 0 < len(unnamed) < len(shards):
        return ()
    return (f"The parts that shards name are not used, as some name none: {', '.join(unnamed[:5])}",)


def _open(path: Path) -> Any:  # noqa: ANN401 - pyarrow has no types
    """Open a Parquet file, memory-mapped."""
    _, parquet = arrow()
    try:
        return parquet.ParquetFile(path, memory_map=True)
    except (OSError, ValueError) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> DataError:
    """Say which file is damaged."""
    remedy = "Download or write the file again."
    return DataError(sentence("data", str(path), "a whole Parquet file", str(error).splitlines()[0][:200], remedy))


def _choose_columns(file: Any, path: Path) -> _Columns:  # noqa: ANN401 - pyarrow has no types
    """Find the columns of pictures and of labels, and the names of the classes."""
    schema = file.schema_arrow
    features = _features(schema)
    pictures = [column.name for column in schema if _is_picture(column.type)]
    picture = _prefer(pictures, _PICTURE_NAMES)
    if picture is None:
        remedy = "Store encoded pictures as binary, or as {bytes, path}."
        rule = "a file with a column of encoded pictures"
        raise DataError(sentence("data", str(path), rule, schema.names, remedy))
    labelled = [name for name in schema.names if features.get(name, {}).get("_type") == "ClassLabel"]
    plain = [name for name in schema.names if name in _LABEL_NAMES]
    label = _prefer(labelled or plain, _LABEL_NAMES)
    if label is None:
        rule = f"a file with a column of labels ({', '.join(_LABEL_NAMES)})"
        raise DataError(sentence("data", str(path), rule, schema.names, "Rename the column of labels."))
    names = features.get(label, {}).get("names") or ()
    return _Columns(picture, _is_struct(schema.field(picture).type), label, tuple(str(name) for name in names))


def _features(schema: Any) -> dict[str, Any]:  # noqa: ANN401 - pyarrow has no types
    """Return the features that the `datasets` library wrote into the schema; none if it did not."""
    try:
        info = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
        return dict(info.get("info", {}).get("features", {}))
    except (ValueError, AttributeError, TypeError):
        return {}


def _is_struct(column_type: Any) -> bool:  # noqa: ANN401 - pyarrow has no types
    """Whether a column holds structures."""
    return str(column_type).startswith("struct<")


def _is_picture(column_type: Any) -> bool:  # noqa: ANN401 - pyarrow has no types
    """Whether a column can hold encoded pictures."""
    if _is_struct(column_type):
        return any(field.name == "bytes" and str(field.type).endswith("binary") for field in column_type)
    return str(column_type) in ("binary", "large_binary")


def _prefer(names: list[str], preferred: tuple[str, ...]) -> str | None:
    """Return the first of the preferred names that is there, or else the first name."""
    return next((name for name in preferred if name in names), names[0] if names else None)
