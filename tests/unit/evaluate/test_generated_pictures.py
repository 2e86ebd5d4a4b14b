"""What held-out pictures leave open of measures of generated ones: intervals about their value, and ratios."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
from sklearn.metrics.pairwise import polynomial_kernel

from etude.core.words import Part
from etude.evaluate.generated import GeneratedFeatures, rounded_to_half
from etude.evaluate.generation import measure_generated
from etude.evaluate.leaderboard import leaderboard_rows
from etude.evaluate.pictures import interval_of, interval_over_pictures, photographs_instead, ratio_over_pictures
from etude.evaluate.verdicts import compare, ratio_over_runs
from etude.metrics.generation import GENERATION_METRICS, FeatureSets, coverage, covered_by_fresh
from etude.metrics.statistics import Redrawing

WIDTH, FOLDS = 16, 3
PAIR = {"plain": 0.2, "better": 0.9}
MIXING = np.random.default_rng(5).normal(size=(4, WIDTH))


def photographs(count: int, rng: np.random.Generator) -> np.ndarray:
    return rng.normal(size=(count, 4)) @ MIXING + 0.3 * rng.normal(size=(count, WIDTH))


def answers(fold: int, real: np.ndarray, generated: np.ndarray) -> GeneratedFeatures:
    rng = np.random.default_rng(fold)
    near = rng.uniform(0.5, 1, len(generated)), rng.uniform(0.4, 1, len(real))
    ids = np.array([f"{fold} {number}" for number in range(len(real))])
    return GeneratedFeatures(ids, Part.TEST, FeatureSets(generated, real, real[:20] + 0.1, *near))


def runs(one, scale: float, shift: float, seed: int, count: int = 33):
    """One run a fold; the held-out pictures are the same for every candidate."""
    rng = np.random.default_rng(seed)
    found = []
    for fold in range(FOLDS):
        real = photographs(count, np.random.default_rng((9, fold)))
        made = answers(fold, real, scale * photographs(60, rng) + shift)
        found.append(replace(one(np.ones(count), fold=fold, ids=made.ids, recorded=False), test=made))
    return found


def naive_kid(generated: np.ndarray, real: np.ndarray, drawn: np.ndarray) -> float:
    """KID of pictures that are written out, pairs of a picture with itself left out."""
    of_real = polynomial_kernel(real[drawn], degree=3, coef0=1)[drawn[:, None] != drawn[None]].mean()
    within = polynomial_kernel(generated, degree=3, coef0=1)
    of_generated = within[~np.eye(len(generated), dtype=bool)].mean()
    return of_generated + of_real - 2 * polynomial_kernel(generated, real[drawn], degree=3, coef0=1).mean()


def test_a_ratio_is_that_of_the_means_with_the_pictures_of_all_folds_redrawn_for_both_sides(one):
    ours, theirs = runs(one, 0.8, 0.3, seed=1), runs(one, 0.6, 1.0, seed=2)
    found = ratio_over_pictures(ours, theirs, "kid")

    rng, ratios, whole = np.random.default_rng(7), [], np.arange(33)
    sides = [[(run.test.sets.generated_MD, run.test.sets.real_ND) for run in side] for side in (ours, theirs)]
    means = [np.mean([naive_kid(*sets, whole) for sets in side]) for side in sides]
    assert found.value == pytest.approx(means[0] / means[1], rel=1e-9)
    for _ in range(400):
        at = rng.integers(0, 99, 99)  # all folds are one pool, of which each sees its own
        drawn = [at[at // 33 == fold] % 33 for fold in range(FOLDS)]
        both = [np.mean([naive_kid(*sets, own) for sets, own in zip(side, drawn, strict=True)]) for side in sides]
        ratios.append(both[0] / both[1])
    low, high = np.quantile(ratios, (0.025, 0.975))
    assert found.interval.low == pytest.approx(low, abs=0.15 * (high - low))
    assert found.interval.high == pytest.approx(high, abs=0.15 * (high - low))


def test_no_ratio_to_what_is_not_shown_to_lie_above_zero(one):
    ours, nothing = runs(one, 0.6, 1.0, seed=1), runs(one, 1.0, 0.0, seed=2)
    interval = interval_over_pictures(nothing, "kid")
    assert interval.low < 0 < interval.high
    assert ratio_over_pictures(ours, nothing, "kid") is None
    assert ratio_over_pictures(nothing, ours, "kid").interval.low < 0
    far = runs(one, 1.0, 100.0, seed=3)  # no generated picture near any photograph
    assert ratio_over_pictures(ours, far, "density") is None
    assert ratio_over_pictures(ours, far, "near_copies") is None


def test_a_ratio_over_folds_is_that_of_the_corrected_t_of_its_logarithms(one):
    ours, theirs = runs(one, 0.8, 0.3, seed=1), runs(one, 0.6, 1.0, seed=2)
    logs = [math.log(a.score("kid") / b.score("kid")) for a, b in zip(ours, theirs, strict=True)]
    shared = 33 / ours[0].record.n_train
    half = 4.302653 * np.std(logs, ddof=1) * math.sqrt(1 / 3 + shared)  # the t of two degrees of freedom
    found = ratio_over_runs(ours, theirs, "kid")
    assert (found.low, found.high) == pytest.approx(
        (math.exp(np.mean(logs) - half), math.exp(np.mean(logs) + half)), rel=1e-5
    )
    assert ratio_over_runs(ours[:1], theirs[:1], "kid") is None
    assert ratio_over_runs(runs(one, 1.0, 0.0, seed=2), theirs, "kid") is None  # a KID below 0 has no logarithm


def test_seeds_of_a_fold_are_averaged_before_folds_are_compared(one):
    ours, theirs = runs(one, 0.8, 0.3, seed=1), runs(one, 0.6, 1.0, seed=2)
    assert ratio_over_runs([*ours, *ours], [*theirs, *theirs], "kid") == ratio_over_runs(ours, theirs, "kid")


def test_a_draw_without_a_divisor_counts_as_a_ratio_beyond_all():
    redrawn = Redrawing(4).draw(lambda weights_RN: weights_RN.mean(1))
    values, divisors = np.ones(2000), np.ones(2000)
    divisors[:60] = 0.0
    ours, theirs = replace(redrawn, bootstrapped_R=values), replace(redrawn, bootstrapped_R=divisors)
    assert ours.over(theirs).interval(1.0).high == math.inf
    divisors[40:60] = 1.0  # fewer than a fortieth: the end lies below them
    assert ours.over(theirs).interval(1.0).high == 1.0


def test_intervals_of_ratios_cover_what_other_photographs_give(one):
    """Three folds of 33 photographs, the trainings as they are: of 100 draws of photographs about 95 are to be met."""
    found, values = [], []
    rng = np.random.default_rng(4)
    generated = {name: [scale * photographs(60, rng) + 1.0 for _ in range(FOLDS)] for name, scale in PAIR.items()}
    for draw in range(100):
        sides = []
        for name in PAIR:
            made = [
                answers(fold, photographs(33, np.random.default_rng((draw, fold))), generated[name][fold])
                for fold in range(FOLDS)
            ]
            sides.append(
                [
                    replace(one(np.ones(33), fold=at, ids=each.ids, recorded=False), test=each)
                    for at, each in enumerate(made)
                ]
            )
        ratio = ratio_over_pictures(*reversed(sides), "kid")
        found.append(ratio.interval)
        values.append(ratio.value)
    mean = np.mean(values)
    covered = np.mean([each.low <= mean <= each.high for each in found])
    assert covered >= 0.88, covered


@pytest.mark.parametrize("metric", ["kid", "fid", "density", "coverage", "diversity"])
def test_intervals_contain_their_value_for_a_run_and_over_folds(one, metric):
    found = runs(one, 0.4, 1.8, seed=4)
    single = interval_of([found[0].test], metric)
    assert single.low < found[0].test.score(metric) < single.high
    (row,) = leaderboard_rows({"it": found}, metric)
    assert row.interval_pictures.low < row.score < row.interval_pictures.high
    both = ratio_over_pictures(found, runs(one, 0.5, 1.0, seed=5), metric)
    assert both.interval.low < both.value < both.interval.high


@pytest.mark.parametrize(("metric", "least"), [("kid", 0.85), ("fid", 0.9), ("density", 0.9), ("coverage", 0.85)])
def test_intervals_of_33_photographs_cover_what_so_many_give_on_average(metric, least):
    rng = np.random.default_rng(3)
    generated = 0.5 * photographs(25, rng) + 1.5
    found, values = [], []
    for _ in range(120):
        made = answers(0, photographs(33, rng), generated)
        found.append(interval_of([made], metric))
        values.append(made.score(metric))
    mean = np.mean(values)
    covered = np.mean([one is not None and one.low <= mean <= one.high for one in found])
    assert covered >= least, covered


def test_fresh_photographs_cover_as_many_as_chance_has_it_however_many_are_given():
    """Of a thousand generated pictures to 33 photographs nearly any generator covered all."""
    rng = np.random.default_rng(9)
    expected = covered_by_fresh(33)
    for count in (33, 400):
        found = [coverage(photographs(count, rng), photographs(33, rng)) for _ in range(60)]
        assert np.mean(found) == pytest.approx(expected, abs=0.012), count


def test_the_bootstrap_would_not_contain_the_fid_of_wide_features_and_the_jackknife_does():
    """Pictures that are drawn twice make what is compared with narrower."""
    from etude.metrics.statistics import percentile_interval, resampling_weights

    rng = np.random.default_rng(6)
    made = answers(0, rng.normal(size=(33, 200)), rng.normal(size=(60, 200)))
    (weights,) = resampling_weights(33, 200)
    drawn = percentile_interval(made.under_weights("fid", weights))
    assert drawn.low > made.score("fid") < interval_of([made], "fid").high < drawn.low


def test_what_has_no_honest_interval_has_none():
    rng = np.random.default_rng(8)
    made = answers(0, photographs(33, rng), photographs(60, rng) + 100)
    measures = {measure.name: measure for measure in measure_generated(made)}
    assert set(measures) == set(GENERATION_METRICS)
    assert measures["near_copies"].interval is None
    assert measures["coverage"].value == 0
    assert measures["coverage"].interval is None  # nothing is seen of what it might have been


def test_photographs_of_one_shoot_are_left_out_together_for_a_run_its_record_and_a_ratio(one):
    """Eleven shoots of three photographs that are nearly one: every interval is wider, and all of a run agree."""
    rng = np.random.default_rng(11)
    real = np.repeat(photographs(11, rng), 3, axis=0) + 0.01 * rng.normal(size=(33, WIDTH))
    made = answers(0, real, 0.5 * photographs(60, rng) + 1.2)
    other = answers(0, real, 0.8 * photographs(60, rng) + 2.0)
    groups = {item: f"shoot {number // 3}" for number, item in enumerate(made.ids.tolist())}
    ours, theirs = (
        replace(one(np.ones(33), ids=made.ids, recorded=False, candidate=name), test=test, groups=groups)
        for name, test in (("ours", made), ("theirs", other))
    )
    measures = {measure.name: measure for measure in measure_generated(made, groups)}
    for metric in ("kid", "fid", "density"):
        alone, together = interval_of([made], metric), interval_over_pictures([ours], metric)
        if metric != "density":  # whose neighbourhoods hang on the very triples
            assert together.high - together.low > 1.2 * (alone.high - alone.low), metric
        assert measures[metric].interval == together
    apart = ratio_over_pictures([replace(ours, groups=None)], [replace(theirs, groups=None)], "kid").interval
    joined = ratio_over_pictures([ours], [theirs], "kid").interval
    assert joined.high - joined.low > 1.2 * (apart.high - apart.low)
    (row,) = leaderboard_rows({"ours": [ours]}, "kid", ("near_copies",))
    assert row.of_photographs == {}  # photographs of one shoot have no ranks of their own
    (row,) = leaderboard_rows({"ours": [replace(ours, groups=None)]}, "kid", ("near_copies",))
    assert set(row.of_photographs) == {"near_copies"}


def test_one_pair_of_generators_is_compared_as_its_measure_allows(one):
    found = {name: runs(one, scale, 1.0, seed=number)[:1] for number, (name, scale) in enumerate(PAIR.items())}
    (verdict,) = compare(found, "plain", "fid")
    assert verdict.method == "paired jackknife"
    assert verdict.low < verdict.gain < verdict.high
    (verdict,) = compare(found, "plain", "kid")
    assert verdict.method == "paired bootstrap"
    (verdict,) = compare(found, "plain", "near_copies")
    assert (verdict.low, verdict.p, verdict.verdict) == (None, None, "no difference shown")


def test_an_interval_ends_where_its_metric_does(one):
    """33 photographs of which one is not covered: the jackknife alone would go beyond a share of 1."""
    rng = np.random.default_rng(1)
    real = photographs(33, rng)
    made = answers(0, real, np.concatenate([real[:32] + 0.01, real[:1] + 0.02]))
    assert 0.9 < made.score("coverage") <= 1
    if (interval := interval_of([made], "coverage")) is not None:
        assert interval.high == 1.0
    half = answers(0, real, np.repeat(real[:2], 30, axis=0) + 0.01 * rng.normal(size=(60, WIDTH)))
    found = interval_of([half], "coverage")
    assert found is None or found.low >= 0.0


def dealt(one, parts: dict[int, range]) -> list:
    """A run a fold, whose test part is given by the numbers of its photographs."""
    rng, found = np.random.default_rng(2), []
    for fold, numbers in parts.items():
        made = answers(fold, photographs(len(numbers), rng), photographs(60, rng))
        made = replace(made, ids=np.array([f"photograph {number}" for number in numbers]))
        found.append(replace(one(np.ones(len(numbers)), fold=fold, ids=made.ids, recorded=False), test=made))
    return found


@pytest.mark.parametrize("metric", ["near_copies", "closest_copies"])
def test_a_second_deal_of_the_same_photographs_tells_no_more_of_them(one, metric):
    """Each deal was counted as photographs of its own: the interval of 10 deals was that of 10 times as many."""
    parts = [range(0, 33), range(33, 66), range(66, 99)]
    single = photographs_instead(dealt(one, dict(enumerate(parts))), metric)
    twice = photographs_instead(dealt(one, dict(enumerate([*parts, *parts]))), metric)
    assert twice.low <= single.low < single.high <= twice.high
    otherwise = [range(place, 99, 3) for place in range(3)]  # dealt anew: parts overlap in part
    anew = photographs_instead(dealt(one, dict(enumerate([*parts, *otherwise]))), metric)
    assert (anew.low, anew.high) == pytest.approx((single.low, single.high))
    one_part = photographs_instead(dealt(one, {0: parts[0]}), metric)
    halted = photographs_instead(dealt(one, dict(enumerate([*parts, otherwise[0]]))), metric)
    assert single.high < halted.high < one_part.high, "a deal that has only begun tells less"


@pytest.mark.parametrize(("scale", "kept"), [(1.0, "halffloat"), (1e6, "float")])
def test_features_that_are_rounded_to_half_are_kept_so_and_score_the_same(tmp_path, scale, kept):
    rng = np.random.default_rng(0)
    given = [rounded_to_half((scale * photographs(count, rng)).astype(np.float32)) for count in (30, 20)]
    made = answers(0, given[1], given[0])
    made = replace(made, sets=replace(made.sets, training_TD=given[0][:10]))
    made.write(tmp_path / "it.parquet")
    assert str(pq.read_schema(tmp_path / "it.parquet").field("features").type.value_type) == kept
    read = GeneratedFeatures.read(tmp_path / "it.parquet", Part.TEST)
    for name in ("generated_MD", "real_ND", "training_TD"):
        np.testing.assert_array_equal(getattr(read.sets, name), getattr(made.sets, name))
    assert read.score("kid") == made.score("kid")
    exact = photographs(30, np.random.default_rng(0)).astype(np.float32)
    np.testing.assert_allclose(given[0] / scale, exact, rtol=2**-10, atol=1e-6)
