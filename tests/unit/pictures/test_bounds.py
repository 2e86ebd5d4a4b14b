"""Pictures that would cost far more than their pixels are refused by their bytes, and ordinary ones are not."""

import io
import struct
import subprocess
import sys
import time
import zlib

import numpy as np
import pytest
from PIL import Image

from etude.core.errors import DataError
from etude.pictures import bounds, reading
from etude.pictures.reading import decode

_TYPES = {3: "H", 4: "I", 5: "II", 16: "Q"}


def encode(image, file_format="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def noise(height=24, width=36):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def refusal(raw, **options):
    with pytest.raises(DataError) as caught:
        decode(raw, name="forged", **options)
    return caught.value


# --- TIFF ---


def tiff(fields, body, *, is_big=False, order="<"):
    """Write a TIFF by hand: fields are (tag, type, values) in the order given; the value `body` is where it lies."""
    entry, room, word = (20, 8, "Q") if is_big else (12, 4, "I")
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "H", 43 if is_big else 42)
    head += struct.pack(order + "HHQ", 8, 0, 16) if is_big else struct.pack(order + "I", 8)
    begin = len(head) + (8 if is_big else 2) + entry * len(fields) + room
    length = {tag: struct.calcsize("=" + _TYPES[kind]) * len(values) for tag, kind, values in fields}
    body_at = begin + sum(size for size in length.values() if size > room)
    rows, beside = b"", b""
    for tag, kind, values in fields:
        told = struct.pack(order + _TYPES[kind] * len(values), *(body_at if v == "body" else v for v in values))
        rows += struct.pack(order + "HH" + word, tag, kind, len(values))
        if len(told) > room:
            rows += struct.pack(order + word, begin + len(beside))
            beside += told
        else:
            rows += told.ljust(room, b"\0")
    count = struct.pack(order + ("Q" if is_big else "H"), len(fields))
    return head + count + rows + bytes(room) + beside + body


