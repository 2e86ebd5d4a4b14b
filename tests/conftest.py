"""What all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# Workers side by side (`pytest -n auto`) would each take all cores. It must be said before torch is loaded.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")


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
