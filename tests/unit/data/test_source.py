"""Finding and opening a source: where it is looked for, and what is said when it is not there."""

import numpy as np
import pytest
from PIL import Image

from etude.core.errors import DataError, MistakeError
from etude.data.config import DataConfig
from etude.data.source import locate, open_source


def draw(root, *classes):
    for name in classes:
        (root / name).mkdir(parents=True)
        Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(root / name / "1.png")
    return root


def test_the_data_folder_goes_before_the_study_and_that_before_here(tmp_path, monkeypatch):
    for place in ("data", "study", "here"):
        draw(tmp_path / place / "pets", "cat", place)
    monkeypatch.setenv("ETUDE_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path / "here")
    base = tmp_path / "study"
    assert open_source("pets", base=base).classes == ("cat", "data")
    monkeypatch.delenv("ETUDE_DATA")
    assert open_source("pets", base=base).classes == ("cat", "study")
    assert open_source("pets").classes == ("cat", "here")
    assert open_source(str(tmp_path / "data" / "pets")).classes == ("cat", "data")


def test_a_path_goes_before_a_registered_name(tmp_path, monkeypatch):
    monkeypatch.delenv("ETUDE_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    assert "ring" in open_source("shapes").classes
    draw(tmp_path / "shapes", "cat", "dog")
    assert open_source("shapes").classes == ("cat", "dog")


def test_what_is_not_there_is_said_with_the_nearest(tmp_path, monkeypatch):
    draw(tmp_path / "animals", "cat", "dog")
    monkeypatch.setenv("ETUDE_DATA", str(tmp_path))
    with pytest.raises(DataError, match=r"Got 'animls'\. Did you mean animals\?") as caught:
        open_source("animls")
    assert str(tmp_path) in str(caught.value)
    with pytest.raises(DataError, match="Did you mean shapes"):
        open_source("shape")
    with pytest.raises(DataError, match="Registered names: shapes, streets"):
        open_source("/nowhere/at/all/zzzzz")
    assert locate("x" * 5000) is None
    with pytest.raises(DataError, match="a registered name or a path"):
        open_source(" ")


def test_a_file_of_another_kind_is_refused(tmp_path):
    path = tmp_path / "pets.zip"
    path.write_bytes(b"PK")
    with pytest.raises(DataError, match="a folder, a Parquet or a CSV file"):
        open_source(str(path))


def test_the_task_must_fit():
    with pytest.raises(DataError, match=r"with masks, as the task is segmentation. Got 'shapes'"):
        open_source("shapes", task="segmentation")
    with pytest.raises(DataError, match=r"set task: segmentation"):
        open_source("streets")
    assert open_source("streets", task="segmentation").kind == "segmentation"
    assert open_source("shapes", task="generation").name == "shapes"
    with pytest.raises(DataError, match="positive must be left out"):
        open_source("streets", task="segmentation", positive="car")
    with pytest.raises(MistakeError, match=r"unknown name 'rings'\. Did you mean 'ring'"):
        open_source("shapes", positive="rings")


def test_the_default_data_need_no_file():
    config = DataConfig()
    assert open_source(config.source).kind == "classification"
    assert (config.on_leak, config.unreadable, config.split.kind) == ("stop", "stop", "auto")
