"""What was explained of a run beyond its layers: what it sees, why it answers, how its data lie, where it errs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from etude.core.class_names import rename_classes
from etude.explain.records import (
    ClassSeparation,
    DataMapRecord,
    ErrorsRecord,
    GroupScore,
    PictureRef,
    SightRecord,
)
from etude.figures.gallery import draw_answers
from etude.figures.sight import draw_data_maps, draw_exciting, draw_filters, draw_maps
from etude.report.chapters import Chapter, at_width, exhibit, tell_groups_left, tell_runs
from etude.report.layer_words import name_few, tell_member
from etude.report.mask_errors import tell_mask_errors
from etude.report.messages import mark
from etude.report.tables import ABSENT, Cell, Column, Table
from etude.report.why_words import tell_why
from etude.report.words import Words

_LAYERS_A_FIGURE, _CHANNELS_A_FIGURE = 12, 12
Row = TypeVar("Row")
MAP_WORDS = {
    ("pixels", "pca"): mark("pixels, PCA"),
    ("pixels", "tsne"): mark("pixels, t-SNE"),
    ("features", "pca"): mark("learnt features, PCA"),
    ("features", "tsne"): mark("learnt features, t-SNE"),
}


def gather_chapters(folder: Path, words: Words) -> list[Chapter]:
    """Set out what lies in the folder `explain` of a run.

    A record whose arrays are not beside it, as in a notebook that had no room for them, is told without its figures.

    Raises:
        MistakeError: if a record cannot be read.
    """
    found = []
    for name, tell in _CHAPTERS.items():
        if (folder / f"{name}.json").is_file():
            arrays = _read_arrays(folder / f"{name}.npz")
            chapter = tell(folder / f"{name}.json", arrays or {}, words)
            found.append(_without_figures(chapter, words) if arrays is None else chapter)
    return found


def has_chapters(folder: Path) -> bool:
    """Return whether anything of it lies in the folder `explain` of a run."""
    return any((folder / f"{name}.json").is_file() for name in _CHAPTERS)


def _read_arrays(path: Path) -> dict[str, np.ndarray] | None:
    """Read the arrays that the figures of a chapter are drawn from; none where their file is not there."""
    if not path.is_file():
        return None
    with np.load(path) as arrays:
        return dict(arrays)


def _without_figures(chapter: Chapter, words: Words) -> Chapter:
    """Say of a chapter that its figures are missing."""
    told = words.say("Its figures are left out: the arrays that they are drawn from are not here.")
    return replace(chapter, told=[*chapter.told, told])


def _tell_sight(path: Path, arrays: dict[str, np.ndarray], words: Words) -> Chapter:
    say, record = words.say, rename_classes(SightRecord.load(path), words.called)
    told = [*tell_member(record.member, words), _tell_picture(record.picture, words)]
    if not arrays:
        return Chapter("sight", say("What a layer sees"), told)
    maps = [(name, arrays[f"maps.{place}"].astype(np.float32)) for place, name in enumerate(record.layers)]
    label = say("Feature maps of one picture at several layers")
    caption = say(
        "What layers give for one picture (top left): of each, the channels that vary most, dark to bright, each on a "
        "scale of its own."
    )
    exhibits = [
        exhibit(name, label, partial(at_width, draw_maps, arrays["picture"], dict(part)), f"{caption}{part_told}")
        for name, part, part_told in _in_parts("sight-maps", maps, _LAYERS_A_FIGURE, words)
    ]
    if "filters" in arrays and arrays["filters"].shape[-1] > 1:
        exhibits.append(
            exhibit(
                "sight-filters",
                say("Filters of the first layer"),
                partial(at_width, draw_filters, arrays["filters"]),
                say(
                    "The filters of {layer}, which reads the picture itself, as small pictures around grey.",
                    layer=record.first,
                ),
            )
        )
    else:
        told.append(
            say(
                "There are no filters to show: no convolution reads the colours of the picture, or only one pixel at a "
                "time."
            )
        )
    rows = [
        (f"{entry.layer}, {entry.channel}", list(arrays[f"exciting.{n}"])) for n, entry in enumerate(record.exciting)
    ]
    label = say("Pictures that most excite channels")
    caption = say(
        "For some channels (layer, number), the pictures on which they give the largest numbers, the largest first."
    )
    exhibits += [
        exhibit(name, label, partial(at_width, draw_exciting, part), f"{caption}{part_told}")
        for name, part, part_told in _in_parts("sight-exciting", rows, _CHANNELS_A_FIGURE, words)
    ]
    return Chapter("sight", say("What a layer sees"), told, exhibits)


def _in_parts(name: str, rows: list[Row], most: int, words: Words) -> Iterator[tuple[str, list[Row], str]]:
    """Give the rows of a figure as several figures of at most so many: name, rows, and which part it is in words."""
    n_parts = max(1, math.ceil(len(rows) / most))
    for part, places in enumerate(np.array_split(np.arange(len(rows)), n_parts), 1):
        told = words.say("Part {part} of {parts}.", part=words.count(part), parts=words.count(n_parts))
        own = [rows[place] for place in places]
        yield name if part == 1 else f"{name}-{part}", own, f" {told}" if n_parts > 1 else ""


def _tell_map(path: Path, arrays: dict[str, np.ndarray], words: Words) -> Chapter:
    say, record = words.say, rename_classes(DataMapRecord.load(path), words.called)
    classes = list(record.chance)
    panels = []
    for entry in record.maps if arrays else ():
        heading = say(MAP_WORDS[entry.space, entry.method])
        heading += "" if entry.explained is None else f" ({words.percent(entry.explained, 0)})"
        panels.append((heading, arrays[f"{entry.space}.{entry.method}"]))
    exhibits = [
        exhibit(
            "map",
            say("Maps of the pictures, by pixels and by learnt features"),
            partial(at_width, draw_data_maps, panels, arrays.get("labels"), classes),
            say(
                "Each dot is a picture, in the colour of its class. Near on a t-SNE means alike; distances between heaps mean little. "  # noqa: E501
                "For PCA, the share of the variance that the two axes carry."
            ),
        )
    ]
    told = tell_member(record.member, words)
    told += [say("A picture's class is here the one that most of its pixels have.")] if record.of_masks else []
    openings = {"pixels": say("By their pixels"), "features": say("By learnt features")}
    for space, opening in openings.items():
        told.append(_tell_apart(record.separation.get(space, ()), record.chance, opening, words))
    if record.n_test:
        told.append(
            say(
                "The maps show {n} pictures of all parts, those that the network learnt from among them; which classes "
                "stand apart is measured on the test part alone.",
                n=words.count(record.n),
            )
        )
    if 0 < record.n_judged < record.n_test:
        told.append(
            say(
                "This is measured on {n} of the {of} test pictures, evenly spread.",
                n=words.count(record.n_judged),
                of=words.count(record.n_test),
            )
        )
    if record.n_alone:
        told.append(
            words.say_count(
                "{n} test picture has no neighbour that is not of its group, and is left out of this.",
                "{n} test pictures have no neighbour that is not of their group, and are left out of this.",
                record.n_alone,
            )
        )
    if record.has_kin and record.kin_apart is not None:
        told.append(
            say(
                "Of one group, such as a film, pictures fewer than {n} test pictures apart are no neighbours here: the "
                "next frame says nothing of a class. The intervals are over blocks of so many.",
                n=words.count(record.kin_apart),
            )
        )
    elif record.has_kin:
        told.append(say("Pictures of one group are no neighbours here, and the intervals are over groups."))
    caption = say(
        "Share of a class's test pictures whose nearest other test picture is of the class too, with its 95% interval; "
        "measured in the whole space, not on the flat map."
    )
    tables = [(_tabulate_separation(record.separation, record.chance, say("class"), words), caption)]
    if record.groups:
        exhibits.append(
            exhibit(
                "map-groups",
                say("The same maps, by group"),
                partial(at_width, draw_data_maps, panels, arrays.get("groups"), list(record.groups)),
                say("The same maps, each picture in the colour of its group."),
            )
        )
        caption = say(
            "Share of a group's pictures whose nearest other picture is of the group too, with its 95% interval, over all "  # noqa: E501
            "pictures of the map, trained on or not: where it is high, pictures of one group are near copies of each "
            "other, and a split must keep them together."
        )
        heading = say("group")
        tables.append((_tabulate_separation(record.group_separation, record.group_chance, heading, words), caption))
    return Chapter("map", say("Maps of the data"), told, exhibits if arrays else [], tables)


def _tell_apart(found: Sequence[ClassSeparation], chance: dict[str, float], opening: str, words: Words) -> str:
    """Write which classes stand apart: those whose interval lies above a half, and above chance."""
    apart = [entry.name for entry in found if entry.interval.low > max(0.5, chance[entry.name])]
    mixed = [entry.name for entry in found if entry.interval.high <= max(0.5, chance[entry.name])]
    places = {
        "opening": opening,
        "apart": words.listing(name_few(apart, words)),
        "mixed": words.listing(name_few(mixed, words)),
    }
    if mixed and len(mixed) == len(found):
        return words.say("{opening}, no class stands apart.", opening=opening)
    if not apart and not mixed:
        return words.say("{opening}, no class was shown to stand apart, nor to be mixed with the others.", **places)
    told = words.say("{opening}, no class was shown to stand apart.", opening=opening)
    if apart:
        told = words.say_count(
            "{opening}, one class stands apart: {apart}.",
            "{opening}, {n} classes stand apart: {apart}.",
            len(apart),
            **places,
        )
    if mixed:
        told += " " + words.say_count("One does not: {mixed}.", "{n} do not: {mixed}.", len(mixed), **places)
    return told


def _tabulate_separation(
    separation: dict[str, tuple[ClassSeparation, ...]], chances: dict[str, float], heading: str, words: Words
) -> Table:
    """Set out how well each class or group stands apart; one without a picture is left out."""
    say = words.say
    columns = (
        Column(heading, numeric=False), Column(say("pictures")), Column(say("by chance")),
        Column(say("pixels")), Column(say("95% interval")), Column(say("learnt features")), Column(say("95% interval")),
    )  # fmt: skip
    by_space = {space: {entry.name: entry for entry in entries} for space, entries in separation.items()}
    rows = []
    for name, chance in chances.items():
        if not any(name in entries for entries in by_space.values()):
            continue
        cells = [Cell(name), Cell(ABSENT), Cell(words.percent(chance), chance)]
        for space in ("pixels", "features"):
            entry = by_space.get(space, {}).get(name)
            if entry is None:
                cells += [Cell(ABSENT), Cell(ABSENT)]
                continue
            cells[1] = Cell(words.count(entry.n), entry.n)
            interval = words.interval(
                words.number(100 * entry.interval.low, 1), words.number(100 * entry.interval.high, 1)
            )
            cells += [Cell(words.percent(entry.share), entry.share), Cell(interval, entry.interval.low)]
        rows.append(tuple(cells))
    return Table(columns, tuple(rows))


def _tell_errors(path: Path, arrays: dict[str, np.ndarray], words: Words) -> Chapter:
    say, record = words.say, rename_classes(ErrorsRecord.load(path), words.called)
    exhibits = []
    kinds: list[tuple[str, list[PictureRef], str, str]] = [
        (
            "confident",
            list(record.confident),
            say("The most confident mistakes"),
            say("Wrong answers of this run, the surest first.")
            if record.n_folds == 1
            else say("Wrong answers of the networks that each picture was held out of, the surest first."),
        ),
        (
            "hardest",
            [entry.picture for entry in record.hardest],
            say("The hardest pictures"),
            say("Pictures whose label got the least probability, in the mean over their answers.")
            if record.n_runs > 1
            else say("Pictures whose label got the least probability."),
        ),
        (
            "mislabelled",
            [entry.picture for entry in record.mislabelled] if record.n_runs > 1 else [],  # else its mistakes again
            say("Labels that look wrong"),
            say("All answers to a picture are the same sure one, and it is not the label: one of the two is wrong."),
        ),
    ]
    for name, pictures, label, caption in kinds:
        if name in arrays and pictures:
            exhibits.append(
                exhibit(
                    f"errors-{name}",
                    label,
                    partial(_draw_gallery, arrays[name], pictures, words),
                    f"{label}. {caption}",
                )
            )
    told = [_tell_whose(record, words)]
    if not record.confident:
        told.append(_tell_no_mistake(record, words))
    told += _tell_no_labels(record, words)
    tables = [(_tabulate_groups(record.classes, say("class"), words), say("Right answers by class, the worst first."))]
    if record.groups:
        caption = say("Right answers by group, the worst first.") + tell_groups_left(len(record.groups), words)
        tables.append((_tabulate_groups(record.groups, say("group"), words), caption))
    return Chapter("errors", say("Errors, looked at"), told, exhibits, tables)


def _tell_whose(record: ErrorsRecord, words: Words) -> str:
    """Say whose answers are looked at."""
    if record.n_folds == 1:
        return tell_runs(record.candidate, record.n_runs, words)
    return words.say_count(
        "The answers of {candidate} to the pictures of all {folds} folds, each answered by the network that it was "
        "held out of.",
        "The answers of {candidate} to the pictures of all {folds} folds, each answered by the {n} networks that it "
        "was held out of, taken together.",
        record.n_runs,
        candidate=record.candidate,
        folds=words.count(record.n_folds),
    )


def _tell_no_mistake(record: ErrorsRecord, words: Words) -> str:
    """Say that no mistake is shown; other runs than those whose mistakes are shown may have made some."""
    if all(entry.share == 1 for entry in record.classes):
        return words.say("There is no wrong answer.")
    if record.n_folds > 1:
        return words.say("The networks that were dealt together with the explained one make no mistake.")
    return words.say("The run that is explained makes no mistake.")


def _tell_no_labels(record: ErrorsRecord, words: Words) -> list[str]:
    """Say why no labels that look wrong are shown; nothing where some are."""
    if record.n_runs < 2:
        return [
            words.say(
                "Which labels look wrong is not told: with one answer to each picture, a sure mistake of the network "
                "and a wrong label look alike."
            )
        ]
    if record.mislabelled:
        return []
    return [
        words.say(
            "No label was found that looks wrong: no picture has answers that are all the same sure one, against its "
            "label."
        )
    ]


def _tabulate_groups(groups: Sequence[GroupScore], heading: str, words: Words) -> Table:
    say = words.say
    columns = (
        Column(heading, numeric=False),
        Column(say("pictures")),
        Column(say("right answers")),
        Column(say("95% interval")),
    )
    rows = tuple(
        (
            Cell(group.name),
            Cell(words.count(group.n), group.n),
            Cell(words.percent(group.share), group.share),
            Cell(
                words.interval(words.number(100 * group.interval.low, 1), words.number(100 * group.interval.high, 1)),
                group.interval.low,
            ),
        )
        for group in groups
    )
    return Table(columns, rows)


def _tell_picture(picture: PictureRef, words: Words) -> str:
    """Write what the picture is and what was answered; of one that a person gave, its class is not known."""
    places = {
        "item": picture.item,
        "truth": picture.truth,
        "answer": picture.answer,
        "probability": words.percent(picture.probability),
    }
    if picture.covers is not None:
        places["covers"] = words.percent(picture.covers, 0)
        answer = words.say(
            "The class that is answered most is {answer}: {covers} of the picture, with a probability of {probability} "
            "in the mean.",
            **places,
        )
        if not picture.truth:
            return words.say("The picture is {item}.", **places) + " " + answer
        return words.say("The picture is {item}; most of it is {truth}.", **places) + " " + answer
    if not picture.truth:
        return words.say("The picture is {item}; the answer is {answer} ({probability}).", **places)
    return words.say("The picture is {item}, of class {truth}; the answer is {answer} ({probability}).", **places)


def _draw_gallery(pictures: np.ndarray, refs: Sequence[PictureRef], words: Words, width_in: float) -> Any:  # noqa: ANN401
    names = list(dict.fromkeys(name for ref in refs for name in (ref.truth, ref.answer)))
    return draw_answers(
        list(pictures), [names.index(ref.truth) for ref in refs], [names.index(ref.answer) for ref in refs],
        [ref.probability for ref in refs], names, number=lambda value: words.percent(value, 0),
        instead_of=words.say("true: {truth}", truth="{truth}"), columns=6 if width_in > 5 else 3, width_in=width_in,
    )  # fmt: skip


_CHAPTERS: dict[str, Callable[[Path, dict[str, np.ndarray], Words], Chapter]] = {  # by the name of the record's file
    "sight": _tell_sight,
    "why": tell_why,
    "map": _tell_map,
    "errors": _tell_errors,
    "mask_errors": tell_mask_errors,
}
