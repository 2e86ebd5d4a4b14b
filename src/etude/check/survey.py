"""One look at every picture: whether it can be read, its size and traits, a thumbnail, and a hash of its pixels.

Legend: N pictures that are looked at, in the order of `indices_N`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from etude.check.twins import THUMBNAIL_PX
from etude.core.errors import DataError
from etude.data.fingerprint import Raw
from etude.data.items import Indices
from etude.data.source import Source
from etude.pictures.prepare import VOID, read_mask
from etude.pictures.reading import OpenPicture, decode

Progress = Callable[[int, int], None]

TRAITS: Final = ("cmyk", "16-bit", "palette", "alpha", "rotated", "extension")
"""What is worth telling of a file, one bit each."""
SHARPNESS_PX: Final = 128
"""Sharpness is measured on pictures whose shorter side is at least this, scaled to it."""
_CHUNK: Final = 64
_ENDINGS: Final = {
    "JPEG": {".jpg", ".jpeg", ".jpe", ".jfif"},
    "PNG": {".png"},
    "WEBP": {".webp"},
    "GIF": {".gif"},
    "BMP": {".bmp", ".dib"},
    "TIFF": {".tif", ".tiff"},
}
_ALL_ENDINGS: Final = frozenset(ending for endings in _ENDINGS.values() for ending in endings)


@dataclass(frozen=True)
class Survey:
    """What was seen, column by column; rows of unreadable pictures hold zeros."""

    indices_N: Indices
    """Positions in the source's items."""
    digests_N: npt.NDArray[np.uint64]
    """Hash of the decoded pixels, 0 where they cannot be read."""
    sizes_N2: npt.NDArray[np.int32]
    """Height and width in pixels."""
    thumbnails_NHW: npt.NDArray[np.uint8]
    """Grey thumbnails, 32 × 32."""
    sharpness_N: npt.NDArray[np.float32]
    """Variance of the second derivative over the variance of the grey levels; NaN where a picture is too small."""
    traits_N: npt.NDArray[np.uint8]
    """One bit for each of `TRAITS`."""
    faults: dict[int, tuple[str, str]] = field(default_factory=dict)
    """(kind, reason) by row, of pictures that cannot be read."""
    mask_faults: dict[int, tuple[str, str]] = field(default_factory=dict)
    """(kind, reason) by row, of masks that do not fit."""
    pixels_NK: npt.NDArray[np.int64] | None = None
    """Pixels of each class in each mask, at its own size, void left out; none without masks."""

    def __len__(self) -> int:
        return len(self.indices_N)

    @property
    def readable(self) -> npt.NDArray[np.bool_]:
        """Whether each picture can be read."""
        return np.asarray(self.digests_N != 0)

    def with_trait(self, name: str) -> Indices:
        """Return the rows of the pictures that have a trait."""
        return np.flatnonzero(self.traits_N & (1 << TRAITS.index(name)))


def survey(source: Source, indices: Indices, *, workers: int = 1, progress: Progress | None = None) -> Survey:
    """Look at pictures, on several threads, at the smallest scale that shows what is asked.

    Args:
        source: where they come from.
        indices: (N,) positions in its items.
        workers: threads.
        progress: called with (done, all) pictures.
    """
    size = len(indices)
    seen = Survey(
        indices,
        np.zeros(size, np.uint64),
        np.zeros((size, 2), np.int32),
        np.zeros((size, THUMBNAIL_PX, THUMBNAIL_PX), np.uint8),
        np.full(size, np.nan, np.float32),
        np.zeros(size, np.uint8),
        pixels_NK=np.zeros((size, len(source.classes)), np.int64) if source.kind == "segmentation" else None,
    )

    def look(start: int) -> int:
        rows = range(start, min(start + _CHUNK, size))
        for row in rows:
            _look_at(source, seen, row)
        return len(rows)

    done = 0
    with ThreadPoolExecutor(workers, thread_name_prefix="etude-check") as pool:
        for count in pool.map(look, range(0, size, _CHUNK)):
            done += count
            if progress is not None:
                progress(done, size)
    return seen


class _Fault(Exception):  # noqa: N818 - it never leaves this module
    """What is wrong with one picture."""


class _Opened(NamedTuple):
    """A picture that can be read."""

    image: Image.Image
    size_px: tuple[int, int]
    traits: int


