"""Test-time augmentation: a network asked several times about one picture, its answers averaged.

Shapes: B pictures, C channels, H and W pixels, K classes, V views.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ViewName = Literal["none", "flip", "shifts", "flip-shifts"]
_SHIFT_SHARE = 16  # a picture is moved by this part of its shorter side, at least one pixel


class Views(nn.Module):
    """A network whose answer is the mean of its probabilities over several views of a picture.

    flip: the picture and its mirror image; shifts: the picture, and moved left, right, up and down by a sixteenth,
    its border pixels repeated; flip-shifts: all of these.
    """

    def __init__(self, model: nn.Module, name: ViewName) -> None:
        super().__init__()
        self.model = model
        self.name = name

    def forward(self, images_BCHW: Tensor) -> Tensor:
        """Return the logarithms (B, K) of the mean probabilities: their softmax is the mean itself.

        Of masks they are (B, K, H, W), what was answered to the mirror image mirrored back.
        """
        if self.name == "flip":
            mirrored = self.model(images_BCHW.flip(3))
            mirrored = mirrored.flip(3) if mirrored.ndim == 4 else mirrored
            logs_VBK = torch.stack([logits.float().log_softmax(1) for logits in (self.model(images_BCHW), mirrored)])
        else:
            logs_VBK = torch.stack([self.model(view).float().log_softmax(1) for view in self._views(images_BCHW)])
        return logs_VBK.logsumexp(0) - torch.tensor(float(len(logs_VBK))).log().to(logs_VBK.device)

    def _views(self, images_BCHW: Tensor) -> Iterator[Tensor]:
        for image_BCHW in (images_BCHW, images_BCHW.flip(3)) if "flip" in self.name else (images_BCHW,):
            yield image_BCHW
            if "shifts" in self.name:
                yield from _shifts(image_BCHW)


def _shifts(images_BCHW: Tensor) -> Iterator[Tensor]:
    """Give the pictures moved in the four directions."""
    height_px, width_px = images_BCHW.shape[2:]
    by_px = max(1, min(height_px, width_px) // _SHIFT_SHARE)
    padded = F.pad(images_BCHW, (by_px,) * 4, mode="replicate")
    for down_px, right_px in ((0, by_px), (2 * by_px, by_px), (by_px, 0), (by_px, 2 * by_px)):
        yield padded[:, :, down_px : down_px + height_px, right_px : right_px + width_px]
