"""The project tree runs alone: its scripts train, draw and answer with the library that lies in it."""

from __future__ import annotations

import os
import re
import runpy
import shutil
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from PIL import Image

from etude import Study
from etude.check.records import Finding
from etude.core.run_record import RunRecord
from etude.core.study_record import StudyRecord
from etude.core.watch import Silent
from etude.core.words import Part
from etude.data.source import open_source
from etude.evaluate.predictions import Predictions
from etude.report.needed import list_requirements, settings_elsewhere
from etude.report.project import write_project
from etude.report.reading import read_study
from etude.study.alone import open_alone
from etude.study.folder import StudyFolder
from etude.study.opened import OpenedRun
from etude.study.workspace import Workspace
from etude.train.mask_answers import answer_masks

STUDY = """
study: tree
question: Does the tree stand alone?
data: {source: shapes, split: {train_items: 100, validation: 0.2}}
prepare: {size_px: 16, normalize: half}
train: {epochs: 1, batch: 32, optimizer: {name: adamw, lr: 0.01}, precision: fp32}
candidates:
  cnn: {model: {name: cnn, widths: [8]}}
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The study, trained once: for tests that only read it."""
    return Study.from_text(STUDY).run(tmp_path_factory.mktemp("results")).folder


@pytest.fixture
def plant(tmp_path):
    """Write the tree of a study for a test that looks at neither its note nor its notebook: those are pages at hand."""
    made = {name: tmp_path / f"{name}.page" for name in ("note", "notebook")}
    for page in made.values():
        page.write_text("", "utf-8")

    def write(study, language="en"):
        return write_project(study, language, to=tmp_path / "tree", made=made)

    return write


@pytest.fixture
def run_script(monkeypatch, capsys):
    """Run a script of a tree in this process, with the library that is loaded already, and return what it says."""

    def run(root, name, *given):
        script = root / "src" / name
        monkeypatch.setattr(sys, "argv", [str(script), *map(str, given)])
        monkeypatch.setattr(sys, "path", [*sys.path])
        monkeypatch.setenv("ETUDE_DATA", str(root / "data" / "raw"))
        capsys.readouterr()
        runpy.run_path(str(script), run_name="__main__")
        return capsys.readouterr().out.splitlines()

    return run


@pytest.fixture
def answer(run_script):
    """Ask the best model of a tree by its script."""
    return lambda root, *given: run_script(root, "models/predict_model.py", *given)


