"""A study's folder as `etude run` would leave it, drawn by a script: test data only."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from etude.core.interval import Interval
from etude.core.run_record import Cost, Epoch, RunRecord
from etude.core.search_record import ParameterRecord, SearchRecord, TrialRecord
from etude.core.study_record import LeaderboardRow, RunRef, SearchSummary, StudyRecord, Verdict
from etude.core.words import Part
from etude.evaluate.predictions import Predictions, write_predictions
from etude.report.messages import LANGUAGES
from etude.report.note import write_note

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
ALIKE = {3: 5, 5: 3, 1: 9, 9: 1, 0: 8, 8: 0, 4: 7, 7: 4, 2: 4, 6: 3}
EPOCHS = 12
SCORES = {"resnet": 0.8134, "cnn-flip-shift": 0.7615, "cnn-noise": 0.7419, "cnn": 0.7402, "mlp": 0.5287}
COSTS = {  # training seconds, latency ms, size MB, parameters, multiply-adds
    "resnet": (318.0, 3.1, 1.09, 272_474, 40_813_184),
    "cnn-flip-shift": (96.4, 0.84, 0.38, 94_410, 6_340_000),
    "cnn-noise": (94.8, 0.86, 0.38, 94_410, 6_340_000),
    "cnn": (91.2, 0.85, 0.38, 94_410, 6_340_000),
    "mlp": (14.6, 0.11, 3.16, 789_258, 788_480),
}
VERDICTS = {  # gain, low, high, p adjusted, word, smallest detectable
    "resnet": (0.0732, 0.0661, 0.0803, 0.0004, "better", 0.006),
    "cnn-flip-shift": (0.0213, 0.0142, 0.0284, 0.012, "better", 0.006),
    "cnn-noise": (0.0017, -0.0061, 0.0095, 0.41, "no difference shown", 0.0084),
    "mlp": (-0.2115, -0.2234, -0.1996, 0.0002, "worse", 0.01),
}
CONFIG = {
    "data": {"source": "cifar10", "split": {"kind": "official", "validation": 0.1, "seed": 0}},
    "prepare": {"size_px": 32, "fit": "stretch", "normalize": "imagenet"},
    "augment": {"use": [], "strength": 1.0},
    "model": {"name": "cnn", "widths": [32, 64, 128], "dropout": 0.0},
    "train": {"epochs": EPOCHS, "batch": 512, "optimizer": {"name": "sgd", "lr": 0.5, "momentum": 0.9}},
}
OWN = {
    "resnet": {"model": {"name": "resnet", "depth": 20}, "augment": {"use": ["flip", "shift"], "strength": 1.0}},
    "cnn-flip-shift": {"augment": {"use": ["flip", "shift"], "strength": 1.0}},
    "cnn-noise": {"augment": {"use": ["noise"], "strength": 1.0}},
    "mlp": {"model": {"name": "mlp", "widths": [256]}},
}
VERSIONS = {"python": "3.11.2", "etude": "0.1.0", "torch": "2.15.0", "numpy": "2.4.1"}
DEVICE = "cpu: AMD EPYC 9B14, 2 threads"


def write_study(folder: Path, seeds: int = 2, *, predictions: bool = True) -> Path:
    """Write 5 candidates with their runs, histories and predictions."""
    rng = np.random.default_rng(7)
    refs = []
    for candidate in ("cnn", "mlp", "cnn-noise", "cnn-flip-shift", "resnet"):
        for seed in range(seeds):
            identity = f"{candidate}-{seed:04x}".ljust(16, "0")
            refs.append(RunRef(candidate=candidate, seed=seed, identity=identity, status="finished"))
            _write_run(folder / "runs" / identity, identity, candidate, seed, rng, predictions=predictions)
    fake_record(tuple(refs)).save(folder / "study.json")
    return folder


def fake_record(refs: tuple[RunRef, ...]) -> StudyRecord:
    n_runs = len({ref.seed for ref in refs})
    rows = [
        LeaderboardRow(
            candidate=name,
            n_runs=n_runs,
            score=score,
            validation_score=score + 0.008,
            train_score=score + 0.06,
            interval_runs=Interval(low=score - 0.011, high=score + 0.011) if n_runs > 1 else None,
            interval_pictures=Interval(low=score - 0.0079, high=score + 0.0078),
            also={"f1_macro": score - 0.003, "log_loss": 1.9 * (1 - score)},
            seconds=COSTS[name][0],
            seconds_to_best=COSTS[name][0] * 0.9,
            images_per_s=EPOCHS * 45_000 / COSTS[name][0],
            params=COSTS[name][3],
            macs=COSTS[name][4],
            memory_mb=812.4,
            own_memory_mb=204.6,
            latency_ms=COSTS[name][1],
            latency_q1_ms=0.9 * COSTS[name][1] if name == "resnet" else None,
            latency_q3_ms=1.2 * COSTS[name][1] if name == "resnet" else None,
            size_mb=COSTS[name][2],
        )
        for name, score in SCORES.items()
    ]
    verdicts = [
        Verdict(
            baseline="cnn",
            candidate=name,
            metric="accuracy",
            n_pairs=n_runs,
            gain=gain,
            low=low,
            high=high,
            p=p / 2,
            p_adjusted=p,
            verdict=word,
            smallest_detectable=least,
            method="paired t",
        )
        for name, (gain, low, high, p, word, least) in VERDICTS.items()
    ]
    return StudyRecord(
        name="cifar10-models",
        question="Which small network should we train on CIFAR-10, and does augmentation pay?",
        task="classification",
        metric="accuracy",
        higher_is_better=True,
        baseline="cnn",
        config={"data": CONFIG["data"], "report": {"languages": ["fr", "en"]}},
        classes=CLASSES,
        counts={
            "train": dict.fromkeys(CLASSES, 4500),
            "validation": dict.fromkeys(CLASSES, 500),
            "test": dict.fromkeys(CLASSES, 1000),
        },
        runs=refs,
        leaderboard=tuple(rows),
        verdicts=tuple(verdicts),
        command="etude run studies/cifar10-models.yaml",
        device=DEVICE,
        versions=VERSIONS,
        seconds=1230.0,
        notes=("The official test part holds near duplicates of training pictures.",),
    )


def _write_run(
    folder: Path, identity: str, candidate: str, seed: int, rng: np.random.Generator, *, predictions: bool
) -> None:
    score = SCORES[candidate] + (0.004 if seed % 2 else -0.004)
    seconds = COSTS[candidate][0]
    folder.mkdir(parents=True)
    lines = []
    for epoch in range(1, EPOCHS + 1):
        done = 1 - np.exp(-3.2 * epoch / EPOCHS)
        noise = float(rng.normal(0, 0.006))
        lines.append(
            Epoch(
                epoch=epoch,
                step=88 * epoch,
                train_loss=2.3 - 1.9 * score * done * (1.1 if candidate == "cnn" else 1) + noise,
                train_score=0.1 + (score + 0.02) * done * 0.9 + noise,
                validation_score=0.1 + (score - 0.09) * done + noise,
                validation_loss=2.3 - 1.75 * score * done + 0.01 * epoch * (candidate == "cnn") - noise,
                lr=0.5 * (1 - epoch / EPOCHS),
                seconds=seconds / EPOCHS,
                images_per_s=EPOCHS * 45_000 / seconds,
            ).model_dump_json()
        )
    (folder / "history.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    RunRecord(
        identity=identity,
        study="cifar10-models",
        candidate=candidate,
        seed=seed,
        config={**CONFIG, **OWN.get(candidate, {}), "seed": seed},
        classes=CLASSES,
        device=DEVICE,
        precision="bf16",
        versions=VERSIONS,
        started_at="2026-11-12T09:00:00+00:00",
        finished_at=f"2026-11-12T09:{10 + seed:02d}:00+00:00",
        best_epoch=EPOCHS - 1,
        epochs=EPOCHS,
        steps=88 * EPOCHS,
        n_train=45_000,
        validation={"accuracy": score + 0.008},
        test={"accuracy": score, "f1_macro": score - 0.003},
        test_opened_at="2026-11-12T09:10:00+00:00",
        cost=Cost(
            seconds=seconds,
            seconds_to_best=seconds * 0.9,
            images_per_s=EPOCHS * 45_000 / seconds,
            params=COSTS[candidate][3],
            macs=COSTS[candidate][4],
            memory_mb=812.4,
            latency_ms=COSTS[candidate][1],
            size_mb=COSTS[candidate][2],
        ),
        notes=("Its card asks for pictures of at least 32 px.",) if candidate == "resnet" else (),
    ).save(folder / "run.json")
    if predictions:
        write_predictions(folder / "predictions.parquet", [_draw_answers(score, rng)])


def _draw_answers(score: float, rng: np.random.Generator, n: int = 2000) -> Predictions:
    truth = np.arange(n) % len(CLASSES)
    answer = truth.copy()
    wrong = rng.random(n) > score + 0.1 - 0.2 * np.isin(truth, (2, 3, 5))
    answer[wrong] = [ALIKE[int(t)] if rng.random() < 0.6 else int(rng.integers(len(CLASSES))) for t in truth[wrong]]
    probabilities = np.full((n, len(CLASSES)), 0.05 / (len(CLASSES) - 1))
    probabilities[np.arange(n), answer] = 0.95
    return Predictions([f"test/{i}" for i in range(n)], Part.TEST, truth, probabilities)


@pytest.fixture(scope="session")
def whole_study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The study, written once: for tests that only read it."""
    return write_study(tmp_path_factory.mktemp("results") / "cifar10-models")


