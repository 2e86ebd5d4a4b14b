"""Networks of timm: names, cards, files of weights, building. timm itself takes seconds to import: only here."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import timm
from huggingface_hub import constants, get_session, hf_hub_download, try_to_load_from_cache
from safetensors import SafetensorError, safe_open
from timm.models import get_pretrained_cfg
from torch import nn

from etude.core.errors import ModelError
from etude.models.card import Card
from etude.models.families.timm import HeadParams, TimmParams
from etude.models.model_spec import ModelSpec
from etude.models.networks.depth import find_head
from etude.models.networks.layers import draw_head
from etude.models.networks.shortened import Shortened, hidden_head
from etude.models.timm_ideas import find_idea
from etude.models.weights import locate_imagenet, missing_weights

HUB_FILE = "model.safetensors"
STATISTICS = {
    ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)): "imagenet",
    ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)): "half",
    ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)): "none",
}


@functools.cache
def timm_names() -> frozenset[str]:
    """Return every name that timm builds, with and without the tag of its weights."""
    return frozenset(timm.list_models()) | frozenset(timm.list_pretrained())


def timm_card(name: str) -> Card:
    """Return the card of a network of timm, from timm's own record of it."""
    pretrained = _pretrained(name)
    side_px = pretrained.get("input_size", (3, 224, 224))[-1]
    licence = pretrained.get("license") or ""
    statistics = (tuple(pretrained.get("mean", ())), tuple(pretrained.get("std", ())))
    notes = [f"Its weights were trained on pictures of {side_px} px, {pretrained.get('interpolation', '')} resizing."]
    if pretrained.get("fixed_input_size"):
        notes.append("It is built for one size of pictures, that of prepare.size_px.")
    paper, idea = pretrained.get("paper_ids") or "", find_idea(name)
    papers = [paper] if isinstance(paper, str) else [*paper]
    if idea:
        number = idea.paper.rpartition(" ")[2]
        papers = [idea.paper, *(entry for entry in papers if number not in entry)]
    return Card(
        name=name,
        title=f"{name} (timm)",
        sentence=f"{name.split('.')[0]} as timm {timm.__version__} defines it.",
        paper="; ".join(filter(None, papers)),
        licence_code="Apache-2.0",
        licence_weights=licence,
        input_px=side_px,
        min_px=side_px if pretrained.get("fixed_input_size") else 32,
        pretrained=("imagenet",) if pretrained.get("hf_hub_id") else (),
        normalize=STATISTICS.get(statistics),
        notes=(*([idea.sentence] if idea else []), *notes),
    )


def hub_file(name: str) -> Path:
    """Return the file of a network's ImageNet weights in the hub's cache, downloaded if it is not there.

    Raises:
        ModelError: if timm knows no weights for it.
        MissingPartError: if the file is not in the cache and the hub cannot be reached.
    """
    repository = _pretrained(name).get("hf_hub_id")
    if not repository:
        raise ModelError(f"model {name}: timm has no ImageNet weights for it. Leave `weights` out, or give a path.")
    cached = cached_file(name)
    if cached is not None:
        return cached
    try:
        get_session().head(constants.ENDPOINT, timeout=10)  # without a network the download would retry for 20 s
        return Path(hf_hub_download(repository, HUB_FILE)).resolve()
    except Exception as error:  # the hub's client raises errors of several libraries when there is no network
        raise missing_weights(name, _address(repository), type(error).__name__) from error


def hub_address(name: str) -> str | None:
    """Return where a network's ImageNet weights are downloaded from; none where timm knows none."""
    repository = _pretrained(name).get("hf_hub_id")
    return _address(repository) if repository else None


def _address(repository: str) -> str:
    return f"https://huggingface.co/{repository}/resolve/main/{HUB_FILE}"


