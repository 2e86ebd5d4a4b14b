"""From the text of a study file to a study, with all its mistakes reported together."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from etude.core.counting import how_many
from etude.core.errors import EtudeError, MistakeError, StudyFileError
from etude.core.registry import nearest
from etude.study.ablations import expand_ablations, put_together
from etude.study.bounds import check_bounds
from etude.study.combining import check_combine
from etude.study.faults import fields_at, told_fault
from etude.study.file import StudyConfig
from etude.study.searches import expand_searches
from etude.study.sides import check_pairs
from etude.study.tasks import check_candidate, check_study, ladder_of
from etude.study.yaml_text import Path as FieldPath
from etude.study.yaml_text import parse_value, read_yaml, set_field


def parse_study(text: str, *, name: str = "study", base: Path | None = None, sets: Iterable[str] = ()) -> StudyConfig:
    """Read a study from its YAML text.

    Args:
        text: the YAML.
        name: what to call the file in messages.
        base: the folder that relative paths in the file start from.
        sets: overrides `key=value`, the key dotted.

    Returns:
        The study, with the ladder filled in where it names no candidate.

    Raises:
        StudyFileError: with every mistake, its line, the rule and the nearest valid name.
    """
    tree, lines, twice = read_yaml(text, name)
    if not isinstance(tree, dict):
        raise StudyFileError(f"{name}: must be a list of fields such as 'data:'. Got {tree!r}.")
    problems = [f"line {line}: {told}." for line, told in twice]
    problems += _apply_sets(tree, sets, lines)
    if not tree.get("candidates"):
        tree["candidates"] = {_model_name(tree["model"]): {}} if tree.get("model") else ladder_of(tree)
    study, faults = _validate(tree)
    problems += [_problem(fault, tree, lines) for fault in faults]
    sound = study or _validate(_without(tree, faults))[0]
    if sound is not None:
        searched = expand_searches(sound, base or Path())
        problems += [f"{_where(_in_file(path, tree), lines)}: {told}" for path, told in searched.mistakes]
        expansion = expand_ablations(searched.study)
        problems += [f"{_where(path, lines)}: {told}" for path, told in expansion.mistakes]
        problems += _cross_check(expansion.study, lines)
        problems += _check_lengths(expansion.study, lines)
        problems += _check_models(expansion.study, lines, base or Path(), expansion.origins)
        problems += _check_task(expansion.study, lines, expansion.origins)
        study = study and expansion.study
    if study is not None and not problems:
        problems = [_told(path, told, lines) for path, told in check_pairs(study)]
    if problems:
        raise _report(name, problems)
    assert study is not None
    return study


def _validate(tree: dict[str, Any]) -> tuple[StudyConfig | None, list[Any]]:
    try:
        return StudyConfig.model_validate(tree), []
    except ValidationError as error:
        return None, list(error.errors())


def _without(tree: dict[str, Any], faults: list[Any]) -> dict[str, Any]:
    """Return the tree without the fields that are faulty, so that the rest can be checked too."""
    sound = copy.deepcopy(tree)
    for fault in faults:
        path = _real_path(fault["loc"], tree)
        # Of a list with a fault nothing is kept: its other entries would change their places.
        path = path[: next((place for place, word in enumerate(path) if isinstance(word, int)), len(path))]
        node: Any = sound
        for word in path[:-1]:
            node = node.get(word, {}) if isinstance(node, dict) else {}
        if path and isinstance(node, dict):
            node.pop(path[-1], None)
    return sound


def _model_name(model: Any) -> str:  # noqa: ANN401 - raw input
    """Name the one candidate of a file that gives a network and no candidates."""
    return str(model.get("name", "model")) if isinstance(model, dict) else str(model)


def _apply_sets(tree: dict[str, Any], sets: Iterable[str], lines: dict[FieldPath, int]) -> list[str]:
    problems = []
    for given in sets:
        key, equals, value = given.partition("=")
        if not equals or not key.strip():
            problems.append(f"--set {given}: must be key=value, such as train.epochs=5.")
            continue
        try:
            set_field(tree, key.strip(), parse_value(value))
        except MistakeError as error:
            problems.append(f"--set {given}: {error}")
            continue
        except Exception:
            problems.append(f"--set {given}: the value is not YAML.")
            continue
        path = tuple(key.strip().split("."))
        for known in [known for known in lines if known[: len(path)] == path]:
            del lines[known]
        lines[path] = 0  # line 0: the command line
    return problems


def _problem(fault: Any, tree: dict[str, Any], lines: dict[FieldPath, int]) -> str:  # noqa: ANN401 - pydantic's
    """Write one mistake as a sentence with its line."""
    path = _real_path(fault["loc"], tree)
    where = f"{_where(path, lines)}: {'.'.join(map(str, path)) or 'the file'}"
    if fault["type"] == "extra_forbidden":
        return f"{where} is not a field.{_suggest(path)}"
    if fault["type"] == "missing":
        return f"{where} is missing."
    return f"{where}{told_fault(fault)}"


def _real_path(loc: tuple[Any, ...], tree: Any) -> FieldPath:  # noqa: ANN401 - any YAML value
    """Keep of pydantic's location what is a path in the file: it also names the members of unions."""
    path: list[str | int] = []
    node = tree
    for position, word in enumerate(loc):
        inside = (isinstance(node, dict) and word in node) or (
            isinstance(node, list) and isinstance(word, int) and word < len(node)
        )
        if inside:
            path.append(word)
            node = node[word]
        elif position == len(loc) - 1 and isinstance(node, dict) and isinstance(word, str) and word.isidentifier():
            path.append(word)
    return tuple(path)


