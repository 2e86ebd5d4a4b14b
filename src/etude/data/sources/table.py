"""A CSV file with a row for each picture: path, label, and where they are known part, group and box."""

from __future__ import annotations

import csv
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from etude.core.errors import DataError, sentence
from etude.core.words import Part
from etude.data.fingerprint import content_fingerprint
from etude.data.items import UNLABELLED, Items, check_classes, part_named, texts
from etude.pictures.prepare import Box
from etude.pictures.reading import EXTENSIONS, read_file

if TYPE_CHECKING:
    from etude.data.source import Kind

_COLUMNS = {
    "path": ("path", "file", "filename", "image", "picture"),
    "label": ("label", "class", "target"),
    "part": ("part", "split", "set"),
    "group": ("group", "sequence", "patient"),
    "left": ("left", "xmin"),
    "top": ("top", "ymin"),
    "right": ("right", "xmax"),
    "bottom": ("bottom", "ymax"),
}
_SIDES = ("left", "top", "right", "bottom")
_MOST_SHOWN = 20


def is_table(path: Path) -> bool:
    """Whether a path is a CSV or TSV file."""
    return path.is_file() and path.suffix.lower() in (".csv", ".tsv")


class TableSource:
    """Pictures named by the rows of a CSV file, in UTF-8, with commas, semicolons or tabs.

    The first row names the columns: `path` and `label`, and if known `part` (train, validation, test), `group` and a
    box (`left`, `top`, `right`, `bottom`, in pixels). Without such a row, the columns are path, label, part, group.
    Paths are relative to the file's folder. An empty label means that the class is not known.

    Args:
        path: the CSV file.
        name: what the source is called.

    Raises:
        DataError: if the file cannot be read, or a row does not hold; all such rows are listed.
    """

    kind: Kind = "classification"
    licence = ""
    notes: tuple[str, ...] = ()

    def __init__(self, path: Path, name: str = "") -> None:
        self.name = name or path.stem
        self._folder = path.parent
        columns = _read_columns(path)
        known = sorted(set(columns["label"]) - {""})
        numbers = {label: number for number, label in enumerate(known)}
        labels = np.array([numbers.get(label, UNLABELLED) for label in columns["label"]], np.int32)
        self.classes = tuple(known)
        check_classes(self.classes, labels, str(path))
        self.items = Items(
            texts(columns["path"]),
            labels,
            _parts(columns["part"]) if "part" in columns else None,
            texts(columns["group"]) if "group" in columns else None,
        )
        self._boxes = _boxes(columns) if set(_SIDES) <= columns.keys() else None

    def raw(self, index: int) -> bytes:
        """Return the bytes of one file."""
        item = str(self.items.ids[index])
        return read_file(self._folder / item, item)

    def mask(self, index: int) -> None:
        """Return None: there are no masks."""

    def box(self, index: int) -> Box | None:
        """Return the box of one row; None where it is empty."""
        if self._boxes is None or np.isnan(self._boxes[index]).any():
            return None
        left, top, right, bottom = self._boxes[index].tolist()
        return (left, top, right, bottom)

    def fingerprint(self) -> str:
        """Return the fingerprint of the files, their labels and boxes."""
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        boxes = self._boxes
        if boxes is None:
            return content_fingerprint(self.classes, self.items, self.raw)
        return content_fingerprint(self.classes, self.items, self.raw, lambda index: boxes[index].tobytes())


def _read_columns(path: Path) -> dict[str, list[str]]:
    """Read the columns by name, and check every row."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        remedy = "Save it as UTF-8."
        raise DataError(sentence("data", str(path), "a CSV file that can be read", str(error), remedy)) from error
    head = lines[0] if lines else ""
    delimiter = max(",;\t", key=head.count)
    rows = [(number, row) for number, row in enumerate(csv.reader(lines, delimiter=delimiter), start=1) if row]
    names = _column_names(rows[0][1]) if rows else {}
    if names:
        rows = rows[1:]
    elif rows and Path(rows[0][1][0]).suffix.lower() in EXTENSIONS:
        names = {name: place for place, name in zip(range(len(rows[0][1])), ("path", "label", "part", "group"))}  # noqa: B905 - as many as there are
    if not {"path", "label"} <= names.keys():
        remedy = "Write `path,label` in its first line."
        raise DataError(sentence("data", str(path), "a CSV file with the columns path and label", head, remedy))
    _check_rows(path, rows, names)
    return {name: [row[place].strip() for _, row in rows] for name, place in names.items()}


def _column_names(head: list[str]) -> dict[str, int]:
    """Return the place of each column that is known; none if the first row names none."""
    words = [word.strip().casefold() for word in head]
    found = {name: next((words.index(word) for word in known if word in words), -1) for name, known in _COLUMNS.items()}
    return {name: place for name, place in found.items() if place >= 0}


def _check_rows(path: Path, rows: list[tuple[int, list[str]]], names: dict[str, int]) -> None:
    """Check every row; all faults are reported together."""
    faults = []
    for number, row in rows:
        fault = _fault(row, names)
        if fault:
            faults.append(f"line {number}: {fault}")
    if faults:
        more = f" and {len(faults) - _MOST_SHOWN} more" if len(faults) > _MOST_SHOWN else ""
        found = "; ".join(faults[:_MOST_SHOWN]) + more
        raise DataError(sentence("data", str(path), "a CSV file whose rows all hold", found, "Correct these lines."))


def _fault(row: list[str], names: dict[str, int]) -> str:
    """Say what is wrong with one row; nothing if it holds."""
    if len(row) <= max(names.values()):
        return f"{len(row)} cells, {max(names.values()) + 1} needed"
    if not row[names["path"]].strip() or "\0" in row[names["path"]]:
        return "no path"
    if "part" in names and part_named(row[names["part"]]) is None:
        return f"part {row[names['part']]!r} is none of train, validation, test"
    for side in _SIDES:
        cell = row[names[side]].strip() if side in names else ""
        try:
            float(cell or 0)
        except ValueError:
            return f"{side} {cell!r} is no number"
    return ""


def _parts(words: list[str]) -> npt.NDArray[np.int8]:
    """Return the parts that words name."""
    return np.array([part if (part := part_named(word)) is not None else Part.LEFT_OUT for word in words], np.int8)


def _boxes(columns: dict[str, list[str]]) -> npt.NDArray[np.float32]:
    """Return (N, 4) sides in pixels; NaN where a cell is empty."""
    sides = [[float(cell) if cell else np.nan for cell in columns[side]] for side in _SIDES]
    return np.array(sides, np.float32).T
