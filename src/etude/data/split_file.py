"""The file of a split: what makes every later run have the very same one."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from etude.core.errors import DataError, sentence
from etude.core.files import writing
from etude.core.words import Part
from etude.data.arrow import arrow
from etude.data.items import Items

_WORDS = {int(part): part.label for part in Part}
_NUMBERS = {word: number for number, word in _WORDS.items()}


def split_digest(items: Items, parts: npt.NDArray[np.int8]) -> str:
    """Return 16 hex digits that stand for which picture is in which part, whatever the order of the items."""
    order = np.argsort(items.ids, kind="stable")
    lines = "\n".join(f"{part}\x1f{item}" for item, part in zip(items.ids[order], parts[order], strict=True))
    return hashlib.sha256(lines.encode()).hexdigest()[:16]


def write_split(path: Path, items: Items, splits: list[npt.NDArray[np.int8]]) -> None:
    """Write a split whole or not at all: Parquet with the columns item, part, fold, group.

    Args:
        path: the file to write.
        items: the pictures.
        splits: one array (N,) of parts for each fold.

    Raises:
        StorageError: if the disk is full or protected.
        MissingPartError: if pyarrow is not installed.
    """
    pa, parquet = arrow()
    n_items, n_folds = len(items), len(splits)
    numbers = np.concatenate(splits).astype(np.int32) - min(_WORDS)
    words = pa.array([_WORDS[number] for number in sorted(_WORDS)], pa.string())
    groups = [None] * n_items if items.groups is None else items.groups.tolist()
    table = pa.table(
        {
            "item": pa.array(items.ids.tolist() * n_folds, pa.string()),
            "part": pa.DictionaryArray.from_arrays(pa.array(numbers), words),
            "fold": pa.array(np.repeat(np.arange(n_folds, dtype=np.int16), n_items)),
            "group": pa.array(groups * n_folds, pa.string()),
        }
    )
    with writing(path) as beside:
        parquet.write_table(table, beside, compression="zstd")


def read_split(path: Path, items: Items) -> list[npt.NDArray[np.int8]]:
    """Read a split and check that it is one of these very pictures.

    Args:
        path: a file that `write_split` wrote.
        items: the pictures at hand, in any order.

    Returns:
        One array (N,) of parts for each fold, in the order of `items`.

    Raises:
        DataError: if the file is no split, or its pictures are not these.
        MissingPartError: if pyarrow is not installed.
    """
    names, parts, folds = _read_columns(path)
    positions = {item: position for position, item in enumerate(items.ids.tolist())}
    splits = []
    for fold in range(int(folds.max(initial=0)) + 1):
        rows = np.flatnonzero(folds == fold)
        written = [names[row] for row in rows]
        _check_same(path, written, positions)
        split = np.empty(len(items), np.int8)
        split[[positions[name] for name in written]] = parts[rows]
        splits.append(split)
    return splits


def read_groups(path: Path) -> dict[str, str] | None:
    """Read which group each picture of a split is of; none where the source had no groups.

    Raises:
        DataError: if the file is no split.
        MissingPartError: if pyarrow is not installed.
    """
    _, parquet = arrow()
    try:
        table = parquet.ParquetFile(path).read(columns=["item", "group"])
        if table.column("group").null_count == len(table):
            return None
        rows = zip(table.column("item").to_pylist(), table.column("group").to_pylist(), strict=True)
        return {item: group for item, group in rows if group is not None}
    except (OSError, KeyError, ValueError) as error:
        raise _unreadable(path, error) from error


def _read_columns(path: Path) -> tuple[list[str], npt.NDArray[np.int8], npt.NDArray[np.int16]]:
    """Read the item, the part and the fold of every row."""
    _, parquet = arrow()
    try:
        table = parquet.ParquetFile(path).read(columns=["item", "part", "fold"])
        parts = np.array([_NUMBERS[word] for word in table.column("part").to_pylist()], np.int8)
        return table.column("item").to_pylist(), parts, table.column("fold").to_numpy()
    except (OSError, KeyError, ValueError) as error:  # pyarrow's own errors are among these
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> DataError:
    remedy = "Remove the file to draw the split anew; runs that were made with it can then not be compared."
    return DataError(sentence("split", str(path), "a split that can be read", str(error), remedy))


def _check_same(path: Path, written: list[str], positions: dict[str, int]) -> None:
    """Check that the pictures of a split are the pictures at hand."""
    gone = sorted(set(written) - positions.keys())
    new = sorted(positions.keys() - set(written))
    if gone or new or len(written) != len(positions):
        found = f"{len(gone)} gone{_such_as(gone)}, {len(new)} new{_such_as(new)}"
        remedy = "Put the pictures back, or give the study another name to draw a new split."
        raise DataError(sentence("split", str(path), "a split of the source's very pictures", found, remedy))


def _such_as(names: list[str]) -> str:
    """Name the first of some pictures."""
    return f" (such as {names[0]})" if names else ""
