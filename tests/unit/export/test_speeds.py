"""What PyTorch takes to answer, measured in a process of its own; where it cannot be, the export goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch: install etude[train]")

from etude.export.graph import Deployed  # noqa: E402
from etude.export.speeds import eager_memory_mb  # noqa: E402
from etude.pictures.prepare_config import Prepare  # noqa: E402

PREPARE = Prepare(size_px=(16, 24), normalize="imagenet")


class Own(torch.nn.Module):
    """A network of somebody's own: the process that measures it cannot import this."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.head = torch.nn.Conv2d(3, 8, 3, 2, 1), torch.nn.Linear(8, 4)

    def forward(self, images_BCHW: torch.Tensor) -> torch.Tensor:
        return self.head(self.first(images_BCHW).relu().mean((2, 3)))


class Undecided(torch.nn.Module):
    """Does what no exported program can: it looks at the numbers to choose what it does."""

    def forward(self, images_BCHW: torch.Tensor) -> torch.Tensor:
        means = images_BCHW.mean((2, 3))
        return means if bool(means.sum() > 0) else -means


def deploy(model: torch.nn.Module, **more: object) -> Deployed:
    torch.manual_seed(0)
    return Deployed(model, PREPARE, "classification", temperature=1.5, **more).eval()


def test_the_memory_of_pytorch_is_measured_in_a_process_of_its_own() -> None:
    memory_mb, reason = eager_memory_mb(deploy(Own()), (16, 24))
    assert reason == ""
    assert memory_mb is not None
    assert 50 < memory_mb < 2000, "with PyTorch itself in it"


def test_a_network_that_tells_familiarity_and_logits_is_measured_too() -> None:
    means_KD = torch.nn.functional.normalize(torch.randn(4, 8), dim=1)
    memory_mb, reason = eager_memory_mb(deploy(Own(), head="head", means_KD=means_KD, tells_logits=True), (16, 24))
    assert (memory_mb is not None, reason) == (True, "")


def test_what_cannot_be_measured_says_why() -> None:
    memory_mb, reason = eager_memory_mb(deploy(Undecided()), (16, 24))
    assert memory_mb is None
    assert 0 < len(reason) <= 200
    assert "\n" not in reason


def test_a_process_that_fails_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.export, "save", lambda program, file: Path(file).write_bytes(b"no program"))
    memory_mb, reason = eager_memory_mb(deploy(Own()), (16, 24))
    assert memory_mb is None
    assert reason


def test_ctrl_c_is_not_taken_for_a_network_that_cannot_be_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*args: object, **kwargs: object) -> None:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt as error:
            raise RuntimeError("cannot be exported") from error

    monkeypatch.setattr(torch.export, "export", interrupted)
    with pytest.raises(KeyboardInterrupt):
        eager_memory_mb(deploy(Own()), (16, 24))
