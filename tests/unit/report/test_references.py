"""What a study stands on: what it used is cited, and what it did not use is not."""

from __future__ import annotations

import json

import pytest

from etude.core.interval import Interval
from etude.core.run_record import RunRecord
from etude.core.search_record import SearchRecord
from etude.core.study_record import Resampling, StudyRecord
from etude.models import MODELS
from etude.report.card_words import tell_paper
from etude.report.reading import read_study
from etude.report.references import list_references
from etude.report.settings import read_settings
from etude.report.words import Words


def cited(folder, language="en"):
    study = read_study(folder)
    return " ".join(list_references(study, read_settings(study), Words(language)))


def change_train(folder, **changes):
    for path in folder.glob("runs/*/run.json"):
        run = RunRecord.load(path)
        run.model_copy(update={"config": run.config | {"train": run.config["train"] | changes}}).save(path)


@pytest.mark.parametrize(
    ("changes", "author"),
    [
        ({"label_smoothing": 0.1}, "Rethinking"),
        ({"average": {"name": "lookahead"}}, "Lookahead"),
        ({"average": {"name": "ema"}}, "Polyak"),
        ({"loss": "focal"}, "Focal loss"),
        ({"optimizer": {"name": "muon"}}, "Muon"),
    ],
)
def test_settings_are_cited_where_they_are_used(study_folder, changes, author):
    change_train(study_folder, label_smoothing=0.0, average={"name": "none"}, loss="cross-entropy")
    assert author not in cited(study_folder)
    change_train(study_folder, **changes)
    assert author in cited(study_folder)


def test_intervals_tests_and_measures_are_cited(study_folder):
    text = cited(study_folder)
    for author in ("Student", "Holm", "Efron"):
        assert author in text
    assert "Brier" not in text
    path = study_folder / "study.json"
    record = StudyRecord.load(path)
    rows = [row.model_copy(update={"interval_pictures": None, "also": {"brier": 0.2}}) for row in record.leaderboard]
    record.model_copy(update={"leaderboard": tuple(rows), "verdicts": ()}).save(path)
    text = cited(study_folder)
    assert "Brier" in text
    for author in ("Student", "Holm", "Efron"):
        assert author not in text


@pytest.mark.parametrize(
    ("resampling", "cites", "not_cited"),
    [
        (None, (), ("Hesterberg", "Künsch", "Stein")),
        (Resampling(unit="groups", drawn=9, groups=9), ("Hesterberg",), ("Künsch", "Stein")),
        (Resampling(unit="groups", drawn=3, groups=3, length=9), ("Hesterberg", "Künsch", "Stein"), ()),
        (Resampling(unit="blocks", drawn=5, groups=1, length=9), ("Hesterberg", "Künsch"), ("Stein",)),
    ],
)
def test_how_dependent_pictures_are_drawn_is_cited(study_folder, resampling, cites, not_cited):
    path = study_folder / "study.json"
    StudyRecord.load(path).model_copy(update={"resampling": resampling}).save(path)
    text = cited(study_folder)
    assert all(author in text for author in cites)
    assert not any(author in text for author in not_cited)


def test_measures_of_generators_cite_how_their_intervals_are_made(study_folder):
    path = study_folder / "study.json"
    record = StudyRecord.load(path)
    rows = [
        row.model_copy(update={"also": {"fid": 9.0}, "of_photographs": {"near_copies": Interval(low=0, high=0.1)}})
        for row in record.leaderboard
    ]
    record.model_copy(update={"leaderboard": tuple(rows)}).save(path)
    text = cited(study_folder)
    assert "Efron, Stein" in text
    assert "precedence" in text


def test_a_search_cites_its_sampler_its_pruner_and_its_importances(searched):
    text = cited(searched)
    assert "Random search" in text
    assert "Vizier" in text
    assert "PED-ANOVA" not in text, "no importance is known"
    path = next(searched.glob("search/*.json"))
    record = SearchRecord.load(path)
    known = tuple(entry.model_copy(update={"importance": 0.4}) for entry in record.parameters)
    record.model_copy(update={"parameters": known, "sampler": "tpe", "pruner": "none"}).save(path)
    text = cited(searched)
    assert "PED-ANOVA" in text
    assert "Kégl" in text
    assert "Vizier" not in text


@pytest.mark.parametrize(
    ("part", "author"),
    [("why.json", "Grad-CAM"), ("why.json", "Adebayo"), ("map.json", "t-SNE"), ("errors.json", "Wilson")],
)
def test_what_looked_at_a_network_is_cited_where_it_did(study_folder, part, author):
    assert author not in cited(study_folder)
    folder = next(study_folder.glob("runs/*")) / "explain"
    folder.mkdir()
    (folder / part).write_text("{}", "utf-8")
    assert author in cited(study_folder)


def test_corruptions_calibration_and_suspected_labels_are_cited(study_folder):
    (study_folder / "robustness.json").write_text("{}", "utf-8")
    finding = {"kind": "label-errors", "sentence": "2 labels.", "count": 2}
    (study_folder / "check.json").write_text(json.dumps({"findings": [finding]}), "utf-8")
    for path in study_folder.glob("runs/resnet*/run.json"):
        RunRecord.load(path).model_copy(update={"temperature": 1.4}).save(path)
    text = cited(study_folder)
    for author in ("Hendrycks", "Northcutt", "Guo, Pleiss"):
        assert author in text


def test_what_joins_papers_is_told_in_french():
    words = Words("fr")
    assert tell_paper(MODELS["airnet"].card.paper, words).endswith("\xa0; d’après Page, How to train your ResNet, 2019")
    assert "\xa0; pré-activation\xa0: Identity mappings" in tell_paper(MODELS["resnet"].card.paper, words)
    assert tell_paper(MODELS["airnet"].card.paper, Words("en")) == MODELS["airnet"].card.paper
