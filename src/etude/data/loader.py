"""Batches of any set: pictures taken ahead by threads, augmented part by part, in an order that can be resumed.

Shape suffixes: N picture of the set, B picture of the batch, H row, W column, C channel.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import overload

import numpy as np
import torch
from torch import Tensor

from etude.core.allocator import keep_freed_memory
from etude.core.errors import DataError, sentence
from etude.core.machine import usable_threads
from etude.core.seeds import derive
from etude.data.augment.assembly import Assembly, part_slices
from etude.data.augment.augmenter import Augmenter, Triple
from etude.data.augment.config import AugmentConfig
from etude.data.augment.crop import Crop
from etude.data.batches import Batch
from etude.data.items import Indices
from etude.data.pipeline import Work, run_ahead
from etude.data.stock import ArrayStock, Stock

CUDA_SHARE = 0.5
"""Largest part of a GPU's free memory that a set may take; beyond it, batches are sent one by one."""


class ImageLoader(Sequence[Batch]):
    """The batches of an epoch: pictures alone, or pictures with masks.

    The order of an epoch derives from (seed, epoch), the draws of a batch from (seed, epoch, batch number), and from
    nothing else: neither the number of workers nor where an epoch is resumed changes any batch.
    """

    def __init__(
        self,
        stock: Stock,
        *,
        batch: int,
        seed: int,
        mean: Triple,
        std: Triple,
        augment: AugmentConfig | None = None,
        shuffle: bool = False,
        drop_last: bool = False,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        channels_last: bool = True,
        workers: int | None = None,
        prefetch: int = 2,
        crop: Crop | None = None,
    ) -> None:
        """Take a stock; nothing is read before a batch is asked for.

        Args:
            stock: the pictures: `SourceStock` decodes them as they are needed, `ArrayStock` has them in an array.
            batch: pictures a batch.
            seed: of the order and of the draws.
            mean: of each channel, for pictures in 0..1.
            std: of each channel, for pictures in 0..1.
            augment: what to do to the pictures; None for nothing.
            shuffle: draw a new order each epoch; else the order of the set.
            drop_last: leave out a last batch that is not full (never the only one).
            device: where the batches are wanted.
            dtype: float32 or bfloat16, of the pictures.
            channels_last: memory format of the pictures.
            workers: threads that read and augment; 0 for none, in which case each batch is made when it is asked for.
                By default one a core where pictures are decoded, else none.
            prefetch: batches that are being made or waiting beside the one in use, at most; 1 or more.
            crop: the window of each picture that goes into the batch; None for the whole picture.

        Raises:
            DataError: if `batch` or `prefetch` is below 1, `workers` below 0, or a window larger than the pictures.
        """
        for name, value, least in (("batch", batch, 1), ("prefetch", prefetch, 1), ("workers", workers or 0, 0)):
            if value < least:
                raise DataError(sentence("loader", name, f"{least} or more", value))
        if crop is not None and any(window > side for window, side in zip(crop.size_px, stock.size_px, strict=True)):
            raise DataError(sentence("loader", "crop", f"within the pictures, {stock.size_px}", crop.size_px))
        self.stock = stock
        self.batch = batch
        self.seed = seed
        self.shuffle = shuffle
        self.workers = (usable_threads() if stock.is_decoded else 0) if workers is None else workers
        self.prefetch = prefetch
        self.epoch = 0
        self.start_batch = 0
        self.device = torch.device(device)
        count = len(stock)
        self._length = count // batch if drop_last and count >= batch else math.ceil(count / batch)
        self._augmenter = Augmenter(augment, mean=mean, std=std, dtype=dtype, channels_last=channels_last, crop=crop)
        self._resident = _make_resident(stock, self.device)
        if self._resident is None:
            keep_freed_memory()  # the maps of one part are freed and taken again for the next: three times as fast

    def __len__(self) -> int:
        """Return the number of batches in a whole epoch."""
        return self._length

    def set_epoch(self, epoch: int, start_batch: int = 0) -> None:
        """Choose the epoch that the next iteration goes through, and the batch that it starts at."""
        self.epoch = epoch
        self.start_batch = start_batch

    def __iter__(self) -> Iterator[Batch]:
        """Go through the epoch, from `start_batch` on; the batches are those of the indices from there."""
        plan = functools.partial(self._plan, self._order(self.epoch), self.epoch)
        works = map(plan, range(self.start_batch, self._length))
        # What lies on the GPU is made there, in the caller's stream: threads have nothing to do.
        workers = 0 if self._resident is not None else self.workers
        for made in run_ahead(works, workers=workers, in_flight=self.prefetch):
            yield made()

    @overload
    def __getitem__(self, index: int) -> Batch: ...
    @overload
    def __getitem__(self, index: slice) -> list[Batch]: ...
    def __getitem__(self, index: int | slice) -> Batch | list[Batch]:
        """Make batch `index` of the epoch here and now; a slice makes a list of them.

        Raises:
            IndexError: if the epoch has no such batch.
        """
        numbers = range(self._length)[index]
        order_N = self._order(self.epoch)
        if isinstance(numbers, range):
            return [self._plan(order_N, self.epoch, number).do()() for number in numbers]
        return self._plan(order_N, self.epoch, numbers).do()()

    def _order(self, epoch: int) -> Indices:
        """Return the order of an epoch, int64 (N,)."""
        if not self.shuffle:
            return np.arange(len(self.stock))
        generator = torch.Generator().manual_seed(derive(self.seed, "order", epoch))
        return torch.randperm(len(self.stock), generator=generator).numpy()

    def _plan(self, order_N: Indices, epoch: int, number: int) -> Work[Callable[[], Batch]]:
        """Return the work of batch `number`: it ends in what the caller's own thread does to have the batch."""
        positions_B = order_N[number * self.batch : (number + 1) * self.batch]
        generator = torch.Generator().manual_seed(derive(self.seed, "augment", epoch, number))
        if self._resident is not None:
            return Work((), lambda: functools.partial(self._take_resident, positions_B, generator))
        # Accelerators other than CUDA lack parts of what augmentation needs: finished batches are sent there.
        plan = self._plan_raw if self.device.type == "cuda" else self._plan_finished
        return plan(positions_B, generator)

    def _plan_finished(self, positions_B: Indices, generator: torch.Generator) -> Work[Callable[[], Batch]]:
        """Read and augment part by part, straight into the batch's memory."""
        size = (len(positions_B), *self._augmenter.size_of(self.stock.size_px))
        assembly = Assembly(
            self._augmenter, size, generator, torch.device("cpu"), has_masks=self.stock.has_masks
        )  # fmt: skip

        def piece(part: int) -> None:
            chosen_P = positions_B[assembly.slices[part]]
            images_PHWC, targets = self._room(len(chosen_P))
            self.stock.read(chosen_P, images_PHWC.numpy(), targets.numpy())
            assembly.render(part, images_PHWC, targets)

        def finish() -> Callable[[], Batch]:
            made = assembly.finish()
            return lambda: made.to(self.device)

        return Work([functools.partial(piece, part) for part in range(len(assembly.slices))], finish)

    def _plan_raw(self, positions_B: Indices, generator: torch.Generator) -> Work[Callable[[], Batch]]:
        """Read straight into pinned memory; a GPU augments the whole batch at once."""
        images_BHWC, targets = self._room(len(positions_B), pinned=True)

        def piece(part: slice) -> None:
            self.stock.read(positions_B[part], images_BHWC[part].numpy(), targets[part].numpy())

        def send() -> Batch:
            sent = (tensor.to(self.device, non_blocking=True) for tensor in (images_BHWC, targets))
            images, moved = sent
            return self._augmenter(images.permute(0, 3, 1, 2), moved, generator)

        parts = part_slices(len(positions_B), *self.stock.size_px)
        return Work([functools.partial(piece, part) for part in parts], lambda: send)

    def _take_resident(self, positions_B: Indices, generator: torch.Generator) -> Batch:
        """Take pictures that lie on the GPU."""
        assert self._resident is not None
        index_B = torch.from_numpy(positions_B).to(self.device)
        images_BHWC, targets = (tensor.index_select(0, index_B) for tensor in self._resident)
        return self._augmenter(images_BHWC.permute(0, 3, 1, 2), targets, generator)

    def _room(self, count: int, *, pinned: bool = False) -> tuple[Tensor, Tensor]:
        """Return memory for pictures, uint8 (B, H, W, 3), and for their targets."""
        images_BHWC = torch.empty((count, *self.stock.size_px, 3), dtype=torch.uint8, pin_memory=pinned)
        if self.stock.has_masks:
            return images_BHWC, torch.empty((count, *self.stock.size_px), dtype=torch.uint8, pin_memory=pinned)
        return images_BHWC, torch.empty(count, dtype=torch.int64, pin_memory=pinned)


def _make_resident(stock: Stock, device: torch.device) -> tuple[Tensor, Tensor] | None:
    """Move a set to a GPU that has room for it; None where it stays where it is."""
    if device.type != "cuda" or not isinstance(stock, ArrayStock):
        return None
    if stock.pictures_NHWC.nbytes + stock.targets.nbytes > CUDA_SHARE * torch.cuda.mem_get_info(device)[0]:
        return None
    return torch.tensor(stock.pictures_NHWC, device=device), torch.tensor(stock.targets, device=device)
