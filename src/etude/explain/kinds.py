"""What a layer is, by its class or by what it computes."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from etude.explain.records import Kind

_BY_NAME: tuple[tuple[str, Kind], ...] = (
    ("BatchNorm", "batch norm"),
    ("Norm", "layer norm"),
    ("Dropout", "dropout"),
    ("DropPath", "dropout"),
    ("Scale", "scale"),
    ("Attention", "attention"),
)
OF_FUNCTION: dict[str, Kind] = {
    **dict.fromkeys(
        ("relu", "gelu", "silu", "sigmoid", "tanh", "hardswish", "hardtanh", "hardsigmoid", "leaky_relu", "elu",
         "mish", "softplus", "prelu", "clamp_min", "glu"), "activation"
    ),
    **dict.fromkeys(("max_pool2d_with_indices", "avg_pool2d"), "pooling"),
    **dict.fromkeys(("_adaptive_avg_pool2d", "adaptive_max_pool2d", "mean", "amax"), "global pooling"),
    **dict.fromkeys(("bmm", "baddbmm", "_softmax"), "attention"),
    **dict.fromkeys(("native_batch_norm", "_native_batch_norm_legit_no_training", "cudnn_batch_norm"), "batch norm"),
    **dict.fromkeys(("native_layer_norm", "native_group_norm"), "layer norm"),
    **dict.fromkeys(("mm", "addmm"), "dense"),
    "convolution": "convolution",
    "cat": "join",
}  # fmt: skip
"""Operations that make a layer of their own where a module that holds others calls them."""

HOLDING: tuple[Kind, ...] = ("batch norm", "layer norm", "dense", "convolution", "attention")
"""Kinds of functions that use the weights of the module which calls them."""
_CALLED = {
    **dict.fromkeys(("native_batch_norm", "_native_batch_norm_legit_no_training", "cudnn_batch_norm"), "batch_norm"),
    **dict.fromkeys(("mm", "addmm"), "linear"),
    "native_layer_norm": "layer_norm",
    "native_group_norm": "group_norm",
    "max_pool2d_with_indices": "max_pool2d",
    "clamp_min": "clamp",
    "amax": "max",
    "cat": "join",
    "add": "sum",
    "mul": "product",
}


def plain_operation(name: str) -> str:
    """Return an operation's name without the mark of one that works in place.

    >>> plain_operation("add_"), plain_operation("_softmax")
    ('add', '_softmax')
    """
    return name.removesuffix("_")


def called(name: str) -> str:
    """Return what an operation is called for readers: as one calls it, not as torch's inner library does.

    >>> called("_native_batch_norm_legit_no_training"), called("relu_"), called("upsample_bilinear2d")
    ('batch_norm', 'relu', 'upsample')
    >>> called("_adaptive_avg_pool2d"), called("_scaled_dot_product_flash_attention_for_cpu")
    ('adaptive_avg_pool2d', 'attention')
    """
    plain = plain_operation(name)
    if kind_of_function(plain) == "attention":
        return "attention"
    if plain.startswith("upsample"):
        return "upsample"
    return _CALLED.get(plain, plain.strip("_"))


def kind_of_function(name: str) -> Kind | None:
    """Return what an operation is as a layer; none for one that only moves numbers about.

    >>> kind_of_function("relu_"), kind_of_function("transpose")
    ('activation', None)
    """
    plain = plain_operation(name)
    if plain.startswith("_scaled_dot_product"):
        return "attention"
    if plain.startswith("upsample"):
        return "up-sampling"
    return OF_FUNCTION.get(plain)


def kind_by_shapes(kind: Kind, before: Sequence[int], after: Sequence[int]) -> Kind:
    """Return what a layer is once its shapes are known, batch left out.

    A pooling is global where one number a channel is left; an interpolation may also make a map smaller.

    >>> kind_by_shapes("global pooling", (8, 14, 14), (8, 7, 7)), kind_by_shapes("up-sampling", (8, 14, 14), (8, 7, 7))
    ('pooling', 'resizing')
    """
    if kind == "global pooling" and sum(side > 1 for side in after) > 1:
        return "pooling" if before[-2:] != after[-2:] else "other"  # a mean over channels gathers no places
    is_smaller = len(before) == len(after) == 3 and (after[1] < before[1] or after[2] < before[2])
    return "resizing" if kind == "up-sampling" and is_smaller else kind


def kind_of_module(module: nn.Module) -> Kind | None:
    """Return what a module without children is; none where its class does not say."""
    if isinstance(module, nn.ConvTranspose2d):
        return "up-sampling"
    if isinstance(module, nn.Conv2d):
        return _kind_of_convolution(module)
    if isinstance(module, nn.Linear):
        return "dense"
    if isinstance(module, nn.Upsample | nn.PixelShuffle):
        return "up-sampling"
    if isinstance(module, nn.MultiheadAttention):
        return "attention"
    names = [entry.__name__ for entry in type(module).__mro__]
    for word, kind in _BY_NAME:
        if any(word in name for name in names):
            return kind
    if "Pool" in names[0]:
        return "global pooling" if "Adaptive" in names[0] or "Global" in names[0] else "pooling"
    homes = [entry.__module__ for entry in type(module).__mro__]
    return "activation" if "torch.nn.modules.activation" in homes else None


def _kind_of_convolution(module: nn.Conv2d) -> Kind:
    if module.kernel_size == (1, 1):
        return "pointwise convolution"
    if module.groups == module.in_channels > 1:
        return "depthwise convolution"
    if module.kernel_size == module.stride and min(module.kernel_size) > 2 and module.in_channels == 3:
        return "patch embedding"
    return "convolution"
