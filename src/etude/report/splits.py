"""How the pictures were parted, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from etude.core.study_record import StudyRecord
from etude.report.messages import mark
from etude.report.words import Words

TEST_WORDS = {
    "auto": mark(
        "The test part is the source's own; where it has none, about {test} of the pictures are drawn for it, and "
        "whole groups where there are groups."
    ),
    "official": mark("The test part is the source's own."),
    "random": mark("About {test} of the pictures of each class are drawn for the test part."),
    "group": mark(
        "Whole groups that make up about {test} of the pictures are drawn for the test part: no group is on two sides."
    ),
    "blocks": mark("Each sequence is cut into stretches of time; about {test} of it are for the test part."),
}
"""Where the test part comes from, by kind of split."""
TEST_WORDS_OF_MASKS = TEST_WORDS | {
    "random": mark("About {test} of the pictures are drawn for the test part, whatever they show."),
}
"""The same of masks: a picture has many classes, and none that it could be drawn by."""


def tell_split(split: Mapping[str, Any], words: Words, *, of_masks: bool = False) -> list[str]:
    """Say in sentences how the pictures were parted.

    Args:
        split: `data.split` as it was resolved; fields that are not there are passed over.
        words: the language.
        of_masks: whether pictures have masks, so that nothing is drawn by class.

    Returns:
        Where the test part comes from, then validation, then what else was asked for; a kind that is not known stands
        as it is.
    """
    return [
        sentence
        for tell in (_tell_test, _tell_validation, _tell_left_out, _tell_draw)
        for sentence in tell(split, words, of_masks)
    ]


def tell_folds(record: StudyRecord, words: Words) -> str:
    """Say how many folds the runs of a study are of, and how often these were drawn; empty where there are none."""
    n_splits, repeats = len({ref.fold for ref in record.runs} - {None}), record.n_repeats
    splits = words.count(n_splits)
    if n_splits == 0:
        return ""
    if repeats == 1:
        return words.say_count("{n} fold", "{n} folds", n_splits)
    if repeats == 2:
        return words.say_count(
            "{n} fold, drawn twice ({splits} splits)",
            "{n} folds, drawn twice ({splits} splits)",
            n_splits // repeats,
            splits=splits,
        )
    return words.say_count(
        "{n} fold, drawn {repeats} times ({splits} splits)",
        "{n} folds, drawn {repeats} times ({splits} splits)",
        n_splits // repeats,
        repeats=words.count(repeats),
        splits=splits,
    )


def list_folds(record: StudyRecord, words: Words) -> str:
    """Return the numbers of a study's folds, after how often they were drawn where that is more than once."""
    numbers = ", ".join(map(str, sorted({ref.fold for ref in record.runs if ref.fold is not None})))
    if record.n_repeats == 1:
        return numbers
    return words.say("{name}: {told}", name=tell_folds(record, words), told=numbers)


def _tell_test(split: Mapping[str, Any], words: Words, of_masks: bool) -> Iterator[str]:
    kind = str(split.get("kind", "auto"))
    texts = TEST_WORDS_OF_MASKS if of_masks else TEST_WORDS
    if kind in texts:
        yield words.say(texts[kind], test=words.percent(split.get("test") or 0.0, 0))
    elif kind == "kfold" and of_masks:
        yield words.say_count(
            "The pictures are dealt to {n} fold; each fold is the test part once.",
            "The pictures are dealt to {n} folds; each fold is the test part once.",
            int(split.get("folds") or 0),
        )
    elif kind == "stratified-group-kfold" and of_masks:
        yield words.say_count(
            "Whole groups are dealt to {n} fold; each fold is the test part once, and no group is on two sides.",
            "Whole groups are dealt to {n} folds; each fold is the test part once, and no group is on two sides.",
            int(split.get("folds") or 0),
        )
    elif kind == "kfold":
        yield words.say_count(
            "The pictures of each class are dealt to {n} fold; each fold is the test part once.",
            "The pictures of each class are dealt to {n} folds; each fold is the test part once.",
            int(split.get("folds") or 0),
        )
    elif kind == "stratified-group-kfold":
        yield words.say_count(
            "Whole groups are dealt to {n} fold, classes in proportion; each fold is the test part once, and no group "
            "is on two sides.",
            "Whole groups are dealt to {n} folds, classes in proportion; each fold is the test part once, and no group "
            "is on two sides.",
            int(split.get("folds") or 0),
        )
    else:
        yield kind
    if (repeats := int(split.get("repeats") or 1)) > 1 and "fold" in kind:
        splits = words.count(repeats * int(split.get("folds") or 0))
        if repeats == 2:
            yield words.say("The folds are drawn twice ({splits} splits).", splits=splits)
        else:
            repeated = words.count(repeats)
            yield words.say("The folds are drawn {repeats} times ({splits} splits).", repeats=repeated, splits=splits)


def _tell_validation(split: Mapping[str, Any], words: Words, _of_masks: bool) -> Iterator[str]:
    share = split.get("validation")
    if share is None:
        return
    places = {"share": words.percent(share, 0)}
    if not share:
        yield words.say("No picture is kept for validation.")
    elif split.get("kind") in ("official", "auto") and split.get("validation_by") == "blocks":
        yield words.say(
            "Validation is the source's own part where that is not the test part; otherwise a stretch of time of each "
            "sequence, about {share}.",
            **places,
        )
    elif split.get("kind") in ("official", "auto"):
        yield words.say(
            "Validation is the source's own part; where it has none, about {share} of what the test part leaves.",
            **places,
        )
    elif split.get("kind") == "blocks" or split.get("validation_by") == "blocks":
        yield words.say("Validation is a stretch of time of each sequence, about {share}.", **places)
    else:
        yield words.say("Validation is about {share} of what the test part leaves.", **places)


def _tell_left_out(split: Mapping[str, Any], words: Words, of_masks: bool) -> Iterator[str]:
    if gap := int(split.get("gap") or 0):
        yield words.say_count(
            "{n} frame is left out where two stretches meet.", "{n} frames are left out where two stretches meet.", gap
        )
    if groups := split.get("leave_out"):
        yield words.say(
            "No picture of {groups} is trained or validated on.", groups=words.listing(str(name) for name in groups)
        )
    if (kept := split.get("train_items")) is not None and of_masks:
        yield words.say_count(
            "Of the training part {n} picture is kept, drawn whatever it shows.",
            "Of the training part {n} pictures are kept, drawn whatever they show.",
            int(kept),
        )
    elif kept is not None:
        yield words.say_count(
            "Of the training part {n} picture is kept, classes in proportion.",
            "Of the training part {n} pictures are kept, classes in proportion.",
            int(kept),
        )


def _tell_draw(split: Mapping[str, Any], words: Words, _of_masks: bool) -> Iterator[str]:
    if split.get("seed") is not None:
        yield words.say("What is drawn is drawn with seed {seed}.", seed=split["seed"])
