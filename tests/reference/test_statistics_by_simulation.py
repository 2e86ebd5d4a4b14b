"""Evidence by simulation: what it promises holds in 20,000 simulated studies.

Each study is drawn anew; the seeds are fixed, so that these tests give the same numbers everywhere. Shapes: S studies.
"""

import numpy as np
import pytest

from etude.core.words import Part
from etude.evaluate.pictures import interval_over_pictures
from etude.evaluate.predictions import Predictions
from etude.metrics.statistics import (
    AutoSeeds,
    bootstrap_interval,
    mcnemar_p_values,
    paired_bootstrap,
    percentile_interval,
    resampled_means,
    sequential_t,
    smallest_detectable,
    t_intervals,
    t_p_values,
)
from etude.metrics.statistics.sequential import adjust_for_looks, level_at

STUDIES = 20_000


def rejected(p_S):
    return float(np.mean(p_S <= 0.05))


@pytest.mark.parametrize("n", [2, 3, 5, 10, 20])
def test_paired_t_over_seeds_errs_as_often_as_it_says(n):
    rng = np.random.default_rng(n)
    shared = rng.normal(0.8, 0.03, (STUDIES, n))
    a, b = (shared + rng.normal(0, 0.01, (STUDIES, n)) for _ in range(2))
    assert 0.045 <= rejected(t_p_values(a - b)) <= 0.055


@pytest.mark.parametrize("n", [2, 3, 5, 10, 20])
def test_t_intervals_cover_as_often_as_they_say(n):
    scores = np.random.default_rng(10 + n).normal(0.8, 0.02, (STUDIES, n))
    low, high = t_intervals(scores)
    assert 0.945 <= np.mean((low <= 0.8) & (high >= 0.8)) <= 0.955


def test_paired_t_shows_the_smallest_detectable_gain_8_times_out_of_10():
    gain = smallest_detectable(0.01, 5)
    differences = np.random.default_rng(0).normal(gain, 0.01, (STUDIES, 5))
    assert rejected(t_p_values(differences)) == pytest.approx(0.8, abs=0.01)


@pytest.mark.parametrize("n_pictures", [100, 1000, 10_000])
@pytest.mark.parametrize("disagreement", [0.02, 0.1, 0.3])
def test_exact_mcnemar_never_errs_more_often_than_it_says(n_pictures, disagreement):
    rng = np.random.default_rng(n_pictures)
    differing = rng.binomial(n_pictures, disagreement, STUDIES)
    only_a = rng.binomial(differing, 0.5)
    assert rejected(mcnemar_p_values(only_a, differing - only_a)) <= 0.053


