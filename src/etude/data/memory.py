"""The loader of arrays that are in memory already: `ImageLoader` over an `ArrayStock`."""

from __future__ import annotations

import numpy as np
import torch

from etude.data.augment.augmenter import Triple
from etude.data.augment.config import AugmentConfig
from etude.data.augment.crop import Crop
from etude.data.loader import ImageLoader
from etude.data.stock import ArrayStock


class MemoryLoader(ImageLoader):
    """Batches of arrays; see `ImageLoader`."""

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
        workers: int = 0,
        prefetch: int = 2,
        crop: Crop | None = None,
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
            workers: threads that make batches while one is used; 0 makes each when it is asked for.
            prefetch: batches that are being made or waiting, at most.
            crop: the window of each picture that goes into the batch; None for the whole picture.

        Raises:
            DataError: if the set is empty, its arrays do not fit together, or a target is no class.
        """
        super().__init__(
            ArrayStock(pictures_NHWC, targets_N, masks_NHW, n_classes), batch=batch, seed=seed, mean=mean, std=std,
            augment=augment, shuffle=shuffle, drop_last=drop_last, device=device, dtype=dtype,
            channels_last=channels_last, workers=workers, prefetch=prefetch, crop=crop,
        )  # fmt: skip
