"""Where the runs of a candidate err on masks: the hardest pictures, labels that look wrong, scores by group.

Shapes: N pictures of the test part, K classes, R runs.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from etude.evaluate.mask_counts import MaskCounts
from etude.evaluate.pictures import interval_of
from etude.explain.records import LEAST_OF_GROUP, MOST_GROUPS, GroupScore, HardMask, MaskDoubt, MaskErrorsRecord

_SHOWN = 6
SURE = 0.8  # share of a class's pixels that every run must answer alike, and unlike the label
KNOWN = 0.5  # share of a class's pixels that is found over the whole part, so that the network is said to know it
LEAST_COVERED = 0.005  # of a picture: fewer pixels are more often a contour than a wrong label


def find_mask_mistakes(
    counts_R: Sequence[MaskCounts],
    classes: Sequence[str],
    candidate: str,
    metric: str,
    groups_N: npt.NDArray[np.str_] | None = None,
) -> MaskErrorsRecord:
    """Return where the runs of a candidate err.

    Args:
        counts_R: what each run gave to the same pictures, in the same order.
        classes: names of the classes.
        candidate: its name.
        metric: the metric of the scores of pictures and groups; mean IoU where it is not one of pixels.
        groups_N: group of each picture; none where there are none.
    """
    scores_N = np.nanmean(np.stack([counts.of_pictures(metric) for counts in counts_R]), 0)
    known = np.flatnonzero(~np.isnan(scores_N))
    worst = known[np.argsort(scores_N[known], kind="stable")][:_SHOWN]
    ids = [str(item) for item in counts_R[0].ids]
    return MaskErrorsRecord(
        candidate=candidate,
        n_runs=len(counts_R),
        classes=tuple(classes),
        metric=metric,
        hardest=tuple(HardMask(item=ids[row], score=float(scores_N[row])) for row in worst),
        doubtful=tuple(_doubt(counts_R, ids, classes)),
        groups=() if groups_N is None else _score_groups(counts_R, groups_N, metric),
    )


def _doubt(counts_R: Sequence[MaskCounts], ids: Sequence[str], classes: Sequence[str]) -> list[MaskDoubt]:
    """Return, of each picture, the class whose pixels every run gives to one and the same other class.

    Classes that the runs mostly miss everywhere are left out: there it is the network that does not know.
    """
    confusions_RNKK = np.stack([counts.confusions for counts in counts_R])
    least_NKK, true_NK = confusions_RNKK.min(0), confusions_RNKK[0].sum(2)
    whole_KK = confusions_RNKK.sum((0, 1))
    is_known_K = np.diag(whole_KK) >= KNOWN * whole_KK.sum(1)
    pixels_N = np.maximum(true_NK.sum(1), 1)
    shares_NKK = least_NKK / np.maximum(true_NK[:, :, None], 1)
    diagonal = np.arange(len(classes))
    shares_NKK[:, diagonal, diagonal] = 0
    is_large_NK = (true_NK >= LEAST_COVERED * pixels_N[:, None]) & is_known_K
    is_sure_NKK = (shares_NKK >= SURE) & is_large_NK[:, :, None]
    found = sorted(np.argwhere(is_sure_NKK).tolist(), key=lambda at: -int(least_NKK[tuple(at)]))[:_SHOWN]
    return [
        MaskDoubt(
            item=ids[row],
            truth=classes[truth],
            answer=classes[answer],
            share=float(shares_NKK[row, truth, answer]),
            covers=float(true_NK[row, truth] / pixels_N[row]),
        )
        for row, truth, answer in found
    ]


def _score_groups(
    counts_R: Sequence[MaskCounts], groups_N: npt.NDArray[np.str_], metric: str
) -> tuple[GroupScore, ...]:  # fmt: skip
    """Return the score of each group's pictures, counted together, mean over the runs, the worst first.

    Its interval draws blocks of neighbouring pictures.
    """
    found = []
    for name in sorted(set(groups_N.tolist())):
        own = np.flatnonzero(groups_N == name)
        if len(own) < LEAST_OF_GROUP:
            continue
        of_group = [
            MaskCounts(
                counts.ids[own],
                counts.part,
                counts.confusions[own],
                None if counts.boundaries is None else counts.boundaries[own],
            )
            for counts in counts_R
        ]
        score = float(np.mean([counts.score(metric) for counts in of_group]))
        of_name = dict.fromkeys((str(item) for item in counts_R[0].ids[own]), name)
        interval = interval_of(of_group, metric, groups=of_name)
        if interval is not None:
            found.append(GroupScore(name=name, n=len(own), share=score, interval=interval))
    return tuple(sorted(found, key=lambda group: (group.share, group.name))[:MOST_GROUPS])
