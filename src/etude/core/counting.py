"""Numbers of things in English sentences: one picture, two pictures."""

from __future__ import annotations


def how_many(number: int, one: str, more: str = "") -> str:
    """Write a number with its noun in the form that goes with it.

    Args:
        number: how many there are.
        one: the noun for one, such as `picture` or `picture is`.
        more: the noun for any other number; by default `one` with an s.

    >>> how_many(1, "picture"), how_many(0, "picture"), how_many(1200, "class", "classes")
    ('1 picture', '0 pictures', '1,200 classes')
    """
    return f"{number:,} {one if number == 1 else more or one + 's'}"
