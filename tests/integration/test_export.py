"""From a tiny study to a bundle that answers as its network does, without PyTorch."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tests.integration.tiny_studies import draw_colours, run_colours, run_masks

from etude import load
from etude.core.errors import GateError, MistakeError
from etude.core.run_record import RunRecord
from etude.core.words import Part
from etude.data.source import open_source
from etude.evaluate.predictions import Predictions
from etude.export.asking import as_trained, bundle_answers
from etude.export.certainty import choose_certainty, further_temperature
from etude.export.exporting import export_bundle
from etude.export.graph import Deployed
from etude.export.request import Wishes
from etude.metrics.calibration import with_temperature
from etude.runtime.predictor import Predictor
from etude.runtime.reference import drawn_pictures
from etude.study.deploying import export_request


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_colours(tmp_path_factory.mktemp("export"))


@pytest.fixture(scope="module")
def mask_results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_masks(tmp_path_factory.mktemp("masks"))


@pytest.fixture(scope="module")
def bundle(results: Path) -> Path:
    path = results / "strong.bundle"
    request = replace(export_request("colours", results, name="strong"), metric="f1_macro")
    export_bundle(request, Wishes(to=path, int8=True, max_loss=100, measure=False), lambda text: None)
    return path


@pytest.fixture(scope="module")
def plain_bundle(results: Path) -> Path:
    path = results / "plain"
    export_bundle(export_request("colours", results), Wishes(to=path, measure=True, as_folder=True), lambda text: None)
    return path


def test_the_bundle_answers_as_the_run_did(results: Path, plain_bundle: Path) -> None:
    model = load(plain_bundle, threads=1)
    record = model.record
    run = results / "colours/runs" / record.origin.run
    kept = Predictions.read(run / "predictions.parquet", Part.TEST)
    source = open_source(str(results / "photos"))
    positions = {str(item): at for at, item in enumerate(source.items.ids)}
    raws = [source.raw(positions[str(item)]) for item in kept.ids[:40]]
    answers = np.stack([answer.probabilities for answer in model(raws)])
    assert record.temperature is not None
    np.testing.assert_allclose(answers, with_temperature(kept.probabilities[:40], record.temperature), atol=1e-4)
    assert record.gate.agreement == 1.0
    assert record.gate.pictures == len(Predictions.read(run / "predictions.parquet", Part.VALIDATION))


def test_the_record_tells_scores_origin_and_speeds(plain_bundle: Path) -> None:
    record = load(plain_bundle).record
    run = RunRecord.load(plain_bundle.parent / "colours/runs" / record.origin.run / "run.json")
    test = next(score for score in record.scores if score.part == "test")
    assert test.value == run.test["accuracy"]
    assert test.interval is not None
    assert test.interval.low <= test.value <= test.interval.high
    assert {speed.name for speed in record.speeds} == {"pytorch", "fp32"}
    fp32, eager = (next(speed for speed in record.speeds if speed.name == name) for name in ("fp32", "pytorch"))
    assert fp32.memory_mb is not None
    assert 20 < fp32.memory_mb < 300
    assert eager.memory_mb is not None
    assert fp32.memory_mb < eager.memory_mb < 2000
    card = (plain_bundle / "MODEL_CARD.md").read_text()
    for told in ("Intended use", "Excluded uses", "Personal data", "Licence", "Which colour is strongest?"):
        assert told in card
    assert not any(name.endswith((".pkl", ".pt", ".pickle")) for name in record.files)


def test_int8_is_smaller_tells_its_loss_and_is_another_graph(bundle: Path, plain_bundle: Path) -> None:
    record, plain = load(bundle).record, load(plain_bundle).record
    assert record.kind == "int8"
    lost = record.quantisation
    assert lost is not None
    assert lost.interval.low <= lost.loss <= lost.interval.high
    own = {score.metric: score.value for score in record.scores if score.part == "validation"}
    assert lost.score_int8 == own["accuracy"]
    assert lost.score_fp32 == next(score for score in plain.scores if score.part == "validation").value
    assert [entry.metric for entry in lost.losses] == ["accuracy", "f1_macro"]
    assert lost.agreement is not None
    assert 0 <= lost.agreement <= 1
    assert record.files["model.onnx"].sha256 != plain.files["model.onnx"].sha256
    with zipfile.ZipFile(bundle) as packed:
        assert packed.read("model.onnx").count(b"QuantizeLinear") > 4
        card = packed.read("MODEL_CARD.md").decode()
    assert f"the accuracy goes from {lost.score_fp32:.4f} to {lost.score_int8:.4f}" in card
    assert lost.own is not None
    assert f"the f1_macro goes from {lost.own.score_fp32:.4f} to {lost.own.score_int8:.4f}" in card
    assert "Those on validation are of the answers of this bundle, with 8 bits." in card


@pytest.mark.parametrize("kind", ["plain_bundle", "bundle"])
def test_the_scores_are_those_of_the_bundle_s_own_answers_and_temperature(
    results: Path, kind: str, request: pytest.FixtureRequest
) -> None:
    model = load(request.getfixturevalue(kind), threads=1)
    record, exported = model.record, export_request("colours", results)
    validation = exported.indices(Part.VALIDATION)
    labels = exported.source.items.labels[validation]
    answers_NK = bundle_answers(exported, validation, model).answers
    told = {(score.part, score.metric): score for score in record.scores}
    assert told["validation", "accuracy"].value == np.mean(answers_NK.argmax(axis=1) == labels)
    own = told["validation", "log_loss"]
    assert own.value == pytest.approx(float(-np.log(answers_NK[np.arange(len(labels)), labels]).mean()), abs=1e-5)
    assert own.interval is not None
    assert own.interval.low <= own.value <= own.interval.high
    kept = Predictions.read(results / "colours/runs" / record.origin.run / "predictions.parquet", Part.TEST)
    assert record.temperature is not None
    # The study's answers are scored at the temperature of 32 bits, from which that of 8 departs.
    further = 1.0 if record.quantisation is None else record.quantisation.further
    tempered_NK = with_temperature(kept.probabilities, record.temperature / further)
    log_loss = float(-np.log(tempered_NK[np.arange(len(kept)), kept.truth]).mean())
    assert told["test", "log_loss"].value == pytest.approx(log_loss, abs=1e-5)
    run = RunRecord.load(results / "colours/runs" / record.origin.run / "run.json")
    assert abs(log_loss - run.test["log_loss"]) > 1e-4, "the temperature must tell, or this shows nothing"
    assert told["test", "accuracy"].value == run.test["accuracy"]
    assert record.gate.recorded == pytest.approx(1.0 if kind == "plain_bundle" else np.mean(
        answers_NK.argmax(axis=1) == Predictions.read(
            results / "colours/runs" / record.origin.run / "predictions.parquet", Part.VALIDATION
        ).labels
    ))  # fmt: skip


def test_eight_bits_are_as_sure_as_their_own_answers_are_right(results: Path, bundle: Path, plain_bundle: Path) -> None:
    model, plain = load(bundle, threads=1), load(plain_bundle, threads=1)
    lost = model.record.quantisation
    assert lost is not None
    assert lost.further is not None
    assert model.record.temperature is not None
    assert plain.record.temperature is not None
    assert model.record.temperature == pytest.approx(lost.further * plain.record.temperature)
    exported = export_request("colours", results)
    validation = exported.indices(Part.VALIDATION)
    truth_N = exported.source.items.labels[validation].astype(np.int64)
    answers, exact = (bundle_answers(exported, validation, given).answers for given in (model, plain))
    assert lost.agreement == np.mean(answers.argmax(axis=1) == exact.argmax(axis=1))
    again = further_temperature(truth_N, answers, model.record.temperature)
    own, moved = (
        -np.log(np.maximum(with_temperature(answers, further), 1e-12))[np.arange(len(truth_N)), truth_N].mean()
        for further in (1.0, again)
    )
    assert own == pytest.approx(moved, abs=1e-3), "fitted once more, it would hardly be better"
    model.self_test()


def test_a_place_that_cannot_be_written_to_is_told_before_the_network_is_asked(
    results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from etude.export import exporting

    monkeypatch.setattr(exporting, "_with_means", lambda *given, **more: pytest.fail("it was asked"))
    (tmp_path / "notes.txt").write_text("notes")
    with pytest.raises(MistakeError, match="a new file, or one that holds a bundle"):
        export_bundle(export_request("colours", results), Wishes(to=tmp_path / "notes.txt"), lambda text: None)
    assert (tmp_path / "notes.txt").read_text() == "notes"


def test_the_card_counts_the_pictures_of_the_run_s_own_split(
    plain_bundle: Path, mask_results: Path, tmp_path: Path
) -> None:
    counts = load(plain_bundle).record.data.counts
    assert sum(sum(of_part.values()) for of_part in counts.values()) == 120
    assert set(counts["train"]) == {"reds", "greens", "blues"}
    path = tmp_path / "masks.bundle"
    export_bundle(export_request("masks", mask_results), Wishes(to=path, measure=False), lambda text: None)
    counts = load(path).record.data.counts
    assert sum(sum(of_part.values()) for of_part in counts.values()) == 24, "each scene once, whatever it shows"
    with zipfile.ZipFile(path) as packed:
        card = packed.read("MODEL_CARD.md").decode()
    assert f"- train: {counts['train']['']} pictures\n" in card


@pytest.mark.parametrize("kind", ["plain_bundle", "bundle"])
def test_what_is_sure_was_chosen_on_the_answers_of_this_very_graph(
    results: Path, kind: str, request: pytest.FixtureRequest
) -> None:
    model = load(request.getfixturevalue(kind), threads=1)
    exported = export_request("colours", results)
    validation = exported.indices(Part.VALIDATION)
    answers_NK = bundle_answers(exported, validation, model).answers
    expected = choose_certainty(exported.source.items.labels[validation], answers_NK, None, Wishes.sure)
    certainty = model.record.certainty
    assert certainty is not None
    assert certainty.unsure_below < 1
    assert certainty.unsure_below == pytest.approx(expected.unsure_below, abs=1e-6)
    assert (certainty.sure_share, certainty.sure_accuracy) == (expected.sure_share, expected.sure_accuracy)


def test_the_contract_s_example_runs_as_it_stands(bundle: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(bundle) as packed:
        contract = packed.read("CONTRACT.md").decode()
    code = contract.split("```python\n")[1].split("```")[0]
    (tmp_path / "the.bundle").write_bytes(bundle.read_bytes())
    Image.fromarray(np.full((50, 50, 3), (90, 20, 10), np.uint8)).save(tmp_path / "picture.jpg", quality=95)
    told = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    assert told.stdout.split()[0] == load(bundle)(tmp_path / "picture.jpg").label


def test_a_disagreement_is_refused_and_nothing_is_written(
    results: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from etude.export import exporting

    request = export_request("colours", results)
    path = tmp_path / "wrong.bundle"
    honest = exporting.bundle_answers

    def turned(*given: Any) -> Any:
        asked = honest(*given)
        return replace(asked, answers=asked.answers[:, ::-1])

    monkeypatch.setattr(exporting, "bundle_answers", turned)
    with pytest.raises(GateError, match=r"99\.9%.* of the decisions on \d+ validation pictures are equal"):
        export_bundle(request, Wishes(to=path, measure=False), lambda text: None)
    assert not path.exists()


def test_a_graph_that_knows_other_pictures_than_the_network_is_refused(
    results: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from etude.export import exporting

    honest = exporting.bundle_answers

    def estranged(*given: Any) -> Any:
        asked = honest(*given)
        return replace(asked, familiarity_N=asked.familiarity_N - 0.1)

    monkeypatch.setattr(exporting, "bundle_answers", estranged)
    with pytest.raises(GateError, match=r"no familiarity may move by more than 0\.01\. It moved by 0\.1"):
        export_bundle(
            export_request("colours", results), Wishes(to=tmp_path / "w.bundle", measure=False), lambda text: None
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["plain_bundle", "bundle"])
def test_pictures_of_another_kind_are_told_unlike_those_of_the_training(
    results: Path, kind: str, request: pytest.FixtureRequest
) -> None:
    model = load(request.getfixturevalue(kind), threads=1)
    known = model.record.familiarity
    assert known is not None
    assert known.familiar_share >= 0.95
    source = open_source(str(results / "photos"))
    own = model([source.raw(at) for at in range(0, len(source.items), 3)])
    assert np.mean([answer.is_unfamiliar for answer in own]) < 0.2
    rng = np.random.default_rng(0)
    levels = rng.integers(0, 2, (20, 24, 24, 1), dtype=np.uint8) * np.full(3, 255, np.uint8)
    foreign = model(list(levels))
    assert np.mean([answer.is_unfamiliar for answer in foreign]) > 0.8
    assert all(answer.is_unsure for answer in foreign if answer.is_unfamiliar)


def test_eight_bits_that_lose_too_much_are_refused(
    results: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from etude.export import exporting

    request = export_request("colours", results)
    monkeypatch.setattr(exporting, "quantise", lambda graph, batches: _negated(graph))
    with pytest.raises(GateError, match=r"must lose at most 1 points\. The accuracy loses \d+\.\d\d points \["):
        export_bundle(request, Wishes(to=tmp_path / "w.bundle", int8=True, measure=False), lambda text: None)
    assert list(tmp_path.iterdir()) == []


def _negated(graph: bytes) -> bytes:
    """Return a graph whose least likely class is its answer."""
    import onnx
    from onnx import helper

    model = onnx.load_from_string(graph)
    softmax = next(node for node in model.graph.node if node.op_type == "Softmax")
    at = list(model.graph.node).index(softmax)
    model.graph.node.insert(at, helper.make_node("Neg", [softmax.input[0]], ["negated"]))
    softmax.input[0] = "negated"
    return model.SerializeToString()


def test_a_run_or_pictures_that_are_not_there_are_sentences(results: Path) -> None:
    with pytest.raises(MistakeError, match="--run must be the identity of one finished run"):
        export_request("colours", results, run="zzz")
    with pytest.raises(MistakeError, match="the pictures that the run was trained on"):
        export_request("colours", results, data=str(draw_colours(results / "other", ("a", "b", "c"), 5)))


def test_a_folder_with_something_else_beside_the_bundle_is_not_replaced(plain_bundle: Path, tmp_path: Path) -> None:
    from etude.export.bundling import write_bundle

    target = tmp_path / "breeds"
    shutil.copytree(plain_bundle, target)
    record = load(target, threads=1).record
    contents = {name: (target / name).read_bytes() for name in record.files}
    (target / "keys.txt").write_text("a key")
    with pytest.raises(MistakeError, match=r"with keys\.txt"):
        write_bundle(target, record, contents, as_folder=True)
    assert (target / "keys.txt").read_text() == "a key"
    (target / "keys.txt").unlink()
    write_bundle(target, record, contents, as_folder=True)
    load(target, threads=1).self_test()
    assert [path.name for path in tmp_path.iterdir()] == ["breeds"]


def test_a_name_that_is_no_text_is_answered_all_the_same(bundle: Path, tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from etude.cli.main import app

    strange = tmp_path / os.fsdecode(b"caf\xe9.png")
    Image.fromarray(np.full((20, 20, 3), 90, np.uint8)).save(strange)
    for words in ([], ["--json"]):
        told = CliRunner().invoke(app, ["predict", str(bundle), str(tmp_path), *words])
        assert told.exit_code == 0
        assert r"caf\udce9.png" in told.stdout or r"caf\\udce9.png" in told.stdout


def test_pictures_are_asked_about_with_their_boxes_or_whole() -> None:
    from types import SimpleNamespace

    from etude.export.asking import as_served

    boxes: list[object] = []

    def read(raw: object, *, name: str, box: object) -> tuple[np.ndarray, None]:
        boxes.append(box)
        return np.zeros((2, 2, 3), np.uint8), None

    source = SimpleNamespace(
        raw=lambda at: b"", box=lambda at: (0, 0, at, at), items=SimpleNamespace(ids=np.array(["a", "b"]))
    )
    asked = SimpleNamespace(source=source), np.arange(2), SimpleNamespace(read=read)
    as_served(*asked)
    as_served(*asked, boxes=False)
    assert boxes == [(0, 0, 0, 0), (0, 0, 1, 1), None, None]


def test_the_command_line_predicts_and_tells_what_it_cannot_read(bundle: Path, tmp_path: Path) -> None:
    Image.fromarray(np.zeros((40, 40, 3), np.uint8)).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_text("no picture")
    words = [sys.executable, "-m", "etude", "predict", str(bundle), "a.png", "b.png", "--json", "--self-test"]
    told = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert told.returncode == 2
    assert "1 of 2 pictures could not be read" in told.stderr
    answered = json.loads(told.stdout)
    assert answered["self_test"] == "passed"
    assert len(answered["predictions"][0]["top"]) == 3
    assert "b.png" in answered["predictions"][1]["error"]


def export_raw(results: Path, study: str, to: Path, **wishes: Any) -> Predictor:
    """Export a study with its logits and open the bundle."""
    export_bundle(export_request(study, results), Wishes(to=to, logits=True, **wishes), lambda text: None)
    model = load(to, threads=1)
    model.self_test()
    return model


def test_the_logits_of_masks_are_the_network_s_and_their_largest_the_ids(mask_results: Path, tmp_path: Path) -> None:
    model = export_raw(mask_results, "masks", tmp_path / "raw.bundle", measure=False)
    told = model.record.logits
    assert told is not None
    assert (told.shape, told.views, told.pictures, told.moved_int8) == ((2, 32, 64), "none", 4, None)
    assert 0 <= told.moved.typical <= told.moved.largest <= 0.001 * told.size
    request = export_request("masks", mask_results)
    validation = request.indices(Part.VALIDATION)
    deployed = Deployed(request.model.eval(), request.prepare, "segmentation")
    pictures_BHWC = as_trained(request, validation)
    with torch.no_grad():
        expected = request.model(deployed.normalise(torch.from_numpy(pictures_BHWC))).numpy()
    raws = [request.source.raw(int(at)) for at in validation]
    ids, logits = model.session.run_with_logits(pictures_BHWC)
    assert np.array_equal(logits.argmax(1), ids)
    for given in (logits, model.logits(raws)):
        np.testing.assert_allclose(given, expected, atol=0.001 * told.size)
    assert np.abs(expected).max() == pytest.approx(told.size)
    export_bundle(request, Wishes(to=tmp_path / "plain.bundle", measure=False), lambda text: None)
    plain = load(tmp_path / "plain.bundle", threads=1)
    assert plain.record.logits is None
    for raw in raws:
        assert np.array_equal(plain(raw).mask, model(raw).mask)
    card = model.document("MODEL_CARD.md")
    assert (
        f"differ from those of the network by at most {told.moved.largest:.2g}; the largest is {told.size:.3g}" in card
    )


def test_eight_bits_tell_how_far_they_move_the_logits(mask_results: Path, tmp_path: Path) -> None:
    model = export_raw(mask_results, "masks", tmp_path / "raw.bundle", int8=True, max_loss=100, measure=False)
    told = model.record.logits
    assert told is not None
    assert told.moved_int8 is not None
    assert told.moved.largest < told.moved_int8.typical < told.moved_int8.largest < told.size
    pictures_BHWC = drawn_pictures((32, 64), 8)
    ids, logits = model.session.run_with_logits(pictures_BHWC)
    assert np.array_equal(logits.argmax(1), ids)
    assert np.array_equal(model.session.run(pictures_BHWC), ids)


def test_the_logits_of_classes_go_with_temperature_and_familiarity(
    results: Path, plain_bundle: Path, tmp_path: Path
) -> None:
    model, plain = export_raw(results, "colours", tmp_path / "raw.bundle", measure=False), load(plain_bundle, threads=1)
    pictures_BHWC = drawn_pictures((32, 32), 8)
    (answers, familiarity_B), logits = model.session.run_both(pictures_BHWC), model.logits(list(pictures_BHWC))
    assert familiarity_B is not None
    np.testing.assert_allclose(answers, plain.session.run(pictures_BHWC), atol=1e-6)
    shares = np.exp(logits / model.record.temperature)
    np.testing.assert_allclose(answers, shares / shares.sum(1, keepdims=True), atol=1e-4)


def test_logits_that_are_not_the_network_s_are_refused_and_nothing_is_written(
    mask_results: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from etude.export import logits

    honest = logits.network_logits
    monkeypatch.setattr(logits, "network_logits", lambda *given: honest(*given) * np.float32(1.01))
    with pytest.raises(GateError, match=r"its logits must move by at most .*, 0\.1% of the largest\. One moved by"):
        export_raw(mask_results, "masks", tmp_path / "raw.bundle", measure=False)
    assert list(tmp_path.iterdir()) == []


def test_masks_go_the_whole_way(mask_results: Path, tmp_path: Path) -> None:
    path = tmp_path / "masks.bundle"
    request = replace(export_request("masks", mask_results), metric="boundary_f1")
    record = export_bundle(request, Wishes(to=path, int8=True, max_loss=100, measure=False), lambda text: None)
    assert record.quantisation is not None
    assert [entry.metric for entry in record.quantisation.losses] == ["miou", "boundary_f1"]
    assert record.certainty is None
    assert len(set(record.palette)) == len(record.classes)
    predictor, counts = load(path), np.zeros((2, 2), np.int64)
    for index in request.indices(Part.VALIDATION).tolist():
        truth, given = request.source.mask(index), predictor(request.source.raw(index)).mask
        counts += np.array([[np.sum((truth == row) & (given == column)) for column in (0, 1)] for row in (0, 1)])
    ious = np.diag(counts) / (counts.sum(0) + counts.sum(1) - np.diag(counts))
    assert record.own_miou == pytest.approx(ious.mean())
    with zipfile.ZipFile(path) as bundle:
        card = bundle.read("MODEL_CARD.md").decode()
    interval = record.own_miou_interval
    assert interval.low <= record.own_miou <= interval.high
    told = f"the masks of this bundle score a mIoU of {record.own_miou:.4f} [{interval.low:.4f}, {interval.high:.4f}]"
    assert told in card
    assert all(score.interval is not None for score in record.scores)
    answer = load(path)(np.zeros((77, 133, 3), np.uint8))
    assert answer.mask.shape == (77, 133)
    assert answer.overlay().shape == (77, 133, 3)
    assert sum(answer.areas.values()) == pytest.approx(1.0)


@pytest.mark.parametrize(("rows", "is_refused"), [(0, False), (1, True)])
def test_masks_whose_miou_moves_are_refused_and_nothing_is_written(
    mask_results: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, rows: int, is_refused: bool
) -> None:
    from etude.export import exporting

    honest = exporting.bundle_answers

    def moved(*given: Any) -> Any:
        """Give each picture's first rows the other class: one of 32 moves the mIoU by more than 0.002."""
        asked = honest(*given)
        answers = asked.answers.copy()
        answers[:, :rows] = 1 - answers[:, :rows]
        return replace(asked, answers=answers)

    monkeypatch.setattr(exporting, "bundle_answers", moved)
    wishes = Wishes(to=tmp_path / "moved.bundle", measure=False)
    if not is_refused:
        export_bundle(export_request("masks", mask_results), wishes, lambda text: None)
        assert wishes.to.is_file()
        return
    with pytest.raises(GateError, match=r"its mIoU must move by at most 0\.002\. It moved by [-+]0\.\d+; 9\d\.\d+% of"):
        export_bundle(export_request("masks", mask_results), wishes, lambda text: None)
    assert list(tmp_path.iterdir()) == []
