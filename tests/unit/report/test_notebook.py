"""What a notebook carries, shows and says, before it is executed."""

from __future__ import annotations

import base64
import html
import importlib.metadata
import importlib.util
import json
import re
import shutil
import subprocess
from types import SimpleNamespace

import numpy as np
import pytest
from tests.unit.report.conftest import SCORES

from etude.core.errors import EtudeError
from etude.core.interval import Interval
from etude.core.run_record import RunRecord
from etude.core.study_record import AblationGroup, StudyRecord
from etude.explain.records import ErrorsRecord, GroupScore, LayerRow, LayersRecord
from etude.models.card import Card
from etude.report import cells, drawings, notebook, packing, pdf
from etude.report.arrays import PACKED
from etude.report.cards import CARDS_FILE, find_card
from etude.report.drawings import Swatch
from etude.report.notebook import build_notebook, write_notebook
from etude.report.packing import gather_records
from etude.report.path import tell_path
from etude.report.reading import read_study
from etude.report.references import list_references
from etude.report.settings import read_settings
from etude.report.slides import write_slides
from etude.report.words import MetricWords, Words

TIMM = "mobilenetv3_small_050"


def mutate(folder, **changes):
    path = folder / "study.json"
    StudyRecord.load(path).model_copy(update=changes).save(path)


def give_model(folder, candidate, model):
    """Let the runs of a candidate have been made with another network."""
    for path in folder.glob("runs/*/run.json"):
        run = RunRecord.load(path)
        if run.candidate == candidate:
            run.model_copy(update={"config": run.config | {"model": model}}).save(path)


def sources(folder, language="en"):
    return [cell["source"] for cell in build_notebook(read_study(folder, language), Words(language))["cells"]]


def shown_files(folder):
    return [text.split("\n")[0].removeprefix("%%module ") for text in sources(folder) if text.startswith("%%module ")]


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("vgg", "cnn.py"),
        ("unet-mini", "unet.py"),
        ("fast-scnn", "fast_scnn.py"),
        ("smp-unet", "smp.py"),
        ("fastgan", "fastgan.py"),
        (TIMM, "timm.py"),
    ],
)
def test_the_source_of_a_network_is_shown_whatever_the_file_is_called(study_folder, name, file):
    give_model(study_folder, "resnet", {"name": name})
    assert f"etude/models/networks/{file}" in shown_files(study_folder)
    told = "the library that they come from has their source" in "".join(sources(study_folder))
    assert told == (name in ("smp-unet", TIMM))


def test_a_network_of_ones_own_is_shown_and_travels_along(study_folder):
    give_model(study_folder, "resnet", {"name": "python", "python": "/gone/nets.py:Net"})
    own = study_folder / "networks"
    (own / "inner").mkdir(parents=True)
    (own / "nets.py").write_text("from inner.blocks import Block\n\n\nclass Net(Block): ...\n")
    (own / "inner" / "blocks.py").write_text("class Block: ...\n")
    assert {"networks/nets.py", "networks/inner/blocks.py"} <= set(shown_files(study_folder))
    assert any("class Net(Block): ..." in text for text in sources(study_folder))
    files = gather_records(read_study(study_folder), Words("en")).files
    assert files["networks/inner/blocks.py"] == b"class Block: ...\n"


def test_the_card_of_a_network_of_timm_is_written_down(study_folder, monkeypatch):
    give_model(study_folder, "resnet", {"name": TIMM})
    made = Card(name=TIMM, title=TIMM, sentence=".", paper="Ada, Nets, 2021", input_px=224, min_px=32)
    monkeypatch.setattr("etude.models.card_of", lambda name: made)
    parcel = gather_records(read_study(study_folder), Words("en"))
    assert json.loads(parcel.files[CARDS_FILE]).keys() == {TIMM}  # Étude's own have theirs in its source

    def missing(name):
        raise ImportError("No module named 'timm'", name="timm")

    monkeypatch.setattr("etude.models.card_of", missing)
    study = read_study(study_folder)
    assert find_card(study_folder, TIMM) is None
    assert "Ada, Nets, 2021" not in list_references(study, read_settings(study), Words("en"))
    (study_folder / CARDS_FILE).write_bytes(parcel.files[CARDS_FILE])
    assert find_card(study_folder, TIMM) == made
    assert "Ada, Nets, 2021" in list_references(study, read_settings(study), Words("en"))


