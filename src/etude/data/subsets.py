"""Smaller and larger training parts of one split, each within the next; validation and test stay as they are."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from etude.core.errors import DataError, sentence
from etude.core.seeds import derive
from etude.core.words import Part
from etude.data.items import Indices, Items


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
    order = np.concatenate([_spread(own, items.labels, rng), _spread(rest, items.labels, rng)])
    resized = np.where(parts == Part.TRAIN, np.int8(Part.LEFT_OUT), parts)
    resized[order[:n_train]] = Part.TRAIN
    return resized


def _spread(indices: Indices, labels: npt.NDArray[np.int32], rng: np.random.Generator) -> Indices:
    """Order pictures so that any first ones hold the classes in proportion, and the very first one of each class."""
    shuffled = rng.permutation(indices)
    place = np.empty(len(shuffled))
    for label in np.unique(labels[shuffled]):
        members = np.flatnonzero(labels[shuffled] == label)
        place[members] = (np.arange(len(members)) + 0.5) / len(members)
        place[members[:1]] = 0
    ordered: Indices = shuffled[np.argsort(place, kind="stable")]
    return ordered
