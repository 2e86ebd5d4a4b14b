"""Where the runs of a candidate err: confident mistakes, hard pictures, labels that look wrong, scores by group.

Shapes: N pictures of the test part, K classes, R runs.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from etude.explain.records import Doubtful, ErrorsRecord, GroupScore, PictureRef
from etude.metrics.statistics import wilson

_SHOWN = 12
_LEAST_OF_GROUP, _MOST_GROUPS = 5, 50
_SURE = 0.8  # mean probability from which runs that agree against the label say that it looks wrong


def find_mistakes(
    ids_N: Sequence[str],
    truth_N: npt.NDArray[np.int64],
    probabilities_RNK: npt.NDArray[np.float32],
    classes: Sequence[str],
    candidate: str,
    groups_N: npt.NDArray[np.str_] | None = None,
) -> ErrorsRecord:
    """Return where the runs of a candidate err; the first run is the one whose confident mistakes are listed."""
    mean_NK = probabilities_RNK.mean(0)
    answers_RN = probabilities_RNK.argmax(2)
    rows = np.arange(len(truth_N))

    def picture(row: int, probabilities_NK: npt.NDArray[np.float32]) -> PictureRef:
        answer = int(probabilities_NK[row].argmax())
        return PictureRef(
            item=str(ids_N[row]),
            truth=classes[truth_N[row]],
            answer=classes[answer],
            probability=float(probabilities_NK[row, answer]),
        )

    first_NK = probabilities_RNK[0]
    wrong = rows[answers_RN[0] != truth_N]
    confident = wrong[np.argsort(-first_NK[wrong].max(1), kind="stable")][:_SHOWN]
    of_truth_N = mean_NK[rows, truth_N]
    hardest = np.argsort(of_truth_N, kind="stable")[:_SHOWN]
    agree = (answers_RN == answers_RN[0]).all(0) & (answers_RN[0] != truth_N)
    sure = rows[agree & (mean_NK.max(1) >= _SURE)]
    sure = sure[np.argsort(-mean_NK[sure].max(1), kind="stable")][:_SHOWN]

    def doubtful(places: npt.NDArray[np.int64]) -> tuple[Doubtful, ...]:
        return tuple(Doubtful(picture=picture(int(row), mean_NK), of_truth=float(of_truth_N[row])) for row in places)

    right_N = (answers_RN == truth_N).mean(0)
    names_N = np.array([classes[label] for label in truth_N])
    return ErrorsRecord(
        candidate=candidate,
        n_runs=len(probabilities_RNK),
        confident=tuple(picture(int(row), first_NK) for row in confident),
        hardest=doubtful(hardest),
        mislabelled=doubtful(sure),
        classes=score_groups(names_N, right_N),
        groups=() if groups_N is None else score_groups(groups_N, right_N, _LEAST_OF_GROUP)[:_MOST_GROUPS],
    )


def score_groups(
    names_N: npt.NDArray[np.str_], right_N: npt.NDArray[np.float64], least: int = 1
) -> tuple[GroupScore, ...]:
    """Return the share of right answers by name, the worst first; `right_N` is each picture's mean over the runs."""
    found = []
    for name in sorted(set(names_N.tolist())):
        own = right_N[names_N == name]
        if len(own) >= least:
            share = float(own.mean())
            found.append(GroupScore(name=str(name), n=len(own), share=share, interval=wilson(share, len(own))))
    return tuple(sorted(found, key=lambda group: (group.share, group.name)))
