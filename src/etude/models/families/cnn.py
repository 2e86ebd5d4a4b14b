"""`cnn` and `vgg`: plain convolutional networks, shaped by configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator, model_validator

from etude.core.records import Config
from etude.models.card import Card
from etude.models.families.words import Activation, Rate, Width
from etude.models.registry import MODELS, Family, Order

if TYPE_CHECKING:
    from torch import nn

MAX_DEPTH = 8
MAX_CONVS = 8
MAX_DOUBLED_WIDTH = 512


class CnnParams(Config):
    """Parameters of `cnn`."""

    depth: int | None = Field(default=None, ge=1, le=MAX_DEPTH)
    """Number of blocks, where `widths` does not list them; each block halves the picture."""
    widths: tuple[Width, ...] = Field(default=(32, 64, 128), min_length=1, max_length=MAX_DEPTH)
    """Channels of each block; one number is the first block's, doubled at each block up to 512."""
    convs: int | tuple[int, ...] = 2
    """Convolutions in each block: one number (1 to 8) for all, or one a block."""
    kernel_px: Literal[1, 3, 5, 7] = 3
    """Side of the convolutions' kernels in pixels."""
    activation: Activation = "relu"
    """What follows each convolution."""
    batch_norm: bool = True
    """Whether batch normalisation stands before each activation."""
    pool: Literal["max", "avg", "stride"] = "max"
    """How a block halves the picture: by the maximum or mean of 2×2 pixels, or by a last convolution of stride 2."""
    block_dropout: Rate = 0.0
    """Share of the channels that is dropped after each block while training."""
    head_pool: Literal["avg", "max", "flatten"] = "avg"
    """What becomes of the last map: its mean or maximum over the picture, or all of it."""
    head_width: int = Field(default=0, ge=0, le=8192)
    """Units of a hidden layer before the logits; 0: none."""
    dropout: Rate = 0.0
    """Share of the units before the logits that is dropped while training."""

    @model_validator(mode="before")
    @classmethod
    def _list_widths(cls, given: Any) -> Any:  # noqa: ANN401 - what the study file says, not yet validated
        """Write `depth` and a single width as the list they stand for, so that one network has one identity."""
        if not isinstance(given, dict):
            return given
        defaults = cls.model_fields["widths"].default
        depth, widths = given.get("depth"), given.get("widths", defaults)
        if isinstance(widths, list | tuple) and "widths" not in given and depth is not None:
            widths = widths[0]
        if depth is None:
            depth = len(defaults)
        if not _is_whole(widths) or not _is_whole(depth) or not 1 <= depth <= MAX_DEPTH:
            return given
        rest = {name: value for name, value in given.items() if name != "depth"}
        limit = max(MAX_DOUBLED_WIDTH, widths)
        return rest | {"widths": tuple(min(widths * 2**block, limit) for block in range(depth))}

    @field_validator("convs")
    @classmethod
    def _few_convs(cls, convs: int | tuple[int, ...]) -> int | tuple[int, ...]:
        if not all(1 <= count <= MAX_CONVS for count in (convs if isinstance(convs, tuple) else (convs,))):
            raise ValueError(f"between 1 and {MAX_CONVS}")
        return convs

    @model_validator(mode="after")
    def _agree(self) -> CnnParams:
        blocks = len(self.widths)
        if self.depth is not None and self.depth != blocks:
            raise ValueError(f"depth must be the number of widths, {blocks}. Got {self.depth}. Leave one of them out.")
        if isinstance(self.convs, tuple) and len(self.convs) != blocks:
            raise ValueError(f"convs must be one number, or {blocks} as widths has. Got {list(self.convs)}.")
        return self

    def convs_of_blocks(self) -> tuple[int, ...]:
        """Return the number of convolutions of each block."""
        return self.convs if isinstance(self.convs, tuple) else (self.convs,) * len(self.widths)


class VggParams(CnnParams):
    """Parameters of `vgg`: those of `cnn`, with the shape of a small VGG as defaults."""

    widths: tuple[Width, ...] = Field(default=(64, 128, 256, 512), min_length=1, max_length=MAX_DEPTH)
    """Channels of each block; one number is the first block's, doubled at each block up to 512."""
    head_pool: Literal["avg", "max", "flatten"] = "flatten"
    """What becomes of the last map: its mean or maximum over the picture, or all of it."""
    head_width: int = Field(default=512, ge=0, le=8192)
    """Units of a hidden layer before the logits; 0: none."""
    dropout: Rate = 0.5
    """Share of the units before the logits that is dropped while training."""


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _build(order: Order) -> nn.Module:
    from etude.models.networks.cnn import Cnn

    assert isinstance(order.params, CnnParams)
    return Cnn(order.params, order.n_outputs, order.size_px)


MODELS.register("cnn")(
    Family(
        CnnParams,
        Card(
            name="cnn",
            title="Plain convolutional network",
            sentence="Blocks of convolutions that each halve the picture, then a mean over what is left: "
            "the first network to try, and the one to vary.",
            paper="LeCun, Bottou, Bengio, Haffner, Gradient-based learning applied to document recognition, 1998, "
            "doi:10.1109/5.726791; batch normalisation: Ioffe, Szegedy, 2015, arXiv 1502.03167",
            input_px=32,
            min_px=8,
            notes=(
                "A block needs a picture of at least 2 px: the side must be at least 2 to the power of the blocks.",
            ),
        ),
        _build,
        sources=("cnn.py", "layers.py"),
    )
)

MODELS.register("vgg")(
    Family(
        VggParams,
        Card(
            name="vgg",
            title="Small VGG",
            sentence="Four blocks of two 3×3 convolutions with batch normalisation and a hidden layer with dropout, "
            "after VGG, for small pictures.",
            paper="Simonyan, Zisserman, Very deep convolutional networks for large-scale image recognition, 2014, "
            "arXiv 1409.1556",
            input_px=32,
            min_px=16,
            notes=("For the published VGG-16 and VGG-19 with ImageNet weights ask for `vgg16` or `vgg19` (timm).",),
        ),
        _build,
        sources=("cnn.py", "layers.py"),
    )
)
