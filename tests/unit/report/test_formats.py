"""The note as PDF and the slides: complete, in both languages, nothing outside its slide, and true to the records."""

from __future__ import annotations

import re

import pytest
from matplotlib.figure import Figure
from pptx import Presentation
from tests.slide_layout import faults_of

from etude.core.errors import MistakeError
from etude.core.interval import Interval
from etude.core.judgement_record import JUDGEMENT_FILE, JudgedPictures, JudgementRecord
from etude.core.run_record import Epoch, RunRecord
from etude.core.study_record import AblationGroup, Combination, LeaderboardRow, StudyRecord
from etude.report import cells, pdf, slides
from etude.report.captions import caption_errors
from etude.report.deck import Deck
from etude.report.drawings import Artist, Drawing
from etude.report.markdown import write_markdown
from etude.report.note import Errors, gather
from etude.report.notebook import _chapters
from etude.report.path import tell_path
from etude.report.pdf import as_text, render_typst, split_table, write_pdf
from etude.report.proposals import tell_proposals
from etude.report.reading import read_study
from etude.report.slides import write_slides
from etude.report.tables import Cell, Column, Table
from etude.report.training_told import tell_chosen
from etude.report.words import MetricWords, Words
from etude.report.writing import FORMATS, write_reports


def mutate(folder, **changes):
    path = folder / "study.json"
    StudyRecord.load(path).model_copy(update=changes).save(path)


def texts_of(path):
    found = []
    for slide in Presentation(str(path)).slides:
        for shape in slide.shapes:
            if shape.has_text_frame:
                found.append(shape.text_frame.text)
            if shape.has_table:
                found += [cell.text for row in shape.table.rows for cell in row.cells]
        found.append(slide.notes_slide.notes_text_frame.text)
    return re.sub(r"[^\S\n]", " ", "\n".join(found))


@pytest.mark.parametrize("language", ["en", "fr"])
def test_the_pdf_is_laid_out_and_tells_the_verdicts(whole_study, tmp_path, language):
    pdfium = pytest.importorskip("pypdfium2")
    document = pdfium.PdfDocument(write_pdf(whole_study, language, to=tmp_path / "note.pdf"))
    text = " ".join(page.get_textpage().get_text_range() for page in document).replace("\r\n", " ")
    text = " ".join(text.split())
    assert {"en": "gains 7.3 points", "fr": "gagne 7,3 points"}[language] in text
    assert {"en": "How to reproduce", "fr": "Pour reproduire"}[language] in text or language == "fr"
    assert "etude run studies/cifar10-models.yaml" in text
    assert 3 <= len(document) <= 12


def test_a_text_with_the_signs_of_typst_is_set_as_it_is(study_folder, tmp_path):
    pdfium = pytest.importorskip("pypdfium2")
    question = 'What of #let x = 1, $a_b$, *bold*, [a] "b" \\ and @c?'
    mutate(study_folder, question=question)
    document = pdfium.PdfDocument(write_pdf(study_folder, "en", to=tmp_path / "note.pdf"))
    assert question in " ".join(document[0].get_textpage().get_text_range().split())
    assert as_text("#a") == '#"#a";'


def test_a_wide_table_is_given_in_parts_that_hold_every_column():
    table = Table(tuple(Column(str(n)) for n in range(12)), (tuple(Cell(str(n)) for n in range(12)),))
    parts = list(split_table(table, 8))
    assert [[column.heading for column in part.columns] for part in parts] == [
        ["0", *(str(n) for n in range(1, 7))],
        ["0", *(str(n) for n in range(7, 12))],
    ]
    assert [cell.text for part in parts for cell in part.rows[0][1:]] == [str(n) for n in range(1, 12)]


def test_long_names_leave_a_wide_table_fewer_columns():
    name = "cnn data.split.train_items=15000 train.optimizer.lr=0.03"
    table = Table(tuple(Column(str(n)) for n in range(12)), ((Cell(name), *(Cell(str(n)) for n in range(1, 12))),))
    parts = list(split_table(table, 8))
    assert max(len(part.columns) for part in parts) <= 6
    assert [cell.text for part in parts for cell in part.rows[0][1:]] == [str(n) for n in range(1, 12)]


