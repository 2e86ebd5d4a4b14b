"""How many pictures, and which groups, go where: the arithmetic of splits."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]


def apportion(counts: Counts, total: int) -> Counts:
    """Share `total` out in proportion to `counts`, each share its exact one rounded down or up (largest remainder).

    >>> apportion(np.array([50, 30, 20]), 5).tolist()
    [3, 1, 1]
    """
    exact = counts * (total / max(1, int(counts.sum())))
    shares: Counts = np.floor(exact + 1e-9).astype(np.int64)
    # A stable sort: which of two equal remainders is rounded up does not depend on the machine.
    upward = np.argsort(-(exact - shares), kind="stable")[: total - int(shares.sum())]
    shares[upward] += 1
    return shares


def deal(labels: npt.NDArray[np.int32], n_folds: int, rng: np.random.Generator) -> Counts:
    """Deal the pictures of each class out to folds in turn, each class going on where the one before stopped.

    Args:
        labels: (N,) classes.
        n_folds: number of folds.
        rng: shuffles the pictures of each class.

    Returns:
        (N,) the fold of each picture; sizes differ by one picture at most, within every class and in all.
    """
    fold_of: Counts = np.empty(len(labels), np.int64)
    dealt = 0
    for number in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == number))
        fold_of[members] = (dealt + np.arange(len(members))) % n_folds
        dealt += len(members)
    return fold_of


def count_by_group(group_of: npt.NDArray[np.intp], labels: npt.NDArray[np.int32], n_classes: int) -> Counts:
    """Return how many pictures of each class each group holds: (groups, classes)."""
    counts: Counts = np.zeros((int(group_of.max()) + 1, n_classes), np.int64)
    np.add.at(counts, (group_of, labels), 1)
    return counts


def assign_groups(
    counts: Counts, shares: npt.NDArray[np.float64], at_least: npt.NDArray[np.int64], rng: np.random.Generator
) -> Counts:
    """Assign groups to bins so that each bin comes near its share of every class; largest groups first.

    Args:
        counts: (groups, classes) pictures.
        shares: (bins,) fractions that sum to 1.
        at_least: (bins,) the smallest number of groups of each bin; together not more than there are groups.
        rng: orders groups of equal size.

    Returns:
        (groups,) the bin of each group.
    """
    totals = np.maximum(counts.sum(axis=0), 1).astype(np.float64)
    wanted = shares[:, None] * totals
    held = np.zeros_like(wanted)
    needed = at_least.copy()
    shuffled = rng.permutation(len(counts))
    order = shuffled[np.argsort(-counts[shuffled].sum(axis=1), kind="stable")]
    bins: Counts = np.empty(len(counts), np.int64)
    for n_left, group in zip(range(len(order), 0, -1), order, strict=True):
        # How much the squared distance to what is wanted, relative to each class, grows with this group in each bin.
        growth = (counts[group] * (counts[group] + 2 * (held - wanted)) / totals**2).sum(axis=1)
        if int(needed.sum()) >= n_left:  # the last groups go where there are too few
            growth[needed <= 0] = np.inf
        chosen = int(np.argmin(growth))
        bins[group] = chosen
        held[chosen] += counts[group]
        needed[chosen] = max(0, int(needed[chosen]) - 1)
    return bins
