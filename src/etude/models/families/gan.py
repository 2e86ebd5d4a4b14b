"""`dcgan` and `fastgan`: a generator of pictures, and the discriminator that it is trained against."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from pydantic import Field

from etude.core.errors import ModelError, sentence
from etude.core.records import Config
from etude.models.card import Card
from etude.models.registry import MODELS, Family, Order

if TYPE_CHECKING:
    from torch import nn


class GanParams(Config):
    """What every generator has."""

    latent: int = Field(default=128, ge=1, le=4096)
    """Numbers that a picture is drawn from: a standard normal vector."""
    width: int = Field(default=32, ge=2, le=512)
    """Channels at the picture's own size; each halving of the size doubles them, up to `most_width`."""
    most_width: int = Field(default=256, ge=2, le=2048)
    """Channels at most."""
    conditional: bool = False
    """Whether the class that is wanted is given to both networks; a study of one class needs none."""


class DcganParams(GanParams):
    """Parameters of `dcgan`."""

    latent: int = Field(default=100, ge=1, le=4096)
    """Numbers that a picture is drawn from: a standard normal vector."""
    most_width: int = Field(default=512, ge=2, le=2048)
    """Channels at most."""
    spectral_norm: bool = False
    """Whether the discriminator's layers are divided by their largest singular value, in place of its batch norms."""


class FastganParams(GanParams):
    """Parameters of `fastgan`."""

    excitation: bool = True
    """Whether early maps weigh the channels of late ones (skip-layer excitation)."""
    reconstruction: Literal["none", "whole", "whole+part"] = "whole+part"
    """What the discriminator must be able to draw again from its last map of a real picture: nothing, the whole
    picture made small, or that and a quarter of it at twice the detail."""
    patches: bool = True
    """Whether the discriminator judges 25 overlapping parts of a picture, as the authors' does, or only the whole."""


def _build(order: Order) -> nn.Module:
    params = order.params
    assert isinstance(params, GanParams)
    check_size(order.spec.name, order.size_px)
    if isinstance(params, FastganParams):
        from etude.models.networks.fastgan import build_fastgan

        return build_fastgan(params, order.n_outputs, order.size_px[0])
    from etude.models.networks.dcgan import build_dcgan

    assert isinstance(params, DcganParams)
    return build_dcgan(params, order.n_outputs, order.size_px[0])


SIDES_PX: Final = (8, 16, 32, 64, 128, 256, 512)
"""Sides of generated pictures, each reached from 4 px by doubling."""


def check_size(name: str, size_px: tuple[int, int]) -> None:
    """Refuse sizes that are not reached from 4×4 by doubling.

    Raises:
        ModelError: naming the sizes that are.
    """
    if size_px[0] != size_px[1] or size_px[0] not in SIDES_PX:
        rule = f"a square of {', '.join(map(str, SIDES_PX[:-1]))} or {SIDES_PX[-1]} px"
        raise ModelError(sentence(f"model {name}", "prepare.size_px", rule, list(size_px), "Give size_px: 64."))


MODELS.register("dcgan")(
    Family(
        DcganParams,
        Card(
            name="dcgan",
            title="DCGAN",
            sentence="Strided convolutions up from a random vector, and the same down again to one number: the "
            "baseline of every generator; with `spectral_norm` its discriminator cannot run away so easily.",
            paper="Radford, Metz, Chintala, Unsupervised representation learning with deep convolutional generative "
            "adversarial networks, 2015, arXiv 1511.06434; spectral normalisation: Miyato et al., 2018, "
            "arXiv 1802.05957",
            input_px=64,
            min_px=8,
            notes=("With a hundred pictures and nothing else it learns them by heart, or collapses.",),
        ),
        _build,
        sources=("dcgan.py", "adversaries.py"),
        tasks=("generation",),
    )
)

MODELS.register("fastgan")(
    Family(
        FastganParams,
        Card(
            name="fastgan",
            title="Light few-shot generator",
            sentence="After FastGAN: early maps excite late ones, and the discriminator must be able to draw the real "
            "picture again from what it kept of it, so that a hundred pictures teach it more than to tell them apart.",
            paper="Liu, Zhu, Song, Elgammal, Towards faster and stabilized GAN training for high-fidelity few-shot "
            "image synthesis, 2021, arXiv 2101.04775",
            input_px=64,
            min_px=8,
            notes=(
                "Lighter than the paper's: no noise is injected, so that a latent vector gives one picture; the "
                "redrawn picture is compared by mean absolute difference.",
            ),
        ),
        _build,
        sources=("fastgan.py", "adversaries.py"),
        tasks=("generation",),
        always_told=("patches",),
    )
)
