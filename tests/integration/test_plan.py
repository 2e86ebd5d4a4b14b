"""`etude plan`: what will be trained, how long it takes here, and what it can show."""

from __future__ import annotations

from pathlib import Path

import pytest

from etude import Study
from etude.core.study_record import StudyRecord
from etude.core.watch import Silent
from etude.metrics.statistics import smallest_detectable
from etude.study.estimate import ASSUMED_DEVIATION, StudyPlan
from etude.study.run import preview_study

PLANNED = """
study: planned
data: {source: shapes, split: {train_items: 160}}
prepare: {size_px: 16, normalize: half}
train: {epochs: 2, batch: 32, precision: fp32, optimizer: {name: adamw, lr: 0.003}}
candidates:
  plain: {model: {name: mlp, widths: [8]}}
  wide: {model: {name: mlp, widths: [16]}}
ablations: [{of: plain, vary: augment.use, over: [flip, shift], combine: [each, all]}]
protocol: {seeds: 3}
"""


class Listener(Silent):
    def __init__(self) -> None:
        self.told: list[str] = []

    def said(self, text: str) -> None:
        self.told.append(text)


def preview(results: Path, *sets: str, measure: bool = True) -> tuple[StudyPlan, list[str]]:
    study = Study.from_text(PLANNED, sets=sets)
    watch = Listener()
    return preview_study(study.config, study.base, results, watch, measure=measure), watch.told


def test_it_says_order_time_and_what_can_be_shown_and_trains_nothing(tmp_path: Path) -> None:
    plan, told = preview(tmp_path)
    assert [(ref.candidate, ref.seed) for ref in plan.runs][:6] == [
        ("plain", 0), ("wide", 0), ("plain+flip", 0), ("plain+shift", 0), ("plain+all", 0), ("plain", 1),
    ]  # fmt: skip
    assert {ref.status for ref in plan.runs} == {"planned"}
    assert not list(tmp_path.glob("planned/runs/*"))
    assert len(told) == 5
    assert all(entry.steps == 2 * 5 and entry.step_ms and entry.run_seconds for entry in plan.candidates)
    assert plan.seconds_left == pytest.approx(3 * sum(entry.run_seconds or 0 for entry in plan.candidates))
    main, ablation = plan.resolutions
    assert (main.group, main.n_comparisons, ablation.group, ablation.n_comparisons) == ("", 1, "plain: augment.use", 3)
    assert main.is_assumed
    assert main.smallest == smallest_detectable(ASSUMED_DEVIATION, 3)
    assert ablation.smallest == smallest_detectable(ASSUMED_DEVIATION, 3, 0.05 / 3)
    assert "whether it overfits is seen from its first run" in plan.notes[0]


def test_over_folds_the_chance_of_their_test_pictures_is_assumed(tmp_path: Path) -> None:
    """Two hundred pictures in five folds were planned to show 3 points, and 25 were needed."""
    plan, _ = preview(
        tmp_path, "data.split={kind: kfold, folds: 4, validation: 0.2}", "protocol.seeds=1", measure=False
    )
    main = plan.resolutions[0]
    n_test = 3000 / 4
    assert main.is_assumed
    assert main.deviation == pytest.approx((0.2 / n_test) ** 0.5)
    plan, _ = preview(tmp_path, measure=False)
    assert plan.resolutions[0].deviation == ASSUMED_DEVIATION


def test_what_was_timed_is_not_timed_again_and_nothing_is_where_that_is_asked(tmp_path: Path) -> None:
    plan, told = preview(tmp_path, measure=False)
    assert told == []
    assert plan.seconds_left is None
    first, _ = preview(tmp_path)
    again, told = preview(tmp_path, "protocol.seeds=5")
    assert told == []
    assert [entry.step_ms for entry in again.candidates] == [entry.step_ms for entry in first.candidates]
    _, told = preview(tmp_path, "candidates.wide.model.widths=[24]")
    assert told == ["wide: a few steps are timed"]


