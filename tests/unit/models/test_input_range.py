"""The normalisation that weights were trained with is found from their own statistics."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from etude.models import build_model
from etude.models.networks.input_range import range_misfits
from etude.pictures.prepare import normalisation
from etude.pictures.prepare_config import Prepare

RNG = np.random.default_rng(0)
PICTURES = (RNG.normal([120, 105, 90], 55, (48, 24, 24, 3))).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("name", ["imagenet", "half", "none"])
def test_the_range_of_the_training_fits_best(name):
    model = build_model({"name": "cnn", "widths": [8, 16]}, n_outputs=3, size_px=(24, 24), seed=1)
    mean, std = (torch.tensor(values) for values in normalisation(Prepare(normalize=name)))
    images = ((torch.from_numpy(PICTURES[:32]).float() / 255 - mean) / std).permute(0, 3, 1, 2)
    for _ in range(60):
        model(images)  # in training mode: the statistics follow
    misfits = range_misfits(model, PICTURES[32:])
    assert min(misfits, key=misfits.get) == name
    assert misfits[name] < 0.02
    assert all(misfit > 0.1 for other, misfit in misfits.items() if other != name)
    assert model.training
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_what_has_kept_no_statistics_says_nothing():
    drawn = build_model({"name": "cnn", "widths": [8, 16]}, n_outputs=3, size_px=(24, 24), seed=1)
    assert range_misfits(drawn, PICTURES) == {}
    assert range_misfits(nn.Sequential(nn.Flatten(), nn.Linear(24 * 24 * 3, 2)), PICTURES) == {}


def test_the_real_weights_ask_for_their_own(monkeypatch, real_weights):
    monkeypatch.setenv("ETUDE_WEIGHTS", str(real_weights))
    model = build_model({"name": "mobilenetv2_100", "weights": "imagenet"}, n_outputs=3, size_px=(96, 96), seed=1)
    sizes = range_misfits(model, PICTURES)
    assert sizes["half"] < sizes["imagenet"]
