"""Evidence against scipy and statsmodels."""

import numpy as np
import pytest

from etude.metrics.statistics import (
    bootstrap_interval,
    corrected_resampled_t,
    holm,
    mcnemar_exact,
    paired_bootstrap,
    paired_t,
    smallest_detectable,
    t_interval,
)

stats = pytest.importorskip("scipy.stats")


def pairs(n, seed):
    rng = np.random.default_rng(seed)
    base = rng.normal(0.8, 0.02, n)
    return base + rng.normal(0.005, 0.01, n), base


@pytest.mark.parametrize("n", [2, 3, 5, 10, 50])
@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
def test_t(n, confidence):
    a, b = pairs(n, n)
    theirs = stats.ttest_rel(a, b)
    ours = paired_t(a, b, confidence)
    assert ours.p == pytest.approx(theirs.pvalue, rel=1e-10)
    assert (ours.low, ours.high) == pytest.approx(tuple(theirs.confidence_interval(confidence)), rel=1e-10)
    interval = t_interval(a, confidence)
    expected = stats.t.interval(confidence, n - 1, a.mean(), stats.sem(a))
    assert (interval.low, interval.high) == pytest.approx(expected, rel=1e-10)


def test_corrected_resampled_t_is_the_papers_formula():
    a, b = pairs(10, 1)
    d = a - b
    t = d.mean() / np.sqrt(d.var(ddof=1) * (1 / 10 + 100 / 900))
    assert corrected_resampled_t(a, b, n_train=900, n_test=100).p == pytest.approx(2 * stats.t.sf(abs(t), 9))


@pytest.mark.parametrize("seed", range(5))
def test_mcnemar(seed):
    contingency = pytest.importorskip("statsmodels.stats.contingency_tables")
    rng = np.random.default_rng(seed)
    a, b = rng.random(400) < 0.8, rng.random(400) < 0.75
    table = [[(a & b).sum(), (a & ~b).sum()], [(~a & b).sum(), (~a & ~b).sum()]]
    assert mcnemar_exact(a, b) == pytest.approx(contingency.mcnemar(table, exact=True).pvalue)


@pytest.mark.parametrize("seed", range(5))
def test_holm(seed):
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    p_values = np.random.default_rng(seed).random(8) ** 3
    np.testing.assert_allclose(holm(p_values.tolist()), multitest.multipletests(p_values, method="holm")[1])


@pytest.mark.parametrize("n", [2, 3, 5, 10, 30])
@pytest.mark.parametrize(("alpha", "power"), [(0.05, 0.8), (0.01, 0.9), (0.05 / 8, 0.8)])
def test_smallest_detectable(n, alpha, power):
    ours = smallest_detectable(2.0, n, alpha, power)
    critical = stats.t.isf(alpha / 2, n - 1)
    assert stats.nct.sf(critical, n - 1, ours / 2.0 * np.sqrt(n)) == pytest.approx(power, abs=1e-6)
    if n >= 5:  # with fewer, statsmodels gives NaN for the tail on the wrong side
        statsmodels = pytest.importorskip("statsmodels.stats.power")
        assert statsmodels.TTestPower().power(ours / 2.0, n, alpha) == pytest.approx(power, abs=2e-4)


@pytest.mark.parametrize("kind", ["right", "loss"])
def test_bootstrap_interval(kind):
    rng = np.random.default_rng(3)
    values = (rng.random(800) < 0.9).astype(float) if kind == "right" else rng.gamma(0.5, 1.0, 800)
    ours = bootstrap_interval(values)
    theirs = stats.bootstrap((values,), np.mean, n_resamples=10_000, method="percentile", rng=4).confidence_interval
    width = theirs.high - theirs.low
    assert ours.low == pytest.approx(theirs.low, abs=0.05 * width)
    assert ours.high == pytest.approx(theirs.high, abs=0.05 * width)


@pytest.mark.parametrize(("n", "kind"), [(12, "loss"), (60, "loss"), (60, "right")])
def test_paired_bootstrap(n, kind):
    rng = np.random.default_rng(n)
    a, b = rng.gamma(0.5, 1.0, (2, n)) if kind == "loss" else (rng.random((2, n)) < [[0.8], [0.6]]).astype(float)
    ours = paired_bootstrap(a, b)
    theirs = stats.bootstrap(
        (a, b), lambda a, b, axis: a.mean(axis) - b.mean(axis), vectorized=True, paired=True, n_resamples=20_000,
        method="percentile", rng=5,
    ).confidence_interval  # fmt: skip
    within = max(0.05 * (theirs.high - theirs.low), 1.01 / n if kind == "right" else 0)  # shares move in steps of 1 / n
    assert ours.gain == pytest.approx(a.mean() - b.mean())
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=within)