def tiled(side=(64, 64), tile=(64, 64), *, extra=(), tile_kind=4, planes=1, packed=True, **options):
    """A black RGB picture in tiles that all lie on the same bytes; sides are (height, width)."""
    samples = 1 if planes == 2 else 3
    body = bytes(tile[0] * tile[1] * samples)
    body = zlib.compress(body, 9) if packed else body
    count = -(-side[0] // tile[0]) * -(-side[1] // tile[1]) * (3 if planes == 2 else 1)
    fields = [
        (256, 4, [side[1]]), (257, 4, [side[0]]), (258, 3, [8, 8, 8]), (259, 3, [8 if packed else 1]), (262, 3, [2]),
        (277, 3, [3]), (284, 3, [planes]), *extra, (322, tile_kind, [tile[1]]), (323, tile_kind, [tile[0]]),
        (324, 4, ["body"] * count), (325, 4, [len(body)] * count),
    ]  # fmt: skip
    return tiff(fields, body, **options)


@pytest.mark.parametrize("planes", [1, 2])
@pytest.mark.parametrize("options", [{}, {"order": ">"}, {"is_big": True}, {"is_big": True, "tile_kind": 16}])
def test_a_small_tiff_of_one_large_tile_is_refused(options, planes):
    """libtiff decodes whole tiles: 49 kB became 48 MiB, whatever the limit of pixels."""
    error = refusal(tiled(tile=(4096, 4096), planes=planes, **options), max_pixels=10_000)
    assert error.cause == "tiles"
    assert error.facts == {"width": 4096, "height": 4096, "most": 1 << 20}
    assert "must be in tiles of at most 1.05 megapixels. Got '64 × 64 pixels in tiles of 4096 × 4096'" in str(error)


def test_a_tile_far_larger_than_its_picture_is_refused_within_the_limit_too():
    assert refusal(tiled(tile=(4096, 4096))).cause == "tiles"


def test_a_thin_picture_of_wide_tiles_is_refused():
    """Each of its tiles is small; together they hold a thousand times the pixels."""
    error = refusal(tiled((1 << 16, 1), (64, 1024)), max_pixels=1 << 20)
    assert error.cause == "tiles"
    assert error.facts["width"] == 1024


def test_a_size_that_stands_twice_is_refused():
    """Of two fields with one number each decoder takes the one that it can read."""
    twice = tiled(tile=(4096, 4096), extra=[(322, 4, [64]), (323, 4, [64])])
    assert refusal(twice, max_pixels=10_000).cause == "damaged"


@pytest.mark.parametrize("tile", [(0, 64), (64, 0)])
def test_tiles_without_pixels_are_refused(tile):
    raw = tiled().replace(struct.pack("<HHII", 322, 4, 1, 64), struct.pack("<HHII", 322, 4, 1, tile[1]))
    raw = raw.replace(struct.pack("<HHII", 323, 4, 1, 64), struct.pack("<HHII", 323, 4, 1, tile[0]))
    assert refusal(raw).cause == "damaged"


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("tile", [(64, 64), (256, 256), (16, 1024)])
def test_ordinary_tiles_are_read(tile, packed):
    assert decode(tiled((64, 64), tile, packed=packed), max_pixels=10_000).shape == (64, 64, 3)
    assert decode(tiled((300, 500), tile, packed=packed), max_pixels=150_000).shape == (300, 500, 3)
    assert decode(tiled((1100, 700), (2048, 1024), packed=packed)).shape == (1100, 700, 3)


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits"])
def test_tiffs_in_strips_are_read(compression):
    raw = encode(Image.fromarray(noise(300, 200)), "TIFF", compression=compression)
    assert decode(raw, max_pixels=60_000).shape == (300, 200, 3)


def test_a_tiff_of_very_many_tiles_is_refused():
    """Pillow makes a decoder for each tile that is not compressed: 0.5 s a MiB."""
    error = refusal(tiled((300, 300), (1, 1), packed=False))
    assert error.cause == "parts"
    assert error.facts == {"most": bounds.MAX_TILES}


def test_a_tiff_of_very_many_fields_is_refused():
    fields = [(1000 + number, 3, [1]) for number in range(20_000)]
    assert refusal(tiled(extra=fields)).cause == "parts"


def test_a_tiff_whose_fields_lie_outside_the_file_is_damaged():
    assert refusal(b"II*\0\xff\xff\xff\x7f" + bytes(40)).cause == "damaged"
    assert refusal(b"II*\0\x08\0\0\0\xff\x0f").cause == "damaged"


# --- GIF ---


def gif(screen=(8, 6), frame=(0, 0, 8, 6), *, before=b"", disposal=2):
    """Write a GIF by hand; the screen is (width, height), the frame (left, top, width, height)."""
    head = b"GIF89a" + struct.pack("<HHBBB", *screen, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    control = b"!\xf9\4" + bytes([disposal << 2]) + b"\0\0\0\0"
    return head + before + control + b"," + struct.pack("<HHHHB", *frame, 0) + b"\2\2\x44\1\0;"


def test_a_gif_is_refused_before_its_canvas_is_reserved():
    """Pillow reserves what a frame leaves behind while it opens the file."""
    script = (
        "import resource, sys\n"
        "from etude.core.errors import DataError\n"
        "from etude.pictures.reading import decode\n"
        "tell = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10\n"
        "raws = [bytes.fromhex(line) for line in sys.stdin.read().split()]\n"
        "for raw in raws:\n"
        "    try:\n"
        "        decode(raw, max_pixels=1_000_000)\n"
        "    except DataError as error:\n"
        "        print(error.cause, error.facts['width'], tell())\n"
    )
    small = gif((1100, 1000), (0, 0, 1100, 1000))
    forged = [gif((7000, 7000), (0, 0, 7000, 7000)), gif((8, 6), (0, 0, 7000, 7000))]
    given = "\n".join(raw.hex() for raw in (small, *forged))
    done = subprocess.run([sys.executable, "-c", script], input=given, capture_output=True, text=True, check=True)
    told = [line.split() for line in done.stdout.splitlines()]
    assert [line[:2] for line in told] == [["pixels", "1100"], ["pixels", "7000"], ["pixels", "7000"]]
    assert int(told[-1][2]) - int(told[0][2]) < 20


@pytest.mark.parametrize(
    "before",
    [
        b"!\xfe\3abc\2de\0",  # a comment
        b"!\xfe\0",
        b"!\xff\x0bNETSCAPE2.0\3\1\0\0\0",
        b"!\xff\x0bXMP DataXMP\4abcd\0",
        b"!\xf0\0\0",  # where the first block is empty, Pillow reads on
        b"!\xff\x0bNETSCAPE2.0\0\3abc\0",
        b"junk",
        b"\0\0",
    ],
)
def test_the_first_frame_is_found_where_pillow_finds_it(before):
    wide = refusal(gif((8, 6), (0, 0, 300, 300), before=before), max_pixels=10_000)
    assert wide.facts == {"width": 300, "height": 300, "most": 10_000}
    picture = Image.open(io.BytesIO(gif((8, 6), (2, 0, 300, 300), before=before)))
    assert picture.size == (302, 300)


def test_gifs_are_read_as_before():
    frames = [Image.fromarray(noise()).quantize(8) for _ in range(3)]
    raw = encode(frames[0], "GIF", save_all=True, append_images=frames[1:], loop=0, comment=b"x" * 600, disposal=2)
    assert decode(raw, max_pixels=24 * 36).shape == (24, 36, 3)


@pytest.mark.parametrize("part", [b"!\xf0\0\0", b"x"])
def test_a_gif_of_very_many_blocks_is_refused(part):
    assert refusal(gif(before=part * 20_000)).cause == "parts"
    assert refusal(gif(before=b"!\xf0" + b"\1a" * 20_000 + b"\0")).cause == "parts"


@pytest.mark.parametrize(
    ("file_format", "options"),
    [
        ("GIF", {}),
        ("WEBP", {}),
        ("WEBP", {"lossless": True}),
        ("WEBP", {"save_all": True, "append_images": [Image.new("RGB", (301, 200))]}),
        ("TIFF", {"compression": "tiff_lzw"}),
    ],
)
def test_a_large_canvas_is_refused_before_the_file_is_opened(monkeypatch, file_format, options):
    raw = encode(Image.fromarray(noise(200, 301)), file_format, **options)
    assert decode(raw, max_pixels=200 * 301).shape == (200, 301, 3)
    if file_format != "TIFF":  # opening one reserves nothing
        monkeypatch.setattr(reading, "_decoder", lambda _format: pytest.fail("it was opened"))
    assert refusal(raw, max_pixels=200 * 301 - 1).facts == {"width": 301, "height": 200, "most": 200 * 301 - 1}


# --- JPEG ---


@pytest.mark.parametrize(
    "part",
    [
        b"\xff\xfe\0\2", b"\xff\xe5\0\2", b"\xff\xfe\0\0", b"\xff\xd0", b"\xff\xf3", b"\xff", b"\xff\0", b"\0",
        b"\xff\xdd\0\4\0\0",
    ],
)  # fmt: skip
def test_a_jpeg_of_very_many_markers_is_refused_at_once(part):
    """Pillow reads the header a marker, and a byte between markers, at a time: a quarter of a second of a MiB."""
    raw = encode(Image.fromarray(noise()), "JPEG")
    at = raw.index(b"\xff\xdb")
    forged = raw[:at] + part * ((20 << 20) // len(part)) + raw[at:]
    begun = time.process_time()
    error = refusal(forged)
    assert time.process_time() - begun < 0.5
    assert error.cause == "markers"
    assert error.facts == {"most": bounds.MAX_MARKERS}


def test_very_many_markers_behind_the_first_scan_are_refused_at_once():
    raw = encode(Image.fromarray(noise()), "JPEG")
    forged = raw[:-2] + b"\xff\xfe\0\2" * (1 << 20) + b"\xff\xda\0\2" * 101 + raw[-2:]
    begun = time.process_time()
    assert refusal(forged).cause == "markers"
    assert time.process_time() - begun < 0.5


def test_a_jpeg_with_long_profiles_and_padding_is_read():
    raw = encode(Image.fromarray(noise()), "JPEG")
    profile = b"\xff\xe2" + (65_000).to_bytes(2, "big") + b"\xff" * 64_998
    forged = raw[:2] + profile * 100 + b"\xff" * 1000 + raw[2:20] + bytes(1000) + raw[20:]
    assert np.array_equal(decode(forged), decode(raw))


# --- PNG ---


def chunk(kind, content=b""):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


@pytest.mark.parametrize(
    ("before", "chunks"),
    [
        (b"IDAT", [chunk(b"prIv")] * 20_000),
        (b"IDAT", [chunk(b"IDAT")] * 20_000),
        (b"IEND", [chunk(b"tEXt", b"a\0b")] * 20_000),
        (b"IDAT", [chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(1_000_000), 9))] * 12),
    ],
)
def test_a_png_of_very_many_chunks_is_refused(before, chunks):
    raw = encode(Image.fromarray(noise()))
    at = raw.index(before) - 4
    error = refusal(raw[:at] + b"".join(chunks) + raw[at:])
    assert error.cause == "parts"
    assert error.facts == {"most": bounds.MAX_MARKERS}


def test_a_png_in_many_chunks_of_a_sane_length_is_read():
    pixels = noise(1200, 1000)
    raw = encode(Image.fromarray(pixels))
    data = b"".join(raw[at + 8 : at + 8 + length] for at, length in _data_chunks(raw))
    pieces = [chunk(b"IDAT", data[at : at + 256]) for at in range(0, len(data), 256)]
    assert len(pieces) > bounds.MAX_MARKERS
    first = raw.index(b"IDAT") - 4
    assert np.array_equal(decode(raw[:first] + b"".join(pieces) + chunk(b"IEND")), pixels)


def _data_chunks(raw):
    at = 8
    while at < len(raw):
        length = int.from_bytes(raw[at : at + 4], "big")
        if raw[at + 4 : at + 8] == b"IDAT":
            yield at, length
        at += 12 + length


# --- BMP ---


def run_length_bmp(width, height, content):
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(content), 0, 0, 256, 0)
    begin = 14 + len(head) + 1024
    return b"BM" + struct.pack("<IHHI", begin + len(content), 0, 0, begin) + head + bytes(1024) + content


