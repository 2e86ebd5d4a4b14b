"""What a reader must know of how little is known: few runs, few test pictures, several comparisons."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from etude.core.run_record import RunRecord
from etude.core.study_record import StudyRecord, Verdict
from etude.evaluate.final import asks_several, final_row
from etude.evaluate.small_parts import FEW_PICTURES, least_seen
from etude.report.splits import tell_folds
from etude.report.training_told import size_of, tell_size
from etude.report.words import METRIC_NAMES, MetricWords, Words

_FOUND = 0.0005
"""An IoU below it is written as 0.0 %."""
_SAME_TIME = 0.05
"""Times that differ from what was given by no more than this share of it count as equal."""
_FEW_RUNS = 3
"""With fewer, an interval over runs is wider than what it is to tell apart: of two, 9 of their deviations each way."""


def list_board_notes(record: StudyRecord, words: Words) -> list[str]:
    """Return what is to be known to read a leaderboard."""
    notes = [
        tell_choice(record, words), tell_few_runs(record, words), tell_resampling(record, words),
        *_tell_same_runs(record, words),
    ]  # fmt: skip
    bounded = dict.fromkeys(name for row in record.leaderboard for name in row.of_photographs)
    if bounded:
        names = words.listing(words.say(METRIC_NAMES.get(name, name)) for name in bounded)
        notes.append(
            words.say(
                "In brackets after {metrics}: what fresh photographs would show in 95 of 100 draws.", metrics=names
            )
        )
    if any(row.latency_q1_ms is not None for row in record.leaderboard):
        notes.append(
            words.say("Latency is the median of the calls that were timed; their quartiles stand in brackets.")
        )
    return [note for note in notes if note]


def _tell_same_runs(record: StudyRecord, words: Words) -> list[str]:
    """Name candidates that are the very same runs, such as an ablation's variant that the study file names too."""
    by_runs: dict[tuple[str, ...], list[str]] = {}
    for row in record.leaderboard:
        identities = tuple(ref.identity for ref in record.runs if ref.candidate == row.candidate)
        by_runs.setdefault(identities, []).append(row.candidate)
    return [
        words.say("The runs of {names} are the same.", names=words.listing(names))
        for identities, names in by_runs.items()
        if identities and len(names) > 1
    ]


def tell_choice(record: StudyRecord, words: Words) -> str:
    """Say which candidate is handed over, where it is not the one that stands first; empty where it is.

    Whoever takes the first of the test part has chosen on it.
    """
    scored = [row for row in record.leaderboard if row.score is not None]
    final = final_row(record)
    if final is None or final.candidate == scored[0].candidate:
        return ""
    if final.validation_score is None:
        return words.say(
            "{first} stands first, but one file cannot give its answers: {candidate} is what is exported if nothing "
            "else is asked for.",
            first=scored[0].candidate,
            candidate=final.candidate,
        )
    sign = 1.0 if record.higher_is_better else -1.0
    if any(
        sign * (row.validation_score or 0.0) > sign * final.validation_score
        for row in scored
        if row.validation_score is not None
    ):
        return words.say(
            "The test part must not choose: of the candidates that one file can answer {candidate} comes first on "
            "validation, and it is what is exported if nothing else is asked for.",
            candidate=final.candidate,
        )
    return words.say(
        "The test part must not choose: on validation {candidate} comes first, and it is what is exported if nothing "
        "else is asked for.",
        candidate=final.candidate,
    )


def list_limits(
    record: StudyRecord, finished: Sequence[RunRecord], words: Words, metric: MetricWords
) -> list[str]:  # fmt: skip
    """Return what a study does not show: other seeds, other pictures, runs that are missing or were cut short."""
    seeds = {ref.seed for ref in record.runs}
    planned = record.n_planned
    missing = planned - len(finished)
    timed = sum(run.config.get("train", {}).get("budget") is not None for run in finished if run.steps)
    told = [
        _tell_draws(len(seeds), tell_folds(record, words), words),
        tell_small_test(record, words, metric),
        tell_few_groups(record, words),
        _tell_chosen_on_test(record, words),
        _tell_never_found(record, words),
        _tell_sizes(record, finished, words),
        words.say_count(
            "{n} of {planned} runs is finished: the rest of the plan is missing here.",
            "{n} of {planned} runs are finished: the rest of the plan is missing here.",
            len(finished),
            planned=words.count(planned),
        )
        if missing > 0
        else "",
        words.say_count(
            "{n} run was given a time, of which the speed of this machine made a number of steps: on a faster one it "
            "would have trained longer.",
            "{n} runs were given a time, of which the speed of this machine made numbers of steps: on a faster one they "  # noqa: E501
            "would have trained longer.",
            timed,
        )
        if timed
        else "",
        _tell_times_taken(record, finished, words),
    ]
    return [limit for limit in told if limit]


