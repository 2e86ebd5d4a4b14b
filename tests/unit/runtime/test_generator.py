"""A generator out of a bundle: seeds, classes, files that tell what they are, bundles that are refused."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest
from PIL import Image
from tests.unit.runtime.drawing import make_contents, make_generator_contents, with_record, write_zip

from etude import load, load_generator
from etude.cli.generating import generate_pictures
from etude.core.errors import BundleError, MistakeError
from etude.pictures.generated import SOURCE_TYPE
from etude.runtime.latents import draw_latents
from etude.runtime.reference import Reference


@pytest.fixture(scope="module")
def bundle(generator_bundle: Path) -> Path:
    return generator_bundle


def test_the_vectors_of_a_seed_are_the_same_for_ever() -> None:
    """Worked once and kept: a change of these numbers changes every picture that a seed ever gave."""
    np.testing.assert_allclose(draw_latents(7, [0, 3], 3), EXPECTED, atol=1e-6)


EXPECTED = [[0.7846782, 1.0477296, 0.8396887], [-1.4676283, -0.4302979, -0.1910859]]


def test_the_vectors_are_standard_normal() -> None:
    drawn = draw_latents(1, range(200), 51)
    assert drawn.dtype == np.float32
    count, normal = drawn.size, NormalDist()
    for level in np.linspace(-3, 3, 25):  # Kolmogorov and Smirnov's bound at 1 %
        assert abs((drawn <= level).mean() - normal.cdf(level)) < 1.63 / np.sqrt(count)
    assert abs(np.corrcoef(drawn[:, 0], drawn[:, 26])[0, 1]) < 0.25  # the two halves come from the same lengths
    assert abs(np.corrcoef(drawn[:-1].ravel(), drawn[1:].ravel())[0, 1]) < 0.05


def test_a_picture_depends_on_its_seed_and_number_alone(bundle: Path) -> None:
    generator = load_generator(bundle, threads=1)
    many = generator(40, seed=7)
    assert many.shape == (40, 8, 8, 3)
    np.testing.assert_array_equal(generator(10, seed=7), many[:10])
    np.testing.assert_array_equal(generator(5, seed=7, first=21), many[21:26])
    assert (generator(40, seed=8) != many).any()


def test_a_class_is_asked_for_or_each_comes_in_turn(bundle: Path, tmp_path: Path) -> None:
    generator = load_generator(bundle)
    green = generator(6, seed=1, label="green").astype(int)
    assert [wish.class_id for wish in generator.wishes(4)] == [0, 1, 2, 0]
    np.testing.assert_array_equal(generator(6, seed=1)[1], green[1])
    blue = generator(6, seed=1, label="blue").astype(int)
    assert (green[..., 1] > blue[..., 1]).all()
    with pytest.raises(MistakeError, match="Did you mean 'green'"):
        generator(1, label="gren")
    plain = load_generator(write_zip(tmp_path / "plain.bundle", make_generator_contents(conditional=False)))
    with pytest.raises(MistakeError, match="class must be left out for this generator"):
        plain(1, label="green")


@pytest.mark.parametrize(("count", "seed"), [(0, 0), (1, -1), (1, 2**53)])
def test_what_cannot_be_asked_for_is_a_sentence(bundle: Path, count: int, seed: int) -> None:
    with pytest.raises(MistakeError, match=r"generate: .* must be between"):
        load_generator(bundle)(count, seed=seed)


def test_the_files_say_that_they_are_generated_by_what_and_how(bundle: Path, tmp_path: Path) -> None:
    generate_pictures(bundle, tmp_path / "made", 5, 7, None, 0, False)
    files = sorted((tmp_path / "made").rglob("*.png"))
    assert [str(file.relative_to(tmp_path / "made")) for file in files] == [
        "blue/generated-7-00002.png", "green/generated-7-00001.png", "green/generated-7-00004.png",
        "red/generated-7-00000.png", "red/generated-7-00003.png",
    ]  # fmt: skip
    generator = load_generator(bundle)
    with Image.open(files[2]) as picture:
        told = picture.text
        np.testing.assert_array_equal(np.asarray(picture), generator(1, seed=7, first=4)[0])
    assert told["Description"].startswith("Generated picture, no photograph. Made by Étude: bundle shades")
    assert told["etude:graph-sha256"] == generator.graph_sha256
    assert (told["etude:seed"], told["etude:number"], told["etude:class"]) == ("7", "4", "green")
    assert SOURCE_TYPE in told["XML:com.adobe.xmp"]


def test_the_same_seed_gives_the_same_files(bundle: Path, tmp_path: Path) -> None:
    for folder, count in (("a", 3), ("b", 20)):
        generate_pictures(bundle, tmp_path / folder, count, 11, "red", 0, False)
    for path in (tmp_path / "a").rglob("*.png"):
        assert path.read_bytes() == (tmp_path / "b" / path.relative_to(tmp_path / "a")).read_bytes()


def test_pictures_of_another_bundle_are_not_overwritten(bundle: Path, tmp_path: Path, capsys) -> None:
    made = tmp_path / "made"
    generate_pictures(bundle, made, 3, 7, None, 0, False, quiet=True)
    generate_pictures(bundle, made, 4, 7, None, 0, False, quiet=True)  # the same again, and one more
    assert capsys.readouterr().out == ""
    before = {path: path.read_bytes() for path in made.rglob("*.png")}
    other = write_zip(tmp_path / "other.bundle", make_generator_contents(latent=6))
    with pytest.raises(MistakeError, match=r"--to must be a folder without pictures of others"):
        generate_pictures(other, made, 9, 7, None, 0, False)
    assert {path: path.read_bytes() for path in made.rglob("*.png")} == before
    generate_pictures(other, made, 3, 8, None, 0, False)


@pytest.mark.parametrize("to", ["file", "file/inside", "made"])
def test_a_file_in_the_place_of_a_folder_is_a_mistake(bundle: Path, tmp_path: Path, to: str) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "made").mkdir()
    (tmp_path / "made/green").write_text("")
    with pytest.raises(MistakeError, match=r"generate: --to must be a folder\."):
        generate_pictures(bundle, tmp_path / to, 3, 7, None, 0, False)


def test_a_grid_tells_of_all_its_pictures(bundle: Path) -> None:
    generator = load_generator(bundle)
    wishes = generator.wishes(4, seed=3)
    with Image.open(io.BytesIO(generator.png(list(generator.stream(wishes)), wishes))) as sheet:
        assert sheet.size == (2 * (8 + 2) + 2, 2 * (8 + 2) + 2)
        assert sheet.text["etude:number"] == "0,1,2,3"


def test_classes_cannot_name_a_place_outside_of_the_folder(tmp_path: Path) -> None:
    contents = with_record(make_generator_contents(), classes=["../../evil", "/root", ".."])
    generate_pictures(write_zip(tmp_path / "evil.bundle", contents), tmp_path / "made", 3, 0, None, 0, True)
    assert len(list((tmp_path / "made").glob("*/*.png"))) == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["evil.bundle", "made"]


def test_the_self_test_notices_other_draws_and_other_pictures(tmp_path: Path) -> None:
    contents = make_generator_contents()
    load_generator(write_zip(tmp_path / "good.bundle", contents)).self_test()
    reference = Reference.from_bytes(contents["reference.npz"])
    forged = {
        "draws other numbers": Reference(reference.pictures, reference.answers + 1),
        "self-test must be at least": Reference(255 - reference.pictures, reference.answers),
    }
    for told, other in forged.items():
        changed = make_generator_contents()
        changed["reference.npz"] = other.to_bytes()
        record = json.loads(changed["bundle.json"])
        record["files"]["reference.npz"] = {
            "sha256": hashlib.sha256(changed["reference.npz"]).hexdigest(), "bytes": len(changed["reference.npz"])
        }  # fmt: skip
        changed["bundle.json"] = json.dumps(record).encode()
        with pytest.raises(BundleError, match=told):
            load_generator(write_zip(tmp_path / "forged.bundle", changed)).self_test()


def test_a_bundle_is_opened_for_what_it_is(bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="etude generate"):
        load(bundle)
    with pytest.raises(BundleError, match="etude predict"):
        load_generator(write_zip(tmp_path / "colours.bundle", make_contents()))


@pytest.mark.parametrize(
    "changes", [{"latent": None}, {"latent": 0}, {"latent": 4}, {"output": "ids"}, {"classes": []}, {"conditional": False},
                {"prepare": {"size_px": 9}}, {"classes": ["red", "green", "blue", "white"]}]
)  # fmt: skip
def test_a_record_that_does_not_fit_its_graph_is_refused(tmp_path: Path, changes: dict[str, object]) -> None:
    path = write_zip(tmp_path / "odd.bundle", with_record(make_generator_contents(), **changes))
    with pytest.raises(BundleError):
        load_generator(path).self_test()


def test_the_folder_of_a_study_is_told_to_be_none(tmp_path: Path) -> None:
    folder = tmp_path / "lions"
    folder.mkdir()
    (folder / "study.json").write_text("{}")
    (folder / ".lock").touch()
    with pytest.raises(BundleError, match=r"the folder of a study.*etude export lions"):
        load_generator(folder)


def test_the_only_class_may_be_named(tmp_path: Path) -> None:
    contents = make_generator_contents(conditional=False, classes=("lion",), called={})
    plain = load_generator(write_zip(tmp_path / "plain.bundle", contents))
    np.testing.assert_array_equal(plain(1, label="lion"), plain(1))
