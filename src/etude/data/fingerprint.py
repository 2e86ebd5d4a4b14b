"""The fingerprint of a source: the same pictures and labels give the same value, wherever they lie."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from etude.core.errors import DataError
from etude.data.items import Items

Raw = bytes | npt.NDArray[np.uint8]

_CHUNK = 256


def content_fingerprint(
    classes: Sequence[str], items: Items, *contents: Callable[[int], Raw | None], workers: int | None = None
) -> str:
    """Return 32 hex digits that stand for a source's content.

    Ids, labels, parts, groups and every encoded byte enter it; paths outside the source do not.

    Args:
        classes: the names of the classes.
        items: what is known of the pictures.
        *contents: functions from a position to encoded bytes or an array: the pictures, and the masks if any.
        workers: threads that read and hash; by default as many as Python's thread pool chooses.
    """

    def digest_of(start: int) -> bytes:
        whole = hashlib.sha256()
        for index in range(start, min(start + _CHUNK, len(items))):
            for content in contents:
                whole.update(_digest(content, index))
        return whole.digest()

    whole = hashlib.sha256("\x1f".join(classes).encode())
    for column in (items.ids, items.labels, items.official, items.groups):
        whole.update(_column_bytes(column))
    with ThreadPoolExecutor(workers) as pool:
        for digest in pool.map(digest_of, range(0, len(items), _CHUNK)):
            whole.update(digest)
    return whole.hexdigest()[:32]


def _digest(content: Callable[[int], Raw | None], index: int) -> bytes:
    """Return the digest of one picture or mask."""
    try:
        raw = content(index)
    except DataError:
        return b"unreadable"
    if raw is None:
        return b"none"
    if isinstance(raw, bytes):
        return hashlib.sha256(raw).digest()
    return hashlib.sha256(repr(raw.shape).encode() + raw.tobytes()).digest()


def _column_bytes(column: npt.NDArray[np.generic] | None) -> bytes:
    """Return the bytes of one column, the same on every machine."""
    if column is None:
        return b"\x1eno column"
    if column.dtype.kind == "T":
        return b"\x1e" + "\x1f".join(column.tolist()).encode()
    return b"\x1e" + column.astype(column.dtype.newbyteorder("<")).tobytes()
