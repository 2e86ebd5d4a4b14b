"""What to try next, each proposal written from what a record shows."""

from __future__ import annotations

import numpy as np

from etude.core.study_record import StudyRecord
from etude.evaluate.final import final_row
from etude.evaluate.overfitting import gap_of
from etude.evaluate.trend import LEAST_EPOCHS, trend_of
from etude.figures.confusion import list_confusions
from etude.report.data_told import is_leak
from etude.report.reading import StudyResults
from etude.report.words import MetricWords, Words

_DOUBTS = ("doubtful-labels", "label-errors", "conflicting-labels")
"""Kinds of findings that are about labels."""


def tell_proposals(study: StudyResults, words: Words, metric: MetricWords) -> list[str]:
    """Write what the records suggest to try next; empty where no run is finished."""
    record = study.record
    final = final_row(record)
    if final is None:
        return []
    said = []
    # The score of generators on training pictures says how near to them they draw, not how well they know them.
    gap = gap_of(final, record.higher_is_better) if record.task != "generation" else None
    if gap is not None:
        places = {"candidate": final.candidate, "train": metric.score(gap.train), "test": metric.score(gap.test)}
        if gap.is_overfit:
            said.append(
                words.say(
                    "{candidate} reaches {train} on its training pictures and {test} on the test part: more pictures, "
                    "stronger augmentation or regularisation have something to gain.",
                    **places,
                )
            )
        else:
            said.append(
                words.say(
                    "{candidate} reaches {train} on its training pictures and {test} on the test part: no overfitting was "  # noqa: E501
                    "shown, so nothing says that more augmentation would help.",
                    **places,
                )
            )
    said += _tell_trend(study, final.candidate, words, metric)
    missed = [v for v in record.verdicts if v.verdict == "no difference shown" and v.smallest_detectable is not None]
    hopeless = [v for v in missed if metric.in_percent and (v.smallest_detectable or 0.0) >= 1]
    missed = [v for v in missed if v not in hopeless]
    more = (
        words.say("more draws of the folds (data.split.repeats) narrow that a little, more pictures do so further.")
        if record.n_folds > 1
        else words.say("more seeds would tell.")
    )
    if hopeless:
        said.append(
            words.say_count(
                "{n} comparison showed no difference, and so few runs could hardly have shown any: {more}",
                "{n} comparisons showed no difference, and so few runs could hardly have shown any: {more}",
                len(hopeless),
                more=more,
            )
        )
    if missed:
        said.append(
            words.say_count(
                "{n} comparison showed no difference; 8 times in 10 one of {least} would have been shown: {more}",
                "{n} comparisons showed no difference; 8 times in 10 one of {least} would have been shown: {more}",
                len(missed),
                least=_tell_ends([v.smallest_detectable or 0.0 for v in missed], words, metric),
                more=more,
            )
        )
    counts_KK = study.count_answers(final.candidate)
    said += [] if counts_KK is None else _tell_confusions(counts_KK, record, words)
    return [*said, *_tell_mending(study, words)]


def _tell_confusions(counts_KK: np.ndarray, record: StudyRecord, words: Words) -> list[str]:
    """Write which class is most often taken for which other one: of pictures by their number, of masks by the share."""
    of_masks = record.task == "segmentation"  # by the number of pixels a large class would always come first
    pairs = list_confusions(counts_KK, record.classes, counts_KK.size)
    pairs = sorted(pairs, key=lambda pair: -pair.share)[:1] if of_masks else pairs[:1]
    for pair in pairs:
        places = {"truth": pair.truth, "predicted": pair.predicted, "share": words.percent(pair.share)}
        if of_masks:
            return [
                words.say(
                    "Of its pixels {truth} loses most to {predicted} ({share} of the class): look at these pictures "
                    "first, and gather more that show {truth}.",
                    **places,
                )
            ]
        return [
            words.say(
                "{truth} is most often taken for {predicted} ({share} of the class): look at these pictures first, and "
                "gather more pictures of both classes.",
                **places,
            )
        ]
    return []


def _tell_mending(study: StudyResults, words: Words) -> list[str]:
    """Write what of the pictures to mend, by how grave it is: two dark pictures are no reason to run a study again."""
    findings, said = study.findings or (), []
    grave = [finding for finding in findings if finding.severity in ("error", "")]
    leaks = [finding for finding in grave if is_leak(finding)]
    if leaks and study.record.config.get("data", {}).get("on_leak") != "drop":
        said.append(
            words.say(
                "The split leaks, and the scores count it: split by group, or set data.on_leak: drop, and run the "
                "study again."
            )
        )
    if any(not is_leak(finding) for finding in grave):
        said.append(words.say("The data check found something grave: fix it and run the study again."))
    if any(finding.kind in _DOUBTS for finding in findings):
        said.append(
            words.say("Some labels are doubtful: look at these pictures in check.html, and fix the wrong ones.")
        )
    return said


def _tell_short(study: StudyResults, candidate: str, n_epochs: int, words: Words) -> list[str]:
    """Write that a time budget ended the training before its histories can tell of a trend; nothing otherwise."""
    is_timed = any(run.config.get("train", {}).get("budget") for run in study.runs_of(candidate))
    if not is_timed or not 0 < n_epochs <= LEAST_EPOCHS:
        return []
    return [
        words.say_count(
            "The time that {candidate} was given made {n} epoch, too few to say whether it was still improving: a longer "  # noqa: E501
            "training would tell.",
            "The time that {candidate} was given made {n} epochs, too few to say whether it was still improving: a longer "  # noqa: E501
            "training would tell.",
            n_epochs,
            candidate=candidate,
        )
    ]


def _tell_ends(values: list[float], words: Words, metric: MetricWords) -> str:
    """Write the least and the largest of some differences; one of them where both read alike."""
    least, largest = metric.points(min(values)), metric.points(max(values))
    if least == largest:
        return largest
    return words.say("{least} to {largest}, by comparison,", least=least, largest=largest)


def _tell_trend(study: StudyResults, candidate: str, words: Words, metric: MetricWords) -> list[str]:
    """Write that a candidate was still improving where its histories show it; which epoch was kept shows nothing."""
    histories = study.histories_of(candidate)
    if study.record.task == "generation":  # its histories are of looks, which validate nothing
        return []
    trend = trend_of(histories, study.record.metric)
    if trend is None:
        return _tell_short(study, candidate, max(map(len, histories), default=0), words)
    validated = MetricWords(words, trend.metric) if trend.metric else metric
    places = {
        "candidate": candidate,
        "metric": validated.name,
        "gain": validated.points(trend.gain),
        "n": words.count(trend.n_epochs),
    }
    if trend.lr_falls:
        return [
            words.say(
                "Over its last {n} epochs {candidate} improved by {gain} on validation ({metric}) while its learning "
                "rate fell, which brings a gain by itself: only a run with a longer schedule would tell whether more "
                "epochs help.",
                **places,
            )
        ]
    return [
        words.say(
            "{candidate} was still improving: by {gain} on validation ({metric}) over its last {n} epochs, at a "
            "learning rate that did not fall. Train it longer.",
            **places,
        )
    ]
