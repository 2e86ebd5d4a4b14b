"""The figures of a page: each drawn twice, for a wide page and for a phone, with words in the page's language."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup

from etude.core.run_record import Epoch
from etude.core.study_record import AblationGroup, LeaderboardRow, Verdict
from etude.figures import confusion, curves, influence, leaderboard, pareto, verdicts
from etude.figures.theme import NARROW_IN, PAPER, VARIABLES, WIDE_IN, Look, assign_looks, to_svg
from etude.report.captions import tell_not_drawn
from etude.report.reading import StudyResults
from etude.report.sentences import VERDICT_WORDS
from etude.report.words import MetricWords, Words

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROUND_SECONDS = (0.1, 0.3, 1, 3, 10, 30, 60, 120, 300, 600, 1200, 3600, 7200, 18_000, 36_000, 86_400, 172_800)
"""Durations that are round to people."""

_LEAST_VALUES = 3  # of a setting: two give no curve
_MIXING = frozenset({"mixup", "cutmix"})
"""Augmentations that mix labels too."""
_MOST_GAPS = 12
"""Above this many candidates, training against validation is drawn for the first ones only."""


@dataclass(frozen=True)
class Drawing:
    """One figure, drawn when it is asked for."""

    name: str
    """What its ids in a page start with."""
    label: str
    """What it shows, in a sentence, for those who do not see it."""
    draw: Callable[[float], Figure]
    """Draws it at a width in inches."""
    is_picture: bool = False
    """Whether it is made of pixels, so that it is shown as PNG and not as SVG."""
    file: Path | None = None
    """The one picture file that it shows, which says in itself what it is and who made it; none for all else."""

    @cached_property
    def wide(self) -> Markup:
        """SVG for a wide page; matplotlib escapes the words that it writes."""
        return self._written(WIDE_IN, "w")

    @cached_property
    def narrow(self) -> Markup:
        """SVG for a phone."""
        return self._written(NARROW_IN, "n")

    def png(self, width_in: float = WIDE_IN, dpi: int = 110) -> bytes:
        """Return it as PNG; the same figure gives the same bytes."""
        out = io.BytesIO()
        self.draw(width_in).savefig(out, format="png", dpi=dpi, facecolor=PAPER, metadata={"Software": None})
        return out.getvalue()

    def webp(self, width_in: float = WIDE_IN, dpi: int = 110) -> bytes:
        """Return it as WebP, which photographs take little room in; the same figure gives the same bytes."""
        out = io.BytesIO()
        figure = self.draw(width_in)
        figure.savefig(out, format="webp", dpi=dpi, facecolor=PAPER, pil_kwargs={"quality": 80, "method": 6})
        return out.getvalue()

    def _written(self, width_in: float, suffix: str) -> Markup:
        if not self.is_picture:
            return Markup(to_svg(self.draw(width_in), inline=f"{self.name}-{suffix}", label=self.label))
        data = base64.b64encode(self.png(width_in, 120)).decode("ascii")
        return Markup('<img src="data:image/png;base64,{}" alt="{}">').format(data, self.label)


@dataclass(frozen=True)
class Swatch:
    """How a candidate is drawn, for the switches beside the curves."""

    index: int
    name: str
    color: str
    """A CSS value."""
    dashes: str
    """Lengths for SVG's stroke-dasharray."""
    shown: bool
    """Whether its curves are shown at first."""


