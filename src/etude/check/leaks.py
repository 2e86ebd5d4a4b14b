"""What a split leaks: the same picture, a twin of it, or another frame of its sequence in two parts.

Pictures with the same pixels are one cluster. A part *reaches* a picture if it holds a member of its cluster, of a
cluster that is a twin of it, or of its group.

Legend: N pictures, C clusters.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from etude.core.words import Part

Bits = npt.NDArray[np.uint8]
_IN_SPLIT = (Part.TRAIN, Part.VALIDATION, Part.TEST)
_TRAIN, _VALIDATION, _TEST = (np.uint8(1 << part) for part in _IN_SPLIT)


@dataclass(frozen=True)
class Kin:
    """Which pictures belong together."""

    cluster_N: npt.NDArray[np.int64]
    """The cluster of each picture: those of one cluster have the same pixels."""
    first_P: npt.NDArray[np.int64]
    """Clusters that are near twins of `second_P`."""
    second_P: npt.NDArray[np.int64]
    group_N: npt.NDArray[np.int64] | None = None
    """The sequence of each picture, where sequences must not be parted."""


@dataclass(frozen=True)
class Reach:
    """By which parts each picture is reached, one bit a part: through equal pixels, near twins, its group."""

    exact_N: Bits
    near_N: Bits
    group_N: Bits

    @property
    def through_any(self) -> Bits:
        """All of them together."""
        return self.exact_N | self.near_N | self.group_N


def reach_of(kin: Kin, parts_N: npt.NDArray[np.int8]) -> Reach:
    """Return by which parts of a fold each picture is reached."""
    bits_N = np.where(parts_N >= 0, 1 << np.maximum(parts_N, 0), 0).astype(np.uint8)
    own_C = _gather(bits_N, kin.cluster_N)
    near_C = np.zeros_like(own_C)
    np.bitwise_or.at(near_C, kin.first_P, own_C[kin.second_P])
    np.bitwise_or.at(near_C, kin.second_P, own_C[kin.first_P])
    by_group = np.zeros(len(parts_N), np.uint8)
    if kin.group_N is not None:
        by_group = _gather(bits_N, kin.group_N)[kin.group_N]
    return Reach(own_C[kin.cluster_N], near_C[kin.cluster_N], by_group)


def leaked_test(reach_N: Bits, parts_N: npt.NDArray[np.int8]) -> npt.NDArray[np.bool_]:
    """Return the test pictures that training or validation reaches."""
    leaked: npt.NDArray[np.bool_] = (parts_N == Part.TEST) & ((reach_N & (_TRAIN | _VALIDATION)) != 0)
    return leaked


def leaked_validation(reach_N: Bits, parts_N: npt.NDArray[np.int8]) -> npt.NDArray[np.bool_]:
    """Return the validation pictures that training reaches."""
    leaked: npt.NDArray[np.bool_] = (parts_N == Part.VALIDATION) & ((reach_N & _TRAIN) != 0)
    return leaked


def to_drop(reach_N: Bits, parts_N: npt.NDArray[np.int8]) -> npt.NDArray[np.bool_]:
    """Return the training pictures that validation or test reaches, and the validation pictures that test reaches."""
    dropped: npt.NDArray[np.bool_] = (parts_N == Part.TRAIN) & ((reach_N & (_VALIDATION | _TEST)) != 0)
    dropped |= (parts_N == Part.VALIDATION) & ((reach_N & _TEST) != 0)
    return dropped


def _gather(bits_N: Bits, place_N: npt.NDArray[np.int64]) -> Bits:
    """Return the bits of all members of each place."""
    gathered = np.zeros(int(place_N.max(initial=-1)) + 1, np.uint8)
    np.bitwise_or.at(gathered, place_N, bits_N)
    return gathered
