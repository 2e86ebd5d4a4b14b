"""The state of a training between two epochs: saved whole, so that a killed run goes on."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from etude.core.errors import MistakeError
from etude.core.files import writing
from etude.core.run_record import Epoch
from etude.train.averaging import WeightAverage

STATE_FILE = "state.safetensors"
BEST_FILE = "best.safetensors"


@dataclass
class Progress:
    """Where a training stands, but for its tensors."""

    epoch: int = 0
    """Epochs that are done."""
    best_epoch: int = 0
    best_score: float | None = None
    seconds: float = 0.0
    seconds_to_best: float = 0.0
    features_seconds: float = 0.0
    """Of the seconds, those that the features of a frozen network took, here or in the run that computed them."""
    interruptions: int = 0
    memory_mb: float = 0.0
    """Peak memory before the last interruption."""
    own_memory_mb: float | None = None
    """The same above what the process held when the training began."""
    started_at: str = ""
    finished: bool = False
    """All epochs of the stage are done, or early stopping has stopped it."""
    stopped: str = "complete"
    stage: int = 0
    """Number of the stage, from 0."""
    stage_start: int = 0
    """Epochs that were done before the stage."""
    steps_before: int = 0
    """Optimiser steps that were made before the stage."""
    best_stage: int = 0
    """Stage of the best epoch."""
    notes: list[str] = field(default_factory=list)
    """What was found before the training that a reader must know."""
    history: list[dict[str, Any]] = field(default_factory=list)

    def epochs(self) -> list[Epoch]:
        """Return the history as records."""
        return [Epoch.model_validate(line) for line in self.history]


def save_tensors(path: Path, tensors: dict[str, torch.Tensor], text: str = "") -> None:
    """Write tensors (and one text) as safetensors, whole or not at all."""
    ready = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with writing(path) as beside:
        try:
            save_file(ready, str(beside), metadata={"etude": text})
        except SafetensorError as error:
            # The library tells what the disk refuses in words only: give its number back, for `writing` to know it.
            number = re.search(r"os error (\d+)", str(error))
            if number is None:
                raise
            raise OSError(int(number[1]), str(error)) from error


def load_tensors(path: Path) -> tuple[dict[str, torch.Tensor], str]:
    """Read what `save_tensors` wrote."""
    with safe_open(str(path), framework="pt") as opened:
        text = (opened.metadata() or {}).get("etude", "")
        return {name: opened.get_tensor(name) for name in opened.keys()}, text  # noqa: SIM118 - not a dict


def load_weights(path: Path) -> dict[str, torch.Tensor]:
    """Read the weights of a finished run.

    Raises:
        MistakeError: if the file is not there, as in records that were packed without weights, or is damaged.
    """
    try:
        return load_tensors(path)[0]
    except (OSError, SafetensorError) as error:
        why = "the weights of this run are not there" if not path.exists() else f"cannot be read as weights ({error})"
        remedy = "Delete the run's folder, and the command of the study trains it again."
        raise MistakeError(f"{path}: {why}. {remedy}") from error


def save_state(
    folder: Path, progress: Progress, model: nn.Module, optimizer: torch.optim.Optimizer, average: WeightAverage
) -> None:
    """Write all that the next epoch depends on."""
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    if average.config.name != "none":
        tensors |= {f"average.{name}": tensor for name, tensor in average.tensors.items()}
    tensors |= optimizer_tensors(optimizer, "optimizer.")
    save_tensors(folder / STATE_FILE, tensors, json.dumps(asdict(progress)))


@dataclass(frozen=True)
class SavedState:
    """What was found in the folder of a run that was interrupted."""

    progress: Progress
    tensors: dict[str, torch.Tensor]

    def restore(self, model: nn.Module, optimizer: torch.optim.Optimizer, average: WeightAverage) -> None:
        """Put the tensors back where they were."""
        model.load_state_dict(under(self.tensors, "model."))
        for name, tensor in under(self.tensors, "average.").items():
            average.tensors[name].copy_(tensor)
        restore_optimizer(optimizer, under(self.tensors, "optimizer."))


def read_state(folder: Path) -> SavedState | None:
    """Read a saved state; none where there is none, or where it cannot be read."""
    path = folder / STATE_FILE
    if not path.exists():
        return None
    try:
        tensors, text = load_tensors(path)
        return SavedState(Progress(**json.loads(text)), tensors)
    except (SafetensorError, ValueError, TypeError):
        return None


def optimizer_tensors(optimizer: torch.optim.Optimizer, prefix: str) -> dict[str, torch.Tensor]:
    """Return the buffers of an optimiser by parameter and name."""
    return {
        f"{prefix}{index}.{name}": torch.as_tensor(value)
        for index, entries in optimizer.state_dict()["state"].items()
        for name, value in entries.items()
        if value is not None
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, torch.Tensor]) -> None:
    """Put back what `optimizer_tensors` gave, without its prefix."""
    entries: dict[int, dict[str, torch.Tensor]] = {}
    for name, tensor in tensors.items():
        index, _, key = name.partition(".")
        entries.setdefault(int(index), {})[key] = tensor
    if entries:
        optimizer.load_state_dict({**optimizer.state_dict(), "state": entries})
        _restride(optimizer)


def _restride(optimizer: torch.optim.Optimizer) -> None:
    """Lay each buffer out as its parameter is: fused steps walk both in one order."""
    for parameter, entries in optimizer.state.items():
        for name, value in entries.items():
            if isinstance(value, torch.Tensor) and value.shape == parameter.shape:
                entries[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def under(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    """Return the tensors whose names begin with a prefix, without it."""
    return {name[len(prefix) :]: tensor for name, tensor in tensors.items() if name.startswith(prefix)}
