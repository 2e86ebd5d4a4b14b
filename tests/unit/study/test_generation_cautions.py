"""What is said and refused of a generator's photographs before it is trained: how small they are, and how few."""

from __future__ import annotations

import io
import shutil

import numpy as np
import pytest
from PIL import Image

from etude.core.errors import DataError, MistakeError
from etude.core.watch import Silent
from etude.data.source import open_source
from etude.study.cautions import cautions
from etude.study.folder import StudyFolder
from etude.study.guard import check_scores, guard
from etude.study.parse import parse_study
from etude.study.resolve import resolve_candidate
from etude.study.workspace import Workspace

SIDES = [(40, 60), (32, 32), (31, 80), (20, 24)]
"""Heights and widths."""


def photographs(folder, counts):
    rng = np.random.default_rng(0)
    for name, count in counts.items():
        for number in range(count):
            picture = rng.integers(0, 256, (*SIDES[number % len(SIDES)], 3), dtype=np.uint8)
            path = folder / name / f"{number:02}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(path)
    return folder


def enlarged(source, prepare, task="generation", model="dcgan"):
    study = parse_study(
        f"task: {task}\ndata: {{source: photos}}\nprepare: {prepare}\ncandidates: {{it: {{model: {model}}}}}"
    )
    return [told for told in cautions(resolve_candidate(study, "it"), source, study) if "enlarged" in told]


@pytest.mark.parametrize(
    ("prepare", "small"),
    [
        ("{size_px: 16}", 0),
        ("{size_px: 32, fit: crop}", 2),
        ("{size_px: 32, fit: stretch}", 2),
        ("{size_px: 32, fit: letterbox}", 1),
        ("{size_px: 64, fit: crop}", 4),
    ],
)
def test_photographs_that_are_smaller_than_what_is_drawn_are_told(tmp_path, prepare, small):
    source = open_source(str(photographs(tmp_path, {"fox": 4})), task="generation")
    told = enlarged(source, prepare)
    side = prepare[10:12]
    expected = (
        f"it: photographs smaller than {side} px are enlarged, {small} of the 4 that were looked at, and a generator"
    )
    assert [one.startswith(expected) for one in told] == [True] * bool(small)


def test_of_many_photographs_some_are_looked_at_and_those_that_cannot_be_read_are_passed_over():
    class Many:
        classes = ("fox",)
        items = type("", (), {"ids": np.array([f"{number}" for number in range(1000)])})()
        asked = 0

        def raw(self, index):
            self.asked += 1
            if index == 0:
                return b"no picture"
            content = io.BytesIO()
            Image.new("RGB", (20, 30)).save(content, "PNG")
            return content.getvalue() if index % 2 else np.zeros((64, 64, 3), np.uint8)

    source = Many()
    (told,) = enlarged(source, "{size_px: 32}")
    assert told.startswith("it: photographs smaller than 32 px are enlarged, 100 of the 199 that were looked at")
    assert source.asked == 200
    assert enlarged(source, "{size_px: 16}") == []
    assert source.asked == 200, "for all runs of a study once"


def checked(folder, text):
    check_scores(Workspace(parse_study(text), folder, StudyFolder.of(folder / "results"), "cpu", Silent()))


GENERATION = """
task: generation
data: {{source: photos, classes: [fox], split: {{kind: {kind}}}}}
prepare: {{size_px: 16, fit: crop}}
candidates: {{it: {{model: dcgan}}{more}}}
"""


def test_a_generator_of_too_few_photographs_is_refused_before_anything_is_trained(tmp_path):
    photographs(tmp_path / "photos", {"fox": 24})
    fine = GENERATION.format(kind="kfold, folds: 2, validation: 0", more="")
    checked(tmp_path, fine)
    few = GENERATION.format(kind="random, test: 0.65, validation: 0", more="")
    with pytest.raises(
        DataError, match=r"the training part must be of 10 photographs or more, from which .* learns\. Got 8"
    ):
        checked(tmp_path, few)
    cut = GENERATION.format(
        kind="kfold, folds: 2, validation: 0", more=", few: {model: dcgan, data: {split: {train_items: 2}}}"
    )
    with pytest.raises(DataError, match=r"the training part of fold 0 must be .* a generator of few learns\. Got 2"):
        checked(tmp_path, cut)


def test_photographs_that_leak_are_none_to_learn_from(tmp_path):
    photographs(tmp_path / "photos", {"fox": 24})
    workspace = Workspace(
        parse_study(GENERATION.format(kind="kfold, folds: 2, validation: 0", more="")),
        tmp_path, StudyFolder.of(tmp_path / "results"), "cpu", Silent(),
    )  # fmt: skip
    check_scores(workspace)
    names = [f"fox/{number:02}.png" for number in range(24)]
    for twin in range(0, 24, 3):  # each third one is another's double, held out or not
        shutil.copy(tmp_path / "photos" / names[twin], tmp_path / "photos" / names[twin + 1])
    workspace = Workspace(
        parse_study(GENERATION.format(kind="kfold, folds: 2, validation: 0", more="").replace("split:", "on_leak: drop, split:")),
        tmp_path, StudyFolder.of(tmp_path / "results"), "cpu", Silent(),
    )  # fmt: skip
    check_scores(workspace)
    with pytest.raises(DataError, match=r"the training part of fold \d must be of 10 photographs or more"):
        guard(workspace)


def test_the_generator_of_a_class_with_few_photographs_is_refused_too(tmp_path):
    photographs(tmp_path / "photos", {"fox": 14, "hare": 40})
    helped = """
data: {source: photos, on_leak: allow, split: {kind: random, test: 0.2, validation: 0.2, seed: 1}}
prepare: {size_px: 16}
candidates:
  plain: {model: {name: mlp, widths: [4]}}
  helped: {extends: plain, data: {generated: {pictures: 5, size_px: 8, OFmodel: {name: dcgan, width: 4}}}}
"""
    with pytest.raises(
        DataError, match=r"fox in the training part must be of 10 photographs .* of helped learns.*generated\.of"
    ):
        checked(tmp_path, helped.replace("OF", ""))
    checked(tmp_path, helped.replace("OF", "of: [hare], "))
    with pytest.raises(MistakeError, match="Did you mean 'hare'"):
        checked(tmp_path, helped.replace("OF", "of: [har], "))
