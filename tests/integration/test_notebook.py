"""The notebook stands alone: executed, it makes everything again from its records, and trains again from its own source."""

from __future__ import annotations

import json

import pytest

from etude import Study
from etude.report.notebook import build_notebook, write_notebook
from etude.report.reading import read_study
from etude.report.words import Words

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
        "Le partage, et pourquoi rien ne fuit",
    ):
        assert any(heading in line for line in headings), heading
    sources = ["".join(cell["source"]) for cell in book["cells"]]
    assert any(source.startswith("%%module etude/train/loop.py") for source in sources)
    assert any(source.startswith("%%module etude/models/networks/cnn.py") for source in sources)
    assert not any("resnet.py" in source.split("\n", 1)[0] for source in sources)


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
