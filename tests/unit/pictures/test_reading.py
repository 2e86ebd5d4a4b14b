"""The one safe reader: every format and mode, and every kind of bad file."""

import contextlib
import io
import os
import struct
import subprocess
import sys
import threading
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image
from PIL.ImageFile import ImageFile
from PIL.TiffImagePlugin import TiffImageFile

from etude.core.errors import DataError
from etude.pictures import reading
from etude.pictures.reading import OpenPicture, decode


def encode(image, file_format="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def claiming(width, height):
    """A tiny PNG file whose header claims another size."""
    raw = encode(Image.new("L", (8, 8)))
    header = b"IHDR" + struct.pack(">II", width, height) + raw[24:29]
    return raw[:12] + header + struct.pack(">I", zlib.crc32(header)) + raw[33:]


def ramp(height=24, width=36):
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows * 8, columns * 6, np.full_like(rows, 90)], axis=-1).astype(np.uint8)


@pytest.mark.parametrize("file_format", ["PNG", "BMP", "TIFF"])
def test_lossless_formats_give_back_the_pixels(file_format):
    pixels = ramp()
    assert np.array_equal(decode(encode(Image.fromarray(pixels), file_format)), pixels)


@pytest.mark.parametrize(("file_format", "options"), [("JPEG", {"quality": 98}), ("WEBP", {"lossless": True})])
def test_other_formats_give_nearly_the_pixels(file_format, options):
    pixels = ramp()
    decoded = decode(encode(Image.fromarray(pixels), file_format, **options))
    assert decoded.dtype == np.uint8
    assert np.abs(decoded.astype(int) - pixels).mean() < 3


def test_of_an_animation_the_first_picture_is_taken():
    frames = [Image.new("RGB", (8, 6), color) for color in [(255, 0, 0), (0, 255, 0), (0, 0, 255)]]
    for file_format in ("GIF", "WEBP", "PNG"):
        raw = encode(frames[0], file_format, save_all=True, append_images=frames[1:])
        decoded = decode(raw)
        assert decoded.shape == (6, 8, 3)
        assert np.abs(decoded.astype(int) - [255, 0, 0]).max() < 12, file_format


def test_transparency_is_laid_over_white():
    rgba = Image.new("RGBA", (4, 4), (200, 0, 0, 0))
    rgba.putpixel((0, 0), (10, 20, 30, 255))
    decoded = decode(encode(rgba))
    assert decoded[0, 0].tolist() == [10, 20, 30]
    assert decoded[1, 1].tolist() == [255, 255, 255]
    palette = Image.new("P", (4, 4), 1)
    palette.putpalette([0, 0, 0, 9, 9, 9, 200, 0, 0])
    palette.putpixel((0, 0), 2)
    decoded = decode(encode(palette, transparency=1))
    assert decoded[0, 0].tolist() == [200, 0, 0]
    assert decoded[2, 2].tolist() == [255, 255, 255]
    grey = Image.new("LA", (4, 4), (50, 0))
    assert decode(encode(grey)).min() == 255
    keyed = Image.new("RGB", (4, 4), (1, 2, 3))
    assert decode(encode(keyed, transparency=(1, 2, 3))).min() == 255


