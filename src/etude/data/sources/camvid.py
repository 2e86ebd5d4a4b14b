"""CamVid (Brostow, Fauqueur and Cipolla 2008), in SegNet's layout and in the original one with colour labels.

Frames of one video are a group: the part of the name before `_` names the video.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from etude.core.errors import DataError, sentence
from etude.core.words import Part
from etude.data.sources.paired import (
    Pair,
    PairedSource,
    match_stems,
    note_without_mask,
    read_colours,
    read_ids,
    table_of,
)

CLASSES: Final = (
    "sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car", "pedestrian", "cyclist",
)  # fmt: skip
_FOLDERS: Final = {"train": Part.TRAIN, "val": Part.VALIDATION, "test": Part.TEST}
_ORIGINAL: Final = ("701_StillsRaw_full", "LabeledApproved_full", "label_colors.txt")
_LICENCE: Final = "For research; cite Brostow, Fauqueur and Cipolla, Semantic object classes in video, 2008."
_VOID: Final = len(CLASSES)
"""The id that SegNet's masks give to what is none of the classes."""
# Which of the 32 original labels each of the 11 classes takes in; the others are void.
_ORIGINAL_LABELS: Final = {
    "sky": ("Sky",),
    "building": ("Bridge", "Building", "Wall", "Tunnel", "Archway"),
    "pole": ("Column_Pole", "TrafficCone"),
    "road": ("Road", "LaneMkgsDriv", "LaneMkgsNonDriv"),
    "pavement": ("Sidewalk", "ParkingBlock", "RoadShoulder"),
    "tree": ("Tree", "VegetationMisc"),
    "sign": ("SignSymbol", "Misc_Text", "TrafficLight"),
    "fence": ("Fence",),
    "car": ("Car", "SUVPickupTruck", "Truck_Bus", "Train", "OtherMoving"),
    "pedestrian": ("Pedestrian", "Child", "CartLuggagePram", "Animal"),
    "cyclist": ("Bicyclist", "MotorcycleScooter"),
}


def is_camvid(path: Path) -> bool:
    """Whether a folder is laid out as SegNet's tutorial has it: `train` beside `trainannot`."""
    return (path / "train").is_dir() and (path / "trainannot").is_dir()


def is_camvid_original(path: Path) -> bool:
    """Whether a folder holds the original pictures, colour labels and the table of colours."""
    return all((path / name).exists() for name in _ORIGINAL)


def open_camvid(path: Path, name: str = "") -> PairedSource:
    """Open SegNet's layout, with its parts.

    Args:
        path: the folder of `train`, `trainannot` and so on.
        name: what the source is called.

    Raises:
        DataError: if there is no picture with a mask.
    """
    pairs, without = [], 0
    for folder, part in _FOLDERS.items():
        if (path / folder).is_dir() and (path / f"{folder}annot").is_dir():
            found, missing = match_stems(path / folder, path / f"{folder}annot")
            without += missing
            pairs += [
                Pair(f"{folder}/{picture.name}", f"{folder}annot/{mask.name}", part, _sequence(picture))
                for picture, mask in found
            ]
    read = read_ids(table_of({}, void=(_VOID,)))
    notes = note_without_mask(without)
    return PairedSource(path, name or "camvid", pairs, CLASSES, read, licence=_LICENCE, notes=notes)


def open_camvid_original(path: Path, name: str = "") -> PairedSource:
    """Open the original layout; its 32 labels become the 11 classes, the others void.

    Args:
        path: the folder of `701_StillsRaw_full`, `LabeledApproved_full` and `label_colors.txt`.
        name: what the source is called.

    Raises:
        DataError: if the table of colours lacks a label, or no picture has a mask.
    """
    pictures, masks, colours = _ORIGINAL
    by_label = _read_label_colours(path / colours)
    wanted = {label: number for number, labels in enumerate(_ORIGINAL_LABELS.values()) for label in labels}
    lacking = sorted(set(wanted) - by_label.keys())
    if lacking:
        remedy = "Take the file that comes with the set."
        raise DataError(sentence("data", str(path / colours), "a table of all labels", f"none of {lacking}", remedy))
    found, without = match_stems(path / pictures, path / masks, of_mask="_L")
    pairs = [
        Pair(f"{pictures}/{picture.name}", f"{masks}/{mask.name}", None, _sequence(picture)) for picture, mask in found
    ]
    void = [colour for label, colour in by_label.items() if label not in wanted]
    read = read_colours({by_label[label]: number for label, number in wanted.items()}, void)
    notes = note_without_mask(without)
    return PairedSource(path, name or "camvid", pairs, CLASSES, read, licence=_LICENCE, notes=notes)


def _sequence(picture: Path) -> str:
    """Return the video that a frame is of; of the original names, all up to the number of the frame."""
    return picture.stem.split("_", 1)[0]


def _read_label_colours(path: Path) -> dict[str, tuple[int, int, int]]:
    """Read lines of `red green blue name`."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        remedy = "It comes with the set."
        raise DataError(sentence("data", str(path), "a file that can be read", str(error), remedy)) from error
    found: dict[str, tuple[int, int, int]] = {}
    for number, line in enumerate(lines, 1):
        words = line.split()
        if len(words) < 4 or not all(word.isdigit() and int(word) < 256 for word in words[:3]):
            if not words:
                continue
            rule = "of the form `red green blue name`"
            raise DataError(sentence("data", f"{path}, line {number}", rule, line, "Correct the line."))
        found[words[3]] = (int(words[0]), int(words[1]), int(words[2]))
    return found
