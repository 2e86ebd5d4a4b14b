"""Generated pictures to look at: a grid as PNG, a film as GIF; both say in their metadata that they are generated.

Shapes: N pictures, H and W pixels, C channels; uint8 RGB.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from etude.core.files import write_bytes
from etude.pictures.generated import generated_png, generated_words, grid

Pixels = npt.NDArray[np.uint8]


def write_grid(
    path: Path, pictures_NHWC: Pixels, *, made_by: str, columns: int | None = None, has_photographs: bool = False
) -> None:
    """Write a grid as PNG, whole or not at all.

    Args:
        path: the file.
        pictures_NHWC: at least one picture.
        made_by: what generated them, for the metadata.
        columns: pictures a row; by default as many as rows.
        has_photographs: whether some of the pictures are photographs.
    """
    write_bytes(path, generated_png(grid(pictures_NHWC, columns), made_by, has_photographs=has_photographs))


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
