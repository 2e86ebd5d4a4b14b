"""The one tree of errors, and the sentence that each carries.

Every error that a person may meet is one of these, with a sentence of the form
``{owner}: {name} must be {rule}. Got {value!r}. {remedy}``, and an exit code:

    EtudeError                 1   a fault of ours, unless a subclass says otherwise
    ├── MistakeError           2   a mistake in what was given
    │   ├── StudyFileError     2   a study file that does not hold (all its mistakes at once)
    │   ├── DataError          2   pictures, folders, tables, masks
    │   ├── ModelError         2   an unknown network, weights that do not fit
    │   ├── BundleError        2   a bundle that is damaged, forged or not one
    │   └── MissingPartError   2   an optional part (an extra, a weights file) is not installed
    └── RuleError              3   stopped by a rule
        ├── LeakError          3   the same picture on both sides of a split
        ├── BudgetError        3   the budget is spent
        ├── GateError          3   an export that disagrees with the network, or loses too much
        ├── DivergenceError    3   the loss is not finite
        └── StorageError       3   the disk is full or cannot be written
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Self

FieldPath = tuple[str | int, ...]
EXIT_DONE = 0
EXIT_FAULT = 1
EXIT_MISTAKE = 2
EXIT_RULE = 3
EXIT_INTERRUPTED = 130


class EtudeError(Exception):
    """Any error that Étude raises on purpose; its text is a sentence for a person."""

    exit_code = EXIT_FAULT
    field: FieldPath = ()
    """The field of a study file that it belongs to, as ("data", "source"); empty where it belongs to none."""

    def at(self, *field: str | int) -> Self:
        """Return the error with the field that it belongs to; one that is known already stays."""
        self.field = self.field or field
        return self


class MistakeError(EtudeError):
    """A mistake in what was given: the person can mend it."""

    exit_code = EXIT_MISTAKE


class StudyFileError(MistakeError):
    """A study file that does not hold; `problems` lists every mistake found."""

    def __init__(self, text: str, problems: tuple[str, ...] = ()) -> None:
        super().__init__(text)
        self.problems = problems


class DataError(MistakeError):
    """Pictures, folders, tables or masks that cannot be used as they are.

    `cause` names what is wrong in one word, and `facts` gives its numbers, for a page that says it in another language.
    """

    def __init__(self, *args: object, cause: str = "", facts: Mapping[str, float | str] | None = None) -> None:
        super().__init__(*args)
        self.cause = cause
        self.facts: dict[str, float | str] = dict(facts or {})


class ModelError(MistakeError):
    """A network that is unknown, or weights that do not fit it."""


class BundleError(MistakeError):
    """A bundle that is damaged, forged, or none at all."""


class MissingPartError(MistakeError):
    """Something optional (an extra, a file of weights) is not installed."""


class RuleError(EtudeError):
    """Work was stopped by a rule that the person can change."""

    exit_code = EXIT_RULE


class LeakError(RuleError):
    """The same picture, or its near twin, is on both sides of a split."""


class BudgetError(RuleError):
    """The budget of the study is spent."""


class GateError(RuleError):
    """A model that is exported disagrees with the one that was trained, or loses too much."""


class DivergenceError(RuleError):
    """The loss of a training is no longer finite."""


class StorageError(RuleError):
    """The disk is full or cannot be written."""


@contextlib.contextmanager
def mistakes_at(*field: str | int) -> Iterator[None]:
    """Say of the mistakes that come up in a block which field of a study file they belong to.

    Whoever raises a mistake may know better, and say so with `at`.
    """
    try:
        yield
    except MistakeError as error:
        error.at(*field)
        raise


def sentence(owner: str, name: str, rule: str, value: object, remedy: str = "") -> str:
    """Write the one form that all our messages have.

    >>> sentence("split", "validation", "between 0 and 1", 3, "Give a fraction such as 0.1.")
    'split: validation must be between 0 and 1. Got 3. Give a fraction such as 0.1.'
    """
    text = f"{owner}: {name} must be {rule}. Got {value!r}."
    return f"{text} {remedy}" if remedy else text
