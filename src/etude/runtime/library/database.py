"""The library: one SQLite file with a row for each picture, and the corrections, which outlive every row.

A correction belongs to the content of a picture (its SHA-256), not to its path: it survives that the picture is moved,
that another model answers, that all is indexed again.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from etude.core.errors import MistakeError, sentence
from etude.pictures.reading import printable

FORMAT: Final = 1
Told = tuple[str, float | None, bool, str]
"""What was answered about a content: label, probability, doubt, and the whole answer as JSON."""
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS pictures (
    id INTEGER PRIMARY KEY,
    path TEXT NOT NULL UNIQUE,
    raw_path BLOB,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    status TEXT NOT NULL,
    reason TEXT NOT NULL DEFAULT '',
    label TEXT NOT NULL DEFAULT '',
    probability REAL,
    unsure INTEGER NOT NULL DEFAULT 0,
    answer TEXT NOT NULL DEFAULT '{}',
    model TEXT NOT NULL,
    gone INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS pictures_by_content ON pictures (sha256);
CREATE INDEX IF NOT EXISTS pictures_by_label ON pictures (label, probability);
CREATE TABLE IF NOT EXISTS corrections (sha256 TEXT PRIMARY KEY, label TEXT NOT NULL, at TEXT NOT NULL);
"""
_VIEW: Final = """
BEGIN IMMEDIATE;
DROP VIEW IF EXISTS answers;
CREATE VIEW answers AS
SELECT pictures.id, path, raw_path, size, mtime_ns, pictures.sha256, status, reason, pictures.label AS answered,
    COALESCE(corrections.label, pictures.label) AS label, probability,
    CASE WHEN corrections.label IS NULL THEN unsure ELSE 0 END AS unsure,
    CASE WHEN corrections.label IS NULL THEN COALESCE(json_extract(answer, '$.unfamiliar'), 0) ELSE 0 END AS unfamiliar,
    corrections.label IS NOT NULL AS corrected, answer,
    (SELECT MIN(other.path) FROM pictures AS other
        WHERE other.sha256 = pictures.sha256 AND other.sha256 != '' AND other.gone = 0
        AND other.path < pictures.path) AS duplicate_of
FROM pictures LEFT JOIN corrections ON corrections.sha256 = pictures.sha256
WHERE gone = 0;
COMMIT;
"""
COLUMNS: Final = (
    "path", "label", "probability", "unsure", "unfamiliar", "corrected", "answered", "duplicate_of", "status", "reason",
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


@dataclass(frozen=True)
class Found:
    """A picture as search gives it."""

    id: int
    path: str
    file: Path
    """Where it lies."""
    sha256: str
    label: str
    probability: float | None
    unsure: bool
    unfamiliar: bool
    """Unlike the pictures that the model was trained on."""
    corrected: bool
    duplicate_of: str | None


class Library:
    """An open library. Threads may share it.

    Args:
        path: the file.
        create: whether to make it where there is none.

    Raises:
        MistakeError: if it is no library, or there is none.
    """

    def __init__(self, path: Path, *, create: bool = False) -> None:
        if not create and not path.is_file():
            raise MistakeError(sentence("library", str(path), "a library", "nothing there", "Make it: etude index."))
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._lock = threading.RLock()
        try:
            self._base = sqlite3.connect(path, timeout=30, check_same_thread=False)
            self._base.row_factory = sqlite3.Row
            self._base.execute("PRAGMA journal_mode=WAL")
            self._base.execute("PRAGMA synchronous=NORMAL")
            self._base.executescript(_SCHEMA)
            if not any(row["name"] == "unfamiliar" for row in self._base.execute("PRAGMA table_info(answers)")):
                self._base.executescript(_VIEW)  # new, or of a version that did not know it
            written = int(self.meta("format") or FORMAT)
            self.set_meta(format=str(written))
        except (sqlite3.Error, ValueError) as error:
            raise MistakeError(
                sentence("library", str(path), "a library that `etude index` made", str(error))
            ) from error
        if written > FORMAT:
            raise MistakeError(sentence("library", "format", f"at most {FORMAT}", written, "Update Étude to read it."))

    def close(self) -> None:
        """Write everything out and close the file."""
        with self._lock:
            self._base.commit()
            self._base.close()

    def meta(self, key: str) -> str | None:
        """Return what was noted under a key."""
        rows = self._rows("SELECT value FROM meta WHERE key = ?", (key,))
        return str(rows[0]["value"]) if rows else None

    def set_meta(self, **values: str) -> None:
        """Note values under keys."""
        with self._lock, self._base:
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
        with self._lock, self._base:
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
        with self._lock, self._base:
            paths = [row["path"] for row in self._base.execute("SELECT path FROM pictures")]
            gone = [(int(path not in present), path) for path in paths if not _lies_in(path, shut)]
            self._base.executemany("UPDATE pictures SET gone = ? WHERE path = ? AND gone != ?1", gone)
            return int(self._base.execute("SELECT SUM(gone) FROM pictures").fetchone()[0] or 0)

    def correct(self, sha256: str, label: str | None) -> None:
        """Set what a picture shows, by hand; none takes the correction back.

        Raises:
            MistakeError: if there is no such picture, or no such class.
        """
        if label is not None and label not in self.classes():
            raise MistakeError(sentence("library", "label", "one of its classes", label[:100]))
        with self._lock, self._base:
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
            "SELECT label, COUNT(*), SUM(unsure) FROM answers WHERE status = 'answered' GROUP BY label "
            "ORDER BY COUNT(*) DESC, label"
        )
        return [(row[0], row[1], row[2]) for row in rows]

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
        limit: int = -1,
        offset: int = 0,
    ) -> list[Found]:
        """Return pictures, the most probable first; a corrected one counts as certain."""
        wanted = ["status = 'answered'", "(corrected OR probability >= :least)"]
        asked = {"label": label, "unsure": unsure, "unfamiliar": unfamiliar, "corrected": corrected}
        wanted += [f"{name} = :{name}" for name, value in asked.items() if value is not None]
        given = {**asked, "least": least}
        rows = self._rows(
            f"SELECT * FROM answers WHERE {' AND '.join(wanted)} "
            "ORDER BY corrected DESC, probability DESC, path LIMIT :limit OFFSET :offset",
            {**given, "limit": limit, "offset": offset},
        )
        return [self._found(row) for row in rows]

    def picture(self, number: int) -> Found | None:
        """Return the picture of a number, where there is one."""
        rows = self._rows("SELECT * FROM answers WHERE id = ?", (number,))
        return self._found(rows[0]) if rows else None

    def table(self) -> list[tuple[Any, ...]]:
        """Return the rows of the table for people, in the order of the paths."""
        return [tuple(row) for row in self._rows(f"SELECT {', '.join(COLUMNS)} FROM answers ORDER BY path")]

    def _rows(self, words: str, given: Sequence[Any] | dict[str, Any] = ()) -> list[sqlite3.Row]:
        with self._lock:
            return self._base.execute(words, given).fetchall()

    def _found(self, row: sqlite3.Row) -> Found:
        name = os.fsdecode(row["raw_path"]) if row["raw_path"] is not None else row["path"]
        return Found(
            row["id"], row["path"], Path(self.meta("folder") or ".") / name, row["sha256"], row["label"],
            row["probability"], bool(row["unsure"]), bool(row["unfamiliar"]), bool(row["corrected"]),
            row["duplicate_of"],
        )  # fmt: skip


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
