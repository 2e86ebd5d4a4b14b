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
"""The share of a mask's pixels that must be equal."""
_MAX_BYTES: Final = 64 << 20


@dataclass(frozen=True, eq=False)
class Reference:
    """Pictures at the model's size and what was answered.

    Attributes:
        pictures: uint8 (B, H, W, 3); of a generator, what it made.
        answers: probabilities (B, K) float32, or ids (B, H, W) uint8; of a generator, the vectors (B, Z) float32 that
            the pictures were made of.
    """

    pictures: Pixels
    answers: npt.NDArray[Any]

    def to_bytes(self) -> bytes:
        """Return them as an `.npz` file."""
        packed = io.BytesIO()
        np.savez_compressed(packed, pictures=self.pictures, answers=self.answers)
        return packed.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """Read what `to_bytes` gave; nothing that is pickled is read.

        Raises:
            BundleError: if it cannot be read.
        """
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as packed:
                if sum(member.file_size for member in packed.infolist()) > _MAX_BYTES:
                    raise ValueError(f"more than {_MAX_BYTES >> 20} MiB")
            with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
                return cls(arrays["pictures"], arrays["answers"])
        except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
            raise BundleError(sentence("bundle", "reference.npz", "arrays that can be read", str(error))) from error


def drawn_pictures(size_px: SizePx, count: int = 4) -> Pixels:
    """Draw pictures (count, H, W, 3) of smooth colours with some noise: a reference that shows nobody."""
    rng = np.random.default_rng(0)
    height, width = size_px
    y, x = np.linspace(0, 1, height)[:, None, None], np.linspace(0, 1, width)[None, :, None]
    pictures = []
    for _ in range(count):
        waves = rng.uniform(1, 12, (2, 3)), rng.uniform(0, 6.28, 3)
        levels = 128 + 90 * np.sin(waves[0][0] * y + waves[0][1] * x + waves[1])
        pictures.append(np.clip(levels + rng.normal(0, 12, (height, width, 3)), 0, 255).astype(np.uint8))
    return np.stack(pictures)


def compare_reference(name: str, reference: Reference, answers: npt.NDArray[Any]) -> None:
    """Compare answers with those of the reference.

    Raises:
        BundleError: if they differ by more than processors do.
    """
    wanted = reference.answers
    remedy = "This machine computes otherwise than the one that exported it: do not use it here."
    if wanted.shape != answers.shape or wanted.dtype != answers.dtype:
        found = f"{answers.dtype} {answers.shape}"
        raise BundleError(sentence("self-test", name, f"of answers {wanted.dtype} {wanted.shape}", found, remedy))
    if wanted.dtype == np.uint8:
        agreement = float((wanted == answers).mean())
        if agreement < AGREEMENT:
            raise BundleError(
                sentence("self-test", name, f"{AGREEMENT:.1%} of equal pixels", f"{agreement:.2%}", remedy)
            )
        return
    difference = float(np.abs(wanted - answers).max(initial=0.0))
    if not difference <= TOLERANCE:
        rule = f"within {TOLERANCE} of its recorded probabilities"
        raise BundleError(sentence("self-test", name, rule, round(difference, 4), remedy))
