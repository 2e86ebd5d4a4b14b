"""Findings about single pictures and about the classes, from what the survey saw."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from etude.check.records import Finding, Severity
from etude.check.survey import Survey
from etude.check.twins import PLAIN_BELOW
from etude.core.counting import how_many
from etude.data.source import Source

MOST_FILES = 1000
"""A finding names this many pictures at most; it always counts all."""
TINY_PX = 16
DARK_BELOW, BRIGHT_ABOVE = 50, 235
"""Grey levels: a picture is too dark where 99 % of it is below the one, too bright where 95 % is above the other."""
BLURRED_BELOW = 0.01
"""A picture is blurred where its grey levels change this little from pixel to pixel (see `Survey.sharpness_N`)."""
UNBALANCED_FROM = 10
_CHUNK = 4096

_FAULTS: dict[str, tuple[Severity, str]] = {
    "unreadable": ("error", "{n} cannot be opened"),
    "empty": ("error", "{n} {are} empty (0 bytes)"),
    "no-picture": ("error", "{n} {are} no picture, whatever the name says"),
    "truncated": ("error", "{n} end too early or {are} damaged"),
    "bomb": ("error", "{n} would take too much memory once decoded"),
    "mask-missing": ("error", "{n} {have} no mask"),
    "mask-unreadable": ("error", "{n} {have} a mask that cannot be read"),
    "mask-size": ("error", "{n} {have} a mask of another size"),
    "mask-ids": ("error", "{n} {have} a mask with ids that stand for no class"),
    "mask-void": ("error", "{n} {have} a mask that is void alone"),
}
_TRAITS: dict[str, tuple[Severity, str]] = {
    "extension": ("warning", "{n} {have} an ending that is not that of the format inside"),
    "rotated": ("note", "{n} {are} turned upright by EXIF orientation when read; other programs may not do so"),
    "cmyk": ("note", "{n} {are} in CMYK and {are} converted to RGB"),
    "16-bit": ("note", "{n} {have} 16 bits a channel, of which 8 are kept"),
    "palette": ("note", "{n} {have} a palette and {are} converted to RGB"),
    "alpha": ("note", "{n} {have} transparency, which is laid over white"),
}


def find_faults(source: Source, seen: Survey) -> Iterator[Finding]:
    """Find what cannot be read, and masks that do not fit."""
    for faults in (seen.faults, seen.mask_faults):
        for kind, (severity, words) in _FAULTS.items():
            rows = [row for row, (found, _) in sorted(faults.items()) if found == kind]
            if rows:
                reason = faults[rows[0]][1]
                yield _finding(source, seen, kind, severity, words, rows, f" The first: {reason}")


def find_traits(source: Source, seen: Survey) -> Iterator[Finding]:
    """Find what is told of a file by its header."""
    for kind, (severity, words) in _TRAITS.items():
        yield from _if_any(source, seen, kind, severity, words, seen.with_trait(kind))


def find_looks(source: Source, seen: Survey) -> Iterator[Finding]:
    """Find pictures that are tiny, dark, bright, plain or blurred."""
    readable = seen.readable
    short = seen.sizes_N2.min(axis=1)
    tiny = readable & (short < TINY_PX)
    yield from _if_any(source, seen, "tiny", "warning", f"{{n}} {{are}} less than {TINY_PX} pixels high or wide", tiny)
    dark, bright, plain = _light(seen.thumbnails_NHW)
    for kind, words, which in (
        ("dark", "{n} {are} very dark", dark & ~plain),
        ("bright", "{n} {are} very bright", bright & ~plain),
        ("plain", "{n} {are} of one colour", plain),
        ("blurred", "{n} {are} blurred", np.nan_to_num(seen.sharpness_N, nan=1.0) < BLURRED_BELOW),
    ):
        yield from _if_any(source, seen, kind, "warning", words, readable & which)


def find_balance(counts: dict[str, int]) -> Iterator[Finding]:
    """Find classes that have many times fewer pictures than others."""
    if len(counts) < 2:
        return
    most, least = max(counts, key=counts.__getitem__), min(counts, key=counts.__getitem__)
    if counts[most] >= UNBALANCED_FROM * max(1, counts[least]):
        yield Finding(
            kind="balance",
            severity="warning",
            sentence=f"The classes are unbalanced: {counts[most]:,} of {most}, {counts[least]:,} of {least}. "
            f"Accuracy favours the large ones; look at balanced_accuracy or f1_macro.",
            count=counts[least],
        )


def count_sizes(seen: Survey, most: int = 20) -> dict[str, int]:
    """Count the pictures by size, such as 64x48 (width × height)."""
    pairs = Counter(map(tuple, seen.sizes_N2[seen.readable].tolist()))
    return {f"{width}x{height}": count for (height, width), count in pairs.most_common(most)}


def _light(
    thumbnails_NHW: npt.NDArray[np.uint8],
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Return which pictures are dark, bright, and of one colour."""
    size = len(thumbnails_NHW)
    dark, bright, plain = (np.zeros(size, bool) for _ in range(3))
    for start in range(0, size, _CHUNK):
        part = slice(start, start + _CHUNK)
        levels = np.sort(thumbnails_NHW[part].reshape(len(thumbnails_NHW[part]), -1), axis=1)
        dark[part] = levels[:, int(0.99 * levels.shape[1])] < DARK_BELOW
        bright[part] = levels[:, int(0.05 * levels.shape[1])] > BRIGHT_ABOVE
        plain[part] = levels.std(axis=1) < PLAIN_BELOW / 2
    return dark, bright, plain


def _if_any(
    source: Source,
    seen: Survey,
    kind: str,
    severity: Severity,
    words: str,
    which: npt.NDArray[np.int64] | npt.NDArray[np.bool_],
) -> Iterator[Finding]:
    rows = (np.flatnonzero(which) if which.dtype == bool else which).tolist()
    if rows:
        yield _finding(source, seen, kind, severity, words, rows)


def _finding(
    source: Source, seen: Survey, kind: str, severity: Severity, words: str, rows: list[int], more: str = ""
) -> Finding:
    are, have = ("is", "has") if len(rows) == 1 else ("are", "have")
    told = words.format(n=how_many(len(rows), "picture"), are=are, have=have)
    if len(rows) == 1:
        told = told.replace(" end too early", " ends too early")
    files = names_of(source, seen.indices_N[rows[:MOST_FILES]])
    return Finding(kind=kind, severity=severity, sentence=f"{told}.{more}", count=len(rows), files=files)


def names_of(source: Source, indices: Iterable[int]) -> tuple[str, ...]:
    """Return the ids of pictures by their positions."""
    return tuple(str(source.items.ids[int(index)]) for index in indices)
