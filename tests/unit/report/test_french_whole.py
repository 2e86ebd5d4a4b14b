"""A whole report in French, of a study in which all went wrong: no sentence of ours is in English, in any format.

That every message is translated is shown elsewhere; what records keep as English text passes by the messages, and is
found here alone, where documents are read as a reader does.
"""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image
from pptx import Presentation
from tests.unit.report.test_explanations import PICTURE, write_errors, write_why

from etude.core.generation_record import GeneratedMeasure, GenerationRecord, NearestPair, TrivialGenerator
from etude.core.interval import Interval
from etude.core.judgement_record import JUDGEMENT_FILE, JudgedPictures, JudgementRecord
from etude.core.study_record import StudyRecord
from etude.explain.records import (
    ClassSeparation,
    DataMapRecord,
    Doubtful,
    Exciting,
    LayerRow,
    LayersRecord,
    MapRecord,
    SightRecord,
)
from etude.report import cells
from etude.report.explanations import explain_final
from etude.report.markdown import write_markdown
from etude.report.note import write_note
from etude.report.notebook import _chapters, build_notebook
from etude.report.packing import gather_records
from etude.report.pdf import render_typst
from etude.report.project import write_project
from etude.report.reading import read_study
from etude.report.references import list_references
from etude.report.settings import read_settings
from etude.report.slides import write_slides
from etude.report.words import Words

FR = Words("fr")
ENGLISH = re.compile(
    r"\b(the|of|and|with|for|is|its|that|are|was|were|not|from|which|by|has|have|pictures|networks?|weights|trained|"
    r"failed|threads?|unknown|training|learning|seed|fold|trial)\b",
    re.IGNORECASE,
)
FIELD = re.compile(r"\b\w+(\.\w+)+")
"""A field of the study file, such as data.split.seed."""
DIVERGED = (
    "train: the loss of mlp, seed 1 is no longer a number in epoch 3, at learning rate 0.5. Lower train.optimizer.lr, "
    "or set train.clip_norm (1.0, say) or train.precision: fp32."
)
SHUT = "ValueError: the door of this network is shut"
REFUSED = f"model nets.py: must accept pictures of 32×32 px. It gave {SHUT}. Give another prepare.size_px, or other parameters."
FOREIGN = (SHUT, "The disk is not what it was.", "A note of a source of my own.", "The loss is no number.")
"""What is not ours: the texts of exceptions, and the note of somebody's source."""
NOTES = (
    "One run a candidate: what another seed would give is not known.",
    "The pictures come from ImageNet, as their names say (n02085620 and the like), and so do the pretrained weights: "
    "the network has probably seen test pictures before, and its score says less about new ones.",
    "2 files were passed over (no picture by its ending): a.txt, b.txt",
    "A note of a source of my own.",
)
QUESTIONS = {"fr": "Quel petit réseau choisir ?", "en": "Which small network?"}


@pytest.fixture
def troubled(searched):
    """The study with failed runs of three kinds, trials pruned and failed, cautions, findings and an explained run."""
    record = StudyRecord.load(searched / "study.json")
    failures = {"mlp": (DIVERGED, REFUSED), "cnn-noise": ("The disk is not what it was.",)}
    left = {name: list(sentences) for name, sentences in failures.items()}
    runs = [
        ref.model_copy(update={"status": "failed", "failure": left[ref.candidate].pop(0)}) if left.get(ref.candidate) else ref
        for ref in record.runs
    ]  # fmt: skip
    rows = [row.model_copy(update={"failed": failures.get(row.candidate, ())}) for row in record.leaderboard]
    record.model_copy(
        update={
            "runs": tuple(runs), "leaderboard": tuple(rows), "notes": NOTES,
            "questions": QUESTIONS,
        }
    ).save(searched / "study.json")  # fmt: skip
    findings = [{"kind": "dark", "severity": "note", "sentence": "4 pictures are very dark.", "count": 4}]
    (searched / "check.json").write_text(json.dumps({"findings": findings}), "utf-8")
    folder = searched / "runs" / next(ref.identity for ref in runs if ref.candidate == "resnet") / "explain"
    folder.mkdir()
    given = {"type": "Linear", "input_shape": (8,), "output_shape": (10,), "params": 90, "trained": 90, "macs": 80}
    head = LayerRow(name="head", kind="head", **given)
    LayersRecord(network="resnet", size_px=(32, 32), rows=(head,), params=90, macs=80).save(folder / "layers.json")
    return searched