@pytest.mark.parametrize("language", ["en", "fr"])
def test_slides_can_be_edited_and_nothing_overlaps_or_runs_off_them(whole_study, tmp_path, language):
    deck = Presentation(str(write_slides(whole_study, language, to=tmp_path / "slides.pptx")))
    assert 12 <= len(deck.slides) <= 30
    n_tables = 0
    for slide in deck.slides:
        assert slide.notes_slide.notes_text_frame.text.strip()
        n_tables += sum(shape.has_table for shape in slide.shapes)
    assert n_tables >= 2
    assert faults_of(tmp_path / "slides.pptx") == []
    texts = texts_of(tmp_path / "slides.pptx")
    assert {"en": "gains 7.3 points", "fr": "gagne 7,3 points"}[language] in texts
    assert "etude export cifar10-models --to cifar10-models.bundle" in texts


def test_no_word_is_parted_in_a_table_that_fills_its_slide(tmp_path):
    heads = ("candidate", "what is averaged", "accuracy (%)", "gain in accuracy (points)", "verdict", "latency (ms)")
    row = ("flipped-augmented", "answers to the picture, its mirror image and small moves of both", "81.5",
           "+0.89", "no difference shown", "2.69 [2.60, 2.81]")  # fmt: skip
    table = Table(tuple(Column(head) for head in heads), (tuple(Cell(text) for text in row),))
    deck = Deck(Words("en"), tmp_path)
    slide = deck.slide("A table", ["told"])
    deck.table(slide, table, (0.7, 1.4, 8.0, 3))
    columns = next(shape for shape in slide.shapes if shape.has_table).table.columns
    widths_in = [column.width.inches for column in columns]
    assert sum(widths_in) <= 8.0 + 1e-6
    for width_in, head, text in zip(widths_in, heads, row, strict=True):
        longest = max(map(len, f"{head} {text}".split()))
        assert width_in >= 0.2 + 0.085 * longest  # the margins of a cell, and a letter at 12 points


def test_a_gain_that_its_verdict_no_longer_shows_vanishes_everywhere(study_folder, tmp_path):
    record = StudyRecord.load(study_folder / "study.json")
    verdicts = [
        v.model_copy(update={"verdict": "no difference shown"}) if v.candidate == "resnet" else v
        for v in record.verdicts
    ]
    before = texts_of(write_slides(study_folder, "en", to=tmp_path / "before.pptx"))
    assert "resnet gains 7.3 points" in before
    mutate(study_folder, verdicts=tuple(verdicts))
    after = texts_of(write_slides(study_folder, "en", to=tmp_path / "after.pptx"))
    assert "resnet gains" not in after
    assert "resnet: no difference shown" in after
    typst = render_typst(read_study(study_folder), Words("en"), tmp_path)
    assert "resnet gains" not in typst


def test_a_changed_score_changes_every_format(study_folder, tmp_path):
    record = StudyRecord.load(study_folder / "study.json")
    rows = [
        row.model_copy(update={"score": 0.8765}) if row.candidate == "resnet" else row for row in record.leaderboard
    ]
    mutate(study_folder, leaderboard=tuple(rows))
    study, words = read_study(study_folder), Words("fr")
    assert "87,6" in render_typst(study, words, tmp_path) or "87,7" in render_typst(study, words, tmp_path)
    assert "87,6" in texts_of(write_slides(study_folder, "fr", to=tmp_path / "s.pptx")).replace("87,7", "87,6")


def test_the_path_names_every_run_and_what_it_decided(whole_study):
    study, words = read_study(whole_study), Words("en")
    path = tell_path(study, words, MetricWords(words, "accuracy"))
    assert len(path) == len(study.record.runs) == 10
    told = dict(path)
    assert "resnet gains 7.3" in told["resnet, seed 1"]
    assert "gains" not in told["resnet, seed 0"]
    assert "so far" not in told["cnn, seed 0"]


