"""`etude explain` on a tiny study: records beside the run, a page in each language."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from etude import Study
from etude.cli.main import app
from etude.core.errors import MistakeError
from etude.core.study_record import StudyRecord
from etude.core.watch import Silent
from etude.data.source import open_source
from etude.evaluate.final import final_row
from etude.explain.records import DataMapRecord, ErrorsRecord, LayersRecord, SightRecord
from etude.report.explanations import read_explanations, set_out
from etude.report.note import write_note
from etude.report.pdf import render_typst
from etude.report.reading import read_study
from etude.report.words import Words
from etude.study.folder import find_study
from etude.study.opened import OpenedRun

STUDY = """
study: told
data: {source: shapes, split: {train_items: 200, validation: 0.2}}
prepare: {size_px: 16, normalize: half}
train: {epochs: 2, batch: 32, optimizer: {name: adamw, lr: 0.01}, precision: fp32}
baseline: linear
candidates:
  linear: {model: {name: mlp, widths: []}}
  cnn: {model: {name: cnn, widths: [8, 16]}, train: {epochs: 4}, combine: {tta: flip}}
  folded: {model: {name: cnn, widths: [4]}, train: {epochs: 1}, combine: {folds: 3, tta: flip}}
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    Study.from_text(STUDY).run(folder)
    return folder


def test_layers_of_a_run_are_written_and_told(results, monkeypatch):
    monkeypatch.chdir(results)
    record = StudyRecord.load(results / "told" / "study.json")
    identity = next(ref.identity for ref in record.runs if ref.candidate == "cnn")
    options = ["--results", str(results), "--seconds", "1", "--part", "layers", "--quiet"]
    done = CliRunner().invoke(app, ["explain", "told", "--run", identity[:6], *options], catch_exceptions=False)
    assert done.exit_code == 0
    folder = results / "told" / "runs" / identity / "explain"
    layers = LayersRecord.load(folder / "layers.json")
    row = next(row for row in record.leaderboard if row.candidate == "cnn")
    assert layers.params == row.params
    assert 64 <= layers.n_pictures <= 400
    assert any(entry.fall_shuffled for entry in layers.rows)
    for language, told in (("en", "multiply-adds for a picture"), ("fr", "pour une image de")):
        page = (folder / f"explain.{language}.html").read_text("utf-8")
        assert told in page
        assert "<svg" in (folder / f"network.{language}.svg").read_text("utf-8")
        assert not re.search(r'(?:src|href)="https?:', page)
    assert len(set(done.output.split())) == 2


def test_one_network_of_several_is_explained_on_pictures_that_it_held_out(results, monkeypatch):
    monkeypatch.chdir(results)
    identity = run_of(results, "folded")
    folder = find_study("told", results)
    study = folder.load_study()
    ref = next(ref for ref in study.runs if ref.identity == identity)
    opened = OpenedRun(folder, study, ref, results, Silent(), "cpu")
    learnt, held_out = (opened.job.members[0].parts(name).indices_N for name in ("train", "validation"))
    assert np.intersect1d(
        opened.job.parts("validation").indices_N, learnt
    ).size  # others of them are held out by others
    assert np.array_equal(opened.part("validation", "train").indices_N, held_out)
    options = ["--run", identity, "--results", str(results), "--seconds", "1", "--quiet", "--language", "en"]
    parts = ["--part", "layers", "--part", "why"]
    assert CliRunner().invoke(app, ["explain", "told", *options, *parts], catch_exceptions=False).exit_code == 0
    layers = LayersRecord.load(folder.run(identity) / "explain" / "layers.json")
    assert (layers.member.number, layers.member.of) == (1, 3)
    assert layers.params == sum(parameter.numel() for parameter in opened.network.parameters())
    assert 3 * layers.params == next(row.params for row in study.leaderboard if row.candidate == "folded")
    assert len([row for row in layers.rows if row.kind == "head"]) == 1
    page = (folder.run(identity) / "explain" / "explain.en.html").read_text("utf-8")
    assert page.count("number 1 of 3") == 2


