"""A study killed with `kill -9` goes on, and ends as if it had not been killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

STUDY = """
study: killed
data: {source: shapes, split: {train_items: 400, validation: 0.1}}
prepare: {size_px: 32, normalize: half}
train: {epochs: 8, batch: 32, optimizer: OPTIMIZER, average: AVERAGE, precision: PRECISION}
candidates:
  cnn: {model: {name: cnn, widths: [16, 32], dropout: 0.2}, augment: [flip, shift, rotate, color, cutmix]}
protocol: {seeds: 2}
"""
GENERATORS = """
study: killed
task: generation
data: {source: shapes, classes: [disc, square], split: {train_items: 24, validation: 0.1}}
prepare: {size_px: 16}
augment: [flip]
train: {steps: 8, batch: 4, precision: bf16, memory_format: channels_last, adversarial: {look_every: 2, collapse: 0}}
candidates:
  dcgan: {model: {name: dcgan, width: 4, latent: 8, spectral_norm: true}, train: {average: none}}
  fastgan:
    model: {name: fastgan, width: 4, latent: 8, conditional: true}
    train: {adversarial: {augment: [color, translation, cutout], r1: 1, r1_every: 3}}
protocol: {seeds: 1, generation: {pictures: 20, features: pixels}}
report: {formats: []}
"""


def start(folder: Path, text: str) -> subprocess.Popen[str]:
    (folder / "killed.yaml").write_text(text)
    command = [sys.executable, "-m", "etude", "run", "killed.yaml", "--json"]
    return subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=hear_ctrl_c
    )


def hear_ctrl_c() -> None:
    """A shell that starts the tests in the background has its children ignore SIGINT: undo that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def kill_at_epoch(process: subprocess.Popen[str], epoch: int) -> None:
    """Kill the process at once when it has told of that epoch."""
    kill_when_told(process, f"epoch {epoch}/")


def kill_when_told(process: subprocess.Popen[str], words: str) -> None:
    """Kill the process at once when it has told that; it must not end before."""
    assert process.stderr is not None
    assert any(words in line for line in process.stderr)
    process.send_signal(signal.SIGKILL)
    process.wait()


def outcome(folder: Path) -> dict[str, tuple[bytes, bytes, dict[str, float], list[float]]]:
    found = {}
    for path in sorted(folder.glob("results/killed/runs/*/run.json")):
        record = json.loads(path.read_text())
        history = [json.loads(line) for line in path.with_name("history.jsonl").read_text().splitlines()]
        found[path.parent.name] = (
            path.with_name("model.safetensors").read_bytes(),
            path.with_name("predictions.parquet").read_bytes(),
            record["test"],
            [line["train_loss"] for line in history],
        )
    return found


@pytest.mark.parametrize(
    ("optimizer", "average", "precision"),
    [
        ("{name: sgd, lr: 0.1}", "none", "fp32"),
        ("{name: adamw, lr: 0.003}", "ema", "auto"),
        ("{name: muon, lr: 0.02}", "{name: lookahead, every: 3, decay: 0.8}", "fp32"),
    ],
)
def test_killed_and_started_again_it_ends_the_same(
    tmp_path: Path, optimizer: str, average: str, precision: str
) -> None:
    text = STUDY.replace("OPTIMIZER", optimizer).replace("AVERAGE", average).replace("PRECISION", precision)
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    whole.mkdir()
    broken.mkdir()
    assert start(whole, text).wait(120) == 0

    kill_at_epoch(start(broken, text), 3)
    assert not list(broken.glob("results/killed/runs/*/run.json"))
    kill_at_epoch(start(broken, text), 6)
    process = start(broken, text)
    told = process.communicate(timeout=120)[1]
    assert process.returncode == 0
    assert "resumed at step" in told
    assert outcome(broken) == outcome(whole)
    interruptions = [
        json.loads(path.read_text())["interruptions"] for path in broken.glob("results/killed/runs/*/run.json")
    ]
    assert sorted(interruptions) == [0, 2]


