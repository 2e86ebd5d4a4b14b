"""The project tree asks for its pictures where a person can put them, whatever machine it is on."""

from __future__ import annotations

import pytest
from PIL import Image

from etude import Study
from etude.core.study_record import StudyRecord
from etude.data.source import open_source
from etude.report.project import write_project

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
