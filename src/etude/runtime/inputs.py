"""What a predictor may be given, and what it makes of it: one picture as bytes, a path or a uint8 array."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from etude.core.errors import DataError, sentence
from etude.pictures.reading import RawPicture

Picture = Any
"""An array (H, W, 3), (H, W) or (H, W, 4), uint8, or floats from 0 to 1; a Pillow image; a path; encoded bytes."""

_RULE = "an array, a Pillow image, a path or the bytes of a picture"


def as_raw(picture: Picture, name: str = "") -> RawPicture:
    """Turn what a person has at hand into what the room `pictures` reads.

    Raises:
        DataError: if it is no picture; what is wrong with a file is told when it is read.
    """
    if isinstance(picture, bytes | bytearray | memoryview):
        return bytes(picture)
    if isinstance(picture, str | os.PathLike):
        return Path(picture)
    if isinstance(picture, np.ndarray):
        return _of_array(picture, name or "the array")
    if hasattr(picture, "mode") and hasattr(picture, "convert"):  # a Pillow image, without importing its module
        return _of_pillow(picture, name or "the Pillow image")
    if hasattr(picture, "__array__"):
        return _of_array(np.asarray(picture), name or "the array")
    raise DataError(sentence("predictor", name or "a picture", _RULE, type(picture).__name__))


def as_list(pictures: Picture) -> tuple[list[Picture], bool]:
    """Return the pictures as a list, and whether they came as one.

    An array (B, H, W, 3) is a list of B pictures.
    """
    if isinstance(pictures, list | tuple):
        return list(pictures), True
    if isinstance(pictures, np.ndarray) and pictures.ndim == 4:
        return list(pictures), True
    return [pictures], False


def _of_array(array: np.ndarray[Any, Any], name: str) -> np.ndarray[Any, Any]:
    """Return a uint8 array; floats from 0 to 1 are taken for levels."""
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * np.uint8(255)
    if array.dtype.kind == "f":
        low, high = (float(array.min()), float(array.max())) if array.size else (0.0, 0.0)
        if not (low >= 0.0 and high <= 1.0):  # NaN fails both
            remedy = "Divide levels from 0 to 255 by 255, or give them as uint8."
            raise DataError(sentence("predictor", name, "floats from 0 to 1", f"{low:g} to {high:g}", remedy))
        return np.rint(array * 255.0).astype(np.uint8)
    return array


def _of_pillow(image: Any, name: str) -> np.ndarray[Any, Any]:  # noqa: ANN401 - a Pillow image
    """Return its pixels as a person sees them: turned upright where its EXIF says so."""
    from PIL import ImageOps

    try:  # a file is decoded only now, and a decoder raises nearly anything
        upright = ImageOps.exif_transpose(image)
        is_wide = upright.mode in ("I", "F") or upright.mode.startswith("I;16")
        if "transparency" in upright.info and not is_wide:  # one colour of an RGB or grey picture may be clear too
            upright = upright.convert("RGBA")
        elif upright.mode not in ("RGB", "RGBA", "L") and not is_wide:
            upright = upright.convert("RGBA" if upright.mode in ("LA", "PA", "RGBa", "La") else "RGB")
        pixels = np.asarray(upright)
    except Exception as error:
        remedy = "Open the file anew, or replace it by a good copy."
        raise DataError(sentence("predictor", name, "a whole picture", str(error)[:200], remedy)) from error
    if upright.mode.startswith("I;16"):
        return (pixels >> 8).astype(np.uint8)
    return _of_array(pixels, name)  # I and F say as little of their range as an array does
