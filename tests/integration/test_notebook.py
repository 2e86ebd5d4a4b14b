"""The notebook stands alone: executed, it makes everything again from its records, and trains again from its own source."""

from __future__ import annotations

import html
import json
import shutil
from pathlib import Path

import nbformat
import numpy as np
import pytest
from PIL import Image

from etude import Study
from etude.core.run_record import RunRecord
from etude.core.watch import Silent
from etude.models import card_of
from etude.report.notebook import build_notebook, write_notebook
from etude.report.reading import read_study
from etude.report.words import Words
from etude.study.explaining import explain_run
from etude.study.folder import StudyFolder
from etude.study.opened import Wishes

STUDY = """
study: alone
question: Does the notebook stand alone?
data: {source: shapes, split: {train_items: 100, validation: 0.2}}
prepare: {size_px: 16, normalize: half}
train: {epochs: 2, batch: 32, optimizer: {name: adamw, lr: 0.01}, precision: fp32}
baseline: linear
candidates:
  linear: {model: {name: mlp, widths: []}}
  cnn: {model: {name: cnn, widths: [8]}}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return Study.from_text(STUDY).run(tmp_path_factory.mktemp("results")).folder


def outputs(book):
    cells = [cell for cell in book["cells"] if cell["cell_type"] == "code"]
    shown = [output for cell in cells for output in cell["outputs"]]
    texts = ["".join(output.get("data", {}).get("text/html", output.get("text", ""))) for output in shown]
    return "\n".join(texts), sum("image/png" in output.get("data", {}) for output in shown)


def test_it_holds_its_outputs_and_tells_what_the_records_say(folder, tmp_path, monkeypatch):
    monkeypatch.delenv("PYTHONPATH", raising=False)
    path = write_notebook(folder, "fr", to=tmp_path / "notebook.fr.ipynb")
    assert path.stat().st_size < 10_000_000
    book = json.loads(path.read_text("utf-8"))
    text, n_pictures = outputs(book)
    assert n_pictures >= 5
    assert "cnn, graine 0" in text
    assert not any(output["output_type"] == "error" for cell in book["cells"] for output in cell.get("outputs", []))
    headings = [
        line
        for cell in book["cells"]
        if cell["cell_type"] == "markdown"
        for line in cell["source"]
        if line.startswith("#")
    ]
    for heading in (
        "Le chemin",
        "Chaque paramètre d’entraînement",
        "Références",
        "La partition, et la recherche de fuites",
    ):
        assert any(heading in line for line in headings), heading
    sources = ["".join(cell["source"]) for cell in book["cells"]]
    assert any(source.startswith("%%module etude/train/loop.py") for source in sources)
    assert any(source.startswith("%%module etude/models/networks/cnn.py") for source in sources)
    assert not any("resnet.py" in source.split("\n", 1)[0] for source in sources)


def replayed(path, tmp_path, until=None):
    """Execute what was written once more, elsewhere, up to a cell or whole; return it."""
    from nbclient import NotebookClient

    book = nbformat.read(path, as_version=4)
    if until is not None:
        place = next(n for n, cell in enumerate(book["cells"]) if until in cell["source"])
        book["cells"] = book["cells"][: place + 1]
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    resources = {"metadata": {"path": str(elsewhere)}}
    NotebookClient(book, timeout=300, kernel_name="python3", resources=resources).execute()
    return book, elsewhere


BLOCKER = """
import sys

BLOCKED = {
    "captum", "cv2", "cleanlab", "fastapi", "huggingface_hub", "onnx", "onnxruntime", "openTSNE", "optuna", "rich",
    "safetensors", "segmentation_models_pytorch", "sklearn", "timm", "torch", "torchvision", "typer", "uvicorn",
}


class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in BLOCKED:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, Blocker())
"""


@pytest.mark.slow
def test_a_study_with_a_network_of_timm_is_regenerated_without_torch_and_timm(folder, tmp_path, monkeypatch):
    own = Path(shutil.copytree(folder, tmp_path / "alone"))
    for path in own.glob("runs/*/run.json"):
        run = RunRecord.load(path)
        run.model_copy(update={"config": run.config | {"model": {"name": "resnet18"}}}).save(path)
    path = write_notebook(own, "en", to=tmp_path / "notebook.ipynb", execute=False)
    (tmp_path / "blocker").mkdir()
    (tmp_path / "blocker" / "sitecustomize.py").write_text(BLOCKER)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "blocker"))
    book, _ = replayed(path, tmp_path)
    text, n_pictures = outputs(book)
    assert n_pictures >= 5
    paper = card_of("resnet18").paper
    assert paper
    assert html.escape(paper) in text


NETS = """
from torch import nn

from parts import flat


class Net(nn.Module):
    def __init__(self, width, n_outputs, size_px):
        super().__init__()
        self.body = flat(width, n_outputs, size_px)

    def forward(self, pictures):
        return self.body(pictures)
"""
PARTS = """
from torch import nn


def flat(width, n_outputs, size_px):
    return nn.Sequential(
        nn.Flatten(), nn.Linear(3 * size_px[0] * size_px[1], width), nn.ReLU(), nn.Linear(width, n_outputs)
    )
