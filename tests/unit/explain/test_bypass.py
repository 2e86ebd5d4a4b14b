"""What is left out of a network: one sum of a block, one function; each equal to a network that is written without it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from etude.core.words import Part
from etude.evaluate.predictions import Predictions
from etude.explain.bypass import bypassed
from etude.explain.falls import Asked, measure_falls
from etude.explain.layers import describe_layers
from etude.explain.tracing import Tracer, evaluating


def draw(n: int = 6, size_px: int = 16) -> torch.Tensor:
    return torch.randn(n, 3, size_px, size_px, generator=torch.Generator().manual_seed(1))


def asked(n: int) -> Asked:
    truth = np.arange(n) % 2

    def to_answers(logits):
        ids = np.arange(len(logits)).astype(str)
        return Predictions(ids, Part.VALIDATION, truth[: len(logits)], logits.softmax(1).numpy())

    return Asked(to_answers, "log_loss", higher_is_better=False)


def rows_of(model, images=None):
    tracer = Tracer(model)
    tracer.run(draw(1) if images is None else images[:1])
    return tracer.rows


def without(model, row, rows, images):
    """Return what a network answers without one layer; nothing where that could not be done."""
    with bypassed(model, row, rows) as done, evaluating(model), torch.no_grad():
        answers = model(images)
    return answers if done[0] else None


class TwoSums(nn.Module):
    """A block of two sums, as a transformer's; either can be left out as one writes the network."""

    def __init__(self, in_place: bool = False, turned: bool = False):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 1)
        self.in_place, self.turned, self.left_out = in_place, turned, None

    def forward(self, images):
        maps = images + 0.0
        for number, layer in enumerate((self.first, self.second)):
            found = layer(maps)
            if number == self.left_out:
                continue
            if self.in_place:
                found += maps
                maps = found
            else:
                maps = found + maps if self.turned else maps + found
        return maps


class Blocks(nn.Module):
    def __init__(self, **options):
        super().__init__()
        self.blocks = nn.Sequential(TwoSums(**options), TwoSums(**options))
        self.head = nn.Linear(3, 2)

    def forward(self, images):
        return self.head(self.blocks(images).mean((2, 3)))


@pytest.mark.parametrize("options", [{}, {"turned": True}, {"in_place": True}])
def test_each_sum_of_a_block_is_left_out_by_itself(options):
    """Both sums of one module had the fall of the whole block."""
    torch.manual_seed(1)
    model, images = Blocks(**options).eval(), draw()
    rows = rows_of(model)
    sums = [row for row in rows if row.kind == "residual"]
    assert len(sums) == 4
    with torch.no_grad():
        whole = model(images)
    for number, row in enumerate(sums):
        block = model.blocks[number // 2]
        block.left_out = number % 2
        with torch.no_grad():
            expected = model(images)
        block.left_out = None
        assert not torch.allclose(expected, whole, atol=1e-3)
        assert torch.equal(without(model, row, rows, images), expected)
    with torch.no_grad():
        assert torch.equal(model(images), whole)


def test_a_transformer_block_is_left_without_its_attention_or_without_its_mlp():
    vision_transformer = pytest.importorskip("timm.models.vision_transformer")
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(2), vision_transformer.Block(256, 2), nn.Linear(256, 2), nn.Flatten()).eval()
    images, block = draw(), model[1]
    rows = rows_of(model)
    sums = [row for row in rows if row.kind == "residual"]
    assert [row.owner for row in sums] == ["1", "1"]
    for row, layer in zip(sums, (block.attn.proj, block.mlp.fc2), strict=True):
        found = without(model, row, rows, images)
        kept = {name: tensor.clone() for name, tensor in layer.state_dict().items()}
        for parameter in layer.parameters():
            parameter.data.zero_()
        assert torch.allclose(found, without_any(model, images), atol=1e-5)
        layer.load_state_dict(kept)
        assert not torch.allclose(found, without_any(model, images), atol=1e-2)


def without_any(model, images):
    with torch.no_grad():
        return model(images)


class RootSums(nn.Module):
    """The sum is one that the whole network makes itself, of what comes from a layer of another width."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.stem, self.inner, self.wide = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 1)
        self.places = nn.Parameter(torch.randn(1, 4, 16, 16))
        self.summed = True

    def forward(self, images):
        maps = self.stem(images) + self.places
        maps = maps + F.relu(self.inner(maps)) if self.summed else maps + 0
        ways = self.inner(maps), self.wide(maps)
        return (ways[0] + ways[1]).mean((2, 3))


def test_a_sum_of_the_whole_network_is_left_out_and_one_of_two_ways_is_not():
    """Neither way of a down-sampling block goes round the other."""
    model, images = RootSums().eval(), draw()
    rows = rows_of(model)
    first, second = (row for row in rows if row.kind == "residual")
    assert second.skip is None
    assert first.skip == 0
    found = without(model, first, rows, images)
    model.summed = False
    assert torch.allclose(found, without_any(model, images), atol=1e-6)
    assert (second.place, "bypassed") not in measure_falls(model, rows, images, asked(6)).of


def test_where_a_pass_has_more_sums_than_were_told_apart_there_is_no_fall():
    class Growing(RootSums):
        def forward(self, images):
            maps = self.stem(images)
            for _ in range(1 if len(images) == 1 else 2):
                maps = maps + F.relu(self.inner(maps))
            return maps.mean((2, 3))

    model, images = Growing().eval(), draw()
    rows = rows_of(model)
    row = next(row for row in rows if row.kind == "residual")
    assert without(model, row, rows, images[:1]) is not None
    assert without(model, row, rows, images) is None
    assert (row.place, "bypassed") not in measure_falls(model, rows, images, asked(6)).of


def test_sums_of_torchs_own_transformer_are_left_out_though_its_fast_path_hides_them():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.encoder = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, norm_first=True)

        def forward(self, images):
            return self.encoder(images[:, :, :4, :4].flatten(2).transpose(1, 2).repeat(1, 1, 3)[..., :8]).mean(1)

    model, images = Net().eval(), draw()
    rows = rows_of(model)
    first, second = (row for row in rows if row.kind == "residual")
    expected = images[:, :, :4, :4].flatten(2).transpose(1, 2).repeat(1, 1, 3)[..., :8]
    with torch.no_grad():
        behind = expected + model.encoder._ff_block(model.encoder.norm2(expected))
    assert torch.allclose(without(model, first, rows, images), behind.mean(1), atol=1e-5)
    assert without(model, second, rows, images) is not None
    assert torch.backends.mha.get_fastpath_enabled()


class OwnNorm(nn.Module):
    """A batch normalisation that holds another module, as timm's do, and calls the function itself."""

    def __init__(self, like: nn.BatchNorm2d):
        super().__init__()
        self.weight, self.bias, self.like = like.weight, like.bias, [like]
        self.drop = nn.Identity()

    def forward(self, maps):
        like = self.like[0]
        return self.drop(F.batch_norm(maps, like.running_mean, like.running_var, self.weight, self.bias))


