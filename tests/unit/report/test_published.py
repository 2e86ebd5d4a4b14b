"""What others published stands beside the leaderboard in every format, in the language of the page."""

from __future__ import annotations

import html
import re

import pytest
from pptx import Presentation
from tests.slide_layout import faults_of

from etude.core.published import PublishedValue
from etude.core.study_record import StudyRecord
from etude.report import cells
from etude.report.markdown import write_markdown
from etude.report.note import render_note
from etude.report.notebook import _chapters
from etude.report.pdf import render_typst, write_pdf
from etude.report.published import gather_published
from etude.report.reading import read_study
from etude.report.slides import write_slides
from etude.report.words import Words

URL = "https://example.org/paper?a=1&b=2"
SEEN = {
    "en": ("Published values", "no verdict compares with them", "CamVid test, at 360 × 480", "66.9", "46 to 60", "88.1 ± 1.8",
           "mean IoU (%)", "accuracy (%)"),
    "fr": ("Valeurs publiées", "aucun verdict ne les prend en compte", "CamVid test, en 360 × 480", "66,9", "46 à 60",
           "88,1 ± 1,8", "exactitude (%)"),
}  # fmt: skip


def value(**changes):
    fields = {
        "name": "FC-DenseNet103", "metric": "miou", "value": 0.669, "source": "Jégou et al., 2017",
        "measured_on": {"en": "CamVid test, at 360 × 480", "fr": "CamVid test, en 360 × 480"},
    }  # fmt: skip
    return PublishedValue(**(fields | changes))


def publish(folder, *values):
    path = folder / "study.json"
    StudyRecord.load(path).model_copy(update={"published": values}).save(path)
    return folder


@pytest.fixture
def published_folder(study_folder):
    """The study beside three published values of two metrics, of which the first says where it can be read."""
    return publish(
        study_folder,
        value(url=URL),
        value(name="SegNet", value=(0.46, 0.6)),
        value(name="A | B", metric="accuracy", value=0.881, spread=0.018),
    )


def test_values_of_another_source_are_left_out_of_every_format(study_folder):
    publish(study_folder, value(name="of CamVid", of_data="camvid"), value(name="of all"))
    study = read_study(study_folder, "en")
    assert [row[0].text for row in gather_published(study.record, Words("en")).table.rows] == ["of all"]
    at_home = study.record.model_copy(update={"config": {"data": {"source": "/data/CamVid"}}})
    assert len(gather_published(at_home, Words("en")).table.rows) == 2
    publish(study_folder, value(name="of CamVid", of_data="camvid"))
    study = read_study(study_folder, "en")
    assert gather_published(study.record, Words("en")) is None
    assert "Published values" not in render_note(study, Words("en"))
    assert not any(title == "Published values" for title, *_ in _chapters(study, Words("en")))


def plain(text):
    return re.sub(r"\s+", " ", html.unescape(text))


def shown_in_notebook(folder, language, monkeypatch):
    shown = []
    monkeypatch.setattr(cells, "show_html", shown.append)
    cells.Book(folder, language).published()
    chapters = [(heading, source) for heading, _, source in _chapters(read_study(folder, language), Words(language))]
    return "".join([*shown, *(heading for heading, source in chapters if source == "book.published()")])


def read_slides(path):
    """Return each slide as the texts of its shapes, the rows of its tables and the addresses that they lead to."""
    told = []
    for slide in Presentation(str(path)).slides:
        texts = [shape.text_frame.text for shape in slide.shapes if shape.has_text_frame]
        rows = [row for shape in slide.shapes if shape.has_table for row in shape.table.rows]
        cells_of = [cell for row in rows for cell in row.cells]
        runs = [run for cell in cells_of for paragraph in cell.text_frame.paragraphs for run in paragraph.runs]
        links = [run.hyperlink.address for run in runs if run.hyperlink.address]
        told.append((texts, [[cell.text for cell in row.cells] for row in rows], links))
    return told


