"""What augmentation does to a picture, its mask and its target, checked on pictures whose answer is known."""

import math

import pytest
import torch

from etude.data.augment import AugmentConfig
from etude.data.augment.augmenter import Augmenter
from etude.data.augment.color import color
from etude.data.augment.draw import Draw
from etude.data.augment.erase import cutout
from etude.data.augment.geometry import VOID, move_pixels, rotate, shift, warp
from etude.data.augment.mix import cutmix

BYTES = {"mean": (0.0, 0.0, 0.0), "std": (1 / 255, 1 / 255, 1 / 255)}
"""A normalisation that leaves pixels in 0..255."""

H, W = 24, 40


def augment(*use, images, targets, seed=0, strength=1.0, **options):
    augmenter = Augmenter(AugmentConfig(use=use, strength=strength), **{**BYTES, **options})
    return augmenter(images, targets, torch.Generator().manual_seed(seed))


def random_images(count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, H, W, 3), dtype=torch.uint8, generator=generator).permute(0, 3, 1, 2)


def labels(count):
    return torch.arange(count)


def make_draw(count, strength=1.0, seed=0):
    return Draw(count, H, W, strength, torch.Generator().manual_seed(seed), torch.device("cpu"))


def test_half_of_the_pictures_are_flipped_and_the_others_left_alone():
    images = random_images(400)
    out = augment("flip", images=images, targets=labels(400)).images_BCHW
    same = (out == images).flatten(1).all(1)
    mirrored = (out == images.flip(3)).flatten(1).all(1)
    assert (same ^ mirrored).all()
    assert 150 < int(mirrored.sum()) < 250


@pytest.mark.parametrize("strength", [1.0, 2.0, 3.0])
def test_shifts_reach_every_whole_offset_up_to_their_range_and_no_further(strength):
    matrices = shift(make_draw(4000, strength))
    for axis, side in ((0, W), (1, H)):
        reach = int(strength * side / 8)
        assert set(matrices[:, axis, 2].tolist()) == set(range(-reach, reach + 1))


def coded_pictures(count):
    """Pictures whose every pixel tells its row and column, and masks with an id of the same position."""
    rows, columns = torch.meshgrid(torch.arange(H), torch.arange(W), indexing="ij")
    picture = torch.stack((rows, columns, torch.zeros_like(rows)), -1).to(torch.uint8)
    mask = ((rows * 7 + columns) % 250).to(torch.uint8)
    return picture.expand(count, H, W, 3).contiguous(), mask.expand(count, H, W).contiguous()


def test_flip_and_shift_move_the_mask_with_the_picture_pixel_by_pixel():
    pictures, masks = coded_pictures(32)
    out = augment("flip", "shift", images=pictures.permute(0, 3, 1, 2), targets=masks)
    rows, columns = out.images_BCHW[:, 0].long(), out.images_BCHW[:, 1].long()
    known = out.targets_B != VOID
    assert torch.equal(out.targets_B[known], ((rows * 7 + columns) % 250)[known])
    assert 0.75 < known.float().mean() < 1.0


def test_a_shifted_mask_is_void_exactly_where_the_picture_is_a_reflection():
    pictures, masks = coded_pictures(1)
    matrix = torch.eye(3)[None].clone()
    matrix[0, 0, 2], matrix[0, 1, 2] = -3, 2
    moved, moved_masks = move_pixels(pictures, masks, matrix)
    assert (moved_masks[0, :, :3] == VOID).all()
    assert (moved_masks[0, -2:] == VOID).all()
    assert (moved_masks[0, :-2, 3:] != VOID).all()
    assert moved[0, 0, :5, 1].tolist() == [3, 2, 1, 0, 1]


