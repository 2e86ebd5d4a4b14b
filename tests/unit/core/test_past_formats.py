"""Records of every format that was ever written stay readable.

The fixtures were written by `etude run` at the time of their format (the number in their name). A changed format gets a
new fixture; an old one is never written anew.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from etude.check import CheckRecord
from etude.core.bundle_record import BundleRecord
from etude.core.generation_record import GenerationRecord
from etude.core.judgement_record import JudgementRecord
from etude.core.mask_examples_record import MaskExamples
from etude.core.records import Record
from etude.core.robustness_record import RobustnessRecord
from etude.core.run_record import RunRecord
from etude.core.search_record import SearchRecord, TrialRecord
from etude.core.study_record import StudyRecord
from etude.core.words import Part
from etude.evaluate.predictions import Predictions
from etude.explain.records import DataMapRecord, ErrorsRecord, LayersRecord, MaskErrorsRecord, SightRecord, WhyRecord

FOLDER = Path(__file__).parents[2] / "fixtures" / "records"
KINDS: dict[str, type[Record] | type[BundleRecord]] = {
    "bundle": BundleRecord,
    "check": CheckRecord,
    "errors": ErrorsRecord,
    "generation": GenerationRecord,
    "judgement": JudgementRecord,
    "layers": LayersRecord,
    "map": DataMapRecord,
    "mask_errors": MaskErrorsRecord,
    "masks": MaskExamples,
    "robustness": RobustnessRecord,
    "run": RunRecord,
    "search": SearchRecord,
    "sight": SightRecord,
    "study": StudyRecord,
    "trial": TrialRecord,
    "why": WhyRecord,
}


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.json")), ids=lambda path: path.stem)
def test_a_record_of_a_past_format_is_read(path, tmp_path):
    kind = KINDS[path.name.split(".")[0]]
    written = json.loads(path.read_bytes())
    assert written["format"] == int(path.name.split(".")[1])
    if kind is BundleRecord:  # what a bundle is read with
        record = kind.read(written)
        assert kind.read(json.loads(record.text())) == record
        return
    record = kind.load(path)
    record.save(tmp_path / "again.json")
    assert kind.load(tmp_path / "again.json") == record


def test_every_record_has_a_fixture_of_its_present_format():
    for name, kind in KINDS.items():
        assert (FOLDER / f"{name}.{kind.FORMAT}.json").is_file(), (
            f"keep a {name}.json of format {kind.FORMAT} as a fixture"
        )


def test_what_a_past_run_answered_scores_as_it_was_recorded():
    record = RunRecord.load(FOLDER / "run.1.json")
    answers = Predictions.read(FOLDER / "predictions.1.parquet", Part.TEST)
    assert answers.score("accuracy") == pytest.approx(record.test["accuracy"])
    np.testing.assert_allclose(answers.probabilities.sum(1), 1, rtol=1e-5)
