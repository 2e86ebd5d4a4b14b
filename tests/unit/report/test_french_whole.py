"""A whole report in French, of a study in which all went wrong: no sentence of ours is in English, in any format.

That every message is translated is shown elsewhere; what records keep as English text passes by the messages, and is
found here alone, where documents are read as a reader does.
"""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pytest
from pptx import Presentation

from etude.core.study_record import StudyRecord
from etude.explain.records import LayerRow, LayersRecord
from etude.report import cells
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
            "questions": {"fr": "Quel petit réseau choisir ?", "en": record.question},
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


def test_the_reader_of_this_test_finds_english_where_there_is_some():
    assert ENGLISH.search(read_html("<p>Tout va <b>of course</b> bien</p>"))
    assert not ENGLISH.search(read_html('<p>Tout va <code>of</code><span lang="en">the</span></p>'))
    assert ENGLISH.search(read_typst('#"of";'))
    assert not ENGLISH.search(read_typst('#raw("of")'))
    assert not ENGLISH.search(read_markdown("``a `the` b`` et `of`"))