def test_a_failed_run_stands_in_the_path_with_its_reason(study_folder):
    record = StudyRecord.load(study_folder / "study.json")
    runs = [ref.model_copy(update={"status": "failed", "failure": "The loss is no number."}) for ref in record.runs[:1]]
    mutate(study_folder, runs=(*runs, *record.runs[1:]))
    words = Words("fr")
    study = read_study(study_folder)
    told = tell_path(study, words, MetricWords(words, "accuracy"))[0][1].replace("\xa0", " ")
    assert told == "Échec : l’erreur dit, en anglais, « The loss is no number. »"


def test_proposals_follow_the_records(study_folder):
    words = Words("en")
    metric = MetricWords(words, "accuracy")
    said = tell_proposals(read_study(study_folder), words, metric)
    assert any("stronger augmentation" in text for text in said)
    rows = [
        row.model_copy(update={"train_score": row.score})
        for row in StudyRecord.load(study_folder / "study.json").leaderboard
    ]
    mutate(study_folder, leaderboard=tuple(rows))
    said = tell_proposals(read_study(study_folder), words, metric)
    assert not any("stronger augmentation" in text for text in said)
    mutate(study_folder, leaderboard=(LeaderboardRow(candidate="cnn", n_runs=0, score=None),))
    assert tell_proposals(read_study(study_folder), words, metric) == []


def test_comparisons_that_could_show_nothing_are_counted_apart(study_folder):
    words = Words("en")
    record = StudyRecord.load(study_folder / "study.json")
    (given, *_) = record.verdicts
    missed = [
        given.model_copy(update={"verdict": "no difference shown", "smallest_detectable": least})
        for least in (0.01, 0.02, 1.4)
    ]
    mutate(study_folder, verdicts=tuple(missed))
    said = " ".join(tell_proposals(read_study(study_folder), words, MetricWords(words, "accuracy")))
    said = said.replace("\xa0", " ")
    assert "1 comparison showed no difference, and so few runs could hardly" in said
    assert (
        "2 comparisons showed no difference; 8 times in 10 one of 1.0 points to 2.0 points, by comparison, would"
        in said
    )


def test_a_candidate_that_was_renamed_is_told_by_its_new_name(study_folder, tmp_path):
    """Its runs were trained under the old one, and their records say so."""
    record = StudyRecord.load(study_folder / "study.json")
    renamed = [ref.model_copy(update={"candidate": ref.candidate.replace("resnet", "own")}) for ref in record.runs]
    rows = [row.model_copy(update={"candidate": row.candidate.replace("resnet", "own")}) for row in record.leaderboard]
    verdicts = [v.model_copy(update={"candidate": v.candidate.replace("resnet", "own")}) for v in record.verdicts]
    mutate(study_folder, runs=tuple(renamed), leaderboard=tuple(rows), verdicts=tuple(verdicts))
    study = read_study(study_folder)
    assert {run.candidate for run in study.runs_of("own")} == {"own"}
    write_slides(study_folder, "en", to=tmp_path / "slides.pptx")


def test_candidates_that_come_to_one_training_are_no_missing_runs(study_folder):
    from etude.report.limits import list_limits

    record = StudyRecord.load(study_folder / "study.json")
    twice = [ref.model_copy(update={"candidate": "the same"}) for ref in record.runs if ref.candidate == "cnn"]
    mutate(study_folder, runs=(*record.runs, *twice))
    study, words = read_study(study_folder), Words("en")
    told = list_limits(study.record, list(study.runs.values()), words, MetricWords(words, "accuracy"))
    assert not any("missing" in limit for limit in told)


