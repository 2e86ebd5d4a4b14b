import pytest
import torch

from etude.train.config import ScheduleConfig
from etude.train.schedules import lr_factor


@pytest.mark.parametrize("name", ["onecycle", "cosine", "poly", "step", "constant"])
def test_it_starts_low_peaks_at_one_and_never_leaves_zero_to_one(name: str) -> None:
    config = ScheduleConfig(name=name)
    factors = [lr_factor(config, step, 200) for step in range(200)]
    assert max(factors) == pytest.approx(1.0, abs=0.02)
    assert all(0 <= factor <= 1 for factor in factors)


def test_cosine_agrees_with_torch() -> None:
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=1.0)
    reference = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=50)
    config = ScheduleConfig(name="cosine", warmup=0.0)
    for step in range(50):
        assert lr_factor(config, step, 50) == pytest.approx(reference.get_last_lr()[0], abs=1e-6)
        optimizer.step()
        reference.step()


@pytest.mark.parametrize("power", [0.9, 2.0])
def test_poly_agrees_with_torch(power: float) -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    reference = torch.optim.lr_scheduler.PolynomialLR(optimizer, total_iters=100, power=power)
    for step in range(100):
        config = ScheduleConfig(name="poly", power=power)
        assert lr_factor(config, step, 100) == pytest.approx(reference.get_last_lr()[0])
        optimizer.step()
        reference.step()
    assert lr_factor(ScheduleConfig(name="poly", end=0.1), 100, 100) == pytest.approx(0.1)


def test_step_agrees_with_torch() -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    reference = torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones=[50, 75], gamma=0.1)
    for step in range(100):
        assert lr_factor(ScheduleConfig(name="step"), step, 100) == pytest.approx(reference.get_last_lr()[0])
        optimizer.step()
        reference.step()


def test_one_step_and_no_step_do_not_divide_by_zero() -> None:
    assert lr_factor(ScheduleConfig(), 0, 1) == pytest.approx(0.2)
    assert lr_factor(ScheduleConfig(), 0, 0) == pytest.approx(0.2)
