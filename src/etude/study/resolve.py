"""What each candidate comes to once the study's fields and those it extends are put under its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from etude.core.errors import StudyFileError
from etude.data.augment import AugmentConfig
from etude.data.subsets import HeldOut
from etude.models import ModelSpec
from etude.pictures.prepare_config import Prepare
from etude.study.file import CandidateConfig, CombineConfig, StudyConfig
from etude.study.generated_config import GeneratedConfig
from etude.study.merging import merge
from etude.train.config import TrainConfig
from etude.train.finetune import FinetuneConfig

_FIELDS = ("model", "augment", "prepare", "train", "finetune")
_LENGTHS = ("epochs", "steps", "budget")
_DEFAULT_NAMES: dict[str, Any] = {
    "train": {group: {"name": getattr(TrainConfig(), group).name} for group in ("optimizer", "schedule", "average")},
    "finetune": {"name": FinetuneConfig().name},
}
"""What lies under every file: of a name that is left out, a candidate's other name is another one all the same."""


@dataclass(frozen=True)
class Candidate:
    """A candidate with every field resolved."""

    name: str
    model: ModelSpec
    augment: AugmentConfig
    prepare: Prepare
    train: TrainConfig
    finetune: FinetuneConfig
    combine: CombineConfig
    train_items: int | None = None
    """Pictures of its training part, where it is not the study's."""
    generated: GeneratedConfig | None = None
    """Generated pictures in its training part; none: photographs alone."""
    by_fold: tuple[Candidate, ...] = ()
    """What it is in each fold, where a search has found other settings in each."""
    held_out: HeldOut | None = None
    """The part of what is not tested that is its validation part, where it is one of several networks over folds."""

    def at(self, fold: int | None) -> Candidate:
        """Return what it is in a fold."""
        return self.by_fold[fold] if fold is not None and self.by_fold else self

    def dump(self) -> dict[str, Any]:
        """Return it as JSON, defaults included."""
        dumped: dict[str, Any] = {
            "model": self.model.model_dump(mode="json"),
            "augment": self.augment.model_dump(mode="json"),
            "prepare": self.prepare.model_dump(mode="json"),
            "train": self.train.model_dump(mode="json"),
            "finetune": self.finetune.model_dump(mode="json"),
            "combine": self.combine.model_dump(mode="json"),
        }
        if self.train_items is not None:
            dumped["data"] = {"split": {"train_items": self.train_items}}
        if self.generated is not None:
            dumped.setdefault("data", {})["generated"] = self.generated.model_dump(mode="json")
        if self.held_out is not None:
            dumped["held_out"] = {"part": self.held_out.part, "of": self.held_out.of}
        if self.by_fold:
            dumped["by_fold"] = [each.dump() for each in self.by_fold]
        return dumped

    @classmethod
    def of_dump(cls, name: str, dumped: Mapping[str, Any]) -> Candidate:
        """Return the candidate that `dump` wrote down."""
        # A budget stands there with the steps that it came to, which a study file must not give together.
        steps = dumped.get("train", {}).get("steps")
        given = cls.of_fields(name, as_written(dumped))
        folds = tuple(cls.of_dump(name, each) for each in dumped.get("by_fold", ()))
        return replace(given, train=given.train.model_copy(update={"steps": steps}), by_fold=folds)

    @classmethod
    def of_fields(cls, name: str, fields: Mapping[str, Any]) -> Candidate:
        """Return a candidate from its fields, merged from a study file; defaults fill the rest."""
        data = fields.get("data", {})
        generated = data.get("generated")
        return cls(
            name=name,
            model=ModelSpec.model_validate(fields["model"]),
            augment=AugmentConfig.model_validate(fields.get("augment", {})),
            prepare=Prepare.model_validate(fields.get("prepare", {})),
            train=TrainConfig.model_validate(fields.get("train", {})),
            finetune=FinetuneConfig.model_validate(fields.get("finetune", {})),
            combine=CombineConfig.model_validate(fields.get("combine", {})),
            train_items=data.get("split", {}).get("train_items"),
            generated=None if generated is None else GeneratedConfig.model_validate(generated),
        )


def as_written(dumped: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a candidate that was dumped as a study file would give them.

    A budget stands without the steps that it came to; what a search found in each fold is no field of a study file.
    """
    fields = {name: value for name, value in dumped.items() if name != "by_fold"}
    train = fields.get("train", {})
    if train.get("budget") is not None:
        fields["train"] = {name: value for name, value in train.items() if name != "steps"}
    return fields


def resolve_candidate(study: StudyConfig, name: str) -> Candidate:
    """Put a candidate together: the study's fields, then those of what it extends, then its own.

    Raises:
        StudyFileError: if no network is given for it anywhere.
    """
    merged: dict[str, Any] = merge(_DEFAULT_NAMES, _given(study, _FIELDS))
    for layer in _layers(study, name):
        merged = _lay_over(merged, _given(layer, (*_FIELDS, "combine", "data")))
    if not merged.get("model", {}).get("name"):
        told = f"candidates.{name} must have a model. Give `model: cnn`, say; `etude models list` names all."
        raise StudyFileError(f"{study.study}: {told}", (told,))
    try:
        candidate = Candidate.of_fields(name, merged)
        candidate.train.check_whole()
    except ValueError as error:  # what holds in each place by itself, and not together
        reasons = tuple(f"candidates.{name}: {reason}" for reason in _reasons(error))
        raise StudyFileError(f"{study.study}: {' '.join(reasons)}", reasons) from error
    is_pretrained = candidate.model.weights is not None or candidate.model.checkpoint is not None
    if study.task == "classification" and is_pretrained and candidate.finetune.norm is None:
        candidate = replace(candidate, finetune=candidate.finetune.model_copy(update={"norm": "frozen"}))
    is_whole = candidate.train_items == study.data.split.train_items
    return replace(candidate, train_items=None) if is_whole else candidate


def _lay_over(under: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Lay a candidate's fields over those of the study; the length that it gives stands in place of theirs.

    `steps` and `budget` each go before `epochs`, which may stay below them.
    """
    given = {name for name in _LENGTHS if over.get("train", {}).get(name) is not None}
    if given:
        replaced = {"steps", "budget"} - given
        train = {name: value for name, value in under.get("train", {}).items() if name not in replaced}
        under = under | {"train": train}
    return merge(under, over)


def _reasons(error: ValueError) -> list[str]:
    """Return what is wrong, a sentence each."""
    if not isinstance(error, ValidationError):
        return [str(error)]
    told = []
    for found in error.errors():
        place = ".".join(str(part) for part in found["loc"])
        reason = found["msg"].removeprefix("Value error, ")
        told.append(f"{place} {reason}" if place else reason)
    return told


def resolve_candidates(study: StudyConfig) -> dict[str, Candidate]:
    """Resolve all candidates, in the order of the file."""
    return {name: resolve_candidate(study, name) for name in study.candidates}


def _layers(study: StudyConfig, name: str) -> list[CandidateConfig]:
    """Return the candidate and what it extends, the farthest first."""
    candidate = study.candidates[name]
    layers = [candidate]
    while candidate.extends is not None:
        candidate = study.candidates[candidate.extends]
        layers.append(candidate)
    return layers[::-1]


def _given(config: StudyConfig | CandidateConfig, fields: tuple[str, ...]) -> dict[str, Any]:
    """Return those fields that were given, as plain values."""
    return {
        field: getattr(config, field).model_dump(exclude_unset=True)
        for field in fields
        if field in config.model_fields_set and getattr(config, field) is not None
    }
