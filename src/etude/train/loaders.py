"""The batches of a part: pictures for training, pictures in order, or features in their place."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from etude.core.machine import answered_at_once, usable_threads
from etude.core.seeds import derive
from etude.data.augment import AugmentConfig
from etude.data.augment.crop import Crop
from etude.data.batches import Batch
from etude.data.loader import ImageLoader
from etude.data.prepared import PreparedSet
from etude.data.stock import ArrayStock
from etude.pictures.prepare import normalisation
from etude.train.copies import multiply
from etude.train.features import FeatureLoader, FeatureStore
from etude.train.job import Job

_FEATURES_AT_ONCE = 512
"""A line of features is small: the more at once, the less each costs."""


class Loader(Protocol):
    """Batches of one part, of pictures or of features."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Batch]: ...
    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that the next iteration goes through."""


def training_loader(job: Job, train_set: PreparedSet) -> ImageLoader:
    """Return the loader of the training part: shuffled, augmented, cropped, without a last short batch."""
    crop = None if job.train.crop_px is None else Crop(job.train.crop_px, job.train.balanced_crops)
    augment: AugmentConfig | None = job.augment
    if job.augment.times > 1:
        train_set, augment = multiply(job, train_set), None
    return _loader(job, train_set, augment, job.train.batch, shuffle=True, crop=crop)


def plain_loader(job: Job, prepared: PreparedSet) -> ImageLoader:
    """Return a loader in order, without augmentation."""
    # Logits of masks take a number a pixel and class: of them a GPU is given no more than a processor.
    on_cpu = job.execution.device.type == "cpu" or job.task == "segmentation"
    batch = answered_at_once(job.prepare.height_px, job.prepare.width_px, on_cpu=on_cpu)
    return _loader(job, prepared, None, batch, shuffle=False, crop=None)


def _loader(
    job: Job, prepared: PreparedSet, augment: AugmentConfig | None, batch: int, *, shuffle: bool, crop: Crop | None
) -> ImageLoader:
    mean, std = normalisation(job.prepare)
    with_masks = job.task == "segmentation"
    # Large pictures are augmented ahead, while the network computes; small ones cost more in being handed over.
    workers = usable_threads() if with_masks and shuffle else 0
    masks_NHW = prepared.masks_NHW if with_masks else None
    return ImageLoader(
        ArrayStock(prepared.pictures_NHWC, prepared.labels_N, masks_NHW, len(job.classes)),
        batch=batch,
        seed=derive(job.seed, "loader"),
        mean=mean,
        std=std,
        augment=augment,
        shuffle=shuffle,
        drop_last=shuffle,
        device=job.execution.device,
        channels_last=job.execution.channels_last,
        workers=workers,
        crop=crop,
    )


def stage_loader(job: Job, train_set: PreparedSet, store: FeatureStore) -> FeatureLoader:
    """Return the loader of the training part's features: shuffled, without a last short batch."""
    features_NC = store.of(train_set, plain_loader(job, train_set))
    seed = derive(job.seed, "loader")
    return FeatureLoader(
        features_NC, train_set.labels_N, batch=job.train.batch, seed=seed, shuffle=True, device=job.execution.device
    )


def plain_or_features(job: Job, prepared: PreparedSet, store: FeatureStore | None) -> Loader:
    """Return a loader in order: of a part's features where there are, else of its pictures without augmentation."""
    pictures = plain_loader(job, prepared)
    if store is None:
        return pictures
    features_NC = store.of(prepared, pictures)
    return FeatureLoader(
        features_NC, prepared.labels_N, batch=_FEATURES_AT_ONCE, seed=0, shuffle=False, device=job.execution.device
    )
