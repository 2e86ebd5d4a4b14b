"""The table of variants: PyTorch, the graph with 32 bits and the graph with 8, measured in turns on this machine."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from etude.core.bundle_record import Speed
from etude.export.asking import ask_network
from etude.export.graph import OUTPUTS, Deployed
from etude.export.request import Request
from etude.runtime.measuring import measure_answering


def measure_variants(request: Request, deployed: Deployed, graphs: dict[str, bytes]) -> tuple[Speed, ...]:
    """Measure every variant.

    Args:
        request: what is exported.
        deployed: the network, which is measured in this process; its memory is not.
        graphs: the graphs by name, each measured in a process of its own.
    """
    size_px = (request.prepare.height_px, request.prepare.width_px)
    eager = measure_answering(
        "pytorch", lambda pictures: ask_network(deployed, pictures), size_px, request.weights.stat().st_size
    )
    # This process has trained, opened the pictures, asked the graphs: what it holds says nothing of the network.
    return (
        replace(eager, memory_mb=None),
        *(_measure_graph(name, graph, request.task, size_px) for name, graph in graphs.items()),
    )


def _measure_graph(name: str, graph: bytes, task: str, size_px: tuple[int, int]) -> Speed:
    with tempfile.NamedTemporaryFile(suffix=".onnx") as file:
        Path(file.name).write_bytes(graph)
        command = [sys.executable, "-m", "etude.runtime.measuring", file.name, OUTPUTS[task], *map(str, size_px)]
        told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    return Speed.read({**json.loads(told.stdout), "name": name})
