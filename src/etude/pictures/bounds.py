"""What a picture may cost: what its bytes ask of a decoder is looked at before any decoder does.

Not all that a file costs lies in its pixels. TIFF tiles are decoded whole, however small the picture; the canvas of a
GIF or a WebP is reserved while the file is opened; and Pillow reads headers in Python, so that a body of nothing but
empty segments keeps all other threads of a server waiting. Whatever the bytes do not say clearly is left to the
decoder, which says what is wrong with it.
"""

from __future__ import annotations

import contextlib
import re
import struct
from collections.abc import Callable, Iterator
from typing import Final, Literal

from etude.core.counting import how_many
from etude.core.errors import DataError, sentence

MAX_SCANS: Final = 100
"""JPEG files of more scans than this are refused; encoders write about ten."""
MAX_MARKERS: Final = 10_000
"""Files of more segments, chunks or blocks than this are refused; each costs a few microseconds of Python."""
MAX_TILES: Final = 1 << 16
"""TIFF files of more tiles or strips than this are refused."""
MAX_RUN_LENGTH: Final = 4_200_000
"""BMP files with run lengths and more pixels than a large screen are refused: Pillow decodes them in Python."""
MAX_RUN_BYTES: Final = 4_000_000
"""And those of more bytes."""
MAX_EXIF: Final = 1_000_000
"""Pictures with more bytes of Exif are refused: Pillow makes an object of each of its numbers."""

_TILE_PX: Final = 1 << 20
"""Tiles of this many pixels are let be, however small the picture: a megapixel is soon decoded."""
_JUNK: Final = 100_000
"""Bytes between the markers of a JPEG that Pillow may pass over, one at a time; some cameras pad."""
_SHORT: Final = 256
"""A chunk of a PNG's pixels with fewer bytes than this counts as a part; encoders write thousands of them."""

