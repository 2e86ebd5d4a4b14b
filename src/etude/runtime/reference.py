"""Reference pictures inside a bundle, with what the graph answered when it was exported: the bundle's own test."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from etude.core.errors import BundleError, sentence
from etude.pictures.reading import Pixels, SizePx

TOLERANCE: Final = 0.05
"""A probability may differ by this much from processor to processor (8-bit arithmetic is not the same on all)."""
AGREEMENT: Final = 0.995
"""The share of a mask's pixels that must be equal, and of the logits that must be near."""
_LOGIT_TOLERANCE: Final = 0.05
"""A logit may differ by this share of the largest one."""
_GRID: Final = 16
"""Rows and columns of a mask whose logits are kept, about: those of every pixel would outgrow the graph."""
_MAX_BYTES: Final = 64 << 20
"""Bytes of all arrays, beside those of one picture and its mask at the size that the record tells."""
_DRAWN: Final = 4
_DRAWN_BYTES: Final = 48 << 20
"""Bytes of the drawn pictures with their masks, but for one that is larger by itself."""
_PIXEL_BYTES: Final = 4
"""Three levels and an id."""
_MOST_PICTURES: Final = 256
_REMEDY: Final = "This machine computes otherwise than the one that exported it: do not use it here."


@dataclass(frozen=True, eq=False)
class Reference:
    """Pictures at the model's size and what was answered.

    Attributes:
        pictures: uint8 (B, H, W, 3); of a generator, what it made.
        answers: probabilities (B, K) float32, or ids (B, H, W) uint8; of a generator, the vectors (B, Z) float32 that
            the pictures were made of.
        logits: where the graph gives them, float32 (B, K), or of masks (B, K, h, w) as `thinned` leaves them.
    """

    pictures: Pixels
    answers: npt.NDArray[Any]
    logits: npt.NDArray[np.float32] | None = None

    def to_bytes(self) -> bytes:
        """Return them as an `.npz` file."""
        packed = io.BytesIO()
        if self.logits is None:
            np.savez_compressed(packed, pictures=self.pictures, answers=self.answers)
        else:
            np.savez_compressed(packed, pictures=self.pictures, answers=self.answers, logits=self.logits)
        return packed.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes, size_px: SizePx | None = None) -> Self:
        """Read what `to_bytes` gave; nothing that is pickled is read.

        Args:
            content: the file.
            size_px: height and width of the pictures, as the record tells; by default any. Of a large size, one picture
                with its mask takes more than all arrays of a small one may.

        Raises:
            BundleError: if it cannot be read, or holds other arrays than these.
        """
        most = _MAX_BYTES + (0 if size_px is None else _PIXEL_BYTES * size_px[0] * size_px[1])
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as packed:
                if sum(member.file_size for member in packed.infolist()) > most:
                    raise ValueError(f"more than {most >> 20} MiB")
            with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
                reference = cls(arrays["pictures"], arrays["answers"], arrays.get("logits"))
            reference._check(size_px)
        except Exception as error:  # a forged file claims anything: petabytes, objects, arrays of no axis
            found = str(error)[:200] or type(error).__name__
            raise BundleError(sentence("bundle", "reference.npz", "arrays that can be read", found)) from error
        return reference

    def _check(self, size_px: SizePx | None) -> None:
        """Refuse arrays that are no pictures with an answer each, and small ones that would be made large."""
        pictures, answers = self.pictures, self.answers
        is_rgb = pictures.dtype == np.uint8 and pictures.ndim == 4 and pictures.shape[3] == 3
        is_sized = size_px is None or pictures.shape[1:3] == tuple(size_px)
        if not is_rgb or not is_sized or not pictures.size or len(pictures) > _MOST_PICTURES:
            raise ValueError(f"pictures {pictures.dtype} {pictures.shape}")
        for told in (answers,) if self.logits is None else (answers, self.logits):
            if told.dtype not in (np.uint8, np.float32) or told.ndim < 2 or len(told) != len(pictures):
                raise ValueError(f"answers {told.dtype} {told.shape} to {len(pictures)} pictures")