def _told(path: FieldPath, told: str, lines: dict[FieldPath, int]) -> str:
    return f"{_where(path, lines)}: {'.'.join(map(str, path))}: {told}"


def _where(path: FieldPath, lines: dict[FieldPath, int]) -> str:
    for length in range(len(path), -1, -1):
        if path[:length] in lines:
            line = lines[path[:length]]
            return f"line {line}" if line else f"--set {'.'.join(map(str, path))}"
    return "line 1"


def _in_file(path: FieldPath, tree: dict[str, Any]) -> FieldPath:
    """Return the path of something in a search: one that is not in a list has no number."""
    return path if isinstance(tree.get("search"), list) else (path[0], *path[2:])


def _suggest(path: FieldPath) -> str:
    """Name the fields of the record that `path` lies in that look like its last word."""
    fields = fields_at(StudyConfig, path[:-1])
    close = nearest(str(path[-1]), fields) if path else []
    if close:
        return f" Did you mean {' or '.join(repr(entry) for entry in close)}?"
    return f" Known: {', '.join(fields)}." if fields else ""


def _cross_check(study: StudyConfig, lines: dict[FieldPath, int]) -> list[str]:
    """Find what no single field can see: names of candidates that point nowhere or in a circle."""
    names = list(study.candidates)
    problems = []
    if study.baseline is not None and study.baseline not in study.candidates:
        problems.append(f"{_where(('baseline',), lines)}: baseline: {_no_candidate(study.baseline, names)}")
    problems += [_told(path, told, lines) for path, told in check_bounds(study)]
    if study.protocol.auto is not None and "kfold" in study.data.split.kind:
        where = _where(("protocol", "seeds"), lines)
        problems.append(f"{where}: protocol.seeds: auto must go with one split. Got folds. Give a number of seeds.")
    for name, candidate in study.candidates.items():
        path = ("candidates", name, "extends")
        seen = [name]
        while candidate.extends is not None:
            if candidate.extends not in study.candidates:
                problems.append(f"{_where(path, lines)}: {'.'.join(path)}: {_no_candidate(candidate.extends, names)}")
                break
            if candidate.extends in seen:
                circle = " → ".join([*seen, candidate.extends])
                problems.append(f"{_where(path, lines)}: {'.'.join(path)} goes in a circle: {circle}.")
                break
            seen.append(candidate.extends)
            candidate = study.candidates[candidate.extends]
    return problems


