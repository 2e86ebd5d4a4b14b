"""The one safe reader: bytes, a file or an array in, RGB uint8 out, the same for training and for serving.

Only six formats are tried, chosen by the first bytes and never by the file's name, and each is handed to its own
Pillow decoder, so that no other decoder can be reached by a forged file. What it would cost is checked before any pixel
is decoded (`bounds.py`). Whatever a decoder says about a bad file becomes one sentence that names the file.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Final, cast

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image
from PIL.ImageFile import ImageFile

from etude.core.counting import how_many
from etude.core.errors import DataError, sentence
from etude.pictures.bounds import check_bytes, check_size, memory_told, out_of_memory

Pixels = npt.NDArray[np.uint8]
RawPicture = bytes | Path | Pixels
SizePx = tuple[int, int]
"""A height and a width, in pixels."""

MAX_PIXELS: Final = 100_000_000
"""Pictures with more pixels than this are refused before they are decoded."""
MAX_BYTES: Final = 1 << 29
"""Files longer than this (512 MiB) are refused before they are read."""
EXTENSIONS: Final = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".dib", ".tif", ".tiff"}
)
"""The endings, in lower case, of the files that are taken for pictures."""

_DECODERS: Final = {
    "JPEG": ("PIL.JpegImagePlugin", "JpegImageFile"),
    "PNG": ("PIL.PngImagePlugin", "PngImageFile"),
    "WEBP": ("PIL.WebPImagePlugin", "WebPImageFile"),
    "GIF": ("PIL.GifImagePlugin", "GifImageFile"),
    "BMP": ("PIL.BmpImagePlugin", "BmpImageFile"),
    "TIFF": ("PIL.TiffImagePlugin", "TiffImageFile"),
}
_FORMATS = "a JPEG, PNG, WebP, GIF, BMP or TIFF picture"
_REMEDY = "Replace the file by a good copy, or take it away."
_UPRIGHT: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

_HUSHED: Final[tuple[object, ...]] = ("ignore", None, UserWarning, re.compile(r"PIL\."), 0)
"""The filter that keeps in what Pillow's own modules warn of, as Python's list of filters has it."""
_hushing = threading.Lock()


def decode(
    raw: RawPicture, *, name: str = "", at_least_px: SizePx | None = None, max_pixels: int = MAX_PIXELS
) -> Pixels:
    """Decode a picture upright, as RGB.

    Palettes, grey, CMYK and 16-bit pictures are converted; transparency is laid over white; of an animation the first
    picture is taken; the EXIF orientation is applied.

    Args:
        raw: an encoded picture, the path of one, or a uint8 array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4).
        name: what errors call the picture; by default its path.
        at_least_px: the (height, width) that is needed. A JPEG larger than that may be decoded at 1/2, 1/4 or 1/8 of
            its size, never below what is needed. By default at full size.
        max_pixels: refuse pictures with more pixels than this.

    Returns:
        uint8 array (H, W, 3). An RGB array is returned as it is, not copied.

    Raises:
        DataError: if it is no picture, is truncated, or is too large.
    """
    if isinstance(raw, np.ndarray):
        return _rgb_of_array(raw, name or "the array", max_pixels)
    opened = OpenPicture(raw, name=name, max_pixels=max_pixels)
    with memory_told(opened.name, opened.size_px):
        return np.asarray(opened.rgb(at_least_px)[0])


class OpenPicture:
    """An encoded picture whose size is known and whose pixels wait to be decoded, once.

    Attributes:
        name: what errors call it.
        size_px: its (height, width) when upright, before any reduction.
        file_format: JPEG, PNG, WEBP, GIF, BMP or TIFF.
        mode: Pillow's mode before any conversion, such as CMYK, P or RGBA.
        orientation: the EXIF orientation, 1 (upright) to 8.

    Args:
        raw: the encoded picture, or the path of one.
        name: what errors call the picture; by default its path.
        max_pixels: refuse pictures with more pixels than this.

    Raises:
        DataError: if it is no picture, or is too large.
    """

    def __init__(self, raw: bytes | Path, *, name: str = "", max_pixels: int = MAX_PIXELS) -> None:
        self.name = printable(name or (str(raw) if isinstance(raw, Path) else "the picture"))
        content = read_file(raw, self.name) if isinstance(raw, Path) else raw
        self.file_format = _format_of(content, self.name)
        max_pixels = min(max_pixels, _most_of(self.file_format))
        check_bytes(content, self.file_format, self.name, max_pixels)
        self._length = len(content)
        self._told_px: SizePx | None = None
        with self._decoding():
            self._image = _decoder(self.file_format)(io.BytesIO(content))
        self._told_px = self._image.height, self._image.width
        check_size(*self._told_px, self.name, max_pixels)
        # Handed over at once: for each of its blocks of 64 KiB a thread would wait for Python's lock again.
        # Of several strips each would be handed all of the file.
        if len(getattr(self._image, "tile", ())) == 1:
            self._image.decodermaxblock = max(self._image.decodermaxblock, len(content))
        with self._decoding():
            if self.file_format != "JPEG":  # only a JPEG gains from waiting until the size is known
                self._image.load()
            self.orientation = _orientation(self._image)
        self.mode = self._image.mode
        height, width = self._image.height, self._image.width
        self.size_px: SizePx = (width, height) if self.orientation >= 5 else (height, width)
        self._told_px = self.size_px

    def rgb(self, at_least_px: SizePx | None = None) -> tuple[Image.Image, float]:
        """Decode as upright RGB.

        Args:
            at_least_px: the (height, width) below which the picture must not be reduced.

        Returns:
            The picture, and how many times it is smaller than it was (1, 2, 4 or 8).

        Raises:
            DataError: if the file is truncated or cannot be decoded.
        """
        reduction = 1.0
        with self._decoding():
            if at_least_px is not None and self.file_format == "JPEG":
                reduction = _reduce(self._image, at_least_px, swapped=self.orientation >= 5)
            self._image.load()
            rgb = to_rgb(self._image, self.name)
            if self.orientation in _UPRIGHT:
                rgb = rgb.transpose(_UPRIGHT[self.orientation])
        return rgb, reduction

    def ids(self) -> Pixels:
        """Decode as the ids of a mask: grey levels, or the indices of a palette.

        Returns:
            uint8 array (H, W), upright.

        Raises:
            DataError: if the picture holds colours, ids above 255, or was stored with loss.
        """
        if self.file_format == "JPEG":
            raise DataError(
                sentence("pictures", self.name, "a mask without loss", "a JPEG file", "Save masks as PNG files.")
            )
        with self._decoding():
            upright = self._image.copy()
            if self.orientation in _UPRIGHT:
                upright = upright.transpose(_UPRIGHT[self.orientation])
            return ids_of_array(np.asarray(upright), self.name)

    @contextlib.contextmanager
    def _decoding(self) -> Iterator[None]:
        """Turn whatever a decoder raises into one sentence, and keep its warnings in."""
        _hush_pillow()
        try:
            yield
        except DataError:
            raise
        except Exception as error:  # decoders raise nearly anything on a forged file
            if isinstance(error, MemoryError) or (isinstance(error, OSError) and "out of memory" in str(error)):
                raise out_of_memory(self.name, self._told_px, self._length) from error
            if isinstance(error, (Image.DecompressionBombError, Image.DecompressionBombWarning)):  # the application's
                rule = "a picture within Pillow's own bound"
                text = sentence("pictures", self.name, rule, str(error), "Raise PIL.Image.MAX_IMAGE_PIXELS.")
                raise DataError(text) from error
            found = f"{how_many(self._length, 'byte')} that end too early or are damaged ({error})"
            text = sentence("pictures", self.name, "a whole picture file", found, _REMEDY)
            raise DataError(text, cause="damaged") from error


def printable(name: str) -> str:
    r"""Return a name that can be printed anywhere, whatever bytes the file system gave.

    >>> printable("caf\udce9.jpg")
    'caf\\udce9.jpg'
    """
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def read_file(path: Path, name: str) -> bytes:
    """Read a regular file of a sane length, unopened by any decoder.

    Args:
        path: the file.
        name: what errors call it.

    Raises:
        DataError: if it is absent, no file, not permitted, or longer than 512 MiB.
    """
    name = printable(name)
    try:
        if not path.is_file():
            path.stat()  # says why: absent, a loop of links, no permission
            raise DataError(sentence("pictures", name, "a file", "something else", "Take it away."))
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
        raise DataError(
            sentence("pictures", name, "a file that can be read", reason, "Mend the file or its permissions.")
        ) from error
    if len(content) > MAX_BYTES:
        raise DataError(sentence("pictures", name, "at most 512 MiB long", "a longer file", "Scale the picture down."))
    return content


def ids_of_array(array: npt.NDArray[np.generic], name: str) -> Pixels:
    """Return the ids that an array holds.

    Args:
        array: whole numbers or booleans (H, W), (H, W, 1), or (H, W, 3) with three equal channels.
        name: what errors call the mask.

    Returns:
        uint8 array (H, W); the array itself if it is one already.

    Raises:
        DataError: if the array has another shape, holds colours, or holds ids outside 0..255.
    """
    if array.ndim == 3 and array.shape[2] in (1, 3) and (array == array[..., :1]).all():
        array = array[..., 0]
    if array.ndim != 2 or array.dtype.kind not in "uib":
        found = f"{array.dtype} {array.shape}"
        remedy = "Save the ids as grey levels or palette indices."
        raise DataError(sentence("pictures", name, "a mask with one id a pixel", found, remedy))
    if array.dtype == np.uint8:
        return array.astype(np.uint8, copy=False)
    if array.size and (int(array.max()) > 255 or int(array.min()) < 0):
        found = f"ids from {int(array.min())} to {int(array.max())}"
        raise DataError(sentence("pictures", name, "a mask with ids from 0 to 255", found, "Number the classes anew."))
    return array.astype(np.uint8)


def _format_of(content: bytes, name: str) -> str:
    """Tell the format by the first bytes."""
    if content[:3] == b"\xff\xd8\xff":
        return "JPEG"
    if content[:8] == b"\x89PNG\r\n\x1a\n":
        return "PNG"
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "WEBP"
    if content[:6] in (b"GIF87a", b"GIF89a"):
        return "GIF"
    if content[:2] == b"BM":
        return "BMP"
    if content[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return "TIFF"
    cause, found, remedy = _describe(content)
    raise DataError(sentence("pictures", name, _FORMATS, found, remedy), cause=cause)


@cache
def _decoder(file_format: str) -> Callable[[io.BytesIO], ImageFile]:
    """Return Pillow's decoder of a format, imported with the first picture that needs it: all six take 0.05 s."""
    module, name = _DECODERS[file_format]
    return cast("Callable[[io.BytesIO], ImageFile]", getattr(import_module(module), name))