def test_a_difference_of_more_than_the_whole_range_is_not_told(study_folder):
    words = Words("en")
    metric = MetricWords(words, "accuracy")
    record = StudyRecord.load(study_folder / "study.json")
    missed = [
        verdict.model_copy(update={"verdict": "no difference shown", "smallest_detectable": least})
        for verdict, least in zip(record.verdicts, (3.27, 0.04), strict=False)
    ]
    mutate(study_folder, verdicts=tuple(missed))
    said = " ".join(tell_proposals(read_study(study_folder), words, metric))
    assert "so few runs could hardly have shown any: more seeds would tell" in said
    assert "327" not in said
    mutate(study_folder, verdicts=tuple(missed[1:]))
    assert "8 times in 10 one of 4.0\xa0points would" in " ".join(
        tell_proposals(read_study(study_folder), words, metric)
    )


def test_slides_show_the_candidates_of_the_file_and_not_their_variants(study_folder):
    first, second, *rest = [row.candidate for row in StudyRecord.load(study_folder / "study.json").leaderboard]
    varied = AblationGroup(name="first: augment.use", of=first, vary="augment.use", candidates=(second,))
    mutate(study_folder, ablations=(varied,))
    study, words = read_study(study_folder), Words("en")
    assert study.record.names_without_variants == (first, *rest)
    artist = Artist(study, words, MetricWords(words, "accuracy"))
    drawn = artist.draw_leaderboard(study.record.names_without_variants).draw(7.65)
    names = {label.get_text() for axes in drawn.axes for label in axes.get_yticklabels()}
    assert names == {first, *rest}


@pytest.mark.parametrize(("lr_falls", "rises"), [(False, True), (True, True), (False, False)])
def test_more_epochs_are_proposed_by_the_history_and_not_by_the_epoch_that_was_kept(study_folder, lr_falls, rises):
    """The last epoch is kept in each run here: that comes of `keep: last` too, and says nothing."""
    for path in study_folder.glob("runs/resnet*/run.json"):
        run = RunRecord.load(path)
        run.model_copy(update={"best_epoch": run.epochs}).save(path)
        lines = [
            Epoch(
                epoch=n, step=n, train_loss=1.0, validation_score=0.4 + 0.02 * (n if rises else 1) + 0.001 * (n % 2),
                lr=0.1 * (1 - n / 13) if lr_falls else 0.1, seconds=1.0, images_per_s=1.0,
            ).model_dump_json()
            for n in range(1, 13)
        ]  # fmt: skip
        path.with_name("history.jsonl").write_text("\n".join(lines), "utf-8")
    words = Words("en")
    said = " ".join(tell_proposals(read_study(study_folder), words, MetricWords(words, "accuracy")))
    assert ("resnet was still improving" in said) == (rises and not lr_falls)
    assert ("while its learning rate fell" in said) == (rises and lr_falls)


def test_sentences_are_the_same_in_every_format(whole_study, tmp_path):
    study, words = read_study(whole_study), Words("en")
    answer = gather(study, words, name=str)["answer"][0].split(" [")[0]
    assert answer in render_typst(study, words, tmp_path)
    assert answer in texts_of(write_slides(whole_study, "en", to=tmp_path / "s.pptx"))


def test_an_unknown_format_is_said_and_all_means_all(whole_study):
    with pytest.raises(MistakeError, match="Did you mean 'slides'"):
        write_reports(whole_study, ["slide"], ["en"])
    assert "note" in FORMATS.names()


