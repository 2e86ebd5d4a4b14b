"""Near duplicates: found whatever was done to them, and nothing else is taken for one."""

import io

import numpy as np
import pytest
from PIL import Image, ImageFilter

from etude.check.twins import find_twins

SIDE = 96


def scene(seed):
    """Draw a picture with the spectrum of a photograph: blots of all sizes."""
    rng = np.random.default_rng(seed)
    total = np.zeros((SIDE, SIDE, 3), np.float32)
    for cells in (3, 6, 12, 24, 48):
        blots = Image.fromarray(rng.integers(0, 256, (cells, cells, 3), dtype=np.uint8))
        total += np.asarray(blots.resize((SIDE, SIDE), Image.Resampling.BICUBIC), np.float32) * (3 / cells) ** 0.8
    total -= total.min()
    return Image.fromarray((total / total.max() * 255).astype(np.uint8))


def thumbnail(image):
    return np.asarray(image.convert("L").resize((32, 32), Image.Resampling.BILINEAR, reducing_gap=3.0))


def reencoded(image, **options):
    content = io.BytesIO()
    image.save(content, "JPEG", **options)
    return Image.open(io.BytesIO(content.getvalue()))


CHANGES = {
    "jpeg": lambda image: reencoded(image, quality=30),
    "half": lambda image: image.resize((SIDE // 2, SIDE // 2)),
    "bright": lambda image: image.point(lambda level: min(255, int(level * 1.2 + 15))),
    "grey": lambda image: image.convert("L").convert("RGB"),
    "mirrored": lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "cropped": lambda image: image.crop((2, 5, 2 + 87, 5 + 87)).resize((SIDE, SIDE)),
    "blurred": lambda image: image.filter(ImageFilter.GaussianBlur(1)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_copy_is_found_and_nothing_else(change):
    originals = [scene(seed) for seed in range(40)]
    copies = [CHANGES[change](image) for image in originals[:20]]
    twins = find_twins(np.stack([thumbnail(image) for image in [*originals, *copies]]))
    wanted = {(row, 40 + row) for row in range(20)}
    found = set(zip(twins.first.tolist(), twins.second.tolist(), strict=True))
    assert found <= wanted
    assert len(found) >= (17 if change == "cropped" else 20)
    assert (twins.mirrored == (change == "mirrored")).all()
    assert (twins.likeness <= 1 + 1e-5).all()


def test_what_a_frame_or_a_horizon_makes_alike_is_not_a_twin():
    pictures = []
    for seed in range(20):
        inside = thumbnail(scene(seed)).astype(np.float32) * 0.25
        framed = np.full((32, 32), 255, np.float32)
        framed[4:-4, 4:-4] = inside[4:-4, 4:-4]
        shore = np.where(np.arange(32)[:, None] < 14, 200, 60) + inside * 0.5
        pictures += [framed, shore]
    assert len(find_twins(np.stack(pictures).astype(np.uint8))) == 0


def test_pictures_without_contrast_are_not_compared():
    noise = np.random.default_rng(0).integers(100, 103, (10, 32, 32)).astype(np.uint8)
    assert len(find_twins(noise)) == 0
    assert len(find_twins(np.zeros((0, 32, 32), np.uint8))) == 0


def test_every_pair_of_a_set_is_found_once_whatever_the_blocks_and_threads(monkeypatch):
    thumbnails = np.stack([thumbnail(scene(seed % 7)) for seed in range(30)])
    whole = find_twins(thumbnails)
    monkeypatch.setattr("etude.check.twins._BLOCK", 8)
    seen = []
    cut = find_twins(thumbnails, workers=3, progress=lambda done, total: seen.append((done, total)))
    wanted = {(a, b) for a in range(30) for b in range(a + 1, 30) if a % 7 == b % 7}
    for twins in (whole, cut):
        pairs = list(zip(twins.first.tolist(), twins.second.tolist(), strict=True))
        assert len(pairs) == len(set(pairs))
        assert set(pairs) == wanted
    assert seen[-1] == (16, 16)


def test_when_all_are_alike_the_search_ends_and_says_so(monkeypatch):
    monkeypatch.setattr("etude.check.twins.MOST_PAIRS", 20)
    assert not find_twins(np.stack([thumbnail(scene(0))] * 10)).is_complete
