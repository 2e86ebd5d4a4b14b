"""Numbers that were worked out by hand, and what each network promises beyond the contract."""

from __future__ import annotations

import math

import pytest
import torch

from etude.core.errors import ModelError
from etude.models import build_model, count_macs, count_parameters


def build(spec, n_outputs=10, size_px=(32, 32), seed=0):
    return build_model(spec, n_outputs=n_outputs, size_px=size_px, seed=seed)


def resnet_parameters(blocks):
    """Return He et al.'s count for a network with option A: convolutions, two numbers a channel a norm, the head."""
    convs = 3 * 16 * 9 + (2 * blocks) * 16 * 16 * 9
    convs += 16 * 32 * 9 + (2 * blocks - 1) * 32 * 32 * 9 + 32 * 64 * 9 + (2 * blocks - 1) * 64 * 64 * 9
    norms = 2 * (16 * (2 * blocks + 1) + 32 * 2 * blocks + 64 * 2 * blocks)
    return convs + norms + 64 * 10 + 10


@pytest.mark.parametrize(("depth", "millions"), [(20, 0.27), (32, 0.46), (44, 0.66), (56, 0.85)])
def test_resnet_has_the_parameters_of_the_paper(depth, millions):
    model = build({"name": "resnet", "depth": depth})
    assert count_parameters(model) == resnet_parameters((depth - 2) // 6)
    assert round(count_parameters(model) / 1e6, 2) == millions


def test_multiply_adds_by_hand():
    hidden = 3 * 32 * 32 * 512 + 512 * 256 + 256 * 10
    assert count_macs(build("mlp"), (32, 32)) == hidden

    cnn = 32 * 32 * 9 * (3 * 32 + 32 * 32) + 16 * 16 * 9 * (32 * 64 + 64 * 64)
    cnn += 8 * 8 * 9 * (64 * 128 + 128 * 128) + 128 * 10
    assert count_macs(build("cnn"), (32, 32)) == cnn

    airnet = 31 * 31 * 12 * 24 + 31 * 31 * 9 * 24 * 64 + 15 * 15 * 9 * 64 * 64 + 15 * 15 * 9 * 64 * 256
    airnet += 7 * 7 * 9 * 256 * 256 * 2 + 3 * 3 * 9 * 256 * 256 + 256 * 10
    assert count_macs(build("airnet"), (32, 32)) == airnet


def test_airnet_parameters_by_hand():
    convs = 9 * (24 * 64 + 64 * 64 + 64 * 256 + 3 * 256 * 256)
    trained = 24 + convs + 2 * (64 + 256 + 256) + 256 * 10
    model = build("airnet")
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == trained
    assert count_parameters(model) == trained + 24 * 12 + 2 * (64 + 256 + 256)


def correlated_pictures():
    """Return pictures whose neighbouring pixels and channels go together, as in photographs."""
    noise = torch.randn(64, 3, 36, 36, generator=torch.Generator().manual_seed(3))
    smooth = torch.nn.functional.avg_pool2d(noise, 5, stride=1)
    return 6 * smooth + 3 * smooth.mean(1, keepdim=True)


def test_airnet_whitens_the_patches_of_its_sample():
    model = build("airnet")
    pictures = correlated_pictures()
    model.fit_pictures(pictures)
    with torch.no_grad():
        maps = model.whitening(pictures)
    values = maps.transpose(0, 1).flatten(1)
    torch.testing.assert_close(values[12:], -values[:12])
    # No mean is taken off, as in the paper: second moments, and not variances, come out as one.
    moments = values[:12] @ values[:12].T / values.shape[1]
    torch.testing.assert_close(moments, torch.eye(12), atol=0.02, rtol=0)
    raw = torch.nn.functional.unfold(pictures, 2).transpose(0, 1).flatten(1)
    before = torch.corrcoef(raw) - torch.eye(12)
    assert before.abs().max() > 0.5


def test_airnet_keeps_its_first_layer_while_training():
    model = build("airnet")
    model.fit_pictures(correlated_pictures())
    filters = model.whitening.weight.clone()
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    model(correlated_pictures()[:8, :, :32, :32]).square().mean().backward()
    optimizer.step()
    assert torch.equal(model.whitening.weight, filters)
    assert model.whitening.bias.abs().max() > 0


def test_airnet_leaves_the_shifts_of_its_first_layer_after_some_epochs():
    model = build_model({"name": "airnet", "bias_epochs": 2}, n_outputs=10, size_px=(32, 32), seed=0)
    for epoch, is_trained in ((0, True), (1, True), (2, False), (3, False)):
        model.set_epoch(epoch)
        model(torch.randn(4, 3, 32, 32)).sum().backward()
        assert (model.whitening.bias.grad is not None) == is_trained
        model.zero_grad()


def test_majority_gives_the_frequencies_and_no_class_is_impossible():
    model = build("majority", n_outputs=3)
    images = torch.zeros(2, 3, 32, 32)
    torch.testing.assert_close(model(images).softmax(1), torch.full((2, 3), 1 / 3))
    model.fit_labels(torch.tensor([0, 0, 0, 1, -1]), 3)
    torch.testing.assert_close(model(images)[1].softmax(0), torch.tensor([3.0, 1.0, 0.5]) / 4.5)
    model.fit_labels(torch.tensor([0, 1, 2, 2]))
    torch.testing.assert_close(model(images)[0], torch.tensor([1, 1, 2]).div(4).log())
    assert math.isclose(model(images)[0].logsumexp(0).item(), 0, abs_tol=1e-6)
    with pytest.raises(ValueError, match=r"n_classes must be 3\. Got 4"):
        model.fit_labels(torch.tensor([0]), 4)


@pytest.mark.parametrize(
    ("spec", "size_px", "told"),
    [
        ({"name": "cnn", "depth": 5}, (16, 40), "size_px must be at least 32 for 5 blocks. Got 16"),
        ("airnet", (8, 8), "size_px must be at least 9 for 3 groups. Got 8"),
    ],
)
def test_pictures_that_are_too_small_give_a_sentence(spec, size_px, told):
    with pytest.raises(ModelError) as caught:
        build(spec, size_px=size_px)
    assert told in str(caught.value)


def test_a_stride_halves_what_a_pooling_cannot():
    assert build({"name": "cnn", "depth": 5, "pool": "stride"}, size_px=(9, 9)).eval()(
        torch.zeros(1, 3, 9, 9)
    ).shape == (1, 10)


@pytest.mark.parametrize("pre_activation", [False, True])
def test_resnet_blocks_begin_near_the_identity_of_their_shortcut(pre_activation):
    model = build({"name": "resnet", "depth": 8, "pre_activation": pre_activation}).eval()
    block = model.blocks[0]
    with torch.no_grad():
        block.conv2.weight.zero_()
        maps = torch.rand(1, 16, 8, 8)
        torch.testing.assert_close(block(maps), maps)
        strided = model.blocks[1]
        strided.conv2.weight.zero_()
        out = strided(maps)
    torch.testing.assert_close(out[:, 8:24], maps[:, :, ::2, ::2])
    assert out[:, :8].abs().max() == out[:, 24:].abs().max() == 0
