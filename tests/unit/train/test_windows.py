"""Pictures answered in windows; memory told beforehand; a batch in parts."""

from __future__ import annotations

import itertools

import torch
from torch import nn

from etude.data.batches import Batch
from etude.tasks.segmentation import Segmentation
from etude.train.stepping import cut_batch
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


def test_gradients_of_a_batch_in_parts_add_up_to_those_of_the_batch():
    generator = torch.Generator().manual_seed(1)
    images, masks = torch.randn(6, 3, 8, 8, generator=generator), torch.randint(0, 3, (6, 8, 8), generator=generator)
    task, model = Segmentation(("a", "b", "c")), nn.Conv2d(3, 3, 3, padding=1)
    gradients = []
    for count in (1, 3):
        model.zero_grad()
        batch = Batch(images, masks)
        for part in cut_batch(batch, count):
            (task.step(model, part).loss * (len(part) / len(batch))).backward()
        gradients.append(model.weight.grad.clone())
    torch.testing.assert_close(*gradients)


def test_a_blended_picture_counts_for_both_masks_by_their_shares():
    images, model, task = torch.randn(2, 3, 4, 4), nn.Conv2d(3, 2, 1), Segmentation(("a", "b"))
    ones, zeros = torch.ones(2, 4, 4, dtype=torch.int64), torch.zeros(2, 4, 4, dtype=torch.int64)
    mixed = task.step(model, Batch(images, ones, zeros, torch.tensor([0.25, 1.0]))).loss
    single = [
        task.step(model, Batch(images[row : row + 1], target[:1])).loss for row in (0, 1) for target in (ones, zeros)
    ]
    torch.testing.assert_close(mixed, (0.25 * single[0] + 0.75 * single[1] + single[2]) / 2)
