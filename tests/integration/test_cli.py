"""The command line as a person meets it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

STUDY = """
study: small
data: {source: shapes, split: {train_items: 120}}
train: {epochs: 1, batch: 32, precision: fp32}
candidates: {majority: {model: majority}, mlp: {model: {name: mlp, widths: [16]}}}
protocol: {seeds: 1}
"""


def etude(*words: str, cwd: Path | None = None, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "etude", *words]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=timeout, check=False)


def draw_folder(folder: Path, classes: dict[str, int], size: int = 40) -> Path:
    rng = np.random.default_rng(0)
    for position, (name, count) in enumerate(classes.items()):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            pixels = rng.integers(0, 120, (size, size, 3), dtype=np.uint8)
            pixels[:, :, position % 3] += 100
            Image.fromarray(pixels).save(folder / name / f"{number:03}.png")
    return folder


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli")
    (folder / "small.yaml").write_text(STUDY)
    told = etude("run", "small.yaml", cwd=folder)
    assert told.returncode == 0, told.stderr
    (folder / "told.txt").write_text(told.stdout)
    return folder


def test_help_is_quick_and_importing_loads_no_torch() -> None:
    times = []
    for _ in range(5):
        start = time.perf_counter()
        told = etude("--help")
        times.append(time.perf_counter() - start)
    assert told.returncode == 0
    assert "quickstart" not in told.stderr
    assert min(times) < 0.6, "0.3 s on a quiet machine; benchmarks/startup.py measures it"
    probe = "import etude, sys; assert not {'torch', 'pydantic', 'numpy'} & set(sys.modules)"
    assert subprocess.run([sys.executable, "-c", probe], check=False).returncode == 0


def test_run_prints_a_leaderboard_and_writes_the_note(ran: Path) -> None:
    told = (ran / "told.txt").read_text()
    assert "majority" in told
    assert "95 % pictures" in told
    for language in ("en", "fr"):
        note = ran / "results/small/report" / f"note.{language}.html"
        assert note.read_text().count("majority") > 1
        assert str(note.relative_to(ran)) in told


def test_json_is_the_record_and_nothing_else(ran: Path) -> None:
    told = etude("run", "small.yaml", "--json", cwd=ran)
    record = json.loads(told.stdout)
    assert {row["candidate"] for row in record["leaderboard"]} == {"majority", "mlp"}
    assert "trained before" in told.stderr
    assert etude("run", "small.yaml", "--json", "--quiet", cwd=ran).stderr == ""


def test_plan_and_runs_list_what_there_is(ran: Path) -> None:
    told = etude("plan", "small.yaml", "--set", "protocol.seeds=2", cwd=ran).stdout
    assert "4 runs, 2 of them to be trained." in told
    rows = json.loads(etude("runs", "list", "small", "--json", cwd=ran).stdout)
    assert {row["candidate"] for row in rows} == {"majority", "mlp"}


def test_prune_deletes_only_with_yes_and_only_what_the_plan_does_not_name(ran: Path) -> None:
    (ran / "other.yaml").write_text(STUDY.replace("study: small", "study: other"))
    assert etude("run", "other.yaml", cwd=ran).returncode == 0
    (ran / "other.yaml").write_text(STUDY.replace("study: small", "study: other").replace("[16]", "[8]"))
    assert etude("run", "other.yaml", cwd=ran).returncode == 0
    runs = ran / "results/other/runs"
    assert len(list(runs.iterdir())) == 3
    assert "Nothing was deleted" in etude("runs", "prune", "other", cwd=ran).stdout
    assert len(list(runs.iterdir())) == 3
    etude("runs", "prune", "other", "--yes", cwd=ran)
    assert len(list(runs.iterdir())) == 2


def test_a_folder_of_pictures_runs(tmp_path: Path) -> None:
    draw_folder(tmp_path / "photos", {"reds": 30, "greens": 30})
    sets = [word for value in ("train.epochs=1", "candidates.resnet.model.depth=8") for word in ("--set", value)]
    told = etude("run", "photos", "--json", *sets, cwd=tmp_path)
    assert told.returncode == 0, told.stderr
    record = json.loads(told.stdout)
    assert len(record["leaderboard"]) == 5
    assert record["classes"] == ["greens", "reds"]


def test_new_writes_a_study_that_holds_and_does_not_overwrite(tmp_path: Path) -> None:
    assert etude("new", "mine", cwd=tmp_path).returncode == 0
    planned = etude("plan", "mine.yaml", "--no-measure", cwd=tmp_path)
    assert planned.returncode == 0
    assert "How long they will take here is not known" in planned.stdout
    again = etude("new", "mine", cwd=tmp_path)
    assert again.returncode == 2
    assert "is there already" in again.stderr
    assert etude("new", "mine", "--force", cwd=tmp_path).returncode == 0
    assert "classification, segmentation" in etude("new", "--help", cwd=tmp_path).stdout


def test_schema_models_list_and_show() -> None:
    assert json.loads(etude("schema").stdout)["title"] == "StudyConfig"
    assert "airnet" in etude("models", "list").stdout
    told = etude("models", "show", "cnn").stdout
    assert "dropout" in told
    wrong = etude("models", "show", "cnnn")
    assert wrong.returncode == 2
    assert "Did you mean 'cnn'" in wrong.stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["run", "nothing"], "nothing: there is no such study file or folder"),
        (["run", "quickstrat"], "Did you mean 'quickstart'?"),
        (["run", "small.yaml", "--device", "cudda"], "--device must be"),
        (["run", "small.yaml", "--set", "train.epohs=3"], "Did you mean 'epochs' or 'steps'?"),
        (["run", "small.yaml", "--set", "train"], "--set train: must be key=value"),
        (["run", "small.yaml", "--set", "data.source=/no/such/folder"], "/no/such/folder"),
        (["report", "unknown"], "there is no such study"),
        (["runs", "list", "unknown"], "there is no such study"),
        (["frobnicate"], "No such command"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(ran: Path, words: list[str], told: str) -> None:
    result = etude(*words, cwd=ran)
    assert result.returncode == 2, result.stderr
    assert told in result.stderr
    assert "Traceback" not in result.stderr


def test_debug_shows_the_traceback(ran: Path) -> None:
    assert "Traceback" in etude("run", "nothing", "--debug", cwd=ran).stderr


@pytest.mark.parametrize(
    ("classes", "told"),
    [({"a": 10, "b": 0}, "b"), ({"a": 10}, "class"), ({}, "pictures")],
)
def test_a_folder_that_cannot_be_studied_says_why(tmp_path: Path, classes: dict[str, int], told: str) -> None:
    (tmp_path / "photos").mkdir()
    draw_folder(tmp_path / "photos", classes)
    result = etude("run", "photos", cwd=tmp_path)
    assert result.returncode == 2
    assert told in result.stderr
    assert "Traceback" not in result.stderr


def test_unreadable_pictures_stop_or_are_left_out(tmp_path: Path) -> None:
    draw_folder(tmp_path / "photos", {"a": 20, "b": 20})
    (tmp_path / "photos/a/999.png").write_bytes(b"")
    (tmp_path / "photos/b/998.jpg").write_text("not a picture")
    (tmp_path / "s.yaml").write_text(STUDY.replace("shapes, split: {train_items: 120}", "photos"))
    stopped = etude("run", "s.yaml", cwd=tmp_path)
    assert stopped.returncode == 2
    assert "a/999.png" in stopped.stderr
    assert "b/998.jpg" in stopped.stderr
    assert "unreadable: skip" in stopped.stderr
    skipped = etude("run", "s.yaml", "--set", "data.unreadable=skip", cwd=tmp_path)
    assert skipped.returncode == 0, skipped.stderr
    assert "2 unreadable pictures are left out" in skipped.stderr


def test_a_network_of_ones_own_runs_and_its_source_is_part_of_the_identity(tmp_path: Path) -> None:
    source = (
        "from torch import nn\n\n\nclass Net(nn.Module):\n    def __init__(self, n_outputs, width=8):\n"
        "        super().__init__()\n        self.body = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, width),"
        " nn.ReLU(), nn.Linear(width, n_outputs))\n\n    def forward(self, x):\n        return self.body(x)\n"
    )
    (tmp_path / "nets.py").write_text(source)
    (tmp_path / "s.yaml").write_text(STUDY + "  # own\n")
    sets = ["--set", "candidates.mine.model={python: nets.py:Net, width: 4}"]
    assert etude("run", "s.yaml", *sets, cwd=tmp_path).returncode == 0
    before = {path.name for path in (tmp_path / "results/small/runs").iterdir()}
    (tmp_path / "nets.py").write_text(source.replace("ReLU", "GELU"))
    assert etude("run", "s.yaml", *sets, cwd=tmp_path).returncode == 0
    after = {path.name for path in (tmp_path / "results/small/runs").iterdir()}
    assert len(after - before) == 1
    (tmp_path / "nets.py").write_text("import nothing_of_this_name\n")
    broken = etude("run", "s.yaml", *sets, cwd=tmp_path)
    assert broken.returncode == 2
    assert "nets.py" in broken.stderr
