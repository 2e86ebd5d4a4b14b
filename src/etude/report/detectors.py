"""The part of the note on detectors: studies of two classes. Curves, areas, thresholds, calibration."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from etude.core.words import Part
from etude.evaluate.predictions import Predictions
from etude.figures.detectors import DetectorPanel, Line, draw_detectors
from etude.metrics.calibration import reliability_of_positive
from etude.metrics.classification import average_precision, roc_auc
from etude.metrics.confusion import confusion_matrix
from etude.metrics.curves import pr_curve, roc_curve
from etude.report.drawings import Artist, Drawing
from etude.report.reading import StudyResults
from etude.report.tables import ABSENT, Cell, Column, Table
from etude.report.words import Words

_MOST_DRAWN = 6  # candidates whose curves are drawn: more cover each other


@dataclass(frozen=True)
class Detectors:
    """What the note shows of detectors."""

    positive: str
    drawing: Drawing
    table: Table
    n_left: int
    """Candidates that are not drawn."""
    is_chosen: bool
    """Whether a threshold was chosen on validation."""
    other: str = ""
    """The other class, where the study asks for neither of the two; empty where it asks for `positive`."""


@dataclass(frozen=True)
class _Detector:
    """The answers of one candidate on the test part, its runs taken together. N pictures, each once a run."""

    positive_N: np.ndarray
    probabilities_N2: np.ndarray
    found_N: np.ndarray
    thresholds: list[float]
    temperatures: list[float]
    precisions: list[float]
    """Average precision of each run: networks of several folds have scales of their own, and are ranked apart."""
    areas: list[float]
    """Area under the ROC curve of each run."""

    def rates(self) -> tuple[float, float, float]:
        """Return recall, precision and the rate of false positives of what was found; NaN where there is none."""
        (true_negative, false_positive), (missed, hit) = confusion_matrix(
            self.positive_N.astype(np.int64), self.found_N.astype(np.int64), 2
        ).tolist()
        return (
            _share(hit, hit + missed),
            _share(hit, hit + false_positive),
            _share(false_positive, false_positive + true_negative),
        )


def gather_detectors(study: StudyResults, words: Words, artist: Artist) -> Detectors | None:
    """Set out what a study of two classes found at every threshold; none for other studies, or without predictions."""
    if study.record.task != "classification" or len(study.record.classes) != 2:
        return None
    found = {row.candidate: _read(study, row.candidate) for row in study.record.leaderboard if row.score is not None}
    detectors = {name: detector for name, detector in found.items() if detector is not None}
    if not detectors:
        return None
    main = study.record.names_without_variants
    ranked = sorted(detectors, key=lambda name: (name != study.record.baseline, name not in main))[:_MOST_DRAWN]
    drawn = {name: detector for name, detector in detectors.items() if name in ranked}
    panels = _panels(drawn, words)
    drawing = artist.draw_twice(
        "detectors",
        words.say("Precision and recall, the two rates, and reliability of each candidate"),
        lambda width_in: draw_detectors(panels, looks=artist.looks, number=words.tick, width_in=width_in),
    )
    is_chosen = any(detector.thresholds for detector in detectors.values())
    other, positive = study.record.classes
    is_asked = bool(study.record.config.get("data", {}).get("positive"))
    table = _tabulate(detectors, words)
    left = len(detectors) - len(drawn)
    return Detectors(positive, drawing, table, left, is_chosen, other="" if is_asked else other)


def _read(study: StudyResults, candidate: str) -> _Detector | None:
    """Read the predictions of all runs of a candidate; none where none were kept."""
    runs = study.runs_of(candidate)
    paths = [study.folder / "runs" / run.identity / "predictions.parquet" for run in runs]
    answers = [Predictions.read(path, Part.TEST) for path in paths if path.is_file()]
    answers = [entry for entry in answers if len(entry)]
    if not answers:
        return None
    return _Detector(
        positive_N=np.concatenate([entry.truth == 1 for entry in answers]),
        probabilities_N2=np.concatenate([entry.probabilities for entry in answers]),
        found_N=np.concatenate([entry.labels == 1 for entry in answers]),
        thresholds=[run.threshold for run in runs if run.threshold is not None],
        temperatures=[run.temperature for run in runs if run.temperature is not None],
        precisions=[average_precision(entry.truth, entry.probabilities) for entry in answers],
        areas=[roc_auc(entry.truth, entry.probabilities) for entry in answers],
    )


def _panels(detectors: dict[str, _Detector], words: Words) -> list[DetectorPanel]:
    say = words.say
    precision_recall, rates, reliability = {}, {}, {}
    for name, detector in detectors.items():
        recall, precision, false_rate = detector.rates()
        pr = pr_curve(detector.positive_N, detector.probabilities_N2[:, 1])
        roc = roc_curve(detector.positive_N, detector.probabilities_N2[:, 1])
        _, mean, share = reliability_of_positive(detector.positive_N, detector.probabilities_N2[:, 1])
        precision_recall[name] = Line(pr.recall, pr.precision, _point(recall, precision))
        rates[name] = Line(roc.false_positive_rate, roc.true_positive_rate, _point(false_rate, recall))
        is_filled = np.isfinite(mean)
        reliability[name] = Line(mean[is_filled], share[is_filled])
    return [
        DetectorPanel(say("Precision and recall"), say("recall"), say("precision"), precision_recall),
        DetectorPanel(say("ROC"), say("rate of false positives"), say("recall"), rates, has_diagonal=True),
        DetectorPanel(
            say("Reliability"), say("mean probability"), say("share of positives"), reliability,
            has_diagonal=True, has_marks=True,
        ),
    ]  # fmt: skip


def _tabulate(detectors: dict[str, _Detector], words: Words) -> Table:
    say = words.say
    on_validation: list[tuple[Column, Callable[[_Detector], list[float]]]] = [
        (Column(say("threshold"), hint=say("probability from which the answer is yes, mean over the runs")),
         lambda detector: detector.thresholds),
        (Column(say("temperature"), hint=say("what the logits are divided by, mean over the runs")),
         lambda detector: detector.temperatures),
    ]  # fmt: skip
    chosen = [(column, read) for column, read in on_validation if any(map(read, detectors.values()))]
    columns = (
        Column(say("candidate"), numeric=False),
        Column(say("average precision")),
        Column(say("area under the ROC curve")),
        Column(say("balanced accuracy")),
        Column(say("recall"), hint=say("share of the positives that is found")),
        Column(say("precision"), hint=say("share of what is found that is positive")),
        *(column for column, _ in chosen),
    )
    rows = []
    for name, detector in detectors.items():
        recall, precision, false_rate = detector.rates()
        rows.append(
            (
                Cell(name),
                _number(statistics.fmean(detector.precisions), words),
                _number(statistics.fmean(detector.areas), words),
                _number((recall + 1 - false_rate) / 2, words),
                _number(recall, words),
                _number(precision, words),
                *(_number(_mean(read(detector)), words) for _, read in chosen),
            )
        )
    return Table(columns, tuple(rows))


def _number(value: float | None, words: Words) -> Cell:
    return Cell(ABSENT) if value is None or value != value else Cell(words.number(value, 3), value)


def _mean(values: Iterable[float]) -> float | None:
    known = list(values)
    return statistics.fmean(known) if known else None


def _point(x: float, y: float) -> tuple[float, float] | None:
    return None if x != x or y != y else (x, y)


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")
