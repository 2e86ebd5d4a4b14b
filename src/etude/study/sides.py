"""Which candidates a study compares with which."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from etude.core.study_record import COMBINE_GROUP, SEARCH_GROUP, AblationGroup
from etude.study.ablations import expand_ablations, written_candidates
from etude.study.combining import list_combinations
from etude.study.resolve import resolve_candidates

if TYPE_CHECKING:
    from etude.study.file import StudyConfig


def default_baseline(study: StudyConfig) -> str:
    """Return the candidate that the others are compared with where the file names none: the first that learns."""
    candidates = resolve_candidates(study)
    learning = [name for name, candidate in candidates.items() if candidate.model.name != "majority"]
    return (learning or list(candidates))[0]


def sides_of(study: StudyConfig, groups: Sequence[AblationGroup]) -> list[tuple[str, str, list[str]]]:
    """Return each group of comparisons: its name, its baseline, and its candidates with the baseline first.

    What a search found is compared with the study's baseline as any candidate is, and with what was searched too; so is
    a candidate that combines trainings with the one that it combines.
    """
    baseline = study.baseline or default_baseline(study)
    sides = [("", baseline, list(dict.fromkeys([baseline, *written_candidates(study, groups)])))]
    sides += [(group.name, group.of, [group.of, *group.candidates]) for group in groups]
    for of in dict.fromkeys(search.of for search in study.search if search.of != baseline):
        found = [search.candidate for search in study.search if search.of == of]
        sides.append((SEARCH_GROUP + of, of, [of, *found]))
    combinations = list_combinations(study)
    for of in dict.fromkeys(entry.of for entry in combinations if entry.of != baseline):
        combined = [entry.candidate for entry in combinations if entry.of == of]
        sides.append((COMBINE_GROUP + of, of, [of, *combined]))
    return sides


def check_pairs(study: StudyConfig) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Give the bounds on two candidates that no comparison is of, with the path in the file.

    Args:
        study: a study without other mistakes.
    """
    sides = sides_of(study, expand_ablations(study).groups)
    baseline = study.baseline or default_baseline(study)
    for place, bound in enumerate(study.protocol.bounds):
        over = bound.over or baseline
        if bound.compares and not any(of == over and bound.candidate in own[1:] for _, of, own in sides):
            known = [of for _, of, own in sides if bound.candidate in own[1:]]
            told = f"It is compared with {' and '.join(dict.fromkeys(known))}" if known else "It is the baseline"
            yield (
                ("protocol", "bounds", place, "over" if bound.over else "candidate"),
                f"{bound.candidate} is not compared with {over}. {told}: candidates are compared with the baseline, "
                f"variants with what they vary.",
            )