def starts_as_picture(content: bytes) -> bool:
    r"""Whether the first bytes are those of a format that is read.

    >>> starts_as_picture(b"\xff\xd8\xff\xe0"), starts_as_picture(b"a=b")
    (True, False)
    """
    try:
        _format_of(content, "")
    except DataError:
        return False
    return True


def _describe(content: bytes) -> tuple[str, str, str]:
    """Say what bytes that are no picture of ours seem to be, in a word and in more, and what to do about them."""
    if not content:
        return "empty", "an empty file (0 bytes)", _REMEDY
    if content[4:12] in (b"ftypheic", b"ftypheix", b"ftypmif1", b"ftypavif"):
        cause = "kind" if content[8:12] == b"avif" else "heic"
        return cause, "a HEIC or AVIF picture", "Convert it to JPEG or PNG."
    head = content[:512]
    if head[:4] == b"%PDF":
        return "kind", "a PDF document", "Export its pictures as JPEG or PNG."
    if b"\0" not in head and sum(byte < 9 for byte in head) == 0:
        text = head[:40].decode("utf-8", "replace").strip()
        if text.startswith("<"):
            return "kind", f"a web page or an SVG drawing, {text!r}", "Download the picture itself."
        if head.decode("utf-8", "ignore").isprintable() or head.isascii():
            return "kind", f"a text, {text!r}", _REMEDY
    return "kind", f"{how_many(len(content), 'byte')} of another kind", _REMEDY