def test_a_run_length_bmp_is_read_while_it_is_small():
    assert decode(run_length_bmp(20, 10, b"\x14\0\0\0" * 10)).shape == (10, 20, 3)
    assert decode(run_length_bmp(20, -10, b"\x14\0\0\0" * 10)).shape == (10, 20, 3)


@pytest.mark.parametrize("height", [4000, -4000])
def test_a_large_run_length_bmp_is_refused(height):
    """Pillow fills its lines a pixel at a time, in Python: 4 s of 40 megapixels, from a few kB."""
    error = refusal(run_length_bmp(2000, height, b"\1\1\0\0" * 4000))
    assert error.cause == "run_lengths"
    assert error.facts == {"width": 2000, "height": 4000, "most": bounds.MAX_RUN_LENGTH}


def test_a_run_length_bmp_of_very_many_runs_is_refused():
    assert refusal(run_length_bmp(20, 10, b"\1\1" * (3 << 20))).cause == "parts"


def test_the_most_that_is_let_in_costs_little(monkeypatch):
    """Of each kind, as many parts as are let in."""
    raw = encode(Image.fromarray(noise()), "JPEG")
    png = encode(Image.fromarray(noise()))
    most, at = bounds.MAX_MARKERS - 20, png.index(b"IDAT") - 4
    begun = time.process_time()
    decode(raw[:2] + b"\xff\xfe\0\2" * most + raw[2:])
    decode(png[:at] + chunk(b"prIv") * most + png[at:])
    animation = encode(Image.fromarray(noise()), "GIF")
    at = animation.index(b",", 13 + 3 * 256)
    decode(animation[:at] + b"!\xf0\0\0" * (most // 3) + animation[at:])
    decode(run_length_bmp(1000, 1000, b"\1\1\0\0" * 1000))
    assert time.process_time() - begun < 2


@pytest.mark.parametrize("bare", [b"\xff\x01", b"\xff\x02", b"\xff\xbf"])
def test_scans_hidden_behind_a_marker_without_length_are_counted(bare):
    """libjpeg passes over these; taken for a segment, they would hide what follows for 64 kB."""
    raw = encode(Image.fromarray(noise()), "JPEG", progressive=True)
    at = raw.index(b"\xff\xda")
    end = raw.index(b"\xff\xda", at + 2)
    forged = raw[:end] + bare + raw[at:end] * 500 + raw[end:]
    assert refusal(forged).cause == "scans"


@pytest.mark.parametrize("junk", [b"\0", b"\xff"])
def test_junk_up_to_the_end_of_a_jpeg_is_counted(junk):
    raw = encode(Image.fromarray(noise()), "JPEG")
    assert refusal(raw[: raw.index(b"\xff\xdb")] + junk * 200_000).cause == "markers"


def test_very_much_exif_is_refused():
    """Pillow adds the segments up one by one, and makes an object of each number in them."""
    raw = encode(Image.fromarray(noise()), "JPEG")
    segment = b"\xff\xe1" + struct.pack(">H", 60_000) + b"Exif\0\0" + bytes(59_992)
    assert decode(raw[:2] + segment * 16 + raw[2:]).shape == (24, 36, 3)
    assert refusal(raw[:2] + segment * 17 + raw[2:]).cause == "parts"
    png = encode(Image.fromarray(noise()))
    assert refusal(png[:33] + chunk(b"eXIf", bytes(1_000_001)) + png[33:]).cause == "parts"
    webp = encode(Image.fromarray(noise()), "WEBP", exif=b"Exif\0\0" + bytes(1_000_002))
    assert refusal(webp).cause == "parts"


def strips(*extra):
    """A small grey picture of one strip, with further fields."""
    fields = [
        (256, 4, [4]), (257, 4, [4]), (258, 3, [8]), (259, 3, [1]), (262, 3, [1]), (273, 4, ["body"]), (277, 3, [1]),
        (278, 4, [4]), (279, 4, [16]), *extra,
    ]  # fmt: skip
    return tiff(fields, bytes(range(16)))


def test_fields_of_very_many_numbers_are_refused():
    assert decode(strips((33922, 4, [1] * 60_000))).shape == (4, 4, 3)
    assert refusal(strips((33922, 4, [1] * 70_000))).cause == "parts"
    notes = strips((34665, 4, ["body"]))
    at = len(notes) - 16
    entry = struct.pack("<HHII", 0x9201, 5, 70_000, 0)
    assert refusal(notes[:at] + struct.pack("<H", 1) + entry + bytes(10)).cause == "parts"


def test_fields_that_share_their_place_are_refused():
    """Each is read by itself: ten thousand of them would make of a file of 1 MB ten thousand."""
    shared = [(60_000 + number, 16, [0] * 2) for number in range(500)]
    raw = bytearray(strips(*shared) + bytes(500_000))
    for number in range(500):
        entry_at = raw.index(struct.pack("<HH", 60_000 + number, 16))
        raw[entry_at + 4 : entry_at + 8] = struct.pack("<I", 60_000)
    assert refusal(bytes(raw)).cause == "damaged"


def test_a_tiff_of_many_strips_on_the_same_bytes_costs_little():
    """Handed the whole file for each strip, a decoder read 19 GB of it."""
    count = 2_000
    fields = [
        (256, 4, [16]), (257, 4, [count]), (258, 3, [8]), (259, 3, [1]), (262, 3, [1]), (273, 4, ["body"] * count),
        (277, 3, [1]), (278, 4, [1]), (279, 4, [16] * count),
    ]  # fmt: skip
    raw = tiff(fields, bytes(19_000_000))
    started = time.process_time()
    assert decode(raw).shape == (count, 16, 3)
    assert time.process_time() - started < 0.7


def test_a_run_length_screen_is_read():
    line = b"\xff\0" * 10 + b"\x0a\0" + b"\0\0"  # ten runs of 255 pixels and one of 10
    assert decode(run_length_bmp(2560, 1600, line * 1600)).shape == (1600, 2560, 3)


def test_beyond_pillows_own_bound_a_size_is_told_as_a_size(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 300)
    error = refusal(encode(Image.fromarray(noise()), "WEBP"), max_pixels=10_000)
    assert (error.cause, error.facts) == ("pixels", {"width": 36, "height": 24, "most": 600})


def test_an_application_may_make_errors_of_pillows_bombs():
    raw = encode(Image.fromarray(noise()))
    script = (
        "import io, sys, warnings\n"
        "from PIL import Image\n"
        "from etude.pictures.reading import decode\n"
        "warnings.simplefilter('error', Image.DecompressionBombWarning)\n"
        "raw = bytes.fromhex(sys.stdin.read())\n"
        "decode(raw)\n"
        "Image.MAX_IMAGE_PIXELS = 500\n"
        "try:\n"
        "    Image.open(io.BytesIO(raw))\n"
        "except Image.DecompressionBombWarning:\n"
        "    print('still an error')\n"
    )
    ran = subprocess.run([sys.executable, "-c", script], input=raw.hex(), capture_output=True, text=True)
    assert (ran.stdout, ran.stderr) == ("still an error\n", "")