@pytest.fixture(scope="session")
def notes(whole_study: Path) -> dict[str, Path]:
    """Its notes, written once, by language."""
    return {language: write_note(whole_study, language) for language in LANGUAGES}


@pytest.fixture
def study_folder(whole_study: Path, tmp_path: Path) -> Path:
    """A copy of the study that a test may change, without histories and predictions: its note is quickly drawn."""
    kept = shutil.ignore_patterns("history.jsonl", "predictions.parquet", "report")
    return Path(shutil.copytree(whole_study, tmp_path / whole_study.name, ignore=kept))


@pytest.fixture
def searched(study_folder: Path) -> Path:
    """The study with a search of four trials, one of which was pruned and one failed."""
    path = "search/cnn-searched.json"
    given = {"search": "s", "phase": "random"}
    trials = (
        TrialRecord(number=0, state="complete", settings={"train.optimizer.lr": 0.25}, score=0.61, epochs=12, seconds=80.0, **given),
        TrialRecord(number=1, state="pruned", settings={"train.optimizer.lr": 0.0125}, score=0.33, epochs=3, seconds=20.0, **given),
        TrialRecord(number=2, state="failed", settings={"train.optimizer.lr": 30.0}, failure="The loss is no number.", **given),
        TrialRecord(number=3, state="complete", settings={"train.optimizer.lr": 0.1, "model.widths": [16, 32]}, score=0.72, epochs=12, seconds=75.0, **given),
    )  # fmt: skip
    record = SearchRecord(
        study="cifar10-models", candidate="cnn-searched", of="cnn", metric="accuracy", higher_is_better=True,
        sampler="random", pruner="median", n_trials=4, seed=1000, trials=trials, best=3, settings=trials[3].settings,
        parameters=(ParameterRecord(name="train.optimizer.lr", field="train.optimizer.lr", kind="log", low=0.01, high=30.0),),
        seconds=175.0,
    )  # fmt: skip
    (study_folder / "search").mkdir()
    record.save(study_folder / path)
    summary = SearchSummary(
        candidate="cnn-searched", of="cnn", sampler="random", n_trials=4, n_complete=2, n_pruned=1, n_failed=1,
        seconds=175.0, settings=(record.settings,), validation_scores=(0.72,), records=(path,),
    )  # fmt: skip
    study = StudyRecord.load(study_folder / "study.json")
    found = RunRef(candidate="cnn-searched", seed=0, identity="f" * 16, status="planned")
    gain = study.verdicts[0].model_copy(update={"candidate": "cnn-searched"})
    given = {"searches": (summary,), "runs": (*study.runs, found), "verdicts": (*study.verdicts, gain)}
    study.model_copy(update=given).save(study_folder / "study.json")
    return study_folder
