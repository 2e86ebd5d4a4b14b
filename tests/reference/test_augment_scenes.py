"""The augmentations of scenes against independent implementations: Pillow's JPEG and perspective, SciPy's Gaussian."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter

from etude.data.augment.draw import Draw
from etude.data.augment.geometry import VOID, perspective, warp
from etude.data.augment.pixels import blur, compress

B, H, W = 4, 48, 72


def draw_with(strength=1.0, size=(H, W)):
    return Draw(B, *size, strength, torch.Generator().manual_seed(5), torch.device("cpu"))


def smooth_pictures(size=(H, W)):
    rng = np.random.default_rng(0)
    pictures = [
        np.asarray(Image.fromarray(rng.integers(0, 256, (6, 9, 3), dtype=np.uint8)).resize(size[::-1], Image.BICUBIC))
        for _ in range(B)
    ]
    return torch.from_numpy(np.stack(pictures))


@pytest.mark.parametrize("size", [(48, 72), (41, 67)], ids=str)
@pytest.mark.parametrize("quality", [10, 35, 50, 75, 95])
@pytest.mark.parametrize("is_grey", [True, False])
def test_jpeg_loses_what_pillows_jpeg_loses(is_grey, quality, size):
    grain = torch.randn((B, *size, 3), generator=torch.Generator().manual_seed(1)) * 20
    pictures_BHWC = (smooth_pictures(size) + grain).clamp(0, 255).to(torch.uint8)
    if is_grey:
        pictures_BHWC = pictures_BHWC[..., :1].expand(-1, -1, -1, 3)
    ours = compress(pictures_BHWC.permute(0, 3, 1, 2).float(), torch.full((B,), float(quality)))
    for picture, made in zip(pictures_BHWC.numpy(), ours.permute(0, 2, 3, 1).numpy(), strict=True):
        buffer = io.BytesIO()
        Image.fromarray(picture).save(buffer, "JPEG", quality=quality, subsampling=0)
        theirs = np.asarray(Image.open(buffer)).astype(np.float32)
        lost, different = (np.abs(theirs - other).mean() for other in (picture, made))
        # Pillow rounds the color differences before their transform, which takes some to another quantum.
        assert different < (0.1 * lost + 0.6 if is_grey else 0.25 * lost + 1.0)
        alike = np.corrcoef((theirs - picture).flatten(), (made - picture).flatten())[0, 1]
        assert alike > (0.88 if is_grey else 0.8)


def test_each_picture_is_compressed_at_its_own_quality():
    images = smooth_pictures()[:1].permute(0, 3, 1, 2).float().expand(3, -1, -1, -1)
    made = compress(images, torch.tensor([95.0, 50.0, 10.0]))
    errors = (made - images).abs().mean((1, 2, 3))
    assert errors[0] < errors[1] < errors[2]
    for number, quality in enumerate((95.0, 50.0, 10.0)):
        assert torch.allclose(made[number], compress(images[:1], torch.tensor([quality]))[0], atol=1e-3)


def test_perspective_is_pillows_perspective():
    matrices_B33 = perspective(draw_with())
    pictures_BHWC = smooth_pictures()
    made_BCHW, _ = warp(pictures_BHWC, None, matrices_B33)
    from_corner = np.array([[1, 0, -(W - 1) / 2], [0, 1, -(H - 1) / 2], [0, 0, 1]])
    for picture, matrix, made in zip(pictures_BHWC.numpy(), matrices_B33.double().numpy(), made_BCHW, strict=True):
        whole = np.linalg.inv(from_corner) @ matrix @ from_corner
        # Pillow's coordinates are those of pixel corners: half a pixel away.
        half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
        whole = half @ whole @ np.linalg.inv(half)
        coefficients = (whole / whole[2, 2]).flatten()[:8].tolist()
        theirs = Image.fromarray(picture).transform((W, H), Image.Transform.PERSPECTIVE, coefficients, Image.BILINEAR)
        ones = Image.new("L", (W, H), 255)
        inside = np.asarray(ones.transform((W, H), Image.Transform.PERSPECTIVE, coefficients, Image.NEAREST)) == 255
        inside[[0, -1]] = inside[:, [0, -1]] = False  # Pillow fills the border where half a pixel is outside
        different = np.abs(np.asarray(theirs).astype(float) - made.permute(1, 2, 0).numpy())[inside]
        assert inside.mean() > 0.7
        assert np.percentile(different, 99) < 1.5


def test_perspective_moves_the_mask_with_its_picture():
    ids_BHW = (torch.arange(B * H * W) % 4).view(B, H, W).to(torch.uint8)
    coarse_BHW = ids_BHW.clone()
    coarse_BHW[:] = ((torch.arange(H)[:, None] // 12 + torch.arange(W) // 12) % 4).to(torch.uint8)
    pictures_BHWC = (coarse_BHW * 60)[..., None].expand(-1, -1, -1, 3).contiguous()
    made_BCHW, moved_BHW = warp(pictures_BHWC, coarse_BHW, perspective(draw_with()))
    inside_BHW = moved_BHW != VOID
    agree = ((made_BCHW[:, 0] / 60).round() == moved_BHW)[inside_BHW].float().mean()
    assert agree > 0.9
    assert 0.7 < inside_BHW.float().mean() <= 1


def test_blur_is_scipys_gaussian():
    images = smooth_pictures((128, 192)).permute(0, 3, 1, 2).float()
    rough = images + torch.randn(images.shape, generator=torch.Generator().manual_seed(0)) * 20
    made = blur(draw_with(2.0, (128, 192)), rough.clone())
    deviations = draw_with(2.0, (128, 192)).uniform(0.05, 2.0)
    for picture, deviation, result in zip(rough, deviations.tolist(), made, strict=True):
        theirs = gaussian_filter(picture.numpy(), (0, deviation, deviation), mode="mirror", radius=6)
        assert np.abs(theirs - result.numpy()).max() < 0.02
