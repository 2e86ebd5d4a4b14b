"""The contract of a bundle: its example, executed, decides as the predictor does."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("onnx", reason="needs onnx to draw graphs: install etude[train]")

from tests.unit.runtime.drawing import make_contents, make_graph, with_record, write_zip

from etude import load
from etude.core.bundle_record import BundleRecord, Logits, Moved, Quantisation, Score, Speed
from etude.core.interval import Interval
from etude.export.documents import contract, model_card

FITS = ("stretch", "crop", "letterbox")
SIZE = 16
NEAR = 2e-3
UPRIGHT_WHEN_TURNED = 6
"""The EXIF orientation of a camera that was held upright: the picture is turned by 90 degrees to be seen."""


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Pictures of another shape than the model's: one that EXIF turns, one that is half transparent."""
    folder = tmp_path_factory.mktemp("pictures")
    y, x = np.mgrid[0:18, 0:29]
    pixels = np.stack([8 * x, 14 * y, 255 - 4 * (x + y)], axis=2).astype(np.uint8)
    exif = Image.Exif()
    exif[0x0112] = UPRIGHT_WHEN_TURNED
    Image.fromarray(pixels).save(folder / "turned.jpg", exif=exif, quality=95)
    alpha = np.where(x < 12, 0, 255).astype(np.uint8)
    Image.fromarray(np.dstack([pixels, alpha])).save(folder / "transparent.png")
    return {path.stem: path for path in folder.iterdir()}


