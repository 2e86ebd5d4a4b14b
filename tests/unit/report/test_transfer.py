"""Transfer, told: networks that start from pretrained weights beside those that do not."""

from __future__ import annotations

import pytest

from etude.core.run_record import RunRecord
from etude.report.note import gather, write_note
from etude.report.reading import read_study
from etude.report.transfer import has_transfer, tell_way
from etude.report.words import Words


def pretrain(folder, candidate, **finetune):
    """Let the runs of a candidate start from weights."""
    for path in folder.glob(f"runs/{candidate}-0*/run.json"):
        run = RunRecord.load(path)
        model = run.config["model"] | {"weights": "imagenet"}
        run.model_copy(update={"config": run.config | {"model": model, "finetune": finetune}}).save(path)


def test_a_study_of_one_kind_alone_has_no_such_part(study_folder, tmp_path):
    assert not has_transfer(read_study(study_folder))
    assert gather(read_study(study_folder), Words("en"))["transfer"] is None
    assert 'id="transfer"' not in write_note(study_folder, "en", to=tmp_path / "n.html").read_text("utf-8")
    for candidate in ("cnn", "mlp", "cnn-noise", "cnn-flip-shift", "resnet"):
        pretrain(study_folder, candidate, name="all")
    assert not has_transfer(read_study(study_folder))


@pytest.mark.parametrize("language", ["en", "fr"])
def test_what_is_trained_and_what_it_gains_over_a_network_from_chance_is_told(study_folder, tmp_path, language):
    pretrain(study_folder, "resnet", name="gradual")
    pretrain(study_folder, "mlp", name="last", blocks=3)
    words = Words(language)
    part = gather(read_study(study_folder), words, name=str)["transfer"]
    assert {sentence.split()[0] for _, sentence in part.sentences} == {"resnet", "mlp"}, "the baseline is from chance"
    ways = {row[0].text: row[2].text for row in part.table.rows}
    assert ways["mlp"] == words.say_count("the head and the last block", "the head and the last {n} blocks", 3)
    assert ways["cnn"] == words.say("all layers")
    assert {part.table.rows[place][0].text for place in part.table.marked} == {"resnet", "mlp"}
    assert 'id="transfer"' in write_note(study_folder, language, to=tmp_path / "n.html").read_text("utf-8")


@pytest.mark.parametrize("more", [{"augment": {"use": ["flip"]}}, {"data": {"generated": {"pictures": 5}}}])
def test_features_of_pictures_that_change_are_not_said_to_be_computed_once(more):
    head = {"finetune": {"name": "head"}}
    assert tell_way(head, Words("en")) == "the head alone, over features that are computed once"
    assert tell_way(head | more, Words("en")) == "the head alone"
