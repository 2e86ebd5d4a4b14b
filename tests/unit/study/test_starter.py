"""What a starter study proposes: lengths that fit the pictures, and a question in both languages."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from etude.cli.starting import write_starter
from etude.core.errors import MistakeError
from etude.study.parse import parse_study
from etude.study.starter import folder_study, starter_text


@pytest.fixture
def photos(tmp_path):
    for name in ("cats", "dogs"):
        for number in range(20):
            path = tmp_path / "photos" / name / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((50, 60, 3), number, np.uint8)).save(path)
    return tmp_path / "photos"


def test_a_starter_over_a_folder_is_as_long_as_the_ladder_over_it(photos):
    started, ladder = parse_study(starter_text("mine", str(photos))), parse_study(folder_study(photos))
    assert (started.train.epochs, started.train.batch) == (ladder.train.epochs, ladder.train.batch) == (60, 32)
    assert started.prepare.size_px == ladder.prepare.size_px == 48
    assert set(started.question) == set(ladder.question) == {"en", "fr"}


def test_a_starter_over_a_folder_without_classes_is_written_all_the_same(tmp_path):
    assert parse_study(starter_text("mine", str(tmp_path))).train.epochs == 20


def test_pictures_that_are_not_there_are_said(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_starter("mine", "nowhere/", "classification", force=False)
    assert "nowhere/ is not there yet" in capsys.readouterr().err
    write_starter("other", "cifar10", "classification", force=False)
    assert not capsys.readouterr().err


@pytest.mark.parametrize("task", ["classification", "segmentation", "generation"])
def test_every_task_has_a_starter_that_holds(task: str) -> None:
    study = parse_study(starter_text("mine", task=task))
    assert study.task == task
    assert study.baseline in study.candidates


def test_an_unknown_task_is_told() -> None:
    with pytest.raises(MistakeError, match=r"unknown name 'generator'. Did you mean 'generation'"):
        starter_text("mine", task="generator")
