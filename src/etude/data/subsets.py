"""Other training parts of one split; the test part stays as it is.

Smaller and larger ones lie each within the next. Others hold another part of what is not tested out for validation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from etude.core.errors import DataError, sentence
from etude.core.seeds import derive
from etude.core.texts import number_texts
from etude.core.words import Part
from etude.data.apportion import assign_groups, count_by_group, deal
from etude.data.items import Indices, Items, Texts


@dataclass(frozen=True)
class HeldOut:
    """One of the parts that training and validation pictures are dealt to."""

    part: int
    """Its number, from 0."""
    of: int
    """How many there are."""


def resize_training_part(
    items: Items, parts: npt.NDArray[np.int8], whole: npt.NDArray[np.int8], n_train: int, *, seed: int, fold: int = 0
) -> npt.NDArray[np.int8]:
    """Return a split with `n_train` training pictures, classes in proportion.

    The pictures stand in one order, whatever their number: those of the study's training part first, each class spread
    evenly along it, then the rest of what could be trained on. So a smaller part always lies within a larger one.

    Args:
        items: the pictures.
        parts: (N,) the study's split.
        whole: (N,) the same split with every picture that could be trained on in its training part.
        n_train: pictures to train on, at least one a class.
        seed: seed of the split.
        fold: number of the fold.

    Raises:
        DataError: if there are not that many, or fewer are asked for than there are classes.
    """
    own = np.flatnonzero(parts == Part.TRAIN)
    rest = np.setdiff1d(np.flatnonzero(whole == Part.TRAIN), own)
    n_present, n_most = len(np.unique(items.labels[own])), len(own) + len(rest)
    if not n_present <= n_train <= n_most:
        rule = f"between {n_present} (one picture a class) and {n_most} (the whole training part)"
        raise DataError(sentence("candidate", "data.split.train_items", rule, n_train))
    rng = np.random.Generator(np.random.PCG64(derive(seed, "split", "nested", fold)))
    order = np.concatenate([in_proportion(own, items.labels, rng), in_proportion(rest, items.labels, rng)])
    resized = np.where(parts == Part.TRAIN, np.int8(Part.LEFT_OUT), parts)
    resized[order[:n_train]] = Part.TRAIN
    return resized


def in_proportion(indices: Indices, labels: npt.NDArray[np.integer[Any]], rng: np.random.Generator) -> Indices:
    """Order pictures so that any first ones hold the classes in proportion, and the very first one of each class."""
    shuffled = rng.permutation(indices)
    place = np.empty(len(shuffled))
    for label in np.unique(labels[shuffled]):
        members = np.flatnonzero(labels[shuffled] == label)
        place[members] = (np.arange(len(members)) + 0.5) / len(members)
        place[members[:1]] = 0
    ordered: Indices = shuffled[np.argsort(place, kind="stable")]
    return ordered


def hold_out(
    items: Items, parts: npt.NDArray[np.int8], held_out: HeldOut, *, by_group: bool, seed: int, fold: int = 0
) -> npt.NDArray[np.int8]:
    """Return a split whose validation part is one of so many parts of all pictures that are not tested.

    They are dealt out once, whichever part is asked for: each picture is in the validation part of one of the splits,
    and in the training part of all others. Classes are kept in proportion; with `by_group` no group is parted.

    Args:
        items: the pictures.
        parts: (N,) the study's split.
        held_out: the part, and how many there are.
        by_group: whether the study's own validation part is made of whole groups.
        seed: seed of the split.
        fold: number of the fold.

    Raises:
        DataError: if a class has fewer pictures than there are parts, or there are fewer groups.
    """
    rest = np.flatnonzero((parts == Part.TRAIN) | (parts == Part.VALIDATION))
    labels = np.maximum(items.labels[rest], 0)
    rng = np.random.Generator(np.random.PCG64(derive(seed, "split", "held out", fold, held_out.of)))
    if by_group and items.groups is not None:
        part_of = _deal_groups(items.groups[rest], labels, held_out.of, rng)
    else:
        _check_parts(held_out.of, int(np.unique(labels, return_counts=True)[1].min()), "pictures of the rarest class")
        part_of = deal(labels, held_out.of, rng)
    is_held_out = part_of == held_out.part
    if len(np.setdiff1d(labels, labels[~is_held_out])):
        rule = "one that leaves every part some pictures of each class"
        raise DataError(sentence("candidate", "combine.folds", rule, held_out.of, "Give another data.split.seed."))
    cut = parts.copy()
    cut[rest] = np.where(is_held_out, np.int8(Part.VALIDATION), np.int8(Part.TRAIN))
    return cut


def _deal_groups(
    groups_N: Texts, labels: npt.NDArray[np.int32], n_parts: int, rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Return the part of each picture, (N,), groups being kept whole."""
    names, group_of = number_texts(groups_N)
    _check_parts(n_parts, len(names), "groups")
    counts = count_by_group(group_of, labels, int(labels.max()) + 1)
    part_of_group = assign_groups(counts, np.full(n_parts, 1 / n_parts), np.ones(n_parts, np.int64), rng)
    part_of: npt.NDArray[np.int64] = part_of_group[group_of]
    return part_of


def _check_parts(n_parts: int, most: int, of_what: str) -> None:
    if n_parts > most:
        rule = f"at most {most}, the number of {of_what} that are not tested"
        raise DataError(sentence("candidate", "combine.folds", rule, n_parts))
