"""A network from its pictures to its logits: which block each parameter is in, where the head is, what is frozen.

Shapes: B pictures, C features, K logits.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from etude.core.errors import ModelError, sentence
from etude.models.networks.layers import dropout


def find_head(model: nn.Module) -> str:
    """Return the name of the module that gives the logits.

    timm's networks say which it is, our own call it `head`; elsewhere it is the last linear or convolutional layer.

    Raises:
        ModelError: if there is none.
    """
    classifier: object = model.get_classifier() if hasattr(model, "get_classifier") else getattr(model, "head", None)  # type: ignore[operator]
    if isinstance(classifier, nn.Module) and any(True for _ in classifier.parameters()):
        return next(str(name) for name, module in model.named_modules() if module is classifier)
    layers = [name for name, module in model.named_modules() if isinstance(module, nn.Linear | nn.Conv2d)]
    if not layers:
        raise ModelError(f"model {type(model).__name__}: must have a layer that gives the logits, to be fine-tuned.")
    return str(layers[-1])


def number_blocks(model: nn.Module) -> dict[str, int]:
    """Return the number of the block of each parameter, by its name: 0 next to the pictures; the head has the largest.

    timm's networks name their own blocks (`group_matcher`). Elsewhere each child is a block; a child that holds
    others in a row gives one block for each of them. A network may name `parts`, of which each has blocks of its own.
    """
    names = [name for name, _ in model.named_parameters()]
    head = find_head(model)
    in_head = [name for name in names if _is_in(name, head)]
    body = [name for name in names if not _is_in(name, head)]
    inner = "body" if hasattr(getattr(model, "body", None), "group_matcher") else ""  # a network of timm with our head
    raw: dict[str, int] = {}
    for part in getattr(model, "parts", (inner,)):
        network = model.get_submodule(part)
        found = _timm_numbers(network) if hasattr(network, "group_matcher") else _child_numbers(network)
        before = max(raw.values(), default=-1) + 1
        raw |= {f"{part}.{name}" if part else name: before + number for name, number in found.items()}
    raw = _with_last_norm(model, {name: raw[name] for name in body})
    order = {number: index for index, number in enumerate(sorted(set(raw.values())))}
    return {name: order[raw[name]] for name in body} | dict.fromkeys(in_head, len(order))


def _timm_numbers(model: nn.Module) -> dict[str, int]:
    from timm.models import group_parameters

    numbers: dict[str, int] = group_parameters(model, model.group_matcher(coarse=False), reverse=True)  # type: ignore[operator]
    return numbers


def _child_numbers(model: nn.Module) -> dict[str, int]:
    """Number the children in order; those of a row of modules one by one."""
    found: dict[str, int] = {}
    number = 0
    for child_name, child in model.named_children():
        rows = child.named_children() if isinstance(child, nn.Sequential | nn.ModuleList) else [("", child)]
        for inner_name, inner in rows:
            names = [name for name, _ in inner.named_parameters()]
            prefix = ".".join(word for word in (child_name, inner_name) if word)
            found |= {f"{prefix}.{name}": number for name in names}
            # A normalisation belongs to the layer before it.
            number += any(parameter.ndim > 1 for parameter in inner.parameters())
    return {name: found.get(name, 0) for name, _ in model.named_parameters()}


def _with_last_norm(model: nn.Module, numbers: dict[str, int]) -> dict[str, int]:
    """Put a last block that is but a normalisation into the block before it."""
    last = max(numbers.values(), default=0)
    is_norm = all(model.get_parameter(name).ndim <= 1 for name, number in numbers.items() if number == last)
    before = max((number for number in numbers.values() if number < last), default=last)
    return {name: before if is_norm and number == last else number for name, number in numbers.items()}


def _is_in(name: str, module: str) -> bool:
    return name.startswith(f"{module}.")


def train_last(model: nn.Module, blocks: int | None, trainable: frozenset[str]) -> None:
    """Let only the head and the last `blocks` blocks be trained; none: all blocks.

    Args:
        model: the network.
        blocks: how many before the head, from 0.
        trainable: names of the parameters that the network's family trains at all.

    Raises:
        ModelError: if the network has fewer blocks.
    """
    numbers = number_blocks(model) if blocks is not None else dict.fromkeys(trainable, 0)
    n_blocks = max(numbers.values())
    if blocks is not None and blocks > n_blocks:
        rule = f"at most {n_blocks}, the blocks of {type(model).__name__}"
        raise ModelError(sentence("finetune", "blocks", rule, blocks, "Give fewer, or finetune: all."))
    first = 0 if blocks is None else n_blocks - blocks
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in trainable and numbers[name] >= first)


def lr_scales(model: nn.Module, layer_decay: float) -> dict[str, float]:
    """Return the factor on each parameter's learning rate: 1 for the head, times `layer_decay` with each block back."""
    if layer_decay == 1.0:
        return {}
    numbers = number_blocks(model)
    n_blocks = max(numbers.values())
    return {name: layer_decay ** (n_blocks - number) for name, number in numbers.items()}


