"""Masks as pictures: ids with their palette, and colours laid over the picture."""

from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path

from PIL import Image

from etude.core.files import write_bytes
from etude.pictures.reading import Pixels
from etude.runtime.answers import MaskAnswer


def mask_png(answer: MaskAnswer) -> bytes:
    """Return a PNG file of ids; its palette shows them in the colours of their classes."""
    image = Image.fromarray(answer.mask)
    indexed = Image.frombytes("P", image.size, image.tobytes())
    indexed.putpalette(answer.lookup().tobytes())
    return _png(indexed)


def rgb_png(pixels: Pixels) -> bytes:
    """Return a PNG file of colours."""
    return _png(Image.fromarray(pixels))


def write_masks(answer: MaskAnswer, folder: Path, stem: str) -> list[Path]:
    """Write the ids and the overlay of a picture, and return the two files.

    A name that other masks have gets the beginning of these ones' hash: pictures of several folders are often called
    the same.
    """
    contents = {"ids.png": mask_png(answer), "overlay.png": rgb_png(answer.overlay())}
    files = {folder / f"{stem}.{kind}": content for kind, content in contents.items()}
    if any(os.path.lexists(path) and not _holds(path, content) for path, content in files.items()):
        digest = hashlib.sha256(b"".join(contents.values())).hexdigest()[:12]
        files = {folder / f"{stem}-{digest}.{kind}": content for kind, content in contents.items()}
    for path, content in files.items():
        write_bytes(path, content)
    return list(files)


def _holds(path: Path, content: bytes) -> bool:
    """Whether a file has a content."""
    return path.is_file() and path.read_bytes() == content


def _png(image: Image.Image) -> bytes:
    packed = io.BytesIO()
    image.save(packed, "PNG", compress_level=3)
    return packed.getvalue()
