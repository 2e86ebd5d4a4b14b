"""A disk that is really full: a sentence, nothing half written, and the same command goes on once there is room."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

STUDY = """
study: full
data: {source: shapes, split: {train_items: 300, validation: 0.1}}
prepare: {size_px: 32}
train: {epochs: 2, batch: 64, precision: fp32}
candidates:
  small: {model: {name: cnn, widths: [8]}}
  large: {model: {name: mlp, widths: [512, 512]}}
protocol: {seeds: 2}
report: {formats: []}
"""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of three megabytes: the small network's runs fit, the large one's do not."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.name != "posix" or os.geteuid() != 0:
        pytest.skip("needs root, to mount a small disk")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"cannot mount a small disk here: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def run(folder: Path, results: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "etude", "run", "full.yaml", "--results", str(results), "--quiet"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=240)


def test_a_full_disk_is_a_sentence_and_what_was_finished_is_kept(tmp_path: Path, small_disk: Path) -> None:
    (tmp_path / "full.yaml").write_text(STUDY)
    stopped = run(tmp_path, small_disk)
    assert stopped.returncode == 3, stopped.stderr
    assert "No space left" in stopped.stderr or "disk is full" in stopped.stderr
    assert "Traceback" not in stopped.stderr
    finished = list(small_disk.glob("full/runs/*/run.json"))
    assert finished
    for path in small_disk.glob("full/**/*.json"):
        json.loads(path.read_text())
    before = {path: path.stat().st_mtime_ns for path in finished}

    subprocess.run(["mount", "-o", "remount,size=200m", str(small_disk)], check=True)
    again = run(tmp_path, small_disk)
    assert again.returncode == 0, again.stderr
    assert len(list(small_disk.glob("full/runs/*/run.json"))) == 4
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert not [path for path in small_disk.glob("full/**/.*") if path.name != ".lock"]
