"""Results as Markdown, and the copy of a report: complete, true to the records, and nothing else touched."""

from __future__ import annotations

import json

import pytest

from etude.core.robustness_record import CorruptedScore, RobustnessRecord, RunRobustness, SliceScore
from etude.core.run_record import RunRecord
from etude.core.study_record import AblationGroup, Combination, SearchSummary, StudyRecord
from etude.evaluate.corruptions import CORRUPTIONS, SEVERITIES
from etude.report.markdown import write_markdown
from etude.report.note import render_note
from etude.report.reading import read_study
from etude.report.words import Words
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


def chapter_of(page, heading):
    return page.read_text("utf-8").partition(f"## {heading}\n")[2].partition("\n## ")[0].replace("\xa0", " ")


def reconfigure(folder, candidate, **changes):
    for path in folder.glob(f"runs/{candidate}-0*/run.json"):
        run = RunRecord.load(path)
        run.model_copy(update={"config": run.config | changes}).save(path)


def test_each_candidate_that_the_study_names_is_said_to_be_what_it_is(study_folder, tmp_path):
    path = study_folder / "study.json"
    record = StudyRecord.load(path)
    reconfigure(
        study_folder, "resnet",
        model={"name": "smp-unet", "encoder": "resnet18", "weights": "imagenet"}, finetune={"name": "head"},
    )  # fmt: skip
    reconfigure(study_folder, "mlp", model={"name": "cnn", "widths": [8]})
    search = SearchSummary(candidate="mlp", of="cnn", sampler="random", n_trials=4, n_complete=4, n_pruned=0, n_failed=0,
                           seconds=1.0, settings=(), validation_scores=(), records=(), identities=())  # fmt: skip
    record.model_copy(
        update={
            "combinations": (Combination(candidate="cnn-flip-shift", of="cnn", combine={"members": 3}),),
            "ablations": (AblationGroup(name="cnn: augment", of="cnn", vary="augment", candidates=("cnn-noise",)),),
            "searches": (search,),
        }
    ).save(path)
    told = chapter_of(write_markdown(study_folder, "en", to=tmp_path)[0], "Candidates")
    cnn = "Plain convolutional network (`cnn`); random weights at the start; pictures of 32 × 32 pixels; no augmentation; 12 epochs"
    assert told.strip().removeprefix("- ").split("\n- ") == [
        f"`cnn`: {cnn}.",
        f"`mlp`: {cnn}; its settings were searched, from those of `cnn`.",
        "`cnn-flip-shift`: like `cnn`; what is averaged: answers of 3 networks of other seeds.",
        "`resnet`: U-Net on an encoder of timm (`smp-unet`); encoder `resnet18`; pretrained weights (ImageNet); pictures "
        "of 32 × 32 pixels; augmentation: `flip`, `shift`; 12 epochs; what is trained: the head alone.",
    ]


def test_of_candidates_that_read_the_same_the_later_one_tells_its_own_settings(study_folder, tmp_path):
    reconfigure(study_folder, "mlp", model={"name": "cnn", "widths": [8], "dropout": 0.0})
    told = chapter_of(write_markdown(study_folder, "en", to=tmp_path)[0], "Candidates")
    assert told.count("unlike") == 1
    assert "12 epochs; unlike `cnn` in `model.widths=[8]`." in told


def test_the_page_points_to_the_other_formats_that_lie_beside_it_and_to_no_others(study_folder, tmp_path):
    page, *_ = write_markdown(study_folder, "en", to=tmp_path)
    assert "The whole report" not in page.read_text("utf-8")
    for name in ("note.en.pdf", "note.fr.pdf", "slides.en.pptx"):
        (tmp_path / name).touch()
    page, *_ = write_markdown(study_folder, "en", to=tmp_path)
    last = page.read_text("utf-8").splitlines()[-1]
    assert last == ("The whole report: [technical note](note.en.pdf) and [slides](slides.en.pptx).")


def measure(folder, **n_runs):
    scores = tuple(CorruptedScore(corruption=name, severity=s, score=0.5) for name in CORRUPTIONS for s in SEVERITIES)
    worst = (SliceScore(name="cat", n=9, clean=0.6, corrupted=0.4),)
    runs = tuple(
        RunRobustness(identity=f"{name}{n}", candidate=name, clean=0.7, scores=scores, classes=worst)
        for name, count in n_runs.items()
        for n in range(count)
    )
    RobustnessRecord(metric="accuracy", runs=runs).save(folder / "robustness.json")


@pytest.mark.parametrize(
    ("measured", "told"),
    [
        ({"cnn": 1, "mlp": 1}, "Means of the first 1 of 2 runs of each, so the scores as they are differ a little"),
        ({"cnn": 1, "mlp": 2}, "Means of the first runs of each (cnn 1/2; mlp 2/2), so the scores as they are differ"),
        ({"cnn": 2, "mlp": 2}, ""),
    ],
)
def test_scores_that_are_not_those_of_the_leaderboard_are_said_to_be_of_fewer_runs(
    study_folder, tmp_path, measured, told
):
    measure(study_folder, **measured)
    part = chapter_of(write_markdown(study_folder, "en", to=tmp_path)[0], "Robustness")
    note = render_note(read_study(study_folder, "en"), Words("en")).replace("&#39;", "'")
    for text in (part, note):
        assert told in text
        assert "nder corruption' is the mean over all corruptions and severities." in text
        assert ("Means of the first" in text) is bool(told)
    assert "mean over the runs that were measured" in part


def test_what_the_check_found_and_what_was_done_about_it_stands_beside_the_data_once(study_folder, tmp_path):
    path, note = study_folder / "study.json", "2 files were passed over (no picture by its ending): a.txt, b.txt"
    assert "data check:" not in write_markdown(study_folder, "en", to=tmp_path)[0].read_text("utf-8")
    twins = {"kind": "near-duplicates", "severity": "warning", "sentence": "Two look alike.", "count": 2}
    (study_folder / "check.json").write_text(json.dumps({"findings": [twins]}), "utf-8")
    record = StudyRecord.load(path)
    record.model_copy(update={"notes": (*record.notes, note)}).save(path)
    text = write_markdown(study_folder, "en", to=tmp_path)[0].read_text("utf-8")
    assert f"- data check: Two look alike. {note} None of these twins stands in two parts of the split." in text
    assert text.count(note) == 1
    assert record.notes[0] in text
