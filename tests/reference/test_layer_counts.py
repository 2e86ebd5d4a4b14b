"""Layer tables against torch's own FLOP counter, and receptive fields against what a gradient reaches."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from etude.explain.layers import describe_layers
from etude.models import build_model

ARCHITECTURES = [
    ("mlp", 16), ("cnn", 32), ({"name": "resnet", "depth": 8, "shortcut": "conv"}, 32), ("airnet", 32),
    ("mobilenetv2_100", 32), ("efficientnet_b0", 32), ("resnet18", 32), ("regnetx_002", 32), ("convnext_atto", 32),
    ("vit_tiny_patch16_224", 32), ("mixer_s32_224", 64), ("swin_tiny_patch4_window7_224", 56),
]  # fmt: skip


@pytest.mark.parametrize(("spec", "size_px"), ARCHITECTURES, ids=lambda value: str(value))
def test_the_rows_sum_to_what_torch_counts(spec, size_px):
    options = {"options": {"img_size": size_px}} if str(spec).startswith(("swin", "mixer")) else {}
    full = ({"name": spec} if isinstance(spec, str) else spec) | options
    model = build_model(full, n_outputs=7, size_px=(size_px, size_px), seed=0).eval()
    images = torch.randn(1, 3, size_px, size_px, generator=torch.Generator().manual_seed(0))
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(images)
    record = describe_layers(model, images, network=str(spec))
    assert record.macs == sum(row.macs for row in record.rows) == counter.get_total_flops() // 2
    assert record.params == sum(row.params for row in record.rows) == sum(p.numel() for p in model.parameters())
    assert sum(row.time_share for row in record.rows) == pytest.approx(1)
    heads = [row for row in record.rows if row.kind == "head"]
    assert [row.output_shape[0] for row in heads] == [7]


@pytest.mark.parametrize(("kernel", "stride", "dilation"), [(3, 1, 1), (5, 2, 1), (3, 1, 2), (2, 2, 1)])
def test_a_receptive_field_is_what_the_gradient_of_one_place_reaches(kernel, stride, dilation):
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3),
        torch.nn.Conv2d(4, 4, kernel, stride, dilation=dilation),
        torch.nn.AvgPool2d(3, 2),
        torch.nn.ConvTranspose2d(4, 4, 4, 2),
        torch.nn.Conv2d(4, 4, 3),
    )
    image = torch.randn(1, 3, 65, 65, requires_grad=True)
    maps = net(image)
    reached = set()
    for row in range(
        maps.shape[2] // 2, maps.shape[2] // 2 + 4
    ):  # a transposed convolution sees a little less in places
        (gradient,) = torch.autograd.grad(maps[0, 0, row, row], image, retain_graph=True)
        reached.add(int((gradient[0].abs().sum((0, 2)) > 0).sum()))
    record = describe_layers(net, image.detach(), network="net")
    assert record.rows[-1].receptive_px == (max(reached), max(reached))
