"""Weights of the classes of masks, worked by hand."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

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
