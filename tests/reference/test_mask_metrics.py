"""Metrics of masks against independent libraries: torchmetrics for overlaps, scipy's distances for contours."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import ndimage

from etude.data.sources.cityscapes import CLASSES
from etude.evaluate.categories import CATEGORY_OF, category_ious
from etude.metrics.boundaries import boundary_counts, boundary_f1_from
from etude.metrics.confusion import f1_per_class, iou_per_class
from etude.metrics.segmentation import SEGMENTATION_METRICS, pixel_confusion


def draw(seed, n_classes, size=(40, 56), n=3):
    """Blocks of ids with a border of void, and an answer that is right in most blocks."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, n_classes, (n, size[0] // 8, size[1] // 8), dtype=np.uint8).repeat(8, 1).repeat(8, 2)
    answer = np.roll(truth, (2, 1), (1, 2))
    noise = rng.random(answer.shape) < 0.03
    answer[noise] = rng.integers(0, n_classes, int(noise.sum()))
    truth = truth.copy()
    truth[:, :3] = 255
    return truth, answer


@pytest.mark.parametrize("n_classes", [2, 8, 19])
def test_overlaps_agree_with_torchmetrics(n_classes):
    from torchmetrics.functional.classification import (
        multiclass_accuracy,
        multiclass_f1_score,
        multiclass_jaccard_index,
    )

    truth, answer = draw(0, n_classes)
    counts = sum(pixel_confusion(t, a, n_classes) for t, a in zip(truth, answer, strict=True))
    given = (torch.from_numpy(answer).long(), torch.from_numpy(truth).long())
    for average, ours in (
        ("none", iou_per_class(counts)),
        ("macro", SEGMENTATION_METRICS["miou"].from_confusion(counts)),
    ):
        theirs = multiclass_jaccard_index(*given, n_classes, average=average, ignore_index=255)
        np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-6)
    theirs = multiclass_f1_score(*given, n_classes, average="none", ignore_index=255)
    np.testing.assert_allclose(f1_per_class(counts), theirs.numpy(), atol=1e-6)
    theirs = multiclass_accuracy(*given, n_classes, average="micro", ignore_index=255)
    np.testing.assert_allclose(SEGMENTATION_METRICS["pixel_accuracy"].from_confusion(counts), theirs.numpy(), atol=1e-6)


@pytest.mark.parametrize("names", [tuple(CLASSES), ("sky", "building", "pole", "road", "car", "cyclist")])
def test_categories_agree_with_torchmetrics_of_masks_of_categories(names):
    """Ids are put together before anything is counted; the last class is neither there nor answered."""
    from torchmetrics.functional.classification import multiclass_jaccard_index

    truth, answer = draw(1, len(names) - 1)
    categories = list(dict.fromkeys(CATEGORY_OF[name] for name in names))
    table = np.full(256, 255, np.int64)
    table[: len(names)] = [categories.index(CATEGORY_OF[name]) for name in names]
    given = torch.from_numpy(table[answer]), torch.from_numpy(table[truth])
    theirs = multiclass_jaccard_index(*given, len(categories), average="none", ignore_index=255)
    counts = sum(pixel_confusion(t, a, len(names)) for t, a in zip(truth, answer, strict=True))
    ours = category_ious(counts, names)
    assert list(ours) == categories
    for name, iou in zip(categories, theirs.tolist(), strict=True):
        assert (ours[name] or 0.0) == pytest.approx(iou, abs=1e-6)


def contours(mask, number, is_void):
    """A pixel of the class that lies against another class that is known: said anew, with shifted copies."""
    found = np.zeros(mask.shape, bool)
    height, width = mask.shape
    for y in range(height):
        for x in range(width):
            if mask[y, x] != number or is_void[y, x]:
                continue
            for dy, dx in ((0, 1), (1, 0), (0, -1), (-1, 0)):
                j, i = y + dy, x + dx
                if 0 <= j < height and 0 <= i < width and not is_void[j, i] and mask[j, i] != number:
                    found[y, x] = True
    return found


# The radius is written out by hand: 0.75 % of the diagonal is 0.52, 2.16 and 4.5 px, rounded, at least one.
@pytest.mark.parametrize(("size", "reach"), [((40, 56), 1), ((160, 240), 2), ((360, 480), 4)])
def test_contours_agree_with_distances(size, reach):
    n_classes = 3
    truth, answer = draw(1, n_classes, size, n=1)
    counts = boundary_counts(truth[0], answer[0], n_classes)
    is_void = truth[0] == 255
    scores = []
    for number in range(n_classes):
        true, found = (contours(mask, number, is_void) for mask in (truth[0], answer[0]))
        recall = (ndimage.distance_transform_edt(~found)[true] <= reach).mean()
        precision = (ndimage.distance_transform_edt(~true)[found] <= reach).mean()
        assert counts[number, 0] == true.sum()
        assert counts[number, 2] == found.sum()
        scores.append(2 * precision * recall / (precision + recall))
    assert boundary_f1_from(counts) == pytest.approx(np.mean(scores), abs=1e-9)


def test_a_class_without_a_contour_is_left_out_and_one_that_was_missed_counts_as_nothing():
    same = np.zeros((20, 20), np.uint8)
    assert math.isnan(boundary_f1_from(boundary_counts(same, same, 3)))
    split = same.copy()
    split[:, 10:] = 1
    assert boundary_f1_from(boundary_counts(split, split, 3)) == 1.0
    assert boundary_f1_from(boundary_counts(split, same, 3)) == 0.0


def test_dice_and_tversky_agree_with_their_formulas():
    from etude.tasks.mask_losses import MASK_LOSSES

    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 4, 6, 5, generator=generator)
    masks = torch.randint(0, 4, (2, 6, 5), generator=generator)
    masks[0, 0] = 255
    p = logits.softmax(1).movedim(1, -1)[masks != 255].T
    t = torch.nn.functional.one_hot(masks[masks != 255], 4).T.float()
    overlap = (p * t).sum(1)
    dice = 1 - (2 * overlap / (p.sum(1) + t.sum(1))).mean()
    torch.testing.assert_close(MASK_LOSSES["dice"](logits, masks, None), dice)
    wrong, missed = (p * (1 - t)).sum(1), ((1 - p) * t).sum(1)
    tversky = 1 - (overlap / (overlap + 0.3 * wrong + 0.7 * missed)).mean()
    torch.testing.assert_close(MASK_LOSSES["tversky"](logits, masks, None), tversky)
    both = torch.nn.functional.cross_entropy(logits, masks, ignore_index=255) + dice
    torch.testing.assert_close(MASK_LOSSES["cross-entropy+dice"](logits, masks, None), both)
