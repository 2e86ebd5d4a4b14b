"""The real server against its own description of itself (OpenAPI), asked by schemathesis."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("onnx", reason="needs onnx to draw graphs: install etude[train]")
if importlib.util.find_spec("schemathesis") is None:
    pytest.skip("needs schemathesis", allow_module_level=True)

from tests.integration.test_serve import Server
from tests.unit.runtime.drawing import make_contents, make_generator_contents, write_zip

from etude.runtime.serving.keys import add_key


def test_statuses_types_bodies_and_keys_are_as_described(tmp_path: Path) -> None:
    bundles = [
        write_zip(tmp_path / f"{name}.bundle", make_contents(task, name=name))
        for task, name in (("classification", "colours"), ("segmentation", "pixels"))
    ]
    bundles.append(write_zip(tmp_path / "made.bundle", make_generator_contents()))
    key = add_key(tmp_path / "keys.txt", "tests")
    server = Server(*map(str, bundles), "--keys", str(tmp_path / "keys.txt"))
    # A description cannot say that bytes are a picture: that is the one check that is left out.
    command = [
        sys.executable, "-m", "schemathesis.cli", "run", f"{server.address}/openapi.json",
        "-H", f"Authorization: Bearer {key}", "--exclude-checks", "positive_data_acceptance", "--max-examples", "10",
        "--phases", "examples,coverage,fuzzing", "--seed", "1", "--no-shrink", "--no-color",
        "--report", "json", "--report-json-path", "report.json",
    ]  # fmt: skip
    told = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert server.stop() == 0
    assert told.returncode == 0, told.stdout[-5000:] + told.stderr[-1000:]
    report = json.loads((tmp_path / "report.json").read_text())
    assert (report["operations"]["tested"], report["failures"], report["errors"]) == (7, [], [])
    statuses = {event["status"] for event in server.events() if event["event"] == "request"}
    assert {200, 401, 404, 405, 422} <= statuses
