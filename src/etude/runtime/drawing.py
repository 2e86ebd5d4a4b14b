"""Masks as pictures: ids with their palette or as grey levels, and colours laid over the picture."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image

from etude.core.files import write_apart
from etude.pictures.reading import Pixels
from etude.runtime.answers import MaskAnswer


def mask_png(answer: MaskAnswer) -> bytes:
    """Return a PNG file of ids; its palette shows them in the colours of their classes."""
    image = Image.fromarray(answer.mask)
    indexed = Image.frombytes("P", image.size, image.tobytes())
    indexed.putpalette(answer.lookup().tobytes())
    return _png(indexed)


def grey_png(answer: MaskAnswer) -> bytes:
    """Return a PNG file whose grey levels are the ids: exact where two classes share a colour."""
    return _png(Image.fromarray(answer.mask))


def rgb_png(pixels: Pixels) -> bytes:
    """Return a PNG file of colours."""
    return _png(Image.fromarray(pixels))


def write_masks(answer: MaskAnswer, folder: Path, stem: str) -> list[Path]:
    """Write the ids and the overlay of a picture, apart from those of others of its name; return the two files."""
    return write_apart(folder, stem, {"ids.png": mask_png(answer), "overlay.png": rgb_png(answer.overlay())})


def _png(image: Image.Image) -> bytes:
    packed = io.BytesIO()
    image.save(packed, "PNG", compress_level=3)
    return packed.getvalue()