"""
OWN = """
study: own
question: Does it repeat what was run?
data: {source: PHOTOS, split: {validation: 0.2, test: 0.3}}
prepare: {size_px: 16, normalize: half}
train: {epochs: 9, batch: 8, optimizer: {name: adamw, lr: 0.01}, precision: fp32}
candidates:
  mine: {model: {python: nets.py:Net, width: 4}}
"""


def draw_photos(folder, n=24, side_px=40):
    """Draw pictures of two classes: noise, and something bright in one of them."""
    rng = np.random.default_rng(0)
    for name, color in (("day", (220, 200, 90)), ("night", (30, 30, 90))):
        (folder / name).mkdir(parents=True)
        for number in range(n):
            pixels = rng.normal(color, 40, (side_px, side_px, 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")


@pytest.mark.slow
def test_it_repeats_what_was_run_with_pictures_that_were_moved(tmp_path):
    """Overrides of the command line, an absolute path of the pictures, a network of one's own: none of it is at hand."""
    desk = tmp_path / "desk"
    draw_photos(desk / "photos")
    (desk / "nets.py").write_text(NETS)
    (desk / "parts.py").write_text(PARTS)
    (desk / "own.yaml").write_text(OWN.replace("PHOTOS", str(desk / "photos")))
    study = Study.from_file(desk / "own.yaml", ["train.epochs=2", "study=renamed"])
    before = read_study(study.run(tmp_path / "results").folder)
    book = build_notebook(before, Words("en"))
    (desk / "photos").rename(tmp_path / "moved")
    shutil.rmtree(desk)
    for cell in book["cells"]:
        cell["source"] = (
            cell["source"]
            .replace("retrain = False", "retrain = True")
            .replace("pictures = None", f"pictures = {str(tmp_path / 'moved')!r}")
        )
    path = tmp_path / "changed.ipynb"
    nbformat.write(book, path)
    _, elsewhere = replayed(path, tmp_path, until="records = here")
    again = read_study(elsewhere / "etude-renamed" / "retrained" / "renamed")
    assert [run.epochs for run in again.runs.values()] == [2]
    assert {key: run.test for key, run in again.runs.items()} == {key: run.test for key, run in before.runs.items()}


@pytest.mark.slow
def test_explanations_of_large_pictures_stand_in_it(tmp_path, monkeypatch):
    monkeypatch.delenv("PYTHONPATH", raising=False)
    draw_photos(tmp_path / "photos", n=40, side_px=192)
    text = f"""
study: large
data: {{source: {tmp_path / "photos"}, split: {{validation: 0.2, test: 0.3}}}}
prepare: {{size_px: 192, normalize: half}}
train: {{epochs: 1, batch: 8, optimizer: {{name: adamw, lr: 0.001}}, precision: fp32}}
candidates:
  cnn: {{model: {{name: cnn, widths: [4, 8]}}}}
"""
    own = Study.from_text(text).run(tmp_path / "results").folder
    wishes = Wishes(most_seconds=1.0)
    explained = explain_run(
        StudyFolder.of(own), None, tmp_path, Silent(), parts=("layers", "sight", "why", "errors"), wishes=wishes
    )
    sizes = {path.name: path.stat().st_size for path in explained.glob("*.npz")}
    assert min(sizes["sight.npz"], sizes["why.npz"]) > 1_000_000
    path = write_notebook(own, "en", to=tmp_path / "notebook.ipynb")
    assert path.stat().st_size < 10_000_000
    book = nbformat.read(path, as_version=4)
    shown, _ = outputs(book)
    for heading in ("What a layer sees", "Why this answer", "Errors, looked at"):
        assert f"<h3>{heading}</h3>" in shown, heading
    assert "Left out" not in "".join(cell["source"] for cell in book["cells"])


@pytest.mark.slow
def test_it_trains_again_with_the_source_in_its_cells(folder, tmp_path):
    from nbclient import NotebookClient
    from nbformat.v4 import new_code_cell

    book = build_notebook(read_study(folder), Words("en"))
    for cell in book["cells"]:
        cell["source"] = cell["source"].replace("retrain = False", "retrain = True")
        if cell["source"].startswith("%%module etude/models/networks/mlp.py"):
            cell["source"] += "\nprint('changed in its cell')"
    place = next(n for n, cell in enumerate(book["cells"]) if cell["source"].startswith("records = here"))
    book["cells"] = book["cells"][: place + 1]
    book["cells"].append(new_code_cell("import etude\nprint(etude.__file__, book.study.folder)"))
    NotebookClient(book, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}).execute()
    printed = "".join(
        output["text"]
        for cell in book["cells"]
        if cell["cell_type"] == "code"
        for output in cell["outputs"]
        if "text" in output
    )
    assert "changed in its cell" in printed
    assert f"{tmp_path}/etude-alone/source/etude/__init__.py" in printed
    again = read_study(tmp_path / "etude-alone" / "retrained" / "alone")
    before = read_study(folder)
    assert set(again.runs) == set(before.runs)
    assert {key: run.test for key, run in again.runs.items()} == {key: run.test for key, run in before.runs.items()}
