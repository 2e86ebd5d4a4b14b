"""Augmentation: one vocabulary for every task, a batch at a time, a draw of its own for every picture.

Importing this package loads no torch. The tensor code is in `augmenter` and in the file of each stage:

    geometry ──> color ──> pixels ──> (normalisation) ──> erase ──> mix
    flip shift   color     blur haze rain                 cutout    mixup cutmix
    rotate scale night     noise jpeg
    perspective
"""

from etude.data.augment.catalog import AUGMENTATIONS, Augmentation
from etude.data.augment.config import AugmentConfig

__all__ = ["AUGMENTATIONS", "AugmentConfig", "Augmentation"]
