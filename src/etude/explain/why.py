"""Where a network looks for an answer: Grad-CAM and integrated gradients, and two checks that keep them honest.

The checks: what the probability loses when the marked fifth is made grey, beside a fifth chosen by chance; and how
alike the map is to that of the same network with random weights, which has learnt nothing (Adebayo et al. 2018,
arXiv:1810.03292). Shapes: C channels, H and W pixels.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from etude.core.errors import MissingPartError, ModelError, sentence
from etude.core.extras import install
from etude.core.seeds import derive
from etude.explain.channels import as_maps
from etude.explain.questions import Question

_STEPS = 32  # of the integral
_MARKED = 0.2  # share of the picture that is made grey
_DRAWS = 8
_PIXELS_AT_ONCE = 2**19  # of pictures that are followed together: the memory of a large network's gradients


@dataclass(frozen=True)
class Maps:
    """Where a network looked for one answer."""

    grad_cam_HW: Tensor
    """At the size of the picture, 0 to 1."""
    integrated_HW: Tensor
    """What each pixel adds to the answer, summed over colours, 0 to 1; 0 for what speaks against it."""


@dataclass(frozen=True)
class Check:
    """By how much the probability of the answer falls when a fifth of the picture is made grey."""

    drop_grad_cam: float
    drop_integrated: float
    drop_random: float


def explain_answer(model: nn.Module, image_1CHW: Tensor, asked: Question, layer: str) -> Maps:
    """Return both maps of one answer.

    Args:
        model: the network.
        image_1CHW: one picture, normalised, on the network's device.
        asked: what of the answer is explained.
        layer: name of the layer at which Grad-CAM is taken (`etude.explain.sight.find_cam_layer`).
    """
    with evaluating(model):
        return Maps(grad_cam(model, image_1CHW, asked, layer), integrated_gradients(model, image_1CHW, asked))


def grad_cam(model: nn.Module, image_1CHW: Tensor, asked: Question, layer: str) -> Tensor:
    """Return the Grad-CAM map (H, W), 0 to 1, on the CPU (Selvaraju et al. 2017, arXiv:1610.02391, eq. 1 and 2)."""
    maps = raw_grad_cam(model, image_1CHW, asked, layer)
    grown = F.interpolate(maps, image_1CHW.shape[2:], mode="bilinear", align_corners=False)[0, 0]
    return _scaled(grown)


def raw_grad_cam(model: nn.Module, image_1CHW: Tensor, asked: Question, layer: str) -> Tensor:
    """Return the Grad-CAM map (1, 1, h, w) as it is, at the size of the layer's maps; tokens are laid out as maps.

    Raises:
        ModelError: if what the layer gives does not say where in the picture it is from.
    """
    held: list[Tensor] = []
    module = model.get_submodule(layer)
    handle = module.register_forward_hook(lambda _module, _inputs, output: held.append(output))
    try:
        with frozen(model), torch.enable_grad():
            logits = model(image_1CHW.detach().requires_grad_())
            (gradient,) = torch.autograd.grad(asked.logit(logits).sum(), held[-1])
    finally:
        handle.remove()
    size_px = (image_1CHW.shape[2], image_1CHW.shape[3])
    maps, slopes = (as_maps(module, tensor, size_px) for tensor in (held[-1], gradient))
    if maps is None or slopes is None:
        raise ModelError(sentence("explain", "layer", "one that gives maps, or tokens that fill a grid", layer))
    return F.relu((slopes.mean((2, 3), keepdim=True) * maps).sum(1, keepdim=True)).detach()


def integrated_gradients(model: nn.Module, image_1CHW: Tensor, asked: Question) -> Tensor:
    """Return what speaks for the answer (H, W), 0 to 1: what integrated gradients attribute to each pixel.

    What speaks against the answer is 0. On the CPU.
    """
    return _scaled(raw_integrated_gradients(model, image_1CHW, asked)[0].sum(0).clamp(min=0))


def raw_integrated_gradients(model: nn.Module, image_1CHW: Tensor, asked: Question, steps: int = _STEPS) -> Tensor:
    """Return the attributions (1, 3, H, W); they sum to the logit less that of the grey picture, nearly.

    By Captum (Sundararajan et al. 2017, arXiv:1703.01365, eq. 1), from grey, in the middles of the steps.

    Raises:
        MissingPartError: if Captum is not installed.
    """
    from importlib.util import find_spec

    if find_spec("captum") is None:
        raise MissingPartError(f"explain: integrated gradients need Captum. {install('explain')}")
    from captum.attr import IntegratedGradients

    with frozen(model), torch.enable_grad():
        found: Tensor = IntegratedGradients(lambda images_BCHW: asked.logit(model(images_BCHW))).attribute(
            image_1CHW, n_steps=steps, method="riemann_middle", internal_batch_size=pictures_at_once(image_1CHW)
        )
    return found.detach().float()


def pictures_at_once(images_BCHW: Tensor) -> int:
    """Return how many pictures of this size are followed together: at least one, at most 128."""
    return max(1, min(128, _PIXELS_AT_ONCE // (images_BCHW.shape[2] * images_BCHW.shape[3])))


@torch.no_grad()
def check_by_occlusion(model: nn.Module, image_1CHW: Tensor, asked: Question, maps: Maps) -> Check:
    """Make the marked fifth of a picture grey, and a fifth chosen by chance, and see what the probability loses."""
    chance = torch.Generator().manual_seed(derive(0, "occlusion"))
    drawn = [_blocks((image_1CHW.shape[2], image_1CHW.shape[3]), chance) for _ in range(_DRAWS)]
    masks = [maps.grad_cam_HW, maps.integrated_HW, *drawn]
    asked_of = torch.cat([image_1CHW, *(_without_top(image_1CHW, mask) for mask in masks)])
    with evaluating(model):
        answers = [asked.probability(model(some)).cpu() for some in torch.split(asked_of, pictures_at_once(asked_of))]
    probabilities = torch.cat(answers)
    drops = (probabilities[0] - probabilities[1:]).tolist()
    return Check(drops[0], drops[1], sum(drops[2:]) / _DRAWS)


def draw_anew(model: nn.Module, images_BCHW: Tensor, number: int = 0) -> nn.Module:
    """Return a copy of a network in evaluation mode that has learnt nothing, whatever its weights came from.

    Every layer of torch draws its weights as when it was made, from a stream of its own; a parameter that lies
    elsewhere, such as an embedding of places, has its numbers shuffled. Batch normalisations take their statistics from
    real pictures: with those of other weights a signal dies out on its way through a deep network.

    Args:
        model: the network.
        images_BCHW: real pictures, several of them.
        number: of the draw.
    """
    fresh = copy.deepcopy(model).eval()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(0, "random weights", number))
        for module in fresh.modules():
            draw = getattr(module, "reset_parameters", None)
            is_norm = isinstance(module, _BatchNorm)
            if callable(draw) and (is_norm or type(module).__module__.startswith("torch.nn.")):
                draw()
            else:
                _shuffle(module)
    return _with_statistics(fresh, images_BCHW)


@torch.no_grad()
def _with_statistics(model: nn.Module, images_BCHW: Tensor) -> nn.Module:
    """Let batch normalisations take their statistics from pictures; all else stays as it is in evaluation mode."""
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm) and module.track_running_stats]
    if not norms:
        return model
    kept = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean over the batches
        norm.train()
    if len(images_BCHW) == 1:  # one number a channel has no spread: a normalisation refuses it
        images_BCHW = images_BCHW.repeat(2, 1, 1, 1)
    for batch in torch.split(images_BCHW, max(2, pictures_at_once(images_BCHW))):
        if len(batch) > 1:
            model(batch)
    for norm, momentum in zip(norms, kept, strict=True):
        norm.momentum = momentum
    return model.eval()


@torch.no_grad()
def _shuffle(module: nn.Module) -> None:
    for parameter in module.parameters(recurse=False):
        order = torch.randperm(parameter.numel()).to(parameter.device)
        parameter.copy_(parameter.flatten()[order].reshape(parameter.shape))


def likeness(one_HW: Tensor, other_HW: Tensor) -> float | None:
    """Return the rank correlation of two maps, -1 to 1; none where one is the same everywhere, so that it has no ranks.

    Equal numbers share the mean of their ranks: Grad-CAM is exactly zero over much of a picture, and ranked by their
    places those zeros would make any two maps alike.
    """
    from scipy.stats import rankdata

    if any(bool(flat.max() == flat.min()) for flat in (one_HW, other_HW)):
        return None
    ranks = [rankdata(flat.flatten().cpu().numpy()) for flat in (one_HW, other_HW)]
    return float(np.corrcoef(ranks)[0, 1])


def _without_top(image_1CHW: Tensor, map_HW: Tensor) -> Tensor:
    count = max(1, round(_MARKED * map_HW.numel()))
    marked = map_HW.flatten().topk(count).indices
    hidden = image_1CHW.flatten(2).clone()
    hidden[:, :, marked.to(hidden.device)] = 0.0  # the mean of the pictures
    return hidden.reshape(image_1CHW.shape)


def _blocks(size: tuple[int, int], chance: torch.Generator) -> Tensor:
    """Return a smooth random map, so that a fifth chosen by chance lies in patches as Grad-CAM's does."""
    coarse = torch.rand(1, 1, 4, 4, generator=chance)
    return F.interpolate(coarse, size, mode="bilinear", align_corners=False)[0, 0]


def _scaled(map_HW: Tensor) -> Tensor:
    low, high = map_HW.min(), map_HW.max()
    scaled: Tensor = ((map_HW - low) / (high - low).clamp(min=1e-12)).float().cpu()
    return scaled


@contextlib.contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Hold a network in evaluation mode."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)


@contextlib.contextmanager
def frozen(model: nn.Module) -> Iterator[None]:
    """Ask for no gradient of the weights: only what the picture or a layer gives is followed."""
    asked = [parameter for parameter in model.parameters() if parameter.requires_grad]
    for parameter in asked:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in asked:
            parameter.requires_grad_(True)
