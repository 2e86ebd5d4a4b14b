from pathlib import Path

import pytest
import torch
from torch import nn

from etude.train.averaging import WeightAverage
from etude.train.config import AverageConfig, OptimizerConfig
from etude.train.optimizers import Muon, build_optimizer, last_layer, orthogonalize
from etude.train.state import Progress, read_state, save_state


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4),
    )  # fmt: skip


def step(model: nn.Module, optimizer: torch.optim.Optimizer, seed: int) -> float:
    generator = torch.Generator().manual_seed(seed)
    images, labels = torch.randn(16, 3, 8, 8, generator=generator), torch.arange(16) % 4
    loss = nn.functional.cross_entropy(model(images), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


@pytest.mark.parametrize(("name", "lr"), [("sgd", 0.1), ("adamw", 0.01), ("muon", 0.1)])
def test_it_learns(name: str, lr: float) -> None:
    model = network()
    optimizer = build_optimizer(model, OptimizerConfig(name=name, lr=lr))
    losses = [step(model, optimizer, 0) for _ in range(150)]
    assert min(losses[-10:]) < losses[0] - 0.1


def test_biases_and_norms_do_not_decay_and_every_parameter_is_in_one_group() -> None:
    model = network()
    optimizer = build_optimizer(model, OptimizerConfig(weight_decay=0.1, bias_lr_scale=64, head_lr_scale=2))
    grouped = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    assert len(grouped) == len({id(p) for p in grouped}) == len(list(model.parameters()))
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            assert group["weight_decay"] == (0.1 if parameter.ndim >= 2 else 0.0)
    rates = {id(p): group["peak_lr"] for group in optimizer.param_groups for p in group["params"]}
    assert rates[id(model[1].bias)] == pytest.approx(6.4)
    assert rates[id(model[1].weight)] == pytest.approx(0.1)
    assert rates[id(model[7].weight)] == pytest.approx(0.2)


def test_sgd_without_scales_is_torch_sgd() -> None:
    mine, reference = network(), network()
    ours = build_optimizer(mine, OptimizerConfig(lr=0.05, weight_decay=0))
    theirs = torch.optim.SGD(reference.parameters(), lr=0.05, momentum=0.9, nesterov=True)
    for seed in range(5):
        assert step(mine, ours, seed) == pytest.approx(step(reference, theirs, seed), rel=1e-5)


def test_frozen_parameters_are_left_out() -> None:
    model = network()
    model[0].weight.requires_grad_(False)
    optimizer = build_optimizer(model, OptimizerConfig())
    assert all(p is not model[0].weight for group in optimizer.param_groups for p in group["params"])


@pytest.mark.parametrize("shape", [(16, 16), (8, 64), (64, 8)])
def test_orthogonalize_brings_singular_values_near_one(shape: tuple[int, int]) -> None:
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(orthogonalize(matrix))
    assert values.min() > 0.3
    assert values.max() < 1.3
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    assert (
        torch.nn.functional.cosine_similarity(orthogonalize(matrix).flatten(), (left @ right).flatten(), dim=0) > 0.95
    )


def test_muon_trains_filters_and_leaves_the_head_to_adamw() -> None:
    model = network()
    optimizer = build_optimizer(model, OptimizerConfig(name="muon"))
    assert isinstance(optimizer, Muon)
    by_muon = [p for group in optimizer.param_groups if group["use_muon"] for p in group["params"]]
    assert {id(p) for p in by_muon} == {id(model[0].weight), id(model[3].weight)}
    assert last_layer(model) == "7"


@pytest.mark.parametrize("name", ["sgd", "adamw", "muon"])
@pytest.mark.parametrize("average", ["none", "ema", "lookahead"])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_saved_state_goes_on_bit_for_bit(
    tmp_path: Path, name: str, average: str, layout: torch.memory_format
) -> None:
    def make() -> tuple[nn.Module, torch.optim.Optimizer, WeightAverage]:
        model = network().to(memory_format=layout)
        optimizer = build_optimizer(model, OptimizerConfig(name=name))
        return model, optimizer, WeightAverage(model, AverageConfig(name=average, every=2))

    def train(parts: tuple[nn.Module, torch.optim.Optimizer, WeightAverage], first: int, last: int) -> None:
        for number in range(first, last):
            step(parts[0], parts[1], number)
            parts[2].update(parts[0], number + 1, 8)

    whole = make()
    train(whole, 0, 8)
    begun = make()
    train(begun, 0, 4)
    save_state(tmp_path, Progress(epoch=4), *begun)
    resumed = make()
    saved = read_state(tmp_path)
    assert saved is not None
    saved.restore(*resumed)
    assert saved.progress.epoch == 4
    train(resumed, 4, 8)
    for (key, expected), got in zip(whole[0].state_dict().items(), resumed[0].state_dict().values(), strict=True):
        assert torch.equal(expected, got), key
    for key, tensor in whole[2].tensors.items():
        assert torch.equal(tensor, resumed[2].tensors[key]), key


def test_a_broken_state_file_is_no_state(tmp_path: Path) -> None:
    (tmp_path / "state.safetensors").write_bytes(b"half a file")
    assert read_state(tmp_path) is None


def test_ema_approaches_constant_weights_and_swap_is_its_own_inverse() -> None:
    model = network()
    average = WeightAverage(model, AverageConfig(name="ema", decay=0.9))
    before = model[0].weight.detach().clone()
    with torch.no_grad():
        model[0].weight.add_(1.0)
    for number in range(100):
        average.update(model, number + 1, 100)
    assert torch.allclose(average.tensors["0.weight"], before + 1, atol=1e-3)
    average.swap(model)
    average.swap(model)
    assert torch.equal(model[0].weight, before + 1)


def test_lookahead_ends_on_its_average() -> None:
    model = network()
    average = WeightAverage(model, AverageConfig(name="lookahead", every=5, decay=0.8))
    optimizer = build_optimizer(model, OptimizerConfig())
    for number in range(12):
        step(model, optimizer, number)
        average.update(model, number + 1, 12)
    assert torch.equal(model[0].weight, average.tensors["0.weight"])
