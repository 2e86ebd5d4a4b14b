"""Weights of the classes of masks, worked by hand."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from etude.data.batches import Batch
from etude.tasks.mask_losses import MASK_LOSSES
from etude.tasks.segmentation import pixel_weights, tell_weights
from etude.train.config import TrainConfig
from etude.train.loop import build_task


@pytest.mark.parametrize(
    ("counts", "how", "expected"),
    [
        # 1 / 0.9 and 1 / 0.1, over their mean 5.556; a class without a pixel weighs nothing.
        ([900, 100, 0], "balanced", [0.2, 1.8, 0]),
        # 1 / ln 1.92 = 1.533 and 1 / ln 1.12 = 8.824, over their mean 5.178.
        ([900, 100, 0], "log", [0.296, 1.704, 0]),
        # A thousandth weighs 20 times as much as the rest and no more: 1 and 20 over their mean 10.5.
        ([999_000, 1_000], "balanced", [2 / 21, 40 / 21]),
        # Of three: 1, 20 and 20 over their mean 41 / 3.
        ([1_000_000, 1_000, 1], "balanced", [3 / 41, 60 / 41, 60 / 41]),
        ([50, 50], "balanced", [1, 1]),
    ],
)
def test_weights_by_hand(counts, how, expected):
    found = pixel_weights(torch.tensor(counts), how)
    assert found.tolist() == pytest.approx(expected, abs=5e-4)


def test_they_are_told_by_name_and_not_where_nothing_was_counted():
    told = tell_weights({"road": 900, "pole": 100, "train": 0})
    assert told["log"] == pytest.approx({"road": 0.296, "pole": 1.704, "train": 0}, abs=5e-4)
    assert told["balanced"] == pytest.approx({"road": 0.2, "pole": 1.8, "train": 0}, abs=5e-4)
    assert tell_weights({"road": 0}) == tell_weights({}) == {}


@pytest.mark.parametrize(
    ("train", "name", "options"),
    [
        ({"loss": "focal", "focal_gamma": 1.0}, "focal", {"gamma": 1.0}),
        ({"loss": "tversky", "tversky_missed": 0.9}, "tversky", {"missed": 0.9}),
        ({"loss": "tversky"}, "tversky", {}),
    ],
)
def test_the_task_takes_what_its_loss_takes(train, name, options):
    job = SimpleNamespace(task="segmentation", classes=("road", "pole"), train=TrainConfig(**train))
    task = build_task(job, SimpleNamespace(masks_NHW=np.zeros((1, 2, 3), np.uint8)))
    logits, masks = torch.randn(2, 2, 4, 5), torch.randint(0, 2, (2, 4, 5))
    found = task.step(torch.nn.Identity(), Batch(logits, masks)).loss
    assert found.item() == pytest.approx(MASK_LOSSES[name](logits, masks, None, **options).item())
    assert (found.item() != pytest.approx(MASK_LOSSES[name](logits, masks, None).item())) == bool(options)


def test_what_a_loss_takes_is_part_of_a_run_only_where_it_is_changed():
    plain = TrainConfig(loss="focal").model_dump(mode="json", exclude_defaults=True)
    assert plain == {"loss": "focal"}
    assert TrainConfig(loss="focal", focal_gamma=1).model_dump(exclude_defaults=True)["focal_gamma"] == 1


@pytest.mark.parametrize(("how", "expected"), [("balanced", [0.2, 1.8, 0]), ("log", [0.296, 1.704, 0]), ("none", None)])
def test_the_task_has_the_weights_of_its_training_part_without_void(how, expected):
    mask = np.full((2, 10, 100), 255, np.uint8)
    mask[0, :9], mask[1, :1] = 0, 1
    job = SimpleNamespace(task="segmentation", classes=("road", "pole", "train"), train=TrainConfig(class_weights=how))
    task = build_task(job, SimpleNamespace(masks_NHW=mask))
    if expected is None:
        assert task.class_weights is None
    else:
        assert task.class_weights.tolist() == pytest.approx(expected, abs=5e-4)
