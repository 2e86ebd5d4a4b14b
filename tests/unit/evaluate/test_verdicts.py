"""Candidates against the baseline."""

import numpy as np
import pytest

from etude.core.errors import DataError
from etude.evaluate.pictures import compare_over_pictures
from etude.evaluate.verdicts import compare
from etude.metrics.statistics import AutoSeeds, corrected_resampled_t, holm, mcnemar_exact, paired_t


def accuracies(runs):
    return [run.record.test["accuracy"] for run in runs]


def test_over_seeds_the_paired_t_decides(seeds):
    runs = {"plain": seeds(0.7, base=1), "better": seeds(0.8, base=2), "same": seeds(0.7, base=3), "worse": seeds(0.5)}
    verdicts = {entry.candidate: entry for entry in compare(runs, "plain", "accuracy")}
    assert list(verdicts) == ["better", "same", "worse"]
    assert [entry.verdict for entry in verdicts.values()] == ["better", "no difference shown", "worse"]
    tests = [paired_t(accuracies(runs[name]), accuracies(runs["plain"])) for name in verdicts]
    for entry, test, adjusted in zip(verdicts.values(), tests, holm([test.p for test in tests]), strict=True):
        assert (entry.method, entry.n_pairs, entry.baseline) == ("paired t", 5, "plain")
        assert (entry.gain, entry.low, entry.high) == pytest.approx((test.gain, test.low, test.high))
        assert (entry.p, entry.p_adjusted) == pytest.approx((test.p, adjusted))
        assert entry.smallest_detectable > 0


def test_a_test_over_runs_is_told_with_the_interval_over_pictures(seeds, one):
    runs = {"plain": seeds(0.7, base=1), "better": seeds(0.8, base=2)}
    (verdict,) = compare(runs, "plain", "accuracy")
    found = compare_over_pictures(runs["better"], runs["plain"], "accuracy")
    assert (verdict.pictures.low, verdict.pictures.high) == pytest.approx((found.low, found.high))
    assert verdict.pictures.low < verdict.gain < verdict.pictures.high
    (turned,) = compare(runs, "plain", "log_loss")
    assert turned.pictures.low < turned.gain < turned.pictures.high
    (single,) = compare({"plain": [runs["plain"][0]], "better": [runs["better"][0]]}, "plain", "accuracy")
    assert single.pictures is None  # its own interval is over pictures


def test_what_runs_have_shown_may_vanish_on_other_pictures(one):
    # Every seed wins ten of the 400 pictures and loses eight: sure over seeds, and of no weight over pictures.
    at = np.arange(400)
    plain = [one(at < 280, seed) for seed in range(5)]
    better = [one((at >= 8) & (at < 290 + seed % 2), seed) for seed in range(5)]
    (verdict,) = compare({"plain": plain, "better": better}, "plain", "accuracy")
    assert (verdict.verdict, verdict.may_vanish) == ("better", True)
    best = [one(at < 380 + seed % 2, seed) for seed in range(5)]
    (clear,) = compare({"plain": plain, "best": best}, "plain", "accuracy")
    assert (clear.verdict, clear.may_vanish) == ("better", False)


def test_a_metric_where_less_is_better_is_turned_round(seeds):
    runs = {"plain": seeds(0.7, base=1), "better": seeds(0.85, base=2)}
    (verdict,) = compare(runs, "plain", "log_loss")
    assert verdict.verdict == "better"
    assert 0 < verdict.low < verdict.gain < verdict.high
    assert runs["better"][0].record.test["log_loss"] < runs["plain"][0].record.test["log_loss"]


def test_only_runs_that_share_a_seed_are_paired(seeds):
    runs = {"plain": seeds(0.7, base=1), "it": seeds(0.8, base=2)[2:], "other": []}
    (verdict,) = compare(runs, "plain", "accuracy")
    assert verdict.n_pairs == 3


def test_over_folds_the_corrected_t_decides(folds):
    runs = {"plain": folds(0.7, base=1), "it": folds(0.8, base=2)}
    (verdict,) = compare(runs, "plain", "accuracy")
    test = corrected_resampled_t(accuracies(runs["it"]), accuracies(runs["plain"]), n_train=320, n_test=80)
    assert (verdict.method, verdict.n_pairs) == ("corrected resampled t", 5)
    assert (verdict.p, verdict.low) == pytest.approx((test.p, test.low))
    seeds_of_folds = {"plain": folds(0.7, seeds=3, base=1), "it": folds(0.8, seeds=3, base=2)}
    (verdict,) = compare(seeds_of_folds, "plain", "accuracy")
    means = [np.reshape(accuracies(seeds_of_folds[name]), (5, 3)).mean(axis=1) for name in ("it", "plain")]
    assert verdict.n_pairs == 15
    assert verdict.p == pytest.approx(corrected_resampled_t(*means, n_train=320, n_test=80).p)