def _most_of(file_format: str) -> int:
    """Return the most pixels that Pillow itself lets in, of the formats for which its decoders look."""
    most = Image.MAX_IMAGE_PIXELS
    return 2 * most if most is not None and file_format in ("GIF", "TIFF", "WEBP") else sys.maxsize


def _hush_pillow() -> None:
    """Have what Pillow's modules warn of ignored: our own checks say what has to be said.

    Python's filters are one list for all threads, so that ours is laid down once and stays: were it taken away after
    each picture, threads would have to wait for each other. It is laid anew where another lies before it, as within
    `warnings.catch_warnings`; warnings of any other module are what they were.
    """
    if not _is_hushed():
        with _hushing:
            if not _is_hushed():
                warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
                # Of its bound on pixels an application may want to hear, even as an error: its filters come first.
                warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning, append=True)


def _is_hushed() -> bool:
    return bool(warnings.filters) and warnings.filters[0] == _HUSHED


def _orientation(image: ImageFile) -> int:
    """Return the EXIF orientation, 1 (upright) to 8; 1 where there is none or it is damaged."""
    is_tiff = image.format == "TIFF"
    if not (is_tiff or {"exif", "xmp", "Raw profile type exif"} & image.info.keys()):
        return 1
    try:
        found = image.getexif().get(ExifTags.Base.Orientation, 1)
    except MemoryError:
        raise
    except Exception:  # a damaged tag is no reason to refuse the picture
        return 1
    # TIFF files are turned upright by their decoder already.
    return found if isinstance(found, int) and found in _UPRIGHT and not is_tiff else 1


