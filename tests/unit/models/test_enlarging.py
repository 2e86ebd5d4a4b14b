"""What generators enlarge maps with gives, in training, what PyTorch's layers give."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from etude.models.networks.enlarging import Doubled, FromPoint, Gate, convolve_doubled

LAYOUTS = [torch.contiguous_format, torch.channels_last]
PLAIN = {Doubled: nn.Sequential, FromPoint: nn.ConvTranspose2d, Gate: nn.GLU}


def as_plain(layer: nn.Module) -> nn.Module:
    """A copy of PyTorch's own layers."""
    layer = copy.deepcopy(layer)
    for part in layer.modules():
        part.__class__ = PLAIN.get(type(part), type(part))
    return layer


def answer_and_gradients(layer: nn.Module, maps: Tensor) -> list[Tensor]:
    maps = maps.detach().requires_grad_()
    answer = layer(maps)
    weighing = torch.linspace(-1, 2, answer.numel(), dtype=answer.dtype).reshape(answer.shape)
    return [answer, *torch.autograd.grad((answer * weighing).sum(), [maps, *layer.parameters()])]


@pytest.mark.parametrize("layout", LAYOUTS, ids=["contiguous", "channels_last"])
@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (Doubled(6, 4), (3, 6, 5, 7)),  # more places than channels: nothing is doubled
        (Doubled(24, 4), (3, 24, 2, 2)),  # more channels than places
        (FromPoint(8, 5, 4), (3, 8, 1, 1)),
        (FromPoint(8, 5, 2), (3, 8, 3, 2)),
        (Gate(), (3, 6, 4, 5)),
    ],
    ids=["places", "channels", "point", "no point", "gate"],
)
def test_training_gives_the_answer_and_the_gradients_of_the_plain_layers(layer, shape, layout):
    torch.manual_seed(0)
    layer = layer.double().to(memory_format=layout).train()
    maps = torch.randn(shape, dtype=torch.float64).contiguous(memory_format=layout)

    for ours, plain in zip(answer_and_gradients(layer, maps), answer_and_gradients(as_plain(layer), maps), strict=True):
        torch.testing.assert_close(ours, plain)


@pytest.mark.parametrize("layout", LAYOUTS, ids=["contiguous", "channels_last"])
def test_maps_and_gradients_keep_the_memory_format(layout):
    block = nn.Sequential(FromPoint(8, 32, 4), nn.BatchNorm2d(32), Gate(), Doubled(16, 8)).to(memory_format=layout)
    seen = []
    block[1].register_full_backward_hook(lambda _, __, gradients: seen.extend(gradients))

    answer = block(torch.randn(3, 8, 1, 1))
    answer.sum().backward()

    assert answer.is_contiguous(memory_format=layout)
    assert seen[0].is_contiguous(memory_format=layout)
    for weight in (block[0].weight, block[3][1].weight):
        assert weight.grad.is_contiguous(memory_format=layout)


def test_in_evaluation_they_are_the_plain_layers():
    block = nn.Sequential(FromPoint(8, 32, 4), Gate(), Doubled(16, 8)).eval()
    latents = torch.randn(3, 8, 1, 1)

    assert torch.equal(block(latents), as_plain(block)(latents))


def test_doubling_is_folded_into_the_weights_at_the_edges_too():
    maps, weights = torch.ones(1, 1, 2, 2, dtype=torch.float64), torch.ones(1, 1, 3, 3, dtype=torch.float64)

    # Worked by hand: ones over a picture of 4×4, padded with zeros; a corner sees four of nine.
    expected = torch.tensor([[4.0, 6, 6, 4], [6, 9, 9, 6], [6, 9, 9, 6], [4, 6, 6, 4]], dtype=torch.float64)
    assert torch.equal(convolve_doubled(maps, weights)[0, 0], expected)