def test_a_warped_edge_is_at_the_same_place_in_picture_and_mask():
    picture = torch.zeros(16, H, W, 3, dtype=torch.uint8)
    picture[:, :, W // 2 :] = 255
    masks = (picture[..., 0] > 0).to(torch.uint8)
    out = augment("rotate", "scale", "shift", "flip", images=picture.permute(0, 3, 1, 2), targets=masks)
    clear = (out.images_BCHW[:, 0] - 127.5).abs() > 1.0
    known = clear & (out.targets_B != VOID)
    assert torch.equal(out.targets_B[known] == 1, (out.images_BCHW[:, 0] > 127.5)[known])
    assert known.float().mean() > 0.7


def test_a_warp_and_a_gather_agree_where_both_can_do_the_movement():
    images = random_images(8).permute(0, 2, 3, 1).contiguous()
    masks = images[..., 0].clone()
    matrices = shift(make_draw(8))
    matrices[::2, 0, 0] = -1.0
    moved, moved_masks = move_pixels(images, masks, matrices)
    warped, warped_masks = warp(images, masks, matrices)
    assert torch.equal(moved_masks, warped_masks)
    # Reflection included; a thousandth of a level is what float32 coordinates leave.
    assert (warped - moved.permute(0, 3, 1, 2).float()).abs().max() < 0.05


def test_color_keeps_pictures_in_range_and_saturation_keeps_greys_grey():
    grey = random_images(16)[:, :1].expand(-1, 3, -1, -1).contiguous()
    out = augment("color", images=grey, targets=labels(16), strength=3.0).images_BCHW
    assert out.min() >= 0
    assert out.max() <= 255.01
    assert (out[:, 0] - out[:, 2]).abs().max() < 0.1
    assert (out - grey.float()).abs().mean() > 5


def test_brightness_contrast_and_saturation_are_each_drawn_for_every_picture():
    grey_level = 100.0
    matrices, offsets = color(make_draw(200), torch.full((200, 3), grey_level))
    gain = matrices.sum(2).mean(1)
    saturation = (matrices[:, 0, 0] - matrices[:, 1, 0]) / gain
    brightness = gain + offsets.mean(1) / grey_level
    contrast = gain / brightness
    for factor in (brightness, contrast, saturation):
        assert len(factor.unique()) > 190
        assert 0.69 < factor.min() < 0.73
        assert 1.27 < factor.max() < 1.31


def test_noise_has_its_own_size_for_every_picture_within_its_range():
    grey = torch.full((64, 3, H, W), 128, dtype=torch.uint8)
    out = augment("noise", images=grey, targets=labels(64)).images_BCHW
    deviation = out.flatten(1).std(1) / 255
    assert deviation.max() < 0.053
    assert deviation.max() > 0.04
    assert deviation.min() < 0.01
    assert (out.mean((1, 2, 3)) - 128).abs().max() < 2


def test_cutout_hides_one_square_with_the_mean_colour_and_leaves_masks_alone():
    mean, std = (0.4, 0.5, 0.6), (0.2, 0.3, 0.25)
    images, masks = random_images(64), torch.ones(64, H, W, dtype=torch.uint8)
    plain = augment(images=images, targets=masks, mean=mean, std=std).images_BCHW
    out = augment("cutout", images=images, targets=masks, mean=mean, std=std)
    hidden = (out.images_BCHW == 0).all(1)
    assert torch.equal(out.images_BCHW[~hidden[:, None].expand_as(plain)], plain[~hidden[:, None].expand_as(plain)])
    sides = torch.stack((hidden.any(2).sum(1), hidden.any(1).sum(1)))
    assert sides.max() == 6
    assert torch.equal(sides[0] * sides[1], hidden.sum((1, 2)))
    assert (out.targets_B == 1).all()


@pytest.mark.parametrize(
    "boxes", [cutout(make_draw(64)), cutmix(make_draw(64, 3.0)).boxes_B4], ids=["cutout", "cutmix"]
)
def test_boxes_are_anywhere_and_within_the_picture(boxes):
    top, left, bottom, right = boxes.unbind(1)
    assert len(top.unique()) > 8
    assert len(left.unique()) > 8
    assert (top >= 0).all()
    assert (left >= 0).all()
    assert bottom.max() == H
    assert right.max() == W


def one_colour_each(count):
    """Pictures of one colour each, so that a mixture tells its shares."""
    return (torch.arange(count, dtype=torch.uint8) * 10)[:, None, None, None].expand(count, 3, H, W).contiguous()


def test_mixup_weights_are_the_shares_of_the_pictures():
    out = augment("mixup", images=one_colour_each(20), targets=labels(20))
    shares = out.mix_B * out.targets_B * 10 + (1 - out.mix_B) * out.other_targets * 10
    assert (out.images_BCHW - shares[:, None, None, None]).abs().max() < 1e-3
    assert (out.other_targets != out.targets_B).all()
    assert len(set(out.mix_B.tolist())) > 10


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_cutmix_weights_are_exactly_the_areas_that_are_left(dtype):
    out = augment("cutmix", images=one_colour_each(20), targets=labels(20), dtype=dtype)
    own = out.images_BCHW[:, 0] == (out.targets_B * 10)[:, None, None]
    other = out.images_BCHW[:, 0] == (out.other_targets * 10)[:, None, None]
    assert (own ^ other).all()
    assert torch.allclose(out.mix_B, own.float().mean((1, 2)), atol=1e-6)
    assert 4 <= int((out.mix_B < 1).sum()) <= 16


def test_cutmix_pastes_the_mask_with_the_picture():
    masks = torch.arange(20, dtype=torch.uint8)[:, None, None].expand(20, H, W).contiguous()
    out = augment("cutmix", images=one_colour_each(20), targets=masks)
    assert torch.equal(out.images_BCHW[:, 0].long(), out.targets_B * 10)
    assert len(out.targets_B.unique()) == 20
    assert out.mix_B is None
    assert out.other_targets is None


def test_with_both_mixes_each_picture_draws_one():
    out = augment("mixup", "cutmix", images=one_colour_each(25), targets=labels(25), strength=3.0)
    flat = out.images_BCHW[:, 0].flatten(1)
    pasted = torch.tensor([len(values.unique()) == 2 for values in flat])
    assert 5 <= int(pasted.sum()) <= 20
    mean = flat.mean(1)
    shares = out.mix_B * out.targets_B * 10 + (1 - out.mix_B) * out.other_targets * 10
    assert (mean - shares).abs().max() < 1e-2


def test_a_draw_of_partners_is_one_cycle():
    partner = make_draw(9).cycle().tolist()
    seen, at = [], 0
    for _ in range(9):
        seen.append(at)
        at = partner[at]
    assert sorted(seen) == list(range(9))
    assert at == 0


def test_normalisation_alone_is_the_formula():
    images = random_images(3)
    mean, std = (0.4, 0.5, 0.6), (0.2, 0.3, 0.25)
    out = Augmenter(None, mean=mean, std=std)(images, labels(3), torch.Generator()).images_BCHW
    for channel in range(3):
        expected = (images[:, channel].double() / 255 - mean[channel]) / std[channel]
        assert torch.allclose(out[:, channel].double(), expected, atol=1e-6)


def test_rotations_stay_within_their_range_and_fill_it():
    matrices = rotate(make_draw(2000))
    degrees = torch.rad2deg(torch.atan2(matrices[:, 1, 0], matrices[:, 0, 0]))
    assert degrees.abs().max() <= 15.001
    assert degrees.max() > 14.5
    assert degrees.min() < -14.5
    assert math.isclose(float(degrees.mean()), 0.0, abs_tol=1.0)
