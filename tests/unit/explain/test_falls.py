"""What a layer is worth: the fall of the score without it, and what chance leaves of that fall."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from etude.core.words import Part
from etude.evaluate.predictions import Predictions
from etude.explain.falls import Asked
from etude.explain.layers import describe_layers


class Told(nn.Module):
    """Answers the class that is the brighter of two colours; `unused` is read by nothing that matters."""

    def __init__(self):
        super().__init__()
        self.colours = nn.Conv2d(3, 2, 1, bias=False)
        self.unused = nn.Conv2d(2, 2, 1, bias=False)
        with torch.no_grad():
            self.colours.weight.copy_(torch.tensor([[1.0, 0, 0], [0, 1, 0]])[:, :, None, None])
            self.unused.weight.copy_(torch.tensor([[1.0, 1e-6], [1e-6, 1]])[:, :, None, None])

    def forward(self, images):
        maps = self.colours(images)
        return 9 * maps.mean((2, 3)) + 1e-9 * self.unused(maps).mean((2, 3))


def pictures(n: int = 64):
    """Give pictures of which the first colour is the brighter in every other one, and their classes."""
    truth = torch.arange(n) % 2
    images = torch.zeros(n, 3, 4, 4)
    images[torch.arange(n), truth] = 1.0
    return images, truth.numpy()


def asked(truth, metric="accuracy", **options):
    def to_answers(logits):
        ids = np.arange(len(logits)).astype(str)
        return Predictions(ids, Part.VALIDATION, truth[: len(logits)], logits.softmax(1).numpy())

    return Asked(to_answers, metric, **options)


def rows_of(model, images, **options):
    record = describe_layers(model, images, network="told", **options)
    return record, {row.name: row for row in record.rows}


@pytest.mark.parametrize("metric", ["accuracy", "f1_macro", "log_loss"])
def test_falls_have_intervals_over_the_pictures_and_leave_the_network_as_it_was(metric):
    model = Told().train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    images, truth = pictures()
    record, rows = rows_of(model, images, asked=asked(truth, metric, higher_is_better=metric != "log_loss"))
    assert record.metric == metric
    assert record.n_pictures == 64
    assert record.n_shuffles == 3
    needed, unused = rows["colours"], rows["unused"]
    assert needed.fall_shuffled > 0.1
    assert needed.interval_shuffled.low <= needed.fall_shuffled <= needed.interval_shuffled.high
    assert needed.interval_shuffled.low < needed.interval_shuffled.high
    assert unused.fall_shuffled == pytest.approx(0, abs=1e-6)
    assert unused.interval_bypassed.low <= 0 <= unused.interval_bypassed.high + 1e-9
    assert needed.fall_bypassed is None  # its shapes differ
    assert model.training
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


class Corner(nn.Module):
    """Brings the class back where the corner of a picture is marked: it is needed for the marked pictures only."""

    def __init__(self):
        super().__init__()
        self.same = nn.Identity()
        self.turn = nn.Conv2d(3, 3, 1, bias=False)
        with torch.no_grad():
            self.turn.weight.copy_(torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 0]])[:, :, None, None])

    def forward(self, images):
        maps = self.turn(images)
        return 20 * (maps[:, :2] - 2 * maps[:, 2:] * images[:, :2]).mean((2, 3))


def test_an_interval_over_the_pictures_is_that_of_the_differences():
    """With one picture in four told wrongly without a layer, the interval is that of a mean of so many ones."""
    images, truth = pictures(80)
    images[::4, 2] = 1.0
    record, rows = rows_of(Corner().eval(), images, asked=asked(truth))
    found = rows["turn"]
    assert record.score == 1
    assert found.fall_bypassed == pytest.approx(0.25)
    spread = 1.96 * np.sqrt(0.25 * 0.75 / 80)
    assert found.interval_bypassed.low == pytest.approx(0.25 - spread, abs=0.02)
    assert found.interval_bypassed.high == pytest.approx(0.25 + spread, abs=0.02)


def test_pictures_of_one_group_are_drawn_together():
    """Where whole groups need a layer and others do not, the interval is that of so many groups, not pictures."""
    images, truth = pictures(160)
    of_group_N = np.arange(160) // 10
    images[torch.from_numpy(of_group_N % 4 == 0), 2] = 1.0
    groups = {str(item): str(group) for item, group in enumerate(of_group_N)}
    _, rows = rows_of(Corner().eval(), images, asked=asked(truth, groups=groups))
    found = rows["turn"]
    assert found.fall_bypassed == pytest.approx(0.25)
    spread = 1.96 * np.sqrt(0.25 * 0.75 / 16)
    assert found.interval_bypassed.high - found.interval_bypassed.low > 0.8 * 2 * spread
    _, rows = rows_of(Corner().eval(), images, asked=asked(truth))
    alone = rows["turn"].interval_bypassed
    assert alone.high - alone.low < 0.5 * 2 * spread


def test_one_picture_has_no_interval():
    images, truth = pictures(1)
    _, rows = rows_of(Told(), images, asked=asked(truth))
    assert rows["colours"].fall_shuffled is not None
    assert rows["colours"].interval_shuffled is None


def test_what_a_layer_without_answers_leaves_is_not_scored():
    """A layer whose bypass gives no finite number has no fall, in place of an error."""

    class Rooted(nn.Module):
        def __init__(self):
            super().__init__()
            self.square = nn.Conv2d(3, 3, 1)
            with torch.no_grad():
                self.square.weight.copy_(torch.eye(3)[:, :, None, None] * 1.0)
                self.square.bias.fill_(5.0)

        def forward(self, images):
            return self.square(images - 1).mean((2, 3)).sqrt()[:, :2]

    images, truth = pictures(8)
    _, rows = rows_of(Rooted().eval(), images, asked=asked(truth))
    assert rows["square"].fall_bypassed is None


class Bent(nn.Module):
    """Answers by what is left of a picture above zero; of some pictures as much lies below."""

    def __init__(self):
        super().__init__()
        self.bend = nn.ReLU(inplace=True)

    def forward(self, images):
        above = self.bend(images[:, :1] + 0.0).mean((2, 3))
        return 20 * torch.cat([above, torch.full_like(above, 0.25)], 1)


def test_what_works_in_place_is_left_out_too():
    """Its input is gone by the time that it is passed on: to leave an activation out seemed to cost nothing."""
    truth = np.arange(64) % 2
    images = torch.zeros(64, 3, 4, 4)
    images[::2, 0] = torch.tensor([1.0, -1.0]).repeat(8).reshape(4, 4)
    record, rows = rows_of(Bent(), images, asked=asked(truth))
    assert record.score == 1
    assert rows["bend"].fall_bypassed == pytest.approx(0.5)
