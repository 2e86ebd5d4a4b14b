"""What a reader of a run must know of its weights and pictures."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator

from etude.core.counting import how_many
from etude.core.errors import DataError
from etude.data.source import Source
from etude.pictures.reading import OpenPicture
from etude.study.file import StudyConfig
from etude.study.resolve import Candidate, resolve_candidates

_SYNSET = re.compile(r"(?:^|[/_])n\d{8}(?:[-_/.]|$)")
# What masks call pixels that nobody labelled. `background` is none of them: where it is a class, as in Pascal VOC, it
# counts in published means.
_VOID_NAMES = frozenset({"void", "unlabelled", "unlabeled", "unlabel", "ignore", "ignored"})
_LOOKED_AT = 200  # items, evenly spread


def cautions(candidate: Candidate, source: Source, study: StudyConfig | None = None) -> Iterator[str]:
    """Give one sentence for each thing to be careful about."""
    model = candidate.model
    if model.weights is not None and is_from_imagenet(source):
        yield (
            "The pictures come from ImageNet, as their names say (n02085620 and the like), and so do the pretrained "
            "weights: the network has probably seen test pictures before, and its score says less about new ones."
        )
    if study is not None:
        yield from combine_cautions(candidate, study)
    if study is not None and study.task == "segmentation":
        yield from mask_cautions(study, candidate, source)
    if study is not None and study.task == "generation":
        yield from size_cautions(candidate, study)
        yield from enlarging_cautions(candidate, source)
        if study.protocol.generation.features != "pixels" and is_from_imagenet(source):
            yield (
                "The pictures come from ImageNet, as their names say (n02085620 and the like), and so do the weights "
                "of the network over whose features generated pictures are measured, and of a judge that starts from "
                "pretrained ones: both have probably seen these photographs before, held-out ones too."
            )
    if candidate.generated is not None:
        yield (
            f"{candidate.name}: beside its photographs its training part holds "
            f"{how_many(candidate.generated.pictures, 'generated picture')} of a class, from a generator trained "
            f"on the photographs of that training part alone."
        )
        side = candidate.generated.size_px
        if max(candidate.prepare.height_px, candidate.prepare.width_px) > side:
            yield (
                f"{candidate.name}: its generated pictures have a side of {side} px and are enlarged. Where "
                f"photographs show more detail than that, the network can tell the generated ones by it."
            )
    is_drawn = model.weights is None and model.checkpoint is None
    if candidate.finetune.name != "all" and is_drawn and model.name != "majority":
        yield (
            f"{candidate.name}: finetune is {candidate.finetune.name}, yet the network starts from random weights: "
            f"what stays frozen was never trained. Give model.weights or model.checkpoint."
        )


def size_cautions(candidate: Candidate, study: StudyConfig) -> Iterator[str]:
    """Say of a generator whose pictures are of another size than another's that their scores do not compare."""
    own, sizes = candidate.prepare.height_px, {one.prepare.height_px for one in resolve_candidates(study).values()}
    for other in sorted(sizes - {own}):
        yield (
            f"{candidate.name}: its pictures have a side of {own} px, those of another candidate one of {other} px. "
            f"Each is measured beside photographs of its own size, so their scores do not compare."
        )


def enlarging_cautions(candidate: Candidate, source: Source) -> Iterator[str]:
    """Say of a generator that its photographs are smaller than what it draws."""
    prepare = candidate.prepare
    # A letterbox is filled where one side is long enough; all else has to be on both sides.
    longest = max if prepare.fit == "letterbox" else min
    sides = _own_sides(source)  # type: ignore[arg-type] # sources are told apart by what they are, not by content
    small = sum(longest(height, width) < prepare.height_px for height, width in sides)
    if small:
        yield (
            f"{candidate.name}: photographs smaller than {prepare.height_px} px are enlarged, {small} of the "
            f"{len(sides)} that were looked at, and a generator learns the enlargement."
        )


@functools.lru_cache(maxsize=1)
def _own_sides(source: Source) -> tuple[tuple[int, int], ...]:
    """Return the (height, width) of photographs, evenly spread where there are many; without those that are damaged."""
    sides = []
    for index in range(0, len(source.items.ids), max(1, len(source.items.ids) // _LOOKED_AT)):
        try:
            raw = source.raw(index)
            sides.append(OpenPicture(raw).size_px if isinstance(raw, bytes) else (raw.shape[0], raw.shape[1]))
        except DataError:  # whether what cannot be read is passed over is asked where pictures are prepared
            continue
    return tuple(sides)


def combine_cautions(candidate: Candidate, study: StudyConfig) -> Iterator[str]:
    """Say what a score of combined trainings rests on."""
    combine, model = candidate.combine, candidate.model
    if combine.folds is not None:
        yield (
            f"{candidate.name}: each of its {combine.folds} networks is trained on all but one part of the training "
            f"and validation pictures, so together they have learnt from pictures that others only choose on. What "
            f"it scores on validation is what each picture was answered by the network that was not trained on it."
        )
        if "kfold" in study.data.split.kind:
            yield (
                f"{candidate.name}: the networks of the study's own folds have no test part in common, as each picture "
                f"is tested by one and trained on by the others; so the pictures that a fold does not test are dealt "
                f"to {combine.folds} parts of their own."
            )
    if combine.average == "weights" and model.weights is None and model.checkpoint is None:
        yield (
            f"{candidate.name}: it averages weights of networks that start from different draws. Their mean is seldom "
            f"a network that works: give model.weights or model.checkpoint, from which all start."
        )


def is_from_imagenet(source: Source) -> bool:
    """Say whether the items or classes of a source bear the numbers of ImageNet, as those of Stanford Dogs do."""
    ids = source.items.ids
    some = [str(name) for name in ids[:: max(1, len(ids) // _LOOKED_AT)]]
    numbered = sum(bool(_SYNSET.search(name)) for name in some)
    return 2 * numbered > len(some) or all(_SYNSET.match(name) for name in source.classes)


def mask_cautions(study: StudyConfig, candidate: Candidate, source: Source) -> Iterator[str]:
    """Say where a score of masks would not compare with published ones."""
    if study.protocol.metric == "pixel_accuracy":
        yield (
            "Pixel accuracy is an average over pixels: large classes decide it, and a network that never finds the "
            "small ones scores well. Published values are mean IoU."
        )
    if study.protocol.resolution == "network":
        size = f"{candidate.prepare.height_px} × {candidate.prepare.width_px}"
        yield (
            f"{candidate.name}: masks are compared at {size} px, the size that the network takes "
            f"(protocol.resolution: network). Published values are counted at the labels' own size."
        )
    if candidate.prepare.fit == "crop":
        yield (
            f"{candidate.name}: what a centre crop leaves out is not answered and not counted (prepare.fit: crop). "
            f"Published values count whole pictures."
        )
    for name in source.classes:
        if name.strip().lower() in _VOID_NAMES:
            yield (
                f"The class {name} is void by its name, yet it counts in the mean as a class. Published values leave "
                f"it out; the IoU of each class is in the note."
            )
