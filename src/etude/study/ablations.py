"""From the ablations of a study file to candidates: one field varied, all else the same."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from etude.core.errors import StudyFileError
from etude.core.registry import nearest
from etude.core.study_record import AblationGroup
from etude.data.augment import AUGMENTATIONS
from etude.study.faults import fields_at, told_fault
from etude.study.file import AblationConfig, CandidateConfig, StudyConfig
from etude.study.resolve import Candidate, resolve_candidate
from etude.train.config import TrainConfig

FieldPath = tuple[str | int, ...]
AUGMENT_FIELD = "augment.use"


@dataclass(frozen=True)
class Expansion:
    """A study with the candidates that its ablations make."""

    study: StudyConfig
    groups: tuple[AblationGroup, ...]
    origins: dict[str, FieldPath]
    """Where in the file each made candidate comes from."""
    mistakes: tuple[tuple[FieldPath, str], ...]
    """What is wrong with the ablations: the place in the file, and a sentence."""


@dataclass(frozen=True)
class _Variant:
    """One candidate that an ablation makes."""

    name: str
    value: Any
    path: FieldPath
    """Where its value stands in the file."""
    way: str = "each"
    """How it combines the values: each, all or all-but-each."""


def expand_ablations(study: StudyConfig) -> Expansion:
    """Make the candidates of each ablation, each extending the one that is varied.

    What is made already is made once: a value that `of` has, or a set of augmentations that two ways of combining
    share, gives no second candidate. Where augmentations are left out in turn, the candidate that has them all is made
    too: it is what those are compared with. Expanding an expanded study changes nothing.
    """
    groups: list[AblationGroup] = []
    origins: dict[str, FieldPath] = {}
    mistakes: list[tuple[FieldPath, str]] = []
    for place, ablation in enumerate(study.ablations):
        faults = list(_check(study, ablation, place))
        mistakes += faults
        base = None if faults else put_together(study, ablation.of)
        if base is None:
            continue
        made = {ablation.of: base}
        by_way: dict[str, list[str]] = {}
        for variant in _variants(ablation, base, place):
            larger, candidate, told = _make(study, ablation, variant)
            mistakes += [(variant.path, sentence) for sentence in told]
            if candidate is None:
                continue
            same = next((name for name, other in made.items() if _is_same(candidate, other)), None)
            if same is None:
                study, made[variant.name] = larger, candidate
                origins.setdefault(variant.name, variant.path)
            by_way.setdefault(variant.way, []).append(same or variant.name)
        groups += [*_groups(ablation, by_way, groups)]
    return Expansion(study, tuple(groups), origins, tuple(mistakes))


def _make(
    study: StudyConfig, ablation: AblationConfig, variant: _Variant
) -> tuple[StudyConfig, Candidate | None, list[str]]:  # fmt: skip
    """Return the study with one variant more, the variant put together, and what is wrong with it."""
    try:
        config = CandidateConfig.model_validate({"extends": ablation.of, **_nest(ablation.vary, variant.value)})
    except ValidationError as error:
        return study, None, [fault_sentence(ablation.vary, fault) for fault in error.errors()]
    if study.candidates.get(variant.name, config) != config:
        return study, None, [f"candidate {variant.name!r} is there already, with other fields. Rename it."]
    made = study.model_copy(update={"candidates": study.candidates | {variant.name: config}})
    try:
        return made, resolve_candidate(made, variant.name), []
    except StudyFileError as error:
        return study, None, list(error.problems)


def written_candidates(study: StudyConfig, groups: Sequence[AblationGroup]) -> list[str]:
    """Return the candidates that no ablation has made."""
    made = {name for group in groups for name in group.candidates}
    return [name for name in study.candidates if name not in made]


def _variants(ablation: AblationConfig, base: Candidate, place: int) -> Iterator[_Variant]:
    """Give the variants by name and value, in the order of the file."""
    where: FieldPath = ("ablations", place, "over")
    if ablation.vary != AUGMENT_FIELD:
        for index, value in enumerate(ablation.over):
            yield _Variant(f"{ablation.of} {ablation.vary}={write_value(value)}", value, (*where, index))
        return
    has, names = base.augment.use, ablation.over
    for way in _ways(ablation):
        if way == "each":
            yield from (_Variant(f"{ablation.of}+{name}", [*has, name], (*where, i)) for i, name in enumerate(names))
        elif way == "all":
            yield _Variant(f"{ablation.of}+all", [*has, *names], where, way)
        else:
            for index, left_out in enumerate(names):
                value = [*has, *(name for name in names if name != left_out)]
                yield _Variant(f"{ablation.of}+all-but-{left_out}", value, (*where, index), way)


def _ways(ablation: AblationConfig) -> Iterator[str]:
    """Give the ways of combining in the order of the file; what leaves one out is compared with what has all."""
    for way in dict.fromkeys(ablation.combine):
        if way == "all-but-each" and "all" not in ablation.combine:
            yield "all"
        yield way


def _check(study: StudyConfig, ablation: AblationConfig, place: int) -> Iterator[tuple[FieldPath, str]]:
    """Find what is wrong with an ablation before its values are looked at."""
    here: FieldPath = ("ablations", place)
    if ablation.of not in study.candidates:
        close = nearest(ablation.of, list(study.candidates))
        hint = f"Did you mean {close[0]!r}?" if close else f"Candidates: {', '.join(study.candidates)}."
        yield (*here, "of"), f"ablations.{place}.of: there is no candidate {ablation.of!r}. {hint}"
    if problem := field_problem(ablation.vary):
        yield (*here, "vary"), f"ablations.{place}.vary: {problem}"
        return
    repeated = [value for index, value in enumerate(ablation.over) if value in ablation.over[:index]]
    if repeated:
        yield (*here, "over"), f"ablations.{place}.over must not name {write_value(repeated[0])} twice."
    elif ablation.vary == AUGMENT_FIELD:
        yield from _check_augmentations(study, ablation, place)
    elif ablation.combine != ("each",):
        told = f"must be 'each' where {ablation.vary} is varied: only {AUGMENT_FIELD} can take several values at once."
        yield (*here, "combine"), f"ablations.{place}.combine {told} Got {list(ablation.combine)}."


def _check_augmentations(study: StudyConfig, ablation: AblationConfig, place: int) -> Iterator[tuple[FieldPath, str]]:
    base = put_together(study, ablation.of) if ablation.of in study.candidates else None
    for index, name in enumerate(ablation.over):
        path: FieldPath = ("ablations", place, "over", index)
        where = f"ablations.{place}.over"
        if name not in AUGMENTATIONS:
            close = nearest(str(name), list(AUGMENTATIONS))
            hint = f"Did you mean {close[0]!r}?" if close else f"Known: {', '.join(AUGMENTATIONS)}."
            yield path, f"{where}: there is no augmentation {name!r}. {hint}"
        elif base is not None and name in base.augment.use:
            yield path, f"{where}: {ablation.of!r} has {name!r} already. Vary a candidate without it, or leave it out."


def field_problem(vary: str) -> str:
    """Say why a candidate has no such field; nothing where it has."""
    words: FieldPath = tuple(vary.split("."))
    for length in range(1, len(words) + 1):
        if words[0] == "model" and length > 1:
            return ""  # the parameters of a network are its family's to check
        known = [name for name in fields_at(CandidateConfig, words[: length - 1]) if name != "extends"]
        if words[length - 1] not in known:
            name = ".".join(map(str, words[:length]))
            close = nearest(str(words[length - 1]), known)
            hint = f"Did you mean {close[0]!r}?" if close else f"Known: {', '.join(known)}." if known else ""
            return f"{name!r} is not a field of a candidate. {hint}".strip()
    return ""


def put_together(study: StudyConfig, name: str) -> Candidate | None:
    """Put a candidate together; none where it extends itself or nothing, or its fields do not go together.

    That is told elsewhere.
    """
    seen: list[str] = []
    above: str | None = name
    while above is not None:
        if above in seen or above not in study.candidates:
            return None
        seen.append(above)
        above = study.candidates[above].extends
    try:
        return resolve_candidate(study, name)
    except StudyFileError:
        return None


def _is_same(one: Candidate, other: Candidate) -> bool:
    """Say whether two candidates are the same training."""
    return replace(one, name="", train=_said_out(one.train)) == replace(other, name="", train=_said_out(other.train))


def _said_out(train: TrainConfig) -> TrainConfig:
    """Return a training whose learning rate is said, where it was left to the optimiser's default."""
    return train.model_copy(update={"optimizer": train.optimizer.model_copy(update={"lr": train.optimizer.peak_lr})})


