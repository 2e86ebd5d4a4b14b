"""The vectors that pictures are generated from: the same for the same seed and number on every machine.

They are made of the bits of a counter-based generator, which numpy keeps as they are from version to version; the
normal draws of its distributions it does not.

Shapes: N pictures, Z latent numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from etude.core.seeds import derive

MOST_SEED: Final = 2**53 - 1
"""The largest seed: what a browser's numbers hold."""
_COUNTER_BITS: Final = 192
"""The counter has 256 bits; those above count pictures, those below the draws of one."""
_UNIT: Final = 2.0**-53


def draw_latents(seed: int, numbers: Sequence[int], latent: int) -> npt.NDArray[np.float32]:
    """Draw standard normal vectors (N, Z).

    The vector of a picture depends on the seed and on its number alone: the first ten of a thousand are the ten.

    Source: Philox4x64 (Salmon et al. 2011), and Box, Muller 1958.

    Args:
        seed: from 0 to `MOST_SEED`.
        numbers: of the pictures, from 0.
        latent: length of a vector.
    """
    return np.stack([_draw(seed, number, latent) for number in numbers]).astype(np.float32)


def _draw(seed: int, number: int, latent: int) -> npt.NDArray[np.float64]:
    half = (latent + 1) // 2
    bits = np.random.Philox(key=derive(seed, "latents"), counter=number << _COUNTER_BITS).random_raw(2 * half) >> 11
    lengths = np.sqrt(-2 * np.log((bits[:half] + 1) * _UNIT))  # of a draw in (0, 1]
    angles = 2 * np.pi * bits[half:] * _UNIT
    return np.concatenate([lengths * np.cos(angles), lengths * np.sin(angles)])[:latent]
