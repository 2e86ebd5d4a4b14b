"""Each augmentation against torchvision's function of the same parameters."""

import math

import pytest
import torch

from etude.data.augment.augmenter import Augmenter
from etude.data.augment.color import adjust
from etude.data.augment.draw import Draw
from etude.data.augment.erase import cutout, fill
from etude.data.augment.geometry import flip, move_pixels, rotate, scale, shift, warp

B, H, W = 12, 24, 36


@pytest.fixture(scope="module")
def reference():
    return pytest.importorskip("torchvision.transforms.v2.functional")


@pytest.fixture
def draw():
    return Draw(B, H, W, 1.0, torch.Generator().manual_seed(5), torch.device("cpu"))


@pytest.fixture(name="images_BHWC")
def make_images():
    return torch.randint(0, 256, (B, H, W, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def test_flip(reference, draw, images_BHWC):
    matrices = flip(draw)
    moved, _ = move_pixels(images_BHWC, None, matrices)
    for picture, result, matrix in zip(images_BHWC, moved, matrices, strict=True):
        planar = picture.permute(2, 0, 1)
        expected = reference.horizontal_flip(planar) if matrix[0, 0] < 0 else planar
        assert torch.equal(result.permute(2, 0, 1), expected)


def test_shift_is_a_crop_of_the_reflected_picture(reference, draw, images_BHWC):
    matrices = shift(draw)
    moved, _ = move_pixels(images_BHWC, None, matrices)
    for picture, result, matrix in zip(images_BHWC, moved, matrices, strict=True):
        padded = reference.pad(picture.permute(2, 0, 1), [8, 8, 8, 8], padding_mode="reflect")
        x, y = int(matrix[0, 2]), int(matrix[1, 2])
        assert torch.equal(result.permute(2, 0, 1), reference.crop(padded, 8 + y, 8 + x, H, W))


@pytest.mark.parametrize("kinds", [(rotate,), (scale,), (scale, rotate)], ids=["rotate", "scale", "both"])
def test_warp_is_the_affine_of_the_same_angle_and_scale(reference, draw, images_BHWC, kinds):
    matrices = torch.eye(3).expand(B, 3, 3)
    for kind in kinds:
        matrices = matrices @ kind(draw)
    masks_BHW = images_BHWC[..., 1].contiguous()
    warped, warped_masks = warp(images_BHWC, masks_BHW, matrices)
    interpolation = pytest.importorskip("torchvision.transforms.v2").InterpolationMode
    for number in range(B):
        cosine, sine = matrices[number, 0, 0].item(), matrices[number, 1, 0].item()
        given = {
            "angle": -math.degrees(math.atan2(sine, cosine)),
            "translate": [0, 0],
            "scale": 1 / math.hypot(cosine, sine),
            "shear": [0.0, 0.0],
        }
        planar = images_BHWC[number].permute(2, 0, 1).float()
        expected = reference.affine(planar, interpolation=interpolation.BILINEAR, **given)
        inside = warped_masks[number] != 255
        # One pixel in from the border of the source, where torchvision blends with its fill colour.
        core = reference.affine(torch.ones(1, H, W), interpolation=interpolation.BILINEAR, **given)[0] > 0.9999
        assert (warped[number] - expected)[:, core].abs().max() < 0.02
        mask = reference.affine(masks_BHW[number : number + 1], interpolation=interpolation.NEAREST, **given)[0]
        assert (warped_masks[number] != mask)[inside & core].float().mean() < 0.005
        assert core.float().mean() > 0.5


def test_color_is_brightness_then_contrast_then_saturation(reference):
    # Away from black and white, where torchvision clamps after every step and we once.
    images = torch.rand(B, 3, H, W, generator=torch.Generator().manual_seed(2)) * 0.3 + 0.35
    brightness, contrast, saturation = torch.rand(3, B, generator=torch.Generator().manual_seed(3)) * 0.6 + 0.7
    matrices, offsets = adjust(images.mean((2, 3)) * 255, brightness, contrast, saturation)
    ours = torch.baddbmm(offsets[:, :, None], matrices, images.view(B, 3, -1) * 255).view_as(images) / 255
    for number in range(B):
        expected = reference.adjust_brightness(images[number], brightness[number].item())
        expected = reference.adjust_contrast(expected, contrast[number].item())
        expected = reference.adjust_saturation(expected, saturation[number].item())
        assert (ours[number] - expected).abs().max() < 1e-4


def test_cutout_is_erase(reference, draw, images_BHWC):
    boxes = cutout(draw)
    result = images_BHWC.clone()
    fill(result, boxes)
    for number, (top, left, bottom, right) in enumerate(boxes.tolist()):
        planar = images_BHWC[number].permute(2, 0, 1)
        black = torch.zeros(3, 1, 1, dtype=torch.uint8)
        expected = reference.erase(planar, top, left, bottom - top, right - left, black)
        assert torch.equal(result[number].permute(2, 0, 1), expected)


def test_normalisation(reference, images_BHWC):
    mean, std = (0.4, 0.5, 0.6), (0.2, 0.3, 0.25)
    planar = images_BHWC.permute(0, 3, 1, 2)
    ours = Augmenter(None, mean=mean, std=std)(planar, torch.zeros(B), torch.Generator()).images_BCHW
    expected = reference.normalize(reference.to_dtype(planar, torch.float32, scale=True), list(mean), list(std))
    assert torch.allclose(ours, expected, atol=1e-5)