class _Reader(HTMLParser):
    """Reads what a page says in its own language: no code, and nothing that is marked as English."""

    SILENT = frozenset(("script", "style", "code", "pre"))
    SINGLE = frozenset(("meta", "link", "br", "img", "input", "path", "use", "hr", "col"))

    def __init__(self):
        super().__init__()
        self.open, self.said = [], []

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag not in self.SINGLE:
            self.open.append((tag, tag in self.SILENT or given.get("lang") == "en"))
        if not self.is_silent:
            self.said += [given[name] for name in ("title", "aria-label", "alt") if given.get(name)]

    def handle_endtag(self, tag):
        while self.open and self.open.pop()[0] != tag:
            pass

    def handle_data(self, data):
        if not self.is_silent:
            self.said.append(data)

    @property
    def is_silent(self):
        return any(silent for _, silent in self.open)


def read_html(text):
    reader = _Reader()
    reader.feed(text)
    return "\n".join(reader.said)


def read_markdown(text):
    return re.sub(r"```.*?```|``.*?``|`[^`]*`", "", text, flags=re.DOTALL)


def read_typst(text):
    text = re.sub(r'raw\("(?:[^"\\]|\\.)*"\)', "", text)
    return "\n".join(re.findall(r'#"((?:[^"\\]|\\.)*)"', text))


def read_slides(path):
    said = []
    for slide in Presentation(str(path)).slides:
        for shape in slide.shapes:
            said += [shape.text_frame.text] if shape.has_text_frame else []
            said += [cell.text for row in shape.table.rows for cell in row.cells] if shape.has_table else []
            said += shape._element.xpath(".//p:cNvPr/@descr")
        said.append(slide.notes_slide.notes_text_frame.text)
    return "\n".join(said)


def read_notebook(folder, monkeypatch):
    """Return what a notebook says once it is executed: its words, and what its cells show."""
    study, shown = read_study(folder, "fr"), []
    monkeypatch.setattr(cells, "show_html", shown.append)
    monkeypatch.setattr(cells, "show_drawing", lambda drawing: shown.append(drawing.label))
    book = cells.Book(folder, "fr")
    for _, _, code in _chapters(study, FR):
        exec(code, {"book": book})
    made = build_notebook(study, FR, gather_records(study, FR))["cells"]
    texts = [read_markdown(cell["source"]) for cell in made if cell["cell_type"] == "markdown"]
    return "\n".join([*texts, *map(read_html, shown)])


def test_no_sentence_of_ours_is_english_in_a_whole_french_report(troubled, tmp_path, monkeypatch):
    study = read_study(troubled, "fr")
    note = write_note(troubled, "fr")
    (troubled / "notebook.ipynb").write_text("{}", "utf-8")
    page, *_ = write_markdown(troubled, "fr", to=tmp_path / "page")
    tree = write_project(troubled, "fr", made={"note": note, "notebook": troubled / "notebook.ipynb"})
    said = {
        "note": read_html(note.read_text("utf-8")),
        "pdf": read_typst(render_typst(study, FR, tmp_path)),
        "markdown": read_markdown(page.read_text("utf-8")),
        "slides": read_slides(write_slides(troubled, "fr", to=tmp_path / "s.pptx")),
        "notebook": read_notebook(troubled, monkeypatch),
        "project": "\n".join(read_markdown(path.read_text("utf-8")) for path in tree.glob("**/README.md")),
    }
    ours = [
        *list_references(study, read_settings(study), FR),
        *(f"\N{LEFT-POINTING DOUBLE ANGLE QUOTATION MARK}\xa0{text}" for text in FOREIGN),
    ]
    for name, text in said.items():
        for cited in ours:
            text = text.replace(cited, "")
        found = [line for line in text.splitlines() if ENGLISH.search(FIELD.sub("", line))]
        assert not found, (name, found)
    for name in ("note", "pdf", "markdown", "slides"):
        assert "n’est plus un nombre à l’époque 3" in said[name], name
        assert "doit accepter des images" in said[name], name
    for name in ("note", "pdf", "markdown"):
        assert "2 fichiers ont été laissés de côté" in said[name].replace("\xa0", " "), name
    assert "l’erreur dit, en anglais" in said["notebook"]


