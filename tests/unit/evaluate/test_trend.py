"""Whether a training was still improving when it ended, by its history alone."""

from __future__ import annotations

import numpy as np
import pytest

from etude.core.run_record import Epoch
from etude.evaluate.trend import trend_of


def history(scores: list[float], lrs: list[float] | float = 0.1, stages: list[str] | None = None) -> list[Epoch]:
    rates = lrs if isinstance(lrs, list) else [lrs] * len(scores)
    return [
        Epoch(
            epoch=n + 1, step=n + 1, train_loss=1.0, validation_score=score, lr=rates[n], seconds=1.0, images_per_s=1.0,
            stage=stages[n] if stages else "",
        )
        for n, score in enumerate(scores)
    ]  # fmt: skip


def noise(n: int, seed: int, sd: float = 0.004) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, sd, n)


RISING = [0.3 + 0.01 * n for n in range(20)]
FLAT = [0.3 + 0.03 * min(n, 10) for n in range(20)]


def test_a_score_that_still_rises_is_a_trend_and_one_that_lies_flat_is_none() -> None:
    rising = [history(list(RISING + noise(20, seed))) for seed in range(3)]
    found = trend_of(rising, "accuracy")
    assert found is not None
    assert (found.n_epochs, found.lr_falls) == (5, False)
    assert found.gain == pytest.approx(0.04, abs=0.02)
    assert trend_of([history(list(FLAT + noise(20, seed))) for seed in range(3)], "accuracy") is None


def test_a_best_epoch_that_is_the_last_by_chance_is_no_trend() -> None:
    scores = [*FLAT[:19], 0.601]
    scores[15:19] = [0.6, 0.597, 0.6004, 0.5985]
    assert trend_of([history(scores)], "accuracy") is None


def test_a_learning_rate_that_falls_is_said() -> None:
    decaying = [0.1 * (1 - n / 20) for n in range(20)]
    found = trend_of([history(list(RISING + noise(20, 1)), decaying)], "accuracy")
    assert found is not None
    assert found.lr_falls


def test_a_loss_improves_downwards() -> None:
    falling = [1.0 - 0.02 * n for n in range(20)]
    found = trend_of([history(list(falling + noise(20, 2)))], "log_loss")
    assert found is not None
    assert found.gain > 0
    assert trend_of([history(list(falling + noise(20, 2)))], "accuracy") is None


@pytest.mark.parametrize("n", [0, 1, 5])
def test_too_few_epochs_show_nothing(n: int) -> None:
    assert trend_of([history(RISING[:n])], "accuracy") is None


def test_epochs_of_another_stage_do_not_count() -> None:
    stages = ["head"] * 17 + ["all"] * 3
    assert trend_of([history(RISING, stages=stages)], "accuracy") is None
    assert trend_of([history(RISING, stages=["head"] * 15 + ["all"] * 5)], "accuracy") is not None


def test_without_validation_nothing_is_shown() -> None:
    blind = [epoch.model_copy(update={"validation_score": None}) for epoch in history(RISING)]
    assert trend_of([blind], "accuracy") is None
    assert trend_of([], "accuracy") is None


def test_what_climbs_back_after_a_setback_has_gained_nothing() -> None:
    stages = ["head"] * 24 + ["all"] * 6
    back = [0.8] * 24 + [0.70, 0.72, 0.74, 0.76, 0.77, 0.79]
    assert trend_of([history(back, stages=stages)], "accuracy") is None
    beyond = [0.8] * 24 + [0.74, 0.77, 0.80, 0.83, 0.85, 0.88]
    assert trend_of([history(beyond, stages=stages)], "accuracy") is not None
