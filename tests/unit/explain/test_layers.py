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


class Moved(nn.Module):
    """A convolution of 3×3, then places that move without a window, then a convolution of 3×3."""

    def __init__(self, move, channels):
        super().__init__()
        self.first, self.last = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(channels, 4, 3, padding=1)
        self.move = move

    def forward(self, images):
        return self.last(self.move(self.first(images))).mean((2, 3))


def space_to_depth(maps):
    return torch.cat([maps[:, :, y::2, x::2] for y in (0, 1) for x in (0, 1)], 1)


def space_to_depth_by_views(maps):
    b, c, h, w = maps.shape
    return maps.reshape(b, c, h // 2, 2, w // 2, 2).permute(0, 1, 3, 5, 2, 4).reshape(b, 4 * c, h // 2, w // 2)


@pytest.mark.parametrize(
    ("move", "channels", "size_px", "stride_px"),
    [
        (nn.PixelUnshuffle(2), 16, 4 + 2 * 2, 2),  # 3 + 1 by two rows together, then two places of two pixels
        (space_to_depth, 16, 4 + 2 * 2, 2),
        (nn.PixelShuffle(2), 1, 3 + 2 * 0.5, 0.5),
        (lambda maps: maps[:, :, ::2, ::2], 4, 3 + 2 * 2, 2),
        (lambda maps: F.pad(maps, (1, 1, 1, 1))[:, :, 1:, 1:], 4, 3 + 2, 1),
        (nn.ChannelShuffle(2), 4, 5, 1),
        (lambda maps: maps.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2), 4, 5, 1),
        (space_to_depth_by_views, 16, None, None),  # views tell nothing: not known
        (lambda maps: maps.roll(4, 2), 4, None, None),
        (lambda maps: maps.flatten(2).reshape(len(maps), 4, 16, 64), 4, None, None),
    ],
)
def test_a_receptive_field_follows_places_that_move_or_is_not_known(move, channels, size_px, stride_px):
    rows = rows_of(Moved(move, channels), draw(32, 2))
    assert rows["first"].receptive_px == (3, 3)
    assert rows["last"].receptive_px == (None if size_px is None else (size_px, size_px))
    assert rows["last"].stride_px == (None if stride_px is None else (stride_px, stride_px))


def test_a_receptive_field_that_is_told_is_the_one_that_gradients_have():
    """The pixels on which one place of space-to-depth and a convolution depends lie in a square of the size told."""
    model = Moved(space_to_depth, 16)
    images = draw(32, 1).requires_grad_()
    model.last(model.move(model.first(images)))[0, :, 8, 8].sum().backward()
    reached = images.grad.abs().amax((0, 1)) > 0
    assert reached.any(0).sum() == reached.any(1).sum() == 8


class Mixer(nn.Module):
    """Patches as tokens, mixed along the tokens and then along the channels; more channels than tokens."""

    def __init__(self, channels=48):
        super().__init__()
        self.patches = nn.Conv2d(3, channels, 8, stride=8)
        self.each = nn.Linear(channels, channels)
        self.tokens = nn.Linear(16, 16)
        self.channels = nn.Linear(channels, channels)

    def forward(self, images):
        tokens = self.each(self.patches(images).flatten(2).transpose(1, 2))
        return self.channels(self.tokens(tokens.transpose(1, 2)).transpose(1, 2)).mean(1)


@pytest.mark.parametrize("channels", [48, 10, 32])
def test_tokens_that_are_mixed_see_more_than_their_patch(channels):
    rows = rows_of(Mixer(channels), draw(32, 2))
    assert rows["each"].receptive_px == (8, 8)
    assert rows["tokens"].receptive_px is None
    assert rows["tokens"].sees_all
    assert rows["channels"].receptive_px is None


def test_a_mean_over_one_side_is_no_window():
    class Rows(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 2, 1)

        def forward(self, images):
            return self.last(self.first(images).mean(3, keepdim=True)).mean((2, 3))

    rows = describe_layers(Rows(), draw(32, 2), network="rows").rows
    assert next(row for row in rows if row.name == "last").receptive_px is None
    assert [row.kind for row in rows if row.type == "mean"] == ["pooling", "global pooling"]


def test_a_pooling_is_global_where_one_number_a_channel_is_left_and_an_interpolation_may_shrink():
    model = nn.Sequential(
        nn.Conv2d(3, 4, 1), nn.AdaptiveAvgPool2d(7), nn.Upsample(size=(14, 14)), nn.Upsample(size=(5, 5)),
        nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(4, 2),
    )  # fmt: skip
    rows = list(rows_of(model).values())
    assert [row.kind for row in rows[1:5]] == ["pooling", "up-sampling", "resizing", "global pooling"]
    assert [row.role for row in rows[1:5]] == ["halves", "enlarges", "halves", ""]


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


class Spelt(nn.Module):
    """Calls functions that torch's inner library knows by other names."""

    def __init__(self):
        super().__init__()
        self.block = nn.Sequential(nn.Conv2d(3, 4, 1))
        self.scale, self.shift = nn.Parameter(torch.ones(4)), nn.Parameter(torch.zeros(4))
        self.matrix = nn.Parameter(torch.randn(2, 4))

    def forward(self, images):
        maps = F.batch_norm(self.block(images), torch.zeros(4), torch.ones(4), self.scale, self.shift)
        maps = F.group_norm(maps + F.relu(maps), 2)
        maps = F.max_pool2d(maps + torch.tanh(maps), 2)
        maps = F.interpolate(maps, scale_factor=2, mode="bilinear")
        maps = F.layer_norm(maps, maps.shape[1:])
        features = F.adaptive_avg_pool2d(torch.cat([maps, maps * torch.sigmoid(maps)], 1), 2)[:, :4].amax((2, 3))
        return F.linear(features, self.matrix)


def test_functions_are_called_as_one_calls_them_and_no_two_alike():
    """A report named `native_batch_norm` and `max_pool2d_with_indices`, which no one writes."""
    rows = describe_layers(Spelt(), draw(8), network="spelt").rows
    assert [row.name for row in rows] == [
        "block.0", "batch_norm", "relu", "sum", "group_norm", "tanh", "sum 2", "max_pool2d", "upsample", "layer_norm",
        "sigmoid", "product", "join", "adaptive_avg_pool2d", "max", "linear",
    ]  # fmt: skip
    assert {row.type for row in rows if row.kind == "residual"} == {"sum"}
    assert next(row for row in rows if row.kind == "head").name == "linear"


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
