"""What reports say of generators in sentences: how near they come to photographs, and what that means."""

from __future__ import annotations

import re
import statistics
from collections.abc import Callable, Iterator, Sequence

from etude.core.interval import Interval
from etude.core.study_record import Ratio, Verdict
from etude.metrics.generation import GENERATION_METRICS, covered_by_fresh
from etude.report.copies_told import tell_copies
from etude.report.generated_measured import Measured
from etude.report.messages import mark
from etude.report.reading import StudyResults
from etude.report.words import METRIC_NAMES, Words

TRIVIAL_WORDS = {
    "training": mark("the training pictures themselves"),
    "blurred": mark("training pictures, blurred"),
    "noise": mark("noise"),
}
_AT_THE_END = re.compile(r"at its end they differ by ([\d.]+) %")
"""Of the note that a training leaves which went on after a collapse."""


def tell_trivial(best: Measured, words: Words) -> Iterator[str]:
    """Say for people who do not know it what the KID is, and what everyone could do."""
    trivial = best.trivial()
    if "kid" in best.values and TRIVIAL_WORDS.keys() <= trivial.keys():
        yield words.say(
            "The KID is a distance from photographs that the generator has never seen; it is read beside what everyone "
            "could do. The training pictures themselves get {training}, blurred {blurred}, noise {noise}.",
            **{name: words.significant(trivial[name]["kid"]) for name in TRIVIAL_WORDS},
        )


def tell_plainly(of: Measured, words: Words) -> Iterator[str]:
    """Say what the measures of a candidate, over all its runs, come to, for people who do not know them."""
    say = words.say
    yield from _tell_collapses(of, words)
    if "kid" in of.values:
        told = words.significant(of.values["kid"])
        if (interval := of.intervals.get("kid")) is not None:
            told = _over_pictures(told, interval, words.significant, words)
        yield say("{candidate} gets a KID of {kid}.", candidate=of.candidate, kid=told)
        if interval is not None:
            yield from _tell_nearness(interval, of, words)
    if "coverage" in of.values:
        yield say(
            "Of the held-out photographs, {share} have one near them of as many generated pictures; of as many other "
            "photographs {fresh} would.",
            share=words.percent(of.values["coverage"], 0),
            fresh=words.percent(statistics.fmean(covered_by_fresh(record.n_real) for record in of.records), 0),
        )
    if "near_copies" in of.values:
        yield from tell_copies(of, words)
    yield say(
        "Half of its pictures lie nearer than {generated} to a training picture, half of the held-out photographs "
        "nearer than {real}.",
        generated=words.significant(of.mean("nearest_generated")),
        real=words.significant(of.mean("nearest_real")),
    )


def tell_beside(of: Measured, words: Words) -> str:
    """Say where a candidate stands beside blurred photographs and noise; empty where that is unknown."""
    interval = of.intervals.get("kid")
    told = " ".join(_tell_nearness(interval, of, words)) if interval is not None else ""
    return words.say("{name}: {told}", name=of.candidate, told=told) if told else ""


def _tell_collapses(of: Measured, words: Words) -> Iterator[str]:
    """Say in how many runs a generator collapsed, and where training went on, what came of it."""
    notes = [record.note for record in of.records if record.note]
    if not notes:
        return
    yield words.say_count(
        "{candidate} collapsed in {n} run of {runs}: for three looks in a row its samples hardly differed.",
        "{candidate} collapsed in {n} runs of {runs}: for three looks in a row its samples hardly differed.",
        len(notes),
        candidate=of.candidate,
        runs=words.count(len(of.records)),
    )
    ends = [float(found[1]) / 100 for note in notes if (found := _AT_THE_END.search(note))]
    if ends:
        yield words.say(
            "Training went on; at its end they differ by {shares} of what training pictures do.",
            shares=words.listing(words.percent(end, 0) for end in ends),
        )


