"""Two networks that are trained against each other, as one module, and what both families of them share.

Shapes: B pictures, Z latent numbers, C channels, H and W pixels.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import _SpectralNorm

_JUDGED: Final = 4
"""Every logit is that of a square of so many places of a discriminator's last map."""


class Judged(NamedTuple):
    """What a discriminator says of a batch."""

    logits_BP: Tensor
    """The higher, the more it takes one of the P overlapping parts of the picture for real; P is 1 for the whole."""
    redrawn: tuple[tuple[Tensor, Tensor], ...] = ()
    """For real pictures, what it drew again, each with what it should have been, both (B, 3, h, w)."""


class Adversaries(nn.Module):
    """A generator and its discriminator.

    Called, it generates: latent vectors (B, Z), and class ids (B,) where it is conditional, to pictures
    (B, 3, size_px, size_px) in -1..1.
    """

    def __init__(
        self, generator: nn.Module, discriminator: nn.Module, *, latent: int, size_px: int, n_classes: int
    ) -> None:
        super().__init__()
        self.generator, self.discriminator = generator, discriminator
        self.latent, self.size_px = latent, size_px
        self.n_classes = n_classes
        """Classes that can be asked for; 0 where it is not conditional."""

    def forward(self, latents_BZ: Tensor, classes_B: Tensor | None = None) -> Tensor:
        """Generate."""
        pictures: Tensor = self.generator(latents_BZ, classes_B)
        return pictures


class LatentInput(nn.Module):
    """The vector that a generator starts from: the latent one, beside that of the class where there are classes."""

    def __init__(self, latent: int, n_classes: int) -> None:
        super().__init__()
        self.n_features = latent if n_classes == 0 else 2 * latent
        self.of_class = nn.Embedding(n_classes, latent) if n_classes else None

    def forward(self, latents_BZ: Tensor, classes_B: Tensor | None) -> Tensor:
        """Return (B, n_features)."""
        if self.of_class is None:
            return latents_BZ
        assert classes_B is not None
        return torch.cat([latents_BZ, self.of_class(classes_B).to(latents_BZ.dtype)], dim=1)


class _FullSpectralNorm(_SpectralNorm):
    """Torch's spectral norm, in full precision where all around it is cast down.

    On a GPU autocast would take the products of its power iteration in bfloat16, and with them the norm that weights
    are divided by; on a CPU it casts none of them, and this changes nothing.
    """

    def forward(self, weight: Tensor) -> Tensor:
        """Return the weight over its greatest singular value."""
        with torch.autocast(weight.device.type, enabled=False):
            normed: Tensor = super().forward(weight)
        return normed


def spectral_norm(layer: nn.Module) -> nn.Module:
    """Keep a convolution or an embedding at norm one: Miyato et al. 2018, arXiv 1802.05957."""
    weight = layer.weight
    assert isinstance(weight, Tensor)
    parametrize.register_parametrization(layer, "weight", _FullSpectralNorm(weight))
    return layer


class ClassMatch(nn.Module):
    """What is added to a discriminator's logits: how well its features fit the class that the picture should show.

    Source: Miyato, Koyama 2018, cGANs with projection discriminator, arXiv 1802.05637. As there, the vectors of the
    classes have a spectral norm where the discriminator's layers have one: plain, they outgrow the logit beside them.
    """

    def __init__(self, n_features: int, n_classes: int, *, normed: bool = False) -> None:
        super().__init__()
        of_class = nn.Embedding(n_classes, n_features) if n_classes else None
        if of_class is not None and normed:
            nn.init.orthogonal_(of_class.weight)
        elif of_class is not None:
            nn.init.zeros_(of_class.weight)
        self.of_class = spectral_norm(of_class) if of_class is not None and normed else of_class
        # The filter beside it has norm one over all its places: a vector of norm one at each of them would weigh more.
        self.share = 1 / _JUDGED if normed else 1.0

    def forward(self, maps_BCHW: Tensor, classes_B: Tensor | None) -> Tensor | float:
        """Return (B, P), of every square of 4×4 places; 0 without classes."""
        if self.of_class is None:
            return 0.0
        assert classes_B is not None
        # Sums, as in the paper: the logit beside it is a sum over places too.
        sums_BCP = self.share * F.avg_pool2d(maps_BCHW.float(), _JUDGED, 1, divisor_override=1).flatten(2)
        matches: Tensor = (sums_BCP * self.of_class(classes_B)[:, :, None]).sum(1)
        return matches


def filters_of(layer: nn.Module) -> Tensor:
    """Return the filters of a convolution as they are trained, before any spectral norm."""
    named = dict(layer.named_parameters())
    return named["parametrizations.weight.original" if "weight" not in named else "weight"]


def channels_at(side_px: int, size_px: int, width: int, most: int) -> int:
    """Return the channels of a map: doubled with each halving of the side, up to a limit.

    >>> [channels_at(side, 64, 32, 256) for side in (64, 32, 16, 8, 4)]
    [32, 64, 128, 256, 256]
    """
    return min(width * size_px // side_px, most)


def doublings(size_px: int) -> list[int]:
    """Return the sides after each doubling from 4 px on.

    >>> doublings(32)
    [8, 16, 32]
    """
    sides = [8]
    while sides[-1] < size_px:
        sides.append(2 * sides[-1])
    return sides
