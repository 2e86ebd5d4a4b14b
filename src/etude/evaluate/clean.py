"""The score on the test pictures that no other part holds a twin of."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence

import numpy as np

from etude.core.study_record import LeaderboardRow
from etude.evaluate.run_result import RunResult


def add_clean_scores(
    rows: Sequence[LeaderboardRow],
    runs: Mapping[str, Sequence[RunResult]],
    metric: str,
    leaked: Sequence[Sequence[str]],
) -> list[LeaderboardRow]:
    """Give each row the mean score on the clean test pictures, and their number.

    Args:
        rows: the leaderboard.
        runs: finished runs by candidate.
        metric: the metric that ranks.
        leaked: for each fold, the ids of the test pictures that leak.

    Returns:
        The rows in the same order; those of candidates without a run, or without a clean picture, have no such score.
    """
    done = []
    for row in rows:
        found = [_clean_score(run, metric, leaked[run.record.fold or 0]) for run in runs[row.candidate]]
        scores = [score for score, _ in found if score is not None and math.isfinite(score)]
        n_clean = sum(count for _, count in found) // max(1, len(found))
        update = {"score_clean": statistics.fmean(scores) if scores else None, "n_clean": n_clean if found else None}
        done.append(row.model_copy(update=update))
    return done


def _clean_score(run: RunResult, metric: str, leaked: Sequence[str]) -> tuple[float | None, int]:
    """Return the score of one run without the leaked pictures, and how many remain."""
    answers = run.open_test()
    gone = set(leaked)
    weights_N = np.array([str(item) not in gone for item in answers.ids], np.float64)
    n_clean = int(weights_N.sum())
    if n_clean == 0:
        return None, 0
    return float(answers.under_weights(metric, weights_N[None])[0]), n_clean