def explain(folder, candidate="resnet", arrays=None):
    """Let a run have been explained."""
    record = StudyRecord.load(folder / "study.json")
    target = folder / "runs" / next(ref.identity for ref in record.runs if ref.candidate == candidate) / "explain"
    target.mkdir()
    row = LayerRow(
        name="head", kind="head", type="Linear", input_shape=(8,), output_shape=(10,), params=90, trained=90, macs=80
    )
    record = LayersRecord(network=candidate, size_px=(32, 32), rows=(row,), params=90, macs=80)
    record.save(target / "layers.json")
    for name, values in (arrays or {}).items():
        np.savez_compressed(target / f"{name}.npz", **values)
    return target


def test_arrays_travel_packed_and_those_of_other_readers_stay(study_folder):
    noise = np.random.default_rng(0).integers(0, 256, (20, 192, 192, 3), dtype=np.uint8)
    target = explain(study_folder, arrays={"why": {"pictures": noise}, "thumbs": {"thumbs": noise}})
    assert (target / "why.npz").stat().st_size > 2_000_000
    parcel = gather_records(read_study(study_folder), Words("en"))
    name = f"runs/{target.parent.name}/explain/why{PACKED}"
    assert len(parcel.files[name]) < 2_000_000
    assert not any("thumbs" in path or path.endswith("why.npz") for path in parcel.files)
    assert parcel.left_out == ()


@pytest.mark.parametrize(
    ("language", "told"),
    [("en", "Left out, so that the notebook stays under 10 MB: Why this answer (resnet)"), ("fr", "Laissé de côté")],
)
def test_what_there_is_no_room_for_is_told(study_folder, monkeypatch, language, told):
    assert told not in "".join(sources(study_folder, language))
    explain(study_folder, arrays={"why": {"pictures": np.zeros((8, 100, 100, 3), np.uint8)}})
    study, words = read_study(study_folder, language), Words(language)
    text = "".join(cell["source"] for cell in build_notebook(study, words, gather_records(study, words, 100))["cells"])
    assert told in text
    small = {"labels": np.zeros(1, np.int8)}
    explain(study_folder, "cnn", arrays={"why": small})  # of another run than the one that is shown
    assert len(gather_records(study, words, 100).left_out) == 1