@pytest.mark.slow
def test_everything_of_the_final_run_is_explained_and_stands_in_the_note(results, monkeypatch, tmp_path):
    monkeypatch.chdir(results)
    options = ["--pictures", "300", "--results", str(results), "--seconds", "1", "--quiet", "--language", "fr"]
    done = CliRunner().invoke(app, ["explain", "told", *options], catch_exceptions=False)
    assert done.exit_code == 0
    folder = Path(done.output.strip()).parent
    record = DataMapRecord.load(folder / "map.json")
    assert record.n == pytest.approx(300, abs=60)
    assert set(record.separation) == {"pixels", "features"}
    assert sum(entry.n for entry in record.separation["features"]) < record.n  # of the test part alone
    with np.load(folder / "map.npz") as maps, np.load(folder / "space.npz") as space:
        assert maps["features.tsne"].shape == (record.n, 2)
        assert space["features.reduced"].shape[0] == record.n
    errors = ErrorsRecord.load(folder / "errors.json")
    study = StudyRecord.load(results / "told" / "study.json")
    right = sum(entry.n * entry.share for entry in errors.classes) / sum(entry.n for entry in errors.classes)
    assert right == pytest.approx(final_row(study).score, abs=1e-9)
    page = (folder / "explain.fr.html").read_text("utf-8")
    for heading in ("Cartes des données", "Les erreurs, vues de près"):
        assert heading in page
    assert "data:image/png" in page
    assert not re.search(r'(?:src|href)="https?:', (folder / "map.fr.html").read_text("utf-8"))
    note = write_note(results / "told", "fr", to=tmp_path / "note.html").read_text("utf-8")
    assert 'id="explained-map"' in note


def run_of(results, candidate):
    record = StudyRecord.load(results / "told" / "study.json")
    return next(ref.identity for ref in record.runs if ref.candidate == candidate)


@pytest.mark.parametrize(
    ("part", "files", "heading"),
    [
        ("sight", ["sight.json"], "What a layer sees"),
        ("why", ["why.json"], "Why this answer"),
        ("map", ["map.json"], "Maps of the data"),
        ("errors", ["errors.json"], "Errors, looked at"),
    ],
)
def test_one_part_alone_has_its_page_and_stands_in_the_note(
    results, monkeypatch, tmp_path, part, files, heading
):  # fmt: skip
    monkeypatch.chdir(results)
    for explained in (results / "told" / "runs").glob("*/explain"):
        shutil.rmtree(explained)
    folder = results / "told" / "runs" / run_of(results, "cnn") / "explain"
    options = ["--run", folder.parent.name, "--results", str(results), "--quiet", "--language", "en", "--part", part]
    options += ["--pictures", "60"]
    done = CliRunner().invoke(app, ["explain", "told", *options], catch_exceptions=False)
    assert done.exit_code == 0
    assert sorted(path.name for path in folder.glob("*.json")) == files
    page = (folder / "explain.en.html").read_text("utf-8")
    assert f">{heading}</h2>" in page
    assert 'id="layers"' not in page
    assert not (folder / "network.en.svg").exists()
    note = write_note(results / "told", "en", to=tmp_path / "note.html").read_text("utf-8")
    assert f'href="#explained-{part}"' in note
    assert 'href="#layers"' not in note
    study, words = read_study(results / "told"), Words("en")
    assert heading in render_typst(study, words, tmp_path)


@pytest.mark.parametrize("part", ["sight", "why"])
def test_a_part_that_a_network_cannot_have_is_refused_where_it_is_asked_for(results, monkeypatch, part):
    monkeypatch.chdir(results)
    options = ["--run", run_of(results, "linear"), "--results", str(results), "--quiet", "--part", part]
    with pytest.raises(MistakeError, match=f"{part} is left out: no layer of mlp"):
        CliRunner().invoke(app, ["explain", "told", *options], catch_exceptions=False)


def test_named_layers_are_all_drawn_and_their_channels_with_them(results, monkeypatch):
    monkeypatch.chdir(results)
    folder = results / "told" / "runs" / run_of(results, "cnn") / "explain"
    options = ["--run", folder.parent.name, "--results", str(results), "--quiet", "--part", "sight"]
    asked = ["blocks.0.0", "blocks.1.3"]
    done = CliRunner().invoke(
        app, ["explain", "told", *options, *(word for name in asked for word in ("--layer", name))], catch_exceptions=False
    )  # fmt: skip
    assert done.exit_code == 0
    record = SightRecord.load(folder / "sight.json")
    assert list(record.layers) == asked
    assert {entry.layer for entry in record.exciting} == set(asked)
    CliRunner().invoke(app, ["explain", "told", *options, "--most-layers", "2"], catch_exceptions=False)
    assert len(SightRecord.load(folder / "sight.json").layers) == 2
    CliRunner().invoke(app, ["explain", "told", *options, "--most-layers", "0"], catch_exceptions=False)
    assert len(SightRecord.load(folder / "sight.json").layers) == 4


def test_a_run_that_is_not_there_is_said(results):
    with pytest.raises(MistakeError, match="no finished run 'zzz'"):
        CliRunner().invoke(app, ["explain", "told", "--run", "zzz", "--results", str(results)], catch_exceptions=False)


