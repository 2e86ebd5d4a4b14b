"""The predictor: any form of picture in, an answer out."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.unit.runtime.drawing import COLOURS, make_contents, make_graph, plain, with_record, write_zip

from etude import load
from etude.cli.deploying import predict_pictures
from etude.core.bundle_record import BundleRecord, Certainty, Familiarity, Logits, Moved
from etude.core.errors import BundleError, DataError, MistakeError
from etude.runtime.answers import ClassAnswer, MaskAnswer
from etude.runtime.archive import Archive
from etude.runtime.bundled import Bundled, at_once
from etude.runtime.inputs import as_raw
from etude.runtime.predictor import Predictor
from etude.runtime.reference import drawn_pictures

KNOWN = Familiarity(unfamiliar_below=0.2, familiar_share=0.95, pictures=10)
GIVEN = Logits(shape=(3,), pictures=10, size=20.0, moved=Moved(largest=1e-5, typical=1e-6))

RED, GREEN, BLUE = (220, 30, 20), (10, 200, 40), (0, 30, 240)


@pytest.fixture(scope="module")
def model(bundles):
    return load(bundles["classification"], threads=1)


@pytest.fixture(scope="module")
def segmenter(bundles):
    return load(bundles["segmentation"], threads=1)


def encoded(pixels: np.ndarray, kind: str = "PNG", **options: object) -> bytes:
    packed = io.BytesIO()
    Image.fromarray(pixels).save(packed, kind, **options)
    return packed.getvalue()


def test_every_form_of_a_picture_gives_the_same_answer(model, tmp_path: Path) -> None:
    green = plain(GREEN)
    (tmp_path / "g.png").write_bytes(encoded(green))
    opaque = np.dstack([green, np.full(green.shape[:2], 255, np.uint8)])
    forms = [green, green / 255.0, (green / 255.0).astype(np.float32), opaque, Image.fromarray(green), encoded(green),
             tmp_path / "g.png", str(tmp_path / "g.png"), bytearray(encoded(green))]  # fmt: skip
    for form in forms:
        answer = model(form)
        assert answer.label == "green"
        assert answer.probability == pytest.approx(model(green).probability, abs=1e-6)
    assert [answer.label for answer in model(forms)] == ["green"] * len(forms)
    assert [answer.label for answer in model(np.stack([plain(RED), plain(BLUE)]))] == ["red", "blue"]


def test_probabilities_and_top(model) -> None:
    answer = model(plain(RED))
    assert isinstance(answer, ClassAnswer)
    logits = np.array(RED) * 0.1
    expected = np.exp(logits - logits.max())
    np.testing.assert_allclose(answer.probabilities, expected / expected.sum(), rtol=1e-4)
    assert [name for name, _ in answer.top(2)] == ["red", "green"]
    assert answer.top(99)[0] == ("red", pytest.approx(answer.probability))
    assert answer.is_positive is None


def test_grey_is_told_unsure(model) -> None:
    grey = model(np.full((20, 20), 128, np.uint8))
    assert grey.is_unsure
    assert grey.probability == pytest.approx(1 / 3, abs=1e-4)
    assert not model(plain(RED)).is_unsure


def test_a_picture_unlike_those_of_the_training_is_unsure_however_probable(tmp_path: Path) -> None:
    graph = make_graph("classification", 16, tells_familiarity=True)
    contents = make_contents(graph_bytes=graph, familiarity=KNOWN)
    model = load(write_zip(tmp_path / "knowing.bundle", contents), threads=1)
    bright, dark = model([plain((255, 100, 100)), plain((60, 0, 0))])
    assert (bright.is_unfamiliar, bright.is_unsure) == (False, False)
    assert (dark.is_unfamiliar, dark.is_unsure) == (True, True)
    assert dark.probability > 0.99
    assert dark.as_json()["unfamiliar"] is True
    assert dark.as_json()["familiarity"] == pytest.approx(20 / 255, abs=1e-3)
    model.self_test()


@pytest.mark.parametrize(("tells", "familiarity"), [(True, None), (False, KNOWN)])
def test_a_record_that_tells_another_output_than_its_graph_is_refused(tmp_path: Path, tells: bool, familiarity) -> None:
    contents = make_contents(
        graph_bytes=make_graph("classification", 16, tells_familiarity=tells), familiarity=familiarity
    )
    with pytest.raises(BundleError, match="agree on the output `familiarity`"):
        load(write_zip(tmp_path / "wrong.bundle", contents))


def with_logits(task: str, size: int = 16, **changes: object) -> dict[str, bytes]:
    """Return the files of a bundle whose graph gives logits, and familiarity where there is one."""
    knows = task == "classification"
    graph = make_graph(task, size, tells_familiarity=knows, tells_logits=True)
    return make_contents(
        task, size, graph_bytes=graph, familiarity=KNOWN if knows else None, **{"logits": GIVEN, **changes}
    )


@pytest.mark.parametrize("task", ["classification", "segmentation"])
def test_logits_are_given_to_who_asks_for_them_and_change_no_answer(bundles, tmp_path: Path, task: str) -> None:
    model = load(write_zip(tmp_path / "raw.bundle", with_logits(task)), threads=1)
    model.self_test()
    picture = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    answer, without, logits = model(picture), load(bundles[task], threads=1)(picture), model.logits(picture)
    if isinstance(answer, MaskAnswer):
        assert np.array_equal(answer.mask, without.mask)
        np.testing.assert_array_equal(logits, picture.transpose(2, 0, 1).astype(np.float32))
        assert np.array_equal(logits.argmax(0), answer.mask)
    else:
        np.testing.assert_array_equal(answer.probabilities, without.probabilities)
        np.testing.assert_allclose(logits, picture.mean((0, 1)) * 0.1, rtol=1e-5)
        np.testing.assert_allclose(answer.probabilities, np.exp(logits) / np.exp(logits).sum(), rtol=1e-4)
    many = model.logits([picture] * 17)  # more than are asked about at a time
    assert (many.shape, many.dtype) == ((17, *logits.shape), np.float32)
    np.testing.assert_allclose(many[16], logits, rtol=1e-6)


def test_onnxruntime_is_asked_for_logits_by_who_wants_them_alone(tmp_path: Path, monkeypatch) -> None:
    model = load(write_zip(tmp_path / "raw.bundle", with_logits("segmentation")), threads=1)
    asked: list[list[str]] = []
    real = model.session._session

    class Noting:
        def run(self, names: list[str], given: dict[str, np.ndarray]) -> list[np.ndarray]:
            asked.append(names)
            return real.run(names, given)

    monkeypatch.setattr(model.session, "_session", Noting())
    model([plain(RED)] * 3)
    assert asked == [["ids"]]
    model.logits(plain(RED))
    assert asked[1:] == [["ids", "logits"]]


def test_pictures_are_asked_about_by_their_pixels_not_by_their_number(model, tmp_path: Path, monkeypatch) -> None:
    assert at_once((224, 224), 32) == 32
    assert [at_once((side, side), 16) for side in (512, 1024, 2048, 8192)] == [8, 2, 1, 1]
    assert (model.size_px, model.at_once(16), model.at_once(3)) == ((16, 16), 16, 3)
    large = load(write_zip(tmp_path / "large.bundle", make_contents("segmentation", 640)), threads=1)
    assert large.at_once(16) == 5
    asked: list[int] = []
    real = large.session._session

    class Noting:
        def run(self, names: list[str], given: dict[str, np.ndarray]) -> list[np.ndarray]:
            asked.append(len(given["pictures"]))
            return real.run(names, given)

    monkeypatch.setattr(large.session, "_session", Noting())
    answers = large([plain(colour) for colour in (RED, GREEN, BLUE) * 4])
    assert [answer.mask[0, 0] for answer in answers] == [0, 1, 2] * 4
    assert asked == [5, 5, 2]
    assert len(list(large.stream([plain(RED)] * 3, batch=2))) == 3
    assert asked[3:] == [2, 1]


def test_the_self_test_asks_about_large_pictures_one_after_the_other(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(at_once, "__defaults__", (3 * 40 * 40,))
    model = load(write_zip(tmp_path / "raw.bundle", with_logits("segmentation", 40)), threads=1)
    assert model.at_once(16) == 3
    model.self_test()  # of four pictures
    told = model.refer(drawn_pictures((40, 40)))
    assert told.logits is not None
    assert (told.answers.shape, told.logits.shape) == ((4, 40, 40), (4, 3, 20, 20))


def test_an_open_bundle_keeps_its_graph_once(tmp_path: Path) -> None:
    archive = Archive(write_zip(tmp_path / "a.bundle", make_contents()))
    content, other = archive["model.onnx"], bytes(bytearray(5))
    model = Predictor(archive, threads=1)
    assert model.session is model.session
    assert sys.getrefcount(content) == sys.getrefcount(other)  # neither the archive nor onnxruntime's wrapper has it
    assert "model.onnx" not in archive
    model.self_test()
    assert model(plain(RED)).label == "red"
    assert model.document("MODEL_CARD.md").startswith("# ")


def test_threads_that_open_a_bundle_together_share_one_session(tmp_path: Path) -> None:
    model = Predictor(Archive(write_zip(tmp_path / "a.bundle", make_contents())), threads=1)
    with ThreadPoolExecutor(8) as pool:
        sessions = list(pool.map(lambda _: model.session, range(8)))
    assert {id(session) for session in sessions} == {id(model.session)}


def test_eight_bits_are_tested_on_this_processor_before_they_answer(tmp_path: Path, capsys) -> None:
    from etude.runtime.reference import Reference

    contents = make_contents()
    good = Reference.from_bytes(contents["reference.npz"])
    other = Reference(good.pictures, np.ascontiguousarray(good.answers[:, ::-1])).to_bytes()
    (tmp_path / "r.png").write_bytes(encoded(plain(RED)))
    for kind, reference, is_refused in (
        ("fp32", other, False), ("int8", good.to_bytes(), False), ("int8", other, True)
    ):  # fmt: skip
        path = write_zip(tmp_path / "b.bundle", with_record(make_contents(reference=reference), kind=kind))
        if is_refused:
            with pytest.raises(BundleError, match=r"self-test.*do not use it here"):
                predict_pictures(path, [tmp_path / "r.png"], 3, None, False, False)
            assert capsys.readouterr().out == ""
        else:
            predict_pictures(path, [tmp_path / "r.png"], 3, None, False, False)
            assert "self-test" not in (told := capsys.readouterr().out)
            assert "red" in told


def test_a_bundle_without_logits_says_how_to_get_them(model) -> None:
    with pytest.raises(BundleError, match=r"one that gives logits.*`etude export --logits`"):
        model.logits(plain(RED))


@pytest.mark.parametrize(("tells", "logits"), [(True, None), (False, GIVEN)])
def test_a_record_and_a_graph_that_disagree_on_logits_are_refused(tmp_path: Path, tells: bool, logits) -> None:
    contents = make_contents(graph_bytes=make_graph("classification", 16, tells_logits=tells), logits=logits)
    with pytest.raises(BundleError, match="agree on the output `logits`"):
        load(write_zip(tmp_path / "wrong.bundle", contents))


def test_the_self_test_notices_other_logits(tmp_path: Path) -> None:
    from etude.runtime.reference import Reference

    contents = with_logits("segmentation", 40)
    good = Reference.from_bytes(contents["reference.npz"])
    assert good.logits is not None
    assert good.logits.shape == (4, 3, 20, 20)  # of every other row and column
    for logits in (None, good.logits[:, ::-1], good.logits[:, :, :2], np.full_like(good.logits, np.nan)):
        forged = Reference(good.pictures, good.answers, logits).to_bytes()
        with pytest.raises(BundleError, match=r"self-test.*logits"):
            load(write_zip(tmp_path / "f.bundle", with_logits("segmentation", 40, reference=forged))).self_test()


def test_transparency_lies_over_white_and_exif_is_applied(model, segmenter) -> None:
    clear = np.zeros((10, 10, 4), np.uint8)
    assert model(clear).probability == pytest.approx(1 / 3, abs=1e-4)
    sides = np.concatenate([plain(RED, 16), plain(BLUE, 16)], axis=1)
    exif = Image.Exif()
    exif[0x0112] = 6  # turned right when seen
    raw = encoded(sides, "JPEG", quality=95, exif=exif)
    mask = segmenter(raw).mask
    assert mask.shape == (32, 16)
    assert (mask[4, 8], mask[-4, 8]) == (0, 2)
    assert np.array_equal(mask, segmenter(Image.open(io.BytesIO(raw))).mask)


@pytest.mark.parametrize(
    ("picture", "told"),
    [
        (np.zeros((4, 4, 5), np.uint8), "uint8 array"),
        (np.zeros((4,), np.uint8), "uint8 array"),
        (np.zeros((0, 4, 3), np.uint8), "uint8 array"),
        (np.zeros((4, 4, 3), np.int64), "uint8 array"),
        (np.full((4, 4, 3), 255.0), "floats from 0 to 1"),
        (np.full((4, 4, 3), np.nan), "floats from 0 to 1"),
        (3, "an array, a Pillow image, a path or the bytes"),
        (None, "an array, a Pillow image, a path or the bytes"),
        (b"hello there", "a JPEG, PNG"),
        (b"", "empty file"),
        ("no/such/file.jpg", "file that can be read"),
        (Image.fromarray(np.full((4, 4), 300.0, np.float32)), "floats from 0 to 1"),
        (Image.new("I", (4, 4), 200), "uint8 array"),
    ],
)
def test_what_is_no_picture_is_a_clear_error(model, picture: object, told: str) -> None:
    with pytest.raises(DataError, match=told):
        model(picture)


def test_a_pillow_image_of_a_truncated_file_is_a_clear_error(model) -> None:
    content = encoded(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8), "JPEG")
    with pytest.raises(DataError, match=r"a whole picture.*truncated"):
        model(Image.open(io.BytesIO(content[: len(content) // 2])))


def test_pillow_images_of_many_levels_keep_them() -> None:
    half = np.full((4, 4), 0.5, np.float32)
    np.testing.assert_array_equal(as_raw(Image.fromarray(half)), as_raw(half))
    np.testing.assert_array_equal(as_raw(Image.fromarray(np.full((4, 4), 0x80FF, np.uint16))), np.full((4, 4), 0x80))


@pytest.mark.parametrize(
    ("mode", "clear", "colour"), [("RGB", (220, 30, 20), (220, 30, 20)), ("L", 30, 30), ("1", 0, 0)]
)
def test_a_picture_with_one_clear_colour_is_one_picture_whatever_it_comes_as(
    segmenter, tmp_path: Path, mode: str, clear: object, colour: object
) -> None:
    image = Image.new(mode, (20, 20), colour)
    image.save(tmp_path / "clear.png", transparency=clear)
    from_path = segmenter(tmp_path / "clear.png").overlay(opacity=0)
    with Image.open(tmp_path / "clear.png") as opened:
        from_pillow = segmenter(opened).overlay(opacity=0)
    assert (from_path == 255).all()
    np.testing.assert_array_equal(from_pillow, from_path)


def test_an_overlay_takes_what_the_model_may_take(bundles, monkeypatch) -> None:
    from etude.runtime import predictor

    whole = predictor.decode
    asked: list[int] = []
    monkeypatch.setattr(
        predictor, "decode", lambda raw, max_pixels=1, **more: (asked.append(max_pixels), whole(raw))[1]
    )
    load(bundles["segmentation"], threads=1, max_pixels=12_345)(encoded(plain(RED))).overlay()
    assert asked == [12_345]


def as_heic(pixels: np.ndarray) -> bytes:
    heif = pytest.importorskip("pillow_heif", reason="needs pillow-heif")
    packed = io.BytesIO()
    heif.from_pillow(Image.fromarray(pixels)).save(packed, quality=95)
    return packed.getvalue()


def test_heic_pictures_are_read(model, segmenter, bundles, tmp_path: Path, monkeypatch) -> None:
    content = as_heic(plain(GREEN, (64, 96)))
    (tmp_path / "phone.heic").write_bytes(content)
    for form in (content, tmp_path / "phone.heic", str(tmp_path / "phone.heic")):
        assert model(form).label == "green"
        answer = segmenter(form)
        assert answer.mask.shape == (64, 96)
        np.testing.assert_allclose(answer.overlay(opacity=0).mean((0, 1)), GREEN, atol=6)
    with pytest.raises(DataError, match=r"phone\.heic must be at most .* megapixels"):
        load(bundles["classification"], threads=1, max_pixels=100)(tmp_path / "phone.heic")
    with pytest.raises(DataError, match=r"phone\.heic"):
        (tmp_path / "phone.heic").write_bytes(content[: len(content) // 2])
        model(tmp_path / "phone.heic")
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(DataError, match="pip install pillow-heif"):
        model(content)


def test_too_many_pixels_are_refused(bundles) -> None:
    small = load(bundles["classification"], threads=1, max_pixels=100)
    with pytest.raises(DataError, match="megapixels"):
        small(encoded(plain(RED)))
    with pytest.raises(DataError, match="megapixels"):
        small(plain(RED))


def test_a_detector_answers_by_its_threshold(tmp_path: Path) -> None:
    from onnx import TensorProto, helper, numpy_helper

    nodes = [
        helper.make_node("Cast", ["pictures"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["f", "axes"], ["m"], keepdims=0),
        helper.make_node("Div", ["m", "most"], ["p"]),
        helper.make_node("Sub", ["one", "p"], ["q"]),
        helper.make_node("Concat", ["q", "p"], ["probabilities"], axis=1),
    ]
    initial = [
        numpy_helper.from_array(np.array([1, 2, 3], np.int64), "axes"),
        numpy_helper.from_array(np.array(255, np.float32), "most"),
        numpy_helper.from_array(np.array([[1]], np.float32), "one"),
    ]
    nodes.insert(3, helper.make_node("Reshape", ["p", "column"], ["p2"]))
    nodes[4] = helper.make_node("Sub", ["one", "p2"], ["q"])
    nodes[5] = helper.make_node("Concat", ["q", "p2"], ["probabilities"], axis=1)
    initial.append(numpy_helper.from_array(np.array([-1, 1], np.int64), "column"))
    given = helper.make_tensor_value_info("pictures", TensorProto.UINT8, ["batch", 8, 8, 3])
    output = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", 2])
    graph = helper.make_model(
        helper.make_graph(nodes, "light", [given], [output], initial), opset_imports=[helper.make_opsetid("", 18)]
    )
    graph.ir_version = 9
    contents = make_contents(
        size=8, graph_bytes=graph.SerializeToString(), classes=("not light", "light"), threshold=0.3
    )
    model = load(write_zip(tmp_path / "d.bundle", contents), threads=1)
    dim, dark = model(plain((90, 90, 90))), model(plain((60, 60, 60)))
    assert (dim.label, dim.is_positive) == ("light", True)
    assert dim.probability == pytest.approx(90 / 255, abs=1e-3)
    assert (dark.label, dark.is_positive) == ("not light", False)
    assert dim.as_json()["positive"] is True


def test_a_mask_has_the_pictures_own_size_and_colours(segmenter) -> None:
    picture = np.concatenate([plain(RED, (40, 30)), plain(GREEN, (40, 50))], axis=1)
    for form in (picture, encoded(picture), Image.fromarray(picture)):
        answer = segmenter(form)
        assert isinstance(answer, MaskAnswer)
        assert answer.mask.shape == (40, 80)
        assert answer.mask.dtype == np.uint8
        assert set(np.unique(answer.mask[:, :25])) == {0}
        assert set(np.unique(answer.mask[:, 35:])) == {1}
        assert answer.areas == pytest.approx({"red": 3 / 8, "green": 5 / 8, "blue": 0.0}, abs=0.05)
        assert tuple(answer.colored[0, 0]) == (255, 0, 0)
        expected = np.rint(np.array(RED) * 0.5 + np.array([255, 0, 0]) * 0.5)
        np.testing.assert_allclose(answer.overlay()[5, 5], expected, atol=1)
    with pytest.raises(ValueError, match="shape"):
        answer.overlay(np.zeros((3, 3, 3), np.uint8))


def drawn_mask(height: int, width: int) -> tuple[MaskAnswer, np.ndarray]:
    """Return a mask with all its ids, those of no class too, and a picture of its size."""
    rng = np.random.default_rng(0)
    mask = rng.choice(np.array([0, 1, 2, 255], np.uint8), (height, width))
    answer = MaskAnswer(COLOURS, ((255, 0, 0), (7, 200, 31), (0, 0, 255)), mask)
    return answer, rng.integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize("opacity", [0.0, 0.2, 1 / 3, 0.5, 0.999, 1.0])
def test_an_overlay_is_the_formula_within_a_level(opacity: float) -> None:
    answer, picture = drawn_mask(211, 701)
    weight = np.where(answer.mask == 255, 0.0, opacity)[..., None]
    expected = picture * (1 - weight) + answer.colored * weight
    laid = answer.overlay(picture, opacity)
    assert laid.dtype == np.uint8
    assert np.abs(laid - expected).max() <= 1
    np.testing.assert_array_equal(laid[answer.mask == 255], picture[answer.mask == 255])
    if opacity in (0.0, 1.0):
        np.testing.assert_array_equal(laid, expected)


def test_what_is_made_of_a_large_mask_takes_little_more_than_itself() -> None:
    answer, picture = drawn_mask(2000, 3000)
    for made, size in (
        (lambda: answer.overlay(picture), picture.nbytes),
        (lambda: answer.colored, picture.nbytes),
        (lambda: answer.areas, 0),
    ):
        tracemalloc.start()
        try:
            made()
            assert tracemalloc.get_traced_memory()[1] < size + 4_000_000
        finally:
            tracemalloc.stop()


def test_masks_of_pictures_of_one_name_are_kept_apart(bundles, tmp_path: Path, capsys) -> None:
    pictures = [tmp_path / "a/street.png", tmp_path / "b/street.png", tmp_path / "b/street.bmp"]
    for path, colour in zip(pictures, (RED, GREEN, BLUE), strict=True):
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(plain(colour)).save(path)
    told = []
    for _ in range(2):  # the same again makes no other files
        predict_pictures(bundles["segmentation"], pictures, 3, tmp_path / "masks", False, True)
        told.append([row["files"] for row in json.loads(capsys.readouterr().out)["predictions"]])
    assert told[0] == told[1]
    assert len(list((tmp_path / "masks").iterdir())) == 6
    for position, (ids, _) in enumerate(told[0]):
        assert (np.asarray(Image.open(ids)) == position).all()
    assert told[0][0] == [str(tmp_path / "masks/street.ids.png"), str(tmp_path / "masks/street.overlay.png")]


def test_a_folder_stands_for_the_pictures_in_it(bundles, tmp_path: Path, capsys) -> None:
    folder = tmp_path / "pics"
    for name, colour in (("b.png", BLUE), ("a.JPG", RED), (".hidden.png", RED), ("deep/c.png", GREEN)):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(encoded(plain(colour)))
    (folder / "notes.txt").write_text("no picture")
    predict_pictures(bundles["classification"], [folder, folder / "deep/c.png"], 3, None, False, True)
    rows = json.loads(capsys.readouterr().out)["predictions"]
    assert [Path(row["picture"]).name for row in rows] == ["a.JPG", "b.png", "c.png"]
    assert [row["label"] for row in rows] == ["red", "blue", "green"]
    long = tmp_path / ("x" * 300 + ".png")  # no file can have this name; the others are answered all the same
    with pytest.raises(DataError, match="1 of 3 pictures"):
        predict_pictures(bundles["classification"], [folder, long], 3, None, False, True)
    assert len(json.loads(capsys.readouterr().out)["predictions"]) == 3
    (tmp_path / "outer/inner").mkdir(parents=True)
    with pytest.raises(MistakeError, match="`etude index`"):
        predict_pictures(bundles["classification"], [tmp_path / "outer"], 3, None, False, True)


def test_an_address_is_told_to_be_none_of_a_file(bundles, tmp_path: Path, capsys) -> None:
    with pytest.raises(DataError, match="1 of 1 picture"):
        predict_pictures(bundles["classification"], [Path("https://example.org/rex.jpg")], 3, None, False, False)
    told = capsys.readouterr().err
    assert "predict: https://example.org/rex.jpg must be a file on this machine." in told
    assert "Download it first." in told


def test_a_folder_whose_name_looks_like_an_address_is_a_folder(bundles, tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("photos:").mkdir()
    Image.fromarray(np.zeros((40, 40, 3), np.uint8)).save("photos:/rex.png")
    predict_pictures(bundles["classification"], [Path("photos:/rex.png")], 3, None, False, False)
    assert "photos:/rex.png" in capsys.readouterr().out


@pytest.mark.parametrize(
    "changes",
    [
        {"certainty": Certainty(unsure_below=0.7, sure_share=0.9, sure_accuracy=0.95).plain()},
        {"certainty": None},
        {"familiarity": KNOWN.plain()},
        {"classes": ["green", "red", "blue"]},
        {"prepare": {"size_px": 16, "fit": "crop"}},
        {"graph": "CONTRACT.md"},
    ],
)
def test_what_changes_an_answer_changes_the_fingerprint(changes: dict[str, object]) -> None:
    contents = make_contents()
    assert fingerprint_of(with_record(contents, **changes)) != fingerprint_of(contents)


def test_what_only_describes_does_not_change_the_fingerprint() -> None:
    contents = make_contents()
    share = Certainty(unsure_below=0.6, sure_share=0.5, sure_accuracy=None).plain()
    same = with_record(contents, created_at="2027-01-01T00:00:00+00:00", etude="9", certainty=share, name="other")
    assert fingerprint_of(same) == fingerprint_of(contents)


def fingerprint_of(contents: dict[str, bytes]) -> str:
    class Files(dict[str, bytes]):
        record = BundleRecord.read(json.loads(contents["bundle.json"]))

    return Bundled(Files(contents)).fingerprint


@pytest.mark.parametrize("size", [(40, 80), (81, 37), (16, 16), (7, 300)])
def test_a_mask_finds_back_through_crop_and_letterbox(tmp_path: Path, size: tuple[int, int]) -> None:
    height, width = size
    letterbox = load(write_zip(tmp_path / "l.bundle", make_contents("segmentation", 32, fit="letterbox")), threads=1)
    mask = letterbox(plain(BLUE, size)).mask
    assert mask.shape == size
    assert (mask == 2).all()
    crop = load(write_zip(tmp_path / "c.bundle", make_contents("segmentation", 32, fit="crop")), threads=1)
    mask = crop(plain(BLUE, size)).mask
    assert mask.shape == size
    side = min(size)
    seen = mask == 2
    assert seen.sum() == pytest.approx(side * side, rel=0.15)
    assert seen[height // 2, width // 2]
    assert set(np.unique(mask)) <= {2, 255}


def test_the_self_test_notices_another_answer(bundles, tmp_path: Path) -> None:
    load(bundles["classification"]).self_test()
    load(bundles["segmentation"]).self_test()
    from etude.runtime.reference import Reference

    contents = make_contents()
    good = Reference.from_bytes(contents["reference.npz"])
    for answers in (good.answers[:, ::-1], good.answers[:2], np.full_like(good.answers, np.nan)):
        forged = make_contents(reference=Reference(good.pictures, np.ascontiguousarray(answers)).to_bytes())
        with pytest.raises(BundleError, match=r"self-test|answers float32 \(2, 3\)"):
            load(write_zip(tmp_path / "f.bundle", forged)).self_test()


@pytest.mark.parametrize(
    "changes",
    [
        {"output": "ids"},
        {"classes": []},
        {"threshold": 0.5},
        {"prepare": {"size_px": -1}},
        {"prepare": {"size_px": 999_999}},
        {"task": "segmentation", "output": "ids"},
        {"input": "other"},
        {"graph": "CONTRACT.md"},
        {"graph": "missing.onnx"},
        {"classes": ["red", "green"]},
        {"classes": ["red", "green", "blue", "white"]},
        {"prepare": {"size_px": 17}},
        {"palette": [[0, 0, 256]]},
        {"palette": [[-1, 0, 0]]},
        {"certainty": {"unsure_below": 1.5, "sure_share": 1.0, "sure_accuracy": 1.0}},
    ],
)
def test_a_record_that_does_not_fit_its_graph_is_refused(tmp_path: Path, changes: dict[str, object]) -> None:
    with pytest.raises(BundleError):
        load(write_zip(tmp_path / "a.bundle", with_record(make_contents(), **changes)))


@pytest.mark.parametrize("changes", [{"classes": ["red", "green"]}, {"classes": [*COLOURS, "white"]}])
def test_a_graph_that_leaves_its_axes_open_is_held_to_its_record_by_its_answers(tmp_path: Path, changes) -> None:
    import onnx
    from onnx import helper, numpy_helper

    graph = onnx.load_from_string(make_graph("classification", 16))
    graph.graph.node[-1].output[0] = "all"
    graph.graph.node.append(helper.make_node("Compress", ["all", "which"], ["probabilities"], axis=1))
    graph.graph.initializer.append(numpy_helper.from_array(np.ones(3, bool), "which"))
    graph.graph.output[0].type.tensor_type.shape.dim[1].dim_param = "classes"
    contents = make_contents(graph_bytes=graph.SerializeToString())
    load(write_zip(tmp_path / "open.bundle", contents)).self_test()
    model = load(write_zip(tmp_path / "a.bundle", with_record(contents, **changes)), threads=1)
    for ask in (model.self_test, lambda: model(plain(RED))):
        with pytest.raises(BundleError, match="a graph to"):
            ask()


def test_a_graph_of_one_picture_at_a_time_is_refused(tmp_path: Path) -> None:
    import onnx

    graph = onnx.load_from_string(make_graph("classification", 16))
    for entry in (*graph.graph.input, *graph.graph.output):
        entry.type.tensor_type.shape.dim[0].dim_value = 4
    with pytest.raises(BundleError, match="as its record says"):
        load(write_zip(tmp_path / "a.bundle", make_contents(graph_bytes=graph.SerializeToString())))


def test_the_runtime_loads_no_training_library_and_no_server_until_asked(bundles) -> None:
    probe = (
        "import sys, etude.runtime\n"
        "heavy = {'torch', 'timm', 'matplotlib', 'scipy', 'pyarrow', 'pandas', 'onnx', 'onnxruntime', 'fastapi', 'pydantic'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        f"from etude import load; model = load({str(bundles['classification'])!r}); model.self_test()\n"
        "heavy -= {'onnxruntime'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    told = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr


def test_classes_are_in_order(model) -> None:
    assert model.classes == COLOURS
    assert model.task == "classification"
    assert model.document("MODEL_CARD.md").startswith("# ")


def test_ids_of_classes_that_the_record_does_not_name_are_refused_by_the_self_test(tmp_path: Path) -> None:
    contents = with_record(make_contents("segmentation"), classes=["a"], palette=[[1, 2, 3]])
    model = load(write_zip(tmp_path / "few.bundle", contents), threads=1)
    with pytest.raises(BundleError, match=r"must be a graph to ids below 1\. Got 2"):
        model.self_test()
    with pytest.raises(BundleError, match="must be a graph to ids below 1"):
        model(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8))
