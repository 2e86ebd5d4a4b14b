"""`etude compare`: several studies, one leaderboard, verdicts on the same split only."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from etude import Study
from etude.core.errors import MistakeError
from etude.study.comparing import StudyComparison, compare_studies
from etude.study.folder import find_study

ONE = """
study: one
data: {source: shapes, split: {train_items: 120}}
prepare: {size_px: 16, normalize: half}
train: {epochs: 1, batch: 32, precision: fp32, optimizer: {name: adamw, lr: 0.003}}
candidates:
  small: {model: {name: mlp, widths: [8]}}
protocol: {seeds: 3, also: [log_loss]}
"""
TWO = ONE.replace("study: one", "study: two").replace("  small:", "  same: {model: {name: mlp, widths: [8]}}\n  wide:").replace(
    "wide: {model: {name: mlp, widths: [8]}}", "wide: {model: {name: mlp, widths: [24]}}"
).replace("seeds: 3", "seeds: 4")  # fmt: skip
OTHER = ONE.replace("study: one", "study: other").replace("train_items: 120", "seed: 7, train_items: 120")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    for text in (ONE, TWO, OTHER):
        Study.from_text(text).run(folder)
    return folder


def compared(results: Path, *names: str, **options: str) -> StudyComparison:
    return compare_studies([find_study(name, results) for name in names], **options)  # type: ignore[arg-type]


def test_one_leaderboard_and_verdicts_over_the_seeds_that_both_have(results: Path) -> None:
    found = compared(results, "one", "two")
    assert {row.candidate for row in found.leaderboard} == {"one/small", "two/same", "two/wide"}
    scores = [row.score or 0 for row in found.leaderboard]
    assert scores == sorted(scores, reverse=True)
    (verdict,) = [v for v in found.verdicts if v.candidate == "two/wide"]
    assert (verdict.baseline, verdict.n_pairs) == ("one/small", 3)
    by_name = {row.candidate: row for row in found.leaderboard}
    assert by_name["two/wide"].n_runs == 4


def test_another_split_has_rows_and_no_verdict(results: Path) -> None:
    found = compared(results, "one", "other")
    assert {row.candidate for row in found.leaderboard} == {"one/small", "other/small"}
    assert found.verdicts == ()
    assert found.notes == ("other: no verdict against one/small, as its pictures or its split are others.",)


def test_the_same_training_in_two_studies_is_told_and_not_compared(results: Path) -> None:
    found = compared(results, "two", "one", baseline="two/same")
    assert found.verdicts == ()
    assert found.notes == ("one/small: is the same training as two/same.",)


def test_another_metric_is_scored_from_the_predictions(results: Path) -> None:
    found = compared(results, "one", "two", metric="log_loss")
    scores = [row.score or 0 for row in found.leaderboard]
    assert scores == sorted(scores)
    assert {verdict.metric for verdict in found.verdicts} == {"log_loss"}


def test_the_command_prints_json_and_writes_csv(results: Path, tmp_path: Path) -> None:
    words = ["compare", "one", "two", "--results", str(results), "--csv", str(tmp_path / "all.csv"), "--json"]
    told = subprocess.run([sys.executable, "-m", "etude", *words], capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout)["baseline"] == "one/small"
    rows = list(csv.DictReader(io.StringIO((tmp_path / "all.csv").read_text())))
    assert {(row["study"], row["candidate"]) for row in rows} == {("one", "small"), ("two", "same"), ("two", "wide")}


@pytest.mark.parametrize(
    ("names", "options", "told"),
    [
        (["one"], {}, "studies must be two or more. Got 1."),
        (["one", "two"], {"baseline": "two/wid"}, "there is no candidate 'two/wid' in these studies. Did you mean 'two/wide'?"),
        (["one", "two"], {"metric": "acuracy"}, "Did you mean 'accuracy'"),
        (["one", "tow"], {}, "tow: there is no such study"),
    ],
)  # fmt: skip
def test_a_mistake_is_a_sentence(results: Path, names: list[str], options: dict[str, str], told: str) -> None:
    with pytest.raises(MistakeError) as caught:
        compared(results, *names, **options)
    assert told in str(caught.value)
