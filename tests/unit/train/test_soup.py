"""Weights averaged into one network: their mean, the normalisations computed anew, and which epochs are kept."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from etude import Study
from etude.core.watch import Silent
from etude.study.folder import StudyFolder
from etude.study.jobs import make_job
from etude.study.plan import Order
from etude.study.resolve import resolve_candidate
from etude.study.workspace import Workspace
from etude.train.epochs import keep_epoch, kept_epochs
from etude.train.loaders import training_loader
from etude.train.soup import mean_weights, refresh_norms
from etude.train.state import load_tensors, save_tensors

TEXT = """
data: {source: shapes, split: {train_items: 64}}
prepare: {size_px: 16, normalize: half}
train: {epochs: 1, batch: 16, precision: fp32}
candidates: {plain: {model: mlp, augment: [flip]}}
"""


def test_the_mean_of_weights_is_that_of_each_number(tmp_path):
    generator = torch.Generator().manual_seed(0)
    drawn = [
        {"weight": torch.randn(5, 3, generator=generator), "frozen": torch.full((4,), 0.1), "count": torch.tensor(n)}
        for n in range(3)
    ]
    files = [tmp_path / f"{number}.safetensors" for number in range(3)]
    for file, tensors in zip(files, drawn, strict=True):
        save_tensors(file, tensors)
    means, differing = mean_weights(files)
    expected = np.mean([tensors["weight"].numpy().astype(np.float64) for tensors in drawn], axis=0)
    np.testing.assert_allclose(means["weight"].numpy(), expected, rtol=1e-6)
    assert torch.equal(means["frozen"], drawn[0]["frozen"]), "the mean of the same number is that very number"
    assert means["count"].item() == 2
    assert differing == {"weight", "count"}
    assert {tensor.dtype for tensor in means.values()} == {torch.float32, torch.int64}


class Network(nn.Module):
    """A normalisation that was trained, one that was frozen, and a dropout between them."""

    def __init__(self) -> None:
        super().__init__()
        self.trained, self.drop, self.frozen = nn.BatchNorm2d(3), nn.Dropout(0.9), nn.BatchNorm2d(3)

    def forward(self, images_BCHW):
        return self.frozen(self.drop(self.trained(images_BCHW))).mean((2, 3))


def test_normalisations_are_computed_anew_over_training_pictures(tmp_path):
    study = Study.from_text(TEXT)
    workspace = Workspace(study.config, tmp_path, StudyFolder(tmp_path, "study"), "cpu", Silent())
    job = make_job(workspace, resolve_candidate(study.config, "plain"), Order("plain", 3, None, "x"))
    model = Network()
    nn.init.constant_(model.frozen.running_mean, 7.0)
    refresh_norms(model, job, {"trained.running_mean", "trained.running_var"})

    loader = training_loader(job, job.parts("train"))
    means = torch.stack([batch.images_BCHW.mean((0, 2, 3)) for batch in loader])
    torch.testing.assert_close(model.trained.running_mean, means.mean(0))
    variances = torch.stack([batch.images_BCHW.transpose(0, 1).flatten(1).var(1) for batch in loader])
    torch.testing.assert_close(model.trained.running_var, variances.mean(0))
    assert model.frozen.running_mean.tolist() == [7.0] * 3, "what was frozen stays as it was"
    assert model.trained.momentum == 0.1
    assert not any(module.training for module in model.modules())


def test_the_last_epochs_are_kept_and_no_others(tmp_path):
    model = nn.Linear(2, 2)
    for epoch in (1, 2, 3, 11):
        nn.init.constant_(model.weight, epoch)
        keep_epoch(tmp_path, epoch, model, 2)
    files = kept_epochs(tmp_path)
    assert [load_tensors(file)[0]["weight"][0, 0].item() for file in files] == [3, 11]
    keep_epoch(tmp_path, 11, model, 2)  # the last epoch again, after an interruption
    assert kept_epochs(tmp_path) == files


@pytest.mark.parametrize(("finetune", "kept"), [("all", [4, 5]), ("head", [4, 5])])
def test_a_training_keeps_its_last_epochs(tmp_path, finetune, kept):
    from etude.train.loop import fit

    study = Study.from_text(TEXT, sets=["train.epochs=5", f"finetune={finetune}", "augment=none"])
    workspace = Workspace(study.config, tmp_path, StudyFolder(tmp_path, "study"), "cpu", Silent())
    job = make_job(workspace, resolve_candidate(study.config, "plain"), Order("plain", 0, None, "x"))
    fitted = fit(replace(job, keep_epochs=2, train=job.train.model_copy(update={"keep": "last"})), tmp_path, Silent())
    files = kept_epochs(tmp_path)
    assert [int(file.stem) for file in files] == kept
    last, _ = load_tensors(files[-1])
    assert all(torch.equal(tensor, last[name]) for name, tensor in fitted.model.state_dict().items())
