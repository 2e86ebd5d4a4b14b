"""Frames of a sequence are not independent evidence: intervals and verdicts draw them together."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from etude.core.study_record import Resampling
from etude.core.words import Part
from etude.evaluate.mask_counts import MaskCounts
from etude.evaluate.pictures import compare_over_pictures, interval_of, interval_over_pictures, resampling_of
from etude.evaluate.verdicts import compare


def width(interval):
    return interval.high - interval.low


def frames(n_groups, n_frames, seed=0, bias=0.0):
    """Masks of sequences: what a picture scores is that of its sequence, a little moved."""
    rng = np.random.default_rng(seed)
    right = np.clip(0.6 + bias + np.repeat(rng.normal(0, 0.15, n_groups), n_frames), 0, 1)
    right = np.clip(right + rng.normal(0, 0.01, len(right)), 0.01, 0.99)
    hits = (right * 1000).astype(int)
    confusions = np.stack([np.stack([hits, 1000 - hits], 1), np.stack([1000 - hits, hits], 1)], 1)
    ids = np.array([f"{group}/{frame}" for group in range(n_groups) for frame in range(n_frames)])
    return MaskCounts(ids, Part.TEST, confusions), {item: item.split("/")[0] for item in ids.tolist()}


def mask_run(one, counts, groups, **more):
    run = one(np.ones(4), ids=np.array([f"picture {n}" for n in range(4)]), recorded=False, **more)
    return replace(run, test=counts, groups=groups)


@pytest.mark.parametrize("metric", ["miou", "pixel_accuracy"])
def test_whole_sequences_are_drawn_where_there_are_several(one, metric):
    counts, groups = frames(12, 10)
    alone = interval_over_pictures([mask_run(one, counts, None)], metric)
    together = interval_over_pictures([mask_run(one, counts, groups)], metric)
    assert width(together) > 2 * width(alone)
    assert resampling_of([mask_run(one, counts, groups)]) == Resampling(unit="groups", drawn=12, groups=12)


def test_blocks_are_drawn_of_one_clip_in_the_order_of_its_frames(one):
    counts, _ = frames(20, 5)
    ids = np.array([f"clip/{number}" for number in range(100)])  # frame 10 comes after frame 9, not after frame 1
    counts = replace(counts, ids=ids)
    groups = dict.fromkeys(ids.tolist(), "clip")
    found = interval_over_pictures([mask_run(one, counts, groups)], "miou")
    alone = interval_over_pictures([mask_run(one, counts, None)], "miou")
    assert width(found) > 1.7 * width(alone)
    assert resampling_of([mask_run(one, counts, groups)]) == Resampling(unit="blocks", drawn=5, groups=1, length=20)
    shuffled = np.random.default_rng(1).permutation(100)
    moved = replace(counts, ids=counts.ids[shuffled], confusions=counts.confusions[shuffled])
    assert width(interval_over_pictures([mask_run(one, moved, groups)], "miou")) == pytest.approx(width(found), rel=0.1)


def test_pictures_that_are_all_of_other_groups_have_the_numbers_that_they_had(one):
    right = np.arange(400) % 4 > 0
    run, other = one(right), one(np.roll(right, 3), candidate="other")
    groups = {f"picture {n}": f"patient {n}" for n in range(400)}
    grouped, other_grouped = (replace(entry, groups=groups) for entry in (run, other))
    for metric in ("accuracy", "f1_macro"):
        assert interval_over_pictures([grouped], metric) == interval_over_pictures([run], metric)
        both = compare_over_pictures([grouped], [other_grouped], metric)
        assert both == compare_over_pictures([run], [other], metric)
    assert resampling_of([grouped]) is None


def test_one_pair_on_frames_is_decided_by_sequences(one):
    a, groups = frames(10, 12)
    b, _ = frames(10, 12, seed=1)
    runs = {"a": [mask_run(one, a, None)], "b": [mask_run(one, b, None)]}
    alone = compare(runs, "a", "miou")[0]
    together = compare({name: [replace(run[0], groups=groups)] for name, run in runs.items()}, "a", "miou")[0]
    assert together.gain == alone.gain
    assert together.high - together.low > 2 * (alone.high - alone.low)
    assert together.p > alone.p
    assert together.smallest_detectable > 2 * alone.smallest_detectable


def test_the_exact_test_is_not_used_on_pictures_of_one_patient(one):
    rng = np.random.default_rng(0)
    by_patient = np.repeat(rng.random(20) < 0.7, 20)
    runs = {"a": [one(by_patient)], "b": [one(np.ones(400, bool), candidate="b")]}
    assert compare(runs, "a", "accuracy")[0].method == "exact McNemar"
    groups = {f"picture {n}": f"patient {n // 20}" for n in range(400)}
    grouped = {name: [replace(run[0], groups=groups)] for name, run in runs.items()}
    found = compare(grouped, "a", "accuracy")[0]
    assert found.method == "paired bootstrap"
    assert found.high - found.low > 2 * (compare(runs, "a", "accuracy")[0].high - found.gain)


def test_folds_of_groups_keep_what_a_draw_without_one_of_them_says(one):
    """Four folds of two sequences each: a third of the draws leave a fold without a picture, and those are told too."""
    counts, groups = frames(8, 10)
    whole = mask_run(one, counts, groups)
    folds = []
    for fold in range(4):
        own = slice(fold * 20, fold * 20 + 20)
        part = replace(counts, ids=counts.ids[own], confusions=counts.confusions[own])
        folds.append(mask_run(one, part, groups, fold=fold))
    of_whole = interval_over_pictures([whole], "pixel_accuracy")
    of_folds = interval_over_pictures(folds, "pixel_accuracy")
    assert of_folds.low == pytest.approx(of_whole.low, abs=0.02)
    assert of_folds.high == pytest.approx(of_whole.high, abs=0.02)
    other = [
        replace(run, test=replace(run.test, confusions=run.test.confusions[:, ::-1]), record=run.record)
        for run in folds
    ]
    assert compare_over_pictures(folds, other, "pixel_accuracy").p is not None


@pytest.mark.parametrize("n_groups", [2, 3, 5])
def test_of_few_sequences_the_interval_says_how_they_differ(one, n_groups):
    """Blocks of 40 frames that hardly differ would promise that a sequence that was not seen is as easy."""
    counts, groups = frames(n_groups, 40, seed=2)
    run = mask_run(one, counts, groups)
    interval = interval_over_pictures([run], "pixel_accuracy")
    scores = counts.of_pictures("pixel_accuracy").reshape(n_groups, 40).mean(1)
    error = scores.std(ddof=1) / n_groups**0.5
    assert width(interval) >= min(1 - interval.low, 2 * stats.t.ppf(0.975, n_groups - 1) * error) * 0.99
    assert 0 <= interval.low < interval.high <= 1
    found = resampling_of([run])
    assert (found.unit, found.drawn, found.groups) == ("groups", n_groups, n_groups)
    assert found.length is not None
    same = compare_over_pictures([run], [run], "pixel_accuracy")
    assert same.gain == 0
    assert same.p == 1


def test_a_score_that_exists_in_few_draws_has_no_interval(one):
    """The only sequence with both classes is missing in a third of the draws: what is left is of chosen ones."""
    ids = np.array([f"{group} {frame}" for group in range(8) for frame in range(5)])
    truth = np.zeros(40, np.int64)
    truth[:3] = 1
    answers = one(np.ones(40), ids=ids, recorded=False, n_classes=2).open_test()
    answers = replace(answers, truth=truth)
    groups = {item: item.split()[0] for item in ids.tolist()}
    assert interval_of([answers], "average_precision") is not None
    assert interval_of([answers], "average_precision", groups=groups) is None
    run = replace(one(np.ones(40), ids=ids, recorded=False, n_classes=2), test=answers, groups=groups)
    (verdict,) = compare({"a": [run], "b": [run]}, "a", "average_precision")
    assert verdict.low is None
    assert verdict.verdict == "no difference shown"
