"""The contract of every model: shapes, determinism, gradients, state, memory formats and precisions."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file, save_file

from etude.models import MODELS, build_model, card_of, count_macs, count_parameters, is_trainable, resolve_spec

SIZES_PX = [(32, 32), (40, 24)]
OWN = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, num_classes, channels=4):
        super().__init__()
        self.conv = nn.Conv2d(3, channels, 3, stride=2)
        self.head = nn.Linear(channels, num_classes)

    def forward(self, x):
        return self.head(torch.relu(self.conv(x)).mean((2, 3)))
"""
PLAIN = [name for name in MODELS if name not in ("python", "timm") and "classification" in MODELS[name].tasks]
VARIANTS = [
    {"name": "mlp", "batch_norm": True, "activation": "silu", "dropout": 0.1},
    {"name": "cnn", "pool": "stride", "activation": "elu", "batch_norm": False, "block_dropout": 0.1},
    {"name": "cnn", "depth": 2, "convs": [1, 3], "kernel_px": 5, "pool": "avg", "head_pool": "max", "head_width": 8},
    {"name": "resnet", "depth": 8, "width": 0.5, "pre_activation": True},
    {"name": "resnet", "depth": 8, "width": 0.5, "shortcut": "conv", "dropout": 0.2},
    {"name": "airnet", "widths": [8, 16], "width": 0.5},
]


@pytest.fixture(
    scope="module",
    params=[*PLAIN, "python", pytest.param("timm", marks=pytest.mark.slow), *VARIANTS],
    ids=lambda spec: spec if isinstance(spec, str) else "-".join([spec["name"], *list(spec)[1:]]),
)
def spec(request, tmp_path_factory):
    if request.param == "python":
        file = tmp_path_factory.mktemp("own") / "nets.py"
        file.write_text(OWN)
        return {"python": f"{file}:Net", "channels": 6}
    return "mobilenetv3_small_050" if request.param == "timm" else request.param


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Keep to one thread: such small work on several waits for the slowest, which a busy machine makes very slow."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def draw(size_px, batch=4):
    return torch.rand(batch, 3, *size_px, generator=torch.Generator().manual_seed(1)) - 0.5


@pytest.fixture(scope="module", params=SIZES_PX, ids=str)
def size_px(request):
    return request.param


@pytest.mark.parametrize("n_outputs", [2, 10])
def test_logits_have_one_column_an_output(spec, size_px, n_outputs):
    model = build_model(spec, n_outputs=n_outputs, size_px=size_px, seed=0)
    logits = model(draw(size_px))
    assert model.training
    assert logits.shape == (4, n_outputs)
    assert logits.dtype == torch.float32
    assert torch.isfinite(logits).all()


def test_same_seed_same_weights_and_the_callers_random_state_is_kept(spec):
    torch.manual_seed(7)
    before = torch.get_rng_state()
    first, again, other = (
        build_model(spec, n_outputs=3, size_px=(32, 32), seed=seed).state_dict() for seed in (0, 0, 1)
    )
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(first[name], again[name]) for name in first)
    if any(True for _ in build_model(spec, n_outputs=3, size_px=(32, 32), seed=0).parameters()):
        assert any(not torch.equal(first[name], other[name]) for name in first)


def test_every_trainable_parameter_has_a_finite_gradient(spec, size_px):
    model = build_model(spec, n_outputs=10, size_px=size_px, seed=0)
    if not is_trainable(model):
        return
    loss = torch.nn.functional.cross_entropy(model(draw(size_px)), torch.tensor([0, 3, 5, 9]))
    loss.backward()
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, name
            assert torch.isfinite(parameter.grad).all(), name
        else:
            assert parameter.grad is None, name


def test_one_step_lowers_the_loss(spec):
    model = build_model(spec, n_outputs=2, size_px=(32, 32), seed=0)
    if not is_trainable(model):
        return
    images, targets = draw((32, 32), 8), torch.tensor([0, 1] * 4)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-3)
    losses = []
    for _ in range(5):
        loss = torch.nn.functional.cross_entropy(model(images), targets)
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert min(losses[1:]) < losses[0]


def test_state_makes_the_round_trip_through_safetensors(spec, tmp_path):
    size_px = (32, 32)
    model = build_model(spec, n_outputs=3, size_px=size_px, seed=0)
    model(draw(size_px))  # moves running statistics away from their first values
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    other = build_model(spec, n_outputs=3, size_px=size_px, seed=5)
    other.load_state_dict(load_file(tmp_path / "model.safetensors"))
    assert torch.equal(model.eval()(draw(size_px)), other.eval()(draw(size_px)))
    named = {"name": spec} if isinstance(spec, str) else spec
    third = build_model(
        {**named, "checkpoint": str(tmp_path / "model.safetensors")}, n_outputs=3, size_px=size_px, seed=9
    )
    assert torch.equal(model(draw(size_px)), third.eval()(draw(size_px)))


def test_a_picture_alone_gives_what_it_gives_in_a_batch(spec):
    model = build_model(spec, n_outputs=3, size_px=(32, 32), seed=0).eval()
    images = draw((32, 32))
    torch.testing.assert_close(model(images[:1]), model(images)[:1], rtol=1e-4, atol=1e-5)


def test_channels_last_and_bfloat16_give_nearly_the_same(spec):
    model = build_model(spec, n_outputs=3, size_px=(32, 32), seed=0).eval()
    images = draw((32, 32))
    plain = model(images)
    model = model.to(memory_format=torch.channels_last)
    last = images.to(memory_format=torch.channels_last)
    torch.testing.assert_close(model(last), plain, rtol=1e-4, atol=1e-5)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        halved = model(last).float()
    assert (halved - plain).abs().max() <= 0.05 * plain.abs().max() + 0.02


def test_bfloat16_training_gives_finite_gradients(spec):
    model = build_model(spec, n_outputs=3, size_px=(32, 32), seed=0).to(memory_format=torch.channels_last)
    if not is_trainable(model):
        return
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = model(draw((32, 32)).to(memory_format=torch.channels_last))
    torch.nn.functional.cross_entropy(logits.float(), torch.tensor([0, 1, 2, 0])).backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.requires_grad)


def test_what_was_resolved_builds_the_same_network(spec):
    resolved = resolve_spec(spec)
    direct = build_model(spec, n_outputs=3, size_px=(32, 32), seed=0).state_dict()
    for again in (resolved, resolved.full, resolved.spec):
        rebuilt = build_model(again, n_outputs=3, size_px=(32, 32), seed=0).state_dict()
        assert all(torch.equal(direct[name], rebuilt[name]) for name in direct)
    assert resolve_spec(resolved.full).identity == resolved.identity


def test_card_and_costs(spec):
    card = card_of(spec)
    assert card.sentence.endswith((".", "`."))
    assert 1 <= card.min_px <= card.input_px
    model = build_model(spec, n_outputs=3, size_px=(32, 32), seed=0)
    assert count_parameters(model) == sum(p.numel() for p in model.parameters())
    if is_trainable(model):
        assert count_macs(model, (32, 32)) > 0


@pytest.mark.parametrize("name", PLAIN)
def test_the_smallest_size_of_the_card_is_accepted(name):
    card = card_of(name)
    model = build_model(name, n_outputs=3, size_px=(card.min_px, card.min_px), seed=0).eval()
    assert model(draw((card.min_px, card.min_px))).shape == (4, 3)
