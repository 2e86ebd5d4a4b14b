"""The commands and the Python of the README, run as a reader would."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
SHORT = "--set train.epochs=2"
"""A reader waits for a whole training; that a command runs, a short one shows as well."""


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the reader's photographs and network in it, and `etude` on the path."""
    folder = tmp_path_factory.mktemp("reader")
    rng = np.random.default_rng(0)
    for position, name in enumerate(("chihuahua", "husky")):
        (folder / "photos" / name).mkdir(parents=True)
        for number in range(16):
            pixels = rng.integers(0, 120, (20, 28, 3), dtype=np.uint8)
            pixels[:, :, position] += 100
            Image.fromarray(pixels).save(folder / "photos" / name / f"{number:03}.jpg")
    (folder / "nets.py").write_text(
        "from torch import nn\n\n\ndef Net(n_outputs):\n    return nn.Sequential(nn.Flatten(), nn.LazyLinear(n_outputs))\n"
    )
    return folder


def shell(command: str, folder: Path) -> str:
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    told = subprocess.run(
        command, shell=True, cwd=folder, env=environment, capture_output=True, text=True, timeout=500, check=False
    )
    assert told.returncode == 0, f"{command}\n{told.stdout}\n{told.stderr}"
    return told.stdout


def test_the_first_command_installs_and_runs_what_ci_installs() -> None:
    first, second = blocks("sh")[:2]
    assert first.strip().endswith("uv run --extra train etude run quickstart")
    assert second.strip() in (ROOT / ".ci" / "run").read_text(), "CI calls the README's test command"


@pytest.mark.slow
def test_quickstart_ends_with_a_leaderboard_and_a_note(reader: Path) -> None:
    told = shell(f"etude run quickstart {SHORT} --set protocol.seeds=1", reader)
    for name in ("majority", "mlp", "cnn", "cnn-augmented", "resnet"):
        assert name in told
    assert (reader / "results/quickstart/report/note.en.html").stat().st_size > 10_000


@pytest.mark.slow
def test_the_commands_on_ones_own_pictures_run(reader: Path) -> None:
    commands = [line for block in blocks("sh")[2:] for line in block.splitlines() if line.startswith("etude")]
    assert len(commands) >= 3
    for command in commands:
        shell(f"{command} {SHORT}" if command.startswith("etude run") else command, reader)
    assert (reader / "results/breeds/leaderboard.csv").exists()


@pytest.mark.slow
def test_the_study_file_and_the_python_of_the_readme_run(reader: Path) -> None:
    (reader / "breeds.yaml").write_text(
        blocks("yaml")[0].replace("seeds: 5", "seeds: 2").replace("epochs: 20", "epochs: 2")
    )
    (reader / "use.py").write_text(blocks("python")[0])
    told = shell(f"{sys.executable} use.py", reader)
    assert "mine" in told


def test_every_link_leads_somewhere() -> None:
    for document in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("*/README.md")):
        for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name}: {target}"
