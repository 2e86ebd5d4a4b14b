"""The open file of a library: it is asked and written here, and what SQLite says of it becomes a sentence."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from etude.core.errors import MistakeError, StorageError, sentence
from etude.runtime.library.opening import connect, has_changed, settle
from etude.runtime.library.rescue import is_corrupt, is_no_database, tell_damage
from etude.runtime.library.rows import shown

_TRIES: Final = 5
"""How often a question is asked of a file that changes while it is answered."""


class LibraryFile:
    """A file that is open. Threads may share it.

    Attributes:
        path: where it lies.
        read_only: whether nothing is written.
        notice: what a person has to know of it; mostly nothing.

    Raises:
        MistakeError: if it is no library, is damaged, or there is none.
    """

    def __init__(self, path: Path, *, create: bool = False, read_only: bool = False) -> None:
        if not create and not path.is_file():
            raise MistakeError(sentence("library", shown(path), "a library", "nothing there", "Make it: etude index."))
        if create:
            _make_folder(path.parent)
        self.path, self.read_only = path, read_only
        self._lock = threading.RLock()
        opened = connect(path, create=create, read_only=read_only)
        self._base, self._mark, self.notice = opened.base, opened.mark, opened.notice

    def _shut(self) -> None:
        if not self.read_only:
            settle(self._base)
        self._base.close()

    def _rows(self, words: str, given: Sequence[Any] | dict[str, Any] = ()) -> list[sqlite3.Row]:
        """Ask the file; of one that SQLite was told does not change, what was asked while it did is asked again."""
        with self._lock, self._told():
            for tried in range(1, _TRIES + 1):
                if has_changed(self.path, self._mark):
                    self._open_anew()
                try:
                    rows = self._base.execute(words, given).fetchall()
                except sqlite3.DatabaseError:
                    if tried == _TRIES or not has_changed(self.path, self._mark):
                        raise
                    continue
                if not has_changed(self.path, self._mark):
                    break
            return rows

    def _open_anew(self) -> None:
        """Open the file as it is now."""
        opened = connect(self.path, read_only=True)
        self._base.close()
        self._base, self._mark = opened.base, opened.mark

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """Write in one transaction, all of it or nothing.

        Raises:
            StorageError: if the disk is full, the file is damaged, or another program holds it.
        """
        with self._lock, self._told(), self._base:
            yield

    @contextlib.contextmanager
    def _durably(self) -> Iterator[None]:
        """Have what a block writes on the disk when it ends, whatever becomes of the machine then."""
        with self._lock, self._told():
            self._base.execute("PRAGMA synchronous=FULL")
            try:
                yield
            finally:
                self._base.execute("PRAGMA synchronous=NORMAL")

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Turn what SQLite says of the file into a sentence."""
        try:
            yield
        except sqlite3.Error as error:
            if is_corrupt(error) or is_no_database(error):
                raise StorageError(tell_damage(self.path, error)) from error
            remedy = "Free some space, or close the other program that has it open; what was written before is kept."
            raise StorageError(
                sentence("library", shown(self.path), "a library that can be read and written", str(error), remedy)
            ) from error


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
        raise MistakeError(sentence("library", shown(folder), "a folder that can be made", found, remedy)) from error
