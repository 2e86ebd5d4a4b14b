"""Pictures answered in windows; memory told beforehand; a batch in parts."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn

from etude.core.errors import ModelError
from etude.data.batches import Batch
from etude.models.execution import choose_execution
from etude.tasks.segmentation import Segmentation
from etude.train.config import TrainConfig
from etude.train.stepping import Stepper, cut_batch
from etude.train.windows import answer_in_windows, starts


def test_windows_cover_the_side_and_overlap_by_half():
    for side, window in ((480, 352), (1024, 256), (33, 32), (20, 32), (64, 64)):
        places = starts(side, window)
        assert places[0] == 0
        assert places[-1] == max(0, side - window)
        assert all(b - a <= window / 2 for a, b in itertools.pairwise(places))


def test_a_network_that_looks_at_single_pixels_answers_the_same_in_windows():
    model = nn.Conv2d(3, 4, 1)
    images = torch.randn(2, 3, 40, 52, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        whole = model(images).log_softmax(1)
        pieces = answer_in_windows(model, images, size_px=(16, 24))
    torch.testing.assert_close(pieces, whole, rtol=1e-4, atol=1e-5)


WEIGHTS = torch.tensor([0.2, 1.0, 5.0])


def step_in_parts(task, batch, accumulate):
    """Make one step of plain descent, and return the weights that it leads to and the mean loss."""
    torch.manual_seed(3)
    model = nn.Conv2d(3, 3, 3, padding=1)
    config = TrainConfig(accumulate=accumulate)
    optimizer, scaler = torch.optim.SGD(model.parameters(), lr=1.0), torch.amp.GradScaler("cpu", enabled=False)
    execution = choose_execution("cpu", "fp32", "contiguous")
    results = Stepper(model, task, optimizer, scaler, config, execution).step(batch)
    assert len(results) == accumulate
    return model.weight.detach(), sum(float(result.loss.detach() * size) for result, size in results) / len(batch)


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("loss", ["cross-entropy", "focal"])
def test_a_step_in_parts_is_that_of_the_batch_however_void_lies(loss, weights):
    generator = torch.Generator().manual_seed(1)
    images, masks = torch.randn(6, 3, 8, 8, generator=generator), torch.randint(0, 3, (6, 8, 8), generator=generator)
    masks[:2, 1:] = 255  # the first part is nearly void
    masks[4] = 2  # and the last of a class that weighs more
    batch, task = Batch(images, masks), Segmentation(("a", "b", "c"), loss, weights)
    torch.testing.assert_close(step_in_parts(task, batch, 3), step_in_parts(task, batch, 1))


@pytest.mark.parametrize(("pictures", "count", "sizes"), [(10, 4, [2, 3, 2, 3]), (8, 4, [2] * 4), (3, 8, [1] * 3)])
def test_parts_are_even(pictures, count, sizes):
    batch = Batch(torch.arange(pictures)[:, None, None, None].float(), torch.arange(pictures))
    parts = list(cut_batch(batch, count))
    assert [len(part) for part in parts] == sizes
    assert torch.cat([part.targets_B for part in parts]).tolist() == list(range(pictures))


def test_a_network_that_cannot_learn_from_one_picture_says_what_to_do():
    model = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), nn.Upsample((4, 4)))
    execution, optimizer = choose_execution("cpu", "fp32", "contiguous"), torch.optim.SGD(model.parameters(), lr=1.0)
    scaler, batch = (
        torch.amp.GradScaler("cpu", enabled=False),
        Batch(torch.randn(4, 3, 4, 4), torch.zeros(4, 4, 4).long()),
    )
    config, task = TrainConfig(batch=4, accumulate=4), Segmentation(("a", "b", "c"))
    with pytest.raises(ModelError, match=r"train: batch must be 2 or more pictures at once.*4 in 4 parts.*accumulate"):
        Stepper(model, task, optimizer, scaler, config, execution).step(batch)


def test_a_part_of_void_alone_counts_for_nothing():
    images, masks = torch.randn(4, 3, 4, 4), torch.full((4, 4, 4), 255)
    task = Segmentation(("a", "b", "c"))
    still = step_in_parts(task, Batch(images, masks), 2)
    assert still[1] == 0
    masks[0] = 1
    batch = Batch(images, masks)
    torch.testing.assert_close(step_in_parts(task, batch, 2), step_in_parts(task, batch, 1))


def test_parts_of_blended_pictures_count_by_their_pictures():
    generator = torch.Generator().manual_seed(2)
    images, masks = torch.randn(5, 3, 4, 4, generator=generator), torch.randint(0, 3, (5, 4, 4), generator=generator)
    masks[0] = 255
    batch = Batch(images, masks, masks.flip(0), torch.tensor([0.5, 0.2, 0.9, 0.4, 0.7]))
    task = Segmentation(("a", "b", "c"), class_weights=WEIGHTS)
    torch.testing.assert_close(step_in_parts(task, batch, 2), step_in_parts(task, batch, 1))


def test_a_blended_picture_counts_for_both_masks_by_their_shares():
    images, model, task = torch.randn(2, 3, 4, 4), nn.Conv2d(3, 2, 1), Segmentation(("a", "b"))
    ones, zeros = torch.ones(2, 4, 4, dtype=torch.int64), torch.zeros(2, 4, 4, dtype=torch.int64)
    mixed = task.step(model, Batch(images, ones, zeros, torch.tensor([0.25, 1.0]))).loss
    single = [
        task.step(model, Batch(images[row : row + 1], target[:1])).loss for row in (0, 1) for target in (ones, zeros)
    ]
    torch.testing.assert_close(mixed, (0.25 * single[0] + 0.75 * single[1] + single[2]) / 2)
