"""What the tests of the runtime share: bundles drawn by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("onnx", reason="needs onnx to draw graphs: install etude[train]")

from tests.unit.runtime.drawing import make_contents, make_generator_contents, write_zip


@pytest.fixture(scope="session")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The path of a classifier and of a segmenter."""
    folder = tmp_path_factory.mktemp("bundles")
    return {
        task: write_zip(folder / f"{task}.bundle", make_contents(task, name=name))
        for task, name in (("classification", "colours"), ("segmentation", "pixels"))
    }


@pytest.fixture(scope="session")
def generator_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The path of a conditional generator."""
    return write_zip(tmp_path_factory.mktemp("generators") / "shades.bundle", make_generator_contents())
