"""Night, haze and rain do what their cards say, to each picture in its own measure."""

import pytest
import torch

from etude.data.augment.color import night, recolor
from etude.data.augment.draw import Draw
from etude.data.augment.pixels import haze, rain

B, H, W = 64, 40, 60


def draw_with(strength=1.0):
    return Draw(B, H, W, strength, torch.Generator().manual_seed(2), torch.device("cpu"))


def pictures():
    return torch.rand(B, 3, H, W, generator=torch.Generator().manual_seed(0)) * 255


@pytest.mark.parametrize("strength", [0.3, 1.0, 3.0])
def test_night_only_takes_light_away_and_most_of_the_red(strength):
    before = torch.full((B, 3, H, W), 200.0)
    after = recolor(before.clone(), [night], draw_with(strength)).mean((2, 3)) / 200
    assert (after <= 1.001).all()
    assert (after >= 0.02).all()
    assert (after[:, 0] <= after[:, 1] + 1e-4).all()
    assert (after[:, 1] <= after[:, 2] + 1e-4).all()
    if strength == 1.0:
        assert after[:, 2].min() >= 0.32
        assert after[:, 2].min() < 0.4
        assert after[:, 2].max() > 0.95


def test_night_takes_color_away_too():
    before = torch.zeros(B, 3, H, W)
    before[:, 1] = 200.0
    after = recolor(before, [night], draw_with()).mean((2, 3))
    spread = (after[:, 1] - after[:, 2]) / after[:, 1]
    assert spread.min() < 0.9
    assert spread.max() > 0.9


def test_haze_takes_most_contrast_from_the_top():
    before = pictures()
    after = haze(draw_with(), before.clone())
    kept = after.std(3) / before.std(3)
    top, bottom = kept[:, :, 0].mean(1), kept[:, :, -1].mean(1)
    assert (top <= bottom + 1e-3).all()
    assert top.min() > 0.39
    assert top.min() < 0.45
    assert bottom.min() > 0.82
    assert len(top.round(decimals=3).unique()) > B // 2
    assert after.min() >= 0
    assert after.max() <= 255


def test_rain_brightens_some_pixels_and_darkens_the_rest():
    before = torch.full((B, 3, H, W), 100.0)
    after = rain(draw_with(), before.clone())
    streaks = (after > 100.5).float().mean((1, 2, 3))
    sky = after.amin((1, 2, 3))
    assert streaks.max() > 0.01
    assert streaks.max() < 0.25
    assert (sky <= 100).all()
    assert (sky >= 84.9).all()
    assert streaks.std() > 0.003
    assert torch.equal(after[:, 0], after[:, 2])


def test_streaks_are_longer_than_wide():
    after = rain(draw_with(), torch.zeros(B, 3, H, W))[:, 0]
    wet = (after > 0).float()
    below = (wet[:, 1:] * (wet[:, :-1] + wet[:, :-1].roll(1, 2) + wet[:, :-1].roll(-1, 2)).clamp(max=1)).sum()
    beside = (wet[:, :, 1:] * wet[:, :, :-1]).sum()
    assert below > 2 * beside
