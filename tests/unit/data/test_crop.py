"""Windows of pictures: inside, with the mask, rare classes more often, and the same whoever reads them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from etude.core.errors import DataError
from etude.data.augment import AugmentConfig
from etude.data.augment.crop import Crop, draw_pixel
from etude.data.loader import ImageLoader
from etude.data.stock import ArrayStock

PLAIN = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}


def coordinates(n=4, height=20, width=30):
    """Pictures that say in red and green where each pixel lies, with masks that say it too."""
    y, x = np.mgrid[:height, :width].astype(np.uint8)
    pictures = np.stack([x, y, np.zeros_like(x)], -1)[None].repeat(n, 0).copy()
    return pictures, np.zeros(n, np.int64), (x + y)[None].repeat(n, 0).copy()


def batches(crop, use=(), **options):
    pictures, labels, masks = coordinates()
    loader = ImageLoader(
        ArrayStock(pictures, labels, masks),
        batch=4,
        seed=3,
        augment=AugmentConfig(use=use),
        crop=crop,
        **PLAIN,
        **options,
    )
    return list(loader)


@pytest.mark.parametrize("use", [(), ("flip",), ("flip", "color")])
def test_a_window_lies_inside_and_the_mask_goes_with_it(use):
    (batch,) = batches(Crop((8, 12)), use)
    assert batch.images_BCHW.shape == (4, 3, 8, 12)
    assert batch.targets_B.shape == (4, 8, 12)
    assert (batch.targets_B != 255).all()
    if "color" not in use:
        where = (batch.images_BCHW * 255).round().long()
        assert torch.equal(where[:, 0] + where[:, 1], batch.targets_B)
        assert len({tuple(row[:2, 0, 0].tolist()) for row in where}) > 1  # a draw of its own for each


def test_a_window_that_is_turned_keeps_to_its_size():
    (batch,) = batches(Crop((8, 12)), ("rotate", "scale"))
    assert batch.images_BCHW.shape == (4, 3, 8, 12)
    where = (batch.images_BCHW * 255).sum(1)
    known = batch.targets_B != 255
    assert known.float().mean() > 0.8
    assert (where - batch.targets_B)[known].abs().max() <= 2.0  # nearest against bilinear


def test_threads_change_nothing():
    one, other = (batches(Crop((8, 12), 0.5), ("flip", "scale"), workers=workers)[0] for workers in (0, 2))
    assert torch.equal(one.images_BCHW, other.images_BCHW)
    assert torch.equal(one.targets_B, other.targets_B)


def test_balanced_windows_show_a_rare_class_more_often():
    rng = np.random.default_rng(0)
    pictures, labels, masks = (
        np.zeros((64, 40, 40, 3), np.uint8),
        np.zeros(64, np.int64),
        np.zeros((64, 40, 40), np.uint8),
    )
    for mask in masks:  # one pixel of 1,600
        mask[tuple(rng.integers(0, 40, 2))] = 1
    seen = {}
    for balanced in (0.0, 1.0):
        stock = ArrayStock(pictures, labels, masks)
        loader = ImageLoader(stock, batch=64, seed=0, crop=Crop((10, 10), balanced), **PLAIN)
        seen[balanced] = (next(iter(loader)).targets_B == 1).any((1, 2)).float().mean().item()
    assert seen[0.0] < 0.25
    assert seen[1.0] > 0.4  # half are laid about it


def test_a_pixel_is_drawn_of_any_class_and_of_none_in_a_void():
    mask = torch.tensor([[0, 0, 255], [2, 0, 255]])
    assert draw_pixel(mask, 0.9, 0.5) == (1, 0)
    assert draw_pixel(mask, 0.1, 0.99) == (1, 1)
    assert draw_pixel(torch.full((2, 2), 255), 0.5, 0.5) is None


def test_a_window_larger_than_the_pictures_is_refused():
    with pytest.raises(DataError, match=r"crop must be within the pictures, \(20, 30\)"):
        batches(Crop((21, 12)))
