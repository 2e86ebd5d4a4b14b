"""Does a candidate know its training pictures better than others? Only then has augmentation something to gain."""

from __future__ import annotations

import math
from dataclasses import dataclass

from etude.core.study_record import LeaderboardRow


@dataclass(frozen=True)
class Gap:
    """What a candidate scores on pictures that it was trained on, and on others."""

    train: float
    """Mean score on the training part, without augmentation."""
    test: float
    """Mean score on the test part."""
    gain: float
    """How much better training is than test, signed so that more is better."""
    is_overfit: bool
    """Whether the training score is better than both 95 % intervals of the test score allow for, were it of as many
    pictures itself and uncertain too."""


def gap_of(row: LeaderboardRow, higher_is_better: bool) -> Gap | None:
    """Return the gap of a candidate between training and test; none before its first run is finished."""
    if row.train_score is None or row.score is None:
        return None
    sign = 1.0 if higher_is_better else -1.0
    reaches = [0.0]
    for interval in (row.interval_runs, row.interval_pictures):
        if interval is not None:
            reaches += [sign * (end - row.score) for end in (interval.low, interval.high)]
    gain = sign * (row.train_score - row.score)
    return Gap(row.train_score, row.score, gain, gain > _widening(row.train_score, row.score) * max(reaches))


def _widening(train: float, test: float) -> float:
    """Return by how much a difference of both scores is less certain than that of test.

    By the root of two where both are equally uncertain. A share varies with p (1 - p): one near 0 or 1 hardly does, and
    a training score of 100 % in every run leaves only the doubt about test.
    """
    if not (0 <= train <= 1 and 0 < test < 1):
        return math.sqrt(2)
    return math.sqrt(1 + min(1.0, train * (1 - train) / (test * (1 - test))))
