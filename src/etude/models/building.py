"""Building a model: drawn from its seed, filled with weights, and tried once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from etude.core.counting import how_many
from etude.core.errors import EtudeError, ModelError, sentence
from etude.core.seeds import derive
from etude.models.model_spec import ModelSpec
from etude.models.registry import Order
from etude.models.spec import ResolvedModel, check_task, family_of, resolve_spec

if TYPE_CHECKING:
    import torch
    from torch import nn


def build_model(
    spec: str | Mapping[str, Any] | ModelSpec | ResolvedModel,
    *,
    n_outputs: int,
    size_px: tuple[int, int],
    seed: int,
    base: Path | None = None,
    task: str = "classification",
) -> nn.Module:
    """Build a network that maps pictures (B, 3, H, W), float and normalised, to logits (B, n_outputs).

    For a segmentation the logits are (B, n_outputs, H, W). For a generation it is a pair of networks
    (`etude.models.networks.adversaries`), and `n_outputs` the number of classes that may be asked for.

    The same arguments give the same weights. The draws are torch's, from a stream of their own: the caller's
    random state is left as it was. The model is on the CPU, in float32 and in training mode.

    Args:
        spec: what to build, resolved or as `resolve_spec` takes it.
        n_outputs: number of logits, at least 1; a two-class problem has 2.
        size_px: height and width of the pictures in pixels.
        seed: seed of the initial weights.
        base: folder that the paths in `spec` are relative to; the working folder by default.
        task: what the logits are of: the whole picture, or for `segmentation` each pixel.

    Raises:
        ModelError: if the specification does not hold, is of another task, or cannot be built.
        MissingPartError: if pretrained weights are asked for and cannot be had.
    """
    import torch

    if n_outputs < 1:
        raise ModelError(sentence("model", "n_outputs", "at least 1", n_outputs))
    resolved = spec if isinstance(spec, ResolvedModel) else resolve_spec(spec, base)
    family = family_of(resolved.spec)
    check_task(resolved.spec, task)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seed, "weights"))
        try:
            model = family.build(Order(resolved.spec, resolved.params, n_outputs, size_px, task))
            if task != "generation":  # a generator takes no pictures
                _check_logits(model, resolved.spec, n_outputs, size_px, task)
        except (EtudeError, MemoryError):
            raise
        except Exception as error:
            raise ModelError(
                f"model {_label(resolved.spec)}: cannot be built for {how_many(n_outputs, 'output')} and pictures of "
                f"{size_px[0]}×{size_px[1]} px ({type(error).__name__}: {error})."
            ) from error
    if resolved.spec.checkpoint is not None:
        from etude.models.networks.checkpoint import load_checkpoint

        load_checkpoint(model, Path(resolved.spec.checkpoint), new_head=resolved.spec.new_head)
    return model.train()


def is_trainable(model: nn.Module) -> bool:
    """Tell whether a model has any parameter that an optimiser may change."""
    return any(parameter.requires_grad for parameter in model.parameters())


def _check_logits(
    model: nn.Module, spec: ModelSpec, n_outputs: int, size_px: tuple[int, int], task: str
) -> None:  # fmt: skip
    """Try the model on two pictures and check the shape of what it gives.

    Raises:
        ModelError: if it fails on them, or gives anything but logits (2, n_outputs), or (2, n_outputs, H, W).
    """
    from etude.models.networks.trial import try_forward

    height_px, width_px = size_px
    try:
        logits_BK = try_forward(model, (2, 3, height_px, width_px))
    except Exception as error:
        raise ModelError(
            f"model {_label(spec)}: must accept pictures of {height_px}×{width_px} px. It gave "
            f"{type(error).__name__}: {error}. Give another prepare.size_px, or other parameters."
        ) from error
    shape = _shape(logits_BK)
    wanted = (2, n_outputs, *size_px) if task == "segmentation" else (2, n_outputs)
    if shape != wanted:
        rule = f"logits of shape {wanted} for a batch of 2 pictures"
        remedy = f"Its constructor may take the number of outputs as `n_outputs`; here it is {n_outputs}."
        raise ModelError(
            sentence(f"model {_label(spec)}", "output", rule, shape, remedy if spec.python is not None else "")
        )


def _shape(output: torch.Tensor | object) -> object:
    """Return the shape of a tensor as a tuple, or the name of what is no tensor."""
    return tuple(getattr(output, "shape", ())) or type(output).__name__


def _label(spec: ModelSpec) -> str:
    """Return what a message calls the model."""
    return Path(spec.python).name if spec.python is not None else spec.name
