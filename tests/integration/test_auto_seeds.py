"""`seeds: auto`: runs are added until the comparisons are told apart or narrow, or none is left."""

from __future__ import annotations

from pathlib import Path

import pytest

from etude import Study
from etude.core.errors import BudgetError, StudyFileError
from etude.core.study_record import StudyRecord
from etude.report.note import write_note
from etude.study.parse import parse_study

AUTO = """
study: auto
data: {source: shapes, split: {train_items: 160}}
prepare: {size_px: 16, normalize: half}
train: {epochs: 1, batch: 32, precision: fp32, optimizer: {name: adamw, lr: 0.003}}
baseline: one
candidates:
  one: {model: {name: mlp, widths: [8]}}
  two: {model: {name: mlp, widths: [9]}}
protocol: {seeds: {first: 2, most: 4, half_width: null}}
"""


def run(text: str, results: Path, *sets: str) -> StudyRecord:
    return Study.from_text(text, sets=sets).run(results).record


def test_without_a_difference_it_goes_on_to_the_last_seed(tmp_path: Path) -> None:
    record = run(AUTO, tmp_path)
    assert sorted({ref.seed for ref in record.runs}) == [0, 1, 2, 3]
    assert [ref.candidate for ref in record.runs] == ["one", "two"] * 4
    (verdict,) = record.verdicts
    assert verdict.method == "sequential paired t"
    assert verdict.n_pairs == 4
    assert any("4 of at most 4" in note for note in record.notes)


def test_it_stops_once_every_interval_is_narrow_enough_and_a_second_call_trains_nothing(tmp_path: Path) -> None:
    wide = "protocol.seeds.half_width=50"
    record = run(AUTO, tmp_path, wide)
    assert sorted({ref.seed for ref in record.runs}) == [0, 1]
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("auto/runs/*/run.json")}
    assert run(AUTO, tmp_path, wide).runs == record.runs
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("auto/runs/*/run.json")} == before
    more = run(AUTO, tmp_path)
    assert len(more.runs) == 8
    assert before.items() <= {path: path.stat().st_mtime_ns for path in tmp_path.glob("auto/runs/*/run.json")}.items()


def told_of_looks(record: StudyRecord) -> list[str]:
    return [note for note in record.notes if note.startswith("Numbers of seeds at which verdicts were written before")]


@pytest.mark.parametrize("is_of_an_earlier_version", [False, True])
def test_seeds_added_to_a_finished_study_are_told_as_a_look(tmp_path: Path, is_of_an_earlier_version: bool) -> None:
    first = run(AUTO, tmp_path, "protocol.seeds=2")
    assert first.looks == (2,)
    assert not told_of_looks(first)
    if is_of_an_earlier_version:
        first.model_copy(update={"looks": ()}).save(tmp_path / "auto/study.json")
    more = run(AUTO, tmp_path, "protocol.seeds=4")
    assert more.looks == (2, 4)
    assert told_of_looks(more)[0].startswith("Numbers of seeds at which verdicts were written before: 2; now 4.")
    assert run(AUTO, tmp_path, "protocol.seeds=4").notes == more.notes
    for language, told in (("en", "written before: 2; now 4."), ("fr", "déjà été écrits : 2 ; maintenant 4.")):
        page = write_note(tmp_path / "auto", language).read_text("utf-8")
        assert told in page.replace("\N{NO-BREAK SPACE}", " ").replace("\N{NARROW NO-BREAK SPACE}", " ")


def test_the_looks_of_the_rule_are_allowed_for_until_the_rule_is_left(tmp_path: Path) -> None:
    by_rule = run(AUTO, tmp_path)
    assert by_rule.looks == (2, 3, 4)
    assert not told_of_looks(by_rule)
    left = run(AUTO, tmp_path, "protocol.seeds=5")
    assert "before: 2, 3, 4; now 5." in told_of_looks(left)[0]


@pytest.mark.parametrize("is_of_an_earlier_version", [False, True])
def test_a_rule_that_is_changed_after_looking_is_told(tmp_path: Path, is_of_an_earlier_version: bool) -> None:
    def told(record: StudyRecord) -> list[str]:
        return [note for note in record.notes if note.startswith("Other rules by which seeds were added before")]

    first = run(AUTO, tmp_path)
    assert first.rules == ((2, 4),)
    if is_of_an_earlier_version:
        first.model_copy(update={"rules": ()}).save(tmp_path / "auto/study.json")
    raised = run(AUTO, tmp_path, "protocol.seeds.most=5")
    assert raised.rules == ((2, 4), (2, 5))
    (note,) = told(raised)
    assert "before: 2–4; now 2–5." in note
    assert told(run(AUTO, tmp_path, "protocol.seeds.most=5")) == [note]
    page = write_note(tmp_path / "auto", "fr").read_text("utf-8")
    assert "ajoutées auparavant" in page


def test_other_trainings_were_not_judged_before(tmp_path: Path) -> None:
    run(AUTO, tmp_path, "protocol.seeds=2")
    other = run(AUTO, tmp_path, "protocol.seeds=3", "train.batch=16")
    assert other.looks == (3,)
    assert not told_of_looks(other)


def test_a_spent_budget_ends_it(tmp_path: Path) -> None:
    run(AUTO, tmp_path, "protocol.seeds=1")
    with pytest.raises(BudgetError, match="2 of 4 runs left"):
        run(AUTO, tmp_path, "protocol.budget=0.000001s")


def test_auto_alone_has_defaults() -> None:
    study = parse_study("protocol: {seeds: auto}")
    rule = study.protocol.auto
    assert rule is not None
    assert (rule.first, rule.most, rule.half_width) == (3, 10, 0.01)
    assert study.protocol.seed_list == (0, 1, 2)
    assert parse_study("protocol: {seeds: 4}").protocol.auto is None


@pytest.mark.parametrize(
    ("protocol", "told"),
    [
        ("{seeds: atuo}", "line 1: protocol.seeds: must be a number of seeds, a list of seeds, or auto. Got 'atuo'."),
        ("{seeds: {auto: true, frist: 2}}", "line 1: protocol.seeds.frist is not a field. Did you mean 'first'?"),
        ("{seeds: {auto: true, first: 9, most: 5}}", "first must be at most `most` (5). Got 9."),
        ("{seeds: {first: 1}}", "line 1: protocol.seeds.first must be at least 2. Got 1."),
        (
            "{seeds: auto}\ndata: {split: {kind: kfold}}",
            "line 1: protocol.seeds: auto must go with one split. Got folds.",
        ),
    ],
)
def test_a_mistake_says_what_is_meant(protocol: str, told: str) -> None:
    with pytest.raises(StudyFileError) as caught:
        parse_study(f"protocol: {protocol}")
    assert [told in line for line in caught.value.problems] == [True], caught.value.problems
