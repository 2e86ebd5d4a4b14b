"""What a check leaves behind: `check.json`."""

from __future__ import annotations

from typing import ClassVar, Literal

from etude.core.counting import how_many
from etude.core.records import Config, Record

Severity = Literal["error", "warning", "note"]


class Finding(Config):
    """One thing that was found."""

    kind: str
    """Name of the test, such as `truncated` or `leak-exact`."""
    severity: Severity
    """error: the study's result is not worth its name; warning: look at it; note: good to know."""
    sentence: str
    """What was found, for a person."""
    count: int
    """Pictures concerned."""
    files: tuple[str, ...] = ()
    """Ids of the pictures concerned, the first ones where there are very many."""
    sets: tuple[tuple[str, ...], ...] = ()
    """Ids of pictures that belong together: twins, or a leaked picture and what it is a twin of."""


class FoldLeaks(Config):
    """What one fold of the split leaks."""

    test: tuple[str, ...] = ()
    """Test pictures of which training or validation holds a twin or another frame."""
    validation: tuple[str, ...] = ()
    """Validation pictures of which training holds one."""
    dropped: tuple[str, ...] = ()
    """Pictures that `on_leak: drop` takes out of training, or out of validation where test holds a twin."""
    n_test: int = 0
    """Pictures of the test part."""


class CheckRecord(Record):
    """What was looked at and what was found (`check.json`)."""

    FORMAT: ClassVar[int] = 1

    source: str
    """Name of the source."""
    key: str = ""
    """Hash of the pictures, the split and the limits: the same key, the same findings."""
    n_items: int
    """Pictures of the source."""
    n_checked: int
    """Pictures that were looked at."""
    counts: dict[str, int]
    """Pictures by class."""
    pixels: dict[str, int] = {}
    """Of masks, pixels by class at their own size, void left out; empty for others and in earlier records."""
    class_weights: dict[str, dict[str, float]] = {}
    """Of masks, the weight of each class by way of `train.class_weights`, were all these pixels trained on."""
    sizes: dict[str, int]
    """Pictures by size, such as 64x48 (width × height); the most frequent ones."""
    findings: tuple[Finding, ...]
    """What was found, the gravest first."""
    leaks: tuple[FoldLeaks, ...] = ()
    """What each fold leaks; none where no split was checked."""
    skipped: tuple[str, ...] = ()
    """A sentence for each test that was left out."""

    @property
    def looked_at(self) -> str:
        """How many of the pictures were looked at, in a sentence."""
        were = "was" if self.n_checked == 1 else "were"
        return f"{self.n_checked:,} of {how_many(self.n_items, 'picture')} {were} looked at."

    @property
    def leaks_any(self) -> bool:
        """Whether any fold leaks."""
        return any(fold.test or fold.validation for fold in self.leaks)
