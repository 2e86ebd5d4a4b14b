"""Writing whole or not at all: beside, then renamed."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from etude.core.errors import StorageError

OWN_LIST = ".etude.json"
"""The list of what was brought into a folder to train on, which lies in it."""
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EFBIG}


@contextlib.contextmanager
def writing(path: Path | str) -> Iterator[Path]:
    """Give a path beside `path` to write to; rename it to `path` when the block ends well.

    The file is flushed to the disk before the rename, so that after a crash `path` holds either
    what it held before or the whole of what was written.

    Raises:
        StorageError: if the disk is full or the folder cannot be written.
    """
    target = Path(path)
    with storage_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=target.suffix or ".part", dir=target.parent)
        os.close(handle)
    beside = Path(name)
    try:
        with storage_errors(target):
            yield beside
            with beside.open("rb+") as written:
                os.fsync(written.fileno())
            beside.chmod(0o644)
            beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)


@contextlib.contextmanager
def storage_errors(target: Path) -> Iterator[None]:
    """Turn what the disk refuses into a sentence.

    Raises:
        StorageError: in place of the OSError of a full or protected disk.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise StorageError(
            f"{target}: cannot be written ({os.strerror(error.errno or 0)}). Free some space, or write elsewhere "
            "(--results, --to); what was finished is kept, and the same command goes on from there."
        ) from error


def write_bytes(path: Path | str, content: bytes) -> None:
    """Write a file whole or not at all."""
    with writing(path) as beside:
        beside.write_bytes(content)


def write_text(path: Path | str, text: str) -> None:
    """Write a UTF-8 text file whole or not at all."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path | str, value: Any) -> None:  # noqa: ANN401 - any JSON value
    """Write a JSON file whole or not at all."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep other processes, and other threads, out of a block that names the same file, where the system has locks.

    The file is made where it is not there, and stays.
    """
    try:
        import fcntl
    except ImportError:  # Windows has no flock: two processes are then the person's own care
        yield
        return
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def try_locked(path: Path) -> Iterator[bool]:
    """Say whether nobody else holds the lock of this file, and hold it for the block where that is so.

    The file is made where it is not there, and stays. The system lets go of the lock when the process dies. Without
    locks (Windows) the answer is always yes.
    """
    with path.open("w") as file:
        try:
            import fcntl
        except ImportError:
            yield True
            return
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
            return
        yield True


def folder_name(label: str) -> str:
    """Return a text from outside, such as the name of a class, as the name of a folder.

    >>> folder_name("cat/dog"), folder_name("..")
    ('cat_dog', '_')
    """
    return re.sub(r"[/\\\0]", "_", label).strip(". ") or "_"


def sweep(folder: Path) -> None:
    """Remove what a killed process left half written in `folder`."""
    for leftover in folder.glob(".*.*"):
        if leftover.is_file():
            leftover.unlink(missing_ok=True)


def write_apart(folder: Path, stem: str, contents: Mapping[str, bytes]) -> list[Path]:
    """Write `STEM.KIND` for each kind, and return the files in their order.

    A name that something else has gets the beginning of these contents' hash: pictures of several folders are often
    called the same. The same contents again make no other files.
    """
    files = {folder / f"{stem}.{kind}": content for kind, content in contents.items()}
    if any(os.path.lexists(path) and not _holds(path, content) for path, content in files.items()):
        digest = hashlib.sha256(b"".join(contents.values())).hexdigest()[:12]
        files = {folder / f"{stem}-{digest}.{kind}": content for kind, content in contents.items()}
    for path, content in files.items():
        write_bytes(path, content)
    return list(files)


def _holds(path: Path, content: bytes) -> bool:
    """Whether a file has a content."""
    return path.is_file() and path.read_bytes() == content
