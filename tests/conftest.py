"""What all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# Workers side by side (`pytest -n auto`) would each take all cores. It must be said before torch is loaded.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# A network at hand adds findings of its own to each check: only the tests that want one see it.
_WEIGHTS = os.environ.pop("ETUDE_WEIGHTS", None)


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep the tests away from the user's cache; what this machine measures is measured once a session."""
    os.environ["ETUDE_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def real_data() -> Path:
    """Return the folder of real pictures, or skip."""
    folder = os.environ.get("ETUDE_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("needs real pictures: set ETUDE_DATA to their folder")
    return Path(folder)


@pytest.fixture
def real_weights() -> Path:
    """Return the folder of real weights, or skip."""
    folder = Path(_WEIGHTS or Path(os.environ.get("ETUDE_DATA", ".")).parent / "weights")
    if not list(folder.glob("mobilenetv2_100*.safetensors")):
        pytest.skip(f"mobilenetv2_100*.safetensors is not in {folder}: set ETUDE_WEIGHTS to the folder that has it")
    return folder
