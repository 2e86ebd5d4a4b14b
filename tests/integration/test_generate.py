"""From a tiny study of generators to a bundle, and from the bundle to files, without PyTorch."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from etude import Study, load_generator
from etude.core.errors import GateError, MistakeError
from etude.core.generation_record import GenerationRecord
from etude.export.exporting import export_bundle
from etude.export.request import Wishes
from etude.study.deploying import export_request

STUDY = """
study: drawn
question: What do two dozen drawings allow?
task: generation
data: {source: shapes, classes: [disc, square], split: {train_items: 24, validation: 0.1}}
prepare: {size_px: 32}
train: {steps: 4, batch: 4, precision: fp32, adversarial: {look_every: 4, collapse: 0}}
candidates:
  conditional: {model: {name: fastgan, width: 4, most_width: 16, latent: 8, conditional: true}}
protocol: {seeds: 1, generation: {pictures: 40, features: pixels}}
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("generate")
    Study.from_text(STUDY).run(folder)
    return folder


@pytest.fixture(scope="module")
def bundle(results: Path) -> Path:
    path = results / "shapes.bundle"
    export_bundle(export_request("drawn", results, name="shapes"), Wishes(to=path), lambda text: None)
    return path


def test_the_bundle_tells_what_the_study_measured(results: Path, bundle: Path) -> None:
    record = load_generator(bundle).record
    measured = GenerationRecord.load(results / "drawn/runs" / record.origin.run / "generation.json")
    assert {score.metric: score.value for score in record.scores} == {one.name: one.value for one in measured.measures}
    assert {score.metric: score.interval for score in record.scores} == {
        one.name: one.interval for one in measured.measures
    }  # fmt: skip
    assert all(score.part == "test" for score in record.scores)
    assert all(score.interval.low < score.value < score.interval.high for score in record.scores if score.interval)
    assert any(score.interval for score in record.scores)
    assert (record.task, record.latent, record.conditional) == ("generation", 8, True)
    assert record.classes == ("disc", "square")
    assert record.gate.agreement > 0.999
    assert record.gate.pictures == 64
    assert {speed.name for speed in record.speeds} == {"pytorch", "fp32"}
    assert "over the pixels, made small" in record.data.notes[-1]
    with zipfile.ZipFile(bundle) as packed:
        card = packed.read("MODEL_CARD.md").decode()
    for told in ("Intended use", "photographs", "near_copies", "Personal data", "What do two dozen drawings allow?"):
        assert told in card


def test_it_generates_what_the_network_does(results: Path, bundle: Path) -> None:
    from etude.export.generator import DeployedGenerator
    from etude.runtime.latents import draw_latents

    deployed = DeployedGenerator(export_request("drawn", results).model)
    expected = deployed.generate(draw_latents(5, range(6), 8), np.array([0, 1, 0, 1, 0, 1]))
    made = load_generator(bundle)(6, seed=5)
    assert np.abs(made.astype(int) - expected.astype(int)).max() <= 1
    assert made.std() > 0


def test_the_command_line_writes_marked_files_without_pytorch(bundle: Path, tmp_path: Path) -> None:
    code = "import sys; sys.modules['torch'] = None; sys.argv[0] = 'etude'; from etude.cli.main import main; main()"
    words = ["generate", str(bundle), "--count", "6", "--seed", "7", "--to", "made", "--class", "square", "--json"]
    told = subprocess.run(
        [sys.executable, "-c", code, *words], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, told.stderr
    files = [tmp_path / file for file in json.loads(told.stdout)["files"]]
    assert [file.parent.name for file in files] == ["square"] * 6
    generator = load_generator(bundle)
    with Image.open(files[3]) as picture:
        np.testing.assert_array_equal(np.asarray(picture), generator(1, seed=7, label="square", first=3)[0])
        assert generator.graph_sha256 in picture.text["Description"]


def test_the_contract_s_example_runs_as_it_stands(bundle: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(bundle) as packed:
        code = packed.read("CONTRACT.md").decode().split("```python\n")[1].split("```")[0]
    (tmp_path / "the.bundle").write_bytes(bundle.read_bytes())
    told = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    assert Image.open(tmp_path / "generated-3.png").size == (32, 32)


def test_a_disagreement_is_refused_and_so_are_8_bits(
    results: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from etude.export import generator

    request = export_request("drawn", results)
    path = tmp_path / "wrong.bundle"
    with pytest.raises(MistakeError, match="--int8 must be left out for a generator"):
        export_bundle(request, Wishes(to=path, int8=True), lambda text: None)
    honest = generator.DeployedGenerator.generate
    monkeypatch.setattr(generator.DeployedGenerator, "generate", lambda self, *given: 255 - honest(self, *given))
    with pytest.raises(GateError, match=r"Nothing was written"):
        export_bundle(request, Wishes(to=path, measure=False), lambda text: None)
    assert not path.exists()
