"""Sentences on the bounds that a study set for itself: what was asked, when, and what came of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from etude.core.bound import Bound, BoundOutcome, BoundRule
from etude.core.study_record import StudyRecord
from etude.report.messages import mark
from etude.report.words import MetricWords, Words, join_sentences

_ASKED: Final[dict[BoundRule, str]] = {
    "ratio below": mark("The study file asks for a ratio of {candidate} to {over} below {limit} ({metric})."),
    "gain above": mark("The study file asks that {candidate} gains more than {limit} over {over} ({metric})."),
    "above": mark("The study file asks that {candidate} lies above {limit} ({metric})."),
    "below": mark("The study file asks that {candidate} lies below {limit} ({metric})."),
    "like photographs": mark(
        "The study file asks that {candidate} shows no more copies than held-out photographs do ({metric})."
    ),
}
_ASKED_TO_LOSE_LITTLE: Final = mark(
    "The study file asks that {candidate} loses less than {limit} to {over} ({metric})."
)
_CAME: Final[dict[BoundOutcome, str]] = {
    "met": mark("Met: {value} {interval}."),
    "not shown": mark("Not shown: {value} {interval} reaches to both sides of it."),
    "missed": mark("Missed: {value} {interval}."),
}
_CAME_OF_COPIES: Final[dict[BoundOutcome, str]] = {
    "met": mark("Met: {value}; photographs would show up to {high}."),
    "missed": mark("Missed: {value}; photographs would show up to {high}."),
}


def tell_bounds(record: StudyRecord, words: Words, name: Callable[[str], str] = str) -> list[str]:
    """Write of each bound of the study what was asked, what came of it, and whether it stood there before the runs.

    Args:
        record: the study.
        words: the language.
        name: sets off the name of a candidate from the sentence around it.
    """
    is_under_way = any(ref.status in ("planned", "running") for ref in record.runs)
    return [join_sentences(_tell_bound(bound, is_under_way, words, name)) for bound in record.bounds]


def _tell_bound(bound: Bound, is_under_way: bool, words: Words, name: Callable[[str], str]) -> list[str]:
    metric = MetricWords(words, bound.metric, [bound.interval])
    loses = bound.rule == "gain above" and bound.limit is not None and bound.limit < 0
    asked = words.say(
        _ASKED_TO_LOSE_LITTLE if loses else _ASKED[bound.rule],
        candidate=name(bound.candidate), over=name(bound.over), limit=_limit(bound, metric), metric=metric.name,
    )  # fmt: skip
    when = (
        words.say("This was set before any run was finished.")
        if bound.early
        else words.say("This was set when runs were finished already.")
    )
    again = (
        words.say_count(
            "It was judged with {n} run first, and runs were added since.",
            "It was judged with {n} runs first, and runs were added since.",
            bound.judged_at[0],
        )
        if len(bound.judged_at) > 1
        else ""
    )
    return [asked, _tell_outcome(bound, is_under_way, metric), when, again]


def _tell_outcome(bound: Bound, is_under_way: bool, metric: MetricWords) -> str:
    words = metric.words
    if bound.value is None or bound.interval is None:
        if is_under_way:
            return words.say("There is nothing yet to judge it by.")
        if bound.value is None:
            return words.say("There is nothing to judge it by.")
        return words.say("It came to {value}; without an interval it is not judged.", value=_value(bound, metric))
    low, high = bound.interval.low, bound.interval.high
    if bound.rule == "like photographs":
        told = words.say(_CAME_OF_COPIES[bound.outcome], value=metric.score(bound.value), high=metric.score(high))
        if bound.outcome == "missed":
            return join_sentences(
                [told, words.say("By their number alone it is not told whether they were copied: the measures say it.")]
            )
        return told
    interval = (
        words.interval(words.number(low, 2), words.number(high, 2))
        if bound.rule == "ratio below"
        else metric.interval(low, high)
    )
    return words.say(_CAME[bound.outcome], value=_value(bound, metric), interval=interval)


def _value(bound: Bound, metric: MetricWords) -> str:
    """Write what was measured."""
    assert bound.value is not None
    if bound.rule == "ratio below":
        return metric.words.number(bound.value, 2)
    return metric.signed_points(bound.value) if bound.rule == "gain above" else metric.score(bound.value)


def _limit(bound: Bound, metric: MetricWords) -> str:
    """Write the bound itself; nothing where photographs set it."""
    if bound.limit is None:
        return ""
    if bound.rule == "ratio below":
        return metric.words.tick(bound.limit)
    return metric.limit_points(bound.limit) if bound.rule == "gain above" else metric.limit(bound.limit)
