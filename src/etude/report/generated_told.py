"""What reports say of generators in sentences: how near they come, whether they copy, and what that means.

It reads what was found of a candidate's runs, and takes the means over them.
"""

from __future__ import annotations

import functools
import re
import statistics
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from etude.core.class_names import rename_classes
from etude.core.generation_record import GENERATION_FILE, GenerationRecord, NearPhotographs
from etude.core.interval import Interval
from etude.core.study_record import LeaderboardRow, Ratio, Verdict
from etude.metrics.copied import chance_over
from etude.metrics.generation import CLOSEST_COPIES, GENERATION_METRICS, NEAR_COPIES, covered_by_fresh
from etude.report.messages import mark
from etude.report.reading import StudyResults
from etude.report.words import METRIC_NAMES, Words

TRIVIAL_WORDS = {
    "training": mark("the training pictures themselves"),
    "blurred": mark("training pictures, blurred"),
    "noise": mark("noise"),
}
_BY_NUMBER = ("fid", "coverage")
"""Measures that compare between equal numbers of real pictures alone."""
_ROUNDING = 1e-9
"""Folds that lie near to the same photographs leave their mean share but one value, whatever is shuffled."""
_AT_THE_END = re.compile(r"at its end they differ by ([\d.]+) %")
"""Of the note that a training leaves which went on after a collapse."""


@dataclass(frozen=True)
class Measured:
    """A candidate as it was measured, its runs taken together."""

    candidate: str
    values: dict[str, float]
    """Mean over the runs of each measure against held-out pictures."""
    intervals: dict[str, Interval]
    """95 % interval over the held-out pictures of all runs, of the measures that have one."""
    photographs: Mapping[str, Interval]
    """Between what ends its shares of near and of closest copies would lie if it gave fresh photographs."""
    records: tuple[GenerationRecord, ...]
    """What was found of each run; one or more."""

    def mean(self, name: str) -> float:
        """Return the mean over the runs of a number of their records."""
        return statistics.fmean(getattr(record, name) for record in self.records)

    @functools.cached_property
    def trained(self) -> tuple[float, Interval] | None:
        """Whose photographs its near pictures lie near: the share of training ones, and what chance would give.

        Mean over the runs that have such pictures, and what shuffles dealt for all of them at once give of that mean.
        None where no run has any, and in records of earlier versions.
        """
        found = [
            (record.near_trained, record.near_trained_chance, record.near_to)
            for record in self.records
            if record.near_trained is not None and record.near_trained_chance is not None
        ]
        if not found:
            return None
        share = statistics.fmean(share for share, _, _ in found)
        named = [near for _, _, near in found if near is not None]
        if len(found) > 1 and len(named) == len(found):
            return share, _chance_over(*(near.model_dump_json() for near in named))
        # Of one run as it was dealt then. Without names, as in format 6, the means of the ends: too wide for a mean.
        ends = [statistics.fmean(getattr(chance, end) for _, chance, _ in found) for end in ("low", "high")]
        return share, Interval(low=ends[0], high=ends[1])

    def near_photographs(self) -> int | None:
        """Return how many different photographs its near pictures lie nearest to, over all runs; none if unknown."""
        named = [record.near_to for record in self.records]
        if all(named):
            return len({item for near in named if near is not None for item in near.counts})
        return self.records[0].near_photographs if len(self.records) == 1 else None

    def outright(self) -> float:
        """Return the share of its pictures that are training photographs outright, mean over the runs.

        As many as are held-out ones outright are taken off: so plain are photographs that nobody copied. 0 in records
        of earlier versions, which do not tell it.
        """
        shares = [(record.outright_trained, record.outright_held_out) for record in self.records]
        return statistics.fmean((trained or 0.0) - (held_out or 0.0) for trained, held_out in shares)

    def trivial(self) -> dict[str, dict[str, float]]:
        """Return what trivial generators get, by generator and measure, mean over the runs."""
        found = [(one.name, one.scores) for record in self.records for one in record.trivial]
        return {
            name: _mean_each([scores for other, scores in found if other == name])
            for name in dict.fromkeys(name for name, _ in found)
        }

    def trivial_intervals(self, name: str) -> dict[str, Interval]:
        """Return the intervals of a trivial generator by measure, their ends the means over the runs.

        Pictures differ from fold to fold, so the interval of the mean is narrower: these are on the safe side.
        """
        return _mean_ends([one.intervals for record in self.records for one in record.trivial if one.name == name])

    def trivial_count(self, name: str) -> float | None:
        """Return how many pictures of a trivial generator were measured, mean over the runs; none if unknown."""
        counts = [one.n for record in self.records for one in record.trivial if one.name == name and one.n is not None]
        return statistics.fmean(counts) if counts else None

    def against_training(self) -> dict[str, float]:
        """Return the measures against the training pictures, means over the runs; what hangs on their number is not."""
        return _mean_each(
            [
                {one.name: one.against_training for one in record.measures if one.against_training is not None}
                for record in self.records
            ],
            without=_BY_NUMBER,
        )

    def intervals_against_training(self) -> dict[str, Interval]:
        """Return their intervals over the training pictures, of the ends the means over the runs."""
        return _mean_ends(
            [
                {one.name: one.interval_training for one in record.measures if one.interval_training is not None}
                for record in self.records
            ]
        )

    def classes(self) -> dict[str, dict[str, float]]:
        """Return the measures by class, mean over the runs that have it; nothing where classes were not asked for."""
        names = dict.fromkeys(name for record in self.records for name in record.classes)
        return {
            name: _mean_each([record.classes[name] for record in self.records if name in record.classes])
            for name in names
        }

    def class_intervals(self, name: str) -> dict[str, Interval]:
        """Return the intervals of a class by measure, over held-out pictures of it, of the ends the means."""
        return _mean_ends([record.class_intervals.get(name, {}) for record in self.records if name in record.classes])