def test_killed_in_each_of_its_stages_gradual_finetuning_ends_the_same(tmp_path: Path) -> None:
    text = STUDY.replace("OPTIMIZER", "{name: sgd, lr: 0.1}").replace("AVERAGE", "none").replace("PRECISION", "fp32")
    text = text.replace("seeds: 2", "seeds: 1").replace(
        "dropout: 0.2}, augment: [flip, shift, rotate, color, cutmix]}",
        "dropout: 0.2}, augment: [flip], finetune: {name: gradual, blocks: 1, head_epochs: 4}}",
    )
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    whole.mkdir()
    broken.mkdir()
    assert start(whole, text).wait(120) == 0
    (history,) = (path.read_text().splitlines() for path in whole.glob("results/killed/runs/*/history.jsonl"))
    stages = [json.loads(line)["stage"] for line in history]
    firsts = [stages.index(stage) + 1 for stage in dict.fromkeys(stages)]
    assert len(firsts) == 3

    for epoch in (firsts[0] + 1, firsts[1], firsts[2], len(stages)):
        kill_at_epoch(start(broken, text), epoch)
    assert start(broken, text).wait(120) == 0
    assert outcome(broken) == outcome(whole)


def generated(folder: Path) -> dict[str, object]:
    """Return all that a study of generators left in the folders of its runs, but for times and dates."""
    found: dict[str, object] = {}
    for path in sorted(folder.glob("results/killed/runs/*/**/*")):
        if path.is_file() and path.name not in ("run.json", "history.jsonl"):
            found[str(path.relative_to(folder))] = path.read_bytes()
    for path in folder.glob("results/killed/runs/*/history.jsonl"):
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        found[str(path.relative_to(folder))] = [
            (line["step"], line["train_loss"], line["adversarial"]) for line in lines
        ]
    return found


def test_killed_in_each_of_its_trainings_a_study_of_generators_ends_the_same(tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    whole.mkdir()
    broken.mkdir()
    assert start(whole, GENERATORS).wait(300) == 0

    kill_when_told(start(broken, GENERATORS), "dcgan, seed 0: look 2/4")
    assert not list(broken.glob("results/killed/runs/*/run.json"))
    kill_when_told(start(broken, GENERATORS), "fastgan, seed 0: look 3/4")
    process = start(broken, GENERATORS)
    told = process.communicate(timeout=300)[1]
    assert process.returncode == 0
    assert "fastgan, seed 0: 8 steps, resumed at step" in told
    assert outcome(broken) == outcome(whole)
    assert generated(broken) == generated(whole)
    assert any(name.endswith("final.png") for name in generated(whole))
    interruptions = [
        json.loads(path.read_text())["interruptions"] for path in broken.glob("results/killed/runs/*/run.json")
    ]
    assert interruptions == [1, 1]


def test_killed_at_any_moment_nothing_is_half_written(tmp_path: Path) -> None:
    text = STUDY.replace("OPTIMIZER", "adamw").replace("AVERAGE", "none").replace("PRECISION", "fp32")
    for delay in (2.2, 3.1, 4.0, 4.6):
        process = start(tmp_path, text)
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.wait()
        for path in tmp_path.glob("results/killed/**/*.json"):
            if not path.name.startswith("."):
                json.loads(path.read_text())
    assert start(tmp_path, text).wait(120) == 0
    assert len(outcome(tmp_path)) == 2
    leftovers = [path for path in tmp_path.glob("results/killed/.*") if path.name != ".lock"]
    assert leftovers == []


def test_ctrl_c_ends_in_a_sentence_and_keeps_the_epochs(tmp_path: Path) -> None:
    text = STUDY.replace("OPTIMIZER", "adamw").replace("AVERAGE", "none").replace("PRECISION", "fp32")
    process = start(tmp_path, text.replace("epochs: 8", "epochs: 200"))
    assert process.stderr is not None
    for line in process.stderr:
        if "epoch 2/" in line:
            break
    process.send_signal(signal.SIGINT)
    told = process.stderr.read()
    assert process.wait(30) == 130
    assert "Interrupted. What was finished is kept; the same command goes on from there." in told
    assert "Traceback" not in told
    assert list(tmp_path.glob("results/killed/runs/*/state/state.safetensors"))


def test_two_processes_do_not_run_one_study(tmp_path: Path) -> None:
    text = STUDY.replace("OPTIMIZER", "adamw").replace("AVERAGE", "none").replace("PRECISION", "fp32")
    first = start(tmp_path, text.replace("epochs: 8", "epochs: 200"))
    assert first.stderr is not None
    for line in first.stderr:
        if "epoch 1/" in line:
            break
    second = start(tmp_path, text)
    told = second.communicate(timeout=60)[1]
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert second.returncode == 2
    assert "is being run by another process" in told
    assert os.path.exists(tmp_path / "results")  # noqa: PTH110
