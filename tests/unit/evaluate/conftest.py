"""Made-up runs: answers with a chosen accuracy, and the record that goes with them."""

import numpy as np
import pytest

from etude.core.run_record import Cost, RunRecord
from etude.core.words import Part
from etude.evaluate.predictions import Predictions
from etude.evaluate.run_result import RunResult
from etude.evaluate.scores import score

IDS = np.array([f"picture {i}" for i in range(400)])


def answers(right, ids=IDS, n_classes=4, seed=0):
    """Predictions that are right where `right` says so; the truth of a picture is the same in every call."""
    rng = np.random.default_rng(seed)
    truth = np.array([int(name.split()[-1]) % n_classes for name in ids])
    labels = np.where(right, truth, (truth + 1) % n_classes)
    confidence = rng.uniform(0.5, 0.95, len(ids))
    probabilities = np.full((len(ids), n_classes), ((1 - confidence) / (n_classes - 1))[:, None])
    probabilities[np.arange(len(ids)), labels] = confidence
    return Predictions(ids, Part.TEST, truth, probabilities)


def run(right, seed=0, fold=None, candidate="any", ids=IDS, recorded=True, n_train=1600, n_classes=4, **costs):
    predictions = answers(np.asarray(right), ids, n_classes, seed)
    test = score(predictions, ("accuracy", "log_loss", "f1_macro")) if recorded else {}
    record = RunRecord(
        identity=f"{candidate}-{seed}-{fold}",
        study="made up",
        candidate=candidate,
        seed=seed,
        fold=fold,
        config={},
        classes=tuple("abcd"[:n_classes]),
        device="cpu",
        precision="fp32",
        versions={},
        started_at="2026-01-01T00:00:00+00:00",
        finished_at="2026-01-01T00:01:00+00:00",
        test_opened_at="2026-01-01T00:01:00+00:00",
        best_epoch=1,
        epochs=1,
        steps=1,
        n_train=n_train,
        validation={"accuracy": 0.5 + seed / 100},
        test=test,
        cost=Cost(
            **{
                "seconds": 10.0 + seed,
                "seconds_to_best": 5.0,
                "images_per_s": 100.0,
                "params": 7,
                "macs": 70,
                "memory_mb": 50.0 + seed,
                "latency_ms": 1.0,
                "size_mb": 0.5,
            }
            | costs
        ),
    )
    return RunResult(record, predictions)


def draw_runs(accuracy, seeds=5, candidate="any", spread=0.0, base=0, **more):
    """Runs over seeds; the pictures that are hard are the same for all."""
    difficulty = np.random.default_rng(99).random(len(IDS))
    runs = []
    for seed in range(seeds):
        rng = np.random.default_rng((base, seed))
        level = accuracy + spread * rng.standard_normal()
        flipped = rng.random(len(IDS)) < 0.02
        runs.append(run((difficulty < level) ^ flipped, seed=seed, candidate=candidate, **more))
    return runs


@pytest.fixture
def seeds():
    return draw_runs


@pytest.fixture
def one():
    return run


@pytest.fixture
def folds():
    def draw(accuracy, n_folds=5, seeds=1, candidate="any", base=0):
        difficulty = np.random.default_rng(99).random(len(IDS))
        runs = []
        for fold in range(n_folds):
            ids = IDS[fold::n_folds]
            for seed in range(seeds):
                flipped = np.random.default_rng((base, fold, seed)).random(len(ids)) < 0.03
                right = (difficulty[fold::n_folds] < accuracy) ^ flipped
                runs.append(run(right, seed, fold, candidate, ids, n_train=len(IDS) - len(ids)))
        return runs

    return draw
