"""A study does not replace, unasked, what another one left in its results folder."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from etude.cli.targets import find_target
from etude.core.errors import MistakeError
from etude.study.study import Study

SHORT = ["candidates={majority: {model: majority}}", "baseline=majority", "prepare.size_px=16", "train.epochs=2"]
FILE = """
study: small
data: {source: photos}
prepare: {size_px: 16}
train: {epochs: 1}
candidates: {majority: {model: majority}}
"""


def draw(folder, first, last):
    rng = np.random.default_rng(first)
    for name, shade in (("light", 160), ("dark", 40)):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(first, last):
            pixels = rng.integers(shade, shade + 60, (20, 20, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    draw(Path("photos"), 0, 12)
    return tmp_path


def run(*sets, name="", take_over=False):
    return find_target("photos", [*SHORT, *sets], name).run(take_over=take_over)


def left_behind():
    """What lies in the study's folder, but for the runs."""
    return {path: path.read_bytes() for path in Path("results/photos").iterdir() if path.is_file()}


def n_runs(name="photos"):
    return len(list(Path("results", name, "runs").iterdir()))


def test_the_same_folder_again_goes_on_and_more_seeds_are_more_of_the_same(place):
    run()
    assert run().record.leaderboard[0].n_runs == 1
    assert run("protocol.seeds=2").record.leaderboard[0].n_runs == 2


def test_other_settings_do_not_replace_what_is_there_and_say_what_differs(place):
    run()
    before = left_behind()
    with pytest.raises(MistakeError) as told:
        run("train.epochs=3", "data.split.test=0.3")
    for part in ("results/photos", "1 finished run", "train.epochs (2 there, 3 here)", "data.split.test (0.2 there, 0.3",
                 "--name", "--results", "--yes"):  # fmt: skip
        assert part in str(told.value)
    assert left_behind() == before
    assert n_runs() == 1


def test_another_name_keeps_both_and_yes_replaces_the_leaderboard_and_keeps_the_runs(place):
    run()
    before = left_behind()
    run("train.epochs=3", name="photos-longer")
    assert left_behind() == before
    assert n_runs("photos-longer") == 1
    assert run("train.epochs=3", take_over=True).record.config["train"]["epochs"] == 3
    assert n_runs() == 2


def test_other_pictures_of_the_same_name_are_told(place):
    run()
    draw(Path("photos"), 12, 14)
    with pytest.raises(MistakeError, match=r"in its pictures \(24 there, 28 here\)\."):
        run()
    shutil.copytree("photos", "elsewhere/photos")
    shutil.rmtree("elsewhere/photos/dark")
    shutil.copytree("photos/light", "elsewhere/photos/pale")
    with pytest.raises(MistakeError, match="its pictures"):
        find_target("elsewhere/photos", SHORT).run()


def test_a_changed_file_replaces_its_own_and_a_moved_one_too_but_not_that_of_another(place):
    Path("a.yaml").write_text(FILE)
    Study.from_file("a.yaml").run()
    Path("a.yaml").write_text(FILE.replace("epochs: 1", "epochs: 2"))
    Study.from_file("a.yaml").run()
    assert n_runs("small") == 2
    Path("b.yaml").write_text(FILE.replace("epochs: 1", "epochs: 3"))
    with pytest.raises(MistakeError, match=r"train.epochs \(2 there, 3 here\)"):
        Study.from_file("b.yaml").run()
    Path("a.yaml").unlink()
    Study.from_file("b.yaml").run()
    assert n_runs("small") == 3


def test_a_file_does_not_replace_the_study_of_a_folder_of_its_name(place):
    run()
    Path("photos.yaml").write_text(FILE.replace("small", "photos"))
    with pytest.raises(MistakeError, match="holds the study"):
        Study.from_file("photos.yaml").run()


def test_the_plan_says_it_beforehand(place):
    run()
    assert find_target("photos", SHORT).plan(measure=False).notes == ()
    (note,) = find_target("photos", [*SHORT, "train.epochs=3"]).plan(measure=False).notes
    assert "train.epochs (2 there, 3 here)" in note
    assert "--yes" in note


def test_a_name_that_no_folder_should_have_is_refused(place):
    with pytest.raises(MistakeError, match=r"study: --name must be letters.*Give my-photos, say"):
        run(name="my photos")
