"""A batch that is augmented part by part, so that each part stays in a core's cache and cores share the work.

Shape suffixes: B picture of the batch, P picture of the part, H row, W column, C channel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from etude.data.augment.draw import Draw
from etude.data.augment.large import SMALL_PX
from etude.data.batches import Batch

if TYPE_CHECKING:
    from etude.data.augment.augmenter import Augmenter

PART_PX = 2**18
"""Pixels of a part: as float32 RGB 3 MiB, about what a core keeps at hand."""


def part_slices(count: int, height_px: int, width_px: int) -> list[slice]:
    """Cut a batch into parts. The cut hangs on sizes alone, so that draws are the same on every machine.

    >>> part_slices(5, 256, 512)
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    >>> part_slices(512, 32, 32)
    [slice(0, 512, None)]
    """
    area_px = height_px * width_px
    step = count if area_px < SMALL_PX else max(1, PART_PX // area_px)
    return [slice(start, min(start + step, count)) for start in range(0, count, max(1, step))]


class Assembly:
    """One batch in the making: its parts are rendered in any order, by any threads; then it is finished, once."""

    def __init__(
        self,
        augmenter: Augmenter,
        size: tuple[int, int, int],
        generator: torch.Generator,
        device: torch.device,
        *,
        has_masks: bool,
    ) -> None:
        """Draw what is needed to draw the parts, and take the memory of the batch.

        Args:
            augmenter: what is done to the pictures.
            size: pictures, height and width.
            generator: on the CPU; used here and by `finish`.
            device: where the pictures are.
            has_masks: whether the targets are masks.
        """
        count, height_px, width_px = size
        self._augmenter = augmenter
        self.slices = part_slices(*size)
        strength = augmenter.strength

        def draw_of(pictures: int, source: torch.Generator, parts: tuple[Draw, ...] = ()) -> Draw:
            return Draw(pictures, height_px, width_px, strength, source, device, parts)

        self._whole = draw_of(count, generator)
        # Small matrices are all calls: drawn for the whole batch, they cost a part next to nothing.
        self._motion_B33 = augmenter.draw_motion(self._whole)
        if len(self.slices) == 1:
            self._draws = [self._whole]
            return
        seeds = torch.randint(0, 2**62, (len(self.slices),), generator=generator).tolist()
        self._draws = [
            draw_of(part.stop - part.start, torch.Generator().manual_seed(seed))
            for part, seed in zip(self.slices, seeds, strict=True)
        ]
        if device.type != "cpu":  # a GPU is fastest with the whole batch at once, with the same draws
            self._draws = [draw_of(count, generator, tuple(self._draws))]
            self.slices = [slice(0, count)]
            return
        memory, dtype = augmenter.memory, augmenter.dtype
        self._takes_rows = augmenter.channels_last and dtype == torch.float32
        if augmenter.channels_last:
            self._images_BCHW = memory.empty((count, height_px, width_px, 3), dtype).permute(0, 3, 1, 2)
        else:
            self._images_BCHW = memory.empty((count, 3, height_px, width_px), dtype)
        self._targets = memory.empty((count, height_px, width_px) if has_masks else (count,), torch.int64)

    def render(self, part: int, images_PHWC: Tensor, targets: Tensor) -> None:
        """Augment and normalise part number `part`.

        Args:
            part: position in `slices`.
            images_PHWC: uint8, contiguous; not changed.
            targets: labels (P,) or masks (P, H, W) of any whole-number type; 255 in a mask is void.
        """
        place = self.slices[part]
        motion_P33 = None if self._motion_B33 is None else self._motion_B33[place]
        whole = len(self.slices) == 1
        place_PCHW = None if whole or not self._takes_rows else self._images_BCHW[place]
        rendered_PCHW, moved = self._augmenter.render(images_PHWC, targets, motion_P33, self._draws[part], place_PCHW)
        ready_PCHW = rendered_PCHW.to(self._augmenter.dtype)
        if whole:
            self._images_BCHW = _lay_out(ready_PCHW, self._augmenter.channels_last)
            self._targets = moved.long()
            return
        if rendered_PCHW is not place_PCHW:
            _copy_into(self._images_BCHW[place], ready_PCHW)
        self._targets[place].copy_(moved)

    def finish(self) -> Batch:
        """Erase and mix, which may need the whole batch, and return it."""
        return self._augmenter.finish(self._images_BCHW, self._targets, self._whole)


def _lay_out(images_BCHW: Tensor, channels_last: bool) -> Tensor:
    """Return pictures in a memory format, themselves where they have it."""
    if not channels_last:
        return images_BCHW.contiguous()
    if images_BCHW.is_contiguous(memory_format=torch.channels_last):
        return images_BCHW
    return torch.stack(images_BCHW.unbind(1), dim=3).permute(0, 3, 1, 2)


def _copy_into(place_PCHW: Tensor, images_PCHW: Tensor) -> None:
    """Copy pictures to their place in the batch, from planes to rows in the way that is fastest on a CPU."""
    if images_PCHW.is_contiguous() and place_PCHW.is_contiguous(memory_format=torch.channels_last):
        torch.stack(images_PCHW.unbind(1), dim=3, out=place_PCHW.permute(0, 2, 3, 1))
    else:
        place_PCHW.copy_(images_PCHW)
