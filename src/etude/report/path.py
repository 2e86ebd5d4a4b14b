"""The path: every run in order, failed ones included, with what each decided."""

from __future__ import annotations

from etude.core.run_record import RunRecord
from etude.core.study_record import RunRef
from etude.report.reading import StudyResults
from etude.report.recorded import name_run
from etude.report.sentences import Teller
from etude.report.words import MetricWords, Words


def tell_path(study: StudyResults, words: Words, metric: MetricWords) -> list[tuple[str, str]]:
    """Return, for each run of the plan in order, its name and a sentence on what it came to and what it decided.

    A run decides something where its validation score passes all before it, and where it is the last of a
    candidate that a verdict speaks of.
    """
    record = study.record
    teller = Teller(words, metric)
    verdicts = {verdict.candidate: verdict for verdict in record.verdicts}
    last = {ref.candidate: ref.identity for ref in record.runs if ref.status == "finished"}
    best: float | None = None
    told = []
    for ref in record.runs:
        run = study.runs.get(ref.identity)
        said = [_tell_run(ref, run, words, metric)]
        score = run.validation.get(record.metric) if run else None
        if score is not None and score == score:
            is_better = best is None or (score > best if record.higher_is_better else score < best)
            if is_better and best is not None:
                said.append(words.say("The best on validation so far."))
            best = score if is_better else best
        if last.get(ref.candidate) == ref.identity and ref.candidate in verdicts:
            said.append(teller.tell_verdict(verdicts[ref.candidate]))
        told.append((name_run(ref.candidate, ref.seed, ref.fold, words), " ".join(said)))
    return told


def _tell_run(ref: RunRef, run: RunRecord | None, words: Words, metric: MetricWords) -> str:
    if ref.status == "failed":
        return words.say("Failed: {reason}", reason=ref.failure)
    if run is None:
        return words.say("Not finished.") if ref.status == "running" else words.say("Not begun.")
    score = run.test.get(metric.metric)
    return words.say_count(
        "{score} on the test part after {n} epoch, epoch {kept} kept, in {duration}.",
        "{score} on the test part after {n} epochs, epoch {kept} kept, in {duration}.",
        run.epochs,
        score="–" if score is None else metric.score(score),
        kept=words.count(run.best_epoch),
        duration=words.duration(run.cost.seconds),
    )
