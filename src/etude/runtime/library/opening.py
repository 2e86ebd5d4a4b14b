"""How the file of a library is opened: read beside a writer, in a protected folder, or to be written.

Nothing is written into a file that is not recognised, and who only reads leaves nothing beside it. A writer keeps a log
beside the file and says so in the file's head; when it closes, it takes both back, and the file can be read anywhere.
"""

from __future__ import annotations

import contextlib
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from etude.core.errors import MistakeError, sentence
from etude.runtime.library.rescue import is_corrupt, is_no_database, rescue_file, sqlite_code, tell_damage
from etude.runtime.library.rows import shown
from etude.runtime.library.schema import is_empty, is_ours, prepare

_WAIT_S: Final = 30.0
"""How long one waits for another who writes."""
_READING, _UNCHANGING = "mode=ro", "immutable=1"
"""To SQLite: a file that others may write, and one that does not change, beside which nothing is ever left."""
_LOG, _INDEX = "-wal", "-shm"
_MODES, _WITH_LOG = slice(18, 20), b"\2\2"
"""Where the head of a file says how it is written, and what it says where there is a log."""

Mark = tuple[int, int, int, bool]
"""What tells that a file is not what it was: its place on the disk, size and time, and whether a log lies beside it."""


@dataclass(frozen=True)
class Opened:
    """A library that is open."""

    base: sqlite3.Connection
    notice: str = ""
    """What a person has to know of it."""
    mark: Mark | None = None
    """What the file was when it was opened, where SQLite was told that it does not change; none where it may."""


def connect(path: Path, *, create: bool = False, read_only: bool = False) -> Opened:
    """Open the file of a library.

    Args:
        path: the file.
        create: whether to make it where there is none.
        read_only: whether to write nothing, neither into the file nor beside it: its disk may be protected.

    Raises:
        MistakeError: if it is no library, is damaged, or of a later version; nothing was written into it then.
    """
    is_new = create and (not path.exists() or path.stat().st_size == 0)
    try:
        if not is_new:
            _check(path, may_be_empty=create)
    except (sqlite3.Error, ValueError) as error:
        raise _not_opened(path, error) from error
    try:
        if read_only:
            return _prepared(_open(path), path, read_only=True)
        base = sqlite3.connect(_uri(path, "mode=rwc"), uri=True, timeout=_WAIT_S, check_same_thread=False)
        return _prepared(Opened(base), path, read_only=False)
    except (sqlite3.Error, ValueError) as error:
        if is_corrupt(error):
            raise MistakeError(tell_damage(path, error)) from error
        rule = "a library that can be read" if read_only else "a library that can be written"
        raise MistakeError(sentence("library", shown(path), rule, str(error), "Is its disk protected?")) from error


def has_changed(path: Path, mark: Mark | None) -> bool:
    """Whether a file that SQLite was told does not change did so. One that cannot be looked at counts as unchanged."""
    return mark is not None and _mark(path) not in (mark, None)


def settle(base: sqlite3.Connection) -> None:
    """Take the log into the file, and out of its head: a reader needs the file alone then.

    Where others have it open, all stays as it is.
    """
    with contextlib.suppress(sqlite3.Error):
        base.execute("PRAGMA busy_timeout=0")
        base.execute("PRAGMA journal_mode=DELETE").fetchall()


def _prepared(opened: Opened, path: Path, *, read_only: bool) -> Opened:
    try:
        prepare(opened.base, path, read_only=read_only)
    except BaseException:
        opened.base.close()
        raise
    return opened


def _check(path: Path, *, may_be_empty: bool) -> None:
    """Refuse what is no library, found out without writing anything into it.

    Raises:
        MistakeError: if it is none.
    """
    opened = _open(path)
    with contextlib.closing(opened.base) as base:
        if is_ours(base) or (may_be_empty and is_empty(base)):
            return
    raise _no_library(path, opened.notice or "a file of another kind")


def _open(path: Path, *, is_rolled_back: bool = False) -> Opened:
    """Open a file to read it.

    Others may be writing it, but where a head tells of a log and there is none: to look for one, SQLite would make it.
    """
    mark, how = _mark(path), _how_to_read(path)
    base = sqlite3.connect(_uri(path, how), uri=True, timeout=_WAIT_S, check_same_thread=False)
    try:
        is_empty(base)  # nothing is opened before something is asked
    except sqlite3.Error as error:
        base.close()
        if sqlite_code(error) == sqlite3.SQLITE_READONLY and not is_rolled_back:
            _roll_back(path)
            return _open(path, is_rolled_back=True)
        if how == _UNCHANGING or sqlite_code(error) != sqlite3.SQLITE_CANTOPEN:
            raise
        how, base = _UNCHANGING, sqlite3.connect(_uri(path, _UNCHANGING), uri=True, check_same_thread=False)
    return Opened(base, _notice(path) if how == _UNCHANGING else "", mark if how == _UNCHANGING else None)


def _roll_back(path: Path) -> None:
    """Take back what a writer that was cut off had begun, which a journal beside the file knows.

    Raises:
        MistakeError: if that cannot be written.
    """
    try:
        with contextlib.closing(sqlite3.connect(_uri(path, "mode=rw"), uri=True, timeout=_WAIT_S)) as base:
            is_empty(base)
    except sqlite3.Error as error:
        remedy = "Copy both to a folder that can be written, and open it there."
        found = f"a writer that was cut off, and {shown(_beside(path, '-journal').name)} beside it ({error})"
        raise MistakeError(sentence("library", shown(path), "one that is whole", found, remedy)) from error


def _how_to_read(path: Path) -> str:
    if any(file.exists() for file in (_beside(path, _LOG), _beside(path, _INDEX))):
        return _READING
    with contextlib.suppress(OSError), path.open("rb") as file:
        return _UNCHANGING if file.read(_MODES.stop)[_MODES] == _WITH_LOG else _READING
    return _READING  # SQLite says what is the matter


def _notice(path: Path) -> str:
    """Say what of a library is not seen, where its log cannot be read."""
    log = _beside(path, _LOG)
    if not log.exists() or not log.stat().st_size:
        return ""
    return (
        f"library: {shown(path)}: what its last writer had not brought into the file is not shown. It lies in "
        f"{shown(log.name)}, which can be read only in a folder that can be written: copy both to one."
    )


def _mark(path: Path) -> Mark | None:
    try:
        status = path.stat()
        return status.st_ino, status.st_size, status.st_mtime_ns, _beside(path, _LOG).exists()
    except OSError:
        return None


def _beside(path: Path, ending: str) -> Path:
    """Return a file that SQLite keeps beside the one that a link leads to."""
    path = path.resolve()
    return path.with_name(path.name + ending)


def _uri(path: Path, how: str) -> str:
    return f"{path.resolve().as_uri()}?{how}"


def _not_opened(path: Path, error: Exception) -> MistakeError:
    """Say why a file is not opened; what has lost its head was a library where corrections of one lie beside it."""
    if is_corrupt(error) or (is_no_database(error) and rescue_file(path).is_file()):
        return MistakeError(tell_damage(path, error))
    return _no_library(path, str(error))


def _no_library(path: Path, found: str) -> MistakeError:
    remedy = "Make one with `etude index`; nothing was written here."
    return MistakeError(sentence("library", shown(path), "a library that `etude index` made", found, remedy))