ENDS = Interval(low=0.6, high=0.9)
CITED = ("test/1", "conv")
"""What a person calls so: a picture and a layer."""


@pytest.fixture
def explained(study_folder):
    """The study with a run of which all was explained: what layers see, why it answers, maps, errors."""
    record = StudyRecord.load(study_folder / "study.json").model_copy(update={"questions": QUESTIONS})
    record.save(study_folder / "study.json")
    ref = next(ref for ref in record.runs if ref.candidate == "resnet")
    folder = study_folder / "runs" / ref.identity / "explain"
    folder.mkdir()
    exciting = Exciting(layer="conv", channel=3, items=(PICTURE,), values=(1.0,))
    SightRecord(picture=PICTURE, layers=("conv",), first="conv", exciting=(exciting,)).save(folder / "sight.json")
    pixels = np.zeros((1, 8, 8, 3), np.uint8)
    filters = np.zeros((2, 3, 3, 3), np.float32)
    maps = np.zeros((2, 4, 4), np.float16)
    np.savez(folder / "sight.npz", picture=pixels[0], filters=filters, **{"maps.0": maps, "exciting.0": pixels})
    write_why(folder, gain_grad_cam=Interval(low=0.1, high=0.3), interval_likeness=Interval(low=-0.1, high=0.3))
    apart = tuple(ClassSeparation(name=name, n=20, share=0.8, interval=ENDS) for name in ("cat", "dog"))
    of_groups = tuple(entry.model_copy(update={"name": name}) for entry, name in zip(apart, "ab", strict=True))
    DataMapRecord(
        maps=(MapRecord(space="pixels", method="pca", explained=0.3), MapRecord(space="features", method="tsne")),
        n=40, n_judged=20, n_test=40, separation={"pixels": apart, "features": apart[:1]},
        chance={"cat": 0.5, "dog": 0.5}, has_kin=True, seconds=1.0, pixels_px=16, groups=("a", "b"),
        group_chance={"a": 0.5, "b": 0.5}, group_separation={"pixels": of_groups},
    ).save(folder / "map.json")  # fmt: skip
    np.savez(
        folder / "map.npz",
        labels=np.zeros(1, np.int8),
        **{"pixels.pca": np.zeros((1, 2)), "features.tsne": np.zeros((1, 2))},
    )
    doubt = Doubtful(picture=PICTURE, of_truth=0.1)
    write_errors(folder, hardest=(doubt,), mislabelled=(doubt,))
    np.savez(folder / "errors.npz", confident=pixels, hardest=pixels, mislabelled=pixels)
    return study_folder


def find_english(text, cited=()):
    """Return the lines that have English words which are not cited."""
    for words in cited:
        text = text.replace(words, "")
    return [line for line in text.splitlines() if ENGLISH.search(FIELD.sub("", line))]


