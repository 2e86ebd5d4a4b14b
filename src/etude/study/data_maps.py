"""How the pictures of a study lie: by their pixels and by what a finished network learnt, as maps and as numbers."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from etude.core.machine import usable_threads
from etude.core.texts import number_texts
from etude.core.words import Part
from etude.explain.records import DataMapRecord, MapRecord
from etude.study.answered import answer_pictures
from etude.study.arrays import save_arrays, shrink
from etude.study.opened import OpenedRun, Wishes, spread
from etude.study.placing import PLACED, place_pictures

_PIXELS_PX, _THUMB_PX = 32, 28
_MOST_GROUPS = 24
"""With more groups than this no colour tells them apart, and most hold too few pictures to say anything."""


_FILES = ("map.json", "map.npz", "space.npz", "thumbs.npz")


def explain_map(opened: OpenedRun, target: Path, wishes: Wishes) -> None:
    """Draw the maps of the data, and place new pictures on them: on those that are drawn, where pictures are given.

    Raises:
        MistakeError: if there is no such folder of new pictures, or none in it can be read.
    """
    if wishes.place is None or not all((target / name).is_file() for name in _FILES):
        _draw_maps(opened, target, wishes.pictures)
        (target / PLACED).unlink(missing_ok=True)  # what was placed lies on the maps of before
    if wishes.place is not None:
        place_pictures(opened, target, wishes.place)


def _draw_maps(opened: OpenedRun, target: Path, n_pictures: int) -> None:
    """Write `map.json`, `map.npz`, what new pictures are placed by (`space.npz`) and small pictures (`thumbs.npz`).

    Of masks, the features of a picture are the means of the maps at the layer at which Grad-CAM is taken, and its class
    is the one that most of its pixels have; pictures that are void all over are left out.
    """
    from etude.explain.maps import Kin, draw_tsne, first_two, reduce_space, separate_classes

    started = time.perf_counter()
    classes = opened.job.classes
    parts = {name: opened.own_job.parts(name) for name in ("train", "validation", "test")}
    chosen = _choose({name: len(prepared) for name, prepared in parts.items()}, n_pictures)
    answered = {name: answer_pictures(opened, parts[name], places) for name, places in chosen.items()}
    for name, found in answered.items():
        chosen[name] = chosen[name][found.labels_N >= 0]
    labels_N = np.concatenate([found.labels_N[found.labels_N >= 0] for found in answered.values()])
    answers_N = np.concatenate([found.answers_N[found.labels_N >= 0] for found in answered.values()])
    features_ND = np.concatenate([found.features_ND[found.labels_N >= 0] for found in answered.values()])

    def small(side_px: int) -> np.ndarray:
        size_px = (side_px, side_px)
        return np.concatenate([shrink(parts[name].pictures_NHWC, own, size_px) for name, own in chosen.items()])

    spaces = {"pixels": small(_PIXELS_PX).reshape(len(labels_N), -1) / 255, "features": features_ND}
    parts_N = np.concatenate([np.full(len(own), Part[name.upper()], np.int8) for name, own in chosen.items()])
    judged = np.flatnonzero(parts_N == Part.TEST)  # those that nothing was learnt from
    indices_N = np.concatenate([parts[name].indices_N[own] for name, own in chosen.items()])
    groups, groups_N = _groups(opened, indices_N)
    known = opened.workspace.source.items.groups
    kin = None if known is None else Kin.of(number_texts(np.array(known[indices_N[judged]].tolist()))[1])
    maps, separation, group_separation = [], {}, {}
    arrays: dict[str, np.ndarray] = {"labels": labels_N, "answers": answers_N, "parts": parts_N, "groups": groups_N}
    arrays["ids"] = np.array(opened.workspace.item_ids(indices_N).tolist())
    kept: dict[str, np.ndarray] = {}  # what new pictures are placed by
    for space, values_ND in spaces.items():
        values_ND = values_ND.astype(np.float32)
        reduced = reduce_space(values_ND)
        reduced_NR = reduced.apply(values_ND)
        kept |= {f"{space}.mean": reduced.mean_D, f"{space}.axes": reduced.axes_RD, f"{space}.reduced": reduced_NR}
        arrays[f"{space}.pca"] = first_two(reduced_NR)
        arrays[f"{space}.tsne"] = draw_tsne(reduced_NR, threads=usable_threads())
        maps.append(MapRecord(space=space, method="pca", explained=float(reduced.explained_R[:2].sum())))
        maps.append(MapRecord(space=space, method="tsne"))
        separation[space] = separate_classes(values_ND[judged], labels_N[judged], classes, kin)
        if groups:
            group_separation[space] = separate_classes(values_ND, groups_N, groups)
    save_arrays(target / "map.npz", arrays)
    save_arrays(target / "space.npz", kept)
    save_arrays(target / "thumbs.npz", {"thumbs": small(_THUMB_PX).round().astype(np.uint8)})
    DataMapRecord(
        member=opened.member,
        maps=tuple(maps),
        n=len(labels_N),
        separation=separation,
        n_judged=len(judged),
        n_alone=len(judged) - sum(entry.n for entry in separation["features"]),
        n_test=len(parts["test"]),
        chance={
            name: float((labels_N[judged] == label).sum()) / max(1, len(judged)) for label, name in enumerate(classes)
        },
        has_kin=kin is not None,
        kin_apart=None if kin is None else kin.apart,
        seconds=time.perf_counter() - started,
        pixels_px=_PIXELS_PX,
        of_masks=opened.record.task == "segmentation",
        groups=groups,
        group_separation=group_separation,
        group_chance={name: float((groups_N == place).mean()) for place, name in enumerate(groups)},
    ).save(target / "map.json")


def _choose(sizes: dict[str, int], n_pictures: int) -> dict[str, np.ndarray]:
    """Return evenly spread places of each part that has pictures, by its share of all."""
    total = sum(sizes.values())
    return {name: spread(n, max(20, round(n_pictures * n / total))) for name, n in sizes.items() if n}


def _groups(opened: OpenedRun, indices_N: np.ndarray) -> tuple[tuple[str, ...], np.ndarray]:
    """Return the names of the pictures' groups, and the place of each picture's; no name where no colour would tell."""
    known = opened.workspace.source.items.groups
    nothing = (), np.zeros(len(indices_N), np.int64)
    if known is None:
        return nothing
    names, places_N = number_texts(np.array(known[indices_N].tolist()))
    return (tuple(str(name) for name in names), places_N) if 2 <= len(names) <= _MOST_GROUPS else nothing
