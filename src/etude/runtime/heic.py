"""HEIC pictures, as phones make them, where pillow-heif is installed.

The server does not read them: what strangers send reaches Pillow's six decoders and no other.
"""

from __future__ import annotations

import io
from typing import Final

import numpy as np

from etude.core.errors import DataError, sentence
from etude.pictures.bounds import check_size, out_of_memory
from etude.pictures.reading import MAX_PIXELS, Pixels, to_rgb

HEIC: Final = frozenset({".heic", ".heif"})
"""The endings, in lower case, of the files that are taken for HEIC pictures."""
_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1")


def is_heic(content: bytes) -> bool:
    """Whether the first bytes are those of a HEIC picture."""
    return content[4:8] == b"ftyp" and content[8:12] in _BRANDS


def decode_heic(content: bytes, name: str, max_pixels: int = MAX_PIXELS) -> Pixels:
    """Decode a HEIC picture upright, as RGB; transparency is laid over white.

    Raises:
        DataError: if it cannot be read, is too large, or the library is not installed.
    """
    try:
        import pillow_heif
    except ImportError:
        remedy = "Install it with `pip install pillow-heif`, or convert the picture to JPEG."
        text = sentence("pictures", name, "a HEIC picture, with a library to read it", "no library", remedy)
        raise DataError(text, cause="heic") from None
    size_px: tuple[int, int] | None = None
    try:
        opened = pillow_heif.open_heif(io.BytesIO(content), convert_hdr_to_8bit=True)
        size_px = opened.size[1], opened.size[0]
        check_size(*size_px, name, max_pixels)
        return np.asarray(to_rgb(opened.to_pillow(), name))  # the decoder has turned it upright already
    except DataError:
        raise
    except MemoryError as error:
        raise out_of_memory(name, size_px, len(content)) from error
    except Exception as error:  # the decoder raises errors of several kinds on a damaged file
        text = sentence("pictures", name, "a whole HEIC picture", str(error)[:200])
        raise DataError(text, cause="damaged") from error