def cached_file(name: str) -> Path | None:
    """Return the file of a network's ImageNet weights where the hub's cache has it."""
    repository = _pretrained(name).get("hf_hub_id")
    cached = try_to_load_from_cache(repository, HUB_FILE) if repository else None
    return Path(cached).resolve() if isinstance(cached, str) else None


def embedding_options(name: str, path: Path) -> dict[str, Any]:
    """Return what `timm.create_model` is told to build a network without its head from a local file."""
    size = {"dynamic_img_size": True} if name.startswith("vit_") else {}
    return {"num_classes": 0, "pretrained_cfg_overlay": {"file": str(path), "custom_load": False}, **size}


def build_timm(spec: ModelSpec, params: TimmParams, n_outputs: int, size_px: tuple[int, int]) -> nn.Module:
    """Build a network of timm with a head of `n_outputs` logits, and fill it with pretrained weights if asked.

    A pretrained head is kept where it has `n_outputs` outputs; any other is drawn small.

    Raises:
        ModelError: if the file of weights cannot be read, or the network cannot be cut or given such a head.
        MissingPartError: if the weights cannot be had.
    """
    options: dict[str, Any] = {"num_classes": n_outputs, "drop_rate": params.dropout or params.head.dropout}
    if params.drop_path > 0:
        options["drop_path_rate"] = params.drop_path
    if _pretrained(spec.name).get("fixed_input_size"):
        options["img_size"] = size_px
    kept_outputs = -1
    if spec.weights is not None:
        path = locate_imagenet(spec.name) if spec.weights == "imagenet" else Path(spec.weights)
        kept_outputs = _head_outputs(path, _pretrained(spec.name))
        overlay = {"file": str(path), "custom_load": False, "num_classes": kept_outputs}
        options |= {"pretrained": True, "pretrained_cfg_overlay": overlay}
    if params.head.pool and not params.drop_blocks:
        options["global_pool"] = params.head.pool
    model = timm.create_model(spec.name, **(options | params.options))
    assert isinstance(model, nn.Module)
    if params.drop_blocks:
        return Shortened(model, params, n_outputs, size_px)
    if params.head.hidden:
        name = find_head(model)
        model.set_submodule(name, _with_hidden(model.get_submodule(name), params.head, n_outputs))
    elif kept_outputs != n_outputs or spec.new_head:
        # timm draws some heads so large that the first answers are all but sure, and training begins by undoing them.
        head = model.get_submodule(find_head(model))
        layers = [layer for layer in head.modules() if isinstance(layer, nn.Linear | nn.Conv2d)]
        if layers:
            draw_head(layers[-1])
    return model


def _with_hidden(classifier: nn.Module, head: HeadParams, n_outputs: int) -> nn.Module:
    """Return a head with a hidden layer in the place of a linear or a 1×1 convolutional classifier.

    Raises:
        ModelError: if the classifier is neither.
    """
    if isinstance(classifier, nn.Linear):
        return hidden_head(classifier.in_features, head, n_outputs)
    if isinstance(classifier, nn.Conv2d):
        return nn.Sequential(nn.Flatten(), hidden_head(classifier.in_channels, head, n_outputs))
    raise ModelError(f"model: head.hidden must be 0 for a network whose head is a {type(classifier).__name__}.")


def _head_outputs(path: Path, pretrained: dict[str, Any]) -> int:
    """Return the number of outputs of the head in a file of weights; -1 where it has none: the head is then drawn."""
    classifier = pretrained.get("classifier", "")
    name = f"{classifier if isinstance(classifier, str) else classifier[0]}.weight"
    try:
        with safe_open(path, "pt") as weights:
            return int(weights.get_slice(name).get_shape()[0]) if name in weights.keys() else -1  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise ModelError(f"model: {path}: cannot be read as safetensors ({error}).") from error


def _pretrained(name: str) -> dict[str, Any]:
    """Return timm's record of the weights of a name; empty where it has none."""
    record = get_pretrained_cfg(name)
    return {name: value for name, value in vars(record).items() if value is not None} if record is not None else {}
