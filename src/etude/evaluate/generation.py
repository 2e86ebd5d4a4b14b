"""From features to what is said of a generator: every measure with its interval, and trivial generators beside it.

Shapes: N held-out pictures, M generated ones, T training pictures, D features, H and W pixels, C channels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt

from etude.core.generation_record import GeneratedMeasure, TrivialGenerator
from etude.core.words import Part
from etude.evaluate.generated import GeneratedFeatures
from etude.evaluate.pictures import interval_of
from etude.metrics.generation import COPY_LIMITS, GENERATION_METRICS, FeatureSets

_OF_BOTH: Final = tuple(COPY_LIMITS)
"""Measures that compare with training and held-out pictures at once."""
_BLUR_SHARE: Final = 1 / 16
"""Radius of the blur, as a share of the side."""

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.floating]
Doubles = npt.NDArray[np.float64]


def measure_generated(
    answers: GeneratedFeatures, groups: Mapping[str, str] | None = None, *, training_ids: Sequence[str] | None = None
) -> tuple[GeneratedMeasure, ...]:
    """Return every measure against held-out pictures, with its interval where it has one, and against training ones.

    Args:
        answers: the generated pictures beside the held-out ones.
        groups: group of each picture by its id; none where there are no groups.
        training_ids: of the training pictures whose features `answers` has; none where they are of no groups.
    """
    sets = answers.sets
    beside = FeatureSets(sets.generated_MD, sets.training_TD, sets.training_TD)
    ids = [str(number) for number in range(len(sets.training_TD))] if training_ids is None else training_ids
    trained = GeneratedFeatures(np.asarray(ids), Part.TRAIN, beside)

    def measure(name: str) -> GeneratedMeasure:
        found = GeneratedMeasure(
            name=name, value=answers.score(name), interval=interval_of([answers], name, groups=groups)
        )
        if name in _OF_BOTH:
            return found
        interval = interval_of([trained], name, groups=groups)
        return found.model_copy(update={"against_training": trained.score(name), "interval_training": interval})

    return tuple(measure(name) for name in GENERATION_METRICS)


def measure_trivial(
    pictures_THWC: Pixels,
    answers: GeneratedFeatures,
    embed: Callable[[Pixels], Floats],
    near: Callable[[Pixels], Doubles],
    seed: int,
    groups: Mapping[str, str] | None = None,
) -> Iterator[TrivialGenerator]:
    """Measure what everyone could do: the training pictures themselves, the same blurred, and noise.

    Args:
        pictures_THWC: the training pictures whose features `answers` has.
        answers: the held-out pictures.
        embed: pictures to their features.
        near: pictures to their nearness to training pictures.
        seed: of the noise.
        groups: as for `measure_generated`.
    """
    given = (
        ("training", pictures_THWC),
        ("blurred", blur(pictures_THWC)),
        ("noise", np.random.default_rng(seed).integers(0, 256, pictures_THWC.shape, dtype=np.uint8)),
    )
    for name, pictures in given:
        features = answers.sets.training_TD if name == "training" else embed(pictures)
        sets = replace(answers.sets, generated_MD=features, generated_nearness_M=near(pictures))
        of_it = replace(answers, sets=sets)
        intervals = {metric: interval_of([of_it], metric, groups=groups) for metric in GENERATION_METRICS}
        yield TrivialGenerator(
            name=name,
            n=len(pictures),
            scores={metric: of_it.score(metric) for metric in GENERATION_METRICS},
            intervals={metric: interval for metric, interval in intervals.items() if interval is not None},
        )


def blur(pictures_NHWC: Pixels) -> Pixels:
    """Return the pictures, blurred so that what they show is still guessed."""
    from PIL import Image, ImageFilter

    radius = max(1.0, pictures_NHWC.shape[1] * _BLUR_SHARE)
    return np.stack(
        [np.asarray(Image.fromarray(one).filter(ImageFilter.GaussianBlur(radius))) for one in pictures_NHWC]
    )  # fmt: skip
