"""What is kept of a library that breaks: its corrections, hours of hand work that lie in no other file.

They are written beside the library (`photos.corrections.csv`) and taken in where it is made anew.
"""

from __future__ import annotations

import csv
import re
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from etude.core.errors import MistakeError, sentence
from etude.core.files import writing
from etude.runtime.library.rows import shown

Correction = tuple[str, str, str]
"""SHA-256 of a picture; the class that it shows, empty for none of them; date and time."""
_HEAD: Final = ["sha256", "label", "when"]
_DIGEST: Final = re.compile("[0-9a-f]{64}")


def rescue_file(path: Path) -> Path:
    """Return where the corrections of a library are kept beside it.

    >>> rescue_file(Path("disk/photos.sqlite")).as_posix()
    'disk/photos.corrections.csv'
    """
    return path.with_name(f"{path.name.removesuffix('.sqlite')}.corrections.csv")


def write_rescue(path: Path, corrections: Iterable[Correction]) -> None:
    """Write corrections beside their library, whole or not at all.

    Raises:
        StorageError: if the disk is full or protected.
    """
    with writing(path) as beside, beside.open("w", newline="", encoding="utf-8-sig") as file:
        table = csv.writer(file)
        table.writerow(_HEAD)
        table.writerows(corrections)


def read_rescue(path: Path) -> list[Correction]:
    """Read corrections.

    Raises:
        MistakeError: if it is another table, or cannot be read.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            head, *rows = list(csv.reader(file)) or [[]]
        if head != _HEAD:
            raise ValueError(f"the columns {', '.join(head)[:100]!r}")
        return [_correction(row) for row in rows if row]  # an editor may leave an empty line
    except (OSError, ValueError, csv.Error) as error:
        rule = f"the corrections of a library, with commas and the columns {', '.join(_HEAD)}"
        remedy = "Mend it, or move it away: no correction is taken in then."
        raise MistakeError(sentence("library", shown(path), rule, str(error), remedy)) from error


def _correction(row: list[str]) -> Correction:
    if len(row) != len(_HEAD) or not _DIGEST.fullmatch(row[0]):
        raise ValueError(f"the row {', '.join(row)[:100]!r}")
    return row[0], row[1], row[2]


def is_corrupt(error: Exception) -> bool:
    """Whether SQLite says that a file is damaged."""
    return sqlite_code(error) == sqlite3.SQLITE_CORRUPT


def is_no_database(error: Exception) -> bool:
    """Whether SQLite says that a file is none of its own: another one, or one that has lost its head."""
    return sqlite_code(error) == sqlite3.SQLITE_NOTADB


def tell_damage(path: Path, error: Exception) -> str:
    """Say that a library is damaged, and what to do."""
    rescued = rescue_file(path)
    if rescued.is_file():
        kept = f"{shown(rescued.name)} beside it holds its corrections, which are taken in."
    else:
        kept = f"Its corrections lie nowhere else: keep it, `sqlite3 {shown(path.name)} .recover` may find them."
    remedy = f"It is damaged: move it away, and run `etude index` again. {kept}"
    return sentence("library", shown(path), "a whole SQLite file", str(error), remedy)


def sqlite_code(error: Exception) -> int:
    """Return SQLite's number of what went wrong; 0 for an error that is not its own."""
    code = getattr(error, "sqlite_errorcode", None)
    return code & 0xFF if isinstance(code, int) else 0
