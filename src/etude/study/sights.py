"""What a finished run sees, why it answers, how its data lie, where it errs: records and arrays written beside it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from etude.core.errors import MistakeError
from etude.core.files import writing
from etude.core.machine import usable_threads
from etude.core.words import Part
from etude.evaluate.predictions import Predictions
from etude.explain.records import (
    Attribution,
    DataMapRecord,
    Exciting,
    MapRecord,
    PictureRef,
    SightRecord,
    WhyRecord,
)
from etude.study.opened import OpenedRun, spread

if TYPE_CHECKING:
    import torch

_SEEN = 1000  # pictures among which the most exciting are sought
_EXCITED_LAYERS, _CHANNELS_KEPT = 5, 10
_RIGHT, _WRONG = 4, 4
_MAPPED = 2000
_PIXELS_PX, _THUMB_PX = 32, 28
_BATCH = 128


def explain_sight(opened: OpenedRun, target: Path, most_seconds: float) -> None:
    """Write `sight.json` and `sight.npz`; nothing where no layer gives maps."""
    from etude.explain.sight import feature_maps, find_map_layers, first_filters, most_exciting

    prepared = opened.part("validation", "train")
    chosen = spread(len(prepared), _SEEN)
    images_NCHW = opened.images(prepared, chosen)
    layers = find_map_layers(opened.network, images_NCHW[:1])
    if not layers:
        return
    answers = _answers(opened, images_NCHW)
    labels_N = prepared.labels_N[chosen]
    right = np.flatnonzero(answers.argmax(1) == labels_N)
    shown = int(right[0]) if len(right) else 0
    ids = opened.workspace.item_ids(prepared.indices_N[chosen])

    def picture(place: int) -> PictureRef:
        return _picture(opened, ids[place], int(labels_N[place]), answers[place])

    maps = feature_maps(opened.network, images_NCHW[shown : shown + 1], layers)
    asked = [layers[place] for place in spread(len(layers), _EXCITED_LAYERS)]
    found = most_exciting(opened.network, images_NCHW, asked)
    filters = first_filters(opened.network)
    rows = [(name, *entry) for name, entries in found.items() for entry in entries]
    arrays = {"picture": prepared.pictures_NHWC[chosen[shown]]}
    arrays |= {f"maps.{place}": _liveliest(maps[name].numpy()) for place, name in enumerate(layers)}
    if filters is not None:
        arrays["filters"] = filters[1].numpy()[:64]
    arrays |= {f"exciting.{n}": prepared.pictures_NHWC[chosen[row[2]]] for n, row in enumerate(rows)}
    _save_arrays(target / "sight.npz", arrays)
    SightRecord(
        picture=picture(shown),
        layers=tuple(layers),
        first=None if filters is None else filters[0],
        exciting=tuple(
            Exciting(layer=name, channel=channel, items=tuple(picture(place) for place in places), values=tuple(values))
            for name, channel, places, values in rows
        ),
    ).save(target / "sight.json")


def explain_why(opened: OpenedRun, target: Path, most_seconds: float) -> None:
    """Write `why.json` and `why.npz`; nothing where no layer gives maps."""
    from etude.explain.sight import find_map_layers
    from etude.explain.why import check_by_occlusion, explain_answer, grad_cam, likeness

    prepared, answers = opened.part("test"), _test_answers(opened)
    places = _right_and_wrong(answers)
    images_NCHW = opened.images(prepared, places)
    layers = find_map_layers(opened.network, images_NCHW[:1])
    if not layers:
        return
    untrained = opened.job.execution.place(opened.job.build()).eval()
    attributions, arrays = [], {"pictures": prepared.pictures_NHWC[places]}
    for row, place in enumerate(places):
        image_1CHW, answer = images_NCHW[row : row + 1], int(answers.labels[place])
        maps = explain_answer(opened.network, image_1CHW, answer, layers[-1])
        check = check_by_occlusion(opened.network, image_1CHW, answer, maps)
        blank_HW = grad_cam(untrained, image_1CHW, answer, layers[-1])
        arrays |= {f"grad_cam.{row}": maps.grad_cam_HW.numpy(), f"integrated.{row}": maps.integrated_HW.numpy()}
        attributions.append(
            Attribution(
                picture=_picture(
                    opened, answers.ids[place], int(answers.truth[place]), answers.probabilities[place], answer
                ),
                is_right=answer == answers.truth[place],
                drop_grad_cam=check.drop_grad_cam,
                drop_integrated=check.drop_integrated,
                drop_random=check.drop_random,
                likeness=likeness(maps.grad_cam_HW, blank_HW),
            )
        )
    _save_arrays(target / "why.npz", arrays)
    WhyRecord(
        layer=layers[-1],
        pictures=tuple(attributions),
        mean_drop_grad_cam=statistics.fmean(entry.drop_grad_cam for entry in attributions),
        mean_drop_integrated=statistics.fmean(entry.drop_integrated for entry in attributions),
        mean_drop_random=statistics.fmean(entry.drop_random for entry in attributions),
        mean_likeness=statistics.fmean(entry.likeness for entry in attributions),
    ).save(target / "why.json")


def explain_map(opened: OpenedRun, target: Path, most_seconds: float) -> None:
    """Write `map.json`, `map.npz`, what new pictures are placed by (`space.npz`) and small pictures (`thumbs.npz`)."""
    from etude.explain.maps import draw_tsne, reduce_space, separate_classes

    started = time.perf_counter()
    names = [name for name in ("train", "validation", "test") if len(opened.job.parts(name))]
    parts = {name: opened.job.parts(name) for name in names}
    total = sum(len(prepared) for prepared in parts.values())
    shares = {name: max(20, round(_MAPPED * len(prepared) / total)) for name, prepared in parts.items()}
    chosen = {name: spread(len(prepared), shares[name]) for name, prepared in parts.items()}
    labels_N = np.concatenate([parts[name].labels_N[chosen[name]] for name in names])
    pictures_NHWC = np.concatenate([parts[name].pictures_NHWC[chosen[name]] for name in names])
    features_ND, answers_NK = zip(*(_features(opened, opened.images(parts[n], chosen[n])) for n in names), strict=True)
    spaces = {
        "pixels": _shrunk(pictures_NHWC, _PIXELS_PX).reshape(len(labels_N), -1) / 255,
        "features": np.concatenate(features_ND),
    }
    parts_N = np.concatenate([np.full(len(chosen[name]), Part[name.upper()], np.int8) for name in names])
    judged = np.flatnonzero(parts_N == Part.TEST)  # those that nothing was learnt from
    maps, separation = [], {}
    arrays: dict[str, np.ndarray] = {}
    kept: dict[str, np.ndarray] = {}  # what new pictures are placed by
    for space, values_ND in spaces.items():
        reduced = reduce_space(values_ND.astype(np.float32))
        reduced_NR = reduced.apply(values_ND)
        kept |= {f"{space}.mean": reduced.mean_D, f"{space}.axes": reduced.axes_RD, f"{space}.reduced": reduced_NR}
        arrays[f"{space}.pca"] = reduced_NR[:, :2]
        arrays[f"{space}.tsne"] = draw_tsne(reduced_NR, threads=usable_threads())
        maps.append(MapRecord(space=space, method="pca", explained=float(reduced.explained_R[:2].sum())))
        maps.append(MapRecord(space=space, method="tsne"))
        separation[space] = separate_classes(values_ND[judged].astype(np.float32), labels_N[judged], opened.job.classes)
    arrays["labels"], arrays["answers"] = labels_N, np.concatenate(answers_NK).argmax(1)
    arrays["parts"] = parts_N
    _save_arrays(target / "map.npz", arrays)
    _save_arrays(target / "space.npz", kept)
    _save_arrays(target / "thumbs.npz", {"thumbs": _shrunk(pictures_NHWC, _THUMB_PX).round().astype(np.uint8)})
    DataMapRecord(
        maps=tuple(maps),
        n=len(labels_N),
        separation=separation,
        chance={name: float((labels_N[judged] == label).mean()) for label, name in enumerate(opened.job.classes)},
        seconds=time.perf_counter() - started,
        pixels_px=_PIXELS_PX,
    ).save(target / "map.json")


def explain_mistakes(opened: OpenedRun, target: Path, most_seconds: float) -> None:
    """Write `errors.json` and `errors.npz`: the run's own answers first, then those of the candidate's other runs."""
    from etude.explain.mistakes import find_mistakes

    own = _test_answers(opened)
    others = [
        opened.folder.run(ref.identity) / "predictions.parquet"
        for ref in opened.record.runs
        if ref.candidate == opened.ref.candidate and ref.fold == opened.ref.fold and ref.identity != opened.ref.identity
    ]
    read = [Predictions.read(path, Part.TEST) for path in others if path.exists()]
    alike = [entry.probabilities for entry in read if np.array_equal(entry.ids, own.ids)]
    prepared = opened.part("test")
    groups = opened.workspace.source.items.groups
    record = find_mistakes(
        [str(item) for item in own.ids],
        own.truth,
        np.stack([own.probabilities, *alike]),
        opened.job.classes,
        opened.ref.candidate,
        None if groups is None else np.asarray(groups[prepared.indices_N]),
    )
    places = {str(item): place for place, item in enumerate(own.ids)}
    shown = {
        "confident": [picture.item for picture in record.confident],
        "hardest": [entry.picture.item for entry in record.hardest],
        "mislabelled": [entry.picture.item for entry in record.mislabelled],
    }
    arrays = {name: prepared.pictures_NHWC[[places[item] for item in items]] for name, items in shown.items() if items}
    _save_arrays(target / "errors.npz", arrays)
    record.save(target / "errors.json")


def _test_answers(opened: OpenedRun) -> Predictions:
    path = opened.folder.run(opened.ref.identity) / "predictions.parquet"
    if not path.exists():
        raise MistakeError(f"{path}: is not there, so nothing can be said of its answers.")
    return Predictions.read(path, Part.TEST)


def _right_and_wrong(answers: Predictions) -> np.ndarray:
    """Return places of right answers, evenly spread, and of the most confident wrong ones."""
    right = np.flatnonzero(answers.labels == answers.truth)
    wrong = np.flatnonzero(answers.labels != answers.truth)
    wrong = wrong[np.argsort(-answers.probabilities[wrong].max(1), kind="stable")][:_WRONG]
    spread_right = right[spread(len(right), _RIGHT)] if len(right) else right
    return np.concatenate([spread_right, wrong])


def _answers(opened: OpenedRun, images_NCHW: torch.Tensor) -> np.ndarray:
    return _features(opened, images_NCHW)[1]


def _features(opened: OpenedRun, images_NCHW: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Return what the head is given (N, D), and the probabilities (N, K); the logits where there is no head."""
    import torch

    from etude.core.errors import ModelError
    from etude.models.networks.depth import find_head

    model = opened.network.eval()
    held: list[torch.Tensor] = []
    try:
        handle = model.get_submodule(find_head(model)).register_forward_pre_hook(
            lambda _module, inputs: held.append(inputs[0].detach().float().flatten(1).cpu())
        )
    except ModelError:
        handle = None
    with torch.no_grad():
        logits_NK = torch.cat([model(batch).float().cpu() for batch in torch.split(images_NCHW, _BATCH)])
    if handle is not None:
        handle.remove()
    features_ND = torch.cat(held) if held else logits_NK
    return features_ND.numpy(), opened.fitted.task.answer(logits_NK).numpy()


