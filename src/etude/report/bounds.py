"""Sentences on the bounds that a study set for itself: what was asked, when, and what came of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from etude.core.bound import Bound, BoundOutcome, BoundRule
from etude.core.study_record import StudyRecord
from etude.report.messages import mark
from etude.report.words import MetricWords, Words

_ASKED: Final[dict[BoundRule, str]] = {
    "ratio below": mark("The study file asks for a ratio of {candidate} to {over} below {limit} ({metric})."),
    "gain above": mark("The study file asks that {candidate} gains more than {limit} over {over} ({metric})."),
    "above": mark("The study file asks that {candidate} lies above {limit} ({metric})."),
    "below": mark("The study file asks that {candidate} lies below {limit} ({metric})."),
    "like photographs": mark(
        "The study file asks that {candidate} shows no more copies than held-out photographs do ({metric})."
    ),
}
_CAME: Final[dict[BoundOutcome, str]] = {
    "met": mark("Met: {value} {interval}."),
    "not shown": mark("Not shown: {value} {interval} reaches to both sides of it."),
    "missed": mark("Missed: {value} {interval}."),
    "unknown": mark("There is nothing yet to judge it by."),
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
    return [" ".join(_tell_bound(bound, words, name)) for bound in record.bounds]


def _tell_bound(bound: Bound, words: Words, name: Callable[[str], str]) -> list[str]:
    metric = MetricWords(words, bound.metric, [bound.interval])
    asked = words.say(
        _ASKED[bound.rule],
        candidate=name(bound.candidate), over=name(bound.over), limit=_limit(bound, metric), metric=metric.name,
    )  # fmt: skip
    when = (
        words.say("This was set before any run was finished.")
        if bound.early
        else words.say("This was set when runs were finished already.")
    )
    return [asked, _tell_outcome(bound, metric), when]


def _tell_outcome(bound: Bound, metric: MetricWords) -> str:
    words = metric.words
    if bound.value is None or bound.interval is None:
        return words.say(_CAME[bound.outcome])
    low, high = bound.interval.low, bound.interval.high
    if bound.rule == "like photographs":
        return words.say(_CAME_OF_COPIES[bound.outcome], value=metric.score(bound.value), high=metric.score(high))
    if bound.rule == "ratio below":
        value, interval = words.number(bound.value, 2), words.interval(words.number(low, 2), words.number(high, 2))
    elif bound.rule == "gain above":
        value, interval = metric.signed_points(bound.value), metric.interval(low, high)
    else:
        value, interval = metric.score(bound.value), metric.interval(low, high)
    return words.say(_CAME[bound.outcome], value=value, interval=interval)


def _limit(bound: Bound, metric: MetricWords) -> str:
    """Write the bound itself; nothing where photographs set it."""
    if bound.limit is None:
        return ""
    if bound.rule == "ratio below":
        return metric.words.number(bound.limit, 2)
    return metric.points(bound.limit) if bound.rule == "gain above" else metric.score(bound.limit)
