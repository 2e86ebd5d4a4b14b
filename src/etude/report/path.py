"""The path: the trials of searches, then every run in order, pruned and failed ones too, with what each decided."""

from __future__ import annotations

from etude.core.run_record import RunRecord
from etude.core.search_record import SearchRecord, TrialRecord
from etude.core.study_record import RunRef, Verdict
from etude.report.failures import write_failure
from etude.report.reading import StudyResults
from etude.report.recorded import name_run
from etude.report.searches import read_searches, write_setting
from etude.report.sentences import Teller
from etude.report.words import MetricWords, Words


def tell_path(study: StudyResults, words: Words, metric: MetricWords) -> list[tuple[str, str]]:
    """Return, for each trial and each run in order, its name and a sentence on what it came to and what it decided.

    Searches come first, as they are done first: what they find is among the candidates of the runs.
    """
    return [*tell_trials(study, words, metric), *tell_runs(study, words, metric)]


def tell_trials(
    study: StudyResults, words: Words, metric: MetricWords, candidate: str | None = None
) -> list[tuple[str, str]]:
    """Return the name of each trial of the searches, or of the one search that makes a candidate, and its sentence.

    A trial decides something where its validation score passes all before it, and where its settings are those that
    the search ends with.
    """
    summaries = [entry for entry in study.record.searches if candidate in (None, entry.candidate)]
    told = []
    for search in [record for summary in summaries for record in read_searches(study, summary)]:
        best: float | None = None
        for trial in search.trials:
            said = [_tell_trial(trial, words, metric)]
            if trial.state == "complete" and trial.score is not None and trial.score == trial.score:
                is_better = best is None or (trial.score > best if search.higher_is_better else trial.score < best)
                if is_better and best is not None:
                    said.append(words.say("The best of its search so far."))
                best = trial.score if is_better else best
            if trial.number == search.best:
                said.append(words.say("Its settings are those of {candidate}.", candidate=search.candidate))
            told.append((_name_trial(search, trial, words), " ".join(said)))
    return told


def tell_runs(study: StudyResults, words: Words, metric: MetricWords) -> list[tuple[str, str]]:
    """Return, for each run of the plan in order, its name and its sentence.

    A run decides something where its validation score passes all before it of its fold, and where it is the last of a
    candidate that a verdict speaks of. What networks over folds score on validation is made otherwise, each picture by
    the network that was not trained on it, and is set beside nothing.
    """
    record = study.record
    teller = Teller(words, metric)
    verdicts: dict[str, list[Verdict]] = {}
    for verdict in record.verdicts:
        verdicts.setdefault(verdict.candidate, []).append(verdict)
    last = {ref.candidate: ref.identity for ref in record.runs if ref.status == "finished"}
    best: dict[int | None, float] = {}
    told = []
    for ref in record.runs:
        run = study.runs.get(ref.identity)
        said = [_tell_run(ref, run, words, metric, counts_steps=record.task == "generation")]
        score = run.validation.get(record.metric) if run and not _is_over_folds(run) else None
        if score is not None and score == score:
            before = best.setdefault(ref.fold, score)
            if score > before if record.higher_is_better else score < before:
                best[ref.fold] = score
                said.append(
                    words.say("The best on validation so far.")
                    if ref.fold is None
                    else words.say("The best on the validation part of its fold so far.")
                )
        if last.get(ref.candidate) == ref.identity:
            said += [teller.tell_verdict(verdict) for verdict in verdicts.get(ref.candidate, [])]
        told.append((name_run(ref.candidate, ref.seed, ref.fold, words), " ".join(said)))
    return told


def _is_over_folds(run: RunRecord) -> bool:
    """Whether several networks answer, each trained on all but one part of the training and validation pictures."""
    return bool((run.config.get("combine") or {}).get("folds"))


def _name_trial(search: SearchRecord, trial: TrialRecord, words: Words) -> str:
    """Name a trial for people, counted from 1."""
    places = {"candidate": search.candidate, "number": words.count(trial.number + 1)}
    if search.fold is None:
        return words.say("{candidate}, trial {number}", **places)
    return words.say("{candidate}, fold {fold}, trial {number}", fold=search.fold, **places)


def _tell_trial(trial: TrialRecord, words: Words, metric: MetricWords) -> str:
    settings = ", ".join(f"{field}={write_setting(value)}" for field, value in trial.settings.items())
    tried = words.say("It tried {settings}.", settings=settings) if settings else ""
    return f"{_tell_outcome(trial, words, metric)} {tried}".rstrip()


def _tell_outcome(trial: TrialRecord, words: Words, metric: MetricWords) -> str:
    if trial.state == "failed":
        return words.say("Failed: {reason}", reason=write_failure(trial.failure, words))
    if trial.state == "running":
        return words.say("Not finished.")
    places = {"score": "–" if trial.score is None else metric.score(trial.score)}
    if trial.is_reused:
        return words.say("{score} on validation, by a training that was there already.", **places)
    places["duration"] = words.duration(trial.seconds)
    if trial.state == "pruned":
        return words.say_count(
            "Stopped early after {n} epoch, in {duration}: {score} on validation at best by then.",
            "Stopped early after {n} epochs, in {duration}: {score} on validation at best by then.",
            trial.epochs,
            **places,
        )
    return words.say_count(
        "{score} on validation after {n} epoch, in {duration}.",
        "{score} on validation after {n} epochs, in {duration}.",
        trial.epochs,
        **places,
    )


def _tell_run(ref: RunRef, run: RunRecord | None, words: Words, metric: MetricWords, *, counts_steps: bool) -> str:
    if ref.status == "failed":
        return words.say("Failed: {reason}", reason=write_failure(ref.failure, words))
    if run is None:
        return words.say("Not finished.") if ref.status == "running" else words.say("Not begun.")
    score = run.test.get(metric.metric)
    places = {"score": "–" if score is None else metric.score(score)}
    if run.steps == 0:
        return words.say("{score} on the test part; there is nothing to train.", **places)
    places["duration"] = words.duration(run.cost.seconds)
    if counts_steps:
        return words.say_count(
            "{score} on the test part after {n} step, in {duration}.",
            "{score} on the test part after {n} steps, in {duration}.",
            run.steps,
            **places,
        )
    return _tell_combined(run, words, places) or words.say_count(
        "{score} on the test part after {n} epoch, epoch {kept} kept, in {duration}.",
        "{score} on the test part after {n} epochs, epoch {kept} kept, in {duration}.",
        run.epochs,
        kept=words.count(run.best_epoch),
        **places,
    )


def _tell_combined(run: RunRecord, words: Words, places: dict[str, str]) -> str:
    """Write what a run came to of which no single epoch is kept; empty where one is.

    The record of several networks has the epochs of the first one, that of averaged epochs the last one.
    """
    combine = run.config.get("combine") or {}
    if several := combine.get("members") or combine.get("folds"):
        return words.say(
            "{score} on the test part, in {duration} (of {n} networks, each with an epoch of its own).",
            n=words.count(several),
            **places,
        )
    if last := combine.get("last_epochs"):
        return words.say_count(
            "{score} on the test part after {n} epoch, in {duration}.",
            "{score} on the test part after {n} epochs, the weights of the last {averaged} averaged, in {duration}.",
            run.epochs,
            averaged=words.count(min(last, run.epochs)),
            **places,
        )
    return ""
