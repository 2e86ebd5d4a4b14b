"""Evidence at its edges: one run, no spread, no number, order, seeds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etude.core.errors import DataError, MistakeError
from etude.metrics.statistics import (
    AutoSeeds,
    bootstrap_interval,
    corrected_resampled_t,
    holm,
    mcnemar_exact,
    mcnemar_interval,
    paired_bootstrap,
    paired_t,
    percentile_interval,
    resampled_means,
    resampling_weights,
    sequential_t,
    smallest_detectable,
    t_interval,
    verdict,
)
from etude.metrics.statistics.sequential import adjust_for_looks, level_at

A, B = [0.81, 0.83, 0.86, 0.82], [0.80, 0.80, 0.82, 0.81]


def test_one_run_has_no_interval_and_no_p_value():
    assert t_interval([0.8]) is None
    test = paired_t([0.8], [0.7])
    assert test.gain == pytest.approx(0.1)
    assert (test.low, test.high, test.p, test.sd) == (None, None, None, None)


def test_runs_that_all_give_the_same_show_no_difference():
    test = paired_t(A, A)
    assert (test.gain, test.low, test.high, test.p) == (0.0, 0.0, 0.0, 1.0)
    assert verdict(test.gain, test.p) == "no difference shown"


def test_identical_differences_have_a_gain_and_no_p_value():
    # In floating point these differences are not quite identical; that is rounding, not spread.
    test = paired_t([0.1 + 0.2, 0.6, 0.9], [0.2, 0.5, 0.8])
    assert test.gain == pytest.approx(0.1)
    assert (test.low, test.p) == (None, None)
    assert verdict(test.gain, test.p) == "no difference shown"


def test_a_gain_changes_sign_with_the_order():
    one, other = paired_t(A, B), paired_t(B, A)
    assert one.gain == -other.gain
    assert one.p == other.p
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low))


def test_pairing_takes_out_what_the_seeds_share():
    shared = np.array([0.0, 0.1, 0.2, 0.3])
    assert paired_t(A + shared, B + shared).p == pytest.approx(paired_t(A, B).p)


def test_folds_are_less_sure_than_seeds():
    seeds, folds = paired_t(A, B), corrected_resampled_t(A, B, n_train=800, n_test=200)
    assert folds.gain == seeds.gain
    assert folds.p > seeds.p
    assert folds.high - folds.low == pytest.approx((seeds.high - seeds.low) * np.sqrt(1 + 4 / 4))


@pytest.mark.parametrize("bad", [[0.8, np.nan], [np.inf, 0.8], []])
def test_scores_that_are_no_numbers_are_refused_in_a_sentence(bad):
    for call in (
        lambda: t_interval(bad),
        lambda: paired_t(bad, [0.5] * len(bad)),
        lambda: sequential_t(bad, [0.5] * len(bad), 2, 5),
        lambda: bootstrap_interval(bad),
        lambda: paired_bootstrap(bad, [0.5] * len(bad)),
    ):
        with pytest.raises(DataError, match="must be"):
            call()


def test_what_is_not_paired_is_refused():
    for call in (
        lambda: paired_t([1, 2], [1]),
        lambda: sequential_t([1, 2], [1], 2, 5),
        lambda: paired_bootstrap([1, 2], [1]),
        lambda: mcnemar_exact([True, False], [True]),
        lambda: corrected_resampled_t([1, 2], [1, 3], n_train=0, n_test=5),
    ):
        with pytest.raises(DataError):
            call()


def test_bootstrap_is_the_same_for_the_same_seed_and_any_order():
    right = np.repeat([1.0, 0.0], [820, 180])
    shuffled = np.random.default_rng(0).permutation(right)
    assert bootstrap_interval(right) == bootstrap_interval(shuffled)
    assert bootstrap_interval(right, seed=1) != bootstrap_interval(np.random.default_rng(0).random(1000), seed=1)
    values = np.random.default_rng(0).random(300)
    assert bootstrap_interval(values, seed=3) == bootstrap_interval(values, seed=3)
    assert bootstrap_interval(values, seed=3) != bootstrap_interval(values, seed=4)


def test_counting_and_drawing_give_the_same_spread():
    # The same distribution by both ways: few distinct values are counted, many are drawn.
    few = np.repeat([0.0, 1.0], [300, 700])
    many = few + np.arange(1000) * 1e-9
    assert resampled_means(few).std() == pytest.approx(np.sqrt(0.21 / 1000), rel=0.03)
    assert resampled_means(many).std() == pytest.approx(np.sqrt(0.21 / 1000), rel=0.03)
    assert resampled_means(many).mean() == pytest.approx(0.7, abs=5e-4)


def test_weights_draw_as_many_pictures_as_there_are():
    weights = np.concatenate(list(resampling_weights(500, 3000, seed=0)))
    assert weights.shape == (3000, 500)
    assert (weights.sum(axis=1) == 500).all()
    assert weights.var(axis=0).mean() == pytest.approx(1 - 1 / 500, rel=0.01)


def test_pictures_that_are_all_right_give_an_interval_without_width():
    assert tuple(bootstrap_interval([1.0] * 50).plain().values()) == (1.0, 1.0)
    same = paired_bootstrap([1.0, 0.0] * 50, [1.0, 0.0] * 50)
    assert (same.gain, same.low, same.high, same.p) == (0.0, 0.0, 0.0, 1.0)


def test_replicates_without_a_score_are_left_out():
    interval = percentile_interval(np.array([0.2, np.nan, 0.4]))
    assert (interval.low, interval.high) == (0.2, 0.4)
    with pytest.raises(DataError, match="no picture"):
        percentile_interval(np.array([np.nan]))


def test_the_interval_of_mcnemar_is_that_of_the_exact_binomial_and_turns_round_with_the_models():
    from scipy.stats import binomtest

    a, b = np.arange(50) < 30, (np.arange(50) < 18) | (np.arange(50) >= 46)
    found, other = mcnemar_interval(a, b), mcnemar_interval(b, a)
    expected = binomtest(12, 16).proportion_ci(method="exact")
    assert (found.low, found.high) == pytest.approx([(2 * end - 1) * 16 / 50 for end in (expected.low, expected.high)])
    assert (other.low, other.high) == pytest.approx((-found.high, -found.low))
    same = mcnemar_interval(a, a)
    assert same.low == same.high == 0


def test_mcnemar_counts_only_where_the_models_differ():
    a, b = np.array([True] * 9 + [False]), np.array([False] * 9 + [True])
    padded = np.ones(1000, dtype=bool)
    assert mcnemar_exact(a, b) == mcnemar_exact(np.append(a, padded), np.append(b, padded)) == pytest.approx(22 / 1024)
    assert mcnemar_exact(a, a) == 1.0


def test_holm_leaves_out_what_was_not_tested_and_never_falls():
    assert holm([]) == []
    assert holm([None, None]) == [None, None]
    assert holm([0.04, None, 0.03]) == [0.06, None, 0.06]
    with pytest.raises(DataError):
        holm([0.5, 1.5])


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_keeps_order_and_lies_between_the_p_value_and_bonferroni(p_values):
    adjusted = holm(p_values)
    for p, q in zip(p_values, adjusted, strict=True):
        assert p <= q <= min(1.0, len(p_values) * p)
    order = np.argsort(p_values, kind="stable")
    assert (np.diff(np.array(adjusted)[order]) >= 0).all()


def test_smallest_detectable_shrinks_with_runs_and_grows_with_caution():
    by_runs = [smallest_detectable(0.01, n) for n in (2, 3, 5, 10, 100)]
    assert by_runs == sorted(by_runs, reverse=True)
    assert smallest_detectable(0.01, 5, alpha=0.01) > smallest_detectable(0.01, 5)
    assert smallest_detectable(0.01, 5, test_to_train=0.25) == pytest.approx(1.5 * smallest_detectable(0.01, 5))
    assert smallest_detectable(0.01, 1) is None
    assert smallest_detectable(0.0, 5) is None


def test_looking_costs_something_and_the_interval_agrees_with_the_p_value():
    plain, looked = paired_t(A, B), sequential_t(A, B, first=3, most=10)
    assert looked.gain == plain.gain
    assert looked.p > plain.p
    assert (looked.low > 0) == (looked.p <= 0.05)
    assert looked.high - looked.low > plain.high - plain.low


def test_one_look_costs_nothing():
    assert sequential_t(A, B, first=4, most=4).p == pytest.approx(paired_t(A, B).p, rel=0.05)
    assert level_at(8, 8, 8) == pytest.approx(0.05, abs=0.002)


def test_adjusted_p_values_are_a_fixed_scale():
    p = np.geomspace(1e-12, 1, 200)
    adjusted = adjust_for_looks(p, 6, 3, 20)
    assert (np.diff(adjusted) >= 0).all()
    assert (adjusted >= p).all()
    assert adjusted[-1] == 1.0
    assert adjust_for_looks(level_at(6, 3, 20), 6, 3, 20) == pytest.approx(0.05, abs=1e-4)
    # Far out, where no simulated study went, the sum over the looks bounds it.
    assert adjust_for_looks(1e-12, 6, 3, 20) == pytest.approx(1e-12 / 6 * sum(range(3, 21)))


@pytest.mark.parametrize(("first", "most"), [(1, 5), (6, 5)])
def test_a_plan_that_is_none_is_refused(first, most):
    with pytest.raises(MistakeError, match="first"):
        AutoSeeds(first=first, most=most)


def test_more_seeds_than_planned_are_refused():
    with pytest.raises(MistakeError, match="at most 3"):
        sequential_t(A, B, first=2, most=3)


def test_auto_seeds_go_on_until_told_apart_or_out_of_seeds():
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.01, 12)
    rule = AutoSeeds(first=3, most=12)
    clear = {n: rule.look({"clear": (0.5 + noise[:n], np.full(n, 0.4))}) for n in range(2, 13)}
    assert not clear[2].stop
    stopped = min(n for n, look in clear.items() if look.stop)
    assert 3 <= stopped < 12
    assert clear[stopped].reason == "told apart or narrow enough"
    assert clear[stopped].tests["clear"].low > 0
    centred = noise - noise.mean()
    assert rule.look({"none": (centred, np.zeros(12))}).reason == "no seed left"


def test_auto_seeds_stop_when_the_interval_is_narrow():
    noise = np.array([0.001, -0.001, 0.0005, -0.0004, 0.0002, -0.0006])
    pairs = {"same": (0.5 + noise, np.full(6, 0.5))}
    assert AutoSeeds(first=3, most=12, half_width=0.01).look(pairs).stop
    assert not AutoSeeds(first=3, most=12, half_width=1e-5).look(pairs).stop


def test_auto_seeds_wait_for_the_last_comparison():
    rng = np.random.default_rng(1)
    clear, unclear = 0.1 + rng.normal(0, 0.001, 5), rng.normal(0, 0.01, 5)
    rule = AutoSeeds(first=3, most=12)
    assert rule.look({"clear": (clear, np.zeros(5))}).stop
    look = rule.look({"clear": (clear, np.zeros(5)), "unclear": (unclear, np.zeros(5))})
    assert not look.stop
    assert look.p_adjusted["clear"] == pytest.approx(2 * look.tests["clear"].p)


def test_auto_seeds_do_not_wait_for_a_spread_that_will_not_come():
    assert AutoSeeds().look({"exact": ([0.5] * 3, [0.4] * 3)}).stop
