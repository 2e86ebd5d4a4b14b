"""Arrays of texts, numbered and counted without numpy 2.4's quicksort of strings, which reads past their end."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def number_texts(texts: npt.NDArray[np.str_]) -> tuple[npt.NDArray[np.str_], npt.NDArray[np.int64]]:
    """Return the distinct texts (U,) in order, and the number (N,) of each text among them.

    It is what `np.unique(texts, return_inverse=True)` gives. That one sorts by numpy's quicksort, which ends the
    process on a few hundred texts in two ascending runs, such as the ids of two folds one behind the other.

    >>> names, numbers = number_texts(np.array(["b", "a", "b"]))
    >>> names.tolist(), numbers.tolist()
    (['a', 'b'], [1, 0, 1])
    """
    names, numbers = np.unique(texts.astype(object), return_inverse=True)
    return names.astype(texts.dtype), numbers.astype(np.int64)


def count_distinct(texts: npt.NDArray[np.str_]) -> int:
    """Return how many different texts there are."""
    return len(set(texts.tolist()))
