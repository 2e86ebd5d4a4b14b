"""The project tree asks for its pictures where a person can put them, whatever machine it is on."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest
from PIL import Image

from etude import Study
from etude.core.study_record import StudyRecord
from etude.data.source import open_source
from etude.pictures.reading import OpenPicture
from etude.report.project import write_project
from etude.study import alone

STUDY = """
study: cifar10-models
data: {source: SOURCE}  # where I had them
candidates: {cnn: {model: cnn}}
"""


@pytest.fixture
def plant(study_folder, tmp_path):
    """Write the tree of the study as if its pictures had come from a source; nobody looks at its note here."""
    page = tmp_path / "page"
    page.write_text("", "utf-8")

    def write(source, language="en"):
        record = StudyRecord.load(study_folder / "study.json")
        config = record.config | {"data": record.config["data"] | {"source": source}}
        record.model_copy(update={"config": config}).save(study_folder / "study.json")
        (study_folder / "study.yaml").write_text(STUDY.replace("SOURCE", source), "utf-8")
        return write_project(study_folder, language, to=tmp_path / "tree", made={"note": page, "notebook": page})

    return write


@pytest.mark.parametrize(
    ("source", "named", "told"),
    [
        ("/gone/photos", "photos", "photos"),
        ("../elsewhere/photos/", "photos", "photos"),
        ("~/photos", "photos", "photos"),
        ("pets/photos", "pets/photos", "pets/photos"),
        ("/gone/cifar10", "./cifar10", "cifar10"),  # else that which is fetched would be taken for it
    ],
)
def test_the_study_file_of_a_tree_finds_its_pictures_in_it(plant, monkeypatch, source, named, told):
    root = plant(source)
    assert f"data: {{source: {named}}}  # where I had them" in (root / "study.yaml").read_text("utf-8")
    assert f"put `{told}` into data/raw" in (root / "README.md").read_text("utf-8")
    for name in ("a", "b"):
        (root / "data" / "raw" / told / name).mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(root / "data" / "raw" / told / name / "0.png")
    monkeypatch.setenv("ETUDE_DATA", str(root / "data" / "raw"))
    asked = Study.from_file(root / "study.yaml").config.data.source
    assert open_source(asked, base=root).classes == ("a", "b")


def test_of_a_study_that_draws_its_pictures_none_are_asked_for(plant):
    root = plant("shapes", "fr")
    assert "source: shapes" in (root / "study.yaml").read_text("utf-8")
    assert "L’étude dessine ou télécharge elle-même ses images." in (root / "README.md").read_text("utf-8")


def run_script(root, name, *given):
    """Run a script of a tree in this process and return with what it exits."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", [name, *given])
        patch.setattr("sys.path", [*sys.path])
        patch.setenv("ETUDE_DATA", str(root / "data" / "raw"))
        try:
            runpy.run_path(str(root / "src" / name), run_name="__main__")
        except SystemExit as stopped:
            return stopped.code
    return 0


def test_a_picture_that_is_not_there_is_told_in_a_sentence_and_the_others_are_answered(plant, monkeypatch, capsys):
    class Stub:
        def tell(self, given, to):
            if given == ["nothere.jpg"]:
                OpenPicture(Path(given[0]), name=given[0])
            yield f"{given[0]} cat"

    monkeypatch.setattr(alone, "open_alone", lambda *_: Stub())
    root = plant("shapes")
    assert run_script(root, "models/predict_model.py", "nothere.jpg", "rex.jpg") == 1
    out, err = capsys.readouterr()
    assert out == "rex.jpg cat\n"
    assert "nothere.jpg" in err
    assert "Traceback" not in err
    assert run_script(root, "models/predict_model.py", "rex.jpg") == 0


@pytest.mark.parametrize("language", ["en", "fr"])
def test_every_figure_is_drawn_or_said_to_be_missing(whole_study, tmp_path, capsys, language):
    page = tmp_path / "page"
    page.write_text("", "utf-8")
    root = write_project(whole_study, language, to=tmp_path / "tree", made={"note": page, "notebook": page})
    assert run_script(root, "visualization/visualize.py") == 0
    names = {"leaderboard", "verdicts", "curves", "gaps", "pareto"}
    assert {Path(line).stem for line in capsys.readouterr().out.splitlines()} == names
    for path in root.glob("reports/runs/*/history.jsonl"):
        path.unlink()
    run_script(root, "visualization/visualize.py")
    said = capsys.readouterr().out.replace("\xa0", " ")
    for name in ("curves", "gaps"):
        assert {"en": f"{name}: not drawn", "fr": f"{name} : pas dessinée"}[language] in said


def test_requirements_are_the_recorded_versions_with_a_way_out(plant):
    root = plant("shapes")
    lines = (root / "requirements.txt").read_text("utf-8").splitlines()
    assert {"torch==2.15.0", "numpy==2.4.1"} <= set(lines)  # as the record has them
    assert any(line.startswith("babel>=") for line in lines), "no record has its version"
    loose = (root / "requirements-loose.txt").read_text("utf-8")
    assert "torch>=2.15.0" in loose
    assert "==" not in loose
    assert "requirements-loose.txt" in (root / "README.md").read_text("utf-8")
    assert "requirements-loose.txt" in (root / "setup.py").read_text("utf-8")