def _tell_chosen_on_test(record: StudyRecord, words: Words) -> str:
    """Say that the final candidate was chosen on the test part, where none was scored on validation."""
    scored = [row for row in record.leaderboard if row.score is not None]
    final = final_row(record)
    if final is None or len(scored) < 2 or any(row.validation_score is not None for row in scored):
        return ""
    return words.say(
        "Nothing was scored on validation: {candidate} is final because it comes first on the test part, so its score "
        "flatters it.",
        candidate=final.candidate,
    )


def _tell_times_taken(record: StudyRecord, finished: Sequence[RunRecord], words: Words) -> str:
    """Say what of the time that they were given candidates took, where it differs; empty where none was given one."""
    named, taken = record.names_without_variants, dict[str, list[float]]()
    for run in finished:
        budget = run.config.get("train", {}).get("budget")
        if budget and run.steps and run.candidate in named and not asks_several(run.config.get("combine") or {}):
            taken.setdefault(run.candidate, []).append(run.cost.seconds / budget)
    means = sorted((statistics.fmean(shares), name) for name, shares in taken.items())
    if len(means) < 2 or (means[0][0] > 1 - _SAME_TIME and means[-1][0] < 1 + _SAME_TIME):
        return ""
    (least, fast), (most, slow) = means[0], means[-1]
    places = {"fast": fast, "least": words.percent(least, 0), "slow": slow, "most": words.percent(most, 0)}
    if len(means) == 2:
        return words.say(
            "Of the time that it was given, {fast} took {least} and {slow} {most}: the number of steps was found on a "
            "few, and the machine was not always as fast.",
            **places,
        )
    return words.say(
        "Of the time that it was given, {fast} took {least} and {slow} {most}, the others what lies between: the "
        "number of steps was found on a few, and the machine was not always as fast.",
        **places,
    )


def _tell_never_found(record: StudyRecord, words: Words) -> str:
    """Name the classes that no candidate answers rightly anywhere on the test part; empty where there is none."""
    scores = [row.class_scores for row in record.leaderboard if row.class_scores]
    names = [
        name
        for name in (scores[0] if scores else {})
        if any(own.get(name) is not None for own in scores)
        and not any((own.get(name) or 0.0) >= _FOUND for own in scores)
    ]
    if not names:
        return ""
    return words.say_count(
        "{n} class is found by no candidate (its IoU is 0): {names}.",
        "{n} classes are found by no candidate (their IoU is 0): {names}.",
        len(names),
        names=words.listing(names),
    )


def _tell_sizes(record: StudyRecord, finished: Sequence[RunRecord], words: Words) -> str:
    """Say which candidates are given pictures of which size, where they differ; empty where all are given one."""
    named, sizes = record.names_without_variants, dict[tuple[int, int], list[str]]()
    for run in finished:
        size = size_of(run.config, windows=False) if run.steps else None
        if size is not None and run.candidate in named and run.candidate not in sizes.setdefault(size, []):
            sizes[size].append(run.candidate)
    if len(sizes) < 2:
        return ""
    told = [
        words.say("{size} px ({names})", size=tell_size(size, words), names=", ".join(sizes[size]))
        for size in sorted(sizes)
    ]
    return words.say(
        "Candidates are given pictures of different sizes, and part of what tells them apart may lie there: {sizes}. "
        "Pictures that are smaller themselves are enlarged, and show no more detail.",
        sizes=words.listing(told),
    )


def _tell_draws(seeds: int, folds: str, words: Words) -> str:
    """Say what drawing seeds and folds leaves open."""
    if folds:
        return words.say_count(
            "The study has {n} seed and {folds}: its verdicts hold for this data and these settings.",
            "The study has {n} seeds and {folds}: its verdicts hold for this data and these settings.",
            seeds,
            folds=folds,
        )
    if seeds <= 1:
        return words.say(
            "One seed was drawn: what another seed would have given is not known, and no interval over runs can be "
            "stated."
        )
    return words.say_count(
        "{n} seed was drawn on one split: verdicts speak of initialisation, order and augmentation, not of other splits.",  # noqa: E501
        "{n} seeds were drawn on one split: verdicts speak of initialisation, order and augmentation, not of other splits.",  # noqa: E501
        seeds,
    )


