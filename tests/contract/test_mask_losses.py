"""The contract of every loss of masks, on both label sets of Cityscapes."""

from __future__ import annotations

import math

import pytest
import torch

from etude.data.sources.cityscapes import CATEGORIES, CLASSES
from etude.tasks.mask_losses import MASK_LOSSES, VOID

SETS = {"categories": len(CATEGORIES), "classes": len(CLASSES)}


@pytest.fixture(params=list(MASK_LOSSES))
def loss(request):
    return MASK_LOSSES[request.param]


@pytest.fixture(params=SETS)
def n_classes(request):
    return SETS[request.param]


def draw(n_classes, seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, n_classes, 8, 12, generator=generator, requires_grad=True)
    masks = torch.randint(0, n_classes, (2, 8, 12), generator=generator)
    masks[0, :2] = VOID
    return logits, masks


def test_it_is_a_finite_number_with_a_finite_gradient(loss, n_classes):
    logits, masks = draw(n_classes)
    value = loss(logits, masks, None)
    value.backward()
    assert value.ndim == 0
    assert value.item() > 0
    assert torch.isfinite(logits.grad).all()
    assert logits.grad.abs().sum() > 0


@pytest.mark.parametrize("name", MASK_LOSSES)
def test_under_autocast_a_step_computes_it_in_full_precision(name):
    from etude.data.batches import Batch
    from etude.tasks.segmentation import Segmentation

    logits, masks = draw(4)
    task, batch = Segmentation(("a", "b", "c", "d"), name), Batch(logits, masks)
    with torch.autocast("cpu", torch.bfloat16):
        found = task.step(torch.nn.Identity(), batch).loss
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(MASK_LOSSES[name](logits, masks, None).item(), rel=1e-6)


def test_void_pixels_count_for_nothing(loss, n_classes):
    logits, masks = draw(n_classes)
    loss(logits, masks, None).backward()
    assert logits.grad[0, :, :2].abs().max() == 0
    changed = logits.detach().clone()
    changed[0, :, :2] += 5 * torch.randn(n_classes, 2, 12)
    torch.testing.assert_close(loss(changed, masks, None), loss(logits.detach(), masks, None))


def test_the_right_answer_is_best(loss, n_classes):
    _, masks = draw(n_classes)
    is_right = torch.nn.functional.one_hot(masks.where(masks != VOID, 0), n_classes).permute(0, 3, 1, 2)
    right = is_right.float() * 60 - 30
    best = loss(right, masks, None).item()
    assert 0 <= best < 0.01
    assert best < loss(right.roll(1, 1), masks, None).item()


def test_a_step_against_the_gradient_lowers_it(loss, n_classes):
    logits, masks = draw(n_classes)
    before = loss(logits, masks, None)
    before.backward()
    after = loss((logits - 0.5 * logits.grad / logits.grad.norm()).detach(), masks, None)
    assert after.item() < before.item()


def test_a_batch_of_void_alone_gives_nothing(loss, n_classes):
    logits, masks = draw(n_classes)
    value = loss(logits, torch.full_like(masks, VOID), None)
    value.backward()
    assert value.item() == 0
    assert logits.grad.abs().max() == 0


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    ("name", "own", "theirs", "options"),
    [
        ("dice", {}, "DiceLoss", {}),
        ("tversky", {}, "TverskyLoss", {"alpha": 0.3, "beta": 0.7}),
        ("tversky", {"missed": 0.9}, "TverskyLoss", {"alpha": 0.1, "beta": 0.9}),
        ("focal", {}, "FocalLoss", {"gamma": 2.0}),
        ("focal", {"gamma": 1.0}, "FocalLoss", {"gamma": 1.0}),
        ("focal", {"gamma": 3.5}, "FocalLoss", {"gamma": 3.5}),
    ],
)
def test_losses_of_our_own_are_those_of_the_library_and_so_are_their_gradients(
    name, own, theirs, options, weighted, n_classes
):
    from segmentation_models_pytorch import losses

    logits, masks = draw(n_classes)
    masks[masks == 2] = 0  # a class that is not there
    weights = torch.linspace(0.5, 2, n_classes) if weighted else None
    given = {} if weights is None else {"class_weights": weights.tolist()}
    reference = getattr(losses, theirs)("multiclass", ignore_index=VOID, **options, **given)
    (expected,) = torch.autograd.grad(reference(logits, masks), logits)
    (found,) = torch.autograd.grad(MASK_LOSSES[name](logits, masks, weights, **own), logits)
    torch.testing.assert_close(MASK_LOSSES[name](logits, masks, weights, **own), reference(logits, masks))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-8)