def set_training(model: nn.Module, *, keeps_norm: bool = False) -> None:
    """Put a network in training mode, but for the parts of which nothing is trained.

    There the running statistics of the normalisations stay what they are, and nothing is dropped. With `keeps_norm`
    they stay in the whole network, which is then normalised by them.
    """
    model.train()
    for module in model.modules():
        parameters = list(module.parameters())
        if (parameters and not any(parameter.requires_grad for parameter in parameters)) or (
            keeps_norm and isinstance(module, nn.modules.batchnorm._BatchNorm)
        ):
            module.eval()


class HeadOnly(nn.Module):
    """The head of a network, from features to logits; it shares the network's parameters."""

    def __init__(self, head: nn.Module, dropout: float) -> None:
        super().__init__()
        self.head = head
        self.dropout = dropout

    def forward(self, features: Tensor) -> Tensor:
        """Return logits (B, K) from features (B, C) or (B, C, 1, 1)."""
        logits: Tensor = self.head(dropout(features, self.dropout, self.training))
        return logits.flatten(1)


@dataclass(frozen=True)
class Trunk:
    """A network cut before its head."""

    model: nn.Module
    head_name: str
    head: HeadOnly

    @torch.no_grad()
    def features(self, images_BCHW: Tensor) -> Tensor:
        """Return what the head is given for these pictures, (B, C) or (B, C, 1, 1); the model must be in eval mode."""
        return _trace(self.model, self.head.head, images_BCHW)[1]


def cut_before_head(model: nn.Module, size_px: tuple[int, int]) -> Trunk | None:
    """Cut a network before its head; none where the head alone does not give the logits (a network that scales them).

    Args:
        model: the network, on any device.
        size_px: height and width of the pictures.
    """
    name = find_head(model)
    head = model.get_submodule(name)
    device = next(model.parameters()).device
    images = torch.rand(2, 3, *size_px, generator=torch.Generator().manual_seed(0)).to(device)
    was_training = model.training
    model.eval()
    with torch.no_grad():
        logits, features, dropout = _trace(model, head, images)
        trunk = Trunk(model, name, HeadOnly(head, max(dropout, float(getattr(model, "drop_rate", 0.0) or 0.0))))
        again = trunk.head.eval()(features)
    model.train(was_training)
    return trunk if again.shape == logits.shape and torch.allclose(again, logits, rtol=1e-3, atol=1e-4) else None


def _trace(model: nn.Module, head: nn.Module, images_BCHW: Tensor) -> tuple[Tensor, Tensor, float]:
    """Return the logits, what the head was given, and the rate of a dropout right before it."""
    taken: list[Tensor] = []
    rate = 0.0

    def look(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        nonlocal rate
        if module is head:
            taken.append(inputs[0])
        elif not taken:
            rate = module.p if isinstance(module, nn.Dropout) else 0.0

    leaves = [module for module in model.modules() if module is head or not any(True for _ in module.children())]
    handles = [module.register_forward_pre_hook(look) for module in leaves]
    try:
        logits = model(images_BCHW)
    finally:
        for handle in handles:
            handle.remove()
    return logits, taken[-1], rate
