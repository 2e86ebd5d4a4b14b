"""What a finished run sees, and where it errs: records and arrays written beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from etude.core.errors import ModelError, sentence
from etude.core.registry import nearest
from etude.data.prepared import prepare_items
from etude.explain.records import Exciting, SightRecord
from etude.study.answered import Answered, answer_pictures
from etude.study.arrays import fitting, save_arrays, shrink, shrink_to_most
from etude.study.chosen_picture import find_picture
from etude.study.held_out import read_held_out
from etude.study.opened import OpenedRun, Wishes, spread

_SEEN, _SEEN_MASKS = 1000, 200  # pictures among which the most exciting are sought
_EXCITED_LAYERS = 5  # where none is named
_CHANNELS_KEPT = 10
_MOST_PICTURE_PX, _MOST_MAP_PX = 256, 96  # of what is kept: it is looked at side by side


def explain_sight(opened: OpenedRun, target: Path, wishes: Wishes) -> str | None:
    """Write `sight.json` and `sight.npz`; where no layer gives maps, return why nothing is written.

    Raises:
        ModelError: if a layer that is asked for is not there.
        MistakeError: if the picture is not.
        DataError: if the picture that is asked for cannot be read.
    """
    from etude.explain.sight import feature_maps, find_map_layers, first_filters, most_exciting
    from etude.explain.why import pictures_at_once

    prepared = opened.part("validation", "train")
    chosen = spread(len(prepared), _SEEN if prepared.masks_NHW is None else _SEEN_MASKS)
    image_1CHW = opened.images(prepared, chosen[:1])
    every = find_map_layers(opened.network, image_1CHW, most=10**6)
    if not every:
        return f"no layer of {opened.network_name} gives a map of the picture."
    named = choose_layers(every, wishes.layers)
    layers = named or [every[place] for place in spread(len(every), wishes.most_layers or len(every))]
    answered = answer_pictures(opened, prepared, chosen)
    ids = opened.workspace.item_ids(prepared.indices_N[chosen])
    classes = opened.job.classes
    if wishes.picture is None:
        row = _first_right(answered)
        shown_set, place, picture = prepared, int(chosen[row]), answered.refer(row, ids[row], classes)
    else:
        shown_set, name = find_picture(opened, wishes.picture)
        place, picture = 0, answer_pictures(opened, shown_set, np.arange(1)).refer(0, name, classes)
    maps = feature_maps(opened.network, opened.images(shown_set, np.array([place])), layers)
    asked = named or [every[place] for place in spread(len(every), _EXCITED_LAYERS)]
    places_in_batches = np.array_split(chosen, -(-len(chosen) // pictures_at_once(image_1CHW)))
    found = most_exciting(opened.network, (opened.images(prepared, places) for places in places_in_batches), asked)
    filters = first_filters(opened.network)
    rows = [(name, *entry) for name, entries in found.items() for entry in entries]
    arrays = {"picture": shrink_to_most(shown_set.pictures_NHWC, np.array([place]), _MOST_PICTURE_PX)[0]}
    arrays |= {f"maps.{n}": _liveliest(maps[name].numpy()) for n, name in enumerate(layers)}
    if filters is not None:
        arrays["filters"] = filters[1].numpy()[:64]
    most_px = _MOST_PICTURE_PX if prepared.masks_NHW is None else _MOST_MAP_PX
    arrays |= {
        f"exciting.{n}": shrink_to_most(prepared.pictures_NHWC, chosen[row[2]], most_px) for n, row in enumerate(rows)
    }
    save_arrays(target / "sight.npz", arrays)
    SightRecord(
        member=opened.member,
        picture=picture,
        layers=tuple(layers),
        first=None if filters is None else filters[0],
        exciting=tuple(
            Exciting(
                layer=name,
                channel=channel,
                items=tuple(answered.refer(row, ids[row], classes) for row in places),
                values=tuple(values),
            )
            for name, channel, places, values in rows
        ),
    ).save(target / "sight.json")
    return None


def _first_right(answered: Answered) -> int:
    right = np.flatnonzero(answered.answers_N == answered.labels_N)
    return int(right[0]) if len(right) else 0


def choose_layers(known: list[str], asked: tuple[str, ...]) -> list[str]:
    """Return the layers that are asked for, in the order of the network.

    Raises:
        ModelError: if one of them is none that gives maps.
    """
    for name in asked:
        if name not in known:
            close = nearest(name, known)
            remedy = f"Did you mean {close[0]!r}?" if close else f"Known: {', '.join(known)}."
            raise ModelError(sentence("explain", "layer", "a layer of the network that gives maps", name, remedy))
    return [name for name in known if name in asked]


def explain_mistakes(opened: OpenedRun, target: Path, wishes: Wishes) -> None:
    """Write `errors.json` and `errors.npz`: the run's own answers first, then those of the candidate's other runs.

    With folds, what their networks answered to the pictures held out of each is put together.
    """
    from etude.explain.mistakes import find_mistakes

    held_out = read_held_out(opened)
    items = opened.workspace.source.items
    answered = set(held_out.ids_N.tolist())
    places = {str(item): place for place, item in enumerate(items.ids) if str(item) in answered}
    at_N = np.array([places[str(item)] for item in held_out.ids_N])
    record = find_mistakes(
        [str(item) for item in held_out.ids_N],
        held_out.truth_N,
        held_out.probabilities_RNK,
        opened.job.classes,
        opened.ref.candidate,
        None if items.groups is None else np.array(items.groups[at_N].tolist()),
        held_out.decided_RN,
    ).model_copy(update={"n_folds": held_out.n_folds})
    shown = {
        "confident": [picture.item for picture in record.confident],
        "hardest": [entry.picture.item for entry in record.hardest],
        "mislabelled": [entry.picture.item for entry in record.mislabelled],
    }
    arrays = {name: _read_pictures(opened, [places[item] for item in of]) for name, of in shown.items() if of}
    save_arrays(target / "errors.npz", arrays)
    record.save(target / "errors.json")


def _read_pictures(opened: OpenedRun, places: list[int]) -> npt.NDArray[np.uint8]:
    """Return pictures (N, H, W, 3) as the run takes them, by their places in the source, whatever part they are in."""
    found = prepare_items(opened.workspace.source, np.array(places), opened.job.prepare, keep=False)
    return np.asarray(found.pictures_NHWC)


def _liveliest(maps_CHW: np.ndarray) -> np.ndarray:
    """Return the channels that vary most over the picture, in their order, no larger than they are looked at."""
    order = np.sort(np.argsort(-maps_CHW.reshape(len(maps_CHW), -1).std(1), kind="stable")[:_CHANNELS_KEPT])
    kept_1HWC = maps_CHW[order].transpose(1, 2, 0)[None]
    small = shrink(kept_1HWC, np.arange(1), fitting(maps_CHW.shape[1:], _MOST_MAP_PX))
    return np.asarray(small[0].transpose(2, 0, 1), np.float16)
