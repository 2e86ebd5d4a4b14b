"""The weights after the last epochs of a training, kept beside those of the best one for another run to average."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from torch import nn

from etude.train.state import save_tensors

EPOCHS_FOLDER: Final = "epochs"


def keep_epoch(folder: Path, epoch: int, model: nn.Module, count: int) -> None:
    """Write the weights after an epoch, and drop those that are not among the last `count` any more."""
    save_tensors(folder / EPOCHS_FOLDER / f"{epoch:06d}.safetensors", model.state_dict())
    for path in kept_epochs(folder)[:-count]:
        path.unlink()


def kept_epochs(folder: Path) -> list[Path]:
    """Return the files of the weights that a run has kept, in the order of their epochs."""
    return sorted((folder / EPOCHS_FOLDER).glob("*.safetensors"))


def drop_after(folder: Path, epoch: int) -> None:
    """Drop the weights of later epochs than that of the state from which a killed run goes on."""
    for path in kept_epochs(folder):
        if int(path.stem) > epoch:
            path.unlink()
