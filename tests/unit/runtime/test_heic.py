"""HEIC pictures: what lies under transparency, and how errors are told apart."""

from __future__ import annotations

import io
import sys

import numpy as np
import pytest
from PIL import Image

from etude.core.errors import DataError
from etude.runtime.heic import decode_heic


def as_heic(image: Image.Image) -> bytes:
    heif = pytest.importorskip("pillow_heif", reason="needs pillow-heif")
    packed = io.BytesIO()
    heif.from_pillow(image).save(packed, quality=95)
    return packed.getvalue()


def test_transparency_is_laid_over_white() -> None:
    """As in every other format: it was dropped, and what it hid was shown."""
    picture = Image.new("RGBA", (64, 64), (200, 0, 0, 0))
    picture.paste((10, 200, 30, 255), (0, 0, 32, 64))
    decoded = decode_heic(as_heic(picture), "a.heic")
    assert decoded.shape == (64, 64, 3)
    assert np.abs(decoded[20:40, 8:24].astype(int) - [10, 200, 30]).max() < 12
    assert decoded[20:40, 44:60].min() > 245


def test_pictures_without_transparency_are_as_they_were() -> None:
    decoded = decode_heic(as_heic(Image.new("RGB", (64, 48), (10, 200, 30))), "a.heic")
    assert decoded.shape == (48, 64, 3)
    assert decoded.dtype == np.uint8
    assert np.abs(decoded.astype(int) - [10, 200, 30]).max() < 12


def test_errors_say_in_a_word_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    content = as_heic(Image.new("RGB", (64, 48), (10, 200, 30)))

    def cause(raw: bytes, most: int = 10_000) -> str:
        with pytest.raises(DataError) as caught:
            decode_heic(raw, "a.heic", most)
        return caught.value.cause

    assert cause(content, 100) == "pixels"
    assert cause(content[:60]) == "damaged"
    import pillow_heif

    def short(*_args: object, **_options: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr(pillow_heif, "open_heif", short)
        assert cause(content) == "memory"
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    assert cause(content) == "heic"