def _nest(dotted: str, value: Any) -> dict[str, Any]:  # noqa: ANN401 - any YAML value
    """Return {a: {b: value}} for 'a.b'."""
    for word in reversed(dotted.split(".")):
        value = {word: value}
    nested: dict[str, Any] = value
    return nested


def fault_sentence(vary: str, fault: Any) -> str:  # noqa: ANN401 - pydantic's
    """Write what pydantic finds wrong with the value of a dotted field."""
    if fault["type"] == "extra_forbidden":
        return f"{vary}: {fault['loc'][-1]!r} is not a field."
    return f"{vary}{told_fault(fault)}"


def _groups(
    ablation: AblationConfig, by_way: Mapping[str, Sequence[str]], before: Sequence[AblationGroup]
) -> Iterator[AblationGroup]:
    """Give the comparisons of an ablation: what is added with `of`, what leaves one out with the one that has all.

    Against `of`, which has none of them, a variant that leaves one out would say nothing of that one.
    """
    added = [name for way, names in by_way.items() if way != "all-but-each" for name in names]
    yield _group(ablation, ablation.of, added, before)
    left_out, has_all = by_way.get("all-but-each", ()), by_way.get("all", ())
    if has_all and len(left_out) > 1:  # of one alone this would be the comparison above, turned round
        yield _group(ablation, has_all[0], left_out, before, all_of=ablation.of)


def _group(
    ablation: AblationConfig, of: str, names: Iterable[str], before: Sequence[AblationGroup], all_of: str = ""
) -> AblationGroup:
    name = f"{of}: {ablation.vary}"
    taken = sum(group.of == of and group.vary == ablation.vary for group in before)
    name = f"{name} ({taken + 1})" if taken else name
    variants = tuple(each for each in dict.fromkeys(names) if each != of)
    return AblationGroup(name=name, of=of, vary=ablation.vary, candidates=variants, all_of=all_of)


def write_value(value: Any) -> str:  # noqa: ANN401 - any YAML value
    """Write a value as a person would in a study file.

    >>> write_value(0.1), write_value([8, 16]), write_value({"name": "sgd", "lr": 0.1}), write_value(True)
    ('0.1', '[8, 16]', '{name: sgd, lr: 0.1}', 'true')
    """
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {write_value(entry)}" for key, entry in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(write_value, value)) + "]"
    return value if isinstance(value, str) else json.dumps(value)
