"""The runtime where nothing of the extra `train` is installed: every module opens, and the commands answer."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

pytest.importorskip("onnx", reason="needs onnx to draw graphs: install etude[train]")

from tests.unit.runtime.drawing import make_contents, write_zip

ROOT = Path(__file__).parents[2]
BLOCKED = """
import importlib.abc, sys
absent = {"torch", "torchvision", "timm", "matplotlib", "pyarrow", "scipy", "onnx", "onnxscript", "optuna", "cleanlab", "babel",
          "jinja2", "safetensors", "segmentation_models_pytorch", "pandas", "sklearn"}
class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in absent:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Absent())
"""
WALK = """
import importlib, pkgutil, etude.runtime
for found in pkgutil.walk_packages(etude.runtime.__path__, "etude.runtime."):
    importlib.import_module(found.name)
from etude import load
from etude.cli import deploying, library, serving
"""


def test_every_module_of_the_runtime_opens_and_predict_answers(tmp_path: Path) -> None:
    bundle = write_zip(tmp_path / "a.bundle", make_contents())
    code = (
        BLOCKED
        + WALK
        + "sys.argv = ['etude', 'predict', sys.argv[1], '--self-test']\nfrom etude.cli.main import main\nmain()\n"
    )
    told = subprocess.run([sys.executable, "-c", code, str(bundle)], capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    assert "the self-test passed" in told.stdout


def test_the_base_install_names_no_library_of_training() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    base = " ".join(project["dependencies"])
    assert "onnxruntime" in base
    for absent in ("torch", "timm", "matplotlib", "pyarrow", "scipy", "pandas"):
        assert absent not in base


def test_the_runtime_itself_loads_nothing_until_it_is_asked() -> None:
    code = """
import sys, etude.runtime
heavy = {"numpy", "PIL", "pydantic", "onnxruntime", "fastapi"}
assert not heavy & sys.modules.keys(), heavy & sys.modules.keys()
from etude.runtime import load
assert not {"onnxruntime", "fastapi", "PIL.TiffImagePlugin"} & sys.modules.keys()
try:
    etude.runtime.absent
except AttributeError as error:
    print(error)
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    assert "no attribute 'absent'" in told.stdout
