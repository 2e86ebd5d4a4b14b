"""The searches of a study file: what is wrong with them, and the candidates that stand for what they will find."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from etude.core.counting import how_many
from etude.core.errors import EtudeError, MistakeError, StudyFileError
from etude.core.registry import nearest
from etude.search import Parameter, SearchConfig, Space, make_space
from etude.search.points import grid_size
from etude.study.ablations import FieldPath, fault_sentence, field_problem, put_together
from etude.study.file import CandidateConfig, StudyConfig
from etude.study.resolve import resolve_candidate
from etude.study.yaml_text import set_field

_SEARCHED = ("model", "augment", "prepare", "train", "finetune")
_LARGEST_GRID = 10_000


@dataclass(frozen=True)
class SearchExpansion:
    """A study with a candidate for each search, which extends what is searched until the search is done."""

    study: StudyConfig
    mistakes: tuple[tuple[FieldPath, str], ...]
    """What is wrong with the searches: the place in the file, and a sentence."""


def expand_searches(study: StudyConfig, base: Path) -> SearchExpansion:
    """Add the candidate of each search. Expanding an expanded study changes nothing.

    Args:
        study: the study.
        base: the folder that relative paths in it start from.
    """
    mistakes: list[tuple[FieldPath, str]] = []
    given = study
    for place, search in enumerate(study.search):
        mistakes += _check(study, given, search, place, base)
        if search.of in study.candidates:
            study = with_settings(study, search, {})
    return SearchExpansion(study, tuple(mistakes))


def with_settings(study: StudyConfig, search: SearchConfig, settings: Mapping[str, Any]) -> StudyConfig:
    """Return the study in which the search's candidate has these settings on top of what is searched."""
    config = candidate_with(search.of, settings)
    return study.model_copy(update={"candidates": study.candidates | {search.candidate: config}})


def waiting_candidates(study: StudyConfig, searched: Sequence[str]) -> set[str]:
    """Return the candidates that are not known before these searches are done: theirs, and what extends them."""
    waiting = set(searched)
    while grown := {name for name, own in study.candidates.items() if own.extends in waiting} - waiting:
        waiting |= grown
    return waiting


def candidate_with(of: str, settings: Mapping[str, Any]) -> CandidateConfig:
    """Return a candidate that extends another with values by dotted field.

    Raises:
        ValidationError: if a value is none that the field can have.
    """
    fields: dict[str, Any] = {}
    for field in sorted(settings, key=lambda field: field.count(".")):  # a group first, then what lies in it
        set_field(fields, field, settings[field])
    return CandidateConfig.model_validate({"extends": of, **fields})


def _check(
    study: StudyConfig, given: StudyConfig, search: SearchConfig, place: int, base: Path
) -> Iterator[tuple[FieldPath, str]]:  # fmt: skip
    """Find what is wrong with one search."""
    here: FieldPath = ("search", place)
    if study.task == "generation":
        yield here, "search must be left out: a generation has no score on validation."
        return
    if search.of not in study.candidates:
        close = nearest(search.of, list(study.candidates))
        hint = f"Did you mean {close[0]!r}?" if close else f"Candidates: {', '.join(study.candidates)}."
        yield (*here, "of"), f"search.of: there is no candidate {search.of!r}. {hint}"
        return
    own = candidate_with(search.of, {})
    if study.candidates.get(search.candidate, own) != own or (
        search.candidate in study.candidates and search.candidate not in given.candidates
    ):
        told = f"search: candidate {search.candidate!r} is there already. Give the search another name."
        yield (*here, "name"), told
        return
    if search.seed in study.protocol.seed_list:
        yield (
            (*here, "seed"),
            f"search.seed must be none of the protocol's seeds. Got {search.seed}: the best settings would be shown "
            f"with the seed that they were chosen with.",
        )
    problems = [(field, _problem(field)) for field in search.space]
    yield from (((*here, "space", field), f"search.space: {told}") for field, told in problems if told)
    if any(told for _, told in problems):
        return
    try:
        space = make_space(search)
    except MistakeError as error:
        yield (*here, "space"), f"search.space: {error}"
        return
    yield from _check_values(study, search, space, here, base)
    yield from _check_length(search, space, here)


def _problem(field: str) -> str:
    """Say why a field cannot be searched; nothing where it can."""
    root = field.split(".")[0]
    if root in ("data", "combine", "extends"):
        return f"{field!r} must be a field of {', '.join(_SEARCHED)}: trials are compared on the same pictures."
    return field_problem(field)


def _check_values(
    study: StudyConfig, search: SearchConfig, space: Space, here: FieldPath, base: Path
) -> Iterator[tuple[FieldPath, str]]:  # fmt: skip
    """Try the ends of each range, and each choice, in a candidate."""
    for parameter in space:
        told: list[str] = []
        for value in parameter.choices if parameter.kind == "choice" else (parameter.at(0), parameter.at(1)):
            told += _faults(study, search, {**_conditions(space, parameter), parameter.field: value}, base)
        yield from (((*here, "space", parameter.field), f"search.space: {text}") for text in dict.fromkeys(told))


def _conditions(space: Space, parameter: Parameter) -> dict[str, Any]:
    """Return values under which a parameter is varied, for it and for those that it depends on."""
    settings: dict[str, Any] = {}
    for field, values in parameter.when:
        above = next(entry for entry in space if entry.field == field)
        settings |= _conditions(space, above) | {field: values[0]}
    return settings


def _faults(study: StudyConfig, search: SearchConfig, settings: dict[str, Any], base: Path) -> list[str]:
    """Return what is wrong with a candidate that has these settings."""
    from etude.models import resolve_spec

    field = list(settings)[-1]
    try:
        trial = study.model_copy(
            update={"candidates": study.candidates | {search.candidate: candidate_with(search.of, settings)}}
        )
        candidate = put_together(trial, search.candidate)
        if candidate is None and put_together(study, search.of) is not None:
            resolve_candidate(trial, search.candidate)  # says what does not go together
        if candidate is not None and field.startswith("model"):
            resolve_spec(candidate.model, base)
    except ValidationError as error:
        return [fault_sentence(field, fault) for fault in error.errors()]
    except StudyFileError as error:
        return list(error.problems)
    except EtudeError as error:
        return [f"{field}: {line}" for line in str(error).split("\n")]
    return []


def _check_length(search: SearchConfig, space: Space, here: FieldPath) -> Iterator[tuple[FieldPath, str]]:
    """Compare the trials with the grid."""
    if search.sampler != "grid":
        return
    count = grid_size(space, _LARGEST_GRID + 1)
    if count > _LARGEST_GRID:
        told = f"search.space: a grid must have at most {_LARGEST_GRID:,} points. Give fewer points or choices."
        yield (*here, "space"), told
    elif search.trials is not None and search.trials < count:
        yield (
            (*here, "trials"),
            f"search.trials must be at least the {how_many(count, 'point')} of the grid. Got {search.trials}. "
            f"Leave it out, or "
            f"give fewer points.",
        )