def _tell_nearness(kid: Interval, of: Measured, words: Words) -> Iterator[str]:
    """Say where a generator stands beside blurred photographs and noise, as far as their intervals show it.

    Intervals that do not meet are more than a comparison needs: where they do meet, nothing is said to be shown.
    """
    beside = {name: of.trivial_intervals(name).get("kid") for name in ("blurred", "noise")}
    blurred, noise = beside["blurred"], beside["noise"]
    if blurred is None or noise is None:
        return
    if kid.high < blurred.low:
        yield words.say("Its pictures are nearer to photographs than blurred photographs are.")
    elif kid.low > noise.high:
        yield words.say("Its pictures are further from photographs than noise is.")
    elif kid.high >= noise.low:
        yield words.say("It was not shown that its pictures are nearer to photographs than noise is.")
    elif kid.low > blurred.high:
        yield words.say(
            "Its pictures are nearer to photographs than noise is, and further from them than blurred photographs are."
        )
    else:
        yield words.say(
            "Its pictures are nearer to photographs than noise is; it was not shown that they are nearer than blurred "
            "photographs are."
        )


def _over_pictures(value: str, interval: Interval, write: Callable[[float], str], words: Words) -> str:
    return words.say(
        "{value} (95% over pictures: {low} to {high})", value=value, low=write(interval.low), high=write(interval.high)
    )


def tell_training(found: Sequence[Measured], words: Words) -> str:
    """Say what the table against the training pictures holds and how it is read."""
    told = words.say(
        "Against the training pictures in the place of the held-out ones, mean of the runs; in brackets means of the "
        "ends of their 95% intervals. Any generator fits the pictures that it was trained on more closely than others: "
        "whether it copies them is told by near copies. FID and coverage are left out, as they hang on the number of "
        "pictures, which is another here. Nearness is that of the median picture to its nearest training picture; "
        "below the limit lie 5% of the held-out photographs."
    )
    near_by = {record.near_by for one in found for record in one.records}
    if near_by <= {"ratio", "pixels", "zooms"}:
        told += " " + words.say(
            "It is the distance to the nearest over the mean distance to the next nine: 0 for a copy, near 1 for a "
            "picture that is about as far from many."
        )
    if near_by == {"pixels"}:
        told += " " + words.say(
            "Distances are between the pictures themselves, made small; training pictures are tried mirrored and moved "
            "by up to an eighth of their side too."
        )
    if near_by == {"zooms"}:
        told += " " + words.say(
            "Distances are between the pictures themselves, made small; training pictures are tried mirrored, moved by "
            "up to an eighth of their side and enlarged by half too."
        )
    return told


def tell_ratios(study: StudyResults, words: Words) -> Iterator[str]:
    """Say how many times the baseline's score each candidate has, or that it cannot be said."""
    for verdict in study.record.verdicts:
        metric = words.say(METRIC_NAMES.get(verdict.metric, verdict.metric))
        names = {"metric": metric, "candidate": verdict.candidate, "baseline": verdict.baseline}
        if verdict.ratio is None:
            if GENERATION_METRICS[verdict.metric].resampling != "none":
                yield words.say(
                    "{metric}: no ratio of {candidate} to {baseline} is given, as over the held-out pictures the value "
                    "of {baseline} is not shown to lie above 0.",
                    **names,
                )
            continue
        ratio = verdict.ratio
        yield words.say(
            "{metric}: {candidate} has {ratio} times the value of {baseline} (95% over pictures, of these very "
            "trainings: {low} to {high}).",
            **names,
            ratio=words.number(ratio.value, 2),
            **_ends(ratio.interval, words),
        ) + "".join(f" {told}" for told in (_over_runs(study, verdict, words), _run_by_run(ratio, words)) if told)


def _over_runs(study: StudyResults, verdict: Verdict, words: Words) -> str:
    """Give the interval of a ratio over other splits or seeds; empty where there is none."""
    found = None if verdict.ratio is None else verdict.ratio.over_runs
    if found is None:
        return ""
    folds = {run.fold for run in study.runs_of(verdict.candidate)}
    if len(folds) > 1:
        return words.say(
            "Over splits, with other trainings and other pictures: {low} to {high}.", **_ends(found, words)
        )
    return words.say("Over seeds, with other trainings: {low} to {high}.", **_ends(found, words))


def _ends(interval: Interval, words: Words) -> dict[str, str]:
    return {"low": words.number(interval.low, 2), "high": words.number(interval.high, 2)}


def _run_by_run(ratio: Ratio, words: Words) -> str:
    """Give the ratio of each pair of runs, as the interval takes them as they are; empty with one pair."""
    if len(ratio.runs) < 2:
        return ""
    each = words.apart(words.number(one, 2) for one in ratio.runs)
    return words.say("Run by run: {ratios}.", ratios=each)
