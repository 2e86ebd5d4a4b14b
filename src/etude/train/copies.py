"""Offline multiplication: augmented copies of the training pictures, drawn and written to the disk before training.

It is what Keras's ImageDataGenerator is often used for: the set becomes N times as large, once, and nothing is drawn
while the network is trained. Copies are made of what the training part of this run and fold holds, after the split, so
no copy of a validation or a test picture can reach training.

Legend: N training pictures, M = N × copies, H and W pixels, B pictures of a batch, C channels.
"""

from __future__ import annotations

import contextlib

import numpy as np
import torch

from etude.core.errors import StorageError
from etude.core.records import fingerprint
from etude.core.seeds import derive
from etude.data.batches import Batch
from etude.data.cache import Draft, PreparedCache
from etude.data.loader import ImageLoader
from etude.data.prepared import Pixels, PreparedSet, new_pixels
from etude.data.stock import ArrayStock
from etude.pictures.prepare import normalisation
from etude.train.job import Job

_BATCH = 256


def multiply(job: Job, train_set: PreparedSet) -> PreparedSet:
    """Return the training part `augment.copies` times: as it is, then augmented anew for each further time.

    The copies are kept in the prepared cache, so that a run that goes on, or is made again, finds them; they derive
    from the seed of the run.

    Args:
        job: the training; `augment.copies` is 2 or more.
        train_set: its training part.

    Returns:
        The set (M pictures); `indices_N` says which item each is a copy of.
    """
    items_M = np.tile(train_set.indices_N, job.augment.copies)
    shape = (len(items_M), *train_set.pictures_NHWC.shape[1:3])
    cache, key = PreparedCache(), _key(job, train_set)
    stored = cache.open(key)
    if stored is None:
        with contextlib.suppress(StorageError), cache.alone(key):  # without a cache they are drawn for this run alone
            stored = cache.open(key)
            draft = None if stored else cache.begin(key, shape, has_masks=train_set.masks_NHW is not None)
            if draft is not None:
                _keep(job, train_set, cache, key, draft, items_M)
                stored = cache.open(key)
    labels_M = np.tile(train_set.labels_N, job.augment.copies)
    if stored is not None:
        return PreparedSet(stored.pictures_NHWC, labels_M, stored.masks_NHW, items_M)
    pictures = new_pixels((*shape, 3))
    masks = None if train_set.masks_NHW is None else new_pixels(shape)
    _draw(job, train_set, pictures, masks)
    return PreparedSet(pictures, labels_M, masks, items_M)


def _key(job: Job, train_set: PreparedSet) -> str:
    """Name the copies by all that they are made of."""
    made_of = {
        "copies of": job.data_key,
        "items": fingerprint(np.asarray(train_set.indices_N, "<i8").tobytes().hex(), 32),
        "prepare": job.prepare.model_dump(mode="json"),
        "augment": job.augment.model_dump(mode="json"),
        "seed": job.seed,
    }
    return fingerprint(made_of, 32)


def _keep(
    job: Job, train_set: PreparedSet, cache: PreparedCache, key: str, draft: Draft, items_M: np.ndarray
) -> None:  # fmt: skip
    """Draw the copies into the cache."""
    try:
        _draw(job, train_set, draft.pictures_NHWC, draft.masks_NHW)
        cache.keep(key, draft, items_M, (), f"copies for {job.label}")
    except BaseException:
        cache.drop(draft)
        raise


def _draw(job: Job, train_set: PreparedSet, pictures_MHWC: Pixels, masks_MHW: Pixels | None) -> None:
    """Fill the arrays: the pictures as they are, then one epoch of augmentation after the other."""
    count = len(train_set.labels_N)
    pictures_MHWC[:count] = train_set.pictures_NHWC
    if masks_MHW is not None and train_set.masks_NHW is not None:
        masks_MHW[:count] = train_set.masks_NHW
    mean, std = normalisation(job.prepare)
    loader = ImageLoader(
        ArrayStock(train_set.pictures_NHWC, train_set.labels_N, train_set.masks_NHW),
        batch=_BATCH,
        seed=derive(job.seed, "copies"),
        mean=mean,
        std=std,
        augment=job.augment,
    )
    start = count
    for copy in range(1, job.augment.copies):
        loader.set_epoch(copy)
        for batch in loader:
            place = slice(start, start + len(batch.images_BCHW))
            pictures_MHWC[place] = _to_pixels(batch, mean, std)
            if masks_MHW is not None:
                masks_MHW[place] = batch.targets_B.to(torch.uint8).numpy()
            start = place.stop


def _to_pixels(batch: Batch, mean: tuple[float, ...], std: tuple[float, ...]) -> Pixels:
    """Return a batch as whole numbers again, uint8 (B, H, W, C)."""
    images_BHWC = batch.images_BCHW.permute(0, 2, 3, 1)
    levels_BHWC = (images_BHWC * torch.tensor(std) + torch.tensor(mean)) * 255
    return np.asarray(levels_BHWC.round_().clamp_(0, 255).to(torch.uint8).numpy())
