"""The table of variants: PyTorch, the graph with 32 bits and the graph with 8, measured in turns on this machine."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Final

import torch

from etude.core.bundle_record import Speed
from etude.export.asking import ask_network
from etude.export.graph import OUTPUTS, Deployed, silence, was_interrupted
from etude.export.request import Request, Told
from etude.pictures.reading import SizePx
from etude.runtime.measuring import measure_answering

_PATIENCE_S: Final = 300


def measure_variants(request: Request, deployed: Deployed, graphs: dict[str, bytes], told: Told) -> tuple[Speed, ...]:
    """Measure every variant.

    Args:
        request: what is exported.
        deployed: the network, whose times are measured in this process, and whose memory in one of its own.
        graphs: the graphs by name, each measured in a process of its own.
        told: hears why the memory of the network is not known, where it is not.
    """
    size_px = (request.prepare.height_px, request.prepare.width_px)
    eager = measure_answering(
        "pytorch", lambda pictures: ask_network(deployed, pictures), size_px, request.weights.stat().st_size
    )
    # This process has trained, opened the pictures, asked the graphs: what it holds says nothing of the network.
    memory_mb, reason = eager_memory_mb(deployed, size_px)
    if memory_mb is None:
        told(f"the memory that PyTorch takes is not measured: {reason}")
    return (
        replace(eager, memory_mb=memory_mb),
        *(_measure_graph(name, graph, request.task, size_px) for name, graph in graphs.items()),
    )


def eager_memory_mb(deployed: Deployed, size_px: SizePx) -> tuple[float | None, str]:
    """Return the peak memory in MiB of a process that answers with PyTorch, which has PyTorch itself in it.

    The network goes there as an exported program of one picture: the code that defines it may be the user's own.

    Args:
        deployed: the network.
        size_px: height and width of its pictures.

    Returns:
        The memory; where there is none, why.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "network.pt2"
        try:
            one_BHWC = torch.zeros(1, *size_px, 3, dtype=torch.uint8)
            with silence(), torch.no_grad():
                torch.export.save(torch.export.export(deployed.eval(), (one_BHWC,), strict=False), file)
            command = [sys.executable, "-m", "etude.export.eager", str(file), *map(str, size_px)]
            told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=_PATIENCE_S)
            memory_mb: float | None = json.loads(told.stdout.splitlines()[-1])
        except Exception as error:  # PyTorch raises nearly anything where it cannot export; the bundle needs none of it
            if was_interrupted(error):
                raise KeyboardInterrupt from error
            return None, _reason(error)
    return memory_mb, "" if memory_mb is not None else "this system does not tell it"


def _reason(error: Exception) -> str:
    """Return the one line that says most of why something failed."""
    if isinstance(error, subprocess.CalledProcessError) and error.stderr:
        return str(error.stderr).strip().splitlines()[-1][:200]
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def _measure_graph(name: str, graph: bytes, task: str, size_px: SizePx) -> Speed:
    with tempfile.NamedTemporaryFile(suffix=".onnx") as file:
        Path(file.name).write_bytes(graph)
        command = [sys.executable, "-m", "etude.runtime.measuring", file.name, OUTPUTS[task], *map(str, size_px)]
        told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    return Speed.read({**json.loads(told.stdout), "name": name})
