"""A light few-shot generator after FastGAN: Liu et al. 2021, arXiv 2101.04775.

Shapes: B pictures, Z latent numbers, C channels, H and W pixels.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from etude.models.families.gan import FastganParams
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
from etude.models.networks.enlarging import Doubled, FromPoint, Gate

_EXCITED = 8
"""How many times larger than the map that excites it a map is, in its side."""
_REDRAWN = 4
"""A picture is redrawn at a quarter of its side."""


def build_fastgan(params: FastganParams, n_classes: int, size_px: int) -> Adversaries:
    """Build both networks; filters are drawn orthogonal, which spectral norms leave as they are."""
    classes = n_classes if params.conditional else 0
    networks = Adversaries(
        _Generator(params, classes, size_px),
        _Discriminator(params, classes, size_px),
        latent=params.latent,
        size_px=size_px,
        n_classes=classes,
    )
    networks.apply(_draw_weights)
    return networks


def _draw_weights(layer: nn.Module) -> None:
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.orthogonal_(filters_of(layer))


class _Excitation(nn.Module):
    """Weigh the channels of a late map by an early one (equation 1 of the paper)."""

    def __init__(self, early: int, late: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.AdaptiveAvgPool2d(4), nn.Conv2d(early, late, 4), nn.SiLU(), nn.Conv2d(late, late, 1), nn.Sigmoid()
        )

    def forward(self, early_BCHW: Tensor, late_BCHW: Tensor) -> Tensor:
        excited: Tensor = late_BCHW * self.layers(early_BCHW)
        return excited


class _Generator(nn.Module):
    def __init__(self, params: FastganParams, n_classes: int, size_px: int) -> None:
        super().__init__()
        self.start = LatentInput(params.latent, n_classes)
        self.sides = doublings(size_px)
        width_at = {side: channels_at(side, size_px, params.width, params.most_width) for side in (4, *self.sides)}
        self.first = nn.Sequential(
            FromPoint(self.start.n_features, 2 * width_at[4], 4), nn.BatchNorm2d(2 * width_at[4]), Gate()
        )
        self.ups = nn.ModuleList(Doubled(width_at[side // 2], width_at[side]) for side in self.sides)
        excited = [side for side in self.sides if side // _EXCITED >= 4] if params.excitation else []
        self.excitations = nn.ModuleDict(
            {str(side): _Excitation(width_at[side // _EXCITED], width_at[side]) for side in excited}
        )
        self.last = nn.Conv2d(width_at[size_px], 3, 3, padding=1)

    def forward(self, latents_BZ: Tensor, classes_B: Tensor | None = None) -> Tensor:
        maps = {4: self.first(self.start(latents_BZ, classes_B)[:, :, None, None])}
        for side, up in zip(self.sides, self.ups, strict=True):
            maps[side] = up(maps[side // 2])
            if str(side) in self.excitations:
                maps[side] = self.excitations[str(side)](maps[side // _EXCITED], maps[side])
        return torch.tanh(self.last(maps[self.sides[-1]]))


class _Down(nn.Module):
    """Half the side, two ways that are averaged: convolutions, and a plain mean of pixels.

    Batch normalisation stands behind each spectral norm, as in the authors' code. Without it the maps shrink with
    depth, and what the redrawing sends back drowns what the judgement does.
    """

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            spectral_norm(nn.Conv2d(before, after, 4, 2, 1, bias=False)),
            nn.BatchNorm2d(after),
            nn.LeakyReLU(0.2, inplace=True),
            spectral_norm(nn.Conv2d(after, after, 3, padding=1, bias=False)),
            nn.BatchNorm2d(after),
            nn.LeakyReLU(0.2, inplace=True),
        )
        self.direct = nn.Sequential(
            nn.AvgPool2d(2), spectral_norm(nn.Conv2d(before, after, 1, bias=False)), nn.BatchNorm2d(after)
        )

    def forward(self, maps_BCHW: Tensor) -> Tensor:
        halved: Tensor = (self.main(maps_BCHW) + F.leaky_relu(self.direct(maps_BCHW), 0.2)) / 2
        return halved


class _Discriminator(nn.Module):
    """Down to 8×8, and logits from there: of 5×5 overlapping parts, or of the whole over a map of 4×4.

    From the 8×8 map it draws the real picture again.
    """

    def __init__(self, params: FastganParams, n_classes: int, size_px: int) -> None:
        super().__init__()
        width_at = {
            side: channels_at(side, size_px, params.width, params.most_width) for side in (4, *doublings(size_px))
        }
        self.first = nn.Sequential(
            spectral_norm(nn.Conv2d(3, width_at[size_px], 3, padding=1)), nn.LeakyReLU(0.2, inplace=True)
        )
        sides = doublings(size_px)[:-1][::-1]
        self.to_eight = nn.Sequential(*(_Down(width_at[2 * side], width_at[side]) for side in sides))
        self.patches = params.patches
        self.before_last = _at_each_place(width_at[8], width_at[4]) if self.patches else _Down(width_at[8], width_at[4])
        self.last = spectral_norm(nn.Conv2d(width_at[4], 1, 4))
        self.match = ClassMatch(width_at[4], n_classes, normed=True)
        self.redrawn_px = max(8, size_px // _REDRAWN)
        kept = params.reconstruction
        self.whole = _redrawer(width_at[8], 8, self.redrawn_px) if kept != "none" else None
        self.part = _redrawer(width_at[8], 4, self.redrawn_px) if kept == "whole+part" and size_px >= 16 else None

    def forward(self, images_BCHW: Tensor, classes_B: Tensor | None = None, *, redraw: bool = False) -> Judged:
        eight_BCHW = self.to_eight(self.first(images_BCHW))
        judged_BCHW = self.before_last(eight_BCHW)
        logits_BP = self.last(judged_BCHW).flatten(1).float() + self.match(judged_BCHW, classes_B)
        return Judged(logits_BP, self._redraw(images_BCHW, eight_BCHW) if redraw else ())

    def _redraw(self, images_BCHW: Tensor, eight_BCHW: Tensor) -> tuple[tuple[Tensor, Tensor], ...]:
        found: list[tuple[Tensor, Tensor]] = []
        if self.whole is not None:
            found.append((self.whole(eight_BCHW), F.adaptive_avg_pool2d(images_BCHW, self.redrawn_px)))
        if self.part is not None:
            # One quarter of the picture a batch, drawn on the CPU so that every device draws the same.
            top, left = (int(draw) for draw in torch.randint(0, 2, (2,)))
            half = images_BCHW.shape[2] // 2
            quarter = images_BCHW[:, :, top * half : (top + 1) * half, left * half : (left + 1) * half]
            maps = eight_BCHW[:, :, 4 * top : 4 * top + 4, 4 * left : 4 * left + 4]
            found.append((self.part(maps), F.adaptive_avg_pool2d(quarter, self.redrawn_px)))
        return tuple(found)


def _at_each_place(before: int, after: int) -> nn.Sequential:
    """Look at each place of a map by itself."""
    return nn.Sequential(
        spectral_norm(nn.Conv2d(before, after, 1, bias=False)), nn.BatchNorm2d(after), nn.LeakyReLU(0.2, inplace=True)
    )


def _redrawer(channels: int, side: int, to_px: int) -> nn.Sequential:
    """Draw a small picture from a map."""
    layers: list[nn.Module] = []
    while side < to_px:
        after = max(16, channels // 2)
        layers.append(Doubled(channels, after))
        channels, side = after, 2 * side
    return nn.Sequential(*layers, nn.Conv2d(channels, 3, 3, padding=1), nn.Tanh())