def test_after_the_run_the_real_time_stands_beside_the_estimate_and_the_deviation_is_its_own(tmp_path: Path) -> None:
    plan, _ = preview(tmp_path)
    Study.from_text(PLANNED).run(tmp_path)
    record = StudyRecord.load(tmp_path / "planned/study.json")
    estimated = {entry.candidate: entry.run_seconds for entry in plan.candidates}
    assert {time.candidate: time.estimated_seconds for time in record.times} == estimated
    seconds = {row.candidate: row.seconds for row in record.leaderboard}
    assert {time.candidate: time.real_seconds for time in record.times} == seconds
    after, told = preview(tmp_path, "protocol.seeds=5")
    assert told == []
    assert all(entry.is_real and entry.n_left == 2 for entry in after.candidates)
    assert not after.resolutions[1].is_assumed
    assert after.resolutions[1].n_pairs == 5
    assert "on its training pictures" in after.notes[0]


def test_what_another_candidate_trains_is_answered_only(tmp_path: Path) -> None:
    plan, told = preview(tmp_path, "candidates.tta={extends: wide, combine: {tta: flip}}")
    assert "tta: a few steps are timed" not in told
    by_name = {entry.candidate: entry for entry in plan.candidates}
    assert [entry.candidate for entry in plan.candidates][:3] == ["plain", "wide", "tta"]
    assert by_name["tta"].steps == 0
    assert 0 < (by_name["tta"].run_seconds or 0) < (by_name["wide"].run_seconds or 0)


def test_one_pair_shows_nothing(tmp_path: Path) -> None:
    plan, _ = preview(tmp_path, "protocol.seeds=1", measure=False)
    assert [resolution.smallest for resolution in plan.resolutions] == [None, None]


def test_of_auto_seeds_the_most_is_what_can_show_something(tmp_path: Path) -> None:
    plan, _ = preview(tmp_path, "protocol.seeds=auto", measure=False)
    assert len(plan.runs) == 3 * 5
    assert {resolution.n_pairs for resolution in plan.resolutions} == {10}


def times_of(results: Path) -> dict[str, float | None]:
    record = StudyRecord.load(results / "planned/study.json")
    return {time.candidate: time.estimated_seconds for time in record.times}


@pytest.mark.parametrize("shared", [False, True])
def test_the_estimate_of_members_is_of_all_their_trainings_as_the_real_time_is(tmp_path: Path, shared: bool) -> None:
    own = "extends: wide" if shared else "model: {name: mlp, widths: [12]}"
    sets = (f"candidates.trio={{{own}, combine: {{members: 3}}}}", "protocol.seeds=1", "ablations=[]")
    plan, _ = preview(tmp_path, *sets)
    planned = {entry.candidate: entry.run_seconds or 0.0 for entry in plan.candidates}
    Study.from_text(PLANNED, sets=sets).run(tmp_path)
    estimated = times_of(tmp_path)
    if shared:  # the plan leaves out the training that `wide` does; the real time of three trainings does not
        assert planned["trio"] == pytest.approx(2 * planned["wide"])
        assert estimated["trio"] == pytest.approx(3 * planned["wide"])
    else:
        assert estimated["trio"] == planned["trio"]
    more, _ = preview(tmp_path, *sets, "protocol.seeds=2", measure=False)
    real = {time.candidate: time.real_seconds for time in StudyRecord.load(tmp_path / "planned/study.json").times}
    left = {entry.candidate: entry.run_seconds for entry in more.candidates}
    assert left["trio"] == pytest.approx((real["trio"] or 0.0) * (2 / 3 if shared else 1))


def test_a_run_without_a_plan_takes_the_estimate_itself_where_that_costs_little(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short, long = tmp_path / "short", tmp_path / "long"
    Study.from_text(PLANNED).run(short)
    assert set(times_of(short).values()) == {None}
    monkeypatch.setattr("etude.study.timing._WORTH_STEPS", 3 * 2 * 5)
    Study.from_text(PLANNED).run(long)
    assert all(seconds is not None and seconds > 0 for seconds in times_of(long).values())
    records = [StudyRecord.load(folder / "planned/study.json") for folder in (short, long)]
    assert records[0].runs == records[1].runs
    scores = [{row.candidate: row.score for row in record.leaderboard} for record in records]
    assert scores[0] == scores[1]  # timing draws nothing that a training draws
    Study.from_text(PLANNED).run(short)  # what is finished is not timed afterwards
    assert set(times_of(short).values()) == {None}