def _look_at(source: Source, seen: Survey, row: int) -> None:
    """Fill one row."""
    index = int(seen.indices_N[row])
    name = str(source.items.ids[index])
    try:
        opened = _open(_fetch(source, index), name)
    except _Fault as fault:
        seen.faults[row] = (fault.args[0], fault.args[1])
        return
    seen.sizes_N2[row] = opened.size_px
    seen.traits_N[row] = opened.traits
    seen.digests_N[row] = _digest(opened)
    grey = opened.image.convert("L")
    seen.thumbnails_NHW[row] = np.asarray(
        grey.resize((THUMBNAIL_PX, THUMBNAIL_PX), Image.Resampling.BILINEAR, reducing_gap=3.0)
    )
    seen.sharpness_N[row] = _sharpness(grey)
    if seen.pixels_NK is not None:
        fault_of_mask = _fault_of_mask(source, index, name, opened.size_px, seen.pixels_NK[row])
        if fault_of_mask:
            seen.mask_faults[row] = fault_of_mask


def _fetch(source: Source, index: int) -> Raw:
    """Return the encoded picture."""
    try:
        raw = source.raw(index)
    except DataError as error:
        raise _Fault("unreadable", str(error)) from error
    if isinstance(raw, bytes) and not raw:
        raise _Fault("empty", f"{source.items.ids[index]}: 0 bytes")
    return raw


def _open(raw: Raw, name: str) -> _Opened:
    """Decode a picture, at a reduced scale where its format allows that."""
    try:
        if not isinstance(raw, bytes):
            pixels = decode(raw, name=name)
            return _Opened(Image.fromarray(pixels), pixels.shape[:2], 0)
        opened = OpenPicture(raw, name=name)
        traits = _traits(opened, raw, name)
        return _Opened(opened.rgb((SHARPNESS_PX, SHARPNESS_PX))[0], opened.size_px, traits)
    except DataError as error:
        if error.cause == "memory":  # no fault of the picture
            raise
        told = str(error)
        kind = "bomb" if "megapixels" in told else "truncated" if "end too early" in told else "no-picture"
        raise _Fault(kind, told) from error


def _traits(opened: OpenPicture, content: bytes, name: str) -> int:
    """Return what is worth telling of a file, one bit each."""
    ending = PurePosixPath(name).suffix.lower()
    deep_png = opened.file_format == "PNG" and len(content) > 24 and content[24] == 16
    present = (
        opened.mode == "CMYK",
        deep_png or opened.mode.startswith("I"),
        opened.mode == "P",
        opened.mode in ("RGBA", "LA", "PA", "RGBa", "La"),
        opened.orientation != 1,
        ending in _ALL_ENDINGS and ending not in _ENDINGS.get(opened.file_format, _ALL_ENDINGS),
    )
    return sum(1 << bit for bit, is_present in enumerate(present) if is_present)


def _digest(opened: _Opened) -> np.uint64:
    """Hash the size and the decoded pixels; never 0."""
    hashed = hashlib.blake2b(repr((opened.size_px, opened.image.size)).encode(), digest_size=8)
    hashed.update(opened.image.tobytes())
    return np.uint64(int.from_bytes(hashed.digest(), "big") | 1)


def _sharpness(grey: Image.Image) -> float:
    """Return how fast grey levels change from pixel to pixel, in units of how much they vary; NaN if too small."""
    short = min(grey.size)
    if short < SHARPNESS_PX:
        return float("nan")
    width, height = (round(side * SHARPNESS_PX / short) for side in grey.size)
    levels = np.asarray(grey.resize((width, min(height, 4 * width)), Image.Resampling.BILINEAR, reducing_gap=3.0))
    plane = levels.astype(np.float32)
    inner = plane[1:-1, 1:-1]
    curve = plane[:-2, 1:-1] + plane[2:, 1:-1] + plane[1:-1, :-2] + plane[1:-1, 2:] - 4 * inner
    variance = float(inner.var())
    return float(curve.var()) / variance if variance > 1 else float("nan")


def _fault_of_mask(
    source: Source, index: int, name: str, size_px: tuple[int, int], pixels_K: npt.NDArray[np.int64]
) -> tuple[str, str] | None:
    """Return (kind, reason) of what is wrong with a mask, if anything is; of a sound one count the pixels."""
    try:
        mask = source.mask(index)
        if mask is None:
            return "mask-missing", f"{name}: no mask"
        ids = read_mask(mask, name=f"{name} (mask)")
    except DataError as error:
        if error.cause == "memory":
            raise
        return "mask-unreadable", str(error)
    if ids.shape != size_px:
        return "mask-size", f"{name}: picture {size_px[1]} × {size_px[0]}, mask {ids.shape[1]} × {ids.shape[0]}"
    counts = np.bincount(ids.ravel(), minlength=256)
    unknown = [number for number in np.flatnonzero(counts).tolist() if number >= len(source.classes) and number != VOID]
    if unknown:
        return "mask-ids", f"{name}: ids {unknown[:5]}"
    pixels_K[:] = counts[: len(source.classes)]
    return None if pixels_K.any() else ("mask-void", f"{name}: void alone")