def test_chapters_on_an_explained_network_are_french(explained, monkeypatch):
    study = read_study(explained, "fr")
    said = read_notebook(explained, monkeypatch)
    assert not find_english(said, [*list_references(study, read_settings(study), FR), *CITED])
    chapters = explain_final(study, FR).chapters
    assert [chapter.name for chapter in chapters] == ["sight", "why", "map", "errors"]
    shown = [exhibit for chapter in chapters for exhibit in chapter.exhibits]
    assert len(shown) == 9  # maps, filters and channels; where it looks; two maps; three galleries
    told = "\n".join(text for exhibit in shown for text in (exhibit.drawing.label, exhibit.caption))
    assert not find_english(told, CITED)
    for chapter in chapters:
        assert chapter.heading in said
        assert all(caption in said for _, caption in chapter.tables)


def test_a_report_on_generators_is_french(study_folder, monkeypatch):
    record = StudyRecord.load(study_folder / "study.json")
    also = {"fid": 60.0, "coverage": 0.4, "near_copies": 0.07, "closest_copies": 0.0, "diversity": 0.9}
    rows = [row.model_copy(update={"also": also, "score": 0.02 + row.score / 10}) for row in record.leaderboard]
    generation = {"task": "generation", "metric": "kid", "higher_is_better": False, "leaderboard": tuple(rows[::-1])}
    generation["questions"] = QUESTIONS
    generation["verdicts"] = tuple(verdict.model_copy(update={"metric": "kid"}) for verdict in record.verdicts)
    record.model_copy(update=generation).save(study_folder / "study.json")
    trivial = [("training", 0.001), ("blurred", 0.06), ("noise", 0.4)]
    measured = GenerationRecord(
        features="pixels", n_generated=500, n_real=500, n_training=2000, near_limit=0.6, nearest_generated=0.8,
        nearest_real=0.85, nearest=(NearestPair(item="train/1", distance=0.5),),
        measures=tuple(
            GeneratedMeasure(name=name, value=value, interval=ENDS, against_training=value, interval_training=ENDS)
            for name, value in {"kid": 0.02, **also}.items()
        ),
        trivial=tuple(
            TrivialGenerator(name=name, n=500, scores={"kid": kid}, intervals={"kid": Interval(low=kid, high=2 * kid)})
            for name, kid in trivial
        ),
        classes={"cat": {"kid": 0.03}}, class_intervals={"cat": {"kid": ENDS}}, near_any=0.1, near_trained=0.9,
        near_trained_chance=Interval(low=0.4, high=0.6),
        note="mlp, seed 0: The generator collapsed: at step 40 of 80 its samples differed by 3 % of what training "
        "pictures do, for 3 looks in a row. Training went on (collapse: 0); at its end they differ by 2 %.",
    )  # fmt: skip
    for ref in record.runs:
        folder = study_folder / "runs" / ref.identity
        measured.save(folder / "generation.json")
        (folder / "samples").mkdir()
        for name in ("final", "nearest"):
            Image.new("RGB", (16, 16)).save(folder / "samples" / f"{name}.png")
    shares = {"target": "cat", "n": 40, "called_interval": ENDS, "confidence": 0.31, "confidence_interval": ENDS}
    pictures = (
        JudgedPictures(kind="generated", candidate="mlp", called=0.7, **shares),
        JudgedPictures(kind="real", called=0.8, **shares),
    )
    JudgementRecord(
        key="k", study="cats", candidate="vgg", metric="accuracy", score=0.93, networks=2, size_px=64, pictures=pictures
    ).save(study_folder / JUDGEMENT_FILE)
    study = read_study(study_folder, "fr")
    said = read_notebook(study_folder, monkeypatch)
    assert not find_english(said, list_references(study, read_settings(study), FR))
    assert "ne différaient presque plus" in said
    assert "Images générées" in said


def test_the_reader_of_this_test_finds_english_where_there_is_some():
    assert ENGLISH.search(read_html("<p>Tout va <b>of course</b> bien</p>"))
    assert not ENGLISH.search(read_html('<p>Tout va <code>of</code><span lang="en">the</span></p>'))
    assert ENGLISH.search(read_typst('#"of";'))
    assert not ENGLISH.search(read_typst('#raw("of")'))
    assert not ENGLISH.search(read_markdown("``a `the` b`` et `of`"))