def read_measured(study: StudyResults, row: LeaderboardRow) -> Measured | None:
    """Read what was found of a candidate's runs; none where nothing was kept."""
    paths = [study.folder / "runs" / run.identity / GENERATION_FILE for run in study.runs_of(row.candidate)]
    read = (GenerationRecord.load(path) for path in paths if path.is_file())
    records = tuple(rename_classes(record, study.called) for record in read)
    if not records:
        return None
    metric, ranked = study.record.metric, {} if row.score is None else {study.record.metric: row.score}
    values = _mean_each([{one.name: one.value for one in record.measures} for record in records])
    of_one = {one.name: one.interval for one in records[0].measures} if row.n_runs == 1 else {}
    of_one[metric] = row.interval_pictures
    intervals = {name: interval for name, interval in of_one.items() if interval is not None}
    return Measured(
        row.candidate, values | row.also | ranked, intervals, row.of_photographs, records
    )  # fmt: skip


@functools.lru_cache(maxsize=64)
def _chance_over(*runs: str) -> Interval:
    """Deal the photographs of some runs, given as JSON, once for all languages and formats."""
    return chance_over([NearPhotographs.model_validate_json(run) for run in runs])


def _mean_each(scores: Sequence[dict[str, float]], without: Collection[str] = ()) -> dict[str, float]:
    """Average by name over those that have it."""
    names = [name for name in dict.fromkeys(name for entry in scores for name in entry) if name not in without]
    return {name: statistics.fmean(entry[name] for entry in scores if name in entry) for name in names}


def _mean_ends(found: Sequence[dict[str, Interval]]) -> dict[str, Interval]:
    """Average the ends of intervals by measure, of those measures that all have."""
    shared = [metric for metric in found[0] if all(metric in entry for entry in found)] if found else []
    return {
        metric: Interval(
            low=statistics.fmean(entry[metric].low for entry in found),
            high=statistics.fmean(entry[metric].high for entry in found),
        )
        for metric in shared
    }


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
        yield from _tell_copies(of, words)
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


