"""The page on generators says what the code does: the numbers and the names in it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from etude.core.generation_record import GenerationRecord
from etude.metrics import copied
from etude.metrics.generation import COPY_LIMITS, GENERATION_METRICS
from etude.metrics.near_copies import shares_of_photographs
from etude.models.picture_features import _MOST_TELLING, _SIDE_PX
from etude.report import generated
from etude.study import guard
from etude.train.adversarial_config import AdversarialConfig
from etude.train.generation import MEASURED_TRAINING

PAGE = " ".join((Path(__file__).parents[2] / "docs" / "generation.md").read_text("utf-8").split())


def test_what_can_be_set_has_the_defaults_that_stand_there():
    rows = dict(re.findall(r"\| `(\w+)` \| ([\w.]+) \|", PAGE))
    for name, field in AdversarialConfig.model_fields.items():
        default = field.get_default(call_default_factory=True)
        assert rows[name] == "none" if not default and name == "augment" else float(rows[name]) == default


def test_every_measure_has_its_line_and_every_field_of_the_record_its_name():
    assert all(f"| `{name}` |" in PAGE for name in GENERATION_METRICS)
    named = set(re.findall(r"`((?:near|outright|n_training)_\w+)`", PAGE))
    named -= {*GENERATION_METRICS, "near_copies_photographs_low"}
    assert (
        {"near_trained", "near_to", "near_photographs", "outright_trained"}
        <= named
        <= set(GenerationRecord.model_fields)
    )


@pytest.mark.parametrize(("metric", "told"), [("near_copies", "2 to 10 %"), ("closest_copies", "(1 to 7 %")])
def test_what_photographs_show_is_what_stands_there(metric, told):
    found = shares_of_photographs([(33, (1000,))] * 3, limit=COPY_LIMITS[metric])
    assert told in PAGE
    assert told.strip("(") == f"{100 * found.low:.0f} to {100 * found.high:.0f} %"


def test_numbers_of_the_code_stand_there():
    assert f"Of more than {MEASURED_TRAINING:,} training pictures" in PAGE
    assert guard._FEWEST_LEARNT == guard._FEWEST_HELD_OUT == 10
    assert "needs 10 photographs to learn from and 10 held-out ones" in PAGE
    assert "in its own training part, 10 or more" in PAGE
    assert f"more than {generated._MOST_BYTES // 10**6} MB" in PAGE
    assert copied._OUTRIGHT == 2 / 3
    assert "at most two thirds as far" in PAGE
    assert _MOST_TELLING[0] == "inception_v3"
    assert f"Inception sees pictures at {_SIDE_PX['inception_v3']} px" in PAGE
