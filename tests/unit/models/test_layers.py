"""The dropout that is drawn in 16 bits does what PyTorch's does."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from etude.models.networks.layers import dropout


@pytest.mark.parametrize("rate", [0.05, 0.3, 0.5, 0.9])
def test_units_are_dropped_at_their_rate_and_the_mean_stays(rate):
    torch.manual_seed(0)
    features = torch.ones(500, 400)
    dropped = dropout(features, rate, True)
    share = (dropped == 0).float().mean().item()
    assert abs(share - rate) < 5 * math.sqrt(rate * (1 - rate) / features.numel())
    kept = dropped[dropped != 0]
    torch.testing.assert_close(kept, torch.full_like(kept, 1 / (1 - rate)), rtol=1e-3, atol=0)
    # By rows and by columns alike: the four units of one draw do not go together.
    together = ((dropped[:, 0::4] == 0) & (dropped[:, 1::4] == 0)).float().mean().item()
    assert abs(together - rate**2) < 6 * math.sqrt(rate**2 * (1 - rate**2) / (features.numel() / 4))


def test_gradients_flow_through_what_is_kept():
    torch.manual_seed(0)
    features = torch.randn(3, 7, requires_grad=True)
    dropped = dropout(features, 0.5, True)
    dropped.sum().backward()
    torch.testing.assert_close(features.grad * features.detach(), dropped.detach())


@pytest.mark.parametrize(("rate", "training"), [(0.0, True), (0.5, False), (1.0, True), (1e-9, True)])
def test_where_nothing_or_all_is_dropped_it_is_pytorchs(rate, training):
    features = torch.randn(3, 7)
    assert torch.equal(dropout(features, rate, training), F.dropout(features, rate, training))


def test_the_same_random_state_drops_the_same_units():
    features = torch.ones(3, 5, 1, 1)
    found = []
    for _ in range(2):
        torch.manual_seed(7)
        found.append(dropout(features, 0.5, True))
    assert torch.equal(*found)
