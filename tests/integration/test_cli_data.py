"""`etude data list | show | check | fetch` as a person meets them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def etude(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "ETUDE_DATA": str(cwd)}
    command = [sys.executable, "-m", "etude", *words]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120, check=False, env=environment)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    for name in ("cats", "dogs"):
        (folder / "pets" / name).mkdir(parents=True)
        for number in range(6):
            Image.fromarray(rng.integers(0, 256, (30, 40, 3), dtype=np.uint8)).save(
                folder / "pets" / name / f"{number}.png"
            )
    (folder / "pets/cats/broken[1].png").write_bytes(b"")
    (folder / "pets/cats/copy.png").write_bytes((folder / "pets/cats/0.png").read_bytes())
    return folder


def test_list_names_what_is_there(place: Path) -> None:
    told = etude("data", "list", "--json", cwd=place)
    rows = {row["name"]: row["what"] for row in json.loads(told.stdout)["sources"]}
    assert rows["pets"].startswith("folders, in ")
    assert {"shapes", "streets", "cifar10", "cityscapes"} <= rows.keys()
    assert "pets" in etude("data", "list", cwd=place).stdout


def test_show_tells_and_draws(place: Path) -> None:
    told = etude("data", "show", "pets", "--json", cwd=place)
    assert told.returncode == 0, told.stderr
    content = json.loads(told.stdout)
    assert content["classes"] == {"cats": 8, "dogs": 6}
    assert content["sizes_width_x_height"] == {"40x30": 13, "unreadable": 1}
    with Image.open(place / "results/data/pets/sheet.png") as sheet:
        assert sheet.width > 500
    assert "data:image/png;base64," in (place / "results/data/pets/sheet.html").read_text()


def test_check_prints_and_writes_what_it_finds(place: Path) -> None:
    told = etude("data", "check", "pets", "--out", "found", cwd=place)
    assert told.returncode == 0, told.stderr
    assert "cats/broken[1].png" in told.stdout
    assert "1 picture is empty" in " ".join(told.stdout.split())
    record = json.loads((place / "found/check.json").read_text())
    assert {finding["kind"] for finding in record["findings"]} == {"empty", "duplicates"}
    assert "cats/copy.png" in (place / "found/check.html").read_text()
    again = json.loads(etude("data", "check", "pets", "--json", "--quiet", cwd=place).stdout)
    assert again["findings"] == record["findings"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["check", "nothing"], "nothing"),
        (["fetch", "cityscapes"], "https://www.cityscapes-dataset.com"),
        (["fetch", "cifar"], "Did you mean 'cifar10'"),
    ],
)
def test_a_mistake_is_one_sentence(place: Path, words: list[str], told: str) -> None:
    result = etude("data", *words, cwd=place)
    assert result.returncode == 2
    assert told in result.stderr
    assert "Traceback" not in result.stderr


def test_cityscapes_is_shown_and_checked_by_category(tmp_path: Path) -> None:
    for folder, ending, pixels in (
        ("leftImg8bit", "leftImg8bit", np.zeros((4, 6, 3), np.uint8)),
        ("gtFine", "gtFine_labelIds", np.full((4, 6), 26, np.uint8)),
    ):
        for part in ("train", "val"):
            (tmp_path / "city" / folder / part / "ulm").mkdir(parents=True)
            Image.fromarray(pixels).save(tmp_path / "city" / folder / part / "ulm" / f"ulm_0_0_{ending}.png")
    shown = json.loads(etude("data", "show", "city", "--json", "--categories", cwd=tmp_path).stdout)
    assert shown["classes"][-1] == "vehicle"
    assert len(shown["classes"]) == 8
    assert shown["share_of_the_pixels"]["vehicle"] == 1
    assert shown["class_weights_log"]["vehicle"] == 1
    assert len(json.loads(etude("data", "show", "city", "--json", cwd=tmp_path).stdout)["classes"]) == 19
    told = etude("data", "check", "city", "--json", "--categories", cwd=tmp_path)
    assert told.returncode == 0, told.stderr