def _tell_copies(of: Measured, words: Words) -> Iterator[str]:
    """Say whether a generator copies: more of its pictures are near than fresh photographs, and near to what it saw.

    By their number alone blurred shapes look like copies, which lie near to any photograph.
    """
    near, closest = of.values["near_copies"], of.values.get("closest_copies")
    most, few = of.photographs.get(NEAR_COPIES), of.photographs.get(CLOSEST_COPIES)
    told = words.say(
        "{share} of its pictures lie as near to one training picture, beside the next ones, as 5% of photographs do",
        share=words.percent(near, 0),
    ) + (_beside(most, words) if most else "")
    yield words.say("{told}: fewer than photographs would.", told=told) if most and near < most.low else told + "."
    if closest is not None:
        told = words.say(
            "{share} lie nearer to one than every held-out photograph does", share=words.percent(closest)
        ) + (_beside(few, words) if few else "")
        yield told + "."
    if of.trained is not None:
        share, chance = of.trained
        yield words.say(
            "Of those that lie as near to any photograph, held-out ones included, {share} are nearest to a training "
            "one; by chance that would be {low} to {high} in 95 of 100 draws.",
            share=words.percent(share, 0),
            low=words.percent(chance.low, 0),
            high=words.percent(chance.high, 0),
        )
    if most is not None:
        is_some = few is not None and closest is not None and closest > few.high
        outright = of.outright() if few is not None and is_some and of.outright() > few.high else None
        yield from _tell_whether_it_copies(of, words, is_many=near > most.high, is_some=is_some, outright=outright)


def _tell_whether_it_copies(
    of: Measured, words: Words, *, is_many: bool, is_some: bool, outright: float | None
) -> Iterator[str]:
    """Say whether more pictures are near than photographs would be because they were copied.

    Near pictures are copies where they lie near training photographs more often than a shuffle would have it; where
    they lie on a handful of photographs, which are often all trained on, where they are nearer than photographs ever
    are to each other.

    Args:
        of: the candidate.
        words: of the language.
        is_many: whether more are near than photographs show.
        is_some: whether more are nearer than every held-out photograph.
        outright: share that are training photographs outright; none where it is no more than photographs show.
    """
    trained = of.trained
    is_nothing_near = trained is None and all(record.near_any is not None for record in of.records)
    if not (is_many or is_some) or is_nothing_near:
        yield words.say("That it copies was not shown.")
    elif trained is None or trained[0] > trained[1].high + _ROUNDING:
        yield words.say("It copies.") if is_many else words.say("It copies some.")
    elif outright is not None:
        yield words.say(
            "It copies some of its photographs: {share} of its pictures lie, beside the next ones, at most two thirds "
            "as far from one as any two photographs do from each other.",
            share=words.percent(outright, 0),
        )
    elif trained[1].high >= 1:
        yield _tell_too_few(of.near_photographs(), words)
    else:
        yield words.say(
            "Photographs that it never saw are as near to its pictures: it draws what many of them look like, and that "
            "it copies was not shown."
        )


def _tell_too_few(count: int | None, words: Words) -> str:
    """Say that near pictures lie on too few photographs for a shuffle to decide; on how many, where that is known."""
    if count is None:
        return words.say(
            "They lie nearest to so few photographs that chance may well have all of these learnt from: that they were "
            "copied was not shown."
        )
    return words.say_count(
        "All of them lie nearest to {n} photograph: chance may well have it learnt from, so that it was copied was not "
        "shown.",
        "All of them lie nearest to {n} photographs: chance may well have all of these learnt from, so that they were "
        "copied was not shown.",
        count,
    )


def _beside(photographs: Interval, words: Words) -> str:
    ends = words.percent(photographs.low, 0), words.percent(photographs.high, 0)
    return " " + words.say("(fresh photographs: {low} to {high} in 95 of 100 draws)", low=ends[0], high=ends[1])


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
