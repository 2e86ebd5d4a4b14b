"""Near duplicates: pictures that are one picture, re-encoded, scaled, brightened, mirrored or cropped a little.

A thumbnail's lowest frequencies (its discrete cosine transform, each weighted by its frequency, at length 1) are its
perceptual hash, kept as numbers instead of bits: the product of two is their correlation. Mirroring only changes the
sign of the odd horizontal frequencies, so one product of the even and one of the odd ones gives both the likeness and
the mirrored likeness, exactly, for all pairs. What passes is compared on more frequencies over small crops, and last
in its details: local contrast is made even, and what is the same all along a row or a column (a horizon, a pole, a
frame) is taken away, as it makes pictures alike that are not the same.

Legend: N pictures, P pairs, K frequencies a side, C crops.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]

THUMBNAIL_PX = 32
SEARCH_K, VERIFY_K = 8, 16
SEARCH_ABOVE = 0.7
"""Likeness of the lowest frequencies from which a pair is looked at again: 19 of 20 crops to 90 % still reach it."""
ALIGNED_ABOVE = 0.85
"""The same likeness for the best of the crops, from which a pair is verified."""
VERIFIED_ABOVE = 0.7
"""Likeness of the verified frequencies from which the details are compared."""
TWINS_ABOVE = 0.8
"""Likeness of the details from which two pictures are twins, if their grey levels agree as well."""
GREY_ABOVE = 0.85
"""Correlation of the grey levels from which they agree."""
MOST_PAIRS = 2_000_000
"""The search stops after so many twins: then nearly all pictures are alike, and more pairs tell nothing more."""
PLAIN_BELOW = 4.0
"""Pictures whose grey levels deviate less than this from their mean have nothing to compare but noise."""
_BLOCK = 2048
_CHUNK = 1024
_SCALES = (0.9, 0.8)
_DETAIL_GREY = 10.0
"""Grey levels of contrast below which detail counts as noise."""
_BORDER_PX = 3
_WHOLE, _CENTRES = 0, (5, 14)
"""Places of the whole and of the central crops among `_crop_maps`."""


@dataclass(frozen=True)
class Twins:
    """Pairs of pictures that are alike: positions `first` < `second`, each (P,)."""

    first: Indices
    second: Indices
    likeness: Floats
    """Correlation in [0, 1]; higher is more alike."""
    mirrored: npt.NDArray[np.bool_]
    """Whether the second is the mirror image of the first."""
    is_complete: bool = True
    """Whether all pairs were recorded."""

    def __len__(self) -> int:
        return len(self.first)


def find_twins(
    thumbnails_NHW: npt.NDArray[np.uint8], *, workers: int = 1, progress: Callable[[int, int], None] | None = None
) -> Twins:
    """Compare every picture with every other, exactly.

    Takes 5 kB a picture; time grows with the square of their number.

    Args:
        thumbnails_NHW: grey thumbnails, uint8 (N, 32, 32).
        workers: threads.
        progress: called with (done, all) blocks.

    Returns:
        The twins, in order of their positions. Pictures without contrast are not compared.
    """
    deviations = [thumbnails_NHW[part].std(axis=(1, 2)) for part in _chunks(len(thumbnails_NHW))]
    told = np.flatnonzero(np.concatenate([np.zeros(0), *deviations]) >= PLAIN_BELOW)
    atlas = _describe_crops(thumbnails_NHW, told, SEARCH_K)
    queries = [np.ascontiguousarray(atlas[:, place]) for place in (_WHOLE, *_CENTRES)]
    blocks = [(row, column) for row in range(0, len(told), _BLOCK) for column in range(0, len(told), _BLOCK)]

    def search(block: tuple[int, int]) -> Twins:
        first, second = _search_block(queries, *block)
        near = _likeness(atlas, first, atlas, second)[0] > ALIGNED_ABOVE
        return _verify(thumbnails_NHW, told[first[near]], told[second[near]])

    found: list[Twins] = []
    n_found = 0
    with ThreadPoolExecutor(workers) as pool:
        for done, twins in enumerate(pool.map(search, blocks), 1):
            found.append(twins)
            n_found += len(twins)
            if progress is not None:
                progress(done, len(blocks))
            if n_found > MOST_PAIRS:
                pool.shutdown(cancel_futures=True)
                break
    return _join(found, is_complete=n_found <= MOST_PAIRS)


def _search_block(queries: list[Floats], row: int, column: int) -> tuple[Indices, Indices]:
    """Return the pairs (first, second) of one block that are worth a second look."""
    there = queries[0][column : column + _BLOCK]
    hits: list[Indices] = []
    for place, query in enumerate(queries):
        if place == 0 and column < row:
            continue  # whole against whole is symmetric
        hits.append(_alike(query[row : row + _BLOCK], there))
    together = np.unique(np.concatenate(hits))
    first, second = np.divmod(together, len(there))
    first, second = first + row, second + column
    apart = first != second
    return first[apart], second[apart]


def _alike(here: Floats, there: Floats) -> Indices:
    """Return the flat places in (here, there) whose likeness, mirrored or not, passes."""
    odd = _odd_columns(SEARCH_K)
    likeness = here[:, odd] @ there[:, odd].T
    np.abs(likeness, out=likeness)
    likeness += here[:, ~odd] @ there[:, ~odd].T
    return np.flatnonzero(likeness > SEARCH_ABOVE)


def _verify(thumbnails_NHW: npt.NDArray[np.uint8], first: Indices, second: Indices) -> Twins:
    """Keep the pairs that are alike in many frequencies, whole or cropped a little."""
    parts = []
    for part in _chunks(len(first)):
        sides = [np.unique(side[part], return_inverse=True) for side in (first, second)]
        one, other = (_describe_crops(thumbnails_NHW, which, VERIFY_K) for which, _ in sides)
        best, mirrored = _likeness(one, sides[0][1], other, sides[1][1])
        kept = np.flatnonzero(best > VERIFIED_ABOVE)
        if len(kept) == 0:
            continue
        low, high = np.minimum(first[part], second[part])[kept], np.maximum(first[part], second[part])[kept]
        details = _likeness_of_details(thumbnails_NHW[low], thumbnails_NHW[high], mirrored[kept])
        same = details > TWINS_ABOVE
        parts.append(Twins(low[same], high[same], details[same], mirrored[kept][same]))
    return _join(parts)


def _likeness_of_details(
    one_PHW: npt.NDArray[np.uint8], other_PHW: npt.NDArray[np.uint8], mirrored: npt.NDArray[np.bool_]
) -> Floats:
    """Return the (P,) likeness of the details of each picture and the best crop of the other; -1 if grey differs."""
    one = one_PHW.astype(np.float32)
    other = np.where(mirrored[:, None, None], other_PHW[:, :, ::-1], other_PHW).astype(np.float32)
    best = np.full(len(one), -1, np.float32)
    for whole, cropped in ((one, other), (other, one)):
        wanted, wanted_grey = _details(whole), _grey(whole)
        for down, across in _crops():
            part: Floats = np.matmul(np.matmul(_sampling(*down), cropped), _sampling(*across).T)
            agrees = np.einsum("nk,nk->n", wanted_grey, _grey(part)) > GREY_ABOVE
            likeness: Floats = np.einsum("nk,nk->n", wanted, _details(part))
            best = np.where(agrees, np.maximum(best, likeness), best)
    return best


def _grey(planes_NHW: Floats) -> Floats:
    """Return the (N, k) grey levels of pictures, without their mean, each at length 1."""
    flat = planes_NHW.reshape(len(planes_NHW), -1)
    flat = flat - flat.mean(axis=1, keepdims=True)
    return np.asarray(flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-3), np.float32)


def _details(planes_NHW: Floats) -> Floats:
    """Return the (N, k) details of pictures, each at length 1."""
    smooth = _mean_around(planes_NHW, 1)
    mean = _mean_around(smooth, 3)
    variance = np.maximum(_mean_around(smooth * smooth, 3) - mean * mean, 0)
    even = ((smooth - mean) / np.sqrt(variance + _DETAIL_GREY**2))[:, _BORDER_PX:-_BORDER_PX, _BORDER_PX:-_BORDER_PX]
    even = even - even.mean(axis=1, keepdims=True)
    flat = (even - even.mean(axis=2, keepdims=True)).reshape(len(even), -1)
    return np.asarray(flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-3), np.float32)


def _mean_around(planes_NHW: Floats, radius_px: int) -> Floats:
    """Return the mean of the square around each pixel; beyond the border its last pixel goes on."""
    pad, side = (radius_px + 1, radius_px), 2 * radius_px + 1
    sums = np.pad(planes_NHW, ((0, 0), pad, pad), mode="edge").cumsum(axis=1, dtype=np.float64).cumsum(axis=2)
    total = sums[:, side:, side:] - sums[:, :-side, side:] - sums[:, side:, :-side] + sums[:, :-side, :-side]
    return np.asarray(total / side**2, np.float32)


def _likeness(
    one: Floats, first: Indices, other: Floats, second: Indices
) -> tuple[Floats, npt.NDArray[np.bool_]]:  # fmt: skip
    """Compare the whole of each picture with all crops of the other.

    Args:
        one: (n, C, K²) descriptions.
        first: (P,) positions in `one`.
        other: (m, C, K²) descriptions.
        second: (P,) positions in `other`.

    Returns:
        (P,) the best likeness, and whether it is that of a mirror image.
    """
    odd = _odd_columns(round(one.shape[2] ** 0.5))
    best, mirrored = np.full(len(first), -1, np.float32), np.zeros(len(first), bool)
    for part in _chunks(len(first)):
        for wholes, here, crops, there in ((one, first, other, second), (other, second, one, first)):
            whole_PK = wholes[here[part], _WHOLE]
            crops_PCK = crops[there[part]]
            even = np.matmul(crops_PCK, np.where(odd, 0, whole_PK)[..., None])[..., 0]
            uneven = np.matmul(crops_PCK, np.where(odd, whole_PK, 0)[..., None])[..., 0]
            for likeness, is_mirrored in (((even + uneven).max(axis=1), False), ((even - uneven).max(axis=1), True)):
                mirrored[part] = np.where(likeness > best[part], is_mirrored, mirrored[part])
                best[part] = np.maximum(best[part], likeness)
    return best, mirrored


def _describe_crops(thumbnails_NHW: npt.NDArray[np.uint8], which: Indices, n_frequencies: int) -> Floats:
    """Return the (n, C, K²) descriptions of the whole and of every crop of some thumbnails."""
    maps = _crop_maps(n_frequencies)
    described = np.empty((len(which), len(maps), n_frequencies**2), np.float32)
    for part in _chunks(len(which)):
        planes = thumbnails_NHW[which[part]].astype(np.float32)
        for place, (down, across) in enumerate(maps):
            spectrum: Floats = np.matmul(np.matmul(down, planes), across.T)
            described[part, place] = _at_length_1(spectrum)
    return described


def _at_length_1(spectrum_NKK: Floats) -> Floats:
    """Weight frequencies by their height, which undoes the fall of natural spectra, and bring each to length 1."""
    size = spectrum_NKK.shape[1]
    weights = np.hypot(np.arange(size)[:, None], np.arange(size)[None]).astype(np.float32)
    flat = (spectrum_NKK * weights).reshape(len(spectrum_NKK), -1)
    lengths = np.linalg.norm(flat, axis=1, keepdims=True)
    return np.asarray(flat / np.maximum(lengths, 1e-6), np.float32)


@cache
def _crop_maps(n_frequencies: int) -> tuple[tuple[Floats, Floats], ...]:
    """Return, for the whole and for every crop, the (K, 32) maps down and across to its lowest frequencies."""
    centres = (np.arange(THUMBNAIL_PX) + 0.5) / THUMBNAIL_PX
    cosines = np.cos(np.pi * np.arange(n_frequencies)[:, None] * centres).astype(np.float32)
    return tuple((cosines @ _sampling(*down), cosines @ _sampling(*across)) for down, across in _crops())


@cache
def _crops() -> tuple[tuple[tuple[float, float], tuple[float, float]], ...]:
    """Return (scale, start) down and across: of the whole, and of nine crops for each scale."""
    places = [(scale, (1 - scale) * step) for scale in _SCALES for step in (0.0, 0.5, 1.0)]
    pairs = [(down, across) for down in places for across in places if down[0] == across[0]]
    return (((1.0, 0.0), (1.0, 0.0)), *pairs)


@cache
def _sampling(scale: float, start: float) -> Floats:
    """Return the (32, 32) map from a row to its part [start, start + scale], enlarged."""
    centres = (np.arange(THUMBNAIL_PX) + 0.5) / THUMBNAIL_PX
    places = (start + scale * centres) * THUMBNAIL_PX - 0.5
    left = np.clip(np.floor(places).astype(int), 0, THUMBNAIL_PX - 2)
    share = np.clip(places - left, 0, 1).astype(np.float32)
    sampling = np.zeros((THUMBNAIL_PX, THUMBNAIL_PX), np.float32)
    sampling[np.arange(THUMBNAIL_PX), left] = 1 - share
    sampling[np.arange(THUMBNAIL_PX), left + 1] = share
    return sampling


def _odd_columns(n_frequencies: int) -> npt.NDArray[np.bool_]:
    """Return which of the K² frequencies change their sign when the picture is mirrored."""
    return np.asarray(np.arange(n_frequencies**2) % n_frequencies % 2 == 1)


def _chunks(length: int) -> Iterator[slice]:
    return (slice(start, start + _CHUNK) for start in range(0, length, _CHUNK))


def _join(parts: list[Twins], *, is_complete: bool = True) -> Twins:
    """Put twins together, in order, each pair once."""
    if not parts:
        parts = [_NONE]
    first, second, likeness, mirrored = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("first", "second", "likeness", "mirrored")
    )
    order = np.lexsort((-likeness, second, first))
    first, second = first[order], second[order]
    once = np.ones(len(order), bool)
    once[1:] = (np.diff(first) != 0) | (np.diff(second) != 0)
    return Twins(first[once], second[once], likeness[order][once], mirrored[order][once], is_complete)


_NONE = Twins(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32), np.zeros(0, bool))
