"""Candidates of one network: which of them heads its chapter in a notebook, and whose explanation stands there."""

from __future__ import annotations

from collections.abc import Sequence

from etude.report.explanations import Explanation
from etude.report.reading import StudyResults
from etude.report.words import Words


def network_of(study: StudyResults, candidate: str) -> object:
    """Return what a candidate's network is built of, without what its weights start from."""
    runs = study.runs_of(candidate)
    model = runs[0].config.get("model") if runs else None
    return {**model, "weights": None, "checkpoint": None} if isinstance(model, dict) else model


def list_trained(study: StudyResults) -> list[str]:
    """Return the candidates that have a finished run, by the leaderboard."""
    return [row.candidate for row in study.record.leaderboard if study.runs_of(row.candidate)]


def has_layers(study: StudyResults, candidate: str) -> bool:
    """Whether a candidate is a network: what always answers the commonest class has no parameters, and no layers."""
    return any(run.cost.params for run in study.runs_of(candidate))


def pick_networks(study: StudyResults, explanations: Sequence[Explanation]) -> list[tuple[str, Explanation]]:
    """Return each network whose layers were explained once: the candidate that heads it, and the explanation.

    The study file's own candidates come before variants of ablations, and head the networks that both have. Of several
    explanations of one network that is taken which has measured what its layers are worth.
    """
    own = study.record.names_without_variants
    by_network: list[tuple[object, list[Explanation]]] = []
    for entry in (entry for entry in explanations if entry.layers is not None):
        network = network_of(study, entry.ref.candidate)
        same = next((entries for known, entries in by_network if known == network), None)
        if same is None:
            by_network.append((network, [entry]))
        else:
            same.append(entry)
    picked = []
    for network, same in by_network:
        explained = [entry.ref.candidate for entry in same]
        named = [name for name in list_trained(study) if name in own and network_of(study, name) == network]
        head = next((name for name in explained if name in named), (*named, *explained)[0])
        of_head = [entry for entry in same if entry.ref.candidate == head]
        picked.append((head, next(filter(has_falls, (*of_head, *same)), (*of_head, *same)[0])))
    return sorted(picked, key=lambda entry: entry[0] not in own)


def has_falls(explanation: Explanation) -> bool:
    """Whether it was measured what the score loses without a layer."""
    return explanation.layers is not None and explanation.layers.n_pictures > 0


def tell_falls_of(explanations: Sequence[Explanation], words: Words) -> list[str]:
    """Say of which networks alone it was measured what a layer is worth; nothing where it was of all or of none."""
    measured = [entry.ref.candidate for entry in explanations if has_falls(entry)]
    if len(measured) in (0, len(explanations)):
        return []
    return [
        words.say(
            "What the score loses without a layer, or with its weights shuffled, was measured of {names} alone.",
            names=words.listing(measured),
        )
    ]
