"""Every parameter of a training, every loss and every metric has its sentence, in both languages."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import get_args

import pytest

from etude.core.records import Config
from etude.core.study_record import StudyRecord
from etude.data.augment.config import AugmentConfig
from etude.metrics import METRICS, SEGMENTATION_METRICS
from etude.metrics.generation import GENERATION_METRICS
from etude.models import MODELS
from etude.models.model_spec import ModelSpec
from etude.pictures.prepare_config import Prepare
from etude.report.choices import METRIC_SENTENCES, tell_metric
from etude.report.messages import LANGUAGES, read_messages
from etude.report.parameters import (
    LOSS_SENTENCES,
    PARAMETER_SENTENCES,
    tabulate_other_parameters,
    tabulate_parameters,
)
from etude.report.settings import flatten
from etude.report.words import Words
from etude.study.file import CombineConfig
from etude.tasks.generation import ADVERSARIAL_LOSSES
from etude.tasks.mask_losses import MASK_LOSSES
from etude.train.config import TrainConfig
from etude.train.finetune import FinetuneConfig


def fields_of(config, prefix):
    for name, field in config.model_fields.items():
        if inspect.isclass(field.annotation) and issubclass(field.annotation, Config):
            yield from fields_of(field.annotation, f"{prefix}.{name}")
        else:
            yield f"{prefix}.{name}"


CONFIGS = {"prepare": Prepare, "augment": AugmentConfig, "train": TrainConfig, "finetune": FinetuneConfig,
           "combine": CombineConfig, "model": ModelSpec}  # fmt: skip


@pytest.mark.parametrize("root", list(CONFIGS))
def test_every_field_of_a_training_has_its_sentence(root):
    assert set(fields_of(CONFIGS[root], root)) <= set(PARAMETER_SENTENCES)


@pytest.mark.parametrize("name", list(MODELS))
def test_every_parameter_of_a_registered_network_has_its_sentence(name):
    assert set(fields_of(MODELS[name].params, "model")) <= set(PARAMETER_SENTENCES)


def test_every_loss_has_its_sentence():
    assert set(LOSS_SENTENCES) == set(get_args(TrainConfig.model_fields["loss"].annotation))
    assert set(LOSS_SENTENCES) == {"cross-entropy", *MASK_LOSSES.names(), *ADVERSARIAL_LOSSES.names()}


def test_every_metric_has_its_sentence():
    registered = {*METRICS.names(), *SEGMENTATION_METRICS.names(), *GENERATION_METRICS.names()}
    assert set(METRIC_SENTENCES) == registered
    assert all(Words("fr").say(METRIC_SENTENCES[name]) != METRIC_SENTENCES[name] for name in registered)


RECORDS = Path(__file__).parents[2] / "fixtures" / "records"


def test_the_choice_of_the_mean_iou_is_argued_with_the_numbers_of_the_part():
    record = StudyRecord.load(RECORDS / "study.1.json")
    shown = {"sky": 300, "road": 450, "pole": 10, "building": 240}
    of_masks = record.model_copy(update={"metric": "miou", "pixels": {"test": shown}})
    told = tell_metric(of_masks, Words("en"))
    assert "road and sky hold 75% of the pixels of the test part" in told
    assert "summed over all pictures before dividing" in told
    assert "decided by the largest classes alone" in tell_metric(
        of_masks.model_copy(update={"pixels": {}}), Words("en")
    )
    assert "road et sky" in tell_metric(of_masks.model_copy(update={"metric": "dice"}), Words("fr"))
    plain = tell_metric(record.model_copy(update={"metric": "accuracy"}), Words("en"))
    assert plain == METRIC_SENTENCES["accuracy"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_sentence_stands_in_the_catalogue(language):
    texts = read_messages(language)
    for sentences in (PARAMETER_SENTENCES, LOSS_SENTENCES, METRIC_SENTENCES):
        assert [text for text in sentences.values() if text not in texts] == []


def told(settings, language="en"):
    table = tabulate_parameters(settings, Words(language))
    return {row[0].text: row[2].text for row in table.rows}


def test_the_loss_is_told_as_the_one_that_it_is():
    assert "Cross-entropy is minus the logarithm" in told({"train.loss": "cross-entropy"})["train.loss"]
    dice = told({"train.loss": "dice"})["train.loss"]
    assert "Dice coefficient" in dice
    assert "logarithm" not in dice
    assert "Le discriminateur apprend" in told({"train.loss": "hinge"}, "fr")["train.loss"]


def test_what_other_candidates_have_besides_is_told_once_and_each_loss():
    reference = {"train.loss": "cross-entropy", "train.batch": "8", "combine.tta": "none"}
    candidates = {
        "plain": reference,
        "dice": reference | {"train.loss": "dice"},
        "airnet": reference | {"model.logit_scale": "0.1", "train.batch": "16"},
        "larger": reference | {"model.logit_scale": "0.2"},
        "flipped": reference | {"combine.tta": "flip"},
    }
    rows = tabulate_other_parameters(reference, candidates, Words("en")).rows
    found = {row[0].text: (row[1].text, row[2].text) for row in rows}
    assert len(rows) == len(found)
    assert found["model.logit_scale"][0] == "0.1, 0.2"
    assert "Dice coefficient" in found["train.loss"][1]
    assert "train.batch" not in found
    assert tabulate_other_parameters(reference, {"plain": reference}, Words("en")).rows == ()


def test_what_a_training_uses_is_told_and_what_does_nothing_is_left_out():
    plain = flatten({"train": TrainConfig().model_dump(mode="json"), "finetune": {"name": "all", "blocks": 3}})
    rows = told(plain)
    assert {"train.schedule.start", "train.accumulate", "train.optimizer.head_lr_scale"} <= set(rows)
    assert not any(name.startswith("train.adversarial") for name in rows)
    assert not {"train.schedule.gamma", "train.average.decay", "finetune.blocks", "train.balanced_crops"} & set(rows)
    stepped = TrainConfig(schedule="step", average="ema", crop_px=(32, 48), balanced_crops=0.5)
    rows = told(flatten({"train": stepped.model_dump(mode="json"), "finetune": {"name": "last", "blocks": 3}}))
    assert {"train.schedule.gamma", "train.schedule.milestones", "train.average.decay", "train.average.every",
            "train.crop_px", "train.balanced_crops", "finetune.blocks"} <= set(rows)  # fmt: skip
    rows = told(flatten({"train": TrainConfig(loss="hinge").model_dump(mode="json")}))
    assert {"train.adversarial.r1", "train.adversarial.collapse"} <= set(rows)


def test_a_parameter_of_a_network_of_ones_own_is_not_dropped():
    rows = told({"model.name": "python", "model.petals": "5", "model.options.embed_dim": "48"})
    assert rows["model.petals"] == "A parameter of this network."
    assert rows["model.options.embed_dim"] == PARAMETER_SENTENCES["model.options"]


def test_each_augmentation_of_a_list_is_told_once():
    reference = {"augment.use": '["flip", "scale"]'}
    (row,) = tabulate_parameters(reference, Words("fr")).rows
    assert "flip : Retourne l’image" in row[2].text.replace("\u00a0", " ")
    assert "À l’intensité 1" in row[2].text
    others = {
        "a": {"augment.use": '["flip", "night"]'},
        "b": {"augment.use": '["flip"]'},
        "c": {"augment.use": '["haze"]'},
    }
    (row,) = tabulate_other_parameters(reference, others, Words("en")).rows
    assert row[1].text == "night, haze"
    assert "night: Takes light away" in row[2].text
    assert "haze: Veils" in row[2].text
    assert "flip" not in row[2].text


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"name": "cosine", "warmup": "null"}, {"warmup": "0.05", "start": "0.2"}),
        ({"name": "cosine", "warmup": "0.1"}, {"warmup": "0.1", "start": "0.2"}),
        ({"name": "constant", "warmup": "null"}, {}),  # nothing rises from start
        ({"name": "cosine", "warmup": "0.0"}, {}),
    ],
)
def test_the_warm_up_that_a_schedule_has_is_told(given, told):
    settings = {f"train.schedule.{name}": value for name, value in (given | {"start": "0.2"}).items()}
    rows = tabulate_parameters(settings, Words("en")).rows
    found = {row[0].text.removeprefix("train.schedule."): row[1].text for row in rows}
    assert {name: value for name, value in found.items() if name != "name"} == told


def test_a_new_head_is_told_of_where_there_is_a_file_that_has_another():
    assert not tabulate_parameters({"model.new_head": "false", "model.checkpoint": "null"}, Words("en")).rows
    assert (
        len(tabulate_parameters({"model.new_head": "true", "model.checkpoint": "a.safetensors"}, Words("en")).rows) == 2
    )
