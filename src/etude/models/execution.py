"""How a network is executed here: device, precision, memory format; chosen once, by measuring."""

from __future__ import annotations

import contextlib
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from etude.core.allocator import keep_freed_memory
from etude.core.counting import how_many
from etude.core.errors import MistakeError, sentence
from etude.core.files import write_json
from etude.core.machine import cache_folder, processor_name

if TYPE_CHECKING:
    import torch

Precision = Literal["fp32", "bf16", "fp16"]
_ROUNDS = 20
_SECONDS = 1.5  # for all rounds, once there were three
_MARGIN = 1.2  # the usual way is kept unless another is this many times as fast


@dataclass(frozen=True)
class Execution:
    """Where and how a network runs."""

    device: torch.device
    precision: Precision
    channels_last: bool

    def place(self, model: torch.nn.Module) -> torch.nn.Module:
        """Move a model to the device, in the memory format."""
        import torch

        layout = torch.channels_last if self.channels_last else torch.contiguous_format
        return model.to(device=self.device, memory_format=layout)  # type: ignore[call-overload, no-any-return]

    def autocast(self) -> contextlib.AbstractContextManager[Any]:
        """Return the context in which the forward pass runs."""
        import torch

        if self.precision == "fp32":
            return contextlib.nullcontext()
        dtype = torch.bfloat16 if self.precision == "bf16" else torch.float16
        return torch.autocast(self.device.type, dtype=dtype)

    def words(self) -> str:
        """Say the device in words, such as 'cuda: NVIDIA T4'."""
        import torch

        if self.device.type == "cuda":
            return f"{self.device}: {torch.cuda.get_device_name(self.device)}"
        return f"{self.device}: {processor_name()}, {how_many(torch.get_num_threads(), 'thread')}"


def choose_execution(device: str = "auto", precision: str = "auto", memory_format: str = "auto") -> Execution:
    """Resolve `auto` into what measures fastest on this machine.

    Args:
        device: auto, cpu, cuda, cuda:N or mps.
        precision: auto, fp32, bf16 or fp16.
        memory_format: auto, contiguous or channels_last.

    Raises:
        MistakeError: if the device is unknown or absent, or cannot do the precision.
    """
    chosen = choose_device(device)
    if chosen.type == "cpu":
        keep_freed_memory()
    if precision == "auto" or memory_format == "auto":
        profile = machine_profile(chosen)
        precision = profile["precision"] if precision == "auto" else precision
        memory_format = profile["memory_format"] if memory_format == "auto" else memory_format
    if precision == "fp16" and chosen.type == "cpu":
        raise MistakeError(sentence("train", "precision", "fp32 or bf16 on a CPU", precision, "Use bf16.")).at(
            "train", "precision"
        )
    return Execution(chosen, precision, memory_format == "channels_last")  # type: ignore[arg-type]


def choose_device(name: str) -> torch.device:
    """Return the device `name`; for `auto` CUDA, then MPS, then the CPU.

    Raises:
        MistakeError: if the device is unknown or absent.
    """
    import torch

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        rule = "auto, cpu, or a cuda or mps device that this machine has"
        raise MistakeError(sentence("etude", "--device", rule, name, "Use --device auto.")) from error
    return device


def machine_profile(device: torch.device) -> dict[str, Any]:
    """Return the precision and memory format that measure fastest on this device.

    They are measured once and kept in the user's cache, so that every later run makes the same
    choice: a choice that moved with the noise of the machine would change results from run to run.
    """
    import torch

    key = f"{_device_key(device)}, {torch.get_num_threads()} threads, torch {torch.__version__}"
    path = cache_folder() / "machine.json"
    known: dict[str, Any] = {}
    with contextlib.suppress(OSError, ValueError):
        known = json.loads(path.read_bytes())
    if key not in known:
        known[key] = _measure_profile(device)
        with contextlib.suppress(Exception):  # a read-only home costs one second at each start, no more
            write_json(path, known)
    return dict(known[key])


def _device_key(device: torch.device) -> str:
    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type} {processor_name()}"


def _lower_precision(device: torch.device) -> Precision:
    """Return the lower precision to try: bfloat16 where it is native, float16 on older GPUs."""
    import torch

    if device.type == "cuda":
        return "bf16" if torch.cuda.get_device_capability(device) >= (8, 0) else "fp16"
    return "bf16"


def _measure_profile(device: torch.device) -> dict[str, Any]:
    """Time a training step of a small convolutional network each way, in turns; keep the fastest of each."""
    lower = _lower_precision(device)
    ways = {
        f"{precision} {'channels_last' if channels_last else 'contiguous'}": Execution(device, precision, channels_last)
        for precision in ("fp32", lower)
        for channels_last in (False, True)
    }
    steps = {name: _make_step(execution) for name, execution in ways.items()}
    best_ms = dict.fromkeys(ways, math.inf)
    started = time.perf_counter()
    for number in range(_ROUNDS):
        for name, step in steps.items():
            best_ms[name] = min(best_ms[name], 1000 * step())
        if number >= 2 and time.perf_counter() - started > _SECONDS:
            break
    precision, memory_format = choose_way(best_ms, lower).split()
    measured = {name: round(value, 2) for name, value in best_ms.items() if math.isfinite(value)}
    return {"precision": precision, "memory_format": memory_format, "measured_ms": measured}


def choose_way(best_ms: dict[str, float], lower: str) -> str:
    """Return the way to run: the usual one, unless another is clearly faster.

    Convolutions want the channels last and, where it is native, the lower precision. A busy machine measures badly,
    so another way must be faster by a margin to be chosen.

    >>> choose_way({"bf16 channels_last": 10, "bf16 contiguous": 9.5, "fp32 channels_last": 20}, "bf16")
    'bf16 channels_last'
    >>> choose_way({"bf16 channels_last": 30, "bf16 contiguous": 31, "fp32 channels_last": 20}, "bf16")
    'fp32 channels_last'
    """
    usual = [f"{lower} channels_last", f"{lower} contiguous", "fp32 channels_last", "fp32 contiguous"]
    known = [way for way in usual if way in best_ms]
    limit = _MARGIN * min(best_ms.values())
    return next(way for way in known if best_ms[way] <= limit)


def _make_step(execution: Execution) -> Callable[[], float]:
    """Return what makes a training step and gives its seconds; infinite where the device can't do it."""
    import torch
    from torch import nn

    layout = torch.channels_last if execution.channels_last else torch.contiguous_format
    model = execution.place(
        nn.Sequential(nn.Conv2d(32, 64, 3, padding=1), nn.BatchNorm2d(64), nn.GELU(), nn.Conv2d(64, 64, 3, padding=1))
    )
    images = torch.full((32, 32, 32, 32), 0.5, device=execution.device).to(memory_format=layout)

    def step() -> float:
        started = time.perf_counter()
        try:
            with execution.autocast():
                loss = model(images).float().mean()
            loss.backward()
            loss.item()
        except RuntimeError:
            return math.inf
        return time.perf_counter() - started

    return step
