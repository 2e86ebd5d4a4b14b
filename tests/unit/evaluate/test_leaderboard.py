"""Many runs to rows."""

from dataclasses import replace

import numpy as np
import pytest

from etude.core.errors import MistakeError
from etude.core.words import Part
from etude.evaluate.generated import GeneratedFeatures
from etude.evaluate.leaderboard import interval_over_runs, leaderboard_rows
from etude.evaluate.pictures import interval_over_pictures
from etude.metrics.generation import FeatureSets
from etude.metrics.near_copies import shares_of_photographs
from etude.metrics.statistics import bootstrap_interval, t_interval


def test_rows_come_best_first_and_without_a_score_last(seeds):
    runs = {"low": seeds(0.6), "none": [], "high": seeds(0.9), "middle": seeds(0.75)}
    rows = leaderboard_rows(runs, "accuracy", failed={"none": ["The loss is not finite."]})
    assert [row.candidate for row in rows] == ["high", "middle", "low", "none"]
    assert rows[-1].score is None
    assert rows[-1].failed == ("The loss is not finite.",)
    by_loss = leaderboard_rows(runs, "log_loss")
    assert [row.candidate for row in by_loss] == ["high", "middle", "low", "none"]
    assert by_loss[0].score < by_loss[1].score


def test_a_row_sums_up_its_runs(seeds):
    runs = seeds(0.8, spread=0.02)
    (row,) = leaderboard_rows({"it": runs}, "accuracy", also=("f1_macro", "seconds", "latency_ms"))
    scores = [run.record.test["accuracy"] for run in runs]
    assert row.n_runs == 5
    assert row.score == pytest.approx(np.mean(scores))
    assert row.interval_runs == t_interval(scores)
    assert row.interval_runs.low < row.score < row.interval_runs.high
    assert row.interval_pictures.low < row.score < row.interval_pictures.high
    assert row.validation_score == pytest.approx(0.52)
    assert row.train_score is None
    assert set(row.also) == {"f1_macro"}
    assert (row.seconds, row.memory_mb, row.params, row.latency_ms) == (12.0, 52.0, 7, 1.0)


def generated(ids, seed, *, copies):
    """Features of a generator that copies its training pictures, or draws others like them."""
    rng = np.random.default_rng(seed)
    training, real, others = (rng.standard_normal((count, 8)) for count in (30, len(ids), 40))
    drawn = training[rng.integers(0, 30, 40)] if copies else others
    near = np.zeros(40) if copies else rng.uniform(0.7, 1, 40)
    return GeneratedFeatures(ids, Part.TEST, FeatureSets(drawn, real, training, near, rng.uniform(0.7, 1, len(ids))))


def test_near_copies_stand_beside_what_photographs_would_show_in_the_same_folds(one):
    folds = [np.array([f"picture {n}" for n in range(start, start + 20)]) for start in (0, 20, 40)]
    runs = [
        replace(one(np.ones(20), fold=fold, ids=ids, recorded=False), test=generated(ids, fold, copies=fold == 0))
        for fold, ids in enumerate(folds)
    ]
    (row,) = leaderboard_rows({"it": runs}, "kid", also=("near_copies", "diversity"))
    assert row.of_photographs == {"near_copies": shares_of_photographs([(20, (40,))] * 3)}
    assert row.also["near_copies"] > row.of_photographs["near_copies"].high  # a fold is copied
    seeds = [replace(runs[1], record=runs[1].record.model_copy(update={"seed": seed})) for seed in range(3)]
    (row,) = leaderboard_rows({"it": seeds}, "near_copies")
    assert row.of_photographs == {"near_copies": shares_of_photographs([(20, (40, 40, 40))])}
    (row,) = leaderboard_rows({"it": runs}, "kid", also=("closest_copies",))
    assert row.of_photographs == {"closest_copies": shares_of_photographs([(20, (40,))] * 3, limit=0.0)}
    (row,) = leaderboard_rows({"it": seeds}, "near_copies")
    assert row.interval_pictures is None  # twenty pictures do not tell where 1 of 20 lies


def test_an_interval_over_two_runs_ends_where_the_metric_does(one):
    index = np.arange(400)
    runs = [one(index < 396, seed=0), one(index < 360, seed=1)]
    (row,) = leaderboard_rows({"it": runs}, "accuracy")
    unbounded = t_interval([0.99, 0.9])
    assert unbounded.high > 1
    assert row.interval_runs.high == 1
    assert row.interval_runs.low == unbounded.low
    losses = interval_over_runs(runs, "log_loss")
    assert losses.low == 0
    assert losses.high == t_interval([run.record.test["log_loss"] for run in runs]).high


def test_quartiles_of_the_latency_are_summed_up_where_runs_have_them(one):
    index = np.arange(400)
    runs = [
        one(index < 300, seed=seed, latency_ms=2.0, latency_q1_ms=1.5 + seed / 10, latency_q3_ms=3.0 + seed)
        for seed in range(3)
    ]
    (row,) = leaderboard_rows({"it": runs}, "accuracy")
    assert (row.latency_q1_ms, row.latency_q3_ms) == (pytest.approx(1.6), 4.0)
    (old,) = leaderboard_rows({"it": [one(index < 300)]}, "accuracy")
    assert (old.latency_ms, old.latency_q1_ms, old.latency_q3_ms) == (1.0, None, None)