def drawn_count(size_px: SizePx) -> int:
    """Return how many pictures a reference has: fewer of a large size, so that they do not outgrow the graph.

    >>> drawn_count((256, 512)), drawn_count((2048, 2048)), drawn_count((4096, 4096))
    (4, 3, 1)
    """
    height, width = size_px
    return max(1, min(_DRAWN, _DRAWN_BYTES // (_PIXEL_BYTES * height * width)))


def drawn_pictures(size_px: SizePx, count: int | None = None) -> Pixels:
    """Draw pictures (count, H, W, 3) of smooth colours with some noise: a reference that shows nobody.

    Args:
        size_px: height and width.
        count: how many; by default as many as a reference has.
    """
    rng = np.random.default_rng(0)
    height, width = size_px
    count = drawn_count(size_px) if count is None else count
    y, x = np.linspace(0, 1, height)[:, None, None], np.linspace(0, 1, width)[None, :, None]
    pictures = []
    for _ in range(count):
        waves = rng.uniform(1, 12, (2, 3)), rng.uniform(0, 6.28, 3)
        levels = 128 + 90 * np.sin(waves[0][0] * y + waves[0][1] * x + waves[1])
        pictures.append(np.clip(levels + rng.normal(0, 12, (height, width, 3)), 0, 255).astype(np.uint8))
    return np.stack(pictures)


def thinned(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the logits (B, K, H, W) of some rows and columns, evenly spread; those of classes (B, K) as they are.

    >>> thinned(np.zeros((1, 3, 256, 512), np.float32)).shape
    (1, 3, 16, 16)
    """
    steps = (slice(None, None, max(1, side // _GRID)) for side in logits.shape[2:])
    return np.ascontiguousarray(logits[(slice(None), slice(None), *steps)])


def compare_reference(name: str, reference: Reference, answers: npt.NDArray[Any]) -> None:
    """Compare answers with those of the reference.

    Raises:
        BundleError: if they differ by more than processors do.
    """
    wanted = reference.answers
    if wanted.shape != answers.shape or wanted.dtype != answers.dtype:
        found = f"{answers.dtype} {answers.shape}"
        raise BundleError(sentence("self-test", name, f"of answers {wanted.dtype} {wanted.shape}", found, _REMEDY))
    if wanted.dtype == np.uint8:
        agreement = float((wanted == answers).mean())
        if agreement < AGREEMENT:
            raise BundleError(
                sentence("self-test", name, f"{AGREEMENT:.1%} of equal pixels", f"{agreement:.2%}", _REMEDY)
            )
        return
    difference = float(np.abs(wanted - answers).max(initial=0.0))
    if not difference <= TOLERANCE:
        rule = f"within {TOLERANCE} of its recorded probabilities"
        raise BundleError(sentence("self-test", name, rule, round(difference, 4), _REMEDY))


def compare_logits(name: str, reference: Reference, logits: npt.NDArray[np.float32]) -> None:
    """Compare logits, as `thinned` leaves them, with those of the reference.

    Raises:
        BundleError: if they differ by more than processors do, or the reference has none.
    """
    wanted = reference.logits
    if wanted is None or wanted.shape != logits.shape or wanted.dtype != logits.dtype:
        kept = "none" if wanted is None else f"{wanted.dtype} {wanted.shape}"
        rule = f"one whose reference has logits {logits.dtype} {logits.shape}"
        raise BundleError(sentence("self-test", name, rule, kept, "Export it anew with `etude export`."))
    limit = _LOGIT_TOLERANCE * float(np.abs(wanted).max(initial=0.0))
    near = float((np.abs(wanted - logits) <= limit).mean())
    if not near >= AGREEMENT:
        rule = f"{AGREEMENT:.1%} of logits within {limit:.3g} of those that it recorded"
        raise BundleError(sentence("self-test", name, rule, f"{near:.2%}", _REMEDY))