def _check_lengths(study: StudyConfig, lines: dict[FieldPath, int]) -> Iterator[str]:
    """Find candidates whose length cannot be given as it is: their stages have lengths of their own."""
    for name in study.candidates:
        candidate = put_together(study, name)
        if candidate is None:
            continue
        for field, refused in (("budget", ("gradual", "head")), ("steps", ("gradual",))):
            if getattr(candidate.train, field) is not None and candidate.finetune.name in refused:
                path = next(
                    path for path in (("candidates", name, "train", field), ("train", field), ("candidates", name))
                    if path in lines or path == ("candidates", name)
                )  # fmt: skip
                yield (
                    f"{_where(path, lines)}: {name}: train.{field} must go with another finetune than "
                    f"{candidate.finetune.name}. Give train.epochs there."
                )


def _check_task(
    study: StudyConfig, lines: dict[FieldPath, int], origins: Mapping[str, FieldPath]
) -> Iterator[str]:  # fmt: skip
    """Find what the task of the study cannot have."""
    for path, told in check_study(study):
        yield f"{_where(path, lines)}: {told}"
    for name in study.candidates:
        candidate = put_together(study, name)
        path = origins.get(name, ("candidates", name))
        if candidate is not None:
            for told in (*check_candidate(candidate, study.task), *check_combine(candidate, study.task)):
                yield f"{_where(_place_of(name, told, lines) or path, lines)}: {told}"


def _place_of(name: str, told: str, lines: dict[FieldPath, int]) -> FieldPath | None:
    """Return where the field stands that a sentence of a candidate begins with: in the candidate, or above all."""
    field = tuple(told.removeprefix(f"{name}: ").split(" ", 1)[0].split("."))
    shortened = [field[:length] for length in range(len(field), 0, -1)]
    places = [("candidates", name, *one) for one in shortened] + shortened
    return next((place for place in places if place in lines), None)


def _is_circular(study: StudyConfig, name: str) -> bool:
    """Say whether what a candidate extends leads nowhere, or back to where it was."""
    seen = {name}
    above = study.candidates[name].extends
    while above is not None:
        if above in seen or above not in study.candidates:
            return True
        seen.add(above)
        above = study.candidates[above].extends
    return False


def _no_candidate(name: str, names: list[str]) -> str:
    close = nearest(name, names)
    hint = f"Did you mean {close[0]!r}?" if close else f"Candidates: {', '.join(names)}."
    return f"there is no candidate {name!r}. {hint}"


def _check_models(
    study: StudyConfig, lines: dict[FieldPath, int], base: Path, origins: Mapping[str, FieldPath]
) -> list[str]:
    """Check the parameters of each candidate's network."""
    from etude.models import resolve_spec
    from etude.study.resolve import resolve_candidate

    problems: list[str] = []
    for name in study.candidates:
        path: FieldPath = ("candidates", name, "model")
        path = path if path in lines else ("model",) if ("model",) in lines else ("candidates", name)
        path = origins.get(name, path)
        try:
            own = study.candidates[name].model
            spec = own if _is_circular(study, name) else resolve_candidate(study, name).model
            if spec is not None:
                resolve_spec(spec, base)
        except StudyFileError as error:
            problems += [f"{_where(path, lines)}: {told}" for told in error.problems]
        except EtudeError as error:
            problems += [
                f"{_where(path, lines)}: {'.'.join(map(str, path))}: {told}" for told in str(error).split("\n")
            ]
    return problems


def _report(name: str, problems: list[str]) -> StudyFileError:
    def order(told: str) -> tuple[int, str]:
        number = told.removeprefix("line ").split(":")[0]
        return (int(number) if number.isdigit() else 0, told)

    ordered = tuple(sorted(dict.fromkeys(problems), key=order))
    count = how_many(len(ordered), "mistake")
    return StudyFileError(f"{name}: {count}.\n" + "\n".join(f"  {told}" for told in ordered), ordered)