def test_one_pair_is_decided_over_the_pictures(one):
    index = np.arange(400)
    runs = {"plain": [one(index < 280)], "better": [one(index < 320)], "close": [one(index < 281)]}
    better, close = compare(runs, "plain", "accuracy")
    assert (better.method, better.n_pairs, better.verdict) == ("exact McNemar", 1, "better")
    assert better.p == mcnemar_exact(index < 320, index < 280)
    assert better.gain == pytest.approx(0.1)
    assert better.low < better.gain < better.high
    assert (close.verdict, close.p) == ("no difference shown", 1.0)
    assert 0 < close.smallest_detectable < 0.02


@pytest.mark.parametrize("lost", range(0, 16, 3))
@pytest.mark.parametrize("won", range(0, 25, 4))
def test_the_interval_of_one_pair_leaves_zero_out_only_where_the_exact_test_does(one, won, lost):
    index = np.arange(100)
    ids = np.array([f"picture {i}" for i in range(100)])
    runs = {
        "plain": [one(index < 60 + lost, ids=ids)],
        "it": [one((index < 60) | (index >= 100 - won), ids=ids)],
    }
    (verdict,) = compare(runs, "plain", "accuracy")
    assert verdict.gain == pytest.approx((won - lost) / 100)
    assert verdict.low <= verdict.gain <= verdict.high
    assert verdict.leaves_zero_out == (verdict.p <= 0.05) == (verdict.verdict != "no difference shown")


def test_a_gain_over_two_runs_lies_within_what_the_metric_allows(one):
    index = np.arange(400)
    runs = {
        "plain": [one(index < 200, seed=seed) for seed in range(2)],
        "it": [one(index < 240 + 120 * seed, seed=seed) for seed in range(2)],
    }
    (verdict,) = compare(runs, "plain", "accuracy")
    unbounded = paired_t([0.6, 0.9], [0.5, 0.5])
    assert unbounded.high > 1
    assert (verdict.high, verdict.low) == (1.0, -1.0)
    assert verdict.p == pytest.approx(unbounded.p)


@pytest.mark.parametrize("metric", ["log_loss", "f1_macro", "ece"])
def test_one_pair_in_another_metric_is_decided_by_the_paired_bootstrap(one, metric):
    index = np.arange(400)
    runs = {"plain": [one(index < 240)], "it": [one(index < 290)]}
    (verdict,) = compare(runs, "plain", metric)
    assert verdict.method == "paired bootstrap"
    assert verdict.verdict == "better"
    assert verdict.low < verdict.gain < verdict.high or metric == "ece"
    assert verdict.smallest_detectable > 0


def test_runs_that_do_not_vary_are_decided_over_the_pictures(one):
    index = np.arange(400)
    runs = {
        "plain": [one(index < 300, seed=seed) for seed in range(3)],
        "it": [one(index < 302, seed=seed) for seed in range(3)],
        "same": [one(index < 300, seed=seed) for seed in range(3)],
    }
    it, same = compare(runs, "plain", "accuracy")
    assert (it.method, it.n_pairs, it.verdict) == ("paired bootstrap", 3, "no difference shown")
    assert it.gain == pytest.approx(0.005)
    assert (same.method, same.gain, same.p, same.verdict) == ("paired t", 0.0, 1.0, "no difference shown")


def test_paired_runs_must_have_answered_the_same_pictures(one):
    ids = np.array([f"picture {i}" for i in range(400)])
    runs = {"plain": [one(np.arange(200) < 150, ids=ids[:200])], "it": [one(np.arange(200) < 180, ids=ids[200:])]}
    with pytest.raises(DataError, match="same split"):
        compare(runs, "plain", "accuracy")


def test_the_order_of_the_pictures_does_not_matter_to_mcnemar(one):
    ids = np.array([f"picture {i}" for i in range(400)])
    index, order = np.arange(400), np.random.default_rng(0).permutation(400)
    straight = {"plain": [one(index < 300)], "it": [one(index % 9 > 0)]}
    mixed = {"plain": straight["plain"], "it": [one((index % 9 > 0)[order], ids=ids[order])]}
    assert compare(straight, "plain", "accuracy")[0].p == compare(mixed, "plain", "accuracy")[0].p < 0.05


def test_seeds_added_while_looking_pay_for_the_looks(seeds):
    runs = {"plain": seeds(0.7, base=1), "it": seeds(0.73, base=2, spread=0.02)}
    (plain,) = compare(runs, "plain", "accuracy")
    (looked,) = compare(runs, "plain", "accuracy", auto=AutoSeeds(first=3, most=10))
    assert looked.method == "sequential paired t"
    assert looked.gain == plain.gain
    assert looked.p > plain.p
    assert looked.high - looked.low > plain.high - plain.low
    assert looked.smallest_detectable > plain.smallest_detectable
    early = {name: entries[:2] for name, entries in runs.items()}
    (before,) = compare(early, "plain", "accuracy", auto=AutoSeeds(first=3, most=10))
    assert (before.p, before.low, before.verdict) == (None, None, "no difference shown")
