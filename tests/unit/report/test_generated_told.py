"""Whether a report says that a generator copies: of outright copies, of shapes near to anything, of nothing near."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from etude.core.generation_record import GenerationRecord, NearPhotographs
from etude.core.interval import Interval
from etude.metrics.copied import whose_are_near
from etude.metrics.copies import nearness
from etude.metrics.generation import COPY_LIMITS
from etude.metrics.near_copies import near_share, shares_of_photographs
from etude.report.generated_measured import Measured
from etude.report.generated_told import tell_plainly
from etude.report.words import Words

SIDE, PHOTOGRAPHS, TRAINED, MADE = 32, 90, 60, 300
IS_TRAINED = np.arange(PHOTOGRAPHS) < TRAINED
IDS = [f"p{number}" for number in range(PHOTOGRAPHS)]
FIXTURE = Path(__file__).parents[2] / "fixtures" / "records" / "generation.6.json"
NOT_SHOWN = "That it copies was not shown."


def smooth(count: int, seed: int, width: float) -> np.ndarray:
    rng = np.random.default_rng(seed)
    found = np.stack([gaussian_filter(rng.standard_normal((SIDE, SIDE, 3)), (width, width, 0)) for _ in range(count)])
    found -= found.mean((1, 2, 3), keepdims=True)
    found /= found.std((1, 2, 3), keepdims=True)
    return np.clip(128 + 50 * found, 0, 255).astype(np.uint8)


def noisy(pictures: np.ndarray) -> np.ndarray:
    return np.clip(pictures + np.random.default_rng(1).normal(0, 12, pictures.shape), 0, 255).astype(np.uint8)


REAL = smooth(PHOTOGRAPHS, 0, 3.0)


def found_of(made: np.ndarray, is_trained: np.ndarray = IS_TRAINED) -> tuple[GenerationRecord, dict[str, float]]:
    """Measure copies as a run does; the rest of the record is that of a fixture."""
    whose = whose_are_near(made, REAL, is_trained)
    near, real = (nearness(pictures, REAL[is_trained])[0] for pictures in (made, REAL[~is_trained]))
    content = json.loads(FIXTURE.read_text()) | {
        "format": GenerationRecord.FORMAT,
        "near_any": whose.near,
        "near_trained": whose.trained,
        "near_trained_chance": whose.chance,
        "near_photographs": int((whose.counts_P > 0).sum()),
        "near_photographs_trained": int((whose.counts_P[is_trained] > 0).sum()),
        "near_to": {
            "trained": [item for item, own in zip(IDS, is_trained, strict=True) if own],
            "held_out": [item for item, own in zip(IDS, is_trained, strict=True) if not own],
            "counts": {item: count for item, count in zip(IDS, whose.counts_P.tolist(), strict=True) if count},
        },
        "outright_trained": whose.outright_trained,
        "outright_held_out": whose.outright_held_out,
    }
    shares = {name: near_share(near, real, limit=limit) for name, limit in COPY_LIMITS.items()}
    return GenerationRecord.model_validate(content), shares


def told(*runs: tuple[GenerationRecord, dict[str, float]], held_out: int = PHOTOGRAPHS - TRAINED) -> str:
    values = {name: float(np.mean([shares[name] for _, shares in runs])) for name in COPY_LIMITS}
    limits = {
        name: shares_of_photographs([(held_out, (MADE,))] * len(runs), limit=limit)
        for name, limit in COPY_LIMITS.items()
    }
    measured = Measured("it", values, {}, limits, tuple(record for record, _ in runs))
    return " ".join(tell_plainly(measured, Words("en"))).replace("\xa0", " ")


def test_noisy_copies_of_five_photographs_among_other_pictures_are_told_as_copies():
    """Of five photographs a shuffle finds all trained on in 1 of 8 cases: it had acquitted them."""
    copies = noisy(REAL[np.arange(200) % 5])
    text = told(found_of(np.concatenate([copies, smooth(100, 7, 1.0)])))
    assert "Photographs that it never saw" not in text
    assert "It copies some of its photographs: 66.7% of its pictures lie" in text
    assert NOT_SHOWN not in text


def test_copies_of_all_training_pictures_are_told_as_copies():
    text = told(found_of(noisy(REAL[np.arange(MADE) % TRAINED])))
    assert "It copies." in text


@pytest.mark.parametrize("width", [8.0, 16.0])
def test_plain_shapes_near_to_anything_are_not_told_as_copies(width):
    """In each deal other photographs are held out, near which some lie; chance errs once in 40 times."""
    made, wrong = smooth(MADE, 7, width), 0
    for seed in range(6):
        text = told(found_of(made, np.random.default_rng(seed).permutation(PHOTOGRAPHS) < TRAINED))
        assert "It copies some of its photographs" not in text
        wrong += "It copies" in text
    assert wrong <= 1


def test_of_nothing_near_nothing_is_said():
    text = told(found_of(smooth(MADE, 7, 0.7)))
    assert "It copies" not in text
    assert "Photographs that it never saw" not in text
    record, shares = found_of(smooth(MADE, 7, 0.7))
    nothing = record.model_copy(update={"near_trained": None, "near_trained_chance": None})
    many = dict.fromkeys(shares, 0.5)
    assert NOT_SHOWN in told((nothing, many)), "near by one measure, and to no photograph by the other"


def near_to(items: dict[str, int]) -> NearPhotographs:
    return NearPhotographs(trained=IDS[:TRAINED], held_out=IDS[TRAINED:], counts=items)


def record_of(**changes: object) -> tuple[GenerationRecord, dict[str, float]]:
    record = GenerationRecord.load(FIXTURE).model_copy(update=changes)
    return record, dict.fromkeys(COPY_LIMITS, 0.5)


def test_of_few_photographs_it_is_said_that_chance_cannot_tell():
    few = {
        "near_trained": 1.0,
        "near_trained_chance": Interval(low=0.0, high=1.0),
        "outright_trained": 0.01,
        "outright_held_out": 0.0,
    }
    text = told(record_of(**few, near_to=near_to({"p1": 20, "p2": 3}), near_photographs=2))
    assert "All of them lie nearest to 2 photographs: chance may well" in text
    assert "All of them lie nearest to 1 photograph:" in told(record_of(**few, near_to=near_to({"p1": 20})))
    assert "They lie nearest to so few photographs that chance" in told(record_of(**few)), "of format 6"
    for known in (text, told(record_of(**few))):
        assert "Photographs that it never saw" not in known
        assert "It copies" not in known


def test_what_lies_as_near_to_held_out_photographs_is_no_copy():
    plain = {"near_trained": 0.6, "near_trained_chance": Interval(low=0.4, high=0.8), "outright_trained": 0.4}
    assert "Photographs that it never saw" in told(record_of(**plain, outright_held_out=0.3))
    assert "It copies some of its photographs: 39.0%" in told(record_of(**plain, outright_held_out=0.01))


def test_several_runs_are_dealt_together_and_those_of_format_6_take_the_mean_of_their_ends():
    """Three folds of one split, each near to half of the same photographs."""
    ends = {"near_trained_chance": Interval(low=0.5, high=0.83), "near_trained": 0.75}
    items = {IDS[at]: 1 for at in range(0, PHOTOGRAPHS, 2)}
    named = []
    for fold in range(3):
        held_out = IDS[30 * fold : 30 * fold + 30]
        near = NearPhotographs(trained=[one for one in IDS if one not in held_out], held_out=held_out, counts=items)
        named.append(record_of(**ends, near_to=near))
    text = told(*named)
    assert "75% are nearest to a training one; by chance that would be 67% to 67% in 95 of 100" in text
    assert "It copies." in text
    alike = [
        (record.model_copy(update={"near_trained": share}), shares)
        for (record, shares), share in zip(named, (0.4, 0.8, 0.8), strict=True)
    ]  # 2/3, but for rounding
    assert "It copies" not in told(*alike)
    old = told(*[record_of(**ends)] * 3)
    assert "by chance that would be 50% to 83%" in old
    assert "Photographs that it never saw" in old
