"""Which test pictures are of one group, such as frames of a sequence, and how they are then drawn anew.

Shapes: U pictures in all, R replicates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
import numpy.typing as npt

from etude.core.study_record import Resampling
from etude.data.blocks import time_key
from etude.metrics.statistics import Redrawing, Redrawn, Statistic


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

    @property
    def resampling(self) -> Resampling:
        """How these pictures are resampled, for a record."""
        redrawing = self._redrawing("bootstrap")
        found, n_groups = redrawing.dependence, len(np.unique(self.groups_U))
        assert found.unit != "pictures"
        if redrawing.few_groups:
            return Resampling(unit="groups", drawn=n_groups, groups=n_groups, length=found.length)
        return Resampling(unit=found.unit, drawn=found.n, groups=n_groups, length=found.length)

    def draw(self, statistic: Statistic, seed: int, resampling: Literal["bootstrap", "jackknife", "none"]) -> Redrawn:
        """Compute a statistic of the pictures, in their own order, drawn anew as `Redrawing` says."""
        place_U = np.argsort(self.order_U)
        return self._redrawing(resampling).draw(lambda weights_RU: statistic(weights_RU[:, place_U]), seed)

    def _redrawing(self, resampling: Literal["bootstrap", "jackknife", "none"]) -> Redrawing:
        return Redrawing(len(self.groups_U), resampling, self.groups_U[self.order_U])
