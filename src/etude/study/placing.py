"""New pictures placed on the maps of the data that are drawn, which stay as they are.

Shapes: M new pictures, D numbers of a picture, R of its reduced form.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from etude.core.errors import DataError, MistakeError, sentence
from etude.core.machine import usable_threads
from etude.data.prepared import PreparedSet
from etude.explain.records import DataMapRecord
from etude.pictures.prepare import VOID, prepare_picture
from etude.pictures.reading import EXTENSIONS
from etude.study.answered import answer_pictures
from etude.study.arrays import save_arrays, shrink
from etude.study.opened import OpenedRun

PLACED = "placed.npz"


def place_pictures(opened: OpenedRun, target: Path, folder: Path) -> None:
    """Write `placed.npz`: the names of new pictures, the class answered to each, its place on each map, and it small.

    Args:
        opened: the run.
        target: the folder in which its maps lie.
        folder: the new pictures, at any depth; one that cannot be read is left out and named.

    Raises:
        MistakeError: if there is no such folder, or no picture in it can be read.
        MissingPartError: if openTSNE is not installed.
    """
    from etude.explain.maps import Reduced, first_two, place_on_tsne

    record = DataMapRecord.load(target / "map.json")
    names, prepared = _prepare(opened, folder)
    everything = np.arange(len(names))
    answered = answer_pictures(opened, prepared, everything)
    with np.load(target / "space.npz") as space, np.load(target / "map.npz") as drawn:
        side_px = (record.pixels_px, record.pixels_px)
        pixels_MD = shrink(prepared.pictures_NHWC, everything, side_px).reshape(len(names), -1) / 255
        arrays: dict[str, np.ndarray] = {"names": np.array(names), "answers": answered.answers_N}
        spaces: dict[str, np.ndarray] = {"pixels": pixels_MD, "features": answered.features_ND}
        for name, values_MD in spaces.items():
            reduced = Reduced(space[f"{name}.mean"], space[f"{name}.axes"], np.zeros(0, np.float32))
            new_MR = reduced.apply(values_MD.astype(np.float32))
            arrays[f"{name}.pca"] = first_two(new_MR)
            known_NR, map_N2 = space[f"{name}.reduced"], drawn[f"{name}.tsne"]
            is_drawn = bool(np.ptp(map_N2, axis=0).any())  # nothing was told apart: all lies in one place
            arrays[f"{name}.tsne"] = (
                place_on_tsne(map_N2, known_NR, new_MR, threads=usable_threads())
                if is_drawn
                else np.zeros((len(names), 2), np.float32)
            )
    with np.load(target / "thumbs.npz") as thumbs:
        small = shrink(prepared.pictures_NHWC, everything, thumbs["thumbs"].shape[1:3])
    save_arrays(target / PLACED, arrays | {"thumbs": small.round().astype(np.uint8)})


def _prepare(opened: OpenedRun, folder: Path) -> tuple[list[str], PreparedSet]:
    """Read the pictures of a folder as the network takes them; return their names in it too."""
    if not folder.is_dir():
        raise MistakeError(sentence("explain", "--place", "a folder of pictures", str(folder)))
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in EXTENSIONS and path.is_file())
    names, pictures = [], []
    for path in files:
        try:
            pictures.append(prepare_picture(path, opened.job.prepare))
        except DataError as error:
            opened.watch.said(f"left out: {error}")
            continue
        names.append(path.relative_to(folder).as_posix())
    if not names:
        raise MistakeError(sentence("explain", "--place", "a folder with pictures that can be read", str(folder)))
    pictures_MHWC, unknown_M = np.stack(pictures), np.full(len(names), -1)
    is_of_masks = opened.workspace.source.kind == "segmentation"
    masks = np.full(pictures_MHWC.shape[:3], VOID, np.uint8) if is_of_masks else None
    return names, PreparedSet(pictures_MHWC, unknown_M, masks, unknown_M)
