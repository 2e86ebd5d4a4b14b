"""Transfer learning from the study file to the note, with a small network of timm. Loading timm is slow."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import save_file

from etude import Study
from etude.core.run_record import RunRecord
from etude.models import build_model
from etude.study.cautions import is_from_imagenet

NAME = "mobilenetv3_small_050"
STUDY = """
study: moved
data: {source: dogs, split: {validation: 0.2, test: 0.3}}
prepare: {size_px: 32, normalize: half}
model: {name: NAME, weights: WEIGHTS}
train: {epochs: 2, batch: 8, optimizer: {name: adamw, lr: 0.001}, precision: fp32}
baseline: head
candidates:
  head: {finetune: head}
  dropped: {finetune: head, model: {dropout: 0.4}}
  gradual: {finetune: {name: gradual, blocks: 2, head_epochs: 3}, augment: [flip]}
protocol: {seeds: 2}
"""


@pytest.fixture
def folder(tmp_path):
    """Two breeds under the numbers that ImageNet gives them, each of a colour."""
    rng = np.random.default_rng(0)
    for breed, color in (("n02085620-Chihuahua", (200, 90, 60)), ("n02094433-Yorkshire_terrier", (60, 90, 200))):
        (tmp_path / "dogs" / breed).mkdir(parents=True)
        for number in range(40):
            pixels = rng.normal(color, 50, (32, 32, 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "dogs" / breed / f"{breed[:9]}_{number}.png")
    return tmp_path


@pytest.mark.slow
def test_heads_and_stages_of_a_pretrained_network(folder):
    weights = folder / f"{NAME}.safetensors"
    save_file(build_model(NAME, n_outputs=7, size_px=(32, 32), seed=1).state_dict(), weights)
    text = STUDY.replace("NAME", NAME).replace("WEIGHTS", str(weights))
    record = Study.from_text(text, base=folder).run(folder / "results").record
    assert all(row.n_runs == 2 for row in record.leaderboard)
    assert any("come from ImageNet" in note for note in record.notes)

    study = folder / "results" / "moved"
    assert len(list((study / "features").glob("*.safetensors"))) == 1  # for all heads, seeds and stages
    for path in study.glob("runs/*/run.json"):
        run = RunRecord.load(path)
        stages = [json.loads(line)["stage"] for line in path.with_name("history.jsonl").read_text().splitlines()]
        expected = ["head"] * 3 + ["last-2", "all"] if run.candidate == "gradual" else ["head"] * 2
        assert stages == expected
        assert run.epochs == len(stages)


def test_a_frozen_network_that_was_never_trained_is_told(tmp_path):
    text = "data: {source: shapes, split: {train_items: 64}}\nprepare: {size_px: 16}\ntrain: {epochs: 1}\n"
    text += "candidates: {a: {model: {name: cnn, widths: [4, 8]}, finetune: head}}\n"
    record = Study.from_text(text).run(tmp_path).record
    assert any("starts from random weights" in note for note in record.notes)
    assert not any("ImageNet" in note for note in record.notes)


def test_numbers_of_imagenet_are_recognised(folder, tmp_path):
    from etude.data.source import open_source

    assert is_from_imagenet(open_source("dogs", base=folder))
    assert not is_from_imagenet(open_source("shapes"))
