"""Evidence by simulation: what it promises holds in 20,000 simulated studies.

Each study is drawn anew; the seeds are fixed, so that these tests give the same numbers everywhere. Shapes: S studies.
"""

from dataclasses import replace

import numpy as np
import pytest

from etude.core.words import Part
from etude.evaluate.pictures import interval_over_pictures
from etude.evaluate.predictions import Predictions
from etude.metrics.statistics import (
    AutoSeeds,
    Redrawing,
    bootstrap_interval,
    dependence_of,
    dependent_weights,
    mcnemar_p_values,
    paired_bootstrap,
    percentile_interval,
    resample,
    resampled_means,
    resampling_weights,
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


def cross_validated_differences(rng, n_pictures, n_folds, studies, n_features=4, shift=0.5, n_repeats=1):
    """Differences of accuracy (S, repeats × folds) of two nearest-mean classifiers, each on features of its own.

    The features are equally telling, so that in truth neither is better; training parts really overlap. The first repeat
    deals the pictures in turn, each further one anew.
    """
    label = np.tile([-1.0, 1.0], n_pictures // 2)
    places = np.arange(n_pictures) // 2
    folds = [order[places] % n_folds for order in
             (np.arange(n_pictures // 2), *(rng.permutation(n_pictures // 2) for _ in range(n_repeats - 1)))]  # fmt: skip
    accuracies = []
    for _ in range(2):
        features = rng.normal(size=(studies, n_pictures, n_features)) + shift * label[:, None]
        signed = features * label[:, None]
        total, kept = signed.sum(axis=1), features.sum(axis=1)
        by_fold = []
        for test in (fold == k for fold in folds for k in range(n_folds)):
            half_gap = (total - signed[:, test].sum(axis=1)) / (~test).sum()
            middle = (kept - features[:, test].sum(axis=1)) / (~test).sum()
            side = ((features[:, test] - middle[:, None]) * half_gap[:, None]).sum(axis=-1)
            by_fold.append((side * label[test] > 0).mean(axis=1))
        accuracies.append(np.stack(by_fold, axis=1))
    return accuracies[0] - accuracies[1]


@pytest.mark.parametrize(("n_pictures", "n_folds", "n_repeats"), [(100, 5, 1), (200, 10, 1), (100, 5, 2)])
def test_corrected_t_over_folds_errs_less_than_7_percent(n_pictures, n_folds, n_repeats):
    rng = np.random.default_rng(n_folds)
    batches = [
        cross_validated_differences(rng, n_pictures, n_folds, 2_000, n_repeats=n_repeats)
        for _ in range(STUDIES // 2_000)
    ]
    differences = np.concatenate(batches)
    assert differences.shape == (STUDIES, n_folds * n_repeats)
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


def exact_coverage(n_pictures, wrong_A):
    """Coverage of the bootstrap of infinitely many replicates, at accuracies that expect so many wrong answers (A,)."""
    binom = pytest.importorskip("scipy.stats").binom
    right = np.arange(1, n_pictures)
    low, high = (binom.ppf(tail, n_pictures, right / n_pictures) for tail in (0.025, 0.975))
    covered_A = []
    for accuracy in 1 - wrong_A / n_pictures:
        inside = right[(low <= n_pictures * accuracy + 1e-9) & (high >= n_pictures * accuracy - 1e-9)]
        assert (np.diff(inside) == 1).all()
        ends = binom.cdf([inside[0] - 1, inside[-1]], n_pictures, accuracy)
        covered_A.append(ends[1] - ends[0])
    return np.array(covered_A)


@pytest.mark.parametrize("n_pictures", [500, 1000, 5000])
@pytest.mark.parametrize(("least", "below", "low", "high"), [(50, 100, 94, 96), (100, 250, 94, 96), (10, 50, 92, 97)])
def test_picture_bootstrap_of_accuracy_covers_where_its_docstring_says(n_pictures, least, below, low, high):
    covered = 100 * exact_coverage(n_pictures, np.arange(least, below, 0.25))
    assert low <= round(covered.min()) <= round(covered.max()) <= high


def test_the_exact_bootstrap_is_the_one_that_studies_use():
    binom = pytest.importorskip("scipy.stats").binom
    for right in (250, 450, 490, 497):
        interval = bootstrap_interval(np.repeat([1.0, 0.0], [right, 500 - right]))
        expected = binom.ppf([0.025, 0.975], 500, right / 500) / 500
        assert (interval.low, interval.high) == pytest.approx(tuple(expected), abs=1.01 / 500)


@pytest.mark.slow
def test_picture_bootstrap_of_the_mean_of_five_runs_covers():
    # Pictures are of different difficulty, shared by the runs: values 0, 0.2, …, 1.
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(STUDIES):
        values = rng.binomial(5, rng.beta(4, 1, 500)) / 5
        interval = percentile_interval(resampled_means(values, 1_000, seed=0))
        covered += interval.low <= 0.8 <= interval.high
    assert 0.94 <= covered / STUDIES <= 0.96


RECALLS, SHARES = np.array([0.9, 0.7, 0.5]), np.array([0.6, 0.3, 0.1])


def balanced_accuracies(counts_RC):
    """Balanced accuracy (R,) of counts whose first half are right answers by class, the second wrong ones."""
    right_RK, wrong_RK = np.split(counts_RC, 2, axis=1)
    return (right_RK / (right_RK + wrong_RK)).mean(axis=1)


@pytest.mark.slow
def test_picture_bootstrap_of_balanced_accuracy_covers():
    rng = np.random.default_rng(1)
    pictures_SK = rng.multinomial(500, SHARES, STUDIES)
    right_SK = rng.binomial(pictures_SK, RECALLS)
    covered = 0
    for study, counts in enumerate(np.concatenate([right_SK, pictures_SK - right_SK], axis=1)):
        interval = percentile_interval(resample(counts, balanced_accuracies, 500, seed=study))
        covered += interval.low <= RECALLS.mean() <= interval.high
    assert 0.94 <= covered / STUDIES <= 0.96


def test_the_simulated_balanced_accuracy_is_the_one_that_studies_use():
    rng, n = np.random.default_rng(1), 500
    truth = rng.choice(3, n, p=SHARES)
    is_right = rng.random(n) < RECALLS[truth]
    predicted = np.where(is_right, truth, (truth + 1) % 3)
    ids = np.array([str(i) for i in range(n)])
    answers = Predictions(ids, Part.TEST, truth, np.eye(3)[predicted])
    ours = interval_over_pictures([OneRun(answers)], "balanced_accuracy")
    counts = np.concatenate([np.bincount(truth[chosen], minlength=3) for chosen in (is_right, ~is_right)])
    simulated = percentile_interval(resample(counts, balanced_accuracies))
    assert (ours.low, ours.high) == pytest.approx((simulated.low, simulated.high), abs=0.1 * (ours.high - ours.low))


class OneRun:
    """A run of which only the answers matter."""

    groups = None

    def __init__(self, answers):
        self.answers = answers

    def open_test(self):
        return self.answers


@pytest.mark.parametrize("n_pictures", [500, pytest.param(1000, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("only_a", "only_b"), [(0.06, 0.06), (0.12, 0.06), (0.2, 0.05)])
def test_paired_bootstrap_of_a_gain_covers(n_pictures, only_a, only_b):
    drawn = np.random.default_rng(3).multinomial(n_pictures, [only_a, only_b, 1 - only_a - only_b], STUDIES)
    studies, times = np.unique(drawn, axis=0, return_counts=True)
    covered = 0
    for seed, (counts, repeated) in enumerate(zip(studies, times, strict=True)):  # equal studies have equal intervals
        difference = np.repeat([1.0, -1.0, 0.0], counts)
        found = paired_bootstrap(difference, np.zeros(n_pictures), replicates=2_000, seed=seed)
        covered += repeated * (found.low - 1e-9 <= only_a - only_b <= found.high + 1e-9)
    assert 0.94 <= covered / STUDIES <= 0.96


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


def autocorrelated(rng, studies, n_groups, n_frames, correlation):
    """Values (studies, groups × frames) with mean 0 whose neighbours in a group correlate so."""
    noise = rng.normal(size=(n_frames, studies, n_groups))
    values = noise.copy()
    for frame in range(1, n_frames):
        values[frame] = correlation * values[frame - 1] + (1 - correlation**2) ** 0.5 * noise[frame]
    return values.transpose(1, 2, 0).reshape(studies, -1)


def coverages(values, groups):
    """Share of the studies whose interval over pictures holds the mean: as they depend, and as if they did not."""
    found = dependence_of(groups)
    tails = (found.expand_tail(0.025), 0.025)
    drawn = (dependent_weights(groups, 3_000, seed=0), resampling_weights(len(groups), 3_000, seed=0))
    for tail, weights in zip(tails, drawn, strict=True):
        weights_RN = np.concatenate(list(weights))
        means = values @ (weights_RN / weights_RN.sum(1, keepdims=True)).T
        low, high = np.quantile(means, [tail, 1 - tail], axis=1)
        yield float(np.mean((low <= 0) & (high >= 0)))


@pytest.mark.parametrize(
    ("n_groups", "n_frames", "correlation", "least", "most"),
    [
        (8, 6, 0.9, 0.93, 0.96),
        (10, 20, 0.9, 0.93, 0.96),
        (30, 10, 0.9, 0.93, 0.97),
        (1, 101, 0.0, 0.95, 0.98),
        (1, 101, 0.8, 0.90, 0.94),
        (1, 101, 0.9, 0.83, 0.87),
        (1, 1000, 0.9, 0.91, 0.95),
    ],
)
def test_the_interval_over_pictures_of_sequences_covers_as_the_documents_say(
    n_groups, n_frames, correlation, least, most
):
    values = autocorrelated(np.random.default_rng(5), 2_000, n_groups, n_frames, correlation)
    ours, independent = coverages(values, np.repeat(np.arange(n_groups), n_frames))
    assert least <= ours <= most
    assert correlation == 0 or independent < 0.65


@pytest.mark.parametrize("n_groups", [2, 3, 5, 7])
def test_the_interval_of_few_groups_covers_though_groups_differ(n_groups):
    """Groups differ as much as their pictures do; blocks, which know only of the groups that are there, cover less."""
    studies, n_frames = 1_000, 30
    groups = np.repeat(np.arange(n_groups), n_frames)
    rng = np.random.default_rng(7)
    values = np.repeat(rng.normal(size=(studies, n_groups)), n_frames, axis=1) + rng.normal(size=(studies, len(groups)))
    drawn = Redrawing(len(groups), "bootstrap", groups).draw(
        lambda weights_RN: weights_RN @ values.T / weights_RN.sum(1, keepdims=True)
    )
    both = [
        replace(drawn, bootstrapped_R=drawn.bootstrapped_R[:, s], without_G=drawn.without_G[:, s])
        for s in range(studies)
    ]
    means = values.mean(1)
    covered, by_blocks = (
        np.mean([one.low <= 0 <= one.high for one in found])
        for found in (
            [one.interval(mean) for one, mean in zip(both, means, strict=True)],
            [replace(one, without_G=None).interval(mean) for one, mean in zip(both, means, strict=True)],
        )
    )
    assert 0.935 <= covered <= 0.985
    assert 0.6 < by_blocks < 0.8
    wrong = np.mean([one.p(mean) <= 0.05 for one, mean in zip(both, means, strict=True)])
    assert wrong <= 0.065