@pytest.mark.slow
def test_the_tree_has_the_layout_and_its_scripts_run_alone(finished, tmp_path):
    """Each in a process of its own, which knows no library but that of the tree."""
    root = write_project(finished, "fr", to=tmp_path / "tree", execute=False)
    for name in (
        "README.md", "requirements.txt", "setup.py", "data/raw", "data/processed", "models/best.safetensors",
        "notebooks/1.0-tree.ipynb", "reports/note.html", "src/data/make_dataset.py", "src/models/train_model.py",
        "src/models/predict_model.py", "src/visualization/visualize.py", "study.yaml",
    ):  # fmt: skip
        assert (root / name).exists(), name
    assert "## " not in (root / "requirements.txt").read_text()
    Image.new("RGB", (40, 30), "red").save(tmp_path / "red.png")
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "ETUDE_DATA")}

    def run(*command):
        done = subprocess.run(
            [sys.executable, "-P", *command], cwd=root, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "cnn" in run("src/models/train_model.py")
    assert (root / "models" / "runs" / "tree" / "study.json").exists()
    assert "leaderboard.png" in run("src/visualization/visualize.py")
    assert str(tmp_path / "red.png") in run("src/models/predict_model.py", str(tmp_path / "red.png"))


def test_a_tree_replaces_the_one_before(finished, plant):
    root = plant(finished)
    (root / "models" / "runs").mkdir()
    assert plant(finished) == root
    assert not (root / "models" / "runs").exists()


@pytest.mark.slow
def test_the_script_that_checks_the_pictures_counts_them_and_tells_what_it_finds_in_the_language(
    finished, plant, run_script, monkeypatch
):
    dark = Finding(kind="dark", severity="note", sentence="1,200 pictures are very dark.", count=1200)
    monkeypatch.setattr(Workspace, "check", SimpleNamespace(findings=(dark,)))
    told, counts = run_script(plant(finished, "fr"), "data/make_dataset.py")
    assert told == "Images très sombres\N{NO-BREAK SPACE}: 1\N{NARROW NO-BREAK SPACE}200."
    assert "'test': " in counts


NETS = """
from torch import nn

import parts

class Net(nn.Module):
    def __init__(self, n_outputs):
        super().__init__()
        self.body, self.head = parts.block(), nn.Linear(8, n_outputs)

    def forward(self, images):
        return self.head(self.body(images).mean((2, 3)))
"""
PARTS = """
from torch import nn

def block():
    return nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.ReLU())
"""
DETECTOR = """
study: detector
data: {source: shapes, positive: ring, split: {train_items: 100, validation: 0.1}}
prepare: {size_px: 32, normalize: half}
train: {epochs: 1, batch: 32, optimizer: {name: adamw, lr: 0.01}, precision: fp32}
candidates:
  pair: {model: {python: "lib/nets.py:Net"}, combine: {members: 2, tta: flip}}
protocol: {threshold: {recall: 0.9}, calibrate: true}
"""


@pytest.mark.slow
def test_an_ensemble_of_ones_own_networks_answers_in_the_tree_as_it_did_in_the_study(tmp_path, plant, answer):
    """With its threshold, its temperature and its views; from the files of the tree alone."""
    library = tmp_path / "lib"
    library.mkdir()
    (library / "nets.py").write_text(NETS)
    (library / "parts.py").write_text(PARTS)
    results = tmp_path / "results"
    folder = Study.from_text(DETECTOR, base=tmp_path).run(results).folder
    root = plant(folder)
    (ref,) = StudyRecord.load(folder / "study.json").runs
    kept = Predictions.read(folder / "runs" / ref.identity / "predictions.parquet", Part.TEST)
    source = open_source("shapes", positive="ring")
    given_N = (kept.probabilities[:, 1] >= run_threshold(root)).astype(int)
    by_surety = np.argsort(kept.probabilities[:, 1], kind="stable")
    rows = [*by_surety[:2], *by_surety[-2:]]
    assert given_N[rows].tolist() == [0, 0, 1, 1]
    pictures = []
    for row in rows:
        pictures.append(tmp_path / f"{row}.png")
        (index,) = np.flatnonzero(source.items.ids == str(kept.ids[row]))
        Image.fromarray(source.raw(int(index))).save(pictures[-1])
    shutil.rmtree(results)
    shutil.rmtree(library)
    for row, picture, line in zip(rows, pictures, answer(root, *pictures), strict=True):
        told, probability = line.rsplit(" ", 1)
        assert told == f"{picture} {source.classes[given_N[row]]}"
        assert float(probability) == pytest.approx(kept.probabilities[row, given_N[row]], abs=6e-4)  # three decimals
    assert 'python: "src/networks/nets.py:Net"' in (root / "study.yaml").read_text()
    Study.from_file(root / "study.yaml")
    assert str(tmp_path / "lib") not in (root / "models" / "best.json").read_text()
    assert (root / "src" / "networks" / "parts.py").is_file()


def run_threshold(root):
    record = RunRecord.load(root / "models" / "best.json")
    assert record.threshold is not None
    assert record.temperature is not None
    return record.threshold


MASKS = """
study: masks
task: segmentation
data: {source: streets, split: {train_items: 12, validation: 0.1}}
prepare: {size_px: [48, 64]}
train: {epochs: 1, batch: 4, precision: fp32, crop_px: [32, 48]}
candidates:
  crops: {model: {name: unet-mini, widths: [8, 12]}, combine: {windows: sliding, tta: flip}}
"""


@pytest.mark.slow
def test_masks_are_answered_in_the_tree_as_they_were_in_the_study(tmp_path, plant, answer):
    folder = Study.from_text(MASKS).run(tmp_path / "results").folder
    root = plant(folder, "fr")
    record = StudyRecord.load(folder / "study.json")
    opened = OpenedRun(StudyFolder.of(folder), record, record.runs[0], tmp_path, Silent(), "cpu")
    prepared = opened.part("test")
    _, wanted_HW = next(answer_masks(opened.job, opened.fitted, prepared))
    picture = tmp_path / "street.png"
    Image.fromarray(opened.workspace.source.raw(int(prepared.indices_N[0]))).save(picture)
    alone = open_alone(root / "models" / "best.json", root / "models" / "best.safetensors", record.task, root)
    assert (alone.segment(picture) == wanted_HW).mean() > 0.999
    (tmp_path / "another").mkdir()
    Image.open(picture).rotate(180).save(tmp_path / "another" / "street.png")
    both = [str(picture), str(tmp_path / "another" / "street.png")]
    assert len(list(alone.tell(both, tmp_path / "told"))) == 2
    assert len(list((tmp_path / "told").glob("street*.mask.png"))) == 2  # of one name, kept apart
    (line,) = answer(root, picture)
    assert re.search(r"street\.mask\.png: \w.* \d+\.\d%", line)
    assert Image.open(root / "reports" / "figures" / "street.mask.png").size == wanted_HW.shape[::-1]
    needed = (root / "requirements.txt").read_text()
    assert "segmentation-models-pytorch" not in needed  # unet-mini is written here
    assert "optuna" not in needed


GENERATORS = """
study: drawn
task: generation
data: {source: shapes, classes: [disc, square], split: {train_items: 24, validation: 0.1}}
prepare: {size_px: 16}
train: {steps: 2, batch: 4, precision: fp32, adversarial: {look_every: 2, collapse: 0}}
candidates:
  dcgan: {model: {name: dcgan, width: 4, latent: 8}, train: {loss: non-saturating}}
protocol: {seeds: 1, generation: {pictures: 40, features: pixels}}
"""


@pytest.mark.slow
def test_a_generator_draws_in_the_tree(tmp_path, plant, answer):
    root = plant(Study.from_text(GENERATORS).run(tmp_path / "results").folder)
    (line,) = answer(root, 4)
    assert min(Image.open(line).size) >= 32  # four pictures of 16 px
    assert "PICTURE.jpg" not in (root / "README.md").read_text()


@pytest.mark.slow
def test_what_is_installed_holds_catalogues_templates_and_pages(finished, tmp_path, plant):
    pytest.importorskip("setuptools")
    root = plant(finished)
    done = subprocess.run(
        [sys.executable, "setup.py", "-q", "build_py", "--build-lib", str(tmp_path / "built")], cwd=root,
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    built = tmp_path / "built" / "etude"
    for name in (
        "report/locale/fr/LC_MESSAGES/etude.po", "report/templates/note.html.j2", "report/templates/note.css",
        "study/embedded/quickstart.yaml", "runtime/serving/page/page.html", "py.typed",
    ):  # fmt: skip
        assert (built / name).is_file(), name
    assert not (tmp_path / "built" / "src" / "etude").exists()
    done = subprocess.run(
        [sys.executable, "-c", "import src.models, src.visualization; print(src.__file__)"], cwd=tmp_path / "built",
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout.strip() == str(tmp_path / "built" / "src" / "__init__.py"), done.stderr


def test_what_is_required_follows_from_the_study(finished, tmp_path):
    folder = shutil.copytree(finished, tmp_path / "tree")
    needed = list_requirements(read_study(folder))
    assert {"torch", "numpy", "jinja2"} <= set(needed)
    assert not {"timm", "optuna", "segmentation-models-pytorch", "mlflow-skinny"} & set(needed)
    given = folder / "study.yaml"
    given.write_text(given.read_text() + "search: {of: cnn}\ntrack: mlflow\n")
    assert "optuna" in list_requirements(read_study(folder))


def test_what_only_its_own_machine_has_is_laid_aside_elsewhere(finished, tmp_path):
    """A tracker is somebody's server, and a judge another study: a tree and a notebook train without both."""
    folder = shutil.copytree(finished, tmp_path / "tree")
    assert settings_elsewhere(read_study(folder)) == []
    given = folder / "study.yaml"
    asked = yaml.safe_load(given.read_text())
    asked["protocol"] = asked.get("protocol", {}) | {"generation": {"judge": "others"}}
    given.write_text(yaml.safe_dump(asked | {"track": "mlflow"}))
    sets = settings_elsewhere(read_study(folder))
    assert sets == ["track=null", 'protocol.generation.judge=""']
    laid = Study.from_text(given.read_text(), base=tmp_path, sets=sets).config
    assert laid.track is None
    assert laid.protocol.generation.judge == ""
