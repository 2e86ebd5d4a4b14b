"""Splits: train, validation and test, drawn once, written down, and read by every later run.

The test part is taken first (as the source says, drawn, or fold by fold), and validation is cut from what remains.
Counts keep the proportions of the classes to within one picture. With groups, a group is never parted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from etude.core.errors import DataError, sentence
from etude.core.records import Config
from etude.core.registry import unknown
from etude.core.seeds import derive
from etude.core.texts import number_texts
from etude.core.words import Part
from etude.data.apportion import apportion, assign_groups, count_by_group, deal
from etude.data.blocks import cut_blocks
from etude.data.items import Indices, Items
from etude.data.split_file import read_split, split_digest, write_split

__all__ = ["Parts", "SplitConfig", "make_splits", "read_split", "split_digest", "write_split"]

Parts = npt.NDArray[np.int8]
"""(N,) values of `etude.core.words.Part`, one a picture."""
SplitKind = Literal["auto", "official", "random", "group", "blocks", "kfold", "stratified-group-kfold"]


class SplitConfig(Config):
    """How pictures are parted into train, validation and test."""

    kind: SplitKind = "auto"
    """Where the test part comes from. `auto`: `official` where the source has parts, else `group` where it has groups,
    else `random`. `blocks` cuts each sequence (group) into stretches of time."""
    validation: float = Field(default=0.1, ge=0, lt=1)
    """Fraction of what the test part leaves, on which choices are made."""
    test: float = Field(default=0.2, gt=0, lt=1)
    """Fraction of all pictures, for `random`, `group` and `blocks`."""
    seed: int = 0
    """Seed of the draw."""
    folds: int = Field(default=5, ge=2, le=1000)
    """Number of folds, for `kfold` and `stratified-group-kfold`."""
    repeats: int = Field(default=1, ge=1, le=1000)
    """How many times the folds are drawn."""
    gap: int = Field(default=0, ge=0)
    """Frames left out where two stretches of a sequence meet, for `blocks`: neighbours look alike."""
    validation_by: Literal["auto", "blocks"] = "auto"
    """How validation is cut from what the test part leaves. `auto`: by class, or whole groups where there are groups;
    `blocks`: a stretch of time of each sequence, for sets of few sequences."""
    leave_out: tuple[str, ...] = ()
    """Groups of which no picture is trained or validated on, such as the sequence that the test part is of."""
    train_items: int | None = Field(default=None, ge=1)
    """Keep only this many pictures of the training part, classes in proportion."""


def make_splits(
    items: Items, n_classes: int, config: SplitConfig, *, classes: Sequence[str] | None = None
) -> list[Parts]:
    """Draw the split.

    Pictures without a label are left out, unless none has one (segmentation): then there is nothing to stratify by.
    Folds are drawn from all labelled pictures, whatever their official part.

    Args:
        items: the pictures.
        n_classes: number of classes.
        config: the kind of split, its fractions and seed.
        classes: the names of the classes, for errors.

    Returns:
        One array (N,) of parts for each fold of each repeat; a single one where there are no folds.

    Raises:
        DataError: if there are too few pictures or groups for it.
    """
    return list(_Draw.of(items, n_classes, config, classes).splits())


@dataclass(frozen=True)
class _Draw:
    """One draw of a split; `labels` are what is stratified by, `usable` the positions of the pictures to part."""

    items: Items
    labels: npt.NDArray[np.int32]
    usable: Indices
    names: Sequence[str]
    config: SplitConfig
    kind: SplitKind

    @classmethod
    def of(cls, items: Items, n_classes: int, config: SplitConfig, classes: Sequence[str] | None) -> _Draw:
        """Choose what is split, and by what."""
        names = classes if classes is not None else [str(number) for number in range(n_classes)]
        labels, usable = items.labels, np.flatnonzero(items.labels >= 0)
        if len(usable) == 0:
            labels, usable = np.zeros(len(items), np.int32), np.arange(len(items))
        if len(usable) == 0:
            raise DataError(sentence("split", "the source", "a source with pictures", 0, "Add pictures."))
        return cls(items, labels, usable, names, config, resolve_kind(items, config.kind))

    def splits(self) -> Iterator[Parts]:
        """Draw one array of parts after another."""
        if self.kind == "official":
            yield self._official()
        elif self.kind == "blocks":
            yield self._blocks()
        elif self.kind in ("random", "group"):
            test = self._cut(self.usable, self.config.test, 2, "test", by_group=self.kind == "group")
            yield self._complete(self.usable, test, "0")
        else:
            for repeat in range(self.config.repeats):
                fold_of = self._fold_of(repeat)
                for fold in range(self.config.folds):
                    yield self._complete(self.usable, self.usable[fold_of == fold], f"{repeat}/{fold}")

    def _official(self) -> Parts:
        """Take the source's parts; where it has no labelled test part, its validation part is the test part."""
        assert self.items.official is not None
        official = self.items.official[self.usable]
        train, validation, test = (self.usable[official == part] for part in (Part.TRAIN, Part.VALIDATION, Part.TEST))
        if len(test) == 0:
            test, validation = validation, test
        for word, part in (("train", train), ("test", test)):
            if len(part) == 0:
                remedy = "Use `random` to draw the parts."
                raise DataError(sentence("split", f"official {word} part", "a part with labelled pictures", 0, remedy))
        if len(validation) == 0:
            return self._complete(np.concatenate([train, test]), test, "0")
        return self._parts(self._without(train), self._without(validation), test, "0")

    def _blocks(self) -> Parts:
        """Cut each sequence into stretches of time."""
        assert self.items.groups is not None
        config = self.config
        cut = cut_blocks(
            self.items.ids[self.usable],
            self.items.groups[self.usable],
            validation=config.validation,
            test=config.test,
            gap=config.gap,
            rng=self._generator("blocks"),
        )
        train, validation, test = (self.usable[cut == part] for part in (Part.TRAIN, Part.VALIDATION, Part.TEST))
        for word, part in (("train", train), ("test", test)):
            if len(part) == 0:
                remedy = "Take a smaller gap or another fraction, or use `group`: the sequences are too short."
                raise DataError(sentence("split", f"{word} part", "a part with pictures", 0, remedy))
        return self._parts(train, validation, test, "0")

    def _complete(self, usable: Indices, test: Indices, word: str) -> Parts:
        """Cut validation from what the test part leaves; the rest is the training part."""
        rest = self._without(np.setdiff1d(usable, test))
        if self.config.validation_by == "blocks":
            return self._parts(*self._cut_stretch(rest, f"validation/{word}"), test, word)
        by_group = self.items.groups is not None and self.kind not in ("random", "kfold")
        validation = self._cut(rest, self.config.validation, 1, f"validation/{word}", by_group=by_group)
        return self._parts(np.setdiff1d(rest, validation), validation, test, word)

    def _without(self, indices: Indices) -> Indices:
        """Take away the pictures of groups that are to be left out."""
        if not self.config.leave_out:
            return indices
        groups = self.items.groups
        known = [] if groups is None else sorted(set(groups[self.usable].tolist()))
        for name in self.config.leave_out:
            if name not in known:
                raise DataError(unknown("split.leave_out", name, known)).at("data", "split", "leave_out")
        assert groups is not None
        return indices[~np.isin(groups[indices].astype(object), np.array(self.config.leave_out, object))]

    def _cut_stretch(self, rest: Indices, word: str) -> tuple[Indices, Indices]:
        """Cut a stretch of time of each sequence: return what is left for training, and the stretches."""
        if self.items.groups is None:
            remedy = "Leave it out, or use a source with sequences."
            raise DataError(
                sentence("split", "validation_by", "auto, as the source gives no groups", "blocks", remedy)
            ).at("data", "split", "validation_by")
        cut = cut_blocks(
            self.items.ids[rest],
            self.items.groups[rest],
            validation=self.config.validation,
            test=0.0,
            gap=self.config.gap,
            rng=self._generator(word),
        )
        return rest[cut == Part.TRAIN], rest[cut == Part.VALIDATION]

    def _parts(self, train: Indices, validation: Indices, test: Indices, word: str) -> Parts:
        """Write the parts down, after a look at the training part."""
        missing = np.setdiff1d(self.labels[self.usable], self.labels[train])
        if len(missing):
            found = f"no picture of {self.names[missing[0]]}"
            remedy = "Draw with another seed, or with a kind of split that does not keep groups whole."
            raise DataError(sentence("split", "train", "a part with pictures of every class", found, remedy))
        parts = np.full(len(self.items), Part.LEFT_OUT, np.int8)
        parts[validation], parts[test] = Part.VALIDATION, Part.TEST
        parts[self._fewer(train, word)] = Part.TRAIN
        return parts

    def _generator(self, *words: object) -> np.random.Generator:
        """Return the generator of one named draw."""
        return np.random.Generator(np.random.PCG64(derive(self.config.seed, "split", *words)))

    def _cut(self, indices: Indices, fraction: float, keep: int, word: str, *, by_group: bool) -> Indices:
        """Draw a fraction of pictures, by class or by group, leaving `keep` pictures a class, or `keep` groups."""
        if fraction == 0:
            return np.empty(0, np.int64)
        if by_group:
            return self._cut_groups(indices, fraction, keep, word)
        counts = np.bincount(self.labels[indices], minlength=len(self.names))
        for name, count in zip(self.names, counts, strict=True):
            if 0 < count < 1 + keep:
                remedy = "Add pictures of the class, or take it away."
                rule = f"a part with a picture of {name} that leaves {keep} or more"
                raise DataError(sentence("split", word.split("/")[0], rule, f"{count} in all", remedy)).at(
                    "data", "split", word.split("/")[0]
                )
        wanted = apportion(counts, round(fraction * len(indices)))
        wanted = np.where(counts > 0, np.clip(wanted, 1, np.maximum(1, counts - keep)), 0)
        return self._draw(indices, wanted, word)

    def _draw(self, indices: Indices, wanted: npt.NDArray[np.int64], word: str) -> Indices:
        """Draw `wanted[c]` of the pictures of each class c."""
        rng = self._generator(word)
        drawn = [
            rng.permutation(indices[self.labels[indices] == number])[: wanted[number]]
            for number in np.flatnonzero(wanted)
        ]
        return np.sort(np.concatenate(drawn))

    def _cut_groups(self, indices: Indices, fraction: float, keep: int, word: str) -> Indices:
        """Draw whole groups that make up about a fraction of the pictures of each class."""
        assert self.items.groups is not None
        names, group_of = number_texts(self.items.groups[indices])
        if len(names) < 1 + keep:
            rule = f"a part of one group or more that leaves {keep} or more"
            remedy = "Give more groups, or use a kind of split without groups."
            raise DataError(sentence("split", word.split("/")[0], rule, f"{len(names)} in all", remedy)).at(
                "data", "split", word.split("/")[0]
            )
        counts = count_by_group(group_of, self.labels[indices], len(self.names))
        shares = np.array([fraction, 1 - fraction])
        chosen = assign_groups(counts, shares, np.array([1, keep]), self._generator(word)) == 0
        drawn: Indices = indices[chosen[group_of]]
        return drawn

    def _fold_of(self, repeat: int) -> npt.NDArray[np.int64]:
        """Return the fold of each usable picture."""
        rng = self._generator("folds", repeat)
        n_folds, labels = self.config.folds, self.labels[self.usable]
        if self.kind == "kfold":
            counts = np.bincount(labels, minlength=len(self.names))
            smallest = int(counts[counts > 0].min())
            if n_folds > smallest:
                rule = f"at most {smallest}, the size of the smallest class"
                raise DataError(
                    sentence("split", "folds", rule, n_folds, "Take fewer, or add pictures of that class.")
                ).at("data", "split", "folds")
            return deal(labels, n_folds, rng)
        assert self.items.groups is not None
        names, group_of = number_texts(self.items.groups[self.usable])
        if n_folds > len(names):
            rule = f"at most {len(names)}, the number of groups"
            raise DataError(sentence("split", "folds", rule, n_folds, "Take fewer, or give more groups.")).at(
                "data", "split", "folds"
            )
        counts = count_by_group(group_of, labels, len(self.names))
        # What one of two folds leaves must still be cut in two: a group for validation, and one to train on.
        at_least = np.full(n_folds, 2 if n_folds == 2 and len(names) >= 4 else 1)
        shares = np.full(n_folds, 1 / n_folds)
        fold_of: npt.NDArray[np.int64] = assign_groups(counts, shares, at_least, rng)[group_of]
        return fold_of

    def _fewer(self, train: Indices, word: str) -> Indices:
        """Keep `train_items` pictures of the training part."""
        n_kept = self.config.train_items
        if n_kept is None:
            return train
        counts = np.bincount(self.labels[train], minlength=len(self.names))
        n_present = int(np.count_nonzero(counts))
        if not n_present <= n_kept <= len(train):
            rule = f"between {n_present} (one picture a class) and {len(train)} (the training part)"
            raise DataError(sentence("split", "train_items", rule, n_kept)).at("data", "split", "train_items")
        wanted = apportion(counts, n_kept)
        while (absent := (wanted == 0) & (counts > 0)).any():  # a rare class keeps one picture, the largest gives it
            wanted[np.argmax(wanted)] -= 1
            wanted[np.argmax(absent)] += 1
        return self._draw(train, wanted, f"train_items/{word}")


def resolve_kind(items: Items, kind: SplitKind) -> SplitKind:
    """Choose the kind for `auto`, and check that the source has what the kind needs.

    Raises:
        DataError: naming what the source lacks.
    """
    has_parts = items.official is not None and bool(np.isin(items.official, (Part.TEST, Part.VALIDATION)).any())
    if kind == "auto":
        return "official" if has_parts else "random" if items.groups is None else "group"
    if kind == "official" and not has_parts:
        remedy = "Use `random`, or `group` where pictures belong together."
        raise DataError(
            sentence("split", "kind", "one that needs no parts, as the source gives none", kind, remedy)
        ).at("data", "split", "kind")
    if kind in ("group", "blocks", "stratified-group-kfold") and items.groups is None:
        remedy = "Use `random` or `kfold`, or a CSV file with a column `group`."
        raise DataError(
            sentence("split", "kind", "one that needs no groups, as the source gives none", kind, remedy)
        ).at("data", "split", "kind")
    return kind