def tell_few_runs(record: StudyRecord, words: Words) -> str:
    """Say of which candidates two runs make an interval; empty where there is none."""
    known = [row.candidate for row in record.leaderboard if row.interval_runs is not None]
    few = [name for name in known if record.draws_of(name) < _FEW_RUNS]
    if not few:
        return ""
    if len(few) == len(known):
        return words.say("Two runs a candidate: too few for an interval over runs that says much.")
    return words.say("Two runs of {names}: too few for an interval over runs that says much.", names=words.listing(few))


def tell_resampling(record: StudyRecord, words: Words) -> str:
    """Say how the intervals over pictures draw dependent pictures; empty where each is drawn by itself."""
    found = record.resampling
    if found is None:
        return ""
    if found.is_of_few:
        return words.say(
            "Pictures of one group are not independent evidence, and {n} groups are few: the intervals over pictures "
            "are the wider of those that leave out each group in turn and of those that draw blocks of {length} "
            "neighbouring pictures.",
            n=words.count(found.groups),
            length=words.count(found.length or 0),
        )
    if found.length is None:
        return words.say_count(
            "Pictures of one group are not independent evidence: the intervals over pictures draw the {n} group of the "
            "test part whole.",
            "Pictures of one group are not independent evidence: the intervals over pictures draw the {n} groups of "
            "the test part whole.",
            found.groups,
        )
    return words.say_count(
        "Neighbouring pictures of one group are not independent evidence: the intervals over pictures draw blocks of "
        "{n} neighbouring picture.",
        "Neighbouring pictures of one group are not independent evidence: the intervals over pictures draw blocks of "
        "{n} neighbouring pictures.",
        found.length,
    )


def tell_few_groups(record: StudyRecord, words: Words) -> str:
    """Say what few groups of test pictures leave open; empty where there are several, or pictures have no groups."""
    found = record.resampling
    if found is None or found.length is None:
        return ""
    if found.is_of_few:
        return words.say(
            "The pictures of the test part are of {n} groups only (sequences, for instance): the intervals over "
            "pictures are as wide as so few leave them, and of other groups little is known.",
            n=words.count(found.groups),
        )
    return words.say(
        "The pictures of the test part are of one group only (a sequence, for instance): the intervals over pictures, "
        "though they draw blocks of neighbours, are probably too narrow, and of other groups nothing is known."
    )


def tell_small_test(record: StudyRecord, words: Words, metric: MetricWords) -> str:
    """Say what a small test part leaves unseen; empty where it is not small, or nothing was scored on it."""
    best = next((row for row in record.leaderboard if row.score is not None), None)
    if best is None or record.n_tested is None or record.n_tested >= FEW_PICTURES:
        return ""
    told = [
        words.say_count(
            "The test part holds {n} picture only.", "The test part holds {n} pictures only.", record.n_tested
        )
    ]
    if (interval := best.interval_pictures) is not None:
        told.append(
            words.say(
                "With others {candidate} could have scored anywhere in {interval} (95% over pictures).",
                candidate=best.candidate,
                interval=metric.interval(interval.low, interval.high),
            )
        )
    least = least_seen(record.n_tested, max(1, _most_compared(record.verdicts)))
    if record.metric == "accuracy" and least is not None:
        told.append(
            words.say(
                "Between two single runs, nothing below {least} can be shown on them at all: {pictures} pictures that "
                "one gets right and the other does not, and none the other way round.",
                least=metric.points(least.share),
                pictures=words.count(least.pictures),
            )
        )
    return " ".join(told)


def tell_correction(verdicts: Sequence[Verdict], words: Words) -> str:
    """Say what of several comparisons is corrected for their number, and what is not; empty for fewer than two."""
    if sum(verdict.p_adjusted is not None for verdict in verdicts) < 2:
        return ""
    return words.say(
        "The p-values are corrected for the number of comparisons, the intervals are not: each is that of its "
        "comparison alone. Where one leaves zero out and the verdict shows no difference, the correction is why."
    )


def _most_compared(verdicts: Sequence[Verdict]) -> int:
    """Count the comparisons of the largest group that is corrected together."""
    groups = [verdict.group for verdict in verdicts if verdict.p_adjusted is not None]
    return max((groups.count(name) for name in set(groups)), default=0)