def _picture(
    opened: OpenedRun, item: object, truth: int, probabilities_K: np.ndarray, answer: int | None = None
) -> PictureRef:
    answer = int(probabilities_K.argmax()) if answer is None else answer
    classes = opened.job.classes
    return PictureRef(
        item=str(item), truth=classes[truth], answer=classes[answer], probability=float(probabilities_K[answer])
    )


def _liveliest(maps_CHW: np.ndarray) -> np.ndarray:
    """Return the channels that vary most over the picture, in their order."""
    order = np.argsort(-maps_CHW.reshape(len(maps_CHW), -1).std(1), kind="stable")[:_CHANNELS_KEPT]
    return maps_CHW[np.sort(order)].astype(np.float16)


def _shrunk(pictures_NHWC: np.ndarray, side_px: int) -> np.ndarray:
    """Return pictures at another size, by the mean of what each pixel covers, (N, side, side, 3) float32."""
    import torch

    if pictures_NHWC.shape[1:3] == (side_px, side_px):
        return pictures_NHWC.astype(np.float32)
    done = []
    for start in range(0, len(pictures_NHWC), _BATCH):
        chunk = (
            torch.from_numpy(np.ascontiguousarray(pictures_NHWC[start : start + _BATCH])).permute(0, 3, 1, 2).float()
        )
        done.append(torch.nn.functional.interpolate(chunk, (side_px, side_px), mode="area").permute(0, 2, 3, 1).numpy())
    return np.concatenate(done)


def _save_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    with writing(path) as beside:
        np.savez_compressed(beside.with_suffix(".npz"), **arrays)  # type: ignore[arg-type]
