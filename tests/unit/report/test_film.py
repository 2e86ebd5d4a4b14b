"""The film of a note: a large one is shown smaller, and does not vanish."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from etude.figures.samples import write_film
from etude.report import generated


def shown(embedded: str) -> tuple[bytes, Image.Image]:
    kind, _, text = embedded.partition(",")
    assert kind == "data:image/gif;base64"
    content = base64.b64decode(text)
    return content, Image.open(io.BytesIO(content))


def test_a_film_that_is_too_large_for_a_note_is_shown_smaller(tmp_path, monkeypatch):
    path = tmp_path / "interpolation.gif"
    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 256, (96, 192, 3), dtype=np.uint8) for _ in range(6)]
    write_film(path, frames, made_by="dcgan, seed 0")
    whole, _ = shown(generated._embed_film(path))
    assert whole == path.read_bytes(), "as it is where it fits"
    monkeypatch.setattr(generated, "_MOST_BYTES", len(whole) // 5)
    content, film = shown(generated._embed_film(path))
    assert len(content) <= len(whole) // 5
    assert film.n_frames == 6
    assert film.width > 40
    assert film.width == pytest.approx(2 * film.height, abs=1)
    assert film.info["duration"] == 80
    assert film.info["loop"] == 0
    assert film.info["comment"].decode().startswith("Generated picture, no photograph.")


def test_without_a_film_none_is_shown(tmp_path):
    assert generated._embed_film(tmp_path / "interpolation.gif") == ""