def test_lovasz_is_the_library_s_and_so_is_its_gradient(n_classes):
    from segmentation_models_pytorch import losses

    logits, masks = draw(n_classes)
    masks[masks == 2] = 0  # a class that is not there
    reference = losses.LovaszLoss("multiclass", per_image=False, ignore_index=VOID)
    (expected,) = torch.autograd.grad(reference(logits, masks), logits)
    (found,) = torch.autograd.grad(MASK_LOSSES["lovasz"](logits, masks, None), logits)
    torch.testing.assert_close(MASK_LOSSES["lovasz"](logits, masks, None), reference(logits, masks))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-8)


def test_lovasz_of_hard_answers_is_one_minus_their_iou():
    """With probabilities 0 and 1 it is the mean of 1 - IoU over the classes of the batch: here 1/3 and 1/2 are missed."""
    logits = torch.tensor([[[[40.0, 40.0, -40.0, -40.0, -40.0]], [[-40.0, -40.0, 40.0, 40.0, 40.0]]]])
    masks = torch.tensor([[[0, 0, 0, 1, VOID]]])
    assert MASK_LOSSES["lovasz"](logits, masks, None).item() == pytest.approx((1 / 3 + 1 / 2) / 2, abs=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_errors_are_put_in_falling_order_and_equal_ones_as_they_come(dtype):
    from etude.tasks import mask_losses

    errors = torch.tensor([[0.5, 0.0, 1.0, 0.5, 0.25], [0.0, 0.0, 1e-30, 1e-8, 0.9999999]], dtype=dtype)
    order = [mask_losses._falling(row).tolist() for row in errors]  # with 64 bits it goes the way of other devices
    assert order == [[2, 0, 3, 4, 1], [4, 3, 2, 0, 1]]


def test_cross_entropy_is_torchs_mean_over_what_is_not_void(n_classes):
    logits, masks = draw(n_classes)
    weights = torch.linspace(0.5, 2, n_classes)
    reference = torch.nn.functional.cross_entropy(logits, masks, weights, ignore_index=VOID)
    torch.testing.assert_close(MASK_LOSSES["cross-entropy"](logits, masks, weights), reference)
    both = MASK_LOSSES["cross-entropy+dice"](logits, masks, weights)
    torch.testing.assert_close(both, reference + MASK_LOSSES["dice"](logits, masks, weights))


def test_focal_loss_with_void_and_weights_is_that_worked_by_hand():
    """Of a class it is the mean over the pixels that are not void of (1 - p)^2 (-ln p), p the share given to the truth.

    First pixel, of class 0, logits 0: p = 1/2 of either class. Second, of class 1, logits ln 3: p = 1/4 of class 0 and
    3/4 of class 1. The third is void.
    """
    logits = torch.tensor([[[[0.0, math.log(3), 9.0]], [[0.0, math.log(3), -4.0]]]])
    masks = torch.tensor([[[0, 1, VOID]]])
    half, quarter, rest = 0.25 * math.log(2), 0.5625 * math.log(4), 0.0625 * math.log(4 / 3)
    of_0, of_1 = (half + quarter) / 2, (half + rest) / 2
    focal = MASK_LOSSES["focal"]
    assert focal(logits, masks, None).item() == pytest.approx((of_0 + of_1) / 2, rel=1e-5)
    assert focal(logits, masks, torch.tensor([1.0, 3.0])).item() == pytest.approx((of_0 + 3 * of_1) / 4, rel=1e-5)
    assert focal(logits, masks, torch.tensor([0.0, 2.0])).item() == pytest.approx(of_1, rel=1e-5)


def test_weights_move_it_where_it_has_them(loss, n_classes):
    logits, masks = draw(n_classes)
    plain = loss(logits.detach(), masks, None)
    even = loss(logits.detach(), masks, torch.ones(n_classes))
    torch.testing.assert_close(even, plain, rtol=1e-4, atol=1e-6)
    weights = torch.ones(n_classes)
    weights[0] = 9.0
    if loss is not MASK_LOSSES["lovasz"]:
        assert loss(logits.detach(), masks, weights) != plain


@pytest.mark.parametrize("name", ["dice", "tversky"])
def test_the_millionth_pixel_counts_as_the_first(name):
    """Half of 18 million pixels are right: added one by one, a sum in float32 stands still at 16,777,216 of them."""
    masks = torch.zeros(1, 3000, 6000, dtype=torch.int64)
    logits = torch.full((1, 1, 3000, 6000), 0.0)
    logits = torch.cat([logits, logits + math.log(3)], 1)  # a quarter for the truth
    found = MASK_LOSSES[name](logits, masks, None).item()
    small = MASK_LOSSES[name](logits[:, :, :8, :8], masks[:, :8, :8], None).item()
    assert found == pytest.approx(small, rel=1e-4)
