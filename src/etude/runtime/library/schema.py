"""The tables of a library, and how a library is told from any other SQLite file."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final

from etude.core.errors import MistakeError, sentence
from etude.runtime.library.rows import shown

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
# Copies of a content are found in one step each, however many there are: an index of the others is no part of it.
_COPIES: Final = """
CREATE INDEX IF NOT EXISTS pictures_by_copy ON pictures (sha256, path) WHERE status = 'answered' AND gone = 0;
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
    CASE WHEN status = 'answered' THEN (SELECT MIN(other.path) FROM main.pictures AS other
        WHERE other.sha256 = pictures.sha256 AND other.status = 'answered' AND other.gone = 0
        AND other.path < pictures.path) END AS duplicate_of
FROM main.pictures AS pictures LEFT JOIN main.corrections AS corrections ON corrections.sha256 = pictures.sha256
WHERE gone = 0;
"""


def prepare(base: sqlite3.Connection, path: Path, *, read_only: bool) -> None:
    """Check the format, and bring the tables of an earlier version up to date.

    Raises:
        MistakeError: if it is of a later version.
    """
    base.row_factory = sqlite3.Row
    if _names(base) >= _TABLES:
        rows = base.execute("SELECT value FROM meta WHERE key = 'format'").fetchall()
        if rows and int(rows[0][0]) > FORMAT:
            rule, remedy = f"at most {FORMAT}", "Update Étude to read it."
            raise MistakeError(sentence("library", f"{shown(path)}: format", rule, int(rows[0][0]), remedy))
    if not read_only:
        base.execute("PRAGMA journal_mode=WAL")
        base.execute("PRAGMA synchronous=NORMAL")
        if not is_ours(base) or base.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
            base.executescript(_SCHEMA)
        base.executescript(_COPIES)
    base.execute("PRAGMA temp_store=MEMORY")
    base.executescript(_VIEW)


def is_ours(base: sqlite3.Connection) -> bool:
    """Whether a database is a library."""
    told = base.execute("PRAGMA application_id").fetchone()[0]
    columns = {row[1] for row in base.execute("PRAGMA table_info(pictures)")}
    return told in (0, APPLICATION_ID) and _names(base) >= _TABLES and columns >= _COLUMNS


def is_empty(base: sqlite3.Connection) -> bool:
    """Whether a database has nothing in it, as that of a library whose making was cut off."""
    marks = [base.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")]
    held = base.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0]
    return marks in ([0, 0], [APPLICATION_ID, 0]) and not held


def _names(base: sqlite3.Connection) -> set[str]:
    return {row[0] for row in base.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
