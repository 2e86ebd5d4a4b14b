"""Which test pictures are of one group, such as frames of a sequence, and how they are resampled together.

Shapes: U pictures in all, R replicates.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import numpy.typing as npt

from etude.core.interval import Interval
from etude.core.study_record import Resampling
from etude.data.blocks import time_key
from etude.metrics.statistics import Dependence, bootstrap_p, dependence_of, dependent_weights, percentile_interval

REPLICATES = 5_000
"""More than of single pictures: the tails that are read lie further out."""


@dataclass(frozen=True, eq=False)
class Related:
    """Pictures of which some are of one group."""

    groups_U: npt.NDArray[np.int64]
    """Number of the group of each picture."""
    order_U: npt.NDArray[np.int64]
    """Positions of the pictures in the order of their ids, in which the frames of a sequence follow each other."""

    @classmethod
    def find(cls, ids_U: npt.NDArray[np.str_], groups: Mapping[str, str] | None) -> Self | None:
        """Look up the groups of pictures; none where no two of them are of one group.

        Args:
            ids_U: ids of the pictures.
            groups: group by id; a picture that is not there is a group of its own.
        """
        if not groups:
            return None
        ids = [str(item) for item in ids_U]
        names = [(groups[item], "") if item in groups else ("", item) for item in ids]
        numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
        if len(numbers) == len(ids):
            return None
        order_U = np.array(sorted(range(len(ids)), key=lambda place: time_key(ids[place])))
        return cls(np.array([numbers[name] for name in names]), order_U)

    @cached_property
    def dependence(self) -> Dependence:
        """How these pictures are resampled."""
        return dependence_of(self.groups_U)

    def interval(self, replicates_R: npt.NDArray[np.float64]) -> Interval:
        """Return the 95 % interval from replicates."""
        return percentile_interval(replicates_R, 1 - 2 * self.dependence.expand_tail(0.025))

    def p(self, replicates_R: npt.NDArray[np.float64]) -> float:
        """Return the two-sided p-value of no difference from resampled differences."""
        return self.dependence.expand_p(bootstrap_p(replicates_R))

    @property
    def resampling(self) -> Resampling:
        """The same for a record."""
        found = self.dependence
        assert found.unit != "pictures"
        return Resampling(unit=found.unit, drawn=found.n, groups=len(np.unique(self.groups_U)), length=found.length)

    def weights(self, seed: int) -> Iterator[npt.NDArray[np.float64]]:
        """Draw how often each picture comes in each replicate: (r, U), some replicates at a time."""
        place_U = np.argsort(self.order_U)
        for weights_RU in dependent_weights(self.groups_U[self.order_U], REPLICATES, seed):
            yield weights_RU[:, place_U]