class Artist:
    """Draws the figures of one study in one language."""

    def __init__(self, study: StudyResults, words: Words, metric: MetricWords) -> None:
        self.study = study
        self.record = study.record
        self.words = words
        self.metric = metric
        self.candidates = [row.candidate for row in study.record.leaderboard]
        self.looks: dict[str, Look] = assign_looks(self.candidates, study.record.baseline)

    def swatches(self, at_first: int = 8) -> list[Swatch]:
        """Return the switches of the candidates that have curves; of many, the main ones and the baseline are on."""
        names = [name for name in self._main_first() if self.study.histories_of(name)]
        return [
            Swatch(
                index=(look := self.looks[name]).index,
                name=name,
                color=f"var({VARIABLES[look.color]})",
                dashes=" ".join(f"{2 * length:g}" for length in look.dash),
                shown=len(names) <= at_first or place < at_first - 2 or name == self.record.baseline,
            )
            for place, name in enumerate(names)
        ]

    def _main_first(self) -> list[str]:
        """Return the candidates in the order of the leaderboard, those that the study file names first."""
        return sorted(self.candidates, key=lambda name: name not in self.record.names_without_variants)

    def draw_leaderboard(self, names: Sequence[str] | None = None) -> Drawing | None:
        """Draw score and intervals, of some candidates or of all."""
        rows = [row for row in self.record.leaderboard if names is None or row.candidate in names]
        if not any(row.score is not None for row in rows):
            return None
        say = self.words.say
        scores = {
            name: [run.test[self.record.metric] for run in self.study.runs_of(name) if self.record.metric in run.test]
            for name in self.candidates
        }
        return self.draw_twice(
            "leaderboard",
            say("Score of each candidate with its two intervals"),
            lambda width_in: leaderboard.draw_leaderboard(
                rows,
                score_label=self.metric.heading,
                runs_label=say("interval over runs"),
                pictures_label=say("interval over pictures"),
                run_label=say("one run"),
                baseline_label=say("baseline"),
                number=self.metric.tick,
                baseline=self.record.baseline,
                run_scores=scores,
                width_in=width_in,
            ),
        )

    def draw_verdicts(self, comparisons: Sequence[Verdict], name: str = "verdicts") -> Drawing | None:
        """Draw the forest plot of some comparisons, largest gain on top."""
        if not comparisons:
            return None
        say = self.words.say
        return self.draw_twice(
            name,
            say("Gain of each candidate over the baseline with its interval"),
            lambda width_in: verdicts.draw_verdicts(
                sorted(comparisons, key=lambda verdict: -verdict.gain),
                gain_label=self.metric.gain_heading,
                verdict_labels={word: say(text) for word, text in VERDICT_WORDS.items()},
                number=self.metric.tick,
                summary=lambda verdict: (
                    f"{self.metric.signed(verdict.gain)} {self.metric.interval(verdict.low, verdict.high)}".strip()
                ),
                width_in=width_in,
            ),
        )

    def draw_influence(
        self, group: AblationGroup, settings: Mapping[str, Mapping[str, str]], name: str
    ) -> Drawing | None:
        """Draw the score against the setting that an ablation varies; none where its values are no numbers, or few."""
        rows = {row.candidate: row for row in self.record.leaderboard}
        values = []
        for candidate in (group.of, *group.candidates):
            row, text = rows.get(candidate), settings.get(candidate, {}).get(group.vary, "")
            value = _as_number(text)
            if row is not None and row.score is not None and value is not None:
                interval = row.interval_runs or row.interval_pictures
                values.append(influence.Value(value, row.score, row.train_score, interval))
        if len({entry.value for entry in values}) < _LEAST_VALUES:
            return None
        say = self.words.say
        return self.draw_twice(
            name,
            say("Score at each value of {field}", field=group.vary),
            lambda width_in: influence.draw_influence(
                values,
                setting=group.vary,
                score_label=self.metric.heading,
                test_label=say("test part"),
                train_label=say("training part"),
                number=self.words.tick,
                score_number=self.metric.tick,
                width_in=width_in,
            ),
        )

    def draw_curves(self, candidates: Iterable[str] | None = None) -> Drawing | None:
        """Draw the learning curves of candidates, overlaid; of generators what each look saw, by step.

        Args:
            candidates: those that are drawn; none means all.
        """
        names = self.candidates if candidates is None else candidates
        histories = {name: runs for name in names if (runs := self.study.histories_of(name))}
        if not histories:
            return None
        if self.record.task == "generation":
            return self._draw_looks(histories)
        say = self.words.say
        # A metric of contours is counted at the end alone: what chose the epoch, and is drawn, is another.
        others = {line.validation_metric for runs in histories.values() for run in runs for line in run} - {""}
        chosen_by = MetricWords(self.words, others.pop()) if others else self.metric
        panels: dict[curves.Field, str] = {
            "validation_score": say("{quantity}, validation", quantity=chosen_by.heading),
            "train_score": say("{quantity}, training", quantity=self.metric.heading),
            "validation_loss": say("loss, validation"),
            "train_loss": say("loss, training"),
        }
        return self.draw_twice(
            "curves",
            say("Learning curves of all candidates by epoch"),
            lambda width_in: curves.draw_curves(
                histories,
                panels,
                looks=self.looks,
                epoch_label=say("epoch"),
                numbers={
                    "validation_score": chosen_by.tick,
                    "train_score": self.metric.tick,
                    "validation_loss": self.words.tick,
                    "train_loss": self.words.tick,
                },
                width_in=width_in,
            ),
        )

    def _draw_looks(self, histories: Mapping[str, Sequence[curves.History]]) -> Drawing:
        """Draw what the looks at the training of generators saw, by step."""
        say = self.words.say
        panels: dict[curves.Field, str] = {
            "train_loss": say("loss, generator"),
            "discriminator_loss": say("loss, discriminator"),
            "diversity": say("diversity of the samples"),
            "generator_gradient": say("gradient, generator"),
            "discriminator_gradient": say("gradient, discriminator"),
            "real_logit": say("logit, photographs"),
            "fake_logit": say("logit, generated pictures"),
        }
        return self.draw_twice(
            "curves",
            say("Losses, gradients, logits and diversity of all generators by step"),
            lambda width_in: curves.draw_curves(
                histories,
                panels,
                looks=self.looks,
                epoch_label=say("step"),
                numbers=dict.fromkeys(panels, self.words.tick),
                by="step",
                width_in=width_in,
            ),
        )

    def tell_curves(self) -> str:
        """Say what the learning curves show and how they are read."""
        say = self.words.say
        if self.record.task == "generation":
            return say(
                "By step: each run a thin line, the mean of a candidate's runs a thick one. Both losses without "
                "penalties; gradients by their length; what the discriminator takes for a photograph has a logit above "
                "0. Diversity is how much the fixed samples differ, over how much training pictures do: near 0 they "
                "are all the same."
            )
        told = say("By epoch: each run a thin line, the mean of a candidate's runs a thick one.")
        lines = (line for name in self.candidates for run in self.study.histories_of(name) for line in run)
        if any(line.train_score is not None for line in lines) and any(map(self._is_augmented, self.candidates)):
            told += " " + say("Training is measured on pictures as they went by, augmented where a candidate augments.")
        return told

    def _is_augmented(self, candidate: str) -> bool:
        return any(run.config.get("augment", {}).get("use") for run in self.study.runs_of(candidate)[:1])

    def draw_gaps(self) -> Drawing | None:
        """Draw training against validation loss for each candidate, the first ones where there are many.

        Validation loss is the cross-entropy without weights: whoever trains on another has no panel.
        """
        histories = dict(list(self._comparable_losses().items())[:_MOST_GAPS])
        if not any(line.validation_loss is not None for runs in histories.values() for run in runs for line in run):
            return None
        say = self.words.say
        return self.draw_twice(
            "gaps",
            say("Loss on training and validation of each candidate"),
            lambda width_in: curves.draw_gaps(
                histories,
                train_label=say("training loss"),
                validation_label=say("validation loss"),
                epoch_label=say("epoch"),
                number=self.words.tick,
                width_in=width_in,
            ),
        )

    def tell_gaps(self) -> str:
        """Say how training and validation loss are read beside each other, and of whom they cannot be."""
        say = self.words.say
        told = []
        if self.draw_gaps() is not None:
            told.append(
                say(
                    "Loss on the training and on the validation part. Where they part, the model learns its training "
                    "pictures by heart; training loss holds augmentation and regularisation."
                )
            )
            told[-1] += tell_not_drawn(len(self._comparable_losses()) - _MOST_GAPS, self.words)
        left = [name for name in self._with_another_loss if self.study.histories_of(name)]
        if left and self.record.task != "generation":
            told.append(
                say(
                    "Losses are not set side by side for {names}: trained on another loss, with smoothed or mixed "
                    "labels, or with weights of classes, while validation loss is always the plain cross-entropy.",
                    names=self.words.listing(left),
                )
            )
        return " ".join(told)

    def _comparable_losses(self) -> dict[str, list[list[Epoch]]]:
        """Return the histories of the candidates that were trained on the loss which is validated."""
        names = [name for name in self._main_first() if name not in self._with_another_loss]
        return {name: runs for name in names if (runs := self.study.histories_of(name))}

    @cached_property
    def _with_another_loss(self) -> list[str]:
        """The candidates whose training loss is not the cross-entropy that validation loss is."""
        configs = {name: runs[0].config for name in self.candidates if (runs := self.study.runs_of(name))}
        return [name for name, config in configs.items() if _has_another_loss(config)]

    def draw_pareto(self) -> Drawing | None:
        """Draw the score against training time, latency and size, where they were measured."""
        say = self.words.say
        points = (
            self._points(lambda row: row.seconds),
            self._points(lambda row: row.latency_ms),
            self._points(lambda row: row.size_mb),
        )
        panels = [
            pareto.Panel(say("training time of a run"), points[0], self.words.duration_tick, ROUND_SECONDS),
            pareto.Panel(say("latency of one picture (ms)"), points[1], self.words.tick),
            pareto.Panel(say("size of the weights (MB)"), points[2], self.words.tick),
        ]
        panels = [panel for panel in panels if len(panel.points) > 1]
        if not panels:
            return None
        return self.draw_twice(
            "pareto",
            say("Score of each candidate against what it costs"),
            lambda width_in: pareto.draw_pareto(
                panels,
                score_label=self.metric.heading,
                score_number=self.metric.tick,
                looks=self.looks,
                higher_is_better=self.record.higher_is_better,
                width_in=width_in,
            ),
        )

    def _points(self, get: Callable[[LeaderboardRow], float | None]) -> list[pareto.Point]:
        """Return the candidates that have both a score and this cost."""
        return [
            pareto.Point(row.candidate, cost, row.score, row.interval_runs or row.interval_pictures)
            for row in self.record.leaderboard
            if row.score is not None and (cost := get(row)) is not None
        ]

    def draw_confusion(self, counts_KK: np.ndarray, name: str = "confusion") -> Drawing:
        """Draw a confusion matrix."""
        say = self.words.say
        return self.draw_twice(
            name,
            say("Confusion matrix, in % of each true class"),
            lambda width_in: confusion.draw_confusion(
                counts_KK,
                self.record.classes,
                truth_label=say("true class"),
                predicted_label=say("answer"),
                width_in=min(width_in, 5.8),
            ),
        )

    def draw_twice(self, name: str, label: str, draw: Callable[[float], Figure]) -> Drawing:
        """Return a figure that can be drawn at both widths."""
        return Drawing(name, label, draw)


def _as_number(text: str) -> float | None:
    """Read the number that a setting is; none where it is none.

    >>> _as_number("0.01"), _as_number("sgd"), _as_number("true")
    (0.01, None, None)
    """
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _has_another_loss(config: Mapping[str, Any]) -> bool:
    """Whether a training minimises something else than the plain cross-entropy of the labels as they are."""
    train, augment = config.get("train") or {}, config.get("augment") or {}
    return (
        train.get("loss", "cross-entropy") != "cross-entropy"
        or train.get("class_weights", "none") != "none"
        or bool(train.get("label_smoothing"))
        or bool(_MIXING & set(augment.get("use") or ()))
    )