def test_one_run_has_no_interval_over_runs(one):
    (row,) = leaderboard_rows({"it": [one(np.arange(400) < 300)]}, "accuracy")
    assert row.interval_runs is None
    assert row.interval_pictures == bootstrap_interval(np.arange(400) < 300)


def test_a_score_that_was_not_recorded_is_computed(one):
    (row,) = leaderboard_rows({"it": [one(np.arange(400) < 300, recorded=False)]}, "accuracy", also=("brier",))
    assert row.score == 0.75
    assert 0 < row.also["brier"] < 2


def test_answers_may_be_loaded_when_they_are_needed(seeds):
    runs = seeds(0.8)
    loads = []

    def loader(predictions):
        return lambda: loads.append(1) or predictions

    lazy = [replace(run, test=loader(run.test)) for run in runs]
    assert leaderboard_rows({"it": lazy}, "accuracy") == leaderboard_rows({"it": runs}, "accuracy")
    assert loads


def test_runs_on_the_same_pictures_do_not_count_them_twice(one):
    right = np.arange(400) < 300
    alone = interval_over_pictures([one(right)], "accuracy")
    thrice = interval_over_pictures([one(right, seed=seed) for seed in range(3)], "accuracy")
    assert (thrice.low, thrice.high) == pytest.approx((alone.low, alone.high))


def test_folds_together_are_the_whole_set(folds):
    runs = folds(0.8)
    right = np.concatenate([run.test.values_of_pictures("accuracy") for run in runs])
    expected = bootstrap_interval(right)
    found = interval_over_pictures(runs, "accuracy")
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_the_order_of_pictures_does_not_matter(one, seeds):
    runs = seeds(0.8, seeds=3)
    order = np.random.default_rng(0).permutation(400)
    p = runs[0].test
    moved = replace(
        runs[0], test=replace(p, ids=p.ids[order], truth=p.truth[order], probabilities=p.probabilities[order])
    )
    for metric in ("accuracy", "f1_macro"):
        straight = interval_over_pictures(runs, metric)
        mixed = interval_over_pictures([moved, *runs[1:]], metric)
        width = straight.high - straight.low
        assert (mixed.low, mixed.high) == pytest.approx((straight.low, straight.high), abs=0.15 * width)


@pytest.mark.parametrize("metric", ["log_loss", "balanced_accuracy", "f1_macro", "ece"])
def test_every_metric_has_an_interval_over_pictures(seeds, metric):
    (row,) = leaderboard_rows({"it": seeds(0.8)}, metric)
    accuracy = interval_over_pictures(seeds(0.8), "accuracy")
    assert 0 < row.interval_pictures.high - row.interval_pictures.low < 4 * (accuracy.high - accuracy.low)
    if metric != "ece":  # a plug-in estimate, whose replicates lie above it
        assert row.interval_pictures.low < row.score < row.interval_pictures.high


def test_uneven_folds_are_resampled_as_ratios(one):
    ids = np.array([f"picture {i}" for i in range(400)])
    rng = np.random.default_rng(0)
    runs = [
        one(rng.random(300) < 0.8, fold=0, ids=ids[:300], n_train=100),
        one(rng.random(100) < 0.8, fold=1, ids=ids[300:], n_train=300),
    ]
    interval = interval_over_pictures(runs, "accuracy")
    expected = 1.96 * np.sqrt(0.16 * (1 / 300 + 1 / 100) / 4)
    assert (interval.high - interval.low) / 2 == pytest.approx(expected, rel=0.15)


def test_folds_widen_the_interval_over_runs_and_seeds_of_a_fold_are_averaged(folds):
    runs = folds(0.8, seeds=2)
    scores = np.array([run.record.test["accuracy"] for run in runs]).reshape(5, 2).mean(axis=1)
    assert interval_over_runs(runs, "accuracy") == t_interval(scores, test_to_train=80 / 320)


def test_a_candidate_of_few_training_pictures_is_widened_by_how_the_folds_overlap(folds):
    """Sixteen pictures of 320 overlap less from fold to fold than all do: 80 / 16 would say five times as much."""
    few = [
        replace(run, record=run.record.model_copy(
            update={"n_train": 16, "config": {"data": {"split": {"train_items": 16}}}}))
        for run in folds(0.8)
    ]  # fmt: skip
    scores = [run.record.test["accuracy"] for run in few]
    assert interval_over_runs(few, "accuracy") == t_interval(scores, test_to_train=80 / 320)


def test_an_unknown_metric_is_named(seeds):
    with pytest.raises(MistakeError, match="accuracy"):
        leaderboard_rows({"it": seeds(0.8, seeds=1)}, "acuracy")
