"""The guide to the study file: its files hold, and no field is left out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from etude.cli.main import app
from etude.study.ablations import expand_ablations
from etude.study.faults import record_in
from etude.study.file import StudyConfig
from etude.study.parse import parse_study

STUDIES = sorted((Path(__file__).parents[2] / "studies").glob("*.yaml"))
TEXT = (Path(__file__).parents[2] / "docs" / "studies.md").read_text()
ELSEWHERE = {"adversarial", "finetune", "threshold", "model", "search"}
"""Groups whose fields have a guide or a command of their own."""


@pytest.mark.parametrize("block", re.findall(r"```yaml\n(.*?)```", TEXT, flags=re.DOTALL))
def test_every_study_file_in_it_holds(block: str) -> None:
    study = parse_study(block)
    assert expand_ablations(study).mistakes == ()


@pytest.mark.parametrize("file", STUDIES, ids=lambda file: file.stem)
def test_every_study_that_was_run_can_be_read(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mobilenetv2_100.safetensors").touch()  # it must be there, and is not opened before it is trained
    monkeypatch.setenv("ETUDE_WEIGHTS", str(tmp_path))
    study = parse_study(file.read_text("utf-8"), name=file.name)
    assert study.study == file.stem
    assert expand_ablations(study).mistakes == ()


def test_the_variants_have_the_names_that_it_says() -> None:
    names = {
        name
        for block in re.findall(r"```yaml\n(.*?)```", TEXT, flags=re.DOTALL)
        for name in parse_study(block).candidates
    }
    told = re.search(r"named after what they vary: (.*?)\.\s+They", TEXT, flags=re.DOTALL)
    assert told is not None
    examples = re.findall(r"`([^`]+)`", told[1])
    assert len(examples) == 5
    assert set(examples) <= names


def fields(record: type[BaseModel]) -> set[str]:
    found = set()
    for name, field in record.model_fields.items():
        found.add(name)
        below = record_in(field.annotation)
        if below is not None and below is not record and name not in ELSEWHERE:
            found |= fields(below)
    return found


def test_no_field_is_left_out() -> None:
    words = set(re.findall(r"[a-z_]+", " ".join(re.findall(r"`([^`\n]+)`", TEXT))))
    assert fields(StudyConfig) - words == set()


def test_every_command_in_it_is_one() -> None:
    known = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}
    known |= {group.name for group in app.registered_groups if group.name}
    told = set(re.findall(r"`etude ([a-z]+)", TEXT))
    assert {"plan", "compare", "new", "schema"} <= told
    assert told <= known