def test_what_is_written_has_at_most_ten_megabytes(whole_study, tmp_path, monkeypatch):
    whole = write_notebook(whole_study, "en", to=tmp_path / "whole.ipynb", execute=False)
    spare = gather_records(read_study(whole_study), Words("en")).n_spare
    assert spare > 0
    most = whole.stat().st_size - spare // 4
    monkeypatch.setattr(notebook, "MOST_BYTES", most)
    less = write_notebook(whole_study, "en", to=tmp_path / "less.ipynb", execute=False)
    assert less.stat().st_size <= most
    assert re.search("Left out, so that the notebook stays under 10 MB: .*answers of", less.read_text("utf-8"))
    monkeypatch.setattr(notebook, "MOST_BYTES", most // 4)
    with pytest.raises(EtudeError, match="with its records alone"):
        write_notebook(whole_study, "en", to=tmp_path / "none.ipynb", execute=False)
    assert not (tmp_path / "none.ipynb").exists()


def test_answers_of_a_candidate_travel_all_or_none(whole_study):
    study, words = read_study(whole_study), Words("en")
    answers = [load for load in packing._loads(study, words) if load.name == "answers of resnet"]
    assert len(answers[0].files) == len(study.runs_of("resnet")) == 2
    one = max(map(len, answers[0].files.values()))
    parcel = gather_records(study, words, answers[0].n_bytes - one // 2)
    of_resnet = {run.identity for run in study.runs_of("resnet")}
    assert not any(path.endswith("predictions.parquet") and path.split("/")[1] in of_resnet for path in parcel.files)
    assert "answers of resnet" in parcel.left_out


@pytest.mark.parametrize(
    ("source", "told"), [("cifar10", "not needed: the study draws or fetches cifar10 itself"), ("/home/ada/photos", "the study had them in /home/ada/photos")]
)  # fmt: skip
def test_it_is_said_what_the_pictures_must_be(study_folder, source, told):
    config = StudyRecord.load(study_folder / "study.json").config
    mutate(study_folder, config=config | {"data": config["data"] | {"source": source}})
    assert next(told in text for text in sources(study_folder) if text.startswith("retrain = False"))


def test_where_nothing_was_explained_it_is_said_how(study_folder, monkeypatch):
    shown = []
    monkeypatch.setattr(cells, "show_html", shown.append)
    cells.Book(study_folder, "en").networks()
    assert "`etude explain cifar10-models` explains the best one" in "".join(shown)
    explain(study_folder)
    shown.clear()
    cells.Book(study_folder, "en").networks()
    assert "<h3>resnet</h3>" in "".join(shown)
    assert "explains the best one" not in "".join(shown)
    assert "Not explained here are the networks of cnn" in "".join(shown)


def test_it_tells_the_data_the_curves_and_the_limits_as_the_note_does(study_folder, monkeypatch):
    shown = []
    monkeypatch.setattr(cells, "show_html", shown.append)
    monkeypatch.setattr(cells, "show_drawing", lambda drawing: shown.append(drawing.label))
    classes = StudyRecord.load(study_folder / "study.json").classes
    mutate(study_folder, pixels={part: dict.fromkeys(classes, 9) for part in ("train", "validation", "test")})
    book = cells.Book(study_folder, "en")
    for _, _, code in notebook._chapters(book.study, book.words):
        exec(code, {"book": book})
    text = html.unescape("".join(shown))
    told = book.told
    assert told["limits"]
    assert told["data_sheet"]
    sheet = [value for _, value in told["data_sheet"]]
    for sentence in [*told["limits"], *sheet, told["gaps_told"], told["counts_told"], told["captions"]["pixels"]]:
        assert sentence in text


def read_through(folder, monkeypatch):
    """Return all that the chapters show, figures by their label, in order."""
    shown = []
    monkeypatch.setattr(cells, "show_html", shown.append)
    monkeypatch.setattr(cells, "show_drawing", lambda drawing: shown.append(f"[{drawing.label}]"))
    book = cells.Book(folder, "en")
    for heading, _, code in notebook._chapters(book.study, book.words):
        shown.append(f"## {heading}")
        exec(code, {"book": book})
    return re.sub(r"\s", " ", html.unescape("".join(shown)))


def write_sights(target):
    """Let the errors of a run have been looked at."""
    score = GroupScore(name="cat", n=20, share=0.7, interval=Interval(low=0.5, high=0.9))
    found = ErrorsRecord(candidate="resnet", n_runs=2, confident=(), hardest=(), mislabelled=(), classes=(score,))
    found.save(target / "errors.json")


def test_tables_have_their_legends_and_figures_their_captions(study_folder, monkeypatch):
    target = explain(study_folder)
    record = LayersRecord.load(target / "layers.json")
    act = record.rows[0].model_copy(update={"name": "act", "kind": "activation", "dead": 0.5, "sparsity": 0.4})
    record.model_copy(update={"rows": (act, *record.rows)}).save(target / "layers.json")
    write_sights(target)
    group = AblationGroup(name="cnn: augment.use", of="cnn", vary="augment.use", candidates=("cnn-noise",))
    verdicts = StudyRecord.load(study_folder / "study.json").verdicts
    varied = [v.model_copy(update={"group": group.name, "candidate": "cnn-noise"}) for v in verdicts[:1]]
    mutate(study_folder, ablations=(group,), verdicts=(*verdicts, *varied))
    text = read_through(study_folder, monkeypatch)
    for legend in (
        "Columns: ",
        "over pictures: 95% interval over the pictures of the test part",
        "dead channels: share of channels that say the same to every picture",
        "not above zero: share of the numbers that it gives",
        "smallest detectable gain: shown 8 times out of 10 by so many runs",
        "Candidates by accuracy on the test part. The baseline is in bold.",
        "Right answers by class, the worst first.",
        "Score on the test part: mean, single runs and intervals",
        "Score against cost, with the interval over runs",
    ):
        assert legend in text, legend
    assert text.count("Gain over cnn with its 95% interval, signed so that right of the line is better.") == 2
    assert "The comparisons with cnn." in text


def test_rows_that_captions_call_set_off_are(study_folder, monkeypatch):
    shown = []
    monkeypatch.setattr(cells, "show_html", shown.append)
    cells.Book(study_folder, "en").table("leaderboard")
    assert re.findall(r'<tr style="font-weight:bold"><td [^>]*>([\w-]+)', shown[0]) == ["cnn"]


@pytest.mark.parametrize(("fold", "whose"), [(None, "run of seed 0."), (2, "run of seed 0, fold 2.")])
def test_what_was_explained_of_one_network_stands_apart_and_says_whose_it_is(study_folder, monkeypatch, fold, whose):
    target = explain(study_folder)
    explain(study_folder, "cnn")
    assert not any("book.sights()" in text for text in sources(study_folder))  # nothing beyond layers was explained
    write_sights(target)
    refs = StudyRecord.load(study_folder / "study.json").runs
    mutate(
        study_folder, runs=tuple(r.model_copy(update={"fold": fold}) if r.candidate == "resnet" else r for r in refs)
    )
    text = read_through(study_folder, monkeypatch)
    places = [text.index(said) for said in ("<h3>cnn</h3>", "## Results", "## Errors", "Errors, looked at")]
    assert places == sorted(places)
    assert f"What follows is of resnet, {whose}</p><h3>Errors, looked at" in text


def test_what_was_explained_in_place_of_the_final_network_says_so(study_folder, monkeypatch):
    write_sights(explain(study_folder, "cnn"))
    text = read_through(study_folder, monkeypatch)
    assert "What follows is of cnn, run of seed 0." in text
    assert text.count("the final candidate, resnet, was not explained") == 1


def test_candidates_of_one_network_are_named_where_it_is_shown(study_folder, monkeypatch):
    explain(study_folder)
    explain(study_folder, "cnn")
    text = read_through(study_folder, monkeypatch)
    assert "<h3>cnn</h3><p>The same network: cnn-flip-shift and cnn-noise.</p>" in text
    assert text.count("The same network") == 1


@pytest.mark.parametrize(
    ("combine", "told"),
    [
        ({"folds": 5}, "(of 5 networks, each with an epoch of its own)."),
        ({"members": 3, "folds": None}, "(of 3 networks, each with an epoch of its own)."),
        ({"last_epochs": 4}, "after 12 epochs, the weights of the last 4 averaged, in"),
        ({"tta": "flip", "members": None}, "after 12 epochs, epoch 11 kept, in"),
    ],
)
def test_the_path_gives_no_network_the_epoch_of_another(study_folder, combine, told):
    ref = next(ref for ref in StudyRecord.load(study_folder / "study.json").runs if ref.candidate == "resnet")
    path = study_folder / "runs" / ref.identity / "run.json"
    run = RunRecord.load(path)
    run.model_copy(update={"config": run.config | {"combine": combine}}).save(path)
    study, words = read_study(study_folder), Words("en")
    said = dict(tell_path(study, words, MetricWords(words, "accuracy")))["resnet, seed 0"]
    assert told in said
    assert ("epoch 11 kept" in said) == ("tta" in combine)


def test_it_promises_of_the_path_what_the_path_holds(study_folder):
    opening = sources(study_folder)[0]
    assert "lists every run." not in opening
    assert "Nothing was tidied away" not in opening
    assert "every run of this plan, failed, pruned and interrupted ones too" in opening
    assert "a run that failed and was repeated stands there with its last state" in opening
    assert "what earlier plans ran does not stand there" in opening
    assert "networks that were trained only to answer together stand in one line" in opening


def test_where_no_prediction_is_left_it_is_said(study_folder, monkeypatch):
    shown = []
    monkeypatch.setattr(cells, "show_html", shown.append)
    cells.Book(study_folder, "en").errors()
    assert "There are no predictions to look at" in "".join(shown)


def test_trials_stand_in_the_path_before_the_runs(searched):
    study, words = read_study(searched), Words("en")
    path = tell_path(study, words, MetricWords(words, "accuracy"))
    assert len(path) == 4 + len(study.record.runs)
    assert [name for name, _ in path[:4]] == [f"cnn-searched, trial {n}" for n in (1, 2, 3, 4)]
    complete, pruned, failed, best = (said for _, said in path[:4])
    assert complete.startswith("61.0% on validation after 12 epochs")
    assert "It tried train.optimizer.lr=0.25." in complete
    assert pruned.startswith("Stopped early after 3 epochs")
    assert "33.0% on validation at best" in pruned
    assert "The loss is no number." in failed
    assert "lr=30" in failed
    assert "The best of its search so far. Its settings are those of cnn-searched." in best
    assert "so far" not in complete + pruned


def test_trials_are_told_in_french(searched):
    study, words = read_study(searched), Words("fr")
    path = dict(tell_path(study, words, MetricWords(words, "accuracy")))
    assert "Arrêté tôt après 3 époques" in path["cnn-searched, essai 2"]
    assert "Réglages essayés" in path["cnn-searched, essai 4"]


def test_a_search_travels_and_has_its_chapter(searched, monkeypatch):
    assert "search/cnn-searched.json" in gather_records(read_study(searched), Words("en")).files
    assert "book.searches()" in sources(searched)
    shown, drawn = [], []
    monkeypatch.setattr(cells, "show_html", shown.append)
    monkeypatch.setattr(cells, "show_drawing", drawn.append)
    cells.Book(searched, "en").searches()
    text = "".join(shown).replace("\xa0", " ")
    assert "4 trials (2 complete, 1 stopped early, 1 failed)" in text
    assert "cnn-searched gains 7.3 points" in text
    assert "train.optimizer.lr" in text
    assert len(drawn) >= 2
    mutate(searched, searches=())
    assert "book.searches()" not in sources(searched)


def test_a_search_has_its_slide_with_cost_beside_gain(searched, tmp_path):
    from pptx import Presentation

    deck = Presentation(str(write_slides(searched, "en", to=tmp_path / "s.pptx")))
    slides = [
        slide
        for slide in deck.slides
        if any(
            shape.has_text_frame and shape.text_frame.text == "cnn-searched, searched from cnn"
            for shape in slide.shapes
        )
    ]
    assert len(slides) == 2
    told = "".join(shape.text_frame.text for shape in slides[0].shapes if shape.has_text_frame).replace("\xa0", " ")
    assert "4 trials (2 complete, 1 stopped early, 1 failed)" in told
    assert "cnn-searched gains 7.3 points" in told
    assert "The trials, one by one, are in the notebook." in slides[0].notes_slide.notes_text_frame.text
    assert any(shape.has_table for shape in slides[1].shapes)


def test_a_parcel_is_the_same_text_each_time(study_folder):
    texts = {packing.pack(gather_records(read_study(study_folder), Words("en")).files) for _ in range(2)}
    assert len(texts) == 1
    assert base64.b85decode(texts.pop())


@pytest.fixture
def first_cell(study_folder, monkeypatch):
    """Run the cell that installs, on a machine that lacks numpy and has pillow in another version than the study."""
    record = StudyRecord.load(study_folder / "study.json")
    mutate(study_folder, versions=record.versions | {"numpy": "2.4.1", "pillow": "1.0.0"})
    source = next(text for text in sources(study_folder, "en") if "NEEDED = " in text)
    asked = []

    def run(fails=(), **changes):
        asked.clear()
        space = {}
        find = importlib.util.find_spec
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "numpy" else find(name))

        def call(command, check=False):
            asked.append(command[command.index("--quiet") + 1 :])
            return SimpleNamespace(returncode=int(any(word in fails for word in command)))

        monkeypatch.setattr(subprocess, "run", call)
        text = source.replace("exact = False", "exact = True") if changes.get("exact") else source
        exec(text, space)
        return asked, space

    return run


def test_what_is_missing_is_installed_in_the_version_of_the_study_and_otherwise_in_any(first_cell):
    assert first_cell()[0] == [["numpy==2.4.1"]]
    assert first_cell(fails=["numpy==2.4.1"])[0] == [["numpy==2.4.1"], ["numpy"]]
    (asked,) = first_cell(exact=True)[0]
    assert {"numpy==2.4.1", "pillow==1.0.0"} <= set(asked)


def test_before_training_anew_other_versions_are_told(first_cell, capsys):
    _, space = first_cell()
    space["TO_RETRAIN"] = ()
    space["install_to_retrain"]()
    here = importlib.metadata.version("pillow")
    assert f"pillow: {here} is here, the study was made with 1.0.0" in capsys.readouterr().out


def shown_networks(folder, monkeypatch):
    """Return what the chapter on the networks shows."""
    shown = []
    monkeypatch.setattr(cells, "show_html", shown.append)
    cells.Book(folder, "en").networks()
    return re.sub(r"\s", " ", html.unescape("".join(shown)))


def test_what_has_no_layers_is_not_asked_to_be_explained(study_folder, monkeypatch):
    explain(study_folder)
    explain(study_folder, "cnn")
    assert "Not explained here is the network of mlp: `etude explain" in shown_networks(study_folder, monkeypatch)
    for path in study_folder.glob("runs/mlp*/run.json"):
        run = RunRecord.load(path)
        run.model_copy(update={"cost": run.cost.model_copy(update={"params": 0})}).save(path)
    text = shown_networks(study_folder, monkeypatch)
    assert "Not explained here" not in text
    assert "mlp: " in text  # what it is stands there all the same


def test_networks_are_headed_by_the_candidates_of_the_file_and_kinds_are_told_once(study_folder, monkeypatch):
    """The variant of an ablation stands first of the leaderboard and was explained; its network is that of cnn."""
    group = AblationGroup(name="cnn: augment.use", of="cnn", vary="augment.use", candidates=("resnet", "cnn-noise"))
    mutate(study_folder, ablations=(group,))
    give_model(study_folder, "resnet", {"name": "cnn", "widths": [8]})
    for name in ("resnet", "cnn-noise", "mlp"):
        explain(study_folder, name)
    text = shown_networks(study_folder, monkeypatch)
    assert re.findall(r"<h3>([\w-]+)</h3>", text) == ["cnn-flip-shift", "mlp", "resnet"]
    assert "The same network: cnn-noise and cnn." in text
    assert text.count("What follows is of cnn-noise, run of seed 0.") == text.count("What follows is of") == 1
    assert text.count("<b>head</b>") == 1
    assert "was measured of" not in text
    path = next(study_folder.glob("runs/mlp*/explain/layers.json"))
    LayersRecord.load(path).model_copy(update={"n_pictures": 9}).save(path)
    told = "What the score loses without a layer, or with its weights shuffled, was measured of mlp alone."
    assert told in shown_networks(study_folder, monkeypatch)


def test_the_legend_of_the_curves_shows_colour_and_dashes(whole_study, tmp_path, monkeypatch):
    folder = shutil.copytree(whole_study, tmp_path / "study", ignore=shutil.ignore_patterns("report", "predictions.*"))
    record = StudyRecord.load(folder / "study.json")
    more = [f"more-{place}" for place in range(9)]
    rows = [record.leaderboard[-1].model_copy(update={"candidate": name}) for name in more]
    refs = [record.runs[0].model_copy(update={"candidate": name, "identity": name}) for name in more]
    for name in more:
        shutil.copytree(folder / "runs" / record.runs[0].identity, folder / "runs" / name)
    mutate(folder, leaderboard=(*record.leaderboard, *rows), runs=(*record.runs, *refs))
    shown = []
    monkeypatch.setattr(cells, "show_html", shown.append)
    monkeypatch.setattr(cells, "show_drawing", lambda drawing: None)
    cells.Book(folder, "en").draw("curves_drawing")
    assert "\N{EM DASH} resnet<" in shown[-1]
    assert "\N{EN DASH} \N{EN DASH} more-2<" in shown[-1]
    assert "\N{MIDDLE DOT}\N{MIDDLE DOT} more-8<" in shown[-1]
    study, words = read_study(folder), Words("en")
    monkeypatch.setattr(
        pdf._Plates, "draw", lambda plates, drawing: plates.widths.setdefault(drawing.name, 100) and "x"
    )
    swatches = [
        Swatch(index=0, name=name, color="", dashes="", shown=True) for name in (*SCORES, *more)
    ]  # fmt: skip
    monkeypatch.setattr(drawings.Artist, "swatches", lambda artist: swatches)
    text = pdf.render_typst(study, words, tmp_path)
    assert [text.count(f'dash: "{name}"') for name in ("solid", "dashed", "dotted", "dash-dotted")] == [7, 6, 1, 0]


def test_runs_differ_by_what_was_drawn(study_folder):
    for task in ("classification", "generation"):
        mutate(study_folder, task=task)
        text = "".join(sources(study_folder))
        assert "over runs (other seeds or folds could have been)" in text
    mutate(study_folder, task="classification")
    assert "d’autres graines ou d’autres plis auraient pu l’être" in "".join(sources(study_folder, "fr"))
