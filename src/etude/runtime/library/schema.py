"""The file of a library: its tables, how a library is told from any other SQLite file, and how it is opened.

Nothing is written into a file that is not recognised, and who only reads leaves nothing beside it.
"""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import Final

from etude.core.errors import MistakeError, sentence

FORMAT: Final = 1
APPLICATION_ID: Final = 0x45747564
"""What the head of the file says that it is ("Etud"); libraries of earlier versions say nothing."""
_SCHEMA: Final = f"""
BEGIN IMMEDIATE;
PRAGMA application_id = {APPLICATION_ID};
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
    answer TEXT NOT NULL DEFAULT '{{}}',
    model TEXT NOT NULL,
    gone INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS pictures_by_content ON pictures (sha256);
CREATE INDEX IF NOT EXISTS pictures_by_label ON pictures (label, probability);
CREATE TABLE IF NOT EXISTS corrections (sha256 TEXT PRIMARY KEY, label TEXT NOT NULL, at TEXT NOT NULL);
INSERT OR IGNORE INTO meta VALUES ('format', '{FORMAT}');
COMMIT;
"""
_COLUMNS: Final = {"path", "raw_path", "mtime_ns", "sha256", "status", "gone"}
_TABLES: Final = {"meta", "pictures", "corrections"}
# The view belongs to the connection: that of a file would be of the version that made it. A correction without a label
# says that the picture shows none of the classes. A probability is told of the label that it was answered with alone.
_VIEW: Final = """
CREATE TEMP VIEW answers AS
SELECT pictures.id, path, raw_path, size, mtime_ns, pictures.sha256, status, reason, pictures.label AS answered,
    COALESCE(corrections.label, pictures.label) AS label,
    CASE WHEN COALESCE(corrections.label, pictures.label) = pictures.label THEN probability END AS probability,
    CASE WHEN corrections.label IS NULL THEN unsure ELSE 0 END AS unsure,
    CASE WHEN corrections.label IS NULL THEN COALESCE(json_extract(answer, '$.unfamiliar'), 0) ELSE 0 END AS unfamiliar,
    corrections.label IS NOT NULL AS corrected, COALESCE(corrections.label, 'some') = '' AS none, answer,
    (SELECT MIN(other.path) FROM main.pictures AS other
        WHERE other.sha256 = pictures.sha256 AND other.sha256 != '' AND other.gone = 0
        AND other.path < pictures.path) AS duplicate_of
FROM main.pictures AS pictures LEFT JOIN main.corrections AS corrections ON corrections.sha256 = pictures.sha256
WHERE gone = 0;
"""


def connect(path: Path, *, create: bool = False, read_only: bool = False) -> sqlite3.Connection:
    """Open the file of a library.

    Args:
        path: the file.
        create: whether to make it where there is none.
        read_only: whether to write nothing, neither into the file nor beside it: its disk may be protected.

    Raises:
        MistakeError: if it is no library, or of a later version; nothing was written into it then.
    """
    is_new = create and (not path.exists() or path.stat().st_size == 0)
    try:
        is_new = is_new or (create and _is_empty(path))  # a library whose making was cut off
        if not is_new and not _is_library(path):
            raise _no_library(path, "a file of another kind")
    except (sqlite3.Error, ValueError) as error:
        raise _no_library(path, str(error)) from error
    try:
        base = sqlite3.connect(_uri(path, _reading(path) if read_only else "mode=rwc"), uri=True, timeout=30,
                               check_same_thread=False)  # fmt: skip
        try:
            _prepare(base, path, read_only)
        except BaseException:
            base.close()
            raise
    except (sqlite3.Error, ValueError) as error:
        rule = "a library that can be read" if read_only else "a library that can be written"
        raise MistakeError(sentence("library", str(path), rule, str(error), "Is its disk protected?")) from error
    return base


def _prepare(base: sqlite3.Connection, path: Path, read_only: bool) -> None:
    """Check the format, and bring the tables of an earlier version up to date."""
    base.row_factory = sqlite3.Row
    if _names(base) >= _TABLES:
        rows = base.execute("SELECT value FROM meta WHERE key = 'format'").fetchall()
        if rows and int(rows[0][0]) > FORMAT:
            rule, remedy = f"at most {FORMAT}", "Update Étude to read it."
            raise MistakeError(sentence("library", f"{path}: format", rule, int(rows[0][0]), remedy))
    if not read_only:
        base.execute("PRAGMA journal_mode=WAL")
        base.execute("PRAGMA synchronous=NORMAL")
        if not _is_ours(base) or base.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
            base.executescript(_SCHEMA)
    base.execute("PRAGMA temp_store=MEMORY")
    base.executescript(_VIEW)


def _is_library(path: Path) -> bool:
    """Whether a file is a library, found out without writing anything, nor beside it."""
    with contextlib.suppress(sqlite3.Error), contextlib.closing(_look(path, "immutable=1")) as base:
        if _is_ours(base):
            return True
    # What its last writer did not bring into the file lies beside it, and may be all that there is.
    with contextlib.closing(_look(path, _reading(path))) as base:
        return _is_ours(base)


def _is_empty(path: Path) -> bool:
    """Whether a file is a database without anything in it."""
    with contextlib.closing(_look(path, _reading(path))) as base:
        marks = [base.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")]
        held = base.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0]
        return marks in ([0, 0], [APPLICATION_ID, 0]) and not held


def _is_ours(base: sqlite3.Connection) -> bool:
    told = base.execute("PRAGMA application_id").fetchone()[0]
    columns = {row[1] for row in base.execute("PRAGMA table_info(pictures)")}
    return told in (0, APPLICATION_ID) and _names(base) >= _TABLES and columns >= _COLUMNS


def _names(base: sqlite3.Connection) -> set[str]:
    return {row[0] for row in base.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def _look(path: Path, how: str) -> sqlite3.Connection:
    return sqlite3.connect(_uri(path, how), uri=True)


def _uri(path: Path, how: str) -> str:
    return f"{path.resolve().as_uri()}?{how}"


def _reading(path: Path) -> str:
    """Return how SQLite is to read a file.

    As one that does not change where nobody writes into it: only so can it be read on a protected disk, and nothing is
    left beside it. A writer has a log beside the file.
    """
    log = path.with_name(f"{path.name}-wal")
    return "mode=ro" if log.is_file() and log.stat().st_size else "immutable=1"


def _no_library(path: Path, found: str) -> MistakeError:
    remedy = "Make one with `etude index`; nothing was written here."
    return MistakeError(sentence("library", str(path), "a library that `etude index` made", found, remedy))