def cross_validated_differences(rng, n_pictures, n_folds, studies, n_features=4, shift=0.5):
    """Differences of accuracy (S, folds) of two nearest-mean classifiers, each on features of its own.

    The features are equally telling, so that in truth neither is better; training parts really overlap.
    """
    label = np.tile([-1.0, 1.0], n_pictures // 2)
    accuracies = []
    for _ in range(2):
        features = rng.normal(size=(studies, n_pictures, n_features)) + shift * label[:, None]
        fold = np.arange(n_pictures) // 2 % n_folds
        signed = features * label[:, None]
        total, kept = signed.sum(axis=1), features.sum(axis=1)
        by_fold = []
        for k in range(n_folds):
            test = fold == k
            half_gap = (total - signed[:, test].sum(axis=1)) / (~test).sum()
            middle = (kept - features[:, test].sum(axis=1)) / (~test).sum()
            side = ((features[:, test] - middle[:, None]) * half_gap[:, None]).sum(axis=-1)
            by_fold.append((side * label[test] > 0).mean(axis=1))
        accuracies.append(np.stack(by_fold, axis=1))
    return accuracies[0] - accuracies[1]


@pytest.mark.parametrize(("n_pictures", "n_folds"), [(100, 5), (200, 10)])
def test_corrected_t_over_folds_errs_less_than_7_percent(n_pictures, n_folds):
    rng = np.random.default_rng(n_folds)
    batches = [cross_validated_differences(rng, n_pictures, n_folds, 2_000) for _ in range(STUDIES // 2_000)]
    differences = np.concatenate(batches)
    p = t_p_values(differences, test_to_train=1 / (n_folds - 1))
    assert rejected(np.nan_to_num(p, nan=1.0)) <= 0.07


def test_corrected_t_errs_as_often_as_it_says_where_folds_correlate_as_its_model_has_it():
    # Nadeau & Bengio: correlation n_test / (n_test + n_train) between any two splits.
    rng, n_splits, ratio = np.random.default_rng(0), 10, 1 / 4
    correlation = ratio / (1 + ratio)
    common, own = rng.normal(size=(STUDIES, 1)), rng.normal(size=(STUDIES, n_splits))
    differences = np.sqrt(correlation) * common + np.sqrt(1 - correlation) * own
    assert 0.045 <= rejected(t_p_values(differences, test_to_train=ratio)) <= 0.055
    assert rejected(t_p_values(differences)) > 0.15  # what is corrected for


@pytest.mark.parametrize("n_pictures", [500, 1000, pytest.param(4000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("accuracy", [0.5, 0.7, 0.9, 0.95])
def test_picture_bootstrap_of_accuracy_covers(n_pictures, accuracy):
    right_S = np.random.default_rng(n_pictures).binomial(n_pictures, accuracy, STUDIES)
    counts, times = np.unique(right_S, return_counts=True)
    covered = 0
    for count, repeated in zip(counts, times, strict=True):  # equal studies have equal intervals
        interval = bootstrap_interval(np.repeat([1.0, 0.0], [count, n_pictures - count]), seed=int(count))
        covered += repeated * (interval.low <= accuracy <= interval.high)
    assert 0.94 <= covered / STUDIES <= 0.96


@pytest.mark.slow
def test_picture_bootstrap_of_the_mean_of_five_runs_covers():
    # Pictures are of different difficulty, shared by the runs: values 0, 0.2, …, 1.
    rng, studies = np.random.default_rng(0), 5_000
    difficulty = rng.beta(4, 1, (studies, 500))
    values = rng.binomial(5, difficulty) / 5
    covered = 0
    for row in values:
        interval = percentile_interval(resampled_means(row, 1_000, seed=0))
        covered += interval.low <= 0.8 <= interval.high
    assert 0.94 <= covered / studies <= 0.96


@pytest.mark.slow
def test_picture_bootstrap_of_balanced_accuracy_covers(monkeypatch):
    monkeypatch.setattr("etude.evaluate.pictures.REPLICATES", 500)
    rng, n, studies = np.random.default_rng(1), 500, 2_000
    recalls, shares = np.array([0.9, 0.7, 0.5]), np.array([0.6, 0.3, 0.1])
    ids = np.array([str(i) for i in range(n)])
    covered = 0
    for study in range(studies):
        truth = rng.choice(3, n, p=shares)
        predicted = np.where(rng.random(n) < recalls[truth], truth, (truth + 1) % 3)
        answers = Predictions(ids, Part.TEST, truth, np.eye(3)[predicted])
        interval = interval_over_pictures([OneRun(answers)], "balanced_accuracy", seed=study)
        covered += interval.low <= recalls.mean() <= interval.high
    assert 0.94 <= covered / studies <= 0.96


class OneRun:
    """A run of which only the answers matter."""

    def __init__(self, answers):
        self.answers = answers

    def open_test(self):
        return self.answers


@pytest.mark.slow
def test_paired_bootstrap_errs_about_as_often_as_it_says():
    rng, n = np.random.default_rng(2), 1000
    only_a, only_b = rng.multinomial(n, [0.06, 0.06, 0.88], STUDIES)[:, :2].T
    pairs, times = np.unique(np.stack([only_a, only_b]), axis=1, return_counts=True)
    chosen = rng.choice(pairs.shape[1], 1_500, p=times / STUDIES)
    p = []
    for position in chosen:
        a, b = pairs[:, position]
        difference = np.repeat([1.0, -1.0, 0.0], [a, b, n - a - b])
        p.append(paired_bootstrap(difference, np.zeros(n), replicates=2_000, seed=int(position)).p)
    assert rejected(np.array(p)) <= 0.065


def looked_at(differences, first, most, half_width=None):
    """Follow `seeds: auto` in all studies at once: p-value at the stop, gain's interval there, and seeds used."""
    studies = len(differences)
    open_S = np.ones(studies, dtype=bool)
    p_S, low_S, high_S, seeds_S = (np.full(studies, np.nan) for _ in range(4))
    for n in range(first, most + 1):
        so_far = differences[open_S, :n]
        p = adjust_for_looks(t_p_values(so_far), n, first, most)
        low, high = t_intervals(so_far, 1 - level_at(n, first, most))
        stop = (p <= 0.05) | (n == most)
        if half_width is not None:
            stop |= (high - low) / 2 <= half_width
        at = np.flatnonzero(open_S)[stop]
        p_S[at], low_S[at], high_S[at], seeds_S[at] = p[stop], low[stop], high[stop], n
        open_S[at] = False
    return p_S, low_S, high_S, seeds_S


@pytest.mark.parametrize(("first", "most"), [(2, 10), (3, 10), (3, 20), pytest.param(5, 30, marks=pytest.mark.slow)])
@pytest.mark.parametrize("half_width", [None, 1.0])
def test_auto_seeds_keeps_its_error_and_its_coverage(first, most, half_width):
    noise = np.random.default_rng(first * most).normal(size=(STUDIES, most))
    p, low, high, seeds = looked_at(noise, first, most, half_width)
    assert rejected(p) <= 0.055
    assert np.mean((low <= 0) & (high >= 0)) >= 0.945
    if half_width:  # it does stop early, at different numbers of seeds
        assert seeds.mean() < 0.9 * most
    gained = 0.8 + noise
    p, low, high, seeds = looked_at(gained, first, most, half_width)
    assert np.mean((low <= 0.8) & (high >= 0.8)) >= 0.945
    assert rejected(p) > 0.3
    assert seeds.mean() < most


def test_looking_without_the_rule_errs_far_more_often():
    noise = np.random.default_rng(0).normal(size=(STUDIES, 20))
    ever = np.zeros(STUDIES, dtype=bool)
    for n in range(3, 21):
        ever |= t_p_values(noise[:, :n]) <= 0.05
    assert ever.mean() > 0.15


def test_seeds_added_after_one_look_err_in_about_8_studies_of_100():
    noise = np.random.default_rng(8).normal(size=(STUDIES, 10))
    ever = (t_p_values(noise[:, :5]) <= 0.05) | (t_p_values(noise) <= 0.05)
    assert 0.075 <= ever.mean() <= 0.09  # what docs/studies.md says of `protocol.seeds=10` on five


def test_the_simulated_rule_is_the_one_that_studies_follow():
    rule, rng = AutoSeeds(first=3, most=8, half_width=1.0), np.random.default_rng(5)
    differences = rng.normal(0.5, 1, (40, 8))
    p, low, high, seeds = looked_at(differences, 3, 8, 1.0)
    for study, row in enumerate(differences):
        n = next(n for n in range(3, 9) if rule.look({"it": (row[:n], np.zeros(n))}).stop)
        test = sequential_t(row[:n], np.zeros(n), 3, 8)
        assert n == seeds[study]
        assert (test.p, test.low, test.high) == pytest.approx((p[study], low[study], high[study]))


def test_auto_seeds_with_several_comparisons_errs_at_most_as_often_as_it_says():
    # Four candidates against one baseline: the comparisons are dependent, and stop together.
    rng, first, most = np.random.default_rng(6), 3, 10
    baseline = rng.normal(size=(STUDIES, 1, most))
    differences = rng.normal(size=(STUDIES, 4, most)) - baseline
    wrong = np.zeros(STUDIES, dtype=bool)
    for n in range(first, most + 1):  # wrong at any look: no way of stopping can do worse
        p = adjust_for_looks(t_p_values(differences[..., :n]), n, first, most)
        wrong |= p.min(axis=1) * 4 <= 0.05
    assert wrong.mean() <= 0.055
