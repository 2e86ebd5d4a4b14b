"""Networks of segmentation_models.pytorch on encoders of timm, for pictures of any size.

Shapes: B pictures, C channels, H and W pixels, K classes.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import segmentation_models_pytorch as smp
import torch.nn.functional as F
from torch import Tensor, nn

from etude.core.errors import ModelError
from etude.core.registry import unknown
from etude.models.families.smp import SmpParams
from etude.models.model_spec import ModelSpec
from etude.models.networks.timm import timm_names
from etude.models.weights import locate_imagenet

_MULTIPLE_PX = 32
"""The encoders halve five times: a side of the picture must be a multiple of this."""


def build_smp(architecture: str, spec: ModelSpec, params: SmpParams, n_outputs: int) -> nn.Module:
    """Build a network of the library, its encoder filled with pretrained weights if asked.

    Raises:
        ModelError: if timm has no such encoder, or the library cannot put this decoder on it.
        MissingPartError: if the weights cannot be had.
    """
    if params.encoder not in timm_names():
        raise ModelError(unknown("model.encoder", params.encoder, sorted(timm_names())))
    options: dict[str, Any] = {"encoder_weights": None, **params.options}
    if spec.weights is not None:
        path = locate_imagenet(params.encoder) if spec.weights == "imagenet" else Path(spec.weights)
        overlay = {"file": str(path), "custom_load": False}
        options |= {"encoder_weights": True, "pretrained_cfg_overlay": overlay}
    with _quiet():
        network = getattr(smp, architecture)(encoder_name=f"tu-{params.encoder}", classes=n_outputs, **options)
    return Padded(network)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep timm from telling that an encoder has no use for the head in the file."""
    logger = logging.getLogger("timm.models._builder")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


class Padded(nn.Module):
    """A network whose pictures are padded to the sides that it takes, and whose logits are cut back."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    @property
    def head(self) -> nn.Module:
        """The layers that give the logits."""
        return self.body.get_submodule("segmentation_head")

    @property
    def parts(self) -> tuple[str, ...]:
        """The names of what stands before the head, next to the pictures first."""
        return ("body.encoder.model", "body.decoder")

    def forward(self, images_BCHW: Tensor) -> Tensor:
        """Return logits (B, K, H, W)."""
        height_px, width_px = images_BCHW.shape[2:]
        below_px, right_px = -height_px % _MULTIPLE_PX, -width_px % _MULTIPLE_PX
        if below_px or right_px:
            images_BCHW = F.pad(images_BCHW, (0, right_px, 0, below_px), mode="replicate")
        logits_BKHW: Tensor = self.body(images_BCHW)
        return logits_BKHW[:, :, :height_px, :width_px]
