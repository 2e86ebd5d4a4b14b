"""The contract that every registered augmentation keeps, alone and with all the others."""

import pytest
import torch

from etude.data.augment import AUGMENTATIONS, AugmentConfig
from etude.data.augment.augmenter import Augmenter

MEAN, STD = (0.45, 0.5, 0.4), (0.25, 0.2, 0.3)
SIZES = [(16, 16), (12, 28)]
SETS = [*((name,) for name in AUGMENTATIONS), AUGMENTATIONS.names()]

pytestmark = pytest.mark.parametrize("use", SETS, ids="+".join)


def make_pictures(count, size, seed=0):
    return torch.randint(
        0, 256, (count, *size, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed)
    ).permute(0, 3, 1, 2)


def make_targets(task, count, size):
    if task == "classification":
        return torch.arange(count)
    return (torch.arange(count * size[0] * size[1]) % 5).to(torch.uint8).view(count, *size)


def run(use, images, targets, *, seed=3, strength=1.0, **options):
    augmenter = Augmenter(AugmentConfig(use=use, strength=strength), mean=MEAN, std=STD, **options)
    return augmenter(images, targets, torch.Generator().manual_seed(seed))


def same(one, other):
    pairs = ((getattr(one, name), getattr(other, name)) for name in one.__dataclass_fields__)
    return all((a is None and b is None) or torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("task", ["classification", "segmentation"])
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("count", [1, 6])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("channels_last", [True, False])
def test_shapes_types_and_memory_format(use, task, size, count, dtype, channels_last):
    images, targets = make_pictures(count, size), make_targets(task, count, size)
    before = images.clone(), targets.clone()
    batch = run(use, images, targets, dtype=dtype, channels_last=channels_last)
    assert batch.images_BCHW.shape == (count, 3, *size)
    assert batch.images_BCHW.dtype == dtype
    assert batch.images_BCHW.isfinite().all()
    wanted = torch.channels_last if channels_last else torch.contiguous_format
    assert batch.images_BCHW.is_contiguous(memory_format=wanted)
    assert batch.targets_B.dtype == torch.int64
    assert batch.targets_B.shape == targets.shape
    assert set(batch.targets_B.unique().tolist()) <= {*targets.unique().tolist(), 255}
    if batch.mix_B is not None:
        assert batch.other_targets.shape == targets.shape
        assert batch.mix_B.shape == (count,)
        assert ((batch.mix_B >= 0) & (batch.mix_B <= 1)).all()
    assert torch.equal(images, before[0])
    assert torch.equal(targets, before[1])


@pytest.mark.parametrize("task", ["classification", "segmentation"])
def test_the_seed_decides_everything(use, task):
    images, targets = make_pictures(8, (12, 28)), make_targets(task, 8, (12, 28))
    assert same(run(use, images, targets), run(use, images, targets))
    assert not same(run(use, images, targets), run(use, images, targets, seed=4))


@pytest.mark.parametrize("task", ["classification", "segmentation"])
def test_strength_0_changes_nothing(use, task):
    images, targets = make_pictures(4, (12, 28)), make_targets(task, 4, (12, 28))
    assert same(run(use, images, targets, strength=0.0), run((), images, targets))


def test_every_picture_has_its_own_draw(use):
    count = 16
    images = make_pictures(1, (16, 16)).expand(count, -1, -1, -1)
    batch = run(use, images, torch.arange(count))
    if all(AUGMENTATIONS[name].mixes_pictures for name in use):
        outcomes = {float(weight) for weight in batch.mix_B}
    else:
        outcomes = {tuple(picture.flatten().tolist()) for picture in batch.images_BCHW}
    assert len(outcomes) >= (2 if use == ("flip",) else 5)


def test_strength_3_still_gives_pictures_within_range(use):
    images = make_pictures(8, (12, 28))
    batch = run(use, images, torch.arange(8), strength=3.0)
    low = torch.tensor([-m / s for m, s in zip(MEAN, STD, strict=True)]).view(1, 3, 1, 1)
    high = torch.tensor([(1 - m) / s for m, s in zip(MEAN, STD, strict=True)]).view(1, 3, 1, 1)
    assert (batch.images_BCHW >= low - 1e-3).all()
    assert (batch.images_BCHW <= high + 1e-3).all()


def test_only_geometry_makes_void_and_only_geometry_and_mixes_touch_masks(use):
    size = (16, 16)
    images, masks = make_pictures(8, size), make_targets("segmentation", 8, size)
    batch = run(use, images, masks)
    cards = [AUGMENTATIONS[name] for name in use]
    if not any(card.moves_geometry for card in cards):
        assert not (batch.targets_B == 255).any()
    if not any(card.moves_geometry or card.mixes_pictures for card in cards):
        assert torch.equal(batch.targets_B, masks.long())
