"""From features to what is said of a generator: every measure with its interval, and trivial generators beside it.

Shapes: N held-out pictures, M generated ones, T training pictures, D features, H and W pixels, C channels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt

from etude.core.generation_record import GeneratedMeasure, TrivialGenerator
from etude.evaluate.generated import GeneratedFeatures
from etude.metrics.copies import nearness
from etude.metrics.generation import GENERATION_METRICS, FeatureSets
from etude.metrics.statistics import percentile_interval, resampling_weights

_REPLICATES: Final = 500
_OF_BOTH: Final = ("near_copies",)
"""Measures that compare with training and held-out pictures at once."""
_BLUR_SHARE: Final = 1 / 16
"""Radius of the blur, as a share of the side."""

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.floating]


def measure_generated(answers: GeneratedFeatures) -> tuple[GeneratedMeasure, ...]:
    """Return every measure against held-out pictures, with its interval, and against training ones."""
    sets = answers.sets
    of_training = FeatureSets(sets.generated_MD, sets.training_TD, sets.training_TD)
    weights_RN = np.concatenate(list(resampling_weights(len(answers), _REPLICATES)))
    return tuple(
        GeneratedMeasure(
            name=name,
            value=answers.score(name),
            interval=percentile_interval(answers.under_weights(name, weights_RN)),
            against_training=None if name in _OF_BOTH else float(metric.function(of_training)),
        )
        for name, metric in ((name, GENERATION_METRICS[name]) for name in GENERATION_METRICS)
    )


def measure_trivial(
    pictures_THWC: Pixels, sets: FeatureSets, embed: Callable[[Pixels], Floats], seed: int
) -> Iterator[TrivialGenerator]:
    """Measure what everyone could do: the training pictures themselves, the same blurred, and noise."""
    given = (
        ("training", pictures_THWC),
        ("blurred", blur(pictures_THWC)),
        ("noise", np.random.default_rng(seed).integers(0, 256, pictures_THWC.shape, dtype=np.uint8)),
    )
    for name, pictures in given:
        features = sets.training_TD if name == "training" else embed(pictures)
        of_it = replace(
            sets, generated_MD=features, generated_nearness_M=nearness(pictures, pictures_THWC)[0]
        )  # fmt: skip
        scores = {metric: float(GENERATION_METRICS[metric].function(of_it)) for metric in GENERATION_METRICS}
        yield TrivialGenerator(name=name, scores=scores)


def blur(pictures_NHWC: Pixels) -> Pixels:
    """Return the pictures, blurred so that what they show is still guessed."""
    from PIL import Image, ImageFilter

    radius = max(1.0, pictures_NHWC.shape[1] * _BLUR_SHARE)
    return np.stack(
        [np.asarray(Image.fromarray(one).filter(ImageFilter.GaussianBlur(radius))) for one in pictures_NHWC]
    )  # fmt: skip