def test_a_setting_that_is_a_number_gets_its_curve(study_folder):
    record = StudyRecord.load(study_folder / "study.json")
    names = [row.candidate for row in record.leaderboard if row.candidate != "cnn"][:3]
    for rate, name in zip((0.1, 0.2, 0.4), names, strict=True):
        for ref in record.runs:
            if ref.candidate == name:
                path = study_folder / "runs" / ref.identity / "run.json"
                run = RunRecord.load(path)
                train = run.config["train"] | {"optimizer": {"name": "sgd", "lr": rate}}
                run.model_copy(update={"config": run.config | {"train": train}}).save(path)
    group = AblationGroup(name="cnn: train.optimizer.lr", of="cnn", vary="train.optimizer.lr", candidates=tuple(names))
    verdicts = tuple(v.model_copy(update={"group": group.name}) if v.candidate in names else v for v in record.verdicts)
    mutate(study_folder, ablations=(group,), verdicts=verdicts)
    told = gather(read_study(study_folder), Words("en"))
    svg = told["ablations"][0].influence.wide
    for tick in ("0.1", "0.2", "0.4", "0.5"):  # those of the variants, and that of what they vary
        assert f">{tick}<" in svg
    sizes = group.model_copy(update={"vary": "data.split.train_items"})
    mutate(study_folder, ablations=(sizes,))
    for ref, n_train in zip(record.runs, range(1000, 9000, 100), strict=False):
        path = study_folder / "runs" / ref.identity / "run.json"
        if path.exists():
            run = RunRecord.load(path)
            data = {"source": "cifar10", "split": {"kind": "official", "train_items": None}}
            run.model_copy(update={"config": run.config | {"data": data}, "n_train": n_train}).save(path)
    assert gather(read_study(study_folder), Words("en"))["ablations"][0].influence is not None  # all pictures: a number
    others = group.model_copy(update={"vary": "model.name"})
    mutate(study_folder, ablations=(others,))
    assert gather(read_study(study_folder), Words("en"))["ablations"][0].influence is None


def told_by(folder, tmp_path, chapter, monkeypatch):
    """Return what each format says, by format; the notebook only where it has the chapter."""
    shown, study, words = [], read_study(folder), Words("en")
    monkeypatch.setattr(cells, "show_html", shown.append)
    getattr(cells.Book(folder, "en"), chapter)()
    sources = [source for _, _, source in _chapters(study, words)]
    return {
        "pdf": render_typst(study, words, tmp_path),
        "markdown": write_markdown(folder, "en", to=tmp_path)[0].read_text("utf-8"),
        "slides": texts_of(write_slides(folder, "en", to=tmp_path / "s.pptx")),
        "notebook": "".join(shown) if f"book.{chapter}()" in sources else "",
    }


def test_combinations_stand_in_every_format(study_folder, tmp_path, monkeypatch):
    entry = Combination(candidate="cnn-flip-shift", of="cnn", combine={"tta": "flip"})
    mutate(study_folder, combinations=(entry,))
    for name, text in told_by(study_folder, tmp_path, "combinations", monkeypatch).items():
        assert "answers to the picture and its mirror image" in text, name
        assert "together gain over one network that answers once" in text, name
    mutate(study_folder, combinations=())
    study = read_study(study_folder)
    assert gather(study, Words("en"))["combinations"] is None
    assert not any(source == "book.combinations()" for _, _, source in _chapters(study, Words("en")))


def test_a_judgement_stands_in_every_format(study_folder, tmp_path, monkeypatch):
    ends = Interval(low=0.2, high=0.4)
    shares = {"target": "cat", "n": 40, "called_interval": ends, "confidence": 0.31, "confidence_interval": ends}
    pictures = (
        JudgedPictures(kind="generated", candidate="fastgan", called=0.275, **shares),
        JudgedPictures(kind="real", called=0.975, **shares),
    )
    JudgementRecord(
        key="k", study="cats", candidate="vgg", metric="accuracy", score=0.93, networks=2, size_px=64, pictures=pictures
    ).save(study_folder / JUDGEMENT_FILE)
    mutate(study_folder, task="generation")
    said = told_by(study_folder, tmp_path, "judged", monkeypatch)
    for name, text in said.items():
        assert "2 finished networks of vgg" in text, name
        assert "generated by fastgan" in text, name
        assert "27.5%" in text, name


def test_a_latency_is_told_with_its_spread_and_without_where_none_was_recorded(study_folder, tmp_path):
    told = gather(read_study(study_folder), Words("en"), name=str)
    place = [column.heading for column in told["leaderboard"].columns].index("latency (ms)")
    cells_of = {row[0].text: row[place].text for row in told["leaderboard"].rows}
    assert cells_of["resnet"] == "3.10 [2.79, 3.72]"
    assert cells_of["mlp"] == "0.110"
    slides = texts_of(write_slides(study_folder, "en", to=tmp_path / "s.pptx"))
    assert "3.10 ms (half of the calls between 2.79 and 3.72)" in slides


