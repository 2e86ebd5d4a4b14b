"""From uint8 pictures to a batch ready for a network: augmentation and normalisation in as few passes as they allow.

Two ways, chosen by what is in use:

    whole pixels only (flip, shift):  uint8 gather ──> normalise, channels last all the way
    anything else:                    uint8 ──> planar float ──> warp ──> color ──> pixels ──> normalise
    large pictures on a CPU:          uint8 warp ──> uint8 color ──> normalise, channels last all the way (see `large`)

for a part of the batch at a time (see `assembly`); the parts have the dtype and memory format asked for. A crop is
taken by the same gather, or by the same warp. Then boxes are erased and pictures mixed in the whole batch.

Shape suffixes: B picture, H row, W column, C channel.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from etude.data.augment.assembly import Assembly
from etude.data.augment.catalog import AUGMENTATIONS, Augmentation, Stage
from etude.data.augment.color import recolor
from etude.data.augment.config import AugmentConfig
from etude.data.augment.crop import Crop, lay_windows
from etude.data.augment.draw import Draw
from etude.data.augment.erase import fill
from etude.data.augment.geometry import move_pixels, warp
from etude.data.augment.large import is_large, recolor_bytes, warp_bytes
from etude.data.augment.mix import draw_mixing, mix
from etude.data.augment.recycling import RecycledMemory
from etude.data.batches import Batch

Triple = tuple[float, float, float]


class Augmenter:
    """Augments and normalises batches.

    The same pictures with a generator in the same state give the same batch; every picture has its own draws.
    """

    def __init__(
        self,
        config: AugmentConfig | None,
        *,
        mean: Triple,
        std: Triple,
        dtype: torch.dtype = torch.float32,
        channels_last: bool = True,
        crop: Crop | None = None,
    ) -> None:
        """Prepare the augmentations of `config` (None: normalise only).

        Args:
            config: what to do.
            mean: of each channel, for pictures in 0..1.
            std: of each channel, for pictures in 0..1.
            dtype: float32 or bfloat16, of the result.
            channels_last: memory format of the result.
            crop: the window of each picture that is its result; None for the whole picture.
        """
        active = config is not None and config.strength > 0
        cards = [AUGMENTATIONS[name] for name in config.use] if config is not None and active else []
        self.strength = config.strength if config is not None else 0.0
        self.dtype = dtype
        self.channels_last = channels_last
        self.crop = crop
        self.memory = RecycledMemory()
        self._memory_format = torch.channels_last if channels_last else torch.contiguous_format
        self._geometry, self._color, self._pixels, self._erase, self._mix = (
            _load(cards, stage) for stage in ("geometry", "color", "pixels", "erase", "mix")
        )
        self._on_lattice = all(card.lattice for card in cards if card.stage == "geometry")
        self._gain = tuple(1.0 / (255.0 * deviation) for deviation in std)
        self._bias = tuple(-average / deviation for average, deviation in zip(mean, std, strict=True))

    def __call__(self, images_BCHW: Tensor, targets: Tensor, generator: torch.Generator) -> Batch:
        """Augment and normalise one batch.

        Args:
            images_BCHW: uint8 (B, 3, H, W), in any memory format; channels last is read without a copy. Not changed.
            targets: labels, int64 (B,); or masks, uint8 or int64 (B, H, W), 255 being void.
            generator: on the CPU, whatever the device of the pictures.

        Returns:
            The batch, on the pictures' device; targets are int64.
        """
        images_BHWC = images_BCHW.permute(0, 2, 3, 1).contiguous()
        B = len(images_BHWC)
        size = (B, *self.size_of((images_BHWC.shape[1], images_BHWC.shape[2])))
        assembly = Assembly(self, size, generator, images_BHWC.device, has_masks=targets.ndim == 3)
        for number, part in enumerate(assembly.slices):
            assembly.render(number, images_BHWC[part], targets[part])
        return assembly.finish()

    def size_of(self, size_px: tuple[int, int]) -> tuple[int, int]:
        """Return height and width of the result, from those of the pictures."""
        return size_px if self.crop is None else self.crop.size_px

    def draw_motion(self, draw: Draw) -> Tensor | None:
        """Return the product of all geometry, (B, 3, 3) on the CPU, from result to source; None without geometry."""
        if not self._geometry:
            return None
        matrices_B33: Tensor = functools.reduce(torch.bmm, (draw_one(draw) for draw_one in self._geometry))
        return matrices_B33

    def render(
        self,
        images_BHWC: Tensor,
        targets: Tensor,
        motion_B33: Tensor | None,
        draw: Draw,
        place_BCHW: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Do what needs no other picture: geometry, color, pixels, normalisation.

        Args:
            images_BHWC: uint8, contiguous; not changed.
            targets: labels (B,) or masks (B, H, W).
            motion_B33: what `draw_motion` gave for these pictures.
            draw: the draws of these pictures, for all else.
            place_BCHW: where the pictures may be put, float32 and channels last; it is given back where they were.

        Returns:
            Float32 pictures (B, C, H, W) in either memory format, and targets moved with them.
        """
        masks_BHW = targets if targets.ndim == 3 else None
        moved: Tensor | None = masks_BHW
        to_px = None if self.crop is None else self.crop.size_px
        if self.crop is not None:
            windows_B33 = lay_windows(self.crop, draw, (images_BHWC.shape[1], images_BHWC.shape[2]), masks_BHW)
            motion_B33 = windows_B33 if motion_B33 is None else windows_B33 @ motion_B33
        on_bytes = is_large(images_BHWC)
        if motion_B33 is not None and not self._on_lattice and not on_bytes:
            planar_BCHW, moved = warp(images_BHWC, masks_BHW, motion_B33, to_px)
        else:
            if motion_B33 is not None:
                move = move_pixels if self._on_lattice else warp_bytes
                images_BHWC, moved = move(images_BHWC, masks_BHW, motion_B33, to_px)
            if self._color and on_bytes:
                images_BHWC = recolor_bytes(images_BHWC, self._color, draw)
            if not (self._pixels or (self._color and not on_bytes)):
                return self._normalize_rows(images_BHWC, place_BCHW), targets if moved is None else moved
            planar_BCHW = images_BHWC.permute(0, 3, 1, 2).to(torch.float32, memory_format=torch.contiguous_format)
        if self._color and not on_bytes:
            planar_BCHW = recolor(planar_BCHW, self._color, draw)
        for change in self._pixels:
            planar_BCHW = change(draw, planar_BCHW)
        if self._color or self._pixels:
            planar_BCHW.clamp_(0.0, 255.0)
        return self._normalize_planes(planar_BCHW), targets if moved is None else moved

    def finish(self, ready_BCHW: Tensor, targets: Tensor, draw: Draw) -> Batch:
        """Erase boxes, in place, and mix pictures with one another.

        Args:
            ready_BCHW: rendered pictures of the whole batch.
            targets: int64 labels or masks.
            draw: the draws of the whole batch.
        """
        for draw_boxes in self._erase:
            fill(ready_BCHW.permute(0, 2, 3, 1), draw_boxes(draw))
        if not self._mix or draw.count < 2:
            return Batch(ready_BCHW, targets)
        mixed_BHWC, targets, other_targets, own_B = mix(
            ready_BCHW.permute(0, 2, 3, 1), targets, draw_mixing(self._mix, draw), draw.cycle()
        )
        mixed_BCHW = mixed_BHWC.permute(0, 3, 1, 2).contiguous(memory_format=self._memory_format)
        return Batch(mixed_BCHW, targets, other_targets, own_B)

    def _normalize_planes(self, images_BCHW: Tensor) -> Tensor:
        gain_C11, bias_C11 = (
            torch.tensor(values, device=images_BCHW.device)[:, None, None] for values in (self._gain, self._bias)
        )
        return images_BCHW.mul_(gain_C11).add_(bias_C11)

    def _normalize_rows(self, images_BHWC: Tensor, place_BCHW: Tensor | None) -> Tensor:
        """Normalise channels-last uint8, a whole row of pixels at a time: a last axis of 3 is too short to be fast."""
        B, H, W, C = images_BHWC.shape
        gain_R, bias_R = (
            torch.tensor(values, device=images_BHWC.device).repeat(W) for values in (self._gain, self._bias)
        )
        rows_BHR = images_BHWC.view(B, H, W * C)
        if place_BCHW is None:
            return torch.addcmul(bias_R, rows_BHR.float(), gain_R).view(B, H, W, C).permute(0, 3, 1, 2)
        place_BHR = place_BCHW.permute(0, 2, 3, 1).view(B, H, W * C).copy_(rows_BHR)
        torch.addcmul(bias_R, place_BHR, gain_R, out=place_BHR)
        return place_BCHW


def _load(cards: list[Augmentation], stage: Stage) -> list[Callable[..., Any]]:
    """Import the code of the cards of one stage."""
    return [card.load() for card in cards if card.stage == stage]
