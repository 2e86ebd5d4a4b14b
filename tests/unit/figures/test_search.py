"""The figures of a search show every trial, and every fold of one that is nested in folds."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import to_hex

from etude.core.search_record import ParameterRecord, SearchRecord, TrialRecord
from etude.figures.search import Scale, draw_history, draw_importance, draw_parallel, list_importances
from etude.figures.slices import draw_slices
from etude.figures.theme import BLUE, INK, NARROW_IN, ORANGE, WIDE_IN

BOTH = pytest.mark.parametrize("width_in", [WIDE_IN, NARROW_IN])
SHARES = {0: (0.7, 0.3), 1: (0.2, 0.8), 2: (0.25, None)}


def record(fold: int, n_folds: int = 3, n_trials: int = 6) -> SearchRecord:
    rng = np.random.default_rng(fold)
    trials = tuple(
        TrialRecord(
            number=number, state="pruned" if number == 2 else "complete", score=float(rng.uniform(0.5, 0.9)),
            settings={"train.optimizer.lr": float(10 ** rng.uniform(-3, -1)), "model.dropout": float(rng.uniform(0, 0.5))},
        )
        for number in range(n_trials)
    )  # fmt: skip
    best = max((trial for trial in trials if trial.state == "complete"), key=lambda trial: trial.score)
    lr, dropout = SHARES[fold]
    return SearchRecord(
        study="s", candidate="plain-searched", of="plain", fold=fold if n_folds > 1 else None, metric="accuracy",
        higher_is_better=True, sampler="random", pruner="median", n_trials=n_trials, seed=1000, trials=trials,
        parameters=(
            ParameterRecord(name="train.optimizer.lr", field="train.optimizer.lr", kind="log", low=1e-3, high=0.1, importance=lr),
            ParameterRecord(name="model.dropout", field="model.dropout", kind="uniform", low=0, high=0.5, importance=dropout),
        ),
        best=best.number, settings=best.settings,
    )  # fmt: skip


def lines_of(figure, color):
    (axes,) = figure.axes
    return [line for line in axes.get_lines() if to_hex(line.get_color()) == color]


def history_of(records, width_in):
    return draw_history(
        records, trial_label="trial", score_label="accuracy", state_labels={"complete": "complete", "pruned": "pruned"},
        best_label="best so far", number=str, width_in=width_in,
    )  # fmt: skip


@BOTH
def test_the_history_has_every_trial_and_a_line_of_the_best_for_each_fold(width_in):
    records = [record(fold) for fold in range(3)]
    figure = history_of(records, width_in)
    dots = lines_of(figure, BLUE)
    assert sum(len(line.get_xdata()) for line in dots) == 3 * 5
    steps = lines_of(figure, INK)
    assert sorted(line.get_ydata()[-1] for line in steps) == sorted(entry.best_score for entry in records)
    assert all((np.diff(line.get_ydata()) >= 0).all() for line in steps)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["pruned", "complete", "best so far"]
    assert len(lines_of(history_of(records[:1], width_in), INK)) == 1


@BOTH
def test_each_fold_has_its_best_trial_in_orange(width_in):
    records = [record(fold) for fold in range(3)]
    figure = draw_parallel(records, score_label="accuracy", number=str, write=str, width_in=width_in)
    scores = [trial.score for entry in records for trial in entry.trials if trial.state == "complete"]
    low, high = min(scores), max(scores)
    orange, blue = lines_of(figure, ORANGE), lines_of(figure, BLUE)
    assert len(orange) + len(blue) == len(scores)
    along = "get_ydata" if width_in == WIDE_IN else "get_xdata"
    places = sorted(getattr(line, along)()[-1] for line in orange)
    assert places == pytest.approx(sorted((entry.best_score - low) / (high - low) for entry in records))


@BOTH
def test_the_importance_has_a_point_for_each_fold_and_a_bar_where_there_is_one(width_in):
    records = [record(fold) for fold in range(3)]
    figure = draw_importance(records, share_label="importance", percent=str, width_in=width_in)
    found = {tuple(line.get_xdata()) for line in lines_of(figure, BLUE)}
    assert found == {(0.7, 0.2, 0.25), (0.3, 0.8)}
    assert not figure.axes[0].patches
    alone = draw_importance(records[:1], share_label="importance", percent=str, width_in=width_in)
    assert sorted(bar.get_width() for bar in alone.axes[0].patches) == [0.3, 0.7]


def test_what_mattered_most_in_most_folds_stands_first():
    assert list(list_importances([record(fold) for fold in range(3)])) == ["model.dropout", "train.optimizer.lr"]
    assert list(list_importances([record(0)])) == ["train.optimizer.lr", "model.dropout"]
    assert list_importances([]) == {}


@BOTH
def test_slices_set_every_complete_trial_against_each_field(width_in):
    records = [record(fold) for fold in range(3)]
    figure = draw_slices(records, score_label="accuracy", number=str, write=str, width_in=width_in)
    panels = [axes for axes in figure.axes if axes.axison]
    assert [panel.get_xlabel() for panel in panels] == ["lr", "dropout"]
    for panel, field in zip(panels, ("train.optimizer.lr", "model.dropout"), strict=True):
        scale = Scale([entry for entry in records[0].parameters if entry.field == field])
        drawn = {(float(line.get_xdata()[0]), float(line.get_ydata()[0])) for line in panel.get_lines()}
        trials = [trial for own in records for trial in own.trials if trial.state == "complete"]
        assert drawn == {(scale.place(trial.settings[field]), trial.score) for trial in trials}
        best = [line for line in panel.get_lines() if to_hex(line.get_color()) == ORANGE]
        assert sorted(float(line.get_ydata()[0]) for line in best) == sorted(own.best_score for own in records)


def test_choices_stand_side_by_side_by_their_names():
    one = record(0, n_folds=1)
    widths = ParameterRecord(
        name="model.widths", field="model.widths", kind="choice", choices=([16, 32], [32, 64, 128])
    )
    trials = tuple(
        trial.model_copy(update={"settings": {"model.widths": widths.choices[trial.number % 2]}})
        for trial in one.trials
    )
    figure = draw_slices(
        [one.model_copy(update={"parameters": (widths,), "trials": trials})], score_label="accuracy", number=str,
        write=str,
    )  # fmt: skip
    (panel,) = figure.axes
    assert [label.get_text() for label in panel.get_xticklabels()] == ["[16, 32]", "[32, 64, 128]"]
    assert {round(float(line.get_xdata()[0]), 2) for line in panel.get_lines()} == {0.25, 0.75}