def test_the_card_tells_the_size_of_the_network_and_that_of_the_study(study_folder):
    sizes = gather(read_study(study_folder), Words("en"))["sizes"]
    assert sizes == "drawn for a side of 32 px, and trained at that size here"
    for path in study_folder.glob("runs/resnet*/run.json"):
        run = RunRecord.load(path)
        run.model_copy(update={"config": run.config | {"prepare": {"size_px": [48, 96]}}}).save(path)
    sizes = gather(read_study(study_folder), Words("fr"))["sizes"]
    assert sizes == "conçu pour un côté de 32 px ; entraîné ici à 48 × 96 px".replace(" ;", "\u202f;")


def tabled():
    """Return the PDF's way of setting a table, as it stands in its template."""
    text = (pdf.Path(pdf.__file__).parent / "templates" / "note.typ.j2").read_text("utf-8")
    start = text.index("#let tabled")
    shows = "\n".join(line for line in text.splitlines() if line.startswith("#show figure"))
    return f"{shows}\n{text[start : text.index(chr(10) + '}', start) + 2]}"


def test_no_page_breaks_a_table_after_its_header_or_its_first_row(tmp_path):
    """Tables of several lengths, each at many places of a page: pages are tried all in one document."""
    pdfium = pytest.importorskip("pypdfium2")
    parts = []
    for rows in (1, 2, 3, 4, 9):
        cells_of = ", ".join(f'("row{n}", "some words that need two lines")' for n in range(rows))
        for above_mm in range(0, 56, 4):
            parts.append(
                f"#pagebreak(weak: true)\n#v({above_mm}mm)\n#figure(kind: table, supplement: none, numbering: none, "
                f'tabled((left, left), ("head", "second"), ({cells_of},)), '
                f"caption: figure.caption(position: top, [caption]))"
            )
    page = tmp_path / "tables.typ"
    text = "#set page(width: 52mm, height: 70mm, margin: 5mm)\n" + tabled() + "\n" + "\n".join(parts)
    page.write_text(text, "utf-8")
    pdf.compile_typst(page, tmp_path / "tables.pdf")
    pages = [document.get_textpage().get_text_range() for document in pdfium.PdfDocument(tmp_path / "tables.pdf")]
    assert len(pages) > len(parts)
    for text in pages:
        rows = [int(row) for row in re.findall(r"row(\d)", text)]
        assert ("head" in text) == bool(rows), "a header is repeated, and never alone"
        assert "caption" not in text or rows
        assert len(rows) != 1 or rows == [0], rows
        assert rows != [0] or "row1" not in "".join(pages[pages.index(text) + 1 : pages.index(text) + 2])


def test_a_copy_of_the_page_points_to_what_was_copied_beside_it(study_folder, tmp_path):
    write_reports(study_folder, ["markdown", "slides"], ["en"], to=tmp_path / "kept")
    page = (tmp_path / "kept" / "README.md").read_text("utf-8")
    assert "[slides](slides.en.pptx)" in page
    assert "note.en.pdf" not in page
    assert "(slides.en.pptx)" in (study_folder / "report" / "README.md").read_text("utf-8")


def test_a_split_is_told_as_it_was_drawn(study_folder, tmp_path):
    config = StudyRecord.load(study_folder / "study.json").config
    drawn = {**config, "data": {**config["data"], "split": {"kind": "auto", "test": 0.2}}}
    mutate(study_folder, config=drawn)
    (page, *_) = write_markdown(study_folder, "en", to=tmp_path)
    assert "where it has none" in page.read_text("utf-8")  # of a record that does not say
    mutate(study_folder, split_kind="random")
    (page, *_) = write_markdown(study_folder, "en", to=tmp_path)
    assert "where it has none" not in page.read_text("utf-8")
    assert "20% of the pictures of each class are drawn for the test part" in page.read_text("utf-8").replace(
        "\xa0", " "
    )