class Modules(nn.Module):
    """Convolution, normalisation, activation and a gate, by modules; told to, without one of them."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.squeeze, self.head = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 1), nn.Linear(4, 2)
        self.norm, self.relu, self.sigmoid = nn.BatchNorm2d(4), nn.ReLU(), nn.Sigmoid()
        self.norm.running_mean.normal_()
        self.norm.running_var.uniform_(0.1, 3)
        self.norm.weight.data.normal_()
        self.head.weight.data *= 30
        self.is_gated = True

    def forward(self, images):
        maps = self.relu(self.norm(self.conv(images)))
        gate = self.sigmoid(self.squeeze(maps.mean((2, 3), keepdim=True)))
        return self.head((gate * maps if self.is_gated else maps).mean((2, 3)))


class Functions(Modules):
    def __init__(self, in_place: bool):
        super().__init__()
        self.norm, self.in_place = OwnNorm(self.norm), in_place

    def forward(self, images):
        maps = F.relu(self.norm(self.conv(images)), inplace=self.in_place)
        gate = torch.sigmoid(self.squeeze(maps.mean((2, 3), keepdim=True)))
        maps = maps.mul_(gate) if self.in_place else gate * maps
        return self.head(maps.mean((2, 3)))


@pytest.mark.parametrize("in_place", [False, True])
def test_what_is_written_by_functions_has_the_falls_of_what_is_written_by_modules(in_place):
    images, falls = draw(40), {}
    for name, model in (("modules", Modules()), ("functions", Functions(in_place))):
        rows = rows_of(model.eval(), images)
        found = measure_falls(model, rows, images, asked(40))
        falls[name] = [
            (row.kind, deed, found.of.get((row.place, deed))) for row in rows for deed in ("bypassed", "shuffled")
        ]
    told = {(kind, deed) for kind, deed, fall in falls["functions"] if fall is not None and abs(fall.fall) > 1e-3}
    assert told >= {
        ("batch norm", "bypassed"), ("batch norm", "shuffled"), ("activation", "bypassed"), ("gate", "bypassed")
    }  # fmt: skip
    for first, second in zip(*falls.values(), strict=True):
        assert first[:2] == second[:2]
        assert (first[2] is None) == (second[2] is None)
        assert first[2] is None or first[2].fall == pytest.approx(second[2].fall, abs=1e-5)


def test_a_gate_is_left_out_where_one_of_its_sides_alone_is_a_map():
    model, images = Modules().eval(), draw()
    rows = rows_of(model)
    found = without(model, next(row for row in rows if row.kind == "gate"), rows, images)
    model.is_gated = False
    assert torch.allclose(found, without_any(model, images), atol=1e-6)

    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 2, 1)

        def forward(self, images):
            maps = self.conv(images)
            return (maps * torch.sigmoid(maps)).mean((2, 3))

    assert [row.skip for row in rows_of(Both()) if row.kind == "gate"] == [None]


def test_batch_norms_of_timm_that_hold_their_activation_have_falls():
    timm = pytest.importorskip("timm")
    model, images = timm.create_model("mobilenetv2_100", num_classes=2).eval(), draw(4, 32)
    rows = rows_of(model, images)
    norms = [row for row in rows if row.kind == "batch norm"]
    assert len(norms) == 52
    assert {row.skip for row in norms} == {0}
    found = measure_falls(model, rows[:8], images, asked(4)).of
    for row in rows[:8]:
        if row.kind == "batch norm":
            assert {(row.place, "bypassed"), (row.place, "shuffled")} <= set(found)


def test_weights_that_a_spectral_norm_makes_are_those_of_the_layer_and_shuffled_with_it():
    torch.manual_seed(0)
    conv = nn.utils.parametrizations.spectral_norm(nn.Conv2d(3, 2, 3))
    model, images = nn.Sequential(conv, nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval(), 9 * draw(20)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    record = describe_layers(model, images, network="normed", asked=asked(20))
    (row,) = (row for row in record.rows if row.params)
    assert (row.name, row.type, row.kind) == ("0", "Conv2d", "head")
    assert row.params == record.params == 2 * 3 * 9 + 2
    assert row.fall_shuffled is not None
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
