"""Bounds that a study sets for itself: what is refused, what comes of them, and whether they were set before the runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from etude import Study
from etude.core.bound import Bound
from etude.core.errors import StudyFileError
from etude.core.interval import Interval
from etude.core.study_record import LeaderboardRow, Ratio, RunRef, StudyRecord, Verdict
from etude.report.bounds import tell_bounds
from etude.report.words import Words
from etude.study import bounds
from etude.study.file import StudyConfig
from etude.study.parse import parse_study

STUDY = """
study: animals
task: generation
data: {source: photos, classes: [fox], split: {kind: kfold, folds: 3, validation: 0}}
baseline: dcgan
candidates: {dcgan: {model: dcgan}, fastgan: {model: fastgan}}
protocol:
  metric: kid
  also: [near_copies]
  bounds:
    - BOUND
"""


def problem(bound: str) -> str:
    with pytest.raises(StudyFileError) as caught:
        parse_study(STUDY.replace("BOUND", bound))
    (told,) = caught.value.problems
    return told


@pytest.mark.parametrize(
    ("bound", "told"),
    [
        ("{candidate: fastgna, ratio_below: 0.75}", "Did you mean 'fastgan'?"),
        ("{candidate: fastgan}", "must have one of ratio_below, gain_above, above, below, like_photographs. Got none."),
        ("{candidate: fastgan, below: 1, above: 0}", "Got above, below."),
        ("{candidate: fastgan, metric: density, above: 1}", "density is not recorded. Add it to protocol.also."),
        ("{candidate: fastgan, metric: near_copies, ratio_below: 1}", "Leave metric out."),
        ("{candidate: fastgan, over: dcgan, below: 1}", "Leave over out."),
        (
            "{candidate: fastgan, metric: kid, like_photographs: true}",
            "goes with metric: near_copies or closest_copies.",
        ),
    ],
)
def test_what_a_study_cannot_tell_is_refused_where_it_stands(bound: str, told: str) -> None:
    assert told in problem(bound)
    assert problem(bound).startswith("line 11: ")


def test_ratios_are_for_generators() -> None:
    text = "data: {source: shapes}\nprotocol: {bounds: [{candidate: cnn, ratio_below: 0.5}]}"
    with pytest.raises(StudyFileError, match="ratio below is for generators"):
        parse_study(text)


def read(bound: str) -> StudyConfig:
    return parse_study(STUDY.replace("BOUND", bound))


def judge(bound: str, low: float, high: float, tmp_path: Path, copies: float = 0.0) -> Bound:
    middle = (low + high) / 2
    verdict = Verdict(
        baseline="dcgan", candidate="fastgan", metric="kid", n_pairs=3, gain=middle, low=low, high=high, p=0.1,
        p_adjusted=0.1, verdict="better", smallest_detectable=None, method="paired t",
        ratio=Ratio(value=middle, interval=Interval(low=low, high=high)),
    )  # fmt: skip
    row = LeaderboardRow(
        candidate="fastgan", n_runs=3, score=middle, interval_pictures=Interval(low=low, high=high),
        also={"near_copies": copies}, of_photographs={"near_copies": Interval(low=0.02, high=0.1)},
    )  # fmt: skip
    (found,) = bounds.judge_bounds(read(bound), "dcgan", None, {}, [row], [verdict])
    return found


@pytest.mark.parametrize(
    ("bound", "low", "high", "outcome"),
    [
        ("ratio_below: 0.75", 0.5, 0.74, "met"),
        ("ratio_below: 0.75", 0.5, 0.75, "not shown"),
        ("ratio_below: 0.75", 0.75, 0.9, "missed"),
        ("gain_above: 0.1", 0.11, 0.2, "met"),
        ("gain_above: 0.1", 0.1, 0.2, "not shown"),
        ("gain_above: 0.1", -0.1, 0.1, "missed"),
        ("below: 0.3", 0.1, 0.2, "met"),
        ("above: 0.3", 0.1, 0.4, "not shown"),
        ("above: 0.3", 0.31, 0.4, "met"),
    ],
)
def test_the_whole_interval_must_keep_to_a_bound(bound: str, low: float, high: float, outcome: str, tmp_path) -> None:
    assert judge(f"{{candidate: fastgan, {bound}}}", low, high, tmp_path).outcome == outcome


@pytest.mark.parametrize(("copies", "outcome"), [(0.05, "met"), (0.1, "met"), (0.11, "missed")])
def test_copies_are_held_against_what_photographs_show(copies: float, outcome: str, tmp_path) -> None:
    found = judge("{candidate: fastgan, metric: near_copies, like_photographs: true}", 0, 1, tmp_path, copies)
    assert (found.value, found.interval, found.outcome) == (copies, Interval(low=0.02, high=0.1), outcome)


def test_without_runs_there_is_nothing_to_judge_by(tmp_path) -> None:
    asked = read("{candidate: fastgan, ratio_below: 0.75}")
    (found,) = bounds.judge_bounds(asked, "dcgan", None, {}, [], [])
    assert (found.outcome, found.value, found.over) == ("unknown", None, "dcgan")


COLOURS = """
study: colours
data: {source: shapes, split: {kind: random, validation: 0.2, test: 0.2}}
prepare: {size_px: 8, normalize: half}
train: {epochs: 1, batch: 64}
baseline: majority
candidates: {majority: {model: majority}, mlp: {model: mlp}}
protocol: {bounds: [BOUNDS]}
report: {formats: []}
"""


def test_a_bound_that_was_added_once_runs_were_finished_says_so(tmp_path: Path) -> None:
    def run(bounds: str) -> tuple[Bound, ...]:
        Study.from_text(COLOURS.replace("BOUNDS", bounds)).run(tmp_path)
        return StudyRecord.load(tmp_path / "colours" / "study.json").bounds

    first = "{candidate: mlp, above: 0.0}"
    (early,) = run(first)
    assert early.early
    assert early.outcome == "met"
    runs = list(tmp_path.rglob("run.json"))
    kept, late = run(first + ", {candidate: mlp, gain_above: 0.9}")
    assert (kept.early, late.early, late.outcome) == (True, False, "missed")
    assert [bound.early for bound in run("{candidate: mlp, above: 0.01}, " + first)] == [False, True]
    assert list(tmp_path.rglob("run.json")) == runs, "no run depends on a bound"
    (tmp_path / "colours" / "study.json").unlink()
    (unknown,) = run(first)
    assert not unknown.early, "nobody knows whether it was there before the runs"


def test_runs_that_are_added_once_an_outcome_is_known_are_told(tmp_path: Path) -> None:
    def run(seeds: int) -> Bound:
        text = COLOURS.replace("BOUNDS", "{candidate: mlp, above: 0.0}").replace("{bounds", f"{{seeds: {seeds}, bounds")
        Study.from_text(text).run(tmp_path)
        (bound,) = StudyRecord.load(tmp_path / "colours" / "study.json").bounds
        return bound

    assert [run(1).judged_at, run(1).judged_at, run(2).judged_at] == [(1,), (1,), (1, 2)]
    record = StudyRecord.load(tmp_path / "colours" / "study.json")
    assert "It was judged with 1 run first, and runs were added since." in tell_bounds(record, Words("en"))[0]


VARIED = """
data: {source: shapes}
baseline: cnn
candidates: {cnn: {model: cnn}, mlp: {model: mlp}, resnet: {model: resnet}}
ablations: [{of: mlp, vary: model.dropout, over: [0.2]}]
protocol: {bounds: [BOUND]}
"""


@pytest.mark.parametrize(
    ("bound", "told"),
    [
        ("{candidate: resnet, gain_above: 0.1, over: mlp}", "resnet is not compared with mlp. It is compared with cnn"),
        ("{candidate: cnn, gain_above: 0.1}", "cnn is not compared with cnn. It is the baseline"),
        ("{candidate: mlp model.dropout=0.2, gain_above: 0}", "is not compared with cnn. It is compared with mlp"),
    ],
)
def test_pairs_that_no_comparison_is_of_are_refused(bound: str, told: str) -> None:
    with pytest.raises(StudyFileError) as caught:
        parse_study(VARIED.replace("BOUND", bound))
    (problem,) = caught.value.problems
    assert told in problem


def test_a_variant_is_bounded_beside_what_it_varies() -> None:
    study = parse_study(VARIED.replace("BOUND", "{candidate: mlp model.dropout=0.2, gain_above: -0.02, over: mlp}"))
    assert study.protocol.bounds[0].limit == -0.02


def test_a_metric_without_a_value_is_not_judged_by_another_one() -> None:
    asked = read("{candidate: fastgan, metric: near_copies, below: 0.5}")
    row = LeaderboardRow(candidate="fastgan", n_runs=3, score=0.1, interval_pictures=Interval(low=0.05, high=0.2))
    (found,) = bounds.judge_bounds(asked, "dcgan", None, {}, [row], [])
    assert (found.value, found.outcome) == (None, "unknown")


def told_of(bound: Bound, *statuses: str) -> str:
    runs = tuple(
        RunRef(candidate="cnn", seed=seed, identity=f"{seed}", status=status) for seed, status in enumerate(statuses)
    )
    (told,) = tell_bounds(StudyRecord.model_construct(bounds=(bound,), runs=runs), Words("en"))
    return told.replace("\xa0", " ")


def test_what_may_be_lost_at_most_is_told_as_that() -> None:
    asked = Bound(
        candidate="small", metric="accuracy", rule="gain above", limit=-0.025, over="cnn", value=0.001,
        interval=Interval(low=-0.009, high=0.011), outcome="met",
    )  # fmt: skip
    assert told_of(asked, "finished").startswith(
        "The study file asks that small loses less than 2.5 points to cnn (accuracy). Met: +0.1 points [−0.9, 1.1]."
    )


def test_a_value_without_an_interval_is_told_and_not_judged() -> None:
    asked = Bound(candidate="it", metric="fid", rule="below", limit=60, value=41.25)
    assert "lies below 60 (FID). It came to 41.250; without an interval it is not judged." in told_of(asked, "finished")
    assert "There is nothing yet to judge it by." in told_of(asked, "finished", "running")
    assert "There is nothing to judge it by." in told_of(asked.model_copy(update={"value": None}), "finished", "failed")


@pytest.mark.parametrize("language", ["en", "fr"])
def test_reports_say_what_was_asked_and_what_came_of_it(language: str) -> None:
    asked = Bound(
        candidate="fastgan", metric="kid", rule="ratio below", limit=0.75, over="dcgan", value=0.5,
        interval=Interval(low=0.4, high=0.6), outcome="met",
    )  # fmt: skip
    few = Interval(low=0.02, high=0.1)
    copies = Bound(
        candidate="fastgan", metric="near_copies", rule="like photographs", value=0.2, interval=few, outcome="missed",
        early=False,
    )  # fmt: skip
    record = StudyRecord.model_construct(bounds=(asked, copies), runs=())
    told = [text.replace("\xa0", " ").replace("\u202f", " ") for text in tell_bounds(record, Words(language))]
    assert (
        told
        == {
            "en": [
                "The study file asks for a ratio of fastgan to dcgan below 0.75 (KID). Met: 0.50 [0.40, 0.60]. "
                "This was set before any run was finished.",
                "The study file asks that fastgan shows no more copies than held-out photographs do (near copies). "
                "Missed: 20.0%; photographs would show up to 10.0%. By their number alone it is not told whether they were "
                "copied: the measures say it. This was set when runs were finished already.",
            ],
            "fr": [
                "Le fichier d’étude demande un rapport de fastgan à dcgan inférieur à 0,75 (KID). Atteint : 0,50 "
                "[0,40 ; 0,60]. Cela a été fixé avant qu’aucun entraînement ne soit terminé.",
                "Le fichier d’étude demande que fastgan ne montre pas plus de copies que des photographies tenues à "
                "l’écart (quasi-copies). Manqué : 20,0 % ; des photographies en montreraient jusqu’à 10,0 %. "
                "Leur nombre seul ne dit pas s’il s’agit de copies : les mesures le disent. Cela a été fixé alors que des entraînements étaient déjà terminés.",
            ],
        }[language]
    )
