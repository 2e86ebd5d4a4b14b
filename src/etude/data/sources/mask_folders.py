"""Folders of pictures and of masks: `images/` beside `masks/`, flat or with a folder for each part.

`classes.txt` beside them names a class a line, in the order of the ids; with three numbers after the name
(`road 128 64 128`) masks hold these colours instead of ids; black is void, and so is each colour after a `-`
(`- 224 224 192`). A mask has the stem of its picture.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from etude.core.errors import DataError, sentence
from etude.core.words import Part
from etude.data.items import part_named
from etude.data.sources.paired import (
    MaskReader,
    Pair,
    PairedSource,
    match_stems,
    note_without_mask,
    read_colours,
    read_ids,
)
from etude.pictures.palette import RGB
from etude.pictures.prepare import VOID

PICTURES: Final = ("images", "image", "imgs")
MASKS: Final = ("masks", "mask", "labels", "annotations")
_NO_CLASS: Final = "-"
"""What stands in the place of a name before a colour that is void."""


def is_mask_folder(path: Path) -> bool:
    """Whether a folder holds pictures beside masks and names the classes."""
    has_both = _one_of(path, PICTURES) is not None and _one_of(path, MASKS) is not None
    return has_both and _names(path).is_file()


def open_mask_folder(path: Path, name: str = "") -> PairedSource:
    """Open folders of pictures and masks.

    Args:
        path: the folder of `images`, `masks` and `classes.txt`.
        name: what the source is called.

    Raises:
        DataError: if `classes.txt` does not hold, or no picture has a mask.
    """
    pictures, masks = _one_of(path, PICTURES), _one_of(path, MASKS)
    if pictures is None or masks is None:
        remedy = "Put the pictures into images/ and the masks into masks/."
        raise DataError(sentence("data", str(path), "a folder with pictures and masks", "neither or one", remedy))
    classes, read, ids_by = _read_classes(_names(path))
    folders = _parts(pictures)
    pairs, without = [], 0
    for below, part in folders.items():
        found, missing = match_stems(pictures / below, masks / below)
        without += missing
        pairs += [Pair(_id(picture, path), _id(mask, path), part) for picture, mask in found]
    return PairedSource(
        path, name or path.resolve().name, pairs, classes, read, notes=note_without_mask(without), ids_by=ids_by
    )


def _parts(pictures: Path) -> dict[str, Part | None]:
    """Return the folders of the parts; the folder itself where it names no training part beside another."""
    parts = {entry.name: part_named(entry.name) for entry in sorted(pictures.iterdir()) if entry.is_dir()}
    named: dict[str, Part | None] = {name: part for name, part in parts.items() if part is not None}
    return named if Part.TRAIN in named.values() and len(set(named.values())) > 1 else {"": None}


def _read_classes(path: Path) -> tuple[list[str], MaskReader, str]:
    """Read the names of the classes, and their colours if they have any: names, reader, and the colours in words."""
    try:
        lines = [line.split() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            sentence("data", str(path), "a text of class names", str(error), "Save it as UTF-8.")
        ) from error
    names: list[str] = []
    colours: dict[RGB, int] = {}
    void: list[RGB] = []
    for words in lines:
        numbers = [int(word) for word in words[-3:] if word.isdigit() and int(word) < 256]
        if len(words) > 3 and len(numbers) == 3:
            colour = (numbers[0], numbers[1], numbers[2])
            if words[:-3] == [_NO_CLASS]:
                void.append(colour)
                continue
            colours[colour] = len(names)
            words = words[:-3]
        names.append(" ".join(words))
    are_of_colours = len(colours) == len(names) and not colours.keys() & set(void)
    are_of_ids = not colours and not void
    if not 2 <= len(names) <= VOID or len(set(names)) < len(names) or not (are_of_colours or are_of_ids):
        rule = "two to 255 different class names, one a line, all or none with a colour of its own"
        raise DataError(sentence("data", str(path), rule, names[:10], "Write them in the order of the ids."))
    if colours:
        return names, read_colours(colours, void), f"{sorted(colours.items())} {sorted(void)}"
    # Ids stay as they are: the data check tells those that name no class.
    return names, read_ids(np.arange(256, dtype=np.uint8)), ""


def _one_of(path: Path, names: tuple[str, ...]) -> Path | None:
    return next((path / name for name in names if (path / name).is_dir()), None)


def _names(path: Path) -> Path:
    return path / "classes.txt"


def _id(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()
