r"""How often the 95 % intervals of measures of generated pictures hold what as many other photographs give on average.

Photographs of one class are drawn from thousands of it; the generated pictures stay as they are: that is what the
intervals are about. For generators stand other pictures of the class, blurred a little and blurred much. Three folds of
33 photographs are what studies/animal-generation.yaml holds out. Prints JSON.

    ETUDE_DATA=/path/to/data ETUDE_WEIGHTS=/path/to/weights \
        python benchmarks/generated_intervals.py [--class-name horse] [--draws 400] [--held-out 33 100]
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np
from PIL import Image, ImageFilter

from etude.core.interval import Interval
from etude.core.words import Part
from etude.data.source import open_source
from etude.evaluate.cost import machine_words
from etude.evaluate.generated import GeneratedFeatures
from etude.evaluate.pictures import interval_of, ratio_over_pictures
from etude.evaluate.run_result import RunResult
from etude.metrics.generation import FeatureSets
from etude.models.picture_features import find_features
from etude.pictures.reading import decode

FOLDS, N_GENERATED = 3, 300
BLURS_PX = {"baseline": 2.0, "better": 0.8}
METRICS = ("kid", "fid", "density", "coverage", "diversity")


@dataclass
class Told:
    """Intervals of many draws, and the values that they lie about."""

    intervals: list[Interval] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    without: int = 0
    """Draws of which no interval is told."""

    def add(self, value: float, interval: Interval | None) -> None:
        """Count one draw."""
        self.values.append(value)
        if interval is None:
            self.without += 1
        else:
            self.intervals.append(interval)

    def summary(self) -> dict[str, float]:
        """Return the shares of intervals that hold the mean of the values, lie above it and lie below it."""
        mean = float(np.mean(self.values))
        low, high = (np.array([getattr(one, end) for one in self.intervals]) for end in ("low", "high"))
        shares = {"held": (low <= mean) & (mean <= high), "too_high": mean < low, "too_low": high < mean}
        rounded = {name: round(float(share.mean()), 3) for name, share in shares.items()}
        return {"mean": mean, **rounded, "without": self.without}


class _Record:
    """What a run's record says that a ratio asks for."""

    def __init__(self, fold: int) -> None:
        self.fold, self.seed, self.test = fold, 0, {}


def answers(fold: int, real_ND: np.ndarray, generated_MD: np.ndarray) -> GeneratedFeatures:
    """Set generated pictures beside held-out ones."""
    ids = np.array([f"{fold} {number}" for number in range(len(real_ND))])
    return GeneratedFeatures(ids, Part.TEST, FeatureSets(generated_MD, real_ND, real_ND[:2]))


def measure(
    photographs_ND: np.ndarray, sides: dict[str, list[np.ndarray]], held_out: int, draws: int
) -> dict[str, dict]:
    """Draw folds of photographs again and again; return what their intervals hold."""
    told: dict[str, Told] = defaultdict(Told)
    for draw in range(draws):
        drawn = np.random.default_rng((7, draw)).choice(len(photographs_ND), (FOLDS, held_out), replace=False)
        made = {
            name: [answers(at, photographs_ND[drawn[at]], of[at]) for at in range(FOLDS)] for name, of in sides.items()
        }
        for metric in METRICS:
            told[metric].add(made["better"][0].score(metric), interval_of([made["better"][0]], metric))
        told["kid over folds"].add(
            float(np.mean([one.score("kid") for one in made["better"]])), interval_of(made["better"], "kid")
        )
        runs = {name: [RunResult(_Record(at), one) for at, one in enumerate(own)] for name, own in made.items()}
        ratio = ratio_over_pictures(runs["better"], runs["baseline"], "kid")
        if ratio is not None:
            told["ratio of kid over folds"].add(ratio.value, ratio.interval)
    return {name: one.summary() for name, one in told.items()}


def read_class(name: str, count: int) -> np.ndarray:
    """Return the first pictures of a class, uint8 (count, 32, 32, 3)."""
    source = open_source("cifar10", task="classification")
    found = np.flatnonzero(source.items.labels == source.classes.index(name))[:count]
    return np.stack([decode(source.raw(int(index))) for index in found])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--class-name", default="horse")
    parser.add_argument("--photographs", type=int, default=3000)
    parser.add_argument("--draws", type=int, default=400)
    parser.add_argument("--held-out", type=int, nargs="+", default=[33])
    given = parser.parse_args()
    started = time.perf_counter()
    pictures = read_class(given.class_name, given.photographs + len(BLURS_PX) * FOLDS * N_GENERATED)
    of_class, others = pictures[: given.photographs], iter(pictures[given.photographs :])
    features = find_features("mobilenetv2_100")
    features = features.fitted_to(of_class[:100])
    photographs_ND = features.of(of_class)
    sides = {}
    for name, blur_px in BLURS_PX.items():
        blur = ImageFilter.GaussianBlur(blur_px)
        made = [np.asarray(Image.fromarray(next(others)).filter(blur)) for _ in range(FOLDS * N_GENERATED)]
        sides[name] = np.split(features.of(np.stack(made)), FOLDS)
    found = {number: measure(photographs_ND, sides, number, given.draws) for number in given.held_out}
    asked = {"class": given.class_name, "photographs": len(of_class), "draws": given.draws, "generated": N_GENERATED}
    seconds = round(time.perf_counter() - started, 1)
    print(json.dumps({"held_out": found, **asked, "machine": machine_words(), "seconds": seconds}, indent=2))


if __name__ == "__main__":
    main()
