"""What reports say of whether a generator copies its training photographs."""

from __future__ import annotations

from collections.abc import Iterator

from etude.core.interval import Interval
from etude.metrics.generation import CLOSEST_COPIES, NEAR_COPIES
from etude.report.generated_measured import Measured
from etude.report.words import Words

_ROUNDING = 1e-9
"""Folds that lie near to the same photographs leave their mean share but one value, whatever is shuffled."""


def tell_copies(of: Measured, words: Words) -> Iterator[str]:
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
            share=words.percent(outright),
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
