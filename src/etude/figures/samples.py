"""Generated pictures to look at: a grid as PNG, a film as GIF; both say in their metadata that they are generated.

Shapes: N pictures, F frames, H and W pixels, C channels; uint8 RGB.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from etude.core.files import write_bytes

Pixels = npt.NDArray[np.uint8]
_GAP_PX = 2
_PAPER = 255


def grid(pictures_NHWC: Pixels, columns: int | None = None) -> Pixels:
    """Lay pictures out row by row, with white between them; (H', W', 3).

    >>> grid(np.zeros((5, 8, 8, 3), np.uint8), columns=3).shape
    (22, 32, 3)
    """
    count, height, width, _ = pictures_NHWC.shape
    columns = columns or math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    sheet = np.full((rows * (height + _GAP_PX) + _GAP_PX, columns * (width + _GAP_PX) + _GAP_PX, 3), _PAPER, np.uint8)
    for number, picture in enumerate(pictures_NHWC):
        top, left = (place * (side + _GAP_PX) + _GAP_PX for place, side in
                     zip(divmod(number, columns), (height, width), strict=True))  # fmt: skip
        sheet[top : top + height, left : left + width] = picture
    return sheet


def write_grid(path: Path, pictures_NHWC: Pixels, *, columns: int | None = None, made_by: str = "") -> None:
    """Write a grid as PNG, whole or not at all.

    Args:
        path: the file.
        pictures_NHWC: at least one picture.
        columns: pictures a row; by default as many as rows.
        made_by: what generated them, for the metadata; empty for pictures that are not generated.
    """
    from PIL import Image, PngImagePlugin

    about = PngImagePlugin.PngInfo()
    if made_by:
        about.add_itxt("Description", generated_words(made_by))
    content = io.BytesIO()
    Image.fromarray(grid(pictures_NHWC, columns)).save(content, "PNG", pnginfo=about, optimize=True)
    write_bytes(path, content.getvalue())


def write_film(path: Path, frames: Sequence[Pixels], *, made_by: str, milliseconds: int = 80) -> None:
    """Write frames (H, W, 3) as a GIF that goes round, whole or not at all, with one palette for all of them."""
    from PIL import Image

    pictures = [Image.fromarray(frame) for frame in frames]
    palette = Image.fromarray(np.concatenate(frames[:: max(1, len(frames) // 8)])).quantize(256)
    flat = [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures]
    content = io.BytesIO()
    flat[0].save(
        content,
        "GIF",
        save_all=True,
        append_images=flat[1:],
        duration=milliseconds,
        loop=0,
        comment=generated_words(made_by).encode(),
    )
    write_bytes(path, content.getvalue())


def generated_words(made_by: str) -> str:
    """Say that a picture is generated, and by what.

    >>> generated_words("fastgan, seed 0 (run 1a2b)")
    'Generated picture, no photograph. Made by Étude: fastgan, seed 0 (run 1a2b).'
    """
    return f"Generated picture, no photograph. Made by Étude: {made_by}."
