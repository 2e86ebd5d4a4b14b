"""How a study is put to use: which run is taken, by which commands, and from which probability it says yes."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
import typer.main

from etude.cli.main import app
from etude.core.run_record import RunRecord
from etude.core.study_record import StudyRecord
from etude.report.deployment import gather_deployment, tabulate_commands, tell_macs
from etude.report.reading import read_study
from etude.report.words import Words


def change_runs(folder: Path, pattern: str, **changes) -> None:
    for path in folder.glob(f"runs/{pattern}/run.json"):
        RunRecord.load(path).model_copy(update=changes).save(path)


@pytest.mark.parametrize("language", ["en", "fr"])
@pytest.mark.parametrize("task", ["classification", "segmentation", "generation"])
def test_every_command_is_one_that_the_command_line_reads(task, language):
    commands = typer.main.get_command(app).commands
    table = tabulate_commands("breeds", task, Words(language))
    names = []
    for line in (row[0].text for row in table.rows):
        program, name, *given = shlex.split(line)
        assert program == "etude"
        assert "breeds.bundle" in line or "breeds.sqlite" in line
        commands[name].make_context(name, given)
        names.append(name)
    if task == "generation":
        assert names == ["export", "generate", "serve"]
    else:
        assert names == ["export", "predict", "index", "gallery", "serve"]


def test_it_is_the_run_that_export_takes_that_is_named(study_folder):
    change_runs(study_folder, "cnn-0001*", validation={"accuracy": 0.99})
    change_runs(study_folder, "cnn-0000*", validation={"accuracy": 0.98})
    record = StudyRecord.load(study_folder / "study.json")
    rows = [
        row.model_copy(update={"validation_score": 0.985}) if row.candidate == "cnn" else row
        for row in record.leaderboard
    ]
    record.model_copy(update={"leaderboard": tuple(rows)}).save(study_folder / "study.json")
    deployment = gather_deployment(read_study(study_folder), Words("en"))
    assert deployment.row.candidate == "cnn", "resnet is first on the test part, and not on validation"
    assert "takes cnn, run cnn-0001: the candidate with the best mean on validation" in deployment.told[0]


def test_it_tells_what_the_network_that_is_taken_scores_itself(study_folder):
    """Its mean over folds stood everywhere, and nobody read that the delivered network was the worst of them on test."""
    told = gather_deployment(read_study(study_folder), Words("en")).told
    assert told[1] == (
        "This is one network of 2, that of seed 1: 81.7% on the test part, where the mean of all is 81.3%."
    )
    best = next(RunRecord.load(path) for path in study_folder.glob("runs/resnet-*/run.json"))
    change_runs(study_folder, "resnet-*", validation=best.validation)
    assert (
        "1 other run is as good on validation; the first was taken."
        in gather_deployment(read_study(study_folder), Words("en")).told
    )


def test_a_detector_tells_from_which_probability_it_says_yes(study_folder):
    pair = {"classes": ("other", "elephant")}
    change_runs(study_folder, "*", threshold=0.317, **pair)
    assert gather_deployment(read_study(study_folder), Words("fr")).told[-1].replace("\xa0", " ") == (
        "Il répond elephant à partir d’une probabilité de 0,317, choisie en validation."
    )
    change_runs(study_folder, "*", threshold=None, **pair)
    assert len(gather_deployment(read_study(study_folder), Words("fr")).told) == 2, "two classes, and no detector"
    config = next(iter(read_study(study_folder).runs.values())).config
    change_runs(study_folder, "*", config=config | {"data": config["data"] | {"positive": "elephant"}})
    assert "one half" in gather_deployment(read_study(study_folder), Words("en")).told[-1]


def test_where_one_file_cannot_answer_no_command_is_given(study_folder):
    for path in study_folder.glob("runs/*/run.json"):
        run = RunRecord.load(path)
        run.model_copy(update={"config": run.config | {"combine": {"members": 3}}}).save(path)
    deployment = gather_deployment(read_study(study_folder), Words("en"))
    assert deployment.commands is None
    assert "One file cannot give the answers" in deployment.told[0]


def test_the_multiply_adds_of_several_answers_are_told_as_such(study_folder):
    study, words = read_study(study_folder), Words("en")
    row, run = StudyRecord.load(study_folder / "study.json").leaderboard[0], study.runs_of("resnet")[0]
    assert "several" not in tell_macs(row, run, words)
    for given, told in (({"tta": "flip"}, "its mirror image"), ({"members": 3}, "3 networks")):
        combined = run.model_copy(update={"config": run.config | {"combine": given}})
        assert told in tell_macs(row, combined, words)
    averaged = {"members": 3, "average": "weights", "last_epochs": 5}
    assert "several" not in tell_macs(row, run.model_copy(update={"config": {"combine": averaged}}), words)
