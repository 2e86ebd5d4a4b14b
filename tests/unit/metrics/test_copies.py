"""Copies of training pictures are found whatever was done to them, and what is no copy is not."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageFilter

from etude.metrics.copies import nearness
from etude.metrics.near_copies import near_limit


def scenes(count: int, seed: int, size: int = 64) -> np.ndarray:
    """Return pictures of a few blurred coloured blobs each, as unlike one another as photographs are."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (count, 6, 6, 3), dtype=np.uint8)
    return np.stack([np.asarray(Image.fromarray(one).resize((size, size), Image.Resampling.BICUBIC)) for one in coarse])


def each(change, pictures: np.ndarray) -> np.ndarray:
    return np.stack([np.asarray(change(Image.fromarray(one))) for one in pictures])


TRAINING, HELD_OUT = scenes(60, 1), scenes(200, 2)
NOISE = np.random.default_rng(0).normal(0, 30, TRAINING.shape)
CHANGES = {
    "nothing": TRAINING,
    "mirrored": TRAINING[:, :, ::-1],
    "moved": np.roll(TRAINING, (6, -3), (1, 2)),
    "mirrored and moved": np.roll(TRAINING[:, :, ::-1], (-8, 4), (1, 2)),
    "blurred": each(lambda one: one.filter(ImageFilter.GaussianBlur(3)), TRAINING),
    "brighter": each(lambda one: ImageEnhance.Brightness(one).enhance(1.3), TRAINING),
    "paler": each(lambda one: ImageEnhance.Color(one).enhance(0.5), TRAINING),
    "noisy": np.clip(TRAINING + NOISE, 0, 255).astype(np.uint8),
    "enlarged": each(lambda one: one.resize((72, 72)).crop((4, 4, 68, 68)), TRAINING),
    "enlarged by a third": each(lambda one: one.resize((85, 85)).crop((3, 14, 67, 78)), TRAINING),
    "enlarged by half": each(lambda one: one.resize((96, 96)).crop((20, 8, 84, 72)), TRAINING),
}


@pytest.fixture(scope="module")
def limit() -> float:
    return near_limit(nearness(HELD_OUT, TRAINING)[0])


@pytest.mark.parametrize("change", CHANGES)
def test_a_copy_is_found_whatever_was_done_to_it(change, limit):
    ratios, at = nearness(CHANGES[change], TRAINING)
    assert (ratios < limit).mean() > 0.95
    assert (at == np.arange(len(TRAINING))).mean() > 0.95


def test_what_is_new_or_only_less_various_is_no_copy(limit):
    assert (nearness(scenes(200, 3), TRAINING)[0] < limit).mean() < 0.12
    dull = (0.5 * scenes(200, 4) + 64).astype(np.uint8)
    assert (nearness(dull, TRAINING)[0] < limit).mean() < 0.12
    noise = np.random.default_rng(5).integers(0, 256, (100, 64, 64, 3), dtype=np.uint8)
    assert (nearness(noise, TRAINING)[0] < limit).mean() < 0.12


def test_it_is_the_distance_to_the_nearest_over_the_mean_of_the_next_nine_over_windows_and_mirrors():
    training, pictures = scenes(12, 6, 32), scenes(3, 7, 32)

    def small(window):
        block = len(window) // 8
        means = window.reshape(8, block, 8, block, 3).astype(float).mean((1, 3)).ravel()
        return (means - means.mean()) / means.std()

    ratios, at = nearness(pictures, training)
    for row, picture in enumerate(pictures):
        wanted = small(picture[4:28, 4:28])
        found = [
            min(
                np.linalg.norm(wanted - small(side[top : top + part, left : left + part]))
                for side in (one, one[:, ::-1])
                for part in (24, 16)
                for top in range(0, 33 - part, 2)
                for left in range(0, 33 - part, 2)
            )
            for one in training
        ]
        assert at[row] == np.argmin(found)
        ordered = np.sort(found)
        assert ratios[row] == pytest.approx(ordered[0] / ordered[1:10].mean(), rel=1e-4)


@pytest.mark.parametrize("size", [8, 16, 32, 128])
def test_pictures_of_every_size_are_compared(size):
    training = scenes(20, 8, size)
    ratios, at = nearness(training[5:7], training)
    assert at.tolist() == [5, 6]
    assert ratios.max() < 0.01


def test_flat_pictures_and_a_single_training_picture_divide_by_nothing():
    flat = np.full((12, 16, 16, 3), 90, np.uint8)
    assert nearness(flat, flat)[0].tolist() == [0.0] * 12
    assert nearness(scenes(2, 9), scenes(1, 9))[0].tolist() == [0.0, 0.0]


def test_training_pictures_are_gone_through_in_parts_with_the_same_answer(monkeypatch):
    whole = nearness(HELD_OUT[:20], TRAINING)
    monkeypatch.setattr("etude.metrics.copies._CHUNK", 7)
    parts = nearness(HELD_OUT[:20], TRAINING)
    np.testing.assert_allclose(parts[0], whole[0], rtol=1e-5)
    np.testing.assert_array_equal(parts[1], whole[1])
