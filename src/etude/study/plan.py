"""The plan: every run of a study, with its identity."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from etude.core.errors import mistakes_at
from etude.core.records import fingerprint
from etude.models import resolve_spec
from etude.study.combining import plain
from etude.study.file import CombineConfig, StudyConfig
from etude.study.generated_config import GeneratedConfig
from etude.study.resolve import Candidate
from etude.study.workspace import Workspace

# Precision enters as it was resolved, a budget as the steps that it came to; the memory format changes only the speed.
_NO_IDENTITY = {"precision", "memory_format", "budget"}


@dataclass(frozen=True)
class Order:
    """One run to be made: plain data, so that an engine can send it elsewhere."""

    candidate: str
    seed: int
    fold: int | None
    identity: str
    keep_epochs: int = 0
    """Epochs at the end of the plain training whose weights are kept, for a candidate that averages them."""

    @property
    def label(self) -> str:
        """The run's name for people."""
        fold = "" if self.fold is None else f", fold {self.fold}"
        return f"{self.candidate}, seed {self.seed}{fold}"


def plan_runs(
    study: StudyConfig, workspace: Workspace, candidates: Mapping[str, Candidate], seeds: Sequence[int] | None = None
) -> list[Order]:
    """List the runs of a study: all candidates at the first seed, then all at the next.

    In that order a study that is stopped half-way has pairs to compare.

    Args:
        study: the study.
        workspace: its opened data.
        candidates: every candidate put together, budgets in time turned into steps.
        seeds: the seeds to plan; those of the protocol by default.

    Raises:
        DataError: if the pictures cannot be used.
    """
    folds: list[int | None] = list(range(len(workspace.splits))) if len(workspace.splits) > 1 else [None]
    return [
        order
        for seed in (study.protocol.seed_list if seeds is None else seeds)
        for fold in folds
        for order in _order_all(workspace, candidates, seed, fold)
    ]


def _order_all(
    workspace: Workspace, candidates: Mapping[str, Candidate], seed: int, fold: int | None
) -> Iterator[Order]:  # fmt: skip
    """Give the runs of one seed and fold: a run whose last epochs another averages keeps them."""
    plain_ones = {}
    for name, candidate in candidates.items():
        with mistakes_at("candidates", name):
            plain_ones[name] = run_identity(workspace, plain(candidate.at(fold)), seed, fold)
    kept: dict[str, int] = {}
    for name, candidate in candidates.items():
        kept[plain_ones[name]] = max(kept.get(plain_ones[name], 0), candidate.combine.last_epochs or 0)
    for name, candidate in candidates.items():
        is_plain = candidate.combine == CombineConfig()
        identity = plain_ones[name] if is_plain else run_identity(workspace, candidate, seed, fold)
        yield Order(name, seed, fold, identity, kept[plain_ones[name]])


def run_identity(workspace: Workspace, candidate: Candidate, seed: int, fold: int | None) -> str:
    """Return the hash of all that the result of a run depends on.

    Data, weights and a network of one's own enter by content. Names, paths, workers, devices and reports do
    not, nor fields left at their default, so that a field added later leaves old runs valid. How generated pictures
    are measured does not either, nor what ranks them: a run that was measured otherwise is measured again, not trained.
    """
    return fingerprint(identity_content(workspace, candidate, seed, fold))


def identity_content(workspace: Workspace, candidate: Candidate, seed: int, fold: int | None) -> dict[str, Any]:
    """Return what `run_identity` hashes."""
    study = workspace.study
    candidate = candidate.at(fold)
    content: dict[str, Any] = {
        "task": study.task,
        "data": workspace.fingerprint,
        "split": workspace.digest(fold or 0, candidate.train_items, candidate.held_out),
        "prepare": candidate.prepare.model_dump(mode="json", exclude_defaults=True),
        "augment": candidate.augment.model_dump(mode="json", exclude_defaults=True),
        "model": resolve_spec(candidate.model, workspace.base).identity,
        "train": candidate.train.model_dump(mode="json", exclude_defaults=True, exclude=_NO_IDENTITY),
        "precision": workspace.execution(candidate.train).precision,
        "metric": study.protocol.metric,
        "seed": seed,
    }
    if candidate.train.steps is not None:
        content["train"].pop("epochs", None)  # steps take their place
    if study.task == "generation":
        del content["metric"]  # a generator is not chosen by it
    if not content["augment"].get("use"):
        content["augment"] = {}  # without an augmentation its strength means nothing
    if finetune := candidate.finetune.identity():
        content["finetune"] = finetune
    if combine := candidate.combine.model_dump(mode="json", exclude_defaults=True):
        content["combine"] = combine
    if candidate.generated is not None:
        content["generated"] = generated_content(candidate.generated, workspace.base)
    if study.protocol.threshold is not None:
        content["threshold"] = study.protocol.threshold.model_dump(mode="json", exclude_defaults=True)
    if study.protocol.calibrate:
        content["calibrate"] = True
    if study.protocol.resolution != "labels":
        content["resolution"] = study.protocol.resolution
    if fold is not None:
        content["fold"] = fold
    return content


def generated_content(generated: GeneratedConfig, base: Path) -> dict[str, Any]:
    """Return what the identity of a run says of the generated pictures in its training part."""
    content = generated.model_dump(mode="json", exclude_defaults=True, exclude={"model", "train"})
    # Told whole: its defaults are those of this place, and may become others.
    train = generated.train.model_dump(mode="json", exclude_defaults=True, exclude=_NO_IDENTITY)
    return {**content, "train": train, "model": resolve_spec(generated.model, base).identity}


def training_key(workspace: Workspace, candidate: Candidate) -> str:
    """Return the hash of all that a training depends on but its seed and the machine."""
    content = identity_content(workspace, candidate, 0, None)
    del content["seed"]
    content.pop("combine", None)  # what comes after the training
    return fingerprint(content)
