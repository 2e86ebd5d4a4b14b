"""What networks answered to pictures that they were not trained on: the runs of one split, or the folds put together.

Shapes: N pictures, K classes, R answers to each picture.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from etude.core.study_record import RunRef
from etude.core.words import Part
from etude.evaluate.predictions import Predictions
from etude.study.opened import OpenedRun


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Test pictures, each with as many answers."""

    ids_N: npt.NDArray[np.str_]
    """Their ids."""
    truth_N: npt.NDArray[np.int64]
    """Their classes."""
    probabilities_RNK: npt.NDArray[np.float32]
    """What was answered; first what the explained run did, and with folds those that were dealt and seeded with it."""
    decided_RN: npt.NDArray[np.int64] | None
    """The class that was decided for by a threshold; none where it is the likeliest."""
    n_folds: int
    """Folds of which answers are put together; 1 where all are of one test part."""


@dataclass(frozen=True, eq=False)
class _Deal:
    """What some runs answered, one to each picture."""

    ids: npt.NDArray[np.str_]
    truth: npt.NDArray[np.int64]
    probabilities: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]

    @classmethod
    def of(cls, read: Sequence[Predictions]) -> Self:
        return cls(
            np.concatenate([entry.ids for entry in read]),
            np.concatenate([entry.truth for entry in read]),
            np.concatenate([entry.probabilities for entry in read]),
            np.concatenate([entry.labels for entry in read]),
        )

    def of_items(self, ids_N: npt.NDArray[np.str_]) -> Self:
        """Return the same of some of the pictures, in their order."""
        places = {item: place for place, item in enumerate(self.ids.tolist())}
        at_N = np.array([places[item] for item in ids_N.tolist()], np.int64)
        return type(self)(self.ids[at_N], self.truth[at_N], self.probabilities[at_N], self.labels[at_N])


def read_held_out(opened: OpenedRun) -> HeldOut:
    """Read what the runs of a candidate answered to test pictures.

    With folds each picture is in the test part of one of them: the folds of a deal together answer all. Deals and seeds
    of which a fold's answers are missing are left out; where those of the explained run are, it is its fold alone.

    Raises:
        MistakeError: if the explained run's answers are not there or cannot be read.
    """
    own = Predictions.read(opened.answers_path, Part.TEST)
    deals = [_Deal.of([_read(opened, ref) for ref in refs]) for refs in _whole_deals(opened)]
    is_of_folds = bool(deals)
    if not is_of_folds:
        others = [Predictions.read(path, Part.TEST) for path in opened.other_answers_paths]
        alike = [own, *(entry for entry in others if np.array_equal(entry.ids, own.ids))]
        deals = [_Deal.of([entry]) for entry in alike]
    answered = set.intersection(*(set(deal.ids.tolist()) for deal in deals))
    ids_N = deals[0].ids[np.array([item in answered for item in deals[0].ids.tolist()])]
    deals = [deal.of_items(ids_N) for deal in deals]
    return HeldOut(
        ids_N,
        deals[0].truth,
        np.stack([deal.probabilities for deal in deals]),
        None if own.threshold is None else np.stack([deal.labels for deal in deals]),
        _n_folds(opened) if is_of_folds else 1,
    )


def _read(opened: OpenedRun, ref: RunRef) -> Predictions:
    return Predictions.read(_answers_of(opened, ref), Part.TEST)


def _answers_of(opened: OpenedRun, ref: RunRef) -> Path:
    return opened.folder.run(ref.identity) / "predictions.parquet"


def _n_folds(opened: OpenedRun) -> int:
    return opened.record.n_folds // opened.record.n_repeats


def _whole_deals(opened: OpenedRun) -> Iterator[list[RunRef]]:
    """Give the runs of each deal into folds and each seed, whole ones only, those of the explained run's first."""
    if opened.ref.fold is None:
        return
    n_folds = _n_folds(opened)
    found: dict[tuple[int, int], dict[int, RunRef]] = {}
    for ref in opened.record.runs:
        if ref.candidate != opened.ref.candidate or ref.status != "finished" or ref.fold is None:
            continue
        if _answers_of(opened, ref).is_file():
            deal, fold = divmod(ref.fold, n_folds)
            found.setdefault((deal, ref.seed), {})[fold] = ref
    own = (opened.ref.fold // n_folds, opened.ref.seed)
    whole = [key for key in found if len(found[key]) == n_folds]
    for key in sorted(whole, key=lambda key: (key != own, key)) if own in whole else ():
        yield [found[key][fold] for fold in range(n_folds)]