def test_palettes_grey_bits_and_cmyk_become_rgb():
    palette = Image.fromarray(ramp()).quantize(16)
    assert np.array_equal(decode(encode(palette)), np.asarray(palette.convert("RGB")))
    grey = Image.fromarray(ramp()[..., 0])
    assert np.array_equal(decode(encode(grey))[..., 2], ramp()[..., 0])
    bits = Image.fromarray((ramp()[..., 0] > 90).astype(np.uint8) * 255).convert("1")
    assert set(np.unique(decode(encode(bits)))) == {0, 255}
    red = decode(encode(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG", quality=95))
    assert np.abs(red[4, 4].astype(int) - [254, 0, 0]).max() < 10


def test_sixteen_bits_keep_their_high_byte_rather_than_saturate():
    levels = np.arange(0, 65536, 256, dtype=np.uint16).reshape(16, 16)
    for file_format in ("PNG", "TIFF"):
        decoded = decode(encode(Image.fromarray(levels), file_format))
        assert np.array_equal(decoded[..., 0], np.arange(256).reshape(16, 16)), file_format


def test_floating_point_and_wide_integers_are_refused():
    with pytest.raises(DataError, match="whole numbers"):
        decode(encode(Image.fromarray(np.ones((4, 4), np.float32)), "TIFF"))
    with pytest.raises(DataError, match="16 bits"):
        decode(encode(Image.fromarray(np.full((4, 4), 1 << 20, np.int32)), "TIFF"))


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_exif_orientation_is_applied(file_format, orientation):
    upright = Image.new("RGB", (48, 32), (0, 0, 0))
    upright.paste((255, 255, 255), (0, 0, 16, 16))  # the top left corner is white
    inverse = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = upright.transpose(inverse[orientation]) if orientation in inverse else upright
    exif = Image.Exif()
    exif[274] = orientation
    raw = encode(stored, file_format, exif=exif)
    decoded = decode(raw)
    assert decoded.shape == (32, 48, 3)
    assert decoded[4, 4].min() > 240
    assert decoded[28, 44].max() < 15
    assert OpenPicture(raw).size_px == (32, 48)


def test_a_damaged_orientation_does_not_refuse_the_picture_nor_warn():
    exif = Image.Exif()
    exif[274] = 6
    payload = exif.tobytes()
    raw = encode(Image.fromarray(ramp()), "JPEG", exif=payload[:12] + b"\xff\xff\xff" + payload[15:])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert decode(raw).shape[2] == 3


def test_a_large_jpeg_is_decoded_reduced_but_never_below_the_need():
    raw = encode(Image.fromarray(np.tile(ramp(), (20, 20, 1))), "JPEG")  # 480 × 720
    assert decode(raw).shape == (480, 720, 3)
    assert decode(raw, at_least_px=(60, 90)).shape == (60, 90, 3)
    assert decode(raw, at_least_px=(61, 90)).shape == (120, 180, 3)
    assert decode(raw, at_least_px=(60, 200)).shape == (240, 360, 3)
    assert decode(raw, at_least_px=(400, 10)).shape == (480, 720, 3)
    assert decode(raw, at_least_px=(9000, 9000)).shape == (480, 720, 3)


def test_reduction_counts_upright():
    exif = Image.Exif()
    exif[274] = 6
    raw = encode(Image.fromarray(np.tile(ramp(), (20, 20, 1))), "JPEG", exif=exif)  # stored 480 × 720, shown 720 × 480
    assert decode(raw, at_least_px=(180, 60)).shape == (180, 120, 3)


def test_arrays_of_every_shape():
    pixels = ramp()
    assert decode(pixels) is pixels
    assert np.array_equal(decode(pixels[..., 0])[..., 1], pixels[..., 0])
    assert np.array_equal(decode(pixels[..., :1])[..., 2], pixels[..., 0])
    transparent = np.dstack([pixels, np.zeros(pixels.shape[:2], np.uint8)])
    assert decode(transparent).min() == 255


@pytest.mark.parametrize(
    "array",
    [np.zeros((4, 4, 3), np.float32), np.zeros((4, 4, 2), np.uint8), np.zeros((0, 4, 3), np.uint8), np.zeros(4, "u1")],
)
def test_other_arrays_are_refused(array):
    with pytest.raises(DataError, match="must be a uint8 array"):
        decode(array, name="frame")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty file"),
        (b"just some words\n", "a text, 'just some words'"),
        (b"<!DOCTYPE html><html>", "a web page"),
        (b"%PDF-1.7", "a PDF"),
        (b"\0\0\0\x18ftypheic" + bytes(20), "HEIC"),
        (bytes(range(256)), "256 bytes of another kind"),
        ("été à la plage".encode(), "a text"),
    ],
)
def test_what_is_no_picture_is_described(tmp_path, content, said):
    path = tmp_path / "holiday.jpg"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        decode(path)
    assert said in str(caught.value)
    assert "holiday.jpg" in str(caught.value)


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
@pytest.mark.parametrize("kept", [0.02, 0.4, 0.9])
def test_truncated_files_are_named(file_format, kept):
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    raw = encode(Image.fromarray(noise), file_format)
    with pytest.raises(DataError, match=r"a/b\.png must be"):
        decode(raw[: max(3, int(len(raw) * kept))], name="a/b.png")


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_damaged_files_give_pixels_or_a_data_error_and_nothing_else(file_format):
    raw = bytearray(encode(Image.fromarray(np.tile(ramp(), (3, 3, 1))), file_format))
    rng = np.random.default_rng(1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(150):
            forged = bytearray(raw)
            for place in rng.integers(2, min(len(raw), 400), 6):
                forged[place] = rng.integers(256)
            with contextlib.suppress(DataError):
                assert decode(bytes(forged), max_pixels=1_000_000).ndim == 3


def test_a_bomb_is_refused_before_it_is_decoded():
    raw = claiming(30_000, 30_000)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(DataError, match=r"100 megapixels.*30000 × 30000"):
            decode(raw, name="bomb.png")
    with pytest.raises(DataError, match="megapixels"):
        decode(ramp(), max_pixels=100)


def with_scans(count):
    """Return a progressive JPEG whose last scan stands there so many times: each would be gone through."""
    raw = encode(Image.fromarray(np.tile(ramp(), (3, 3, 1))), "JPEG", progressive=True)
    last, end = raw.rindex(b"\xff\xda"), raw.rindex(b"\xff\xd9")
    return raw[:end] + raw[last:end] * (count - raw.count(b"\xff\xda")) + raw[end:]


def test_a_jpeg_of_very_many_scans_is_refused_before_it_is_decoded():
    with pytest.raises(DataError, match=r"scans\.jpg must be a JPEG of at most 100 scans"):
        decode(with_scans(101), name="scans.jpg")
    with contextlib.suppress(DataError):  # libjpeg may find the scans out of order
        decode(with_scans(100))


def test_what_lies_in_a_profile_or_behind_a_jpeg_is_no_scan():
    """Phones put a film behind the picture; its bytes mean nothing."""
    raw = encode(Image.fromarray(ramp()), "JPEG")
    profile = b"\xff\xda" * 200
    segment = b"\xff\xe2" + (len(profile) + 2).to_bytes(2, "big") + profile
    assert decode(raw[:2] + segment + raw[2:] + b"\xff\xda" * 500).shape == ramp().shape


def test_between_pillows_limit_and_ours_nothing_warns():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(DataError, match="too early or are damaged"):
            decode(claiming(9_600, 9_600))


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(DataError, match=r"No such file"):
        decode(tmp_path / "absent.png")
    with pytest.raises(DataError, match="a file"):
        decode(tmp_path)
    loop = tmp_path / "loop.png"
    loop.symlink_to(loop)
    with pytest.raises(DataError, match="can be read"):
        decode(loop)
    with pytest.raises(DataError, match="can be read"):
        decode(tmp_path / ("n" * 300 + ".png"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission(tmp_path):
    path = tmp_path / "secret.png"
    path.write_bytes(encode(Image.fromarray(ramp())))
    path.chmod(0)
    with pytest.raises(DataError, match="Permission denied"):
        decode(path)


def test_a_file_that_is_too_long_is_not_read_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "MAX_BYTES", 100)
    path = tmp_path / "long.png"
    path.write_bytes(b"\x89PNG" * 100)
    with pytest.raises(DataError, match="512 MiB"):
        decode(path)


def test_names_that_are_not_unicode_can_be_printed(tmp_path):
    path = tmp_path / os.fsdecode(b"caf\xe9.jpg")
    path.write_bytes(b"")
    with pytest.raises(DataError) as caught:
        decode(path)
    str(caught.value).encode("utf-8")
    assert "caf" in str(caught.value)


@pytest.mark.parametrize(
    ("raw", "cause"),
    [
        (b"", "empty"),
        (b"just some words", "kind"),
        (bytes(range(256)), "kind"),
        (b"\0\0\0\x18ftypheic" + bytes(20), "heic"),
        (b"\0\0\0\x18ftypmif1" + bytes(20), "heic"),
        (b"\0\0\0\x18ftypavif" + bytes(20), "kind"),
        (claiming(30_000, 30_000), "pixels"),
        (ramp()[:, :, :2], ""),
        (encode(Image.fromarray(ramp()))[:60], "damaged"),
        (encode(Image.fromarray(np.ones((4, 4), np.float32)), "TIFF"), "depth"),
        (encode(Image.fromarray(np.full((4, 4), 1 << 20, np.int32)), "TIFF"), "depth"),
    ],
    ids=lambda value: value if isinstance(value, str) else "raw",
)
def test_errors_say_in_a_word_what_is_wrong(raw, cause):
    with pytest.raises(DataError) as caught:
        decode(raw)
    assert caught.value.cause == cause


def test_errors_give_the_numbers_of_what_is_too_large():
    with pytest.raises(DataError) as caught:
        decode(claiming(30_000, 20_000), max_pixels=1_000_000)
    assert caught.value.facts == {"width": 30_000, "height": 20_000, "most": 1_000_000}
    with pytest.raises(DataError) as caught:
        decode(with_scans(101))
    assert caught.value.cause == "scans"
    assert caught.value.facts == {"most": 100}


@pytest.mark.parametrize("error", [MemoryError(), OSError("out of memory when reading image file")])
@pytest.mark.parametrize("file_format", ["JPEG", "PNG"])
def test_a_lack_of_memory_is_told_from_damage(monkeypatch, file_format, error):
    def load(_self):
        raise error

    monkeypatch.setattr(ImageFile, "load", load)
    with pytest.raises(DataError, match=r"a\.jpg must be .*memory.* 36 × 24 pixels.*Free memory") as caught:
        decode(encode(Image.fromarray(ramp()), file_format), name="a.jpg")
    assert caught.value.cause == "memory"
    assert caught.value.facts == {"width": 36, "height": 24}
    assert "damaged" not in str(caught.value)


def test_a_lack_of_memory_while_it_is_opened_or_turned_is_told_too(monkeypatch):
    exif = Image.Exif()
    exif[274] = 6
    raw = encode(Image.fromarray(ramp()), "JPEG", exif=exif)

    def short(*_args, **_options):
        raise MemoryError

    for name in ("getexif", "transpose"):
        with monkeypatch.context() as patched:
            patched.setattr(Image.Image, name, short)
            with pytest.raises(DataError) as caught:
                decode(raw)
            assert caught.value.cause == "memory", name
    monkeypatch.setattr(reading, "_decoder", lambda _format: short)
    with pytest.raises(DataError, match=r"memory.*bytes") as caught:
        decode(raw)
    assert caught.value.cause == "memory"
    assert caught.value.facts == {}


def warning_tiff():
    """A TIFF that Pillow warns of: the last of its fields lies behind its end."""
    raw = encode(Image.fromarray(ramp()), "TIFF", tiffinfo={65_000: "x" * 40})
    at = raw.index(struct.pack("<HHI", 65_000, 2, 41))
    return raw[: at + 8] + struct.pack("<I", 1 << 30) + raw[at + 12 :]


def test_what_pillow_warns_of_is_kept_in_and_nothing_else():
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        decode(warning_tiff())
        warnings.warn("one of the user's own", stacklevel=1)
    assert [str(each.message) for each in told] == ["one of the user's own"]


def test_the_test_of_warnings_has_something_to_keep_in():
    with pytest.warns(UserWarning, match="Tag data larger|Possibly corrupt|Truncated"):
        Image.open(io.BytesIO(warning_tiff())).load()


def test_a_slow_tiff_holds_up_no_other_picture(monkeypatch):
    """Decoders of TIFF files wrote their warnings under a lock that every picture with EXIF waited for."""
    exif = Image.Exif()
    exif[274] = 3
    other = encode(Image.fromarray(ramp()), "JPEG", exif=exif)
    begun, done = threading.Event(), threading.Event()
    load = TiffImageFile.load

    def slow(self):
        begun.set()
        assert done.wait(20)
        return load(self)

    monkeypatch.setattr(TiffImageFile, "load", slow)
    one = threading.Thread(target=decode, args=(warning_tiff(),))
    one.start()
    assert begun.wait(20)
    another = threading.Thread(target=decode, args=(other,))
    another.start()
    another.join(5)
    was_held_up = another.is_alive()
    done.set()
    one.join()
    another.join()
    assert not was_held_up


def test_threads_are_quiet_where_python_makes_errors_of_warnings():
    """Importing is quiet too, and changes no filter: the user's own warnings of Pillow stay until a picture is read."""
    script = (
        "import sys, threading, warnings\n"
        "import numpy, PIL.Image\n"
        "before = list(warnings.filters)\n"
        "from etude.pictures import reading\n"
        "assert list(warnings.filters) == before\n"
        "raws = [bytes.fromhex(line) for line in sys.stdin.read().split()]\n"
        "failed = []\n"
        "def work():\n"
        "    try:\n"
        "        for _ in range(30):\n"
        "            for raw in raws:\n"
        "                reading.decode(raw)\n"
        "    except Exception as error:\n"
        "        failed.append(error)\n"
        "threads = [threading.Thread(target=work) for _ in range(6)]\n"
        "[each.start() for each in threads]\n"
        "[each.join() for each in threads]\n"
        "assert not failed, failed\n"
        "assert len(warnings.filters) <= len(before) + 2, warnings.filters\n"
        "try:\n"
        "    warnings.warn('mine')\n"
        "except UserWarning:\n"
        "    print('still an error')\n"
    )
    exif = Image.Exif()
    exif[274] = 6
    payload = exif.tobytes()
    damaged = encode(Image.fromarray(ramp()), "JPEG", exif=payload[:12] + b"\xff\xff\xff" + payload[15:])
    given = "\n".join(raw.hex() for raw in (warning_tiff(), damaged))
    ran = subprocess.run([sys.executable, "-W", "error", "-c", script], input=given, capture_output=True, text=True)
    assert (ran.stdout, ran.stderr) == ("still an error\n", "")


def test_threads_may_decode_together_while_warnings_are_errors():
    exif = Image.Exif()
    exif[274] = 3
    raws = [encode(Image.fromarray(ramp()), "JPEG", exif=exif), encode(Image.fromarray(ramp()), "GIF")]
    failures = []

    def work():
        try:
            for _ in range(40):
                for raw in raws:
                    decode(raw)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
