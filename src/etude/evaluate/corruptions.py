"""Corruptions of finished pictures, at five severities: what a camera, a dark room or a messenger does to them.

The four kinds are among those of Hendrycks and Dietterich 2019 (arXiv:1903.12261); the strengths are our own and scale
with the size of the picture. Shape suffix: N pictures, H rows, W columns, C channels.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from etude.core.machine import usable_threads
from etude.core.registry import Registry
from etude.core.seeds import derive

SEVERITIES = (1, 2, 3, 4, 5)
Picture = npt.NDArray[np.uint8]
CORRUPTIONS: Registry[Callable[[Picture, int, np.random.Generator], Picture]] = Registry("corruption")
"""Each takes a picture (H, W, 3) uint8, a severity from 1 to 5 and a source of chance, and gives one of its shape."""

_NOISE = (0.04, 0.08, 0.12, 0.18, 0.26)  # standard deviation, as a share of white
_BLUR = (0.008, 0.016, 0.026, 0.04, 0.06)  # radius, as a share of the shorter side
_LIGHT = (0.8, 0.65, 0.5, 0.35, 0.2)  # share of the light that is left
_QUALITY = (50, 30, 18, 10, 5)  # of JPEG


@CORRUPTIONS.register("noise")
def add_noise(picture_HWC: Picture, severity: int, chance: np.random.Generator) -> Picture:
    """Add normal noise to every channel of every pixel."""
    noisy = picture_HWC + chance.normal(0, 255 * _NOISE[severity - 1], picture_HWC.shape)
    return noisy.round().clip(0, 255).astype(np.uint8)


@CORRUPTIONS.register("blur")
def blur(picture_HWC: Picture, severity: int, _chance: np.random.Generator) -> Picture:
    """Blur with a Gaussian."""
    radius_px = _BLUR[severity - 1] * min(picture_HWC.shape[:2])
    return np.asarray(Image.fromarray(picture_HWC).filter(ImageFilter.GaussianBlur(radius_px)))


@CORRUPTIONS.register("brightness")
def darken(picture_HWC: Picture, severity: int, _chance: np.random.Generator) -> Picture:
    """Take light away."""
    return (picture_HWC * _LIGHT[severity - 1]).round().astype(np.uint8)


@CORRUPTIONS.register("jpeg")
def compress(picture_HWC: Picture, severity: int, _chance: np.random.Generator) -> Picture:
    """Write as JPEG of low quality, and read again."""
    written = io.BytesIO()
    Image.fromarray(picture_HWC).save(written, "JPEG", quality=_QUALITY[severity - 1])
    return np.asarray(Image.open(written))


def corrupt(pictures_NHWC: Picture, name: str, severity: int) -> Picture:
    """Return all pictures corrupted, (N, H, W, 3) uint8; the same pictures always give the same, on all threads.

    Raises:
        MistakeError: if there is no corruption of that name.
    """
    corruption = CORRUPTIONS[name]
    corrupted = np.empty_like(pictures_NHWC)

    def corrupt_some(numbers: npt.NDArray[np.int64]) -> None:
        for number in numbers.tolist():
            chance = np.random.default_rng(derive(0, "corruption", name, severity, number))
            corrupted[number] = corruption(pictures_NHWC[number], severity, chance)

    threads = usable_threads()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(corrupt_some, np.array_split(np.arange(len(pictures_NHWC)), threads)))
    return corrupted
