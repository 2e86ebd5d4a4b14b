"""How long the training of a generator takes here, from a few steps of it and one look."""

from __future__ import annotations

import math
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from etude.models.picture_features import find_features
from etude.train.adversarial import Duel
from etude.train.job import Job
from etude.train.samples import watched_samples, write_samples
from etude.train.state import Progress

if TYPE_CHECKING:
    from etude.train.measure import TrainingTime

_WARMUP_STEPS: Final = 2
_MOST_STEPS: Final = 60
_LONG_ENOUGH_S: Final = 4.0
_MOST_SECONDS: Final = 30.0
_STEPS_A_WAIT: Final = 20
_BLOCK_S: Final = 1.0
"""Seconds of steps at most between two waits, so that slow steps are not too many."""
_SHARE: Final = 1 / 60
"""Of a time budget, what its number of steps may be found in."""
_SLOWEST: Final = 0.02
"""Share of the steps that is left out: those in which the machine did something else."""


def measure_generator(job: Job, *, is_judged: bool = True) -> TrainingTime:
    """Make a few steps, with and without the lazy penalty, and one look; nothing is kept.

    An epoch of the time that is returned is what lies between two looks.

    Args:
        job: the training. One with a time budget is timed for longer, as its number of steps is made of that.
        is_judged: whether what it generates is measured at the end, and that is timed too.

    Raises:
        EtudeError: if the networks or the pictures cannot be had.
    """
    from etude.train.measure import TrainingTime

    duel = Duel(job)
    duel.begin(0)
    config = job.train.adversarial
    plain: list[float] = []
    started = time.perf_counter()
    spent_s, wanted_s = 0.0, min(_MOST_SECONDS, _SHARE * (job.train.budget or 0.0))
    number, block = 0, 1
    while not plain or spent_s <= wanted_s or (number < _MOST_STEPS and spent_s <= _LONG_ENOUGH_S):
        numbers = range(number + 1, number + 1 + block)
        seconds = time_steps(duel, [at if at % config.r1_every else at + 1 for at in numbers])
        number += block
        plain += [seconds] if number > _WARMUP_STEPS else []
        if number == _WARMUP_STEPS:
            block = steps_a_wait(duel.execution.device.type, seconds)
        spent_s = time.perf_counter() - started
    step_s = statistics.fmean(sorted(plain)[: math.ceil((1 - _SLOWEST) * len(plain))])
    if config.r1 > 0:
        time_steps(duel, [0])
        step_s += max(0.0, time_steps(duel, [0] * block) - step_s) / config.r1_every
    _time_look(duel)  # the first is a cold one
    look_s, finish_s = _time_look(duel), _time_finish(duel) if is_judged else 0.0
    looks = math.ceil(duel.steps / config.look_every)
    total = duel.steps * step_s + looks * look_s + finish_s
    return TrainingTime(total, duel.steps, step_s, look_s, finish_s, config.look_every)


def steps_a_wait(device: str, step_s: float) -> int:
    """Return after how many steps to wait for the device: a GPU is given steps ahead, and idles where it is waited for.

    On a CPU each step is done when it returns, and is timed by itself.
    """
    return 1 if device == "cpu" else max(1, min(_STEPS_A_WAIT, int(_BLOCK_S / step_s)))


def time_steps(duel: Duel, numbers: Sequence[int]) -> float:
    """Make some steps, wait for the device once, and return the mean seconds of a step."""
    started = time.perf_counter()
    for number in numbers:
        duel.step(number)
    duel.sums.tolist()  # waits for the device
    return (time.perf_counter() - started) / len(numbers)


def _time_look(duel: Duel) -> float:
    """Return the seconds of the samples, of settling what they come from, of their file and the saved state."""
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        write_samples(Path(folder), "look.png", duel.look(), "a look that is timed")
        duel.save(Path(folder) / "state.safetensors", Progress())
    return time.perf_counter() - started


def _time_finish(duel: Duel) -> float:
    """Return the seconds in which as many pictures are generated and embedded as will be measured."""
    from etude.train.samples import to_bytes

    features = find_features(duel.job.generation.features)
    features.of(to_bytes(watched_samples(duel.model, duel.execution, 0))[:1])  # opens the network
    started = time.perf_counter()
    features.of(pictures := to_bytes(watched_samples(duel.model, duel.execution, 0)))
    each_s = (time.perf_counter() - started) / len(pictures)
    real = sum(len(duel.job.parts(part)) for part in ("train", "validation", "test"))
    return each_s * (duel.job.generation.pictures + 4 * real)
