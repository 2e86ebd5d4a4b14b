"""The library: one SQLite file with a row for each picture, and the corrections, which outlive every row.

A correction belongs to the content of a picture (its SHA-256), not to its path: it survives that the picture is moved,
that another model answers, that all is indexed again. It names a class, or says that the picture shows none of them.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from etude.core.errors import MistakeError, StorageError, sentence
from etude.pictures.reading import MAX_PIXELS
from etude.runtime.library.rescue import Correction, read_rescue, rescue_file, write_rescue
from etude.runtime.library.rows import COLUMNS, READING, Found, Key, Row, Told, lies_in, raw, shown
from etude.runtime.library.storage import LibraryFile

_NONE: Final = ""
"""The correction of a picture that shows none of the classes."""


class Library(LibraryFile):
    """An open library. Threads may share it.

    Attributes:
        taken_in: corrections that a library of this name had left, and that this new one has taken in.

    Args:
        path: the file.
        create: whether to make it where there is none.
        read_only: whether nothing is written, for a library on a protected disk; corrections are refused then.

    Raises:
        MistakeError: if it is no library, or there is none.
    """

    def __init__(self, path: Path, *, create: bool = False, read_only: bool = False) -> None:
        super().__init__(path, create=create, read_only=read_only)
        self._said: dict[str, Correction | None] = {}
        self._is_kept = False
        try:
            self.taken_in = self._take_in() if create else 0
            if not read_only:
                with contextlib.suppress(MistakeError, StorageError):  # `close` says it
                    self._keep_corrections()
        except BaseException:
            self._shut()
            raise

    def close(self) -> None:
        """Write everything out and close the file; keep the corrections beside it.

        Raises:
            StorageError: if something cannot be written.
        """
        with self._lock:
            try:
                with self._told():
                    self._base.commit()
                if not self.read_only:
                    self._keep_corrections()
            finally:
                self._shut()

    @property
    def folder(self) -> Path | None:
        """The folder that was indexed; none before."""
        told, exact = self.meta("folder"), self.meta("folder_raw")
        if told is None:
            return None
        with contextlib.suppress(ValueError):
            name = os.fsdecode(bytes.fromhex(exact or ""))
            if shown(name) == told:  # versions that know no other name leave that of a folder of before
                return Path(name)
        return Path(told)

    @property
    def max_pixels(self) -> int:
        """The largest limit that any of its pictures was read with."""
        return int(self.meta("max_pixels") or MAX_PIXELS)

    def meta(self, key: str) -> str | None:
        """Return what was noted under a key."""
        rows = self._rows("SELECT value FROM meta WHERE key = ?", (key,))
        return str(rows[0]["value"]) if rows else None

    def set_meta(self, **values: str) -> None:
        """Note values under keys."""
        with self._writing():
            self._base.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", values.items())

    def set_folder(self, folder: Path, max_pixels: int) -> None:
        """Note the folder that is being indexed, whatever bytes its name has, and the limit of its pictures."""
        most = max_pixels if self.folder is None else max(max_pixels, self.max_pixels)
        name = str(folder.resolve())
        self.set_meta(folder=shown(name), folder_raw=os.fsencode(name).hex(), max_pixels=str(most))

    def known(self) -> dict[str, tuple[int, int, str]]:
        """Return size, time and model of every file that was answered, by its path.

        Of a broken one whose content was read, the conditions that it was read under stand for the model. Other broken
        ones are not known: what kept them from being read may pass, as a permission or a lack of memory does.
        """
        rows = self._rows(
            "SELECT path, size, mtime_ns, model FROM pictures WHERE status = 'answered' OR model LIKE ? || '%'",
            (READING,),
        )
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
                shown(row.path), raw(row.path), row.size, row.mtime_ns, row.sha256, row.status, row.reason, row.label,
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
        """Note which files are no longer there, and which are again; return how many went since the last time.

        Args:
            present: paths of the files that were found.
            shut: paths of the folders and files that could not be looked at; what lies in them stays as it was.
        """
        with self._writing():
            # What could not even be looked at, such as a folder, is no file that went once it can be.
            rows = self._base.execute("SELECT path, gone, mtime_ns != 0 OR sha256 != '' AS was_file FROM pictures")
            changed = [
                (path, gone, was_file)
                for path, gone, was_file in rows
                if (path not in present) != gone and not lies_in(path, shut)
            ]
            self._base.executemany(
                "UPDATE pictures SET gone = ? WHERE path = ?", [(1 - gone, path) for path, gone, _ in changed]
            )
        return sum(was_file and not gone for _, gone, was_file in changed)

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
                sentence("library", shown(self.path), "one that can be written", "a protected one", remedy)
            )
        at = datetime.now(UTC).isoformat(timespec="seconds")
        with self._durably(), self._writing():
            if self._base.execute("SELECT 1 FROM pictures WHERE sha256 = ?", (sha256,)).fetchone() is None:
                raise MistakeError(sentence("library", "sha256", "that of a picture in it", sha256[:64]))
            if label is None:
                self._base.execute("DELETE FROM corrections WHERE sha256 = ?", (sha256,))
            else:
                self._base.execute("INSERT OR REPLACE INTO corrections VALUES (?, ?, ?)", (sha256, label, at))
        self._said[sha256] = None if label is None else (sha256, label, at)

    def _take_in(self) -> int:
        """Take the corrections in that another library of this name left, if this one is new; return how many."""
        rescued = rescue_file(self.path)
        if not rescued.is_file() or self.folder is not None or self._corrections():
            return 0
        corrections = read_rescue(rescued)
        with self._durably(), self._writing():
            self._base.executemany("INSERT OR REPLACE INTO corrections VALUES (?, ?, ?)", corrections)
        return len(corrections)

    def _keep_corrections(self) -> None:
        """Write the corrections beside the library, where those that are there are not the same.

        A library that was cut off kept them when it was opened next.
        """
        rescued = rescue_file(self.path)
        beside = read_rescue(rescued) if rescued.is_file() else []
        try:
            corrections = self._corrections()
        except StorageError:  # it broke while it was open: what is left lies beside it, or was said since
            if not self._is_kept:  # of those that were there before nothing is known
                return
            left = {row[0]: row for row in beside}
            corrections = [row for row in {**left, **self._said}.values() if row is not None]
        if sorted(corrections) != sorted(beside):
            write_rescue(rescued, corrections)
        self._is_kept = True

    def _corrections(self) -> list[Correction]:
        rows = self._rows("SELECT sha256, label, at FROM corrections ORDER BY sha256")
        return [(row[0], row[1], row[2]) for row in rows]

    def classes(self) -> list[str]:
        """Return the classes of the model that indexed it last."""
        return list(json.loads(self.meta("classes") or "[]"))

    def called(self) -> dict[str, dict[str, str]]:
        """Return what pages call the classes in a language, by their names; those that keep theirs are left out."""
        return dict(json.loads(self.meta("called") or "{}"))

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

    def causes(self) -> dict[str, dict[str, Any]]:
        """Return, by path, `cause` and `facts` of why a file could not be read, for other languages."""
        rows = self._rows("SELECT path, answer FROM answers WHERE status = 'broken' AND answer <> '{}'")
        return {row[0]: json.loads(row[1]) for row in rows}

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
        return self._found(rows)

    def of_content(self, sha256: str) -> list[Found]:
        """Return the pictures of a content: one, and its duplicates."""
        rows = self._rows("SELECT * FROM answers WHERE sha256 = ? AND status = 'answered' ORDER BY path", (sha256,))
        return self._found(rows)

    def picture(self, number: int) -> Found | None:
        """Return the picture of a number, where there is one."""
        rows = self._rows("SELECT * FROM answers WHERE id = ?", (number,))
        return next(iter(self._found(rows)), None)

    def table(self) -> list[tuple[Any, ...]]:
        """Return the rows of the table for people, in the order of the paths."""
        return [tuple(row) for row in self._rows(f"SELECT {', '.join(COLUMNS)} FROM answers ORDER BY path")]

    def _found(self, rows: Sequence[sqlite3.Row]) -> list[Found]:
        folder = (self.folder if rows else None) or Path()
        return [
            Found(
                row["id"], row["path"],
                folder / (row["path"] if row["raw_path"] is None else os.fsdecode(row["raw_path"])), row["sha256"],
                row["label"], row["probability"], bool(row["unsure"]), bool(row["unfamiliar"]), bool(row["corrected"]),
                bool(row["none"]), row["answered"], row["duplicate_of"],
            )
            for row in rows
        ]  # fmt: skip
