"""Large pictures on a CPU: what OpenCV makes of their bytes is what the warp and the color map of tensors make."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from etude.data.augment.augmenter import Augmenter
from etude.data.augment.color import color, night, recolor
from etude.data.augment.config import AugmentConfig
from etude.data.augment.draw import Draw
from etude.data.augment.geometry import VOID, perspective, rotate, scale, shift, warp
from etude.data.augment.large import recolor_bytes, warp_bytes

B, H, W = 6, 96, 160


def smooth_pictures(seed=0):
    coarse = torch.rand(B, 3, 7, 11, generator=torch.Generator().manual_seed(seed))
    made = F.interpolate(coarse, (H, W), mode="bicubic", align_corners=True).clamp(0, 1)
    return (made * 255).byte().permute(0, 2, 3, 1).contiguous()


def make_draw(strength=1.0, seed=3):
    return Draw(B, H, W, strength, torch.Generator().manual_seed(seed), torch.device("cpu"))


def moved(*kinds, strength=1.0):
    draw, matrices = make_draw(strength), torch.eye(3).expand(B, 3, 3)
    for kind in kinds:
        matrices = matrices @ kind(draw)
    return matrices


@pytest.mark.parametrize(
    ("kinds", "strength"),
    [((rotate,), 1.0), ((scale, rotate, shift), 1.0), ((perspective, rotate), 1.0), ((scale, rotate), 3.0)],
    ids=["rotate", "affine", "perspective", "far outside"],
)
@pytest.mark.parametrize("to_px", [None, (48, 64)], ids=["whole", "crop"])
def test_a_warp_of_bytes_is_the_warp_of_tensors(kinds, strength, to_px):
    pictures, matrices = smooth_pictures(), moved(*kinds, strength=strength)
    masks = (pictures[..., 0] // 32).contiguous()
    expected, expected_masks = warp(pictures, masks, matrices, to_px)
    made, made_masks = warp_bytes(pictures, masks, matrices, to_px)
    # OpenCV rounds places to 1/32 pixel and results to a level.
    apart = (made.permute(0, 3, 1, 2).float() - expected).abs()
    assert apart.mean() < 0.5
    assert apart.max() < 4
    assert (made_masks != expected_masks).float().mean() < 0.01
    assert (made_masks == VOID).any() or to_px


def test_nothing_moved_is_nothing_changed():
    pictures = smooth_pictures()
    made, masks = warp_bytes(pictures, pictures[..., 1].contiguous(), torch.eye(3).expand(B, 3, 3))
    assert torch.equal(made, pictures)
    assert torch.equal(masks, pictures[..., 1])


def test_colors_of_bytes_are_the_colors_of_tensors():
    pictures = smooth_pictures()
    planar = pictures.permute(0, 3, 1, 2).float()
    expected = recolor(planar, (color, night), make_draw()).clamp(0, 255)
    made = recolor_bytes(pictures, (color, night), make_draw()).permute(0, 3, 1, 2).float()
    assert (made - expected).abs().max() < 0.75
    assert (made - planar).abs().mean() > 5


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("channels_last", [True, False])
def test_a_batch_of_large_pictures_is_that_of_the_steps_one_by_one(dtype, channels_last):
    count, size = 12, (256, 320)  # of three parts
    pictures = torch.randint(0, 256, (count, *size, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    before = pictures.clone()
    half = {"mean": (0.5, 0.4, 0.3), "std": (0.5, 0.25, 0.2), "dtype": dtype, "channels_last": channels_last}
    augmenter = Augmenter(AugmentConfig(use=("rotate", "color")), **half)
    made = augmenter(pictures.permute(0, 3, 1, 2), torch.arange(count), torch.Generator().manual_seed(5))
    again = augmenter(pictures.permute(0, 3, 1, 2), torch.arange(count), torch.Generator().manual_seed(5))
    plain = Augmenter(None, **half)(pictures.permute(0, 3, 1, 2), torch.arange(count), torch.Generator())
    assert torch.equal(made.images_BCHW, again.images_BCHW)
    assert torch.equal(pictures, before)
    assert made.images_BCHW.dtype == dtype
    mean, std = (torch.tensor(half[name])[:, None, None] for name in ("mean", "std"))
    expected = (pictures.permute(0, 3, 1, 2).float() / 255 - mean) / std
    assert (plain.images_BCHW.float() - expected).abs().max() < (1e-5 if dtype == torch.float32 else 0.02)
    apart = (made.images_BCHW.float() - plain.images_BCHW.float()).abs().mean((1, 2, 3))
    assert (apart > 0.05).all()
