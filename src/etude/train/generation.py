"""What follows the last step of a generator: pictures are generated and measured, and the record is written.

Shapes: N held-out pictures, M generated ones, T training pictures, H and W pixels, C channels.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import torch

from etude.core.generation_record import GENERATION_FILE, GenerationRecord, NearestPair, NearPhotographs
from etude.core.interval import Interval
from etude.core.run_record import MODEL_FILE, Cost, RunRecord
from etude.core.seeds import derive
from etude.core.watch import Watcher
from etude.core.words import Part
from etude.data.prepared import PreparedSet
from etude.evaluate.cost import measure_latency
from etude.evaluate.generated import GeneratedFeatures, rounded_to_half
from etude.evaluate.generation import measure_generated, measure_trivial
from etude.evaluate.pictures import interval_of
from etude.figures.samples import write_grid
from etude.metrics.copied import Whose, whose_are_near
from etude.metrics.copies import nearness
from etude.metrics.generation import GENERATION_METRICS, FeatureSets
from etude.metrics.near_copies import near_limit
from etude.models import count_parameters
from etude.models.networks.adversaries import Adversaries
from etude.models.picture_features import PictureFeatures, find_features
from etude.train.adversarial import Generated, fit_generator, without_halves
from etude.train.job import Job
from etude.train.loop import now, write_history
from etude.train.memory import device_memory_mb, larger_mb, own_memory_mb
from etude.train.recording import make_record
from etude.train.samples import (
    FILM_FILE,
    FINAL_FILE,
    SAMPLES_FOLDER,
    draw_wanted,
    generate,
    to_bytes,
    watched_samples,
    write_film_of,
    write_samples,
)
from etude.train.state import load_weights, save_tensors

NEAREST_FILE: Final = "nearest.png"
_SHOWN_PAIRS: Final = 12
_FEWEST_OF_CLASS: Final = 2
MEASURED_TRAINING: Final = 2000
"""Training pictures at most whose features are measured: kernels and distances grow with the square of their number."""
_MOST_NAMED: Final = 5000
"""Photographs at most whose ids a record names, so that it stays small."""

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class _Measured:
    """What was found of the pictures of a generator."""

    scores: dict[str, dict[str, float]]
    """By part and metric."""
    opened_at: str
    """When the test part was opened, ISO 8601, UTC."""
    record: GenerationRecord
    """All of it."""


def run_generation(job: Job, folder: Path, watch: Watcher) -> RunRecord:
    """Train a generator, measure what it gives, and write its records; `run.json` is written last.

    Raises:
        DivergenceError: if a loss is no longer finite.
        MissingPartError: if the features that are asked for cannot be had.
        StorageError: if the disk is full.
    """
    job = without_halves(job)
    features = find_features(job.generation.features)
    folder.mkdir(parents=True, exist_ok=True)
    fitted = fit_generator(job, folder, watch)
    if fitted.note:
        watch.said(f"{job.label}: {fitted.note}")
    write_history(folder, fitted.progress)
    save_tensors(folder / MODEL_FILE, fitted.model.generator.state_dict())
    made_by = f"{job.label} (run {job.identity})"
    write_samples(folder, FINAL_FILE, watched_samples(fitted.model, job.execution, job.seed), made_by)
    write_film_of(folder / SAMPLES_FOLDER / FILM_FILE, fitted.model, job.execution, job.seed, made_by)
    measured = _measure(job, fitted.model, folder, features, fitted.note)
    measured.record.save(folder / GENERATION_FILE)
    record = _record(job, fitted, folder, measured)
    record.save(folder / "run.json")
    shutil.rmtree(folder / "state", ignore_errors=True)
    return record


def is_measured(folder: Path, count: int, features: PictureFeatures) -> bool:
    """Say whether so many pictures of a finished run were measured as now, over these very features and weights."""
    path = folder / GENERATION_FILE
    if not path.exists():
        return False
    known = GenerationRecord.load(path)
    measured = (known.features, known.weights, known.n_generated, known.near_by, known.format)
    return measured == (features.name, features.weights, count, "zooms", GenerationRecord.FORMAT)


def measure_again(job: Job, folder: Path, features: PictureFeatures) -> None:
    """Measure a finished run as its job now asks, and put that in the place of what was found before; train nothing.

    Raises:
        ModelError: if the networks cannot be built.
        StorageError: if the disk is full.
    """
    job = without_halves(job)
    path = folder / GENERATION_FILE
    note = GenerationRecord.load(path).note if path.exists() else ""
    measured = _measure(job, open_generator(job, folder), folder, features, note)
    record = RunRecord.load(folder / "run.json")
    config = {**record.config, "protocol": job.config["protocol"]}
    record.model_copy(update={"config": config, **measured.scores}).save(folder / "run.json")
    measured.record.save(path)  # last: while it is the old one, the run counts as measured otherwise


def _measure(job: Job, model: Adversaries, folder: Path, features: PictureFeatures, note: str) -> _Measured:
    """Generate, embed and score against each part; write the features and the pictures nearest to training ones."""
    train_set = job.parts("train")
    photographs_THWC, ids_T = np.asarray(train_set.pictures_NHWC), job.item_ids(train_set.indices_N)
    features = features.fitted_to(photographs_THWC)

    def embed(given_NHWC: Pixels) -> npt.NDArray[np.float32]:
        return rounded_to_half(features.of(given_NHWC))  # measured as they are kept

    seed = derive(job.seed, "measured")
    pictures_MHWC, classes_M = generate_pictures(job, model, job.generation.pictures, seed)
    looked_at = some_of(len(photographs_THWC), derive(job.seed, "measured training"), MEASURED_TRAINING)
    some_THWC = photographs_THWC[looked_at]
    generated_MD, training_TD = embed(pictures_MHWC), embed(some_THWC)
    near_M, at_M = nearness(pictures_MHWC, photographs_THWC)

    def beside(real: PreparedSet, part: Part) -> tuple[GeneratedFeatures, npt.NDArray[np.int64]]:
        near_N, at_N = nearness(np.asarray(real.pictures_NHWC), photographs_THWC)
        sets = FeatureSets(generated_MD, embed(np.asarray(real.pictures_NHWC)), training_TD, near_M, near_N)
        return GeneratedFeatures(job.item_ids(real.indices_N), part, sets), at_N

    scores: dict[str, dict[str, float]] = {"train": {}, "validation": {}}
    names = GENERATION_METRICS.names()  # all: what ranks may be changed later
    validation = job.parts("validation")
    if len(validation) >= _FEWEST_OF_CLASS:
        answers, _ = beside(validation, Part.VALIDATION)
        scores["validation"] = {name: answers.score(name) for name in names}
    opened_at = now()
    test_set = job.parts("test")
    answers, at_N = beside(test_set, Part.TEST)
    answers.write(folder / "predictions.parquet", nearest=(ids_T[at_N].tolist(), ids_T[at_M].tolist()))
    measures = measure_generated(answers, job.groups, training_ids=ids_T[looked_at].tolist())
    by_name = {measure.name: measure for measure in measures}
    scores["test"] = {name: by_name[name].value for name in names}
    scores["train"] = {
        name: value for name in names if (value := by_name[name].against_training) is not None
    }  # fmt: skip
    near_N = np.asarray(answers.sets.real_nearness_N)
    order = np.argsort(near_M, kind="stable")[:_SHOWN_PAIRS]
    pairs = np.concatenate([pictures_MHWC[order], photographs_THWC[at_M[order]]])
    made_by = f"{job.label} (run {job.identity}); the lower row are the nearest training photographs"
    path = folder / SAMPLES_FOLDER / NEAREST_FILE
    write_grid(path, pairs, columns=len(order), made_by=made_by, has_photographs=True)
    trivial = measure_trivial(
        some_THWC,
        answers,
        embed,
        lambda given: nearness(given, photographs_THWC)[0],
        derive(job.seed, "noise"),
        job.groups,
    )
    both_PHWC = np.concatenate([some_THWC, np.asarray(test_set.pictures_NHWC)])
    both_ids = [*ids_T[looked_at].tolist(), *answers.ids.tolist()]
    is_trained_P = np.arange(len(both_PHWC)) < len(some_THWC)
    whose = whose_are_near(
        pictures_MHWC,
        both_PHWC,
        is_trained_P,
        None if job.groups is None else [job.groups.get(item, item) for item in both_ids],
        derive(job.seed, "whose"),
    )
    by_class = dict(_by_class(job, answers, (pictures_MHWC, classes_M), test_set, train_set, looked_at))
    record = GenerationRecord(
        features=features.name,
        weights=features.weights,
        statistics=None if features.file is None else features.statistics,
        n_generated=len(generated_MD),
        n_real=len(answers),
        n_training=len(photographs_THWC),
        n_training_measured=len(training_TD),
        measures=measures,
        trivial=tuple(trivial),
        classes={name: scores for name, (scores, _) in by_class.items()},
        class_intervals={name: intervals for name, (_, intervals) in by_class.items()},
        near_any=whose.near,
        near_trained=whose.trained,
        near_trained_chance=whose.chance,
        near_photographs=int((whose.counts_P > 0).sum()),
        near_photographs_trained=int((whose.counts_P[is_trained_P] > 0).sum()),
        near_to=_name_near(whose, both_ids, len(some_THWC), job.groups) if len(both_ids) <= _MOST_NAMED else None,
        outright_trained=whose.outright_trained,
        outright_held_out=whose.outright_held_out,
        near_limit=near_limit(near_N),
        nearest_generated=float(np.median(near_M)),
        nearest_real=float(np.median(near_N)),
        nearest=tuple(NearestPair(item=str(ids_T[at_M[row]]), distance=float(near_M[row])) for row in order),
        note=note,
    )
    return _Measured(scores, opened_at, record)


def _name_near(whose: Whose, ids: list[str], n_trained: int, groups: Mapping[str, str] | None) -> NearPhotographs:
    """Name the photographs, training ones first, and say how many near pictures lie nearest to each."""
    counts = {item: count for item, count in zip(ids, whose.counts_P.tolist(), strict=True) if count}
    own = {item: group for item in ids if (group := (groups or {}).get(item)) is not None}
    return NearPhotographs(
        trained=tuple(ids[:n_trained]), held_out=tuple(ids[n_trained:]), counts=counts, groups=own
    )  # fmt: skip


def some_of(count: int, seed: int, most: int) -> npt.NDArray[np.int64]:
    """Return the positions of the training pictures that are measured, in order: all, or as many as memory allows."""
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).choice(count, most, replace=False))


def generate_pictures(
    job: Job, model: Adversaries, count: int, seed: int
) -> tuple[Pixels, npt.NDArray[np.int64] | None]:  # fmt: skip
    """Return generated pictures (count, H, W, 3), and their classes, in the training part's proportions, if any.

    They are drawn in full precision, as an exported generator draws them.
    """
    execution = replace(job.execution, precision="fp32")
    wanted = draw_wanted(model, count, seed, torch.from_numpy(np.asarray(job.parts("train").labels_N)))
    pictures = to_bytes(generate(model, wanted, execution))
    return pictures, None if wanted.classes_N is None else wanted.classes_N.numpy()


def open_generator(job: Job, folder: Path) -> Adversaries:
    """Return the networks of a finished run, the generator with the weights that were kept.

    Raises:
        ModelError: if the networks cannot be built.
    """
    model = job.execution.place(job.build())
    assert isinstance(model, Adversaries)
    model.generator.load_state_dict(load_weights(folder / MODEL_FILE))
    return model.eval()


def _by_class(
    job: Job,
    answers: GeneratedFeatures,
    generated: tuple[Pixels, npt.NDArray[np.int64] | None],
    test_set: PreparedSet,
    train_set: PreparedSet,
    looked_at: npt.NDArray[np.int64],
) -> Iterator[tuple[str, tuple[dict[str, float], dict[str, Interval]]]]:
    """Measure each class that was asked for against held-out and training pictures of that class, if it has some.

    Gives its name, its scores, and the intervals of those that have an honest one.
    """
    pictures_MHWC, classes_M = generated
    if classes_M is None:
        return
    photographs_THWC, sets = np.asarray(train_set.pictures_NHWC), answers.sets
    for label, name in enumerate(job.classes):
        made, held_out, trained = (rows == label for rows in (classes_M, test_set.labels_N, train_set.labels_N))
        measured = trained[looked_at]
        if min(int(rows.sum()) for rows in (made, held_out, measured)) < _FEWEST_OF_CLASS:
            continue
        near_M, near_N = (
            nearness(np.asarray(pictures)[rows], photographs_THWC[trained])[0]
            for pictures, rows in ((pictures_MHWC, made), (test_set.pictures_NHWC, held_out))
        )
        own = FeatureSets(
            sets.generated_MD[made], sets.real_ND[held_out], sets.training_TD[measured], near_M, near_N
        )  # fmt: skip
        part = GeneratedFeatures(answers.ids[held_out], answers.part, own)
        intervals = {metric: interval_of([part], metric, groups=job.groups) for metric in GENERATION_METRICS}
        yield (
            name,
            (
                {metric: part.score(metric) for metric in GENERATION_METRICS},
                {metric: interval for metric, interval in intervals.items() if interval is not None},
            ),
        )


def _record(job: Job, fitted: Generated, folder: Path, measured: _Measured) -> RunRecord:
    record = make_record(
        job,
        fitted.progress,
        steps=fitted.steps,
        n_train=len(job.parts("train")),
        scores=measured.scores,
        opened_at=measured.opened_at,
        cost=_cost(job, fitted, folder),
        precision=fitted.precision,
    )
    told = (f"{job.label}: {fitted.note}",) if fitted.note else ()
    return record.model_copy(update={"notes": (*record.notes, *told)})


def _cost(job: Job, fitted: Generated, folder: Path) -> Cost:
    """Return what training took, and what one picture of the generator costs."""
    from torch.utils.flop_counter import FlopCounterMode

    progress, generator = fitted.progress, fitted.model.generator
    wanted = draw_wanted(fitted.model, 1, 0)
    with FlopCounterMode(display=False) as counter:
        generate(fitted.model, wanted, job.execution)
    latency = measure_latency(lambda: generate(fitted.model, wanted, job.execution))
    return Cost(
        seconds=progress.seconds,
        seconds_to_best=progress.seconds_to_best,
        images_per_s=fitted.images_per_s,
        params=count_parameters(generator),
        macs=int(counter.get_total_flops()) // 2,
        memory_mb=max(progress.memory_mb, device_memory_mb(job.execution.device)),
        own_memory_mb=larger_mb(progress.own_memory_mb, own_memory_mb(job.execution.device)),
        latency_ms=latency.median_ms,
        latency_q1_ms=latency.q1_ms,
        latency_q3_ms=latency.q3_ms,
        size_mb=(folder / MODEL_FILE).stat().st_size / 1e6,
    )
