"""The fingerprint: everything that makes another data set makes another value, and nothing else."""

import numpy as np
import pytest

from etude.core.errors import DataError
from etude.data.fingerprint import content_fingerprint
from etude.data.items import Items, texts


def print_of(classes=("a", "b"), ids="xyz", labels=(0, 1, 0), official=None, groups=None, contents=None, masks=None):
    items = Items(
        texts(ids),
        np.array(labels, np.int32),
        None if official is None else np.array(official, np.int8),
        None if groups is None else texts(groups),
    )
    contents = contents if contents is not None else [b"1", b"2", b"3"]
    functions = [contents.__getitem__] + ([masks.__getitem__] if masks is not None else [])
    return content_fingerprint(classes, items, *functions, workers=2)


@pytest.mark.parametrize(
    "change",
    [
        {"classes": ("a", "c")},
        {"ids": "xyw"},
        {"labels": (0, 1, 1)},
        {"official": (0, 0, 2)},
        {"groups": "ppq"},
        {"contents": [b"1", b"2", b"4"]},
        {"contents": [b"1", b"3", b"2"]},
        {"contents": [b"1", b"2", np.zeros((1, 1, 3), np.uint8)]},
        {"masks": [b"1", b"2", b"3"]},
        {"masks": [None, None, b"3"]},
    ],
)
def test_any_change_shows(change):
    assert print_of(**change) != print_of()
    assert print_of(**change) == print_of(**change)


def test_arrays_of_other_shapes_differ():
    flat, tall = np.zeros((2, 8, 3), np.uint8), np.zeros((8, 2, 3), np.uint8)
    assert print_of(contents=[flat] * 3) != print_of(contents=[tall] * 3)


def test_what_cannot_be_read_has_a_fingerprint_too():
    def read(index):
        if index == 1:
            raise DataError("gone")
        return b"1"

    items = Items(texts("xyz"), np.zeros(3, np.int32))
    assert content_fingerprint(("a",), items, read) == content_fingerprint(("a",), items, read)


def test_the_number_of_threads_does_not_matter():
    items = Items(texts(str(row) for row in range(1000)), np.zeros(1000, np.int32))
    prints = {content_fingerprint(("a",), items, lambda row: str(row).encode(), workers=n) for n in (1, 2, 7)}
    assert len(prints) == 1
