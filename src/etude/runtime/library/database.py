"""The library: one SQLite file with a row for each picture, and the corrections, which outlive every row.

A correction belongs to the content of a picture (its SHA-256), not to its path: it survives that the picture is moved,
that another model answers, that all is indexed again. It names a class, or says that the picture shows none of them.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import threading
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from etude.core.errors import MistakeError, StorageError, sentence
from etude.pictures.reading import printable
from etude.runtime.library.schema import connect

Told = tuple[str, float | None, bool, str]
"""What was answered about a content: label, probability, doubt, and the whole answer as JSON."""
_NONE: Final = ""
"""The correction of a picture that shows none of the classes."""
COLUMNS: Final = (
    "path", "label", "probability", "unsure", "unfamiliar", "corrected", "none", "answered", "duplicate_of", "status",
    "reason",
)  # fmt: skip
"""The columns of the table that is written for people."""


@dataclass(frozen=True)
class Row:
    """What is known of one file."""

    path: str
    """Relative to the folder that was indexed, with `/`."""
    size: int
    mtime_ns: int
    sha256: str
    status: str
    """answered or broken."""
    model: str
    """Fingerprint of the model that answered."""
    reason: str = ""
    """Why it is broken."""
    label: str = ""
    probability: float | None = None
    unsure: bool = False
    answer: str = "{}"
    """The whole answer as JSON."""


Key = tuple[bool, float, str]
"""Where a picture stands in a list: corrected ones first, then the most probable, then by path."""


@dataclass(frozen=True)
class Found:
    """A picture as search gives it."""

    id: int
    path: str
    file: Path
    """Where it lies."""
    sha256: str
    label: str
    """The correction, or what was answered; empty where it is none of the classes."""
    probability: float | None
    """That of the label; none where a correction gave it another one than was answered."""
    unsure: bool
    unfamiliar: bool
    """Unlike the pictures that the model was trained on."""
    corrected: bool
    none: bool
    """None of the classes, says a correction."""
    answered: str
    """What the model answered."""
    duplicate_of: str | None

    @property
    def key(self) -> Key:
        """Where it stands in a list."""
        return self.corrected, -1.0 if self.probability is None else self.probability, self.path


class Library:
    """An open library. Threads may share it.

    Args:
        path: the file.
        create: whether to make it where there is none.
        read_only: whether nothing is written, for a library on a protected disk; corrections are refused then.

    Raises:
        MistakeError: if it is no library, or there is none.
    """

    def __init__(self, path: Path, *, create: bool = False, read_only: bool = False) -> None:
        if not create and not path.is_file():
            raise MistakeError(sentence("library", str(path), "a library", "nothing there", "Make it: etude index."))
        if create:
            _make_folder(path.parent)
        self.path, self.read_only = path, read_only
        self._lock = threading.RLock()
        self._base = connect(path, create=create, read_only=read_only)

    def close(self) -> None:
        """Write everything out and close the file."""
        with self._lock:
            try:
                with self._told():
                    self._base.commit()
            finally:
                self._base.close()

    def meta(self, key: str) -> str | None:
        """Return what was noted under a key."""
        rows = self._rows("SELECT value FROM meta WHERE key = ?", (key,))
        return str(rows[0]["value"]) if rows else None

    def set_meta(self, **values: str) -> None:
        """Note values under keys."""
        with self._writing():
            self._base.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", values.items())

    def known(self) -> dict[str, tuple[int, int, str]]:
        """Return size, time and model of every file that was answered, by its path.

        A broken one is not known: what broke it may pass, as a permission, a limit or a missing decoder does.
        """
        rows = self._rows("SELECT path, size, mtime_ns, model FROM pictures WHERE status = 'answered'")
        return {row["path"]: (row["size"], row["mtime_ns"], row["model"]) for row in rows}

    def sizes(self) -> dict[str, int]:
        """Return the size of every answered file that is not gone, by its path."""
        rows = self._rows("SELECT path, size FROM pictures WHERE status = 'answered' AND gone = 0")
        return {row["path"]: row["size"] for row in rows}

    def told(self, sha256: str, model: str) -> Told | None:
        """Return what a model answered about a content; none where it was not asked."""
        rows = self._rows(
            "SELECT label, probability, unsure, answer FROM pictures "
            "WHERE sha256 = ? AND model = ? AND status = 'answered' LIMIT 1",
            (sha256, model),
        )
        return (rows[0][0], rows[0][1], bool(rows[0][2]), rows[0][3]) if rows else None

    def write(self, rows: Iterable[Row]) -> None:
        """Write rows in one transaction: all of them, or none."""
        values = [
            (
                shown(row.path), _raw(row.path), row.size, row.mtime_ns, row.sha256, row.status, row.reason, row.label,
                row.probability, int(row.unsure), row.answer, row.model,
            )
            for row in rows
        ]  # fmt: skip
        with self._writing():
            self._base.executemany(
                "INSERT INTO pictures (path, raw_path, size, mtime_ns, sha256, status, reason, label, probability, "
                "unsure, answer, model) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (path) DO UPDATE SET "
                "raw_path = excluded.raw_path, size = excluded.size, mtime_ns = excluded.mtime_ns, "
                "sha256 = excluded.sha256, status = excluded.status, reason = excluded.reason, label = excluded.label, "
                "probability = excluded.probability, unsure = excluded.unsure, answer = excluded.answer, "
                "model = excluded.model, gone = 0",
                values,
            )

    def mark_gone(self, present: set[str], shut: set[str]) -> int:
        """Note which files are no longer there, and which are again; return how many are gone.

        Args:
            present: paths of the files that were found.
            shut: paths of the folders and files that could not be looked at; what lies in them stays as it was.
        """
        with self._writing():
            paths = [row["path"] for row in self._base.execute("SELECT path FROM pictures")]
            gone = [(int(path not in present), path) for path in paths if not _lies_in(path, shut)]
            self._base.executemany("UPDATE pictures SET gone = ? WHERE path = ? AND gone != ?1", gone)
            return int(self._base.execute("SELECT SUM(gone) FROM pictures").fetchone()[0] or 0)

    def correct(self, sha256: str, label: str) -> None:
        """Set what a picture shows, by hand; the label that was answered confirms it.

        Raises:
            MistakeError: if there is no such picture, no such class, or nothing can be written.
        """
        if label not in self.classes():
            raise MistakeError(sentence("library", "label", "one of its classes", label[:100]))
        self._correct(sha256, label)

    def set_none(self, sha256: str) -> None:
        """Say of a picture, by hand, that it shows none of the classes.

        Raises:
            MistakeError: if there is no such picture, or nothing can be written.
        """
        self._correct(sha256, _NONE)

    def take_back(self, sha256: str) -> None:
        """Take the correction of a picture back: what was answered counts again.

        Raises:
            MistakeError: if there is no such picture, or nothing can be written.
        """
        self._correct(sha256, None)

    def _correct(self, sha256: str, label: str | None) -> None:
        if self.read_only:
            remedy = "Copy it to where it can be written."
            raise MistakeError(
                sentence("library", str(self.path), "one that can be written", "a protected one", remedy)
            )
        with self._writing():
            if self._base.execute("SELECT 1 FROM pictures WHERE sha256 = ?", (sha256,)).fetchone() is None:
                raise MistakeError(sentence("library", "sha256", "that of a picture in it", sha256[:64]))
            if label is None:
                self._base.execute("DELETE FROM corrections WHERE sha256 = ?", (sha256,))
            else:
                at = datetime.now(UTC).isoformat(timespec="seconds")
                self._base.execute("INSERT OR REPLACE INTO corrections VALUES (?, ?, ?)", (sha256, label, at))

    def classes(self) -> list[str]:
        """Return the classes of the model that indexed it last."""
        return list(json.loads(self.meta("classes") or "[]"))

    def counts(self) -> list[tuple[str, int, int]]:
        """Return label, pictures and unsure ones of each class that occurs, the most frequent first."""
        rows = self._rows(
            "SELECT label, COUNT(*), SUM(unsure) FROM answers WHERE status = 'answered' AND NOT none GROUP BY label "
            "ORDER BY COUNT(*) DESC, label"
        )
        return [(row[0], row[1], row[2]) for row in rows]

    def count_none(self) -> int:
        """Return how many pictures show none of the classes, by their corrections."""
        return int(self._rows("SELECT COUNT(*) FROM answers WHERE none AND status = 'answered'")[0][0])

    def broken(self) -> list[tuple[str, str]]:
        """Return path and reason of the files that could not be read."""
        rows = self._rows("SELECT path, reason FROM answers WHERE status = 'broken' ORDER BY path")
        return [(row[0], row[1]) for row in rows]

    def search(
        self,
        *,
        label: str | None = None,
        least: float = 0.0,
        unsure: bool | None = None,
        unfamiliar: bool | None = None,
        corrected: bool | None = None,
        none: bool | None = None,
        limit: int = -1,
        after: Key | None = None,
    ) -> list[Found]:
        """Return pictures, the most probable first; a corrected one counts as certain.

        Args:
            label: only of this class.
            least: only with this probability, from 0 to 1; corrected ones in any case.
            unsure: only unsure ones, or only sure ones.
            unfamiliar: only ones unlike those of the training, or only others.
            corrected: only corrected ones, or only others.
            none: only those of none of the classes, or only others.
            limit: the most; below 0: all.
            after: only those behind this place; what is corrected meanwhile moves before it.
        """
        wanted = ["status = 'answered'", "(corrected OR probability >= :least)"]
        asked = {"label": label, "unsure": unsure, "unfamiliar": unfamiliar, "corrected": corrected, "none": none}
        wanted += [f"{name} = :{name}" for name, value in asked.items() if value is not None]
        given: dict[str, Any] = {**asked, "least": least, "limit": limit}
        if after is not None:
            wanted.append("(-corrected, -COALESCE(probability, -1), path) > (-:before, -:share, :path)")
            given |= dict(zip(("before", "share", "path"), after, strict=True))
        rows = self._rows(
            f"SELECT * FROM answers WHERE {' AND '.join(wanted)} "
            "ORDER BY corrected DESC, COALESCE(probability, -1) DESC, path LIMIT :limit",
            given,
        )
        return [self._found(row) for row in rows]

    def of_content(self, sha256: str) -> list[Found]:
        """Return the pictures of a content: one, and its duplicates."""
        rows = self._rows("SELECT * FROM answers WHERE sha256 = ? AND status = 'answered' ORDER BY path", (sha256,))
        return [self._found(row) for row in rows]

    def picture(self, number: int) -> Found | None:
        """Return the picture of a number, where there is one."""
        rows = self._rows("SELECT * FROM answers WHERE id = ?", (number,))
        return self._found(rows[0]) if rows else None

    def table(self) -> list[tuple[Any, ...]]:
        """Return the rows of the table for people, in the order of the paths."""
        return [tuple(row) for row in self._rows(f"SELECT {', '.join(COLUMNS)} FROM answers ORDER BY path")]

    def _rows(self, words: str, given: Sequence[Any] | dict[str, Any] = ()) -> list[sqlite3.Row]:
        with self._lock, self._told():
            return self._base.execute(words, given).fetchall()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """Write in one transaction, all of it or nothing.

        Raises:
            StorageError: if the disk is full, the file is damaged, or another program holds it.
        """
        with self._lock, self._told(), self._base:
            yield

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Turn what SQLite says of the file into a sentence."""
        try:
            yield
        except sqlite3.Error as error:
            remedy = "Free some space, or close the other program that has it open; what was written before is kept."
            raise StorageError(
                sentence("library", str(self.path), "a library that can be read and written", str(error), remedy)
            ) from error

    def _found(self, row: sqlite3.Row) -> Found:
        name = os.fsdecode(row["raw_path"]) if row["raw_path"] is not None else row["path"]
        return Found(
            row["id"], row["path"], Path(self.meta("folder") or ".") / name, row["sha256"], row["label"],
            row["probability"], bool(row["unsure"]), bool(row["unfamiliar"]), bool(row["corrected"]),
            bool(row["none"]), row["answered"], row["duplicate_of"],
        )  # fmt: skip


def _make_folder(folder: Path) -> None:
    """Make the folder of a new library.

    Raises:
        MistakeError: if it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        found = os.strerror(error.errno or 0)
        remedy = "Give another place with --to."
        raise MistakeError(sentence("library", str(folder), "a folder that can be made", found, remedy)) from error


def shown(path: str) -> str:
    """Return a path as the library shows it: bytes that are no text are escaped."""
    return printable(path)


def _lies_in(path: str, places: Collection[str]) -> bool:
    """Whether a path is one of these, or lies in a folder that is."""
    while places and path:
        if path in places:
            return True
        path = path.rpartition("/")[0]
    return False


def _raw(path: str) -> bytes | None:
    """Return the bytes of a path that is no text; none for all others."""
    return None if shown(path) == path else os.fsencode(path)
