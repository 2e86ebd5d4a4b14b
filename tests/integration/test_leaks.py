"""A study whose split leaks stops, drops or tells both scores."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from etude import Study
from etude.core.errors import LeakError
from etude.core.words import Part
from etude.data.source import open_source
from etude.data.split import read_split

STUDY = """
study: leaky
data: {{source: {source}, on_leak: {mode}}}
train: {{epochs: 1, batch: 16, precision: fp32}}
candidates: {{majority: {{model: majority}}, mlp: {{model: {{name: mlp, widths: [8]}}}}}}
"""


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty pictures, sixteen of which are there twice."""
    folder = tmp_path_factory.mktemp("leaks") / "photos"
    rng = np.random.default_rng(0)
    for place, name in enumerate(("reds", "greens")):
        (folder / name).mkdir(parents=True)
        for number in range(30):
            pixels = rng.integers(0, 120, (40, 40, 3), dtype=np.uint8)
            pixels[:, :, place] += 100
            Image.fromarray(pixels).save(folder / name / f"{number:02}.png")
            if number < 8:
                Image.fromarray(pixels).save(folder / name / f"{number:02}-copy.bmp")
    return folder


def study_of(photos: Path, mode: str, **fields: str) -> Study:
    return Study.from_text(STUDY.format(source=photos, mode=mode), sets=[f"{key}={fields[key]}" for key in fields])


def test_it_stops_before_training_and_says_what_to_do(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(LeakError, match="the same pixels as a picture in another part") as stopped:
        study_of(photos, "stop").run(tmp_path)
    assert stopped.value.exit_code == 3
    for word in ("data.split.kind: group", "on_leak: drop", "on_leak: allow", "-copy.bmp", "check.html"):
        assert word in str(stopped.value)
    folder = tmp_path / "leaky"
    assert not list(folder.glob("runs/*"))
    assert "data:image/webp" in (folder / "check.html").read_text()
    kinds = {finding["kind"] for finding in json.loads((folder / "check.json").read_text())["findings"]}
    assert "leak-exact" in kinds


def test_with_drop_the_twins_leave_training_and_the_split_says_so(photos: Path, tmp_path: Path) -> None:
    result = study_of(photos, "drop").run(tmp_path)
    source = open_source(str(photos))
    (kept,) = read_split(tmp_path / "leaky/split.parquet", source.items)
    (drawn,) = read_split(tmp_path / "leaky/split.drawn.parquet", source.items)
    changed = kept != drawn
    assert changed.any()
    assert (kept[changed] == Part.LEFT_OUT).all()
    assert (drawn[changed] != Part.TEST).all()
    stems = [item.rsplit(".", 1)[0].removesuffix("-copy") for item in source.items.ids.tolist()]
    by_part = {part: {stem for stem, here in zip(stems, kept, strict=True) if here == part} for part in (0, 1, 2)}
    assert not by_part[0] & by_part[2]
    assert not by_part[0] & by_part[1]
    assert not by_part[1] & by_part[2]
    assert sum(result.record.counts["train"].values()) == (kept == Part.TRAIN).sum()
    assert any("on_leak: drop" in note for note in result.record.notes)
    before = {path.name for path in (tmp_path / "leaky/runs").iterdir()}
    study_of(photos, "drop").run(tmp_path)
    assert {path.name for path in (tmp_path / "leaky/runs").iterdir()} == before


def test_with_allow_the_score_is_given_with_and_without(photos: Path, tmp_path: Path) -> None:
    result = study_of(photos, "allow").run(tmp_path)
    (leaks,) = json.loads((tmp_path / "leaky/check.json").read_text())["leaks"]
    for row in result.leaderboard():
        assert row.n_clean == leaks["n_test"] - len(leaks["test"])
        assert row.score_clean is not None
    assert any("gives the score without them" in note for note in result.record.notes)
    assert "score_clean" in (tmp_path / "leaky/leaderboard.csv").read_text().splitlines()[0]


def test_allowed_or_clean_a_run_has_the_same_identity(photos: Path, tmp_path: Path) -> None:
    study_of(photos, "allow").run(tmp_path)
    before = {path.name for path in (tmp_path / "leaky/runs").iterdir()}
    study_of(photos, "drop").run(tmp_path)
    assert not before & ({path.name for path in (tmp_path / "leaky/runs").iterdir()} - before)
    assert len(list((tmp_path / "leaky/runs").iterdir())) == 2 * len(before)


def test_after_dropping_the_other_modes_have_the_split_as_it_was_drawn(photos: Path, tmp_path: Path) -> None:
    """What an earlier call left beside the split does not vouch for what `drop` wrote there since."""
    with pytest.raises(LeakError):
        study_of(photos, "stop").run(tmp_path)
    study_of(photos, "drop").run(tmp_path)
    with pytest.raises(LeakError):
        study_of(photos, "stop").run(tmp_path)
    result = study_of(photos, "allow").run(tmp_path)
    assert all(row.score_clean is not None for row in result.leaderboard())


def test_where_every_test_picture_leaks_the_note_says_so(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    for part in ("train", "test"):
        for name in ("a", "b"):
            (tmp_path / "pets" / part / name).mkdir(parents=True)
    for name in ("a", "b"):
        for number in range(12):
            image = Image.fromarray(rng.integers(0, 256, (36, 36, 3), dtype=np.uint8))
            image.save(tmp_path / "pets/train" / name / f"{number}.png")
            if number < 4:
                image.save(tmp_path / "pets/test" / name / f"{number}.png")
    result = study_of(tmp_path / "pets", "allow").run(tmp_path / "results")
    assert any("No clean test picture remains" in note for note in result.record.notes)
    assert all(row.score_clean is None and row.n_clean == 0 for row in result.leaderboard())


def test_the_check_is_made_once(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study_of(photos, "allow").run(tmp_path)
    monkeypatch.setattr("etude.study.guard.check_source", None)
    study_of(photos, "allow").run(tmp_path)
    elsewhere = study_of(photos, "allow").run(tmp_path / "elsewhere")
    assert (elsewhere.folder / "check.html").read_text() == next(tmp_path.glob("*/check.html")).read_text()
    with pytest.raises(TypeError):
        study_of(photos, "allow", **{"data.split.seed": "7"}).run(tmp_path)
