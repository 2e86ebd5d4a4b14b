"""A pretrained network that is at hand, as a measure of what pictures show: no download, no training."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from etude.core.machine import answered_at_once
from etude.models.weights import file_sha256, local_file
from etude.pictures.prepare import normalisation
from etude.pictures.prepare_config import Prepare

if TYPE_CHECKING:
    from torch import nn

PREFERRED: Final = (
    "vit_small_patch14_dinov2",
    "convnext_tiny",
    "resnet50",
    "efficientnet_b0",
    "mobilenetv3_large_100",
    "mobilenetv2_100",
)
"""Networks whose weights are looked for, the most telling first."""
Statistics = tuple[tuple[float, float, float], tuple[float, float, float]]


@dataclass(frozen=True)
class Embedder:
    """A pretrained network cut before its head."""

    name: str
    """Its name in timm."""
    file: Path
    """The file of its weights."""

    def prepare(self, size_px: int) -> Prepare:
        """Return how pictures are brought to size for it: squares of `size_px`."""
        return Prepare(size_px=size_px)

    def embed(
        self, pictures_NHWC: npt.NDArray[np.uint8], progress: Callable[[int, int], None] | None = None
    ) -> npt.NDArray[np.float32]:
        """Return the features of prepared pictures: float32 (N, D), each at length 1.

        Args:
            pictures_NHWC: uint8 (N, H, W, 3), prepared as `prepare` says.
            progress: called with (done, all) pictures.
        """
        import torch

        model = open_embedder(self.name, self.file)
        mean, std = (torch.tensor(values) for values in statistics_for(self.name, model, pictures_NHWC))
        at_once = answered_at_once(*pictures_NHWC.shape[1:3])
        found: list[npt.NDArray[np.float32]] = []
        with torch.inference_mode():
            for start in range(0, len(pictures_NHWC), at_once):
                chosen = torch.from_numpy(np.ascontiguousarray(pictures_NHWC[start : start + at_once]))
                images_BCHW = ((chosen.float() / 255 - mean) / std).permute(0, 3, 1, 2)
                found.append(torch.nn.functional.normalize(model(images_BCHW)).numpy())
                if progress is not None:
                    progress(min(start + at_once, len(pictures_NHWC)), len(pictures_NHWC))
        return np.concatenate(found) if found else np.zeros((0, 1), np.float32)


def find_embedder(names: Iterable[str] = PREFERRED) -> Embedder | None:
    """Return the first network whose weights lie in `$ETUDE_WEIGHTS` or in the hub's cache; none if none does."""
    found = ((name, local_file(name)) for name in names)
    return next((Embedder(name, file) for name, file in found if file is not None), None)


def statistics_for(name: str, model: nn.Module, photographs_NHWC: npt.NDArray[np.uint8]) -> Statistics:
    """Return the mean and the deviation, per channel, that photographs scaled to 0..1 are normalised by for a network.

    They are those of timm's card, unless the statistics in its weights plainly ask for others: a file of another origin
    than timm's is often of another training.
    """
    from etude.models.networks.input_range import better_range
    from etude.models.networks.timm import timm_card

    card = timm_card(name).normalize or "imagenet"
    return normalisation(Prepare(normalize=better_range(model, photographs_NHWC, card) or card))


def open_embedder(name: str, file: Path) -> nn.Module:
    """Build the network without its head, with the weights that a file holds now."""
    return _open_embedder(name, file, file_sha256(file))


@functools.lru_cache(maxsize=1)
def _open_embedder(name: str, file: Path, digest: str) -> nn.Module:
    """Build it once for a file of one content, which `digest` says."""
    import timm
    import torch

    from etude.models.networks.timm import embedding_options

    options: dict[str, Any] = embedding_options(name, file)
    model = timm.create_model(name, pretrained=True, **options)
    return model.eval().to(memory_format=torch.channels_last)
