"""Test-time augmentation: means over views, without training again."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from etude import Study
from etude.core.run_record import RunRecord
from etude.train.views import Views


class Corner(nn.Module):
    """Logits that tell the brightness of the left and the right half."""

    def forward(self, images_BCHW):
        return torch.stack([images_BCHW[..., :8].mean((1, 2, 3)), images_BCHW[..., 8:].mean((1, 2, 3))], 1)


@pytest.mark.parametrize(("name", "passes"), [("flip", 2), ("shifts", 5), ("flip-shifts", 10)])
def test_probabilities_are_averaged_over_the_views(name, passes):
    seen = []
    model = Corner()
    model.register_forward_hook(lambda _module, inputs, logits: seen.append((inputs[0], logits.softmax(1))))
    images = torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 9
    logits = Views(model, name)(images)
    assert len(seen) == passes
    assert all(view.shape == images.shape for view, _ in seen)
    assert len({view.sum().item() for view, _ in seen}) >= passes // 2
    torch.testing.assert_close(logits.softmax(1), torch.stack([p for _, p in seen]).mean(0))
    torch.testing.assert_close(logits.exp().sum(1), torch.ones(3))


def test_with_its_mirror_image_left_and_right_are_the_same():
    images = torch.rand(3, 3, 16, 16)
    torch.testing.assert_close(Views(Corner(), "flip")(images), Views(Corner(), "flip")(images.flip(3)))


STUDY = """
study: views
data: {source: shapes, split: {train_items: 96, validation: 0.2}}
prepare: {size_px: 16, normalize: half}
train: {epochs: 2, batch: 32, precision: fp32}
baseline: plain
candidates:
  plain: {model: {name: mlp, widths: [16]}}
  both: {extends: plain, combine: {tta: flip}}
"""


def test_a_candidate_with_views_takes_the_weights_of_the_one_without(tmp_path, monkeypatch):
    Study.from_text(STUDY.replace("  both: {extends: plain, combine: {tta: flip}}\n", "")).run(tmp_path)

    def no_training(*_args):
        raise AssertionError("it was trained again")

    monkeypatch.setattr("etude.train.finish.fit", no_training)
    result = Study.from_text(STUDY).run(tmp_path)
    records = {r.candidate: r for r in map(RunRecord.load, tmp_path.glob("views/runs/*/run.json"))}
    plain, both = records["plain"], records["both"]
    folder = tmp_path / "views" / "runs"
    one, other = ((folder / r.identity / "model.safetensors").read_bytes() for r in (plain, both))
    assert one == other
    assert both.cost.macs == 2 * plain.cost.macs
    assert (both.cost.seconds, both.steps, both.epochs) == (plain.cost.seconds, plain.steps, plain.epochs)
    assert both.test != plain.test or both.validation != plain.validation
    assert [v.candidate for v in result.verdicts()] == ["both"]


def test_alone_it_is_trained(tmp_path):
    alone = STUDY.replace("baseline: plain\n", "").replace("  plain: {model: {name: mlp, widths: [16]}}\n", "")
    alone = alone.replace("{extends: plain, combine", "{model: {name: mlp, widths: [16]}, combine")
    assert Study.from_text(alone).run(tmp_path).leaderboard()[0].score is not None