def test_layers_of_every_candidate_are_told_without_falls_where_none_are_asked_for(results, monkeypatch):
    monkeypatch.chdir(results)
    for path in (results / "told").glob("runs/*/explain/layers.json"):
        path.unlink()  # falls that were measured are kept
    options = ["--results", str(results), "--quiet", "--language", "en", "--part", "layers", "--seconds", "0"]
    done = CliRunner().invoke(app, ["explain", "told", "--all-candidates", *options], catch_exceptions=False)
    assert done.exit_code == 0
    study, words = read_study(results / "told"), Words("en")
    explained = [entry for entry in read_explanations(study) if entry.layers]
    assert {entry.ref.candidate for entry in explained} == {"linear", "cnn", "folded"}
    pages = [results / path for path in done.output.split()]
    assert [entry.folder / "explain.en.html" for entry in explained] == pages  # the one that is handed over first
    for entry in explained:
        assert entry.layers.score is None
        assert not any(row.fall_shuffled for row in entry.layers.rows)
        assert set_out(entry, study, words).layers.rows
    with pytest.raises(MistakeError, match="not both"):
        CliRunner().invoke(
            app, ["explain", "told", "--all-candidates", "--run", "a", *options], catch_exceptions=False
        )  # fmt: skip


def test_falls_that_were_measured_are_kept_where_none_are_asked_for(results, monkeypatch):
    """All candidates without falls, after the final one with them: its falls were gone."""
    monkeypatch.chdir(results)
    options = ["--results", str(results), "--quiet", "--language", "en", "--part", "layers", "--seconds"]
    CliRunner().invoke(app, ["explain", "told", *options, "1"], catch_exceptions=False)
    CliRunner().invoke(app, ["explain", "told", "--all-candidates", *options, "0"], catch_exceptions=False)
    found = [LayersRecord.load(path) for path in (results / "told").glob("runs/*/explain/layers.json")]
    assert sum(layers.n_pictures > 0 for layers in found) >= 1


def test_an_unknown_language_is_refused_before_anything_is_explained(results, monkeypatch):
    monkeypatch.chdir(results)
    monkeypatch.setattr("etude.study.explaining.explain_run", None)
    options = ["--results", str(results), "--language", "en,fr"]
    with pytest.raises(MistakeError, match="language must be one of fr, en"):
        CliRunner().invoke(app, ["explain", "told", *options], catch_exceptions=False)


def test_a_layer_that_some_candidates_have_is_shown_of_those(results, monkeypatch):
    monkeypatch.chdir(results)
    options = ["--results", str(results), "--language", "en", "--part", "sight"]
    of_cnn = results / "told" / "runs" / run_of(results, "cnn")
    CliRunner().invoke(app, ["explain", "told", *options, "--run", of_cnn.name], catch_exceptions=False)
    layers = SightRecord.load(of_cnn / "explain" / "sight.json").layers
    options.append("--all-candidates")
    done = CliRunner().invoke(app, ["explain", "told", *options, "--layer", layers[0]], catch_exceptions=False)
    assert done.exit_code == 0
    shown = {path.split("/runs/")[1].split("/")[0] for path in done.stdout.split()}
    assert run_of(results, "cnn") in shown
    with pytest.raises(MistakeError, match=r"a layer of the network that gives maps\. Got 'nowhere'"):
        CliRunner().invoke(app, ["explain", "told", *options, "--layer", "nowhere"], catch_exceptions=False)


def test_new_pictures_are_placed_on_the_map_that_is_drawn(results, monkeypatch, tmp_path):
    """The map stays as it is; a new picture lies where the study's picture does that it is a copy of."""
    monkeypatch.chdir(results)
    folder = results / "told" / "runs" / run_of(results, "cnn") / "explain"
    options = ["--run", folder.parent.name, "--results", str(results), "--quiet", "--language", "en", "--part", "map"]
    drawn = CliRunner().invoke(app, ["explain", "told", *options, "--pictures", "120"], catch_exceptions=False)
    assert drawn.exit_code == 0
    before = (folder / "map.npz").read_bytes()
    with np.load(folder / "map.npz") as arrays:
        ids, places = arrays["ids"].tolist(), arrays["features.pca"]
    source = open_source("shapes")
    new = tmp_path / "new"
    (new / "deeper").mkdir(parents=True)
    for name, item in (("one.png", ids[3]), ("deeper/two.png", ids[70])):
        Image.fromarray(np.asarray(source.raw(source.items.ids.tolist().index(item)))).save(new / name)
    (new / "broken.jpg").write_bytes(b"none")
    asked = ["explain", "told", *options[:-2], "--place", str(new)]
    with pytest.raises(MistakeError, match="--place goes with --part map"):
        CliRunner().invoke(app, [*asked, "--part", "layers"], catch_exceptions=False)
    placed = CliRunner().invoke(app, asked, catch_exceptions=False)  # of the map alone
    assert placed.exit_code == 0
    assert (folder / "map.npz").read_bytes() == before
    with np.load(folder / "placed.npz") as arrays:
        assert arrays["names"].tolist() == ["deeper/two.png", "one.png"]
        np.testing.assert_allclose(arrays["features.pca"], places[[70, 3]], atol=1e-3)
        assert arrays["features.tsne"].shape == (2, 2)
    page = (folder / "map.en.html").read_text("utf-8")
    for told in ("deeper/two.png", "new picture", ids[3]):
        assert told in page
    with pytest.raises(MistakeError, match="a folder of pictures"):
        CliRunner().invoke(app, ["explain", "told", *options, "--place", str(tmp_path / "no")], catch_exceptions=False)
    CliRunner().invoke(app, ["explain", "told", *options, "--pictures", "60"], catch_exceptions=False)
    assert not (folder / "placed.npz").exists()  # the map was drawn anew


