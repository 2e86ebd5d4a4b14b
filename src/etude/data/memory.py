"""Pictures held in memory as uint8, cut into batches and augmented a batch at a time, on the device.

Shape suffixes: N picture of the set, B picture of the batch, H row, W column, C channel.
"""

from __future__ import annotations

import functools
import math
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from etude.core.errors import DataError, sentence
from etude.core.seeds import derive
from etude.data.augment.augmenter import Augmenter, Triple
from etude.data.augment.config import AugmentConfig
from etude.data.augment.geometry import VOID
from etude.data.batches import Batch

CUDA_SHARE = 0.5
"""Largest part of a GPU's free memory that a set may take; beyond it, batches are sent one by one."""


class MemoryLoader:
    """Batches of a set in memory.

    The order of an epoch derives from (seed, epoch), the draws of a batch from (seed, epoch, batch number), and
    nothing else: an epoch that is resumed at any batch goes on as it would have gone.
    """

    def __init__(
        self,
        pictures_NHWC: np.ndarray,
        targets_N: np.ndarray,
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
        n_classes: int | None = None,
        masks_NHW: np.ndarray | None = None,
        prefetch: bool = False,
    ) -> None:
        """Take a set; nothing is copied on a CPU.

        Args:
            pictures_NHWC: uint8 (N, H, W, 3), an array or a memory map.
            targets_N: labels, int64 (N,).
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
            n_classes: number of classes; where given, targets are checked against it.
            masks_NHW: uint8 (N, H, W) ids, 255 being void; where given, they are the targets.
            prefetch: make the next batch in a thread while the present one is used.

        Raises:
            DataError: if the set is empty, its arrays do not fit together, or a target is no class.
        """
        _check_set(pictures_NHWC, targets_N, masks_NHW, n_classes)
        self.batch = batch
        self.seed = seed
        self.shuffle = shuffle
        self.epoch = 0
        self.start_batch = 0
        self.device = torch.device(device)
        self._prefetch = prefetch
        self._count = len(pictures_NHWC)
        self._length = self._count // batch if drop_last and self._count >= batch else math.ceil(self._count / batch)
        self._augmenter = Augmenter(augment, mean=mean, std=std, dtype=dtype, channels_last=channels_last)
        targets = np.asarray(targets_N, dtype=np.int64) if masks_NHW is None else masks_NHW
        self._take = _choose_take(pictures_NHWC, targets, self.device)

    def __len__(self) -> int:
        """Return the number of batches in a whole epoch."""
        return self._length

    def set_epoch(self, epoch: int, start_batch: int = 0) -> None:
        """Choose the epoch that the next iteration goes through, and the batch that it starts at."""
        self.epoch = epoch
        self.start_batch = start_batch

    def __iter__(self) -> Iterator[Batch]:
        """Go through the epoch, from `start_batch` on."""
        order_N = self._order()
        make = functools.partial(self._make, order_N, self.epoch)
        numbers = range(self.start_batch, self._length)
        yield from _one_ahead(make, numbers) if self._prefetch else map(make, numbers)

    def _order(self) -> np.ndarray:
        """Return the order of the epoch, int64 (N,)."""
        if not self.shuffle:
            return np.arange(self._count)
        generator = torch.Generator().manual_seed(derive(self.seed, "order", self.epoch))
        return torch.randperm(self._count, generator=generator).numpy()

    def _make(self, order_N: np.ndarray, epoch: int, number: int) -> Batch:
        """Return batch `number` of an epoch."""
        images_BHWC, targets = self._take(order_N[number * self.batch : (number + 1) * self.batch])
        generator = torch.Generator().manual_seed(derive(self.seed, "augment", epoch, number))
        return self._augmenter(images_BHWC.permute(0, 3, 1, 2), targets, generator).to(self.device)


def _one_ahead(make: Callable[[int], Batch], numbers: range) -> Iterator[Batch]:
    """Yield the batches of these numbers, the next one being made in a thread while one is used."""
    with ThreadPoolExecutor(1, "etude-batches") as thread:
        coming: deque[Future[Batch]] = deque()
        for number in numbers:
            coming.append(thread.submit(make, number))
            if len(coming) == 2:
                yield coming.popleft().result()
        for last in coming:
            yield last.result()


Take = Callable[[np.ndarray], tuple[Tensor, Tensor]]


def _choose_take(pictures_NHWC: np.ndarray, targets: np.ndarray, device: torch.device) -> Take:
    """Return the function that brings the pictures and targets of some positions to where they are augmented."""
    if device.type == "cuda" and pictures_NHWC.nbytes < CUDA_SHARE * torch.cuda.mem_get_info(device)[0]:
        resident_NHWC, resident_targets = (
            torch.tensor(pictures_NHWC, device=device),
            torch.tensor(targets, device=device),
        )

        def take_resident(positions_B: np.ndarray) -> tuple[Tensor, Tensor]:
            index_B = torch.from_numpy(positions_B).to(device)
            return resident_NHWC.index_select(0, index_B), resident_targets.index_select(0, index_B)

        return take_resident

    # Other accelerators lack parts of what augmentation needs: there, finished batches are sent.
    place = device if device.type == "cuda" else torch.device("cpu")

    def take(positions_B: np.ndarray) -> tuple[Tensor, Tensor]:
        images_BHWC, taken = (torch.from_numpy(array.take(positions_B, axis=0)) for array in (pictures_NHWC, targets))
        return images_BHWC.to(place), taken.to(place)

    return take


def _check_set(
    pictures_NHWC: np.ndarray, targets_N: np.ndarray, masks_NHW: np.ndarray | None, n_classes: int | None
) -> None:
    shape = pictures_NHWC.shape
    if len(shape) != 4 or shape[0] == 0 or shape[3] != 3 or pictures_NHWC.dtype != np.uint8:
        raise DataError(sentence("loader", "pictures_NHWC", "uint8 (N, H, W, 3), N > 0", (pictures_NHWC.dtype, shape)))
    if targets_N.shape != shape[:1]:
        raise DataError(sentence("loader", "targets_N", f"of shape ({shape[0]},), one a picture", targets_N.shape))
    if masks_NHW is not None and masks_NHW.shape != shape[:3]:
        raise DataError(sentence("loader", "masks_NHW", f"of shape {shape[:3]}, as the pictures", masks_NHW.shape))
    if n_classes is not None:
        _check_targets(targets_N if masks_NHW is None else masks_NHW, n_classes)


def _check_targets(targets: np.ndarray, n_classes: int) -> None:
    """Refuse ids that are no class: on a GPU they would end in an assertion without a name."""
    are_masks = targets.ndim == 3
    for start in range(0, len(targets), 256 if are_masks else len(targets)):
        part = targets[start : start + 256] if are_masks else targets
        wrong = (part >= n_classes) & (part != VOID) if are_masks else (part < 0) | (part >= n_classes)
        if wrong.any():
            position = start + int(np.argwhere(wrong)[0, 0])
            rule = f"between 0 and {n_classes - 1}" + (", or 255 for void" if are_masks else "")
            remedy = f"Picture {position} of the set has it: leave it out, or correct its target."
            raise DataError(sentence("loader", "target", rule, int(part[wrong][0]), remedy))
