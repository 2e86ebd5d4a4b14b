"""How a network is executed here: device, precision, memory format; chosen once, by measuring."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from etude.core.errors import MistakeError, sentence
from etude.core.files import write_json

if TYPE_CHECKING:
    import torch

Precision = Literal["fp32", "bf16", "fp16"]
_WORTH_IT = 1.1  # a lower precision or another memory format must gain this much


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
        return f"{self.device}: {processor_name()}, {torch.get_num_threads()} threads"


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
    if precision == "auto" or memory_format == "auto":
        profile = machine_profile(chosen)
        precision = profile["precision"] if precision == "auto" else precision
        memory_format = profile["memory_format"] if memory_format == "auto" else memory_format
    if precision == "fp16" and chosen.type == "cpu":
        raise MistakeError(sentence("train", "precision", "fp32 or bf16 on a CPU", precision, "Use bf16."))
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


def cache_folder() -> Path:
    """Return the folder for what can be made again: `$ETUDE_CACHE`, else the user's cache folder."""
    given = os.environ.get("ETUDE_CACHE")
    if given:
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "etude"


def processor_name() -> str:
    """Return the processor's name as the system gives it."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


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
    """Time a training step of a small convolutional network each way."""
    lower = _lower_precision(device)
    plain = _step_seconds(Execution(device, "fp32", False))
    seconds = {
        ("fp32", "contiguous"): plain,
        ("fp32", "channels_last"): _step_seconds(Execution(device, "fp32", True)),
        (lower, "contiguous"): _step_seconds(Execution(device, lower, False)),
        (lower, "channels_last"): _step_seconds(Execution(device, lower, True)),
    }
    best = min(seconds, key=lambda way: seconds[way])
    if seconds[best] * _WORTH_IT > plain:
        best = ("fp32", "contiguous")
    return {
        "precision": best[0],
        "memory_format": best[1],
        "measured_ms": {" ".join(way): round(1000 * value, 2) for way, value in seconds.items()},
    }


def _step_seconds(execution: Execution, repeats: int = 5) -> float:
    """Return the fastest of a few training steps, in seconds; infinite where the device can't do it."""
    import torch
    from torch import nn

    try:
        model = execution.place(
            nn.Sequential(
                nn.Conv2d(32, 64, 3, padding=1), nn.BatchNorm2d(64), nn.GELU(), nn.Conv2d(64, 64, 3, padding=1)
            )
        )
        layout = torch.channels_last if execution.channels_last else torch.contiguous_format
        images = torch.full((64, 32, 32, 32), 0.5, device=execution.device).to(memory_format=layout)
        times = []
        for _ in range(repeats + 1):
            start = time.perf_counter()
            with execution.autocast():
                loss = model(images).float().mean()
            loss.backward()
            loss.item()
            times.append(time.perf_counter() - start)
        return min(times[1:])
    except RuntimeError:
        return float("inf")
