"""Cityscapes (Cordts et al. 2016, https://www.cityscapes-dataset.com): fine annotations, by class or by category.

The labels of the official test part are not public: its official validation part is the test part here, and validation
is cut from training, city by city.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

from etude.core.errors import DataError, sentence
from etude.core.words import Part
from etude.data.sources.paired import Pair, PairedSource, match_stems, note_without_mask, read_ids, table_of

Labels = Literal["classes", "categories"]

CLASSES: Final = {
    "road": 7, "sidewalk": 8, "building": 11, "wall": 12, "fence": 13, "pole": 17, "traffic light": 19,
    "traffic sign": 20, "vegetation": 21, "terrain": 22, "sky": 23, "person": 24, "rider": 25, "car": 26, "truck": 27,
    "bus": 28, "train": 31, "motorcycle": 32, "bicycle": 33,
}  # fmt: skip
"""The 19 classes that are scored, and the id of each in `*_labelIds.png`; the other ids up to 33 are void."""
CATEGORIES: Final = {
    "void": range(7), "flat": range(7, 11), "construction": range(11, 17), "object": range(17, 21),
    "nature": range(21, 23), "sky": range(23, 24), "human": range(24, 26), "vehicle": range(26, 34),
}  # fmt: skip
"""The 8 categories, and the ids that each takes in."""
_IDS: Final = range(34)
"""All ids of `*_labelIds.png`, void ones among them."""
_PARTS: Final = {"train": Part.TRAIN, "val": Part.TEST}
_LICENCE: Final = "Cityscapes terms of use: non-commercial; cite Cordts et al. 2016."


def is_cityscapes(path: Path) -> bool:
    """Whether a folder holds the official pictures and fine annotations."""
    return (path / "leftImg8bit").is_dir() and (path / "gtFine").is_dir()


def open_cityscapes(path: Path, name: str = "", *, labels: Labels = "classes") -> PairedSource:
    """Open the official folders.

    Args:
        path: the folder of `leftImg8bit` and `gtFine`.
        name: what the source is called.
        labels: the 19 `classes`, or the 8 `categories`.

    Raises:
        DataError: if there is no picture with a mask.
    """
    pairs, without = [], 0
    for folder, part in _PARTS.items():
        for city in _cities(path / "leftImg8bit" / folder):
            masks = path / "gtFine" / folder / city.name
            found, missing = match_stems(city, masks, ending="_leftImg8bit", of_mask="_gtFine_labelIds")
            without += missing
            pairs += [
                Pair(_below(picture, path), _below(mask, path), part, f"{folder}/{city.name}")
                for picture, mask in found
            ]
    notes = [*note_without_mask(without)]
    if (path / "leftImg8bit" / "test").is_dir():
        notes.append("The official test part is left out, as its labels are not public; the official val is the test.")
    if labels == "classes":
        places = {number: place for place, number in enumerate(CLASSES.values())}
        names, table = tuple(CLASSES), table_of(places, void=[number for number in _IDS if number not in places])
    else:
        names = tuple(CATEGORIES)
        table = table_of({number: place for place, ids in enumerate(CATEGORIES.values()) for number in ids}, void=())
    return PairedSource(path, name or "cityscapes", pairs, names, read_ids(table), licence=_LICENCE, notes=notes)


def _cities(folder: Path) -> list[Path]:
    """Return the folders of the cities of a part."""
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir())
    except OSError as error:
        remedy = "Unpack leftImg8bit_trainvaltest.zip and gtFine_trainvaltest.zip side by side."
        raise DataError(sentence("data", str(folder), "a folder of cities", str(error), remedy)) from error


def _below(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()
