"""The project tree runs alone: its scripts train, draw and answer with the library that lies in it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from PIL import Image

from etude import Study
from etude.report.project import write_project

STUDY = """
study: tree
question: Does the tree stand alone?
data: {source: shapes, split: {train_items: 100, validation: 0.2}}
prepare: {size_px: 16, normalize: half}
train: {epochs: 1, batch: 32, optimizer: {name: adamw, lr: 0.01}, precision: fp32}
candidates:
  cnn: {model: {name: cnn, widths: [8]}}
"""


@pytest.mark.slow
def test_the_tree_has_the_layout_and_its_scripts_run_alone(tmp_path):
    study = Study.from_text(STUDY).run(tmp_path).folder
    root = write_project(study, "fr", execute=False)
    for name in (
        "README.md", "requirements.txt", "setup.py", "data/raw", "data/processed", "models/best.safetensors",
        "notebooks/1.0-tree.ipynb", "reports/note.html", "src/data/make_dataset.py", "src/models/train_model.py",
        "src/models/predict_model.py", "src/visualization/visualize.py", "study.yaml",
    ):  # fmt: skip
        assert (root / name).exists(), name
    assert "## " not in (root / "requirements.txt").read_text()
    Image.new("RGB", (40, 30), "red").save(tmp_path / "red.png")
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}

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
    assert write_project(study, "fr", execute=False) == root
    assert not (root / "models" / "runs").exists()
