"""What a bundle of dog breeds makes of pictures without a dog: how many pass as sure, and how many dogs it doubts.

Foreign are the classes of `objects200` that are no dogs; the dogs are the test part of the study that the bundle comes
from, which neither the network nor the limit of doubt ever saw. Intervals are Wilson's, over pictures.

    python benchmarks/foreign.py breeds.bundle results/dog-breeds
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest

from etude.core.words import Part
from etude.data.source import Source, open_source
from etude.data.split_file import read_split
from etude.evaluate.cost import machine_words
from etude.metrics.curves import roc_auc_of
from etude.runtime.answers import ClassAnswer
from etude.runtime.predictor import Predictor, load

DOGS = frozenset(
    {"Chihuahua", "Yorkshire terrier", "golden retriever", "Labrador retriever", "German shepherd", "standard poodle"}
)
"""The dogs among the classes of `objects200`."""
DOUBTED = (0.05, 0.1, 0.2, 0.3)
"""Shares of the dogs that a limit would call unsure, at which the foreign pictures that pass it are told."""
Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Asked:
    """What the bundle answered about N pictures."""

    labels: npt.NDArray[np.str_]
    probability: Doubles
    familiarity: Doubles
    is_unsure: npt.NDArray[np.bool_]
    is_unfamiliar: npt.NDArray[np.bool_]


def ask(model: Predictor, source: Source, indices: npt.NDArray[np.int64]) -> Asked:
    """Ask about the pictures at these positions."""
    answers = [cast("ClassAnswer", answer) for answer in model.stream(source.raw(int(at)) for at in indices)]
    return Asked(
        np.array([answer.label for answer in answers]),
        np.array([answer.probability for answer in answers]),
        np.array([np.nan if answer.familiarity is None else answer.familiarity for answer in answers]),
        np.array([answer.is_unsure for answer in answers]),
        np.array([answer.is_unfamiliar for answer in answers]),
    )


def passing(dogs: Doubles, foreign: Doubles) -> dict[str, object]:
    """Tell how well a measure parts dogs from foreign pictures, and what passes at several shares of doubted dogs."""
    is_dog = np.repeat([True, False], [len(dogs), len(foreign)])
    return {
        "auc": round(float(roc_auc_of(is_dog, np.concatenate([dogs, foreign])).item()), 4),
        "foreign_that_pass_by_share_of_dogs_doubted": {
            str(doubt): round(float((foreign >= np.quantile(dogs, doubt)).mean()), 4) for doubt in DOUBTED
        },
    }


def share(hits: npt.NDArray[np.bool_]) -> dict[str, float | int]:
    """Return a share with its interval."""
    interval = binomtest(int(hits.sum()), len(hits)).proportion_ci(method="wilson")
    return {
        "pictures": len(hits),
        "share": round(float(hits.mean()), 4),
        "low": round(interval.low, 4),
        "high": round(interval.high, 4),
    }


def main() -> None:
    """Ask about both kinds of pictures and print the shares."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("study", type=Path, help="folder of the study, with its split")
    parser.add_argument("--dogs", default="dogs", help="the source of the study")
    parser.add_argument("--foreign", default="objects200/train.parquet")
    parser.add_argument("--every", type=int, default=1, help="take one foreign picture of so many")
    given = parser.parse_args()
    model = load(given.bundle)
    certainty = model.record.certainty
    if certainty is None:
        parser.error("the bundle has no limit of doubt")
    dogs, others = open_source(given.dogs), open_source(given.foreign)
    test = np.flatnonzero(read_split(given.study / "split.parquet", dogs.items)[0] == Part.TEST)
    own = ask(model, dogs, test)
    names = np.array(others.classes)[others.items.labels]
    foreign = np.flatnonzero(~np.isin(names, list(DOGS)))[:: given.every]
    others_asked = ask(model, others, foreign)
    right = own.labels == np.array(dogs.classes)[dogs.items.labels[test]]
    passed = ~others_asked.is_unsure
    by_class = {name: float(passed[names[foreign] == name].mean()) for name in sorted(set(names[foreign]))}
    print(
        json.dumps(
            {
                "benchmark": "foreign",
                "machine": machine_words(),
                "bundle": {"name": model.name, "run": model.record.origin.run, "kind": model.record.kind},
                "unsure_below": round(certainty.unsure_below, 4),
                "unfamiliar_below": round(known.unfamiliar_below, 4) if (known := model.record.familiarity) else None,
                "foreign_that_pass_as_sure": share(passed),
                "foreign_that_pass_as_familiar": share(~others_asked.is_unfamiliar),
                "test_dogs_called_unsure": share(own.is_unsure),
                "test_dogs_called_unfamiliar": share(own.is_unfamiliar),
                "right_among_all_test_dogs": share(right),
                "right_among_sure_test_dogs": share(right[~own.is_unsure]) if (~own.is_unsure).any() else None,
                "by_probability": passing(own.probability, others_asked.probability),
                "by_familiarity": passing(own.familiarity, others_asked.familiarity) if known else None,
                "passes_most": dict(sorted(by_class.items(), key=lambda entry: -entry[1])[:10]),
                "taken_for": {name: int((others_asked.labels[passed] == name).sum()) for name in model.classes},
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
