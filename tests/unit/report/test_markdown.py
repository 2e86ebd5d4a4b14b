"""Results as Markdown, and the copy of a report: complete, true to the records, and nothing else touched."""

from __future__ import annotations

import pytest

from etude.core.study_record import AblationGroup, StudyRecord
from etude.report.markdown import write_markdown
from etude.report.writing import write_reports


def rows_of(page):
    lines = [line for line in page.read_text("utf-8").splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").replace("\\|", "¦").split("|")] for line in lines]


@pytest.mark.parametrize(("language", "gain"), [("en", "gains 7.3 points"), ("fr", "gagne 7,3 points")])
def test_the_page_tells_leaderboard_verdicts_command_and_machine(study_folder, tmp_path, language, gain):
    page, *figures = write_markdown(study_folder, language, to=tmp_path)
    text, record = page.read_text("utf-8"), StudyRecord.load(study_folder / "study.json")
    assert gain in " ".join(text.split())
    assert record.command in text
    assert "AMD EPYC" in text
    rows = rows_of(page)
    (heading, rule, *body), names = rows[: 2 + len(record.leaderboard)], [row.candidate for row in record.leaderboard]
    assert [row[0] for row in body] == names
    assert {len(row) for row in body} == {len(heading)} == {len(rule)}
    trained = rows[-len(names) :]
    assert [row[0] for row in trained] == names
    assert trained[0][1:3] == ["resnet", "32 × 32"]
    assert all(figure.name in text for figure in figures)


def test_each_ablation_has_its_picture_and_what_is_corrected_is_said_once(study_folder, tmp_path):
    path = study_folder / "study.json"
    record = StudyRecord.load(path)
    groups = [
        AblationGroup(name=f"cnn: {vary}", of="cnn", vary=vary, candidates=tuple(v.candidate for v in record.verdicts))
        for vary in ("augment.use", "train.loss")
    ]
    verdicts = [
        verdict.model_copy(update={"group": group.name, "p_adjusted": 0.01})
        for group in groups
        for verdict in record.verdicts
    ]
    record.model_copy(update={"ablations": tuple(groups), "verdicts": (*record.verdicts, *verdicts)}).save(path)
    page, *figures = write_markdown(study_folder, "en", to=tmp_path)
    chapter = page.read_text("utf-8").partition("## Ablations")[2].partition("\n## ")[0]
    drawn = [figure for figure in figures if figure.name in ("ablation-1.en.svg", "ablation-2.en.svg")]
    assert len(drawn) == 2
    assert all(f"({figure.name})" in chapter and figure.exists() for figure in drawn)
    assert chapter.count("The p-values are corrected") == 1


def test_a_bar_in_a_name_stays_in_its_cell(study_folder, tmp_path):
    path = study_folder / "study.json"
    record = StudyRecord.load(path)
    first = record.leaderboard[0].model_copy(update={"candidate": "a|b"})
    record.model_copy(update={"leaderboard": (first, *record.leaderboard[1:])}).save(path)
    page, *_ = write_markdown(study_folder, "en", to=tmp_path)
    assert rows_of(page)[2][0] == "a¦b"


def test_a_report_is_copied_with_its_leaderboard_and_what_lies_there_stays(study_folder, tmp_path):
    (study_folder / "leaderboard.csv").write_text("candidate,score\n", "utf-8")
    kept, mine = tmp_path / "kept", tmp_path / "kept" / "mine.txt"
    kept.mkdir()
    mine.write_text("mine", "utf-8")
    written = write_reports(study_folder, ["markdown"], ["en"], to=kept)
    assert {path.name for path in written} == {"README.md", "leaderboard.en.svg", "pareto.en.svg", "leaderboard.csv"}
    assert all((kept / path.name).read_bytes() == path.read_bytes() for path in written)
    assert (study_folder / "report" / "README.md").read_bytes() == (kept / "README.md").read_bytes()
    assert mine.read_text("utf-8") == "mine"


def test_a_question_in_two_languages_is_asked_in_that_of_the_page(study_folder, tmp_path):
    path = study_folder / "study.json"
    asked = {"en": "Does it pay?", "fr": "Est-ce rentable ?"}
    StudyRecord.load(path).model_copy(update={"question": asked["en"], "questions": asked}).save(path)
    for language in ("en", "fr"):
        page, *_ = write_markdown(study_folder, language, to=tmp_path)
        assert page.read_text("utf-8").splitlines()[2].replace("\N{NO-BREAK SPACE}", " ") == asked[language]