def test_the_most_exciting_pictures_are_sought_some_at_a_time(results, monkeypatch):
    """However many pictures there are, few of them are held as floats."""
    monkeypatch.chdir(results)
    monkeypatch.setattr("etude.explain.why._PIXELS_AT_ONCE", 16 * 16 * 8)
    monkeypatch.setattr("etude.study.answered.answered_at_once", lambda _height_px, _width_px: 8)
    held, images = [], OpenedRun.images

    def count(opened, prepared, chosen=None):
        found = images(opened, prepared, chosen)
        held.append(len(found))
        return found

    monkeypatch.setattr(OpenedRun, "images", count)
    options = ["--run", run_of(results, "cnn"), "--results", str(results), "--quiet", "--language", "en"]
    done = CliRunner().invoke(app, ["explain", "told", *options, "--part", "sight"], catch_exceptions=False)
    assert done.exit_code == 0
    assert sum(held) > 80
    assert max(held) <= 8


GENERATORS = """
study: drawn
task: generation
data: {source: shapes, classes: [disc, square], split: {train_items: 24, validation: 0.1}}
prepare: {size_px: 16}
train: {steps: 4, batch: 4, precision: fp32, adversarial: {look_every: 2, collapse: 0}}
baseline: dcgan
candidates:
  dcgan: {model: {name: dcgan, width: 4, latent: 8}, train: {loss: non-saturating, average: none}}
  conditional: {model: {name: fastgan, width: 4, latent: 8, conditional: true}}
protocol: {seeds: 1, generation: {pictures: 40, features: pixels}}
"""


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    results = tmp_path_factory.mktemp("results")
    Study.from_text(GENERATORS).run(results)
    return results


@pytest.mark.slow
def test_generators_are_explained_layer_by_layer_with_what_they_were_trained_against(drawn, monkeypatch, tmp_path):
    monkeypatch.chdir(drawn)
    options, needed = ["--results", str(drawn)], []
    monkeypatch.setattr("etude.cli.explaining.require", lambda _what, _extra, modules: needed.extend(modules))
    done = CliRunner().invoke(app, ["explain", "drawn", "--all-candidates", *options], catch_exceptions=False)
    assert needed == [], "layers need nothing of the extra"
    assert done.exit_code == 0
    study = read_study(drawn / "drawn")
    explained = read_explanations(study)
    assert {entry.ref.candidate for entry in explained} == {"dcgan", "conditional"}
    for entry in explained:
        assert (entry.layers.side, entry.discriminator.side) == ("generator", "discriminator")
        assert entry.layers.rows[-1].output_shape == (3, 16, 16)
        cost = study.runs_of(entry.ref.candidate)[0].cost
        assert entry.layers.params == cost.params
        assert sorted(path.name for path in entry.folder.glob("*.json")) == [
            "layers-discriminator.json", "layers.json"
        ]  # fmt: skip
        for language, heading in (("en", "Layers of the discriminator"), ("fr", "Couches du discriminateur")):
            page = (entry.folder / f"explain.{language}.html").read_text("utf-8")
            assert f">{heading}</h2>" in page
            assert 'id="layers"' in page
            for name in ("network", "network-discriminator"):
                assert "<svg" in (entry.folder / f"{name}.{language}.svg").read_text("utf-8")
    note = write_note(drawn / "drawn", "en", to=tmp_path / "note.html").read_text("utf-8")
    assert "Layers of the final generator" in note
    assert 'id="explained-discriminator"' in note
    assert "Layers of the discriminator" in render_typst(study, Words("en"), tmp_path)


@pytest.mark.slow
def test_a_part_that_generators_do_not_have_is_refused_where_it_is_asked_for(drawn, monkeypatch):
    monkeypatch.chdir(drawn)
    options = ["--results", str(drawn), "--part", "why"]
    with pytest.raises(MistakeError, match=r"why is left out: A generator gives no answer to a picture"):
        CliRunner().invoke(app, ["explain", "drawn", *options], catch_exceptions=False)
