"""Where the runs of a candidate err: confident mistakes, hard pictures, labels that look wrong, scores by group.

Shapes: N pictures of the test part, K classes, R runs.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from etude.explain.records import LEAST_OF_GROUP, MOST_GROUPS, Doubtful, ErrorsRecord, GroupScore, PictureRef
from etude.metrics.statistics import wilson

_SHOWN = 12
_SURE = 0.8  # mean probability from which runs that agree against the label say that it looks wrong


def find_mistakes(
    ids_N: Sequence[str],
    truth_N: npt.NDArray[np.int64],
    probabilities_RNK: npt.NDArray[np.float32],
    classes: Sequence[str],
    candidate: str,
    groups_N: npt.NDArray[np.str_] | None = None,
    answers_RN: npt.NDArray[np.int64] | None = None,
) -> ErrorsRecord:
    """Return where the runs of a candidate err; the first run is the one whose confident mistakes are listed.

    Args:
        ids_N: ids of the pictures.
        truth_N: their classes.
        probabilities_RNK: what each run answered.
        classes: names of the classes.
        candidate: name of the candidate.
        groups_N: group of each picture, where the source has groups.
        answers_RN: the class that each run decided for, such as by its threshold; none: the likeliest.
    """
    mean_NK = probabilities_RNK.mean(0)
    rows = np.arange(len(truth_N))
    if answers_RN is None:
        answers_RN, mean_answers_N = probabilities_RNK.argmax(2), mean_NK.argmax(1)
    else:  # each run has a threshold of its own: what most of them decide
        votes_RNK = answers_RN[:, :, None] == np.arange(len(classes))
        mean_answers_N = votes_RNK.sum(0).argmax(1)

    def picture(row: int, probabilities_NK: npt.NDArray[np.float32], decided_N: npt.NDArray[np.int64]) -> PictureRef:
        return PictureRef(
            item=str(ids_N[row]),
            truth=classes[truth_N[row]],
            answer=classes[decided_N[row]],
            probability=float(probabilities_NK[row, decided_N[row]]),
        )

    first_NK, first_N = probabilities_RNK[0], answers_RN[0]
    wrong = rows[first_N != truth_N]
    confident = wrong[np.argsort(-first_NK[wrong, first_N[wrong]], kind="stable")][:_SHOWN]
    of_truth_N = mean_NK[rows, truth_N]
    hardest = np.argsort(of_truth_N, kind="stable")[:_SHOWN]
    agree = (answers_RN == first_N).all(0) & (first_N != truth_N)
    surety_N = mean_NK[rows, first_N]
    sure = rows[agree & (surety_N >= _SURE)]
    sure = sure[np.argsort(-surety_N[sure], kind="stable")][:_SHOWN]

    def doubtful(places: npt.NDArray[np.int64]) -> tuple[Doubtful, ...]:
        return tuple(
            Doubtful(picture=picture(int(row), mean_NK, mean_answers_N), of_truth=float(of_truth_N[row]))
            for row in places
        )

    right_N = (answers_RN == truth_N).mean(0)
    names_N = np.array([classes[label] for label in truth_N])
    return ErrorsRecord(
        candidate=candidate,
        n_runs=len(probabilities_RNK),
        confident=tuple(picture(int(row), first_NK, first_N) for row in confident),
        hardest=doubtful(hardest),
        mislabelled=doubtful(sure),
        classes=score_groups(names_N, right_N),
        groups=() if groups_N is None else score_groups(groups_N, right_N, LEAST_OF_GROUP)[:MOST_GROUPS],
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
