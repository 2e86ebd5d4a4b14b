"""What generated and real pictures are compared by: the features of a pretrained network at hand, or their pixels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from etude.core.errors import MissingPartError, sentence
from etude.models.embedding import PREFERRED, Statistics, find_embedder, open_embedder, statistics_for
from etude.models.weights import FOLDER_VARIABLE, file_sha256

PIXELS: Final = "pixels"
AUTO: Final = "auto"
_MOST_TELLING: Final = ("inception_v3", *PREFERRED)
"""Networks whose weights are looked for: before all others that which the KID and the FID were made for."""
_PIXELS_PX: Final = 16
_BATCH: Final = 64
_SIDE_PX: Final = {"vit_small_patch14_dinov2": 224, "inception_v3": 299}
"""Side to which pictures are brought for a network; the same for real and generated ones."""
_USUAL_SIDE_PX: Final = 128


@dataclass(frozen=True)
class PictureFeatures:
    """Where features come from."""

    name: str
    """The timm name of the network, or `pixels`."""
    file: Path | None = None
    """The file of its weights."""
    statistics: Statistics = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    """The mean and the deviation by which pictures scaled to 0..1 are normalised for the network."""

    @property
    def weights(self) -> str:
        """What the weights are by content: the SHA-256 of their file; empty for pixels."""
        return "" if self.file is None else file_sha256(self.file)

    def fitted_to(self, photographs_NHWC: npt.NDArray[np.uint8]) -> PictureFeatures:
        """Return the same with pictures normalised as the network's weights ask for, found on real photographs."""
        if self.file is None:
            return self
        found = statistics_for(self.name, open_embedder(self.name, self.file), photographs_NHWC)
        return replace(self, statistics=found)

    def of(self, pictures_NHWC: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Return the features (N, D) of uint8 pictures, not scaled to a length: kernels of them want their size."""
        import torch
        import torch.nn.functional as F

        if self.file is None:
            pixels = torch.from_numpy(np.ascontiguousarray(pictures_NHWC)).permute(0, 3, 1, 2).float() / 127.5 - 1
            return np.asarray(F.adaptive_avg_pool2d(pixels, _PIXELS_PX).flatten(1).numpy(), np.float32)
        model = open_embedder(self.name, self.file)
        side = _SIDE_PX.get(self.name, _USUAL_SIDE_PX)
        mean, std = (torch.tensor(values) for values in self.statistics)
        found = []
        with torch.inference_mode():
            for start in range(0, len(pictures_NHWC), _BATCH):
                part = torch.from_numpy(np.ascontiguousarray(pictures_NHWC[start : start + _BATCH]))
                images_BCHW = ((part.float() / 255 - mean) / std).permute(0, 3, 1, 2)
                images_BCHW = F.interpolate(images_BCHW, (side, side), mode="bilinear", antialias=True)
                found.append(model(images_BCHW).float().numpy())
        return np.concatenate(found)


def find_features(name: str = AUTO) -> PictureFeatures:
    """Return where features come from.

    Args:
        name: a timm name whose weights are at hand, `pixels`, or auto: Inception where its weights are, else the most
            telling network at hand, else pixels.

    Raises:
        MissingPartError: if the weights of a network that was asked for by name are not at hand.
    """
    if name == PIXELS:
        return PictureFeatures(PIXELS)
    found = find_embedder(_MOST_TELLING if name == AUTO else (name,))
    if found is not None:
        return PictureFeatures(found.name, found.file)
    if name == AUTO:
        return PictureFeatures(PIXELS)
    remedy = f"Put its weights into the folder that {FOLDER_VARIABLE} names, or give pixels or auto."
    rule = "auto, pixels, or a network whose weights are at hand"
    raise MissingPartError(sentence("protocol", "generation.features", rule, name, remedy)).at(
        "protocol", "generation", "features"
    )
