from __future__ import annotations

import time

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from etude.explain.falls import waiting_for
from etude.explain.layers import describe_layers
from etude.explain.tracing import Tracer
from etude.models import build_model


def draw(size_px: int = 32, n: int = 16) -> torch.Tensor:
    return torch.randn(n, 3, size_px, size_px, generator=torch.Generator().manual_seed(1))


def rows_of(model: nn.Module, images: torch.Tensor | None = None, **options):
    record = describe_layers(model, draw() if images is None else images, network="net", **options)
    return {row.name: row for row in record.rows}


def test_receptive_fields_of_the_vgg_are_those_worked_by_hand():
    # Two 3×3 convolutions and a pooling of 2: 3, 5, 6; then 10, 14, 16; then 24, 32, 36 (stride 1, 2, 4, 8).
    rows = rows_of(build_model("cnn", n_outputs=10, size_px=(32, 32), seed=0))
    sides = [row.receptive_px[0] for row in rows.values() if row.kind in ("convolution", "pooling")]
    assert sides == [3, 5, 6, 10, 14, 16, 24, 32, 36]
    assert rows["blocks.2.6"].stride_px == (8, 8)
    assert rows["pool"].receptive_px is None
    assert rows["pool"].sees_all
    assert not rows["blocks.1.3"].sees_all


def test_receptive_field_of_resnet_18_is_that_of_the_literature():
    # Araujo, Norris and Sim 2019, table 1: 435 pixels with a stride of 32.
    rows = rows_of(build_model("resnet18", n_outputs=10, size_px=(64, 64), seed=0), draw(64, 1))
    last = [row for row in rows.values() if row.kind == "residual"][-1]
    assert last.receptive_px == (435, 435)
    assert last.stride_px == (32, 32)


def test_a_transformer_sees_everything_from_its_first_attention_on():
    rows = list(
        rows_of(build_model("vit_tiny_patch16_224", n_outputs=3, size_px=(48, 48), seed=0), draw(48, 1)).values()
    )
    first = next(place for place, row in enumerate(rows) if row.kind == "attention")
    assert not any(row.sees_all for row in rows[:first])
    assert all(row.sees_all for row in rows[first:] if row.kind != "parameters")
    assert rows[0].kind == "patch embedding"
    assert rows[0].receptive_px == (16, 16)
    assert {row.name for row in rows if row.kind == "parameters"} == {"cls_token", "pos_embed"}


def test_functions_of_a_block_are_layers_and_a_residual_knows_where_it_comes_from():
    model = build_model({"name": "resnet", "depth": 8}, n_outputs=10, size_px=(32, 32), seed=0)
    record = describe_layers(model, draw(), network="resnet")
    residuals = [row for row in record.rows if row.kind == "residual"]
    assert len(residuals) == 3
    assert record.rows[residuals[0].joins].name == "relu"
    assert {row.type for row in record.rows if row.kind == "activation"} == {"relu"}


class Half(nn.Module):
    """Half of the channels of the first layer never fire; the second layer decides the answer alone."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.same = nn.Conv2d(4, 4, 1)
        self.head = nn.Linear(4, 2)
        with torch.no_grad():
            self.conv.bias.copy_(torch.tensor([9.0, 9.0, -99.0, -99.0]))
            self.same.weight.copy_(torch.eye(4)[:, :, None, None])
            self.same.bias.zero_()

    def forward(self, images):
        return self.head(self.same(F.relu(self.conv(images))).mean((2, 3)))


def test_dead_channels_and_sparsity_are_measured():
    rows = rows_of(Half())
    assert rows["relu"].dead == 0.5
    assert rows["relu"].sparsity == pytest.approx(0.5, abs=0.01)
    assert rows["conv"].dead is None


@pytest.mark.parametrize(
    ("spec", "task", "made_by", "activation"),
    [
        (
            {"name": "swin_tiny_patch4_window7_224",
             "options": {"embed_dim": 24, "depths": [1, 1], "num_heads": [2, 2], "window_size": 7}},
            "classification", "layers.0.blocks.0.mlp.fc1", "layers.0.blocks.0.mlp.act",
        ),
        (
            {"name": "convnext_tiny", "options": {"depths": [1, 1, 1, 1], "dims": [8, 16, 24, 32]}},
            "classification", "stages.1.blocks.0.mlp.fc1", "stages.1.blocks.0.mlp.act",
        ),
        ({"name": "unet-mini", "widths": [8, 12]}, "segmentation", None, None),
    ],
)  # fmt: skip
def test_dead_channels_are_those_of_the_layer_wherever_its_channels_lie(spec, task, made_by, activation):
    """Half of the channels of one layer are silenced: so many are dead, whether channels come first or last."""
    model = build_model(spec, n_outputs=3, size_px=(56, 56), seed=0, task=task).eval()
    if made_by is None:  # the last normalisation before an activation decides what is silent
        made_by = next(name for name, module in model.named_modules() if isinstance(module, nn.BatchNorm2d))
    names = {name: module for name, module in model.named_modules() if name.endswith(made_by)}
    (layer,) = names.values()
    with torch.no_grad():
        half = len(layer.bias) // 2
        layer.weight[:half] = 0.0
        layer.bias[:half] = -99.0
    rows = rows_of(model, draw(56, 4))
    if activation is None:
        row = next(row for row in rows.values() if row.dead is not None)
    else:
        row = next(row for name, row in rows.items() if name.endswith(activation))
    assert row.dead == 0.5


def test_a_layers_time_is_that_of_the_work_that_is_waited_for():
    """A device that works on after an operation was asked of it: what it still has to do is waited for, and timed."""
    waited = []

    def wait():
        waited.append(time.perf_counter())
        time.sleep(0.002)

    tracer = Tracer(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), wait=wait)
    tracer.run(draw(8, 1))
    assert len(waited) >= 4  # before and after each operation
    assert all(row.seconds >= 0.002 for row in tracer.rows)
    assert waiting_for(torch.device("cpu")) is None
    assert waiting_for(torch.device("cuda")) is not None


def test_a_layer_that_is_called_twice_counts_its_parameters_once():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 1)

        def forward(self, images):
            return self.conv(self.conv(images)).mean((2, 3))

    record = describe_layers(Twice(), draw(8), network="twice")
    convolutions = [row for row in record.rows if row.type == "Conv2d"]
    assert [row.params for row in convolutions] == [12, 0]
    assert [row.macs for row in convolutions] == [9 * 64, 9 * 64]


def test_torch_attention_is_counted_though_its_fast_path_hides_it():
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = layer

        def forward(self, images):
            return self.encoder(images.flatten(2).transpose(1, 2).repeat(1, 1, 3)[..., :8]).mean(1)

    rows = rows_of(Net(), draw(4))
    tokens = 16
    products = 3 * tokens * 8 * 8 + 2 * tokens * tokens * 8 + tokens * 8 * 8
    assert sum(row.macs for name, row in rows.items() if "self_attn" in name) == products
