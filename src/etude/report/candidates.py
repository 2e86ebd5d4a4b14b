"""What each candidate is, in a line: its network, what it starts from, what it was shown and for how long."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import fmean
from typing import Any

from etude.core.run_record import RunRecord
from etude.core.study_record import Combination, StudyRecord
from etude.models.card import Card
from etude.report.card_words import tell_card
from etude.report.cards import find_card
from etude.report.combinations import tell_combined
from etude.report.reading import StudyResults
from etude.report.settings import list_changes
from etude.report.training_told import list_generated, size_of, tell_size
from etude.report.transfer import start_of, tell_start, tell_way
from etude.report.words import Words


def list_candidates(
    study: StudyResults,
    words: Words,
    settings: Mapping[str, Mapping[str, str]],
    code: Callable[[object], str],
) -> list[tuple[str, str]]:
    """Return each candidate that the study file names and what it is, in the order of the plan.

    Variants of ablations are left out, as are candidates without a finished run. Of two that read the same, the later
    one tells which settings it has of its own.

    Args:
        study: the study, read.
        words: the language.
        settings: the flat configuration of each candidate.
        code: sets off what stands in a study file: names of candidates, networks and fields.
    """
    variants = {name for group in study.record.ablations for name in group.candidates}
    listed: dict[str, str] = {}
    for name in dict.fromkeys(ref.candidate for ref in study.record.runs if ref.candidate not in variants):
        runs = [run for run in study.runs_of(name) if run.config]
        if not runs:
            continue
        parts = list(_tell_candidate(study, name, runs, words, code))
        alike = next((other for other, told in listed.items() if told == _join(parts, words)), None)
        if alike is not None:
            parts += _tell_apart(alike, settings.get(alike, {}), settings.get(name, {}), words, code)
        listed[name] = _join(parts, words)
    return list(listed.items())


def _join(parts: Sequence[str], words: Words) -> str:
    return words.apart(part.removesuffix(".") for part in parts) + "."


def _tell_candidate(
    study: StudyResults, name: str, runs: Sequence[RunRecord], words: Words, code: Callable[[object], str]
) -> Iterator[str]:
    """Say what a candidate is, piece by piece; of one that combines another's trainings, what it makes of them."""
    entry = next((entry for entry in study.record.combinations if entry.candidate == name), None)
    if entry is not None:
        yield words.say("like {candidate}", candidate=code(entry.of))
        yield words.say("what is averaged: {what}", what=tell_combined(entry, words))
        return
    config = runs[0].config
    card = find_card(study.folder, str(config.get("model", {}).get("name", "")))
    card = tell_card(card, words) if card else None
    if card is not None and not any(run.steps for run in runs):
        yield card.sentence
        return
    yield from _tell_network(config, card, words, code)
    yield from _tell_training(study.record, config, runs, words, code)
    yield from (
        words.say("its settings were searched, from those of {candidate}", candidate=code(search.of))
        for search in study.record.searches
        if search.candidate == name
    )
    own = Combination(candidate=name, of=name, combine=config.get("combine") or {})
    if combined := tell_combined(own, words):
        yield words.say("what is averaged: {what}", what=combined)


def _tell_network(
    config: Mapping[str, Any], card: Card | None, words: Words, code: Callable[[object], str]
) -> Iterator[str]:
    """Say what a network is called, what its encoder is, and which weights it starts from."""
    model = config.get("model", {})
    name = str(model.get("name", ""))
    if card is None:
        yield code(name)
    else:
        yield card.title if name in card.title else f"{card.title} ({code(name)})"
    if model.get("encoder"):
        yield words.say("encoder {name}", name=code(model["encoder"]))
    if start := start_of(config):
        yield words.say("pretrained weights ({weights})", weights=tell_start(start))
    else:
        yield words.say("random weights at the start")


def _tell_training(
    record: StudyRecord,
    config: Mapping[str, Any],
    runs: Sequence[RunRecord],
    words: Words,
    code: Callable[[object], str],
) -> Iterator[str]:
    """Say what a network was shown, for how long, and what of one with pretrained weights is trained."""
    train = config.get("train", {})
    if size := size_of(config, windows=False):
        yield words.say("pictures of {size} pixels", size=tell_size(size, words))
    if train.get("crop_px") and (window := size_of(config)):
        yield words.say("learnt from in windows of {size}", size=tell_size(window, words))
    if (items := config.get("data", {}).get("split", {}).get("train_items")) is not None:
        yield words.say_count("{n} training picture", "{n} training pictures", int(items))
    for label, n in list_generated(config, record).items():
        yield words.say_count(
            "{n} generated picture of: {label}", "{n} generated pictures of: {label}", n, label=words.called(label)
        )
    judged = (train.get("adversarial") or {}).get("augment") or ()
    if used := config.get("augment", {}).get("use"):
        yield words.say("augmentation: {names}", names=", ".join(map(code, used)))
    elif not judged:
        yield words.say("no augmentation")
    if judged:
        names = ", ".join(map(code, judged))
        yield words.say("augmentation of all that the discriminator sees: {names}", names=names)
    epochs = round(fmean(run.epochs for run in runs))
    if epochs and record.task != "generation":
        yield words.say_count("{n} epoch", "{n} epochs", epochs)
    else:
        yield words.say_count("{n} step", "{n} steps", round(fmean(run.steps for run in runs)))
    if start_of(config):
        yield words.say("what is trained: {what}", what=tell_way(config, words))


def _tell_apart(
    other: str, before: Mapping[str, str], after: Mapping[str, str], words: Words, code: Callable[[object], str]
) -> Iterator[str]:
    """Say which settings tell a candidate from another one; nothing where none is known."""
    changes = list_changes(before, after)
    if changes:
        fields = words.listing(code(f"{change.field}={change.after}") for change in changes)
        yield words.say("unlike {candidate} in {fields}", candidate=code(other), fields=fields)