def test_a_run_is_the_best_so_far_of_its_own_fold_and_among_its_like(study_folder):
    record = StudyRecord.load(study_folder / "study.json")
    refs = [ref.model_copy(update={"fold": ref.seed, "seed": 0}) for ref in record.runs]
    mutate(study_folder, runs=tuple(refs), verdicts=())
    scores = {
        ("cnn", 0): 0.9,
        ("cnn", 1): 0.5,
        ("mlp", 0): 0.6,
        ("mlp", 1): 0.8,
        ("cnn-noise", 0): 0.95,
        ("cnn-noise", 1): 0.1,
    }
    for ref in refs:
        path = study_folder / "runs" / ref.identity / "run.json"
        run = RunRecord.load(path)
        score = scores.get((ref.candidate, ref.fold), 0.2)
        given = {"validation": {"accuracy": score}}
        if ref.candidate == "cnn-noise":
            given["config"] = run.config | {"combine": {"folds": 5}}
        run.model_copy(update=given).save(path)
    words = Words("en")
    told = dict(tell_path(read_study(study_folder), words, MetricWords(words, "accuracy")))
    best = [name for name, said in told.items() if "so far" in said]
    assert best == ["mlp, seed 0, fold 1"]  # neither of all folds, nor what networks over folds are validated by
    assert "The best on the validation part of its fold so far." in told["mlp, seed 0, fold 1"]


def test_a_study_of_one_candidate_tells_its_score_and_no_order(study_folder):
    record = StudyRecord.load(study_folder / "study.json")
    mutate(study_folder, leaderboard=record.leaderboard[:1], verdicts=(), baseline=None)
    for language, only, none in (
        ("en", "resnet reaches 81.3% accuracy on the test part", ("stands first", "the order alone")),
        ("fr", "resnet : exactitude de 81,3 % sur la partie de test", ("en tête", "ordre")),
    ):
        said = " ".join(gather(read_study(study_folder, language), Words(language), name=str)["answer"])
        said = re.sub(r"\s", " ", said)
        assert only in said.replace("81.4", "81.3").replace("81,4", "81,3")
        assert not any(word in said for word in none)
        assert {"en": "It is the only candidate", "fr": "C’est le seul candidat"}[language] in said


def test_notes_of_slides_say_more_than_their_caption(tmp_path):
    deck = Deck(Words("en"), tmp_path)
    drawn = Drawing("confusion", "a matrix", lambda width_in: Figure((width_in, 3)))
    pairs = Table(tuple(map(Column, "abcd")), (tuple(map(Cell, ("cat", "dog", "120", "12.0%"))),))
    errors = Errors("cnn", 2, drawn, pairs)
    slides._tell_errors(deck, "Where it errs", errors, caption_errors(errors, Words("en")))
    notes = deck.presentation.slides[0].notes_slide.notes_text_frame.text
    assert "What cnn answers on the test part, its 2 runs taken together." in notes
    assert "The commonest confusion: cat taken for dog, 12.0% of the class." in notes


def test_what_is_chosen_on_validation_is_a_list_of_things(study_folder):
    record = StudyRecord.load(study_folder / "study.json")
    for path in study_folder.glob("runs/*/run.json"):
        run = RunRecord.load(path)
        train = run.config["train"] | {"keep": "last"}
        run.model_copy(
            update={"config": run.config | {"train": train, "finetune": {"name": "gradual"}}, "temperature": 1.5}
        ).save(path)
    study = read_study(study_folder)
    told = {language: tell_chosen(record, list(study.runs.values()), Words(language)) for language in ("en", "fr")}
    assert "part: the stage of training whose weights are kept and the temperature." in told["en"]
    assert "l’étape de l’entraînement dont les poids sont gardés et la température." in told["fr"]
