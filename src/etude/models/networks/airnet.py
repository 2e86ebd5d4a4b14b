"""The fast network of the CIFAR-10 speed records, written from the papers.

Jordan 2024 (arXiv 2404.00498, section 3 and appendix) and Page 2019 (How to train your ResNet): a 2×2 convolution that
whitens patches and is not trained, groups of two 3×3 convolutions, a maximum over what is left, a linear layer.

Shapes: B pictures, N pictures of a sample, C channels, H and W pixels, P patches, D numbers in a patch, K logits.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from etude.core.counting import how_many
from etude.core.errors import ModelError, sentence
from etude.models.families.airnet import AirnetParams

PATCH_PX = 2
PATCH_SIZE = 3 * PATCH_PX**2
WHITENING_EPS = 5e-4
NORM_EPS = 1e-12


class Airnet(nn.Module):
    """Whitening, groups of two convolutions that each halve the picture, a maximum, logits without bias."""

    def __init__(self, params: AirnetParams, n_outputs: int, size_px: tuple[int, int]) -> None:
        super().__init__()
        _check_size(params, size_px)
        widths = [max(1, round(width * params.width)) for width in params.widths]
        self.whitening = nn.Conv2d(3, 2 * PATCH_SIZE, PATCH_PX)
        channels = 2 * PATCH_SIZE
        groups: list[nn.Module] = []
        for width in widths:
            groups.append(Group(channels, width, params.norm_momentum))
            channels = width
        self.groups = nn.Sequential(*groups)
        self.head = nn.Linear(channels, n_outputs, bias=False)
        self.logit_scale = params.logit_scale
        self.bias_epochs = params.bias_epochs
        self.whitening.weight.requires_grad_(False)
        assert self.whitening.bias is not None
        nn.init.zeros_(self.whitening.bias)

    def set_epoch(self, epoch: int) -> None:
        """Leave the whitening layer as it is from epoch `bias_epochs` on (the appendix of the paper)."""
        if epoch >= self.bias_epochs:
            assert self.whitening.bias is not None
            self.whitening.bias.requires_grad_(False)

    @torch.no_grad()
    def fit_pictures(self, images_NCHW: Tensor) -> None:
        """Set the first layer so that the patches of these pictures come out uncorrelated and of variance one.

        The filters are the eigenvectors of the covariance of the 2×2 patches, each divided by the root of its
        eigenvalue, and their negatives (section 3.2 of the paper).

        Args:
            images_NCHW: float (N, 3, H, W), normalised as in training; some thousands are enough.
        """
        patches_PD = _patches(images_NCHW.to(self.whitening.weight.device, torch.float32))
        covariance_DD = patches_PD.T @ patches_PD / patches_PD.shape[0]
        variances_D, vectors_DD = torch.linalg.eigh(covariance_DD)
        filters_DD = (vectors_DD / (variances_D + WHITENING_EPS).sqrt()).T.flip(0)  # largest variance first
        filters_DCHW = filters_DD.reshape(PATCH_SIZE, 3, PATCH_PX, PATCH_PX)
        self.whitening.weight.copy_(torch.cat([filters_DCHW, -filters_DCHW]))

    def forward(self, images_BCHW: Tensor) -> Tensor:
        """Return the logits (B, K)."""
        maps_BCHW = self.groups(F.gelu(self.whitening(images_BCHW)))
        logits_BK: Tensor = self.head(maps_BCHW.amax(dim=(2, 3)))
        return logits_BK * self.logit_scale


class Group(nn.Module):
    """Convolution, maximum over 2×2, normalisation, GELU; convolution, normalisation, GELU."""

    def __init__(self, channels: int, width: int, norm_momentum: float) -> None:
        super().__init__()
        self.conv1 = _dirac_conv(channels, width)
        self.pool = nn.MaxPool2d(2)
        self.norm1 = _norm(width, norm_momentum)
        self.conv2 = _dirac_conv(width, width)
        self.norm2 = _norm(width, norm_momentum)

    def forward(self, maps_BCHW: Tensor) -> Tensor:
        """Return maps (B, width, H // 2, W // 2)."""
        maps_BCHW = F.gelu(self.norm1(self.pool(self.conv1(maps_BCHW))))
        return F.gelu(self.norm2(self.conv2(maps_BCHW)))


def _dirac_conv(channels: int, width: int) -> nn.Conv2d:
    """Return a 3×3 convolution whose first filters pass their input on, so that signals survive at first."""
    conv = nn.Conv2d(channels, width, 3, padding=1, bias=False)
    nn.init.dirac_(conv.weight[: min(channels, width)])
    return conv


def _norm(width: int, momentum: float) -> nn.BatchNorm2d:
    """Return a batch normalisation with a trained shift and no scale."""
    norm = nn.BatchNorm2d(width, eps=NORM_EPS, momentum=momentum)
    norm.weight.requires_grad_(False)
    return norm


def _patches(images_NCHW: Tensor) -> Tensor:
    """Return every 2×2 patch of the pictures: (P, 12), in the order of a convolution's weights."""
    patches_NDL = F.unfold(images_NCHW, PATCH_PX)
    return patches_NDL.transpose(1, 2).reshape(-1, PATCH_SIZE)


def _check_size(params: AirnetParams, size_px: tuple[int, int]) -> None:
    groups, side_px = len(params.widths), min(size_px)
    least = 2**groups + 1
    if side_px < least:
        remedy = "Give larger pictures (prepare.size_px) or fewer widths."
        raise ModelError(
            sentence("model airnet", "size_px", f"at least {least} for {how_many(groups, 'group')}", side_px, remedy)
        )