def make_detector() -> bytes:
    """Return a graph of two classes that looks at every place of the picture, each with a weight of its own."""
    from onnx import TensorProto, helper, numpy_helper

    y, x = np.mgrid[0:SIZE, 0:SIZE] / SIZE - 0.5
    weights = np.stack([x, y * y - 0.1, x * y - y], axis=2).reshape(-1, 1) / (SIZE * SIZE * 7)
    initial = {
        "flat": np.array([-1, SIZE * SIZE * 3], np.int64),
        "weights": np.concatenate([np.zeros_like(weights), weights], axis=1).astype(np.float32),
    }
    nodes = [
        helper.make_node("Cast", ["pictures"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Reshape", ["floats", "flat"], ["levels"]),
        helper.make_node("MatMul", ["levels", "weights"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    given = helper.make_tensor_value_info("pictures", TensorProto.UINT8, ["batch", SIZE, SIZE, 3])
    output = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", 2])
    tensors = [numpy_helper.from_array(values, name) for name, values in initial.items()]
    graph = helper.make_graph(nodes, "places", [given], [output], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    model.ir_version = 9
    return model.SerializeToString()


def execute(bundle: Path, picture: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the example of a bundle's contract in a folder that holds what it opens."""
    code = contract(load(bundle).record).split("```python\n")[1].split("```")[0]
    (folder / "the.bundle").write_bytes(bundle.read_bytes())
    (folder / "picture.jpg").write_bytes(picture.read_bytes())
    monkeypatch.chdir(folder)
    exec(compile(code, "the example", "exec"), {})


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("name", ["turned", "transparent"])
def test_the_example_of_a_detector_decides_by_its_threshold(
    pictures, fit: str, name: str, tmp_path: Path, monkeypatch, capsys
) -> None:
    contents = make_contents(size=SIZE, graph_bytes=make_detector(), classes=("no", "yes"), fit=fit, threshold=0.5)
    picture = pictures[name]
    likely = float(load(write_zip(tmp_path / "d.bundle", contents))(picture).probabilities[1])
    # A threshold on the other side of the probability than one half is: the most probable class is the wrong answer.
    threshold = likely - 0.01 if likely < 0.5 else likely + 0.01
    bundle = write_zip(tmp_path / "d.bundle", with_record(contents, threshold=threshold))
    answer = load(bundle)(picture)
    assert answer.id != answer.probabilities.argmax()
    execute(bundle, picture, tmp_path, monkeypatch)
    label, probability = capsys.readouterr().out.split()
    assert label == answer.label
    assert float(probability) == pytest.approx(answer.probability, abs=NEAR)


@pytest.mark.parametrize("name", ["turned", "transparent"])
def test_the_detector_tells_the_fits_apart(pictures, name: str, tmp_path: Path) -> None:
    """A picture of another fit is answered farther away than the example's may lie from the predictor's."""
    answers = []
    for fit in FITS:
        contents = make_contents(size=SIZE, graph_bytes=make_detector(), classes=("no", "yes"), fit=fit)
        answers.append(load(write_zip(tmp_path / f"{fit}.bundle", contents))(pictures[name]).probabilities[1])
    assert min(abs(a - b) for a, b in zip(answers, answers[1:] + answers[:1], strict=True)) > 2 * NEAR


@pytest.mark.parametrize("fit", FITS)
def test_the_example_of_a_segmenter_draws_its_mask(pictures, fit: str, tmp_path: Path, monkeypatch) -> None:
    bundle = write_zip(tmp_path / "m.bundle", make_contents("segmentation", SIZE, fit=fit))
    model = load(bundle)
    ids = model.session.run(model.read(pictures["turned"])[0][None])[0]
    execute(bundle, pictures["turned"], tmp_path, monkeypatch)
    drawn = np.asarray(Image.open(tmp_path / "mask.png"))
    assert len(np.unique(ids)) > 1
    assert (drawn == np.array(model.record.palette, np.uint8)[ids]).all(axis=2).mean() > 0.98


def make_with_logits(task: str, folder: Path, **changes: object) -> Path:
    """Write a bundle whose graph gives logits."""
    shape = (3,) if task == "classification" else (3, SIZE, SIZE)
    told = Logits(shape=shape, pictures=9, size=255.0, moved=Moved(largest=1e-5, typical=1e-6), **changes)
    graph = make_graph(task, SIZE, tells_logits=True)
    return write_zip(folder / "raw.bundle", make_contents(task, SIZE, graph_bytes=graph, logits=told))


def test_the_example_of_a_segmenter_with_logits_draws_its_mask_and_weighs_them(
    pictures, tmp_path: Path, monkeypatch, capsys
) -> None:
    bundle = make_with_logits("segmentation", tmp_path)
    model, picture = load(bundle), pictures["turned"]
    prepared = model.read(picture)[0]
    execute(bundle, picture, tmp_path, monkeypatch)
    drawn = np.asarray(Image.open(tmp_path / "mask.png"))
    assert (drawn == np.array(model.record.palette, np.uint8)[prepared.argmax(2)]).all(axis=2).mean() > 0.98
    shape, share = capsys.readouterr().out.rsplit(" ", 1)
    assert shape == f"(3, {SIZE}, {SIZE})"
    levels = prepared.astype(np.float64)
    shares = np.exp(levels - levels.max(2, keepdims=True))
    assert float(share) == pytest.approx((shares.max(2) / shares.sum(2)).mean(), abs=0.01)


def test_the_example_of_a_classifier_with_logits_tells_them(pictures, tmp_path: Path, monkeypatch, capsys) -> None:
    bundle = make_with_logits("classification", tmp_path)
    execute(bundle, pictures["turned"], tmp_path, monkeypatch)
    answer, told = capsys.readouterr().out.splitlines()
    model = load(bundle)
    assert answer.split()[0] == model(pictures["turned"]).label
    expected = dict(zip(model.classes, model.logits(pictures["turned"]).tolist(), strict=True))
    assert ast.literal_eval(told) == pytest.approx(expected, abs=0.05)


def eight_bits(tmp_path: Path, torch_mb: float | None = None, **more: object) -> BundleRecord:
    """Return the record of a bundle with 8 bits that was made from one with 32."""
    lost = Quantisation(
        metric="accuracy", score_fp32=0.9, score_int8=0.89, loss=1.0, interval=Interval(low=0.0, high=2.0),
        calibration_pictures=8, pictures=10, **more,
    )  # fmt: skip
    speeds = tuple(
        Speed(name=name, p50_ms=1.0, p95_ms=1.0, p99_ms=1.0, images_per_s=1.0, size_mb=1.0, memory_mb=memory_mb)
        for name, memory_mb in (("pytorch", torch_mb), ("int8", 50.0))
    )
    contents = make_contents(
        kind="int8", temperature=3.0, quantisation=lost, speeds=speeds,
        scores=(Score(part="test", metric="accuracy", value=0.9),),
    )  # fmt: skip
    return load(write_zip(tmp_path / "small.bundle", contents)).record


def test_the_card_says_whose_agreement_and_whose_temperature_it_tells(tmp_path: Path) -> None:
    card = model_card(eight_bits(tmp_path, 300.0, agreement=0.987, further=1.5))
    assert "With 32 bits: 100.000% equal decisions on 10 validation pictures" in card
    assert "98.700% of the decisions are those with 32; the accuracy goes from 0.9000 to 0.8900" in card
    assert "answers that the study recorded at the temperature of the graph with 32 bits, 2.0000." in card
    assert "divided by 3.0000 (temperature, fitted on validation to the answers with 8 bits)" in card
    assert "of one picture at a time, of `pytorch` with PyTorch itself and all that it reads a network with." in card


def test_the_card_of_an_earlier_bundle_claims_no_more_than_it_knows(tmp_path: Path) -> None:
    record = eight_bits(tmp_path)
    assert record.quantisation is not None
    assert (record.quantisation.agreement, record.quantisation.further) == (None, None)
    card = model_card(record)
    assert "With 8 bits, on 10 validation pictures, the accuracy goes from" in card
    assert "at the temperature of this bundle." in card
    assert "Memory is that of one picture at a time." in card


def test_the_contract_says_what_the_logits_are(tmp_path: Path) -> None:
    text = contract(load(make_with_logits("segmentation", tmp_path)).record)
    assert f"`logits`: float32 (B, 3, {SIZE}, {SIZE}): picture, class, row, column, the classes in the order" in text
    assert "raw, before any softmax" in text
    averaged = contract(load(make_with_logits("segmentation", tmp_path, views="flip")).record)
    assert "the logarithms of mean probabilities over views (flip)" in averaged
    assert "raw" not in averaged
    coarse = Moved(largest=3.0, typical=0.25)
    assert "they lie 0.25 (root" in contract(load(make_with_logits("segmentation", tmp_path, moved_int8=coarse)).record)
    assert "logits" not in contract(load(write_zip(tmp_path / "m.bundle", make_contents("segmentation", SIZE))).record)
