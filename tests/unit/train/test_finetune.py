"""Fine-tuning in stages: what is trained, what stays, what is kept, and going on after an interruption."""

from __future__ import annotations

import copy
import dataclasses
import functools
import math
import time

import numpy as np
import pytest
import torch
from torch import nn

from etude.core.errors import ModelError
from etude.core.watch import Silent
from etude.data.augment import AugmentConfig
from etude.data.prepared import PreparedSet
from etude.models import build_model
from etude.models.execution import Execution
from etude.pictures.prepare_config import Prepare
from etude.train import loop, state
from etude.train.config import TrainConfig
from etude.train.finetune import FinetuneConfig, plan_stages
from etude.train.finish import run_job
from etude.train.job import Job
from etude.train.loaders import plain_loader
from etude.train.loop import fit

SIZE_PX = (16, 16)
NETWORK = {"name": "cnn", "widths": [8, 8, 8], "convs": 1, "dropout": 0.2}
HEAD_FIRST = FinetuneConfig(
    name="gradual", blocks=1, head_epochs=4, last_share=0.5, last_lr_scale=1.0, all_lr_scale=1.0
)


def colored(count: int, seed: int, start: int) -> PreparedSet:
    """Draw noise whose mean colour tells the class, faintly."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, count)
    pictures = rng.normal(110, 60, (count, *SIZE_PX, 3))
    pictures[np.arange(count), :, :, labels] += 14
    return PreparedSet(
        pictures_NHWC=pictures.clip(0, 255).astype(np.uint8), labels_N=labels, masks_NHW=None,
        indices_N=np.arange(start, start + count),
    )  # fmt: skip


PARTS = {"train": colored(96, 0, 0), "validation": colored(48, 1, 96), "test": colored(48, 2, 144)}


def make_job(finetune: FinetuneConfig, *, model: dict = NETWORK, epochs: int = 4, **changes) -> Job:
    train = TrainConfig(epochs=epochs, batch=16, optimizer={"name": "adamw", "lr": 0.01}, schedule="constant")
    job = Job(
        identity="tried", study="tried", candidate="tried", seed=3, fold=None, config={}, task="classification",
        classes=("a", "b", "c"), metric="accuracy", also=("log_loss",), prepare=Prepare(size_px=SIZE_PX, normalize="half"),
        augment=AugmentConfig(), train=train, build=functools.partial(build_model, model, n_outputs=3, size_px=SIZE_PX, seed=3),
        execution=Execution(torch.device("cpu"), "fp32", False), parts=PARTS.__getitem__,
        item_ids=lambda indices: indices.astype(str), finetune=finetune, data_key="drawn",
    )  # fmt: skip
    return dataclasses.replace(job, **changes)


def same(one: nn.Module, other: nn.Module, below: str = "") -> bool:
    pairs = zip(one.state_dict().items(), other.state_dict().values(), strict=True)
    return all(torch.equal(ours, theirs) for (name, ours), theirs in pairs if name.startswith(below))


def test_the_head_alone_changes_nothing_before_it(tmp_path):
    job = make_job(FinetuneConfig(name="head"))
    fitted = fit(job, tmp_path, Silent())
    built = job.build()
    assert same(fitted.model, built, "blocks.")
    assert not same(fitted.model, built, "head.")
    assert [line.stage for line in fitted.progress.epochs()] == ["head"] * 4


def test_features_give_what_the_whole_network_gives(tmp_path):
    job = make_job(FinetuneConfig(name="head"))
    fitted = fit(job, tmp_path, Silent())
    assert fitted.store is not None
    by_features = loop.predict(fitted, job, PARTS["test"])
    by_pictures = loop.predict(dataclasses.replace(fitted, store=None), job, PARTS["test"])
    np.testing.assert_allclose(by_features, by_pictures, rtol=1e-4, atol=1e-6)


def test_features_are_computed_once_for_all_heads(tmp_path, monkeypatch):
    kept = tmp_path / "features"
    run_job(make_job(FinetuneConfig(name="head"), features=kept), tmp_path / "a", Silent())
    assert len(list(kept.glob("*.safetensors"))) == 1

    def no_more(*_args):
        raise AssertionError("features were computed again")

    monkeypatch.setattr("etude.train.features.FeatureStore._compute", no_more)
    second = make_job(FinetuneConfig(name="head"), model={**NETWORK, "dropout": 0.5}, epochs=2, features=kept, seed=9)
    run_job(second, tmp_path / "b", Silent())


def test_features_of_another_run_cost_the_next_one_what_they_took(tmp_path, monkeypatch):
    """A head on features that lie there is not trained in a second: someone has computed them."""
    from etude.train.features import FeatureStore

    compute = FeatureStore._compute

    def slowly(self, loader):
        time.sleep(0.4)
        return compute(self, loader)

    monkeypatch.setattr(FeatureStore, "_compute", slowly)
    job = make_job(FinetuneConfig(name="head"), features=tmp_path / "features")
    first = run_job(job, tmp_path / "a", Silent())
    again = dataclasses.replace(job, seed=9, identity="again")
    second = run_job(again, tmp_path / "b", Silent())
    for run in (first, second):
        assert run.cost.features_seconds >= 0.8  # training and validation part
        assert run.cost.seconds >= run.cost.seconds_to_best >= run.cost.features_seconds


def test_generated_pictures_have_features_of_their_own_and_leave_none_behind(tmp_path, monkeypatch):
    """They have no position in the source: looked up by it, all of them would be one picture, and that of another run."""
    from types import SimpleNamespace

    from etude.train.features import FeatureStore

    monkeypatch.setattr(FeatureStore, "_key", lambda _self: "key")
    trunk = SimpleNamespace(model=torch.nn.Identity(), features=lambda images: images.flatten(1)[:, :1])
    job = make_job(FinetuneConfig(name="head"))

    def ask(values):
        images = torch.tensor(values, dtype=torch.float32)[:, None, None, None]
        loader = [SimpleNamespace(images_BCHW=part) for part in torch.split(images, 2)]
        part = SimpleNamespace(indices_N=np.array([5, 2, 9, -1, -1]))
        return FeatureStore(job, trunk, tmp_path).of(part, loader).flatten().tolist()

    assert ask([10, 11, 12, 20, 21]) == [10, 11, 12, 20, 21]
    assert ask([0, 0, 0, 30, 31]) == [10, 11, 12, 30, 31]


@pytest.mark.parametrize("change", [{"data_key": "other"}, {"prepare": Prepare(size_px=SIZE_PX, normalize="none")}])
def test_other_pictures_have_other_features(tmp_path, change):
    fit(make_job(FinetuneConfig(name="head"), features=tmp_path), tmp_path / "a", Silent())
    fit(make_job(FinetuneConfig(name="head"), features=tmp_path, **change), tmp_path / "b", Silent())
    assert len(list(tmp_path.glob("*.safetensors"))) == 2


def test_another_pooling_has_other_features(tmp_path):
    for pool in ("avg", "max"):
        config = {"model": {"name": "cnn", "dropout": 0.2, "head": {"pool": pool, "dropout": 0.1}}}
        fit(make_job(FinetuneConfig(name="head"), features=tmp_path, config=config), tmp_path / pool, Silent())
    assert len(list(tmp_path.glob("*.safetensors"))) == 2
    config = {"model": {"name": "cnn", "dropout": 0.5, "head": {"pool": "max", "dropout": 0.5}}}
    fit(make_job(FinetuneConfig(name="head"), features=tmp_path, config=config), tmp_path / "other", Silent())
    assert len(list(tmp_path.glob("*.safetensors"))) == 2


@pytest.mark.parametrize(("score", "loss", "kept"), [
    (0.8, 0.4, True), (0.8, 0.6, False), (0.9, 0.9, True), (0.7, 0.1, False), (0.8, 0.5, False),
])  # fmt: skip
def test_of_equal_scores_the_lower_loss_is_kept(score, loss, kept):
    progress = state.Progress(epoch=2, best_epoch=1, best_score=0.8, history=[{"validation_loss": 0.5}, {}])
    found = loop._is_kept(TrainConfig(), loop.Validated(loss=loss, score=score), progress, math.inf, is_last=False)
    assert found is kept


def test_with_augmentation_the_head_sees_augmented_pictures(tmp_path):
    fitted = fit(make_job(FinetuneConfig(name="head"), augment=AugmentConfig(use=("flip",))), tmp_path, Silent())
    assert fitted.store is None
    assert same(fitted.model, make_job(FinetuneConfig()).build(), "blocks.")  # the running statistics too


def test_a_head_that_does_not_give_the_logits_is_trained_through_the_network(tmp_path):
    airnet = {"name": "airnet", "widths": [8, 8]}
    fitted = fit(make_job(FinetuneConfig(name="head"), model=airnet), tmp_path, Silent())
    assert fitted.store is None
    assert len(fitted.progress.history) == 4


def test_the_last_blocks_are_trained_and_the_first_keep_their_statistics(tmp_path):
    job = make_job(FinetuneConfig(name="last", blocks=1))
    fitted = fit(job, tmp_path, Silent())
    built = job.build()
    assert same(fitted.model, built, "blocks.0.")
    assert same(fitted.model, built, "blocks.1.")
    for layer in ("blocks.2.0.weight", "blocks.2.1.running_mean"):
        assert not torch.equal(fitted.model.state_dict()[layer], built.state_dict()[layer])


@pytest.mark.parametrize("way", ["all", "last"])
def test_frozen_statistics_stay_while_the_weights_beside_them_are_trained(tmp_path, way):
    finetune = FinetuneConfig(name=way, blocks=1, norm="frozen")
    job = make_job(finetune, augment=AugmentConfig(use=("flip",)))
    fitted = fit(job, tmp_path, Silent())
    before, after = job.build().state_dict(), fitted.model.state_dict()
    statistics = [name for name in before if "running_" in name]
    assert statistics
    assert all(torch.equal(before[name], after[name]) for name in statistics)
    assert not torch.equal(before["blocks.2.1.weight"], after["blocks.2.1.weight"])


def test_weights_of_another_normalisation_are_told_and_recorded(tmp_path):
    network = build_model(NETWORK, n_outputs=3, size_px=SIZE_PX, seed=3)
    seen = torch.from_numpy(PARTS["train"].pictures_NHWC).permute(0, 3, 1, 2).float() / 255
    for _ in range(60):
        network(seen)  # its statistics are now those of pictures from 0 to 1
    pretrained = {"build": lambda: copy.deepcopy(network), "config": {"model": {"weights": "imagenet"}}}
    record = run_job(make_job(FinetuneConfig(), epochs=1, **pretrained), tmp_path / "half", Silent())
    (told,) = record.notes
    assert "prepare.normalize is half" in told
    assert "normalised by none. Give prepare.normalize that value" in told
    fitting = make_job(FinetuneConfig(), epochs=1, **pretrained, prepare=Prepare(size_px=SIZE_PX, normalize="none"))
    assert run_job(fitting, tmp_path / "none", Silent()).notes == ()


def test_more_blocks_than_there_are_is_a_mistake(tmp_path):
    with pytest.raises(ModelError, match=r"finetune: blocks must be at most 3.*Got 9.*Give fewer"):
        fit(make_job(FinetuneConfig(name="last", blocks=9)), tmp_path, Silent())
    with pytest.raises(ModelError, match="at most 3"):
        fit(make_job(HEAD_FIRST.model_copy(update={"blocks": 4})), tmp_path, Silent())
    assert not list(tmp_path.rglob("*.safetensors"))  # not even its first stage was trained


def test_gradual_goes_from_the_head_to_all(tmp_path):
    fitted = fit(make_job(HEAD_FIRST), tmp_path, Silent())
    assert [line.stage for line in fitted.progress.epochs()] == ["head"] * 4 + ["last-1"] * 2 + ["all"] * 2
    assert [line.step for line in fitted.progress.epochs()] == [6 * number for number in range(1, 9)]


def test_a_stage_that_gains_nothing_leaves_nothing_behind(tmp_path):
    wild = {"head_epochs": 25, "last_lr_scale": 3000.0, "all_lr_scale": 3000.0}
    job = make_job(HEAD_FIRST.model_copy(update=wild))
    fitted = fit(job, tmp_path, Silent())
    scores = [line.validation_score for line in fitted.progress.epochs()]
    assert max(scores[:25]) > max(scores[25:])
    assert fitted.progress.best_epoch <= 25
    assert same(fitted.model, job.build(), "blocks.")
    again = loop.validate(fitted.model, fitted.task, plain_loader(job, PARTS["validation"]), PARTS["validation"], job)
    assert again.score == pytest.approx(max(scores[:25]))


def test_a_later_stage_starts_from_the_best_weights(tmp_path, monkeypatch):
    starts = []
    train_stage = loop._train_stage

    def look(training, saved):
        starts.append({name: tensor.clone() for name, tensor in training.model.state_dict().items()})
        train_stage(training, saved)

    monkeypatch.setattr(loop, "_train_stage", look)
    wild = HEAD_FIRST.model_copy(update={"last_lr_scale": 300.0})
    fit(make_job(wild), tmp_path, Silent())
    assert torch.equal(starts[1]["blocks.2.0.weight"], starts[2]["blocks.2.0.weight"])
    assert torch.equal(starts[1]["head.weight"], starts[2]["head.weight"])


class Killed(BaseException):
    pass


def outcome(fitted) -> list:
    timeless = [line.model_copy(update={"seconds": 0, "images_per_s": 0}) for line in fitted.progress.epochs()]
    return [timeless, *(tensor.tolist() for tensor in fitted.model.state_dict().values())]


@pytest.mark.parametrize(("share", "least"), [(1e9, 8), (1e-9, 4)], ids=["each-epoch", "first-and-last"])
def test_killed_at_any_write_it_ends_the_same(tmp_path, monkeypatch, share, least):
    """A process that dies before or after any file of the state is written goes on and ends bit for bit the same."""
    train = TrainConfig(epochs=3, batch=16, optimizer={"name": "adamw", "lr": 0.01}, average="ema")
    monkeypatch.setattr(loop, "_SAVE_SHARE", share)
    job = make_job(HEAD_FIRST.model_copy(update={"head_epochs": 2}), train=train)
    whole = outcome(fit(job, tmp_path / "whole", Silent()))
    writes = 0

    def dying(original, deadly, after):
        def write(*args, **options):
            nonlocal writes
            writes += 1
            if writes == deadly and not after:
                raise Killed
            original(*args, **options)
            if writes == deadly:
                raise Killed

        return write

    killed = 0
    for deadly in range(1, 30):
        folder = tmp_path / f"killed-{deadly}"
        writes = 0
        with monkeypatch.context() as patch:
            patch.setattr(loop, "save_tensors", dying(state.save_tensors, deadly, deadly % 2 == 0))
            patch.setattr(loop, "save_state", dying(state.save_state, deadly, deadly % 2 == 1))
            try:
                fit(job, folder, Silent())
                break
            except Killed:
                killed += 1
        assert outcome(fit(job, folder, Silent())) == whole, deadly
    assert killed > least


def test_where_epochs_are_short_the_state_is_written_after_some_of_them(tmp_path, monkeypatch):
    told, real = [], loop.save_state

    def slow(folder, progress, *rest):
        real(folder, progress, *rest)
        time.sleep(0.2)
        told.append(progress.epoch)

    monkeypatch.setattr(loop, "save_state", slow)
    job = make_job(FinetuneConfig(), epochs=30)
    fitted = fit(job, tmp_path, Silent())
    assert told[0] == 1
    assert told[-1] == 30
    assert len(told) < 10  # an epoch takes some ms, and a write that takes 0.2 s is worth 6 s of training
    kept, _ = state.load_tensors(tmp_path / "state" / state.BEST_FILE)
    assert all(torch.equal(tensor, kept[name]) for name, tensor in fitted.model.state_dict().items())


def test_rates_fall_with_depth():
    from etude.models.networks.depth import lr_scales
    from etude.train.config import OptimizerConfig
    from etude.train.optimizers import build_optimizer

    model = build_model(NETWORK, n_outputs=3, size_px=SIZE_PX, seed=0)
    optimizer = build_optimizer(model, OptimizerConfig(name="adamw", lr=0.1), lr_scales(model, 0.5))
    rate = {id(p): group["peak_lr"] for group in optimizer.param_groups for p in group["params"]}
    rates = [rate[id(model.get_parameter(name))] for name in ("head.weight", "blocks.2.0.weight", "blocks.0.0.weight")]
    assert rates == pytest.approx([0.1, 0.05, 0.0125])


def test_the_names_of_a_study_file():
    from etude.study.file import CandidateConfig

    assert CandidateConfig.model_validate({"finetune": "last-5"}).finetune == FinetuneConfig(name="last", blocks=5)
    assert CandidateConfig.model_validate({"finetune": "gradual"}).finetune == FinetuneConfig(name="gradual")


def test_the_rates_of_gradual_fall_from_stage_to_stage_and_towards_the_pictures():
    stages = plan_stages(FinetuneConfig(name="gradual"), TrainConfig(epochs=12), augmented=True)
    found = [(stage.name, stage.epochs, stage.lr_scale, stage.layer_decay) for stage in stages]
    assert found == [("head", 30, 1.0, 1.0), ("last-3", 3, 0.3, 0.9), ("all", 9, 0.3, 0.9)]


def test_the_identity_of_gradual_holds_its_rates_and_that_of_others_what_was_given():
    assert FinetuneConfig(name="gradual").identity() == {
        "name": "gradual", "blocks": 3, "head_epochs": 30, "last_share": 0.25, "last_lr_scale": 0.3,
        "all_lr_scale": 0.3, "layer_decay": 0.9,
    }  # fmt: skip
    assert FinetuneConfig(name="head", norm="frozen").identity() == {"name": "head", "norm": "frozen"}
    assert FinetuneConfig().identity() == {}


def test_stages_that_are_empty_are_left_out():
    stages = plan_stages(FinetuneConfig(name="gradual", last_share=0.9), TrainConfig(epochs=1), augmented=False)
    assert [stage.name for stage in stages] == ["head", "last-3"]
    for share in (0.1, 0.9):
        config = FinetuneConfig(name="gradual", last_share=share)
        stages = plan_stages(config, TrainConfig(epochs=2), augmented=False)
        assert [(stage.name, stage.epochs) for stage in stages] == [("head", 30), ("last-3", 1), ("all", 1)]


def test_steps_are_shared_by_the_stages_after_the_head():
    train = TrainConfig(steps=100, epochs=1)
    stages = plan_stages(FinetuneConfig(name="gradual", last_share=0.3), train, augmented=False)
    assert [loop.length_of(stage, train, 20) for stage in stages] == [(30, 600), (2, 30), (4, 70)]
