"""DCGAN: Radford et al. 2015, arXiv 1511.06434, for any side that is 4 px doubled.

Shapes: B pictures, Z latent numbers, C channels, H and W pixels.
"""

from __future__ import annotations

from torch import Tensor, nn

from etude.models.families.gan import DcganParams
from etude.models.networks.adversaries import (
    Adversaries,
    ClassMatch,
    Judged,
    LatentInput,
    channels_at,
    doublings,
    filters_of,
    spectral_norm,
)
from etude.models.networks.enlarging import FromPoint


def build_dcgan(params: DcganParams, n_classes: int, size_px: int) -> Adversaries:
    """Build both networks; weights are drawn from a normal distribution of deviation 0.02, as the paper says."""
    classes = n_classes if params.conditional else 0
    networks = Adversaries(
        _Generator(params, classes, size_px),
        _Discriminator(params, classes, size_px),
        latent=params.latent,
        size_px=size_px,
        n_classes=classes,
    )
    networks.apply(draw_weights)
    return networks


def draw_weights(layer: nn.Module) -> None:
    """Draw the filters with deviation 0.02, those of batch norms about 1."""
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(filters_of(layer), 0.0, 0.02)
    elif isinstance(layer, nn.BatchNorm2d):
        nn.init.normal_(layer.weight, 1.0, 0.02)
        nn.init.zeros_(layer.bias)


class _Generator(nn.Module):
    def __init__(self, params: DcganParams, n_classes: int, size_px: int) -> None:
        super().__init__()
        self.start = LatentInput(params.latent, n_classes)
        before = channels_at(4, size_px, params.width, params.most_width)
        layers: list[nn.Module] = [
            FromPoint(self.start.n_features, before, 4),
            nn.BatchNorm2d(before),
            nn.ReLU(inplace=True),
        ]
        for side in doublings(size_px)[:-1]:
            after = channels_at(side, size_px, params.width, params.most_width)
            layers += [
                nn.ConvTranspose2d(before, after, 4, 2, 1, bias=False),
                nn.BatchNorm2d(after),
                nn.ReLU(inplace=True),
            ]
            before = after
        self.layers = nn.Sequential(*layers, nn.ConvTranspose2d(before, 3, 4, 2, 1), nn.Tanh())

    def forward(self, latents_BZ: Tensor, classes_B: Tensor | None = None) -> Tensor:
        pictures: Tensor = self.layers(self.start(latents_BZ, classes_B)[:, :, None, None])
        return pictures


class _Discriminator(nn.Module):
    def __init__(self, params: DcganParams, n_classes: int, size_px: int) -> None:
        super().__init__()
        normed = spectral_norm if params.spectral_norm else lambda layer: layer
        before, layers = 3, list[nn.Module]()
        for number, side in enumerate([4, *doublings(size_px)[:-1]][::-1]):
            after = channels_at(side, size_px, params.width, params.most_width)
            with_norm = number > 0 and not params.spectral_norm
            layers.append(normed(nn.Conv2d(before, after, 4, 2, 1, bias=not with_norm)))
            layers += [nn.BatchNorm2d(after)] if with_norm else []
            layers.append(nn.LeakyReLU(0.2, inplace=True))
            before = after
        self.layers = nn.Sequential(*layers)
        self.last = normed(nn.Conv2d(before, 1, 4))
        self.match = ClassMatch(before, n_classes, normed=params.spectral_norm)

    def forward(self, images_BCHW: Tensor, classes_B: Tensor | None = None, *, redraw: bool = False) -> Judged:
        maps_BCHW = self.layers(images_BCHW)
        return Judged(self.last(maps_BCHW).flatten(1).float() + self.match(maps_BCHW, classes_B))