def _reduce(image: ImageFile, at_least_px: SizePx, *, swapped: bool) -> float:
    """Ask the JPEG decoder for the smallest of 1/1, 1/2, 1/4 and 1/8 that is not below what is needed."""
    height, width = at_least_px[::-1] if swapped else at_least_px
    full_width = image.width
    drafted = image.draft(None, (max(1, width), max(1, height)))
    return full_width / drafted[1][2] if drafted else 1.0


def to_rgb(image: Image.Image, name: str) -> Image.Image:
    """Convert any mode to RGB: 16 bits to 8, transparency over white."""
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode.startswith("I"):
        return Image.fromarray(_eight_bits(np.asarray(image), name)).convert("RGB")
    if image.mode == "F":
        remedy = "Save it with 8 bits a channel."
        text = sentence("pictures", name, "a picture of whole numbers", "floating-point pixels", remedy)
        raise DataError(text, cause="depth")
    if "transparency" in image.info or image.mode in ("RGBA", "RGBa", "LA", "La", "PA"):
        rgba = image if image.mode == "RGBA" else image.convert("RGBA")  # `convert` copies: 160 MB of 40 megapixels
        white = Image.new("RGB", rgba.size, (255, 255, 255))
        white.paste(rgba, mask=rgba.getchannel("A"))
        return white
    return image.convert("RGB")


def _eight_bits(array: npt.NDArray[np.generic], name: str) -> Pixels:
    """Keep the high byte of 16-bit grey levels."""
    if array.size and (int(array.max()) > 65_535 or int(array.min()) < 0):
        found = f"levels from {int(array.min())} to {int(array.max())}"
        text = sentence("pictures", name, "at most 16 bits a channel", found, "Save it with 8 bits.")
        raise DataError(text, cause="depth")
    return (array.astype(np.uint16) >> 8).astype(np.uint8)


def _rgb_of_array(array: npt.NDArray[np.generic], name: str, max_pixels: int) -> Pixels:
    """Return an array as RGB, without a copy where it is RGB already."""
    shape = array.shape
    fits = array.ndim == 2 or (array.ndim == 3 and shape[2] in (1, 3, 4))
    if array.dtype != np.uint8 or not fits or 0 in shape:
        remedy = "Give whole numbers from 0 to 255, channels last."
        rule = "a uint8 array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4)"
        raise DataError(sentence("pictures", name, rule, f"{array.dtype} {shape}", remedy))
    pixels = array.astype(np.uint8, copy=False)
    check_size(shape[0], shape[1], name, max_pixels)
    if pixels.ndim == 3 and shape[2] == 3:
        return pixels
    with memory_told(name, (shape[0], shape[1])):
        if pixels.ndim == 3 and shape[2] == 4:
            return np.asarray(to_rgb(Image.fromarray(pixels), name))
        return np.repeat(pixels.reshape(shape[0], shape[1], 1), 3, axis=2)