@pytest.mark.parametrize("language", ["en", "fr"])
def test_note_markdown_pdf_and_notebook_show_values_conditions_sources_and_what_they_are_not(
    published_folder, tmp_path, monkeypatch, language
):
    words = Words(language)
    study = read_study(published_folder, language)
    note = render_note(study, words)
    page = write_markdown(published_folder, language, to=tmp_path)[0].read_text("utf-8")
    said = {
        "note": note.split('id="leaderboard"')[1].split("</section>")[0],
        "markdown": page.replace("\\|", "|"),
        "pdf": render_typst(study, words, tmp_path),
        "notebook": shown_in_notebook(published_folder, language, monkeypatch),
    }
    for name, text in said.items():
        for part in (*SEEN[language], "FC-DenseNet103", "SegNet", "A | B", "Jégou et al., 2017"):
            assert part in plain(text), (name, part)
    link = f'<a href="{html.escape(URL)}">Jégou et al., 2017</a>'
    assert said["note"].count(link) == said["notebook"].count(link) == 1
    assert f"[Jégou et al., 2017](<{URL}>)" in said["markdown"]
    assert f'link("{URL}", "Jégou et al., 2017")' in said["pdf"]


@pytest.mark.parametrize("language", ["en", "fr"])
def test_slides_show_them_with_their_links(published_folder, tmp_path, language):
    told = read_slides(write_slides(published_folder, language, to=tmp_path / "s.pptx"))
    (own,) = [slide for slide in told if SEEN[language][0] in slide[0]]
    text = plain(" ".join([*own[0], *(cell for row in own[1] for cell in row)]))
    assert all(part in text for part in (*SEEN[language], "FC-DenseNet103", "SegNet", "A | B"))
    assert own[2] == [URL]


def test_on_slides_long_rows_go_on_and_never_reach_what_is_said_below(study_folder, tmp_path):
    long = "pictures of a hundred and one conditions, each of which takes some room to be told, " * 4
    publish(study_folder, *(value(name=f"network {place}", measured_on=long) for place in range(14)))
    write_slides(study_folder, "en", to=tmp_path / "s.pptx")
    slides = [slide for slide in Presentation(str(tmp_path / "s.pptx")).slides if "Published values" in texts_of(slide)]
    assert len(slides) > 1
    names = []
    for slide in slides:
        (table,) = [shape for shape in slide.shapes if shape.has_table]
        names += [row.cells[0].text for row in list(table.table.rows)[1:]]
    assert names == [f"network {place}" for place in range(14)]
    assert not faults_of(tmp_path / "s.pptx")


def texts_of(slide):
    return [shape.text_frame.text for shape in slide.shapes if shape.has_text_frame]


def test_the_pdf_leads_to_the_source(published_folder, tmp_path):
    pdfium = pytest.importorskip("pypdfium2")
    path = write_pdf(published_folder, "fr", to=tmp_path / "note.pdf")
    text = plain(" ".join(page.get_textpage().get_text_range() for page in pdfium.PdfDocument(path)))
    assert "Valeurs publiées" in text
    assert "88,1 ± 1,8" in text
    assert URL.encode() in path.read_bytes()


def test_a_metric_that_all_share_stands_in_the_head_and_another_one_is_shown_as_given(study_folder):
    publish(study_folder, value(), value(name="SegNet", value=0.5))
    table = gather_published(read_study(study_folder).record, Words("fr")).table
    assert [column.heading for column in table.columns] == ["nom", "IoU moyenne (%)", "mesuré sur", "source"]
    metric = {"en": "quality of {things}", "fr": "qualité de {choses}"}
    publish(study_folder, value(metric=metric, value=1234.5))
    table = gather_published(read_study(study_folder).record, Words("fr")).table
    assert table.columns[1].heading == "qualité de {choses}"
    assert plain(table.rows[0][1].text) == "1 234,5"


def test_where_nothing_was_published_nothing_is_said_of_it(study_folder, tmp_path, monkeypatch):
    study, words = read_study(study_folder), Words("en")
    assert gather_published(study.record, words) is None
    for text in (
        render_note(study, words),
        write_markdown(study_folder, "en", to=tmp_path)[0].read_text("utf-8"),
        render_typst(study, words, tmp_path),
        shown_in_notebook(study_folder, "en", monkeypatch),
        str(read_slides(write_slides(study_folder, "en", to=tmp_path / "s.pptx"))),
    ):
        assert "Published values" not in text