_SCAN, _END = 0xDA, 0xD9
_STEP: Final = re.compile(rb"[^\xff]*+\xff++([^\xff])", re.DOTALL)
"""What Pillow's reader of a JPEG's header goes through up to and with the next marker."""
_BARE: Final = frozenset({0x00, 0xC8, *range(0xD0, 0xDA), *range(0xF0, 0xFE)})
"""What follows a byte 255 and has no segment."""
_MARKER: Final = re.compile(rb"\xff([\xc0-\xcf\xd9-\xfe])", re.DOTALL)
"""What begins a segment of a JPEG behind its first scan; libjpeg passes over lower codes, which have no length."""
_CHUNK: Final = struct.Struct(">I4s")
_PARTS: Final = {b"iCCP": MAX_MARKERS // 10}
"""As how many parts a chunk of a PNG counts: a profile of a kilobyte becomes a megabyte."""
_STRIPS, _TILES = 273, 324
_WIDTH, _HEIGHT, _TILE_WIDTH, _TILE_HEIGHT = _SIZES = 256, 257, 322, 323
_NOTES: Final = (34665, 34853)
"""Where a camera's notes lie, which Pillow reads too."""
_SIZES_OF_TYPES: Final = {3: 2, 4: 4, 5: 8, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
"""The bytes of each type of TIFF field with more than one."""
_TEXTS, _SHORTS = (1, 2, 7), 3
_INTEGERS: Final = {1: 1, 3: 2, 4: 4, 6: 1, 8: 2, 9: 4, 13: 4, 16: 8, 17: 8, 18: 8}
"""The bytes of each type of TIFF field that a decoder may take for a whole number."""


def check_size(height: int, width: int, name: str, max_pixels: int) -> None:
    """Refuse a picture that is too large to be decoded safely.

    Raises:
        DataError: if it has more than `max_pixels` pixels.
    """
    if height * width > max_pixels:
        rule = f"at most {max_pixels / 1e6:g} megapixels"
        raise _too_large(name, rule, (height, width), max_pixels, f"{width} × {height} pixels")


def check_bytes(content: bytes, file_format: str, name: str, max_pixels: int) -> None:
    """Refuse an encoded picture that would cost far more than its pixels, before any decoder sees it.

    Args:
        content: the encoded picture.
        file_format: JPEG, PNG, WEBP, GIF, BMP or TIFF.
        name: what errors call it.
        max_pixels: refuse pictures with more pixels than this.

    Raises:
        DataError: if it would; its `cause` is `pixels`, `tiles`, `run_lengths`, `scans`, `markers`, `parts` or
            `damaged`.
    """
    if (check := _CHECKS.get(file_format)) is not None:
        check(content, name, max_pixels)


@contextlib.contextmanager
def memory_told(name: str, size_px: tuple[int, int]) -> Iterator[None]:
    """Say of a lack of memory which picture, of which (height, width), it was too little for."""
    try:
        yield
    except MemoryError as error:
        raise out_of_memory(name, size_px) from error


def out_of_memory(name: str, size_px: tuple[int, int] | None, length: int = 0) -> DataError:
    """Return the error of a picture that there is too little memory for.

    Args:
        name: what errors call the picture.
        size_px: its (height, width), where it is known.
        length: the bytes of its file, told where its size is not.
    """
    told = f"{size_px[1]} × {size_px[0]} pixels" if size_px else how_many(length, "byte")
    remedy = "Free memory, read fewer pictures at a time, or scale the picture down."
    text = sentence("pictures", name, "a picture that fits into memory", f"no memory left for its {told}", remedy)
    facts = {"width": size_px[1], "height": size_px[0]} if size_px else {}
    return DataError(text, cause="memory", facts=facts)


def _too_large(
    name: str, rule: str, size_px: tuple[int, int], most: int, found: str, *, cause: str = "pixels"
) -> DataError:  # fmt: skip
    """Return the error of a picture, or of a part of it, with more than `most` pixels."""
    remedy = "It may be a decompression bomb; scale it down if it is a real picture."
    text = sentence("pictures", name, rule, found, remedy)
    return DataError(text, cause=cause, facts={"width": size_px[1], "height": size_px[0], "most": most})


def _too_many(name: str, cause: str, rule: str, most: int) -> DataError:
    """Return the error of a file of very many parts."""
    remedy = "It may be made to keep a machine busy; save it anew if it is a real picture."
    return DataError(sentence("pictures", name, rule, "more", remedy), cause=cause, facts={"most": most})


def _odd(name: str, found: str) -> DataError:
    """Return the error of a file whose sizes make no sense."""
    text = sentence("pictures", name, "a picture of one plain size", found, "Save it anew.")
    return DataError(text, cause="damaged")


def _check_jpeg(content: bytes, name: str, _max_pixels: int) -> None:
    """Refuse very many markers, and very many scans: each of those goes over all pixels again.

    Up to the first scan a marker is looked for as Pillow does it; behind that as libjpeg does.
    """
    at, markers, junk, exif = 2, 0, 0, 0
    while (found := _STEP.match(content, at)) is not None:
        markers, junk = markers + 1, junk + found.end() - at - 2
        if markers > MAX_MARKERS or junk > _JUNK:
            raise _too_many(name, "markers", f"a JPEG of at most {MAX_MARKERS} markers", MAX_MARKERS)
        at, code = found.end(), found[1][0]
        if code == _SCAN:
            _check_scans(content, name, at, markers)
            return
        if code not in _BARE:  # what the segment says of itself is passed over
            length = max(2, int.from_bytes(content[at : at + 2], "big"))
            exif += length if content[at + 2 : at + 8] == b"Exif\0\0" else 0
            _check_exif(exif, name)
            at += length
    if junk + max(0, len(content) - at) > _JUNK:  # Pillow looks for a marker to the last byte
        raise _too_many(name, "markers", f"a JPEG of at most {MAX_MARKERS} markers", MAX_MARKERS)


def _check_exif(length: int, name: str) -> None:
    """Refuse very much of what a camera notes."""
    if length > MAX_EXIF:
        raise _too_many(name, "parts", f"a picture of at most {MAX_EXIF} bytes of Exif", MAX_EXIF)


def _check_scans(content: bytes, name: str, at: int, markers: int) -> None:
    """Refuse very many scans, and markers, from the inside of the first scan's segment on."""
    if content.count(b"\xff\xda", at) < MAX_SCANS:  # those of a profile, or of what lies behind, may be none
        return
    scans = 1
    at += int.from_bytes(content[at : at + 2], "big")
    while (found := _MARKER.search(content, at)) is not None and found[1][0] != _END:
        at, markers = found.end(), markers + 1
        scans += found[1][0] == _SCAN
        if scans > MAX_SCANS:
            raise _too_many(name, "scans", f"a JPEG of at most {MAX_SCANS} scans", MAX_SCANS)
        if markers > MAX_MARKERS:
            raise _too_many(name, "markers", f"a JPEG of at most {MAX_MARKERS} markers", MAX_MARKERS)
        at += int.from_bytes(content[at : at + 2], "big")


def _check_png(content: bytes, name: str, _max_pixels: int) -> None:
    """Refuse very many chunks, before the pixels or behind them."""
    at, parts = 8, 0
    while at + _CHUNK.size <= len(content):
        length, kind = _CHUNK.unpack_from(content, at)
        if kind == b"IEND":
            return
        if kind not in (b"IDAT", b"fdAT") or length < _SHORT:
            parts += _PARTS.get(kind, 1)
        if parts > MAX_MARKERS:
            raise _too_many(name, "parts", f"a PNG of at most {MAX_MARKERS} chunks", MAX_MARKERS)
        if kind == b"eXIf":
            _check_exif(length, name)
        at += length + 12


def _check_gif(content: bytes, name: str, max_pixels: int) -> None:
    """Refuse a large canvas, which Pillow reserves as it opens the file, and very many blocks."""
    width, height = _u16s(content, 6, 2)
    check_size(height, width, name, max_pixels)
    if (frame_at := _frame_of(content, name)) is not None:
        left, top, frame_width, frame_height = _u16s(content, frame_at, 4)
        check_size(max(height, top + frame_height), max(width, left + frame_width), name, max_pixels)


def _frame_of(content: bytes, name: str) -> int | None:
    """Return where the first frame of a GIF says its place, found as Pillow finds it; None where there is none."""
    flags = content[10] if len(content) > 10 else 0
    at, parts = 13 + (3 << (flags & 7) + 1 if flags & 0x80 else 0), 0
    while at < len(content) and content[at] != ord(";"):
        if content[at] == ord(","):
            return at + 1
        at, blocks = _behind_extension(content, at + 1) if content[at] == ord("!") else (at + 1, 1)
        parts += blocks
        if parts > MAX_MARKERS:
            raise _too_many(name, "parts", f"a GIF of at most {MAX_MARKERS} blocks", MAX_MARKERS)
    return None


def _behind_extension(content: bytes, at: int) -> tuple[int, int]:
    """Return what lies behind a GIF's extension whose label lies at `at`, and how many blocks it has.

    Pillow reads a block or two before it looks for the empty one that ends them, but for a comment.
    """
    label, behind = content[at : at + 1], at + 1
    is_loop = label == b"\xff" and content[behind + 1 : behind + 12] == b"NETSCAPE2.0" and content[behind] >= 11
    least = 0 if label == b"\xfe" else 2 if is_loop else 1
    for number in range(MAX_MARKERS + 1):
        length = content[behind] if behind < len(content) else 0
        behind += 1 + length
        if not length and number >= least:
            return behind, number + 1
    return behind, MAX_MARKERS + 1


def _u16s(content: bytes, at: int, count: int) -> tuple[int, ...]:
    """Return so many numbers of two bytes; what lies behind the end is 0."""
    return struct.unpack(f"<{count}H", content[at : at + 2 * count].ljust(2 * count, b"\0"))


def _check_webp(content: bytes, name: str, max_pixels: int) -> None:
    """Refuse a large canvas, which the decoder reserves as it opens the file."""
    kind, head = content[12:16], content[20:30].ljust(10, b"\0")
    if kind == b"VP8X":
        width, height = (int.from_bytes(head[at : at + 3], "little") + 1 for at in (4, 7))
    elif kind == b"VP8L":
        bits = int.from_bytes(head[1:5], "little")
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    else:  # VP8, or what the decoder refuses
        width, height = (side & 0x3FFF for side in _u16s(head, 6, 2))
    check_size(height, width, name, max_pixels)
    at = 12
    for _ in range(MAX_MARKERS):
        if at + 8 > len(content):
            return
        length = int.from_bytes(content[at + 4 : at + 8], "little")
        if content[at : at + 4] == b"EXIF":
            _check_exif(length, name)
        at += 8 + length + (length & 1)
    raise _too_many(name, "parts", f"a WebP of at most {MAX_MARKERS} chunks", MAX_MARKERS)


def _check_bmp(content: bytes, name: str, _max_pixels: int) -> None:
    """Refuse a large picture of run lengths: Pillow decodes those a run, and fills lines a pixel, at a time."""
    told = content[14:34].ljust(20, b"\0")
    header, width, height, _, compression = struct.unpack("<IiiII", told)
    if header < 40 or compression not in (1, 2):
        return
    if abs(height) * abs(width) > MAX_RUN_LENGTH:
        rule, found = (
            f"at most {MAX_RUN_LENGTH / 1e6:g} megapixels of run lengths",
            f"{abs(width)} × {abs(height)} pixels",
        )
        raise _too_large(name, rule, (abs(height), abs(width)), MAX_RUN_LENGTH, found, cause="run_lengths")
    if len(content) > MAX_RUN_BYTES:
        rule = f"a BMP with run lengths of at most {MAX_RUN_BYTES} bytes"
        raise _too_many(name, "parts", rule, MAX_RUN_BYTES)


def _check_tiff(content: bytes, name: str, max_pixels: int) -> None:
    """Refuse large tiles, which libtiff decodes whole, and very many tiles, strips or fields."""
    fields = _Tiff(content, name).fields()
    if max(fields.get(tag, (0, 0))[0] for tag in (_STRIPS, _TILES)) > MAX_TILES:
        raise _too_many(name, "parts", f"a TIFF of at most {MAX_TILES} tiles or strips", MAX_TILES)
    if _TILE_WIDTH not in fields and _TILE_HEIGHT not in fields:
        return
    height, width, tile_height, tile_width = (
        fields.get(tag, (0, 0))[1] for tag in (_HEIGHT, _WIDTH, _TILE_HEIGHT, _TILE_WIDTH)
    )
    if not (tile_height and tile_width):
        raise _odd(name, f"tiles of {tile_width} × {tile_height}")
    found = f"{width} × {height} pixels in tiles of {tile_width} × {tile_height}"
    most = max(_TILE_PX, min(max_pixels, 16 * height * width))
    if tile_height * tile_width > most:
        rule = f"in tiles of at most {most / 1e6:.3g} megapixels"
        raise _too_large(name, rule, (tile_height, tile_width), most, found, cause="tiles")
    whole = -(-height // tile_height) * tile_height, -(-width // tile_width) * tile_width
    most = 2 * max(_TILE_PX, max_pixels)  # tiles may stand out over a picture that is let in
    if whole[0] * whole[1] > most:
        raise _too_large(
            name, f"in tiles of at most {most / 1e6:.3g} megapixels in all", whole, most, found, cause="tiles"
        )


class _Tiff:
    """The fields of a TIFF, read here rather than by Pillow: libtiff reads them anew and decodes by what it finds."""

    def __init__(self, content: bytes, name: str) -> None:
        self._content, self._name = content, name
        self._order: Literal["big", "little"] = "big" if content[:1] == b"M" else "little"
        self._word, self._of_count = (8, 8) if b"+" in content[2:4] else (4, 2)
        self._held = 0

    def fields(self) -> dict[int, tuple[int, int]]:
        """Return of the first picture's fields how many numbers each has, and the first of those that tell a size.

        Raises:
            DataError: if there are very many fields or numbers, or a field that tells a size stands there twice or is
                no single number.
        """
        fields: dict[int, tuple[int, int]] = {}
        for tag, kind, length, value_at in self._entries(self._number(self._word, self._word)):
            if tag in (_STRIPS, _TILES):
                fields[tag] = max(length, fields.get(tag, (0, 0))[0]), 0
            elif tag in _SIZES:
                size = _INTEGERS.get(kind, 0)
                if tag in fields or length != 1 or not size:
                    raise _odd(self._name, f"a field {tag} that stands there twice, or is no whole number")
                at = value_at if size <= self._word else self._number(value_at, self._word)
                fields[tag] = 1, self._number(at, size)
            elif tag in _NOTES:
                for _ in self._entries(self._number(value_at, self._word)):
                    pass
        return fields

    def _entries(self, at: int) -> Iterator[tuple[int, int, int, int]]:
        """Give tag, type, count of numbers and place of the value of each field of a directory.

        Raises:
            DataError: if there are very many fields, or more in them than the file holds.
        """
        word, content = self._word, self._content
        count, at = self._number(at, self._of_count), at + self._of_count
        if count > MAX_MARKERS:
            raise _too_many(self._name, "parts", f"a TIFF of at most {MAX_MARKERS} fields", MAX_MARKERS)
        for entry_at in range(at, min(at + count * (4 + 2 * word), len(content)), 4 + 2 * word):
            tag, kind = self._number(entry_at, 2), self._number(entry_at + 2, 2)
            length = self._number(entry_at + 4, word)
            # Bytes and texts are one object; of all others Pillow makes one for each number.
            most = MAX_TILES * (1 if kind != _SHORTS else 4)
            if length > most and kind not in _TEXTS and tag not in (_STRIPS, _TILES):
                raise _too_many(self._name, "parts", f"a TIFF of at most {most} numbers in a field", most)
            self._held += length * _SIZES_OF_TYPES.get(kind, 1)
            if self._held > 2 * len(content) + MAX_EXIF:  # each is read, and fields may share their place
                raise _odd(self._name, "fields that hold more than the file")
            yield tag, kind, length, entry_at + 4 + word

    def _number(self, at: int, length: int) -> int:
        return int.from_bytes(self._content[at : at + length], self._order)


_CHECKS: Final[dict[str, Callable[[bytes, str, int], None]]] = {
    "JPEG": _check_jpeg,
    "PNG": _check_png,
    "WEBP": _check_webp,
    "GIF": _check_gif,
    "BMP": _check_bmp,
    "TIFF": _check_tiff,
}
