"""Arrays of an explained run travel in a notebook: smaller, and near enough to what they were."""

from __future__ import annotations

import io

import numpy as np
import pytest

from etude.report.arrays import PACKED, pack_arrays, unpack_arrays


@pytest.fixture
def carried(tmp_path):
    """Pack arrays, unpack them as a notebook does, and return them with the size that they travelled with."""

    def carry(arrays):
        folder = tmp_path / "runs" / "0123" / "explain"
        folder.mkdir(parents=True, exist_ok=True)
        packed = pack_arrays(arrays)
        (folder / f"why{PACKED}").write_bytes(packed)
        unpack_arrays(tmp_path)
        with np.load(folder / "why.npz") as found:
            return dict(found), len(packed)

    return carry


def draw(*shape):
    """Return something that looks like photographs: waves, with some noise."""
    rng = np.random.default_rng(0)
    lines, columns = np.meshgrid(np.arange(shape[-3]), np.arange(shape[-2]), indexing="ij")
    waves = 128 + 80 * np.sin(lines / 9)[..., None] * np.cos(columns / 13)[..., None]
    return (waves + rng.normal(0, 8, shape)).clip(0, 255).astype(np.uint8)


def test_large_pictures_are_coded_anew_and_maps_of_them_have_their_size(carried):
    pictures, cam = draw(8, 224, 160, 3), np.linspace(-3, 5, 224 * 160).reshape(224, 160)
    found, size = carried({"pictures": pictures, "grad_cam.0": cam, "pixels.0": cam > 0, "picture": pictures[0]})
    assert found["pictures"].shape == (8, 192, 137, 3)
    assert found["picture"].shape == (192, 137, 3)
    assert found["grad_cam.0"].shape == found["pixels.0"].shape == (192, 137)
    assert found["pixels.0"].dtype == np.bool_
    assert found["grad_cam.0"].min() == pytest.approx(-3, abs=0.1)
    assert found["grad_cam.0"].max() == pytest.approx(5, abs=0.1)
    plain = io.BytesIO()
    np.savez_compressed(plain, pictures=pictures, cam=cam, picture=pictures[0])
    assert size < len(plain.getvalue()) / 5


def test_a_picture_looks_as_it_did(carried):
    pictures = draw(2, 192, 192, 3)
    found, _ = carried({"pictures": pictures})
    assert np.abs(found["pictures"].astype(int) - pictures).mean() < 8  # the noise that was laid on


def test_small_pictures_and_places_are_exact(carried):
    arrays = {
        "confident": draw(12, 32, 32, 3),
        "features.tsne": np.random.default_rng(1).normal(size=(500, 2)).astype(np.float32),
        "labels": np.arange(500) % 7,
        "filters": np.random.default_rng(2).normal(size=(16, 3, 3, 3)).astype(np.float32),
        "truth": np.random.default_rng(3).integers(0, 9, (4, 60, 80), dtype=np.uint8),
        "nothing": np.zeros((0, 2), np.float32),
    }
    found, _ = carried(arrays)
    assert found.keys() == arrays.keys()
    for name, values in arrays.items():
        assert np.array_equal(found[name], values), name


def test_each_map_of_a_layer_keeps_its_own_scale(carried):
    maps = np.random.default_rng(4).normal(size=(3, 32, 32)).astype(np.float16)
    maps[1] *= 1000
    found, _ = carried({"maps.0": maps})
    for before, after in zip(maps.astype(np.float32), found["maps.0"], strict=True):
        assert np.abs(before - after).max() <= np.ptp(before) / 255
