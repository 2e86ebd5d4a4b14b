"""What layers see: their maps of one picture, the filters of the first one, the pictures that most excite a channel.

Shapes: N pictures, C channels, H and W pixels, k the side of a filter.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from etude.explain.channels import as_maps, token_grid, works_on_last
from etude.explain.records import MAP_KINDS
from etude.explain.tracing import Traced, Tracer
from etude.explain.why import evaluating, frozen


def find_map_layers(model: nn.Module, image_1CHW: Tensor, most: int = 24) -> list[str]:
    """Return the names of the layers that give maps, in order; of many, evenly spread ones, first and last included."""
    names = list(dict.fromkeys(row.name for row in _rows(model, image_1CHW) if _gives_maps(row)))
    if len(names) <= most:
        return names
    places = torch.linspace(0, len(names) - 1, most).round().long().tolist()
    return [names[place] for place in places]


def find_cam_layer(model: nn.Module, image_1CHW: Tensor) -> str | None:
    """Return the layer at which a network knows what and still knows where; none where no layer gives maps.

    Of a classifier it is the last layer that gives maps. A network for masks enlarges its maps again, and its last one
    is the answer itself: there it is the last layer before maps are enlarged for the first time. A decoder may leave
    the encoder's last layers unused: only layers on which the answer depends are taken.

    A transformer or a mixer turns maps into tokens at its first layer, where it knows nothing yet: there it is the last
    normalisation of tokens whose patches the answer depends on (of a transformer that answers by its class token, that
    before the last attention). Where attention follows the maps and its tokens fill no grid, there is none.
    """
    rows: list[Traced] = []
    for row in _rows(model, image_1CHW):
        if row.kind == "up-sampling" and any(_gives_maps(before) for before in rows):
            break
        rows.append(row)
    size_px = (image_1CHW.shape[2], image_1CHW.shape[3])
    mattering = _that_matter(model, image_1CHW, [row for row in rows if _gives_maps(row)])
    if not mattering:
        return None
    last = mattering[-1]
    behind = rows[last.place + 1 :]
    is_attended = any(row.kind == "attention" for row in behind)
    if last.kind != "patch embedding" and not is_attended:
        return last.name
    tokens = _that_matter(model, image_1CHW, [row for row in behind if _gives_tokens(row, size_px)])
    if tokens:
        return tokens[-1].name
    return None if is_attended and last.kind == "patch embedding" else last.name


def _that_matter(model: nn.Module, image_1CHW: Tensor, rows: Sequence[Traced]) -> list[Traced]:
    """Return those layers on whose outputs the logits depend; of tokens, on those of patches."""
    last_calls = {row.name: row for row in rows}
    layers, held = list(last_calls), dict[str, Tensor]()
    handles = [
        model.get_submodule(name).register_forward_hook(
            lambda _module, _inputs, output, name=name: held.update({name: output})
        )
        for name in layers
    ]
    try:
        with evaluating(model), frozen(model), torch.enable_grad():
            logits = model(image_1CHW.detach().requires_grad_())
            followed = [name for name in layers if held[name].requires_grad]
            if not followed:
                return []
            gradients = torch.autograd.grad(logits.sum(), [held[name] for name in followed], allow_unused=True)
    finally:
        for handle in handles:
            handle.remove()
    size_px = (image_1CHW.shape[2], image_1CHW.shape[3])
    found = []
    for name, gradient in zip(followed, gradients, strict=True):
        if gradient is None:
            continue
        if not works_on_last(last_calls[name].module) or _reaches_places(last_calls[name], gradient, size_px):
            found.append(last_calls[name])
    return found


def _reaches_places(row: Traced, gradient: Tensor, size_px: tuple[int, int]) -> bool:
    maps = as_maps(row.module, gradient, size_px)
    return maps is not None and bool(maps.any())


def _rows(model: nn.Module, image_1CHW: Tensor) -> list[Traced]:
    tracer = Tracer(model)
    tracer.run(image_1CHW)
    return tracer.rows


def _gives_maps(row: Traced) -> bool:
    return row.kind in MAP_KINDS and not row.is_function and len(row.output_shape) == 3 and row.output_shape[1] > 1


def _gives_tokens(row: Traced, size_px: tuple[int, int]) -> bool:
    """Whether a layer normalises tokens, or maps with channels last, that lie on the picture."""
    if row.is_function or isinstance(row.module, nn.Linear) or not works_on_last(row.module):
        return False
    if len(row.output_shape) == 3:
        return row.output_shape[0] > 1
    return len(row.output_shape) == 2 and token_grid(row.output_shape[0], size_px) is not None


@torch.no_grad()
def feature_maps(model: nn.Module, image_1CHW: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
    """Return the maps (C, H, W) that layers give for one picture, on the CPU."""
    return {name: maps[0] for name, maps in _outputs(model, image_1CHW, layers).items()}


def first_filters(model: nn.Module) -> tuple[str, Tensor] | None:
    """Return the name and the filters (C, 3, k, k) of the first convolution that reads colours; none without one."""
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d) and module.in_channels == 3 and min(module.kernel_size) > 1:
            return name, module.weight.detach().float().cpu()
    return None


@torch.no_grad()
def most_exciting(
    model: nn.Module, batches: Iterable[Tensor], layers: Sequence[str], *, channels: int = 2, pictures: int = 6
) -> dict[str, list[tuple[int, list[int], list[float]]]]:
    """Return, for each layer, channels with the pictures that excite them most.

    Those channels are taken whose largest numbers vary most between pictures: what is the same for all says little.

    Args:
        model: the network.
        batches: the pictures (B, 3, H, W), some at a time.
        layers: names of the layers.
        channels: of each layer.
        pictures: of each channel.

    Returns:
        For each layer, its channels: number of the channel, places of the pictures (the most exciting first), and the
        largest number that the channel gives anywhere on each.
    """
    largest: dict[str, list[Tensor]] = {name: [] for name in layers}
    for images_BCHW in batches:
        for name, maps in _outputs(model, images_BCHW, layers).items():
            largest[name].append(maps.flatten(2).amax(2))
    found = {}
    for name, parts in largest.items():
        values_NC = torch.cat(parts)
        varied = (values_NC.std(0) / values_NC.abs().mean(0).clamp(min=1e-6)).argsort(descending=True)[:channels]
        found[name] = [_top(values_NC[:, channel], int(channel), pictures) for channel in sorted(varied.tolist())]
    return found


def _top(values_N: Tensor, channel: int, pictures: int) -> tuple[int, list[int], list[float]]:
    values, places = values_N.topk(min(pictures, len(values_N)))
    return channel, places.tolist(), values.tolist()


def _kept(output: Tensor) -> Tensor:
    """Return numbers of their own: an activation behind the layer may work in place."""
    return output.detach().to("cpu", torch.float32, copy=True)


def _outputs(model: nn.Module, images_BCHW: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
    """Return what layers give for a batch, on the CPU."""
    found: dict[str, Tensor] = {}
    handles = [
        model.get_submodule(name).register_forward_hook(
            lambda _module, _inputs, output, name=name: found.update({name: _kept(output)})
        )
        for name in layers
    ]
    was_training = model.training
    model.eval()
    try:
        model(images_BCHW)
    finally:
        model.train(was_training)
        for handle in handles:
            handle.remove()
    return found
