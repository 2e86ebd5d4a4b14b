"""What a report says of how little is known: few runs, few pictures, several comparisons."""

from __future__ import annotations

import pytest

from etude.core.interval import Interval
from etude.core.study_record import Resampling, StudyRecord, Verdict
from etude.report.answer import AnswerTeller
from etude.report.limits import (
    list_board_notes,
    list_limits,
    tell_correction,
    tell_few_groups,
    tell_few_runs,
    tell_resampling,
    tell_small_test,
)
from etude.report.markdown import write_markdown
from etude.report.note import gather, write_note
from etude.report.reading import read_study
from etude.report.sentences import Teller
from etude.report.words import MetricWords, Words

EN = Words("en")


@pytest.fixture
def record(study_folder):
    return StudyRecord.load(study_folder / "study.json")


def small(record, n, **changes):
    return record.model_copy(update={"n_pictures": {"train": 100, "validation": 10, "test": n}} | changes)


def tell_small(record, words=EN):
    return tell_small_test(record, words, MetricWords(words, record.metric)).replace("\xa0", " ")


def verdict(**changes):
    fields = {
        "baseline": "plain", "candidate": "wide", "metric": "accuracy", "n_pairs": 1, "gain": 0.02, "low": 0.003,
        "high": 0.04, "p": 0.03, "p_adjusted": 0.12, "verdict": "no difference shown", "smallest_detectable": None,
        "method": "exact McNemar",
    }  # fmt: skip
    return Verdict(**fields | changes)


class TestResampling:
    def test_groups_are_told_under_the_leaderboard(self, record):
        grouped = record.model_copy(update={"resampling": Resampling(unit="groups", drawn=10, groups=10)})
        assert "draw the 10 groups of the test part whole" in " ".join(list_board_notes(grouped, EN))
        assert tell_few_groups(grouped, EN) == ""
        assert "tirent en entier les 10 groupes" in tell_resampling(grouped, Words("fr"))
        assert tell_resampling(record, EN) == tell_few_groups(record, EN) == ""

    def test_a_few_groups_are_told_with_both_ways_of_drawing(self, record):
        few = Resampling(unit="groups", drawn=3, groups=3, length=20)
        cities = record.model_copy(update={"resampling": few})
        assert "and 3 groups are few" in tell_resampling(cities, EN)
        assert "blocs de 20 images voisines" in tell_resampling(cities, Words("fr"))
        assert "of 3 groups only" in tell_few_groups(cities, EN)
        assert "too narrow" not in tell_few_groups(cities, EN)

    def test_one_clip_is_a_limit_of_every_format(self, record, study_folder, tmp_path):
        clip = record.model_copy(update={"resampling": Resampling(unit="blocks", drawn=5, groups=1, length=20)})
        assert "blocks of 20 neighbouring pictures" in tell_resampling(clip, EN)
        assert "of one group only" in tell_few_groups(clip, EN)
        clip.save(study_folder / "study.json")
        page, *_ = write_markdown(study_folder, "en", to=tmp_path)
        assert "of one group only" in page.read_text("utf-8").partition("## Limits")[2]
        assert "of one group only" in write_note(study_folder, "en").read_text("utf-8")


class TestFewRuns:
    def test_two_runs_are_told_in_both_languages_and_three_are_not(self, record):
        assert "too few for an interval over runs" in tell_few_runs(record, EN)
        assert "trop peu pour que l’intervalle" in tell_few_runs(record, Words("fr"))
        more = [ref.model_copy(update={"seed": 2, "identity": f"{ref.candidate}-2"}) for ref in record.runs[::2]]
        assert tell_few_runs(record.model_copy(update={"runs": (*record.runs, *more)}), EN) == ""
        one_more = record.model_copy(update={"runs": (*record.runs, more[0])})
        assert "Two runs of resnet, cnn-flip-shift, cnn-noise and mlp:" in tell_few_runs(one_more, EN)

    def test_two_folds_of_many_seeds_are_two_draws(self, record):
        refs = [
            ref.model_copy(update={"fold": fold, "identity": f"{ref.identity}-{fold}"})
            for ref in record.runs
            for fold in (0, 1)
        ]
        folded = record.model_copy(update={"runs": tuple(refs)})
        assert folded.draws_of("cnn") == 2
        assert tell_few_runs(folded, EN)

    def test_one_run_has_no_interval_to_warn_of(self, record):
        rows = tuple(row.model_copy(update={"interval_runs": None}) for row in record.leaderboard)
        assert tell_few_runs(record.model_copy(update={"leaderboard": rows}), EN) == ""

    def test_brackets_around_a_latency_are_explained_where_there_are_some(self, record):
        assert "quartiles" in list_board_notes(record, EN)[1]
        rows = [row.model_copy(update={"latency_q1_ms": None}) for row in record.leaderboard]
        assert len(list_board_notes(record.model_copy(update={"leaderboard": tuple(rows)}), EN)) == 1


class TestSmallTest:
    def test_a_large_part_is_not_called_small(self, record):
        assert tell_small(record) == ""
        assert tell_small(small(record, 200)) == ""

    def test_it_says_how_many_what_is_open_and_what_could_be_seen(self, record):
        text = tell_small(small(record, 100))
        assert text.startswith("The test part holds 100 pictures only.")
        assert "resnet could have scored anywhere in [80.6, 82.1]" in text
        assert "nothing below 8.0 points" in text, "of 4 comparisons: 2 / 2^8 is the first below 0.05 / 4"
        assert "ne contient que 100 images" in tell_small(small(record, 100), Words("fr"))

    def test_of_another_metric_it_does_not_count_pictures(self, record):
        assert "nothing below" not in tell_small(small(record, 100, metric="f1_macro"))
        assert "F1" not in tell_small(small(record, 100))

    def test_folds_are_taken_together(self, record):
        folds = tuple(ref.model_copy(update={"fold": place % 5}) for place, ref in enumerate(record.runs))
        assert "holds 150 pictures" in tell_small(small(record, 40, runs=folds))
        assert tell_small(small(record, 100, runs=folds)) == ""


class TestCorrection:
    def tell(self, language="en", **changes):
        words = Words(language)
        return Teller(words, MetricWords(words, "accuracy")).tell_verdict(verdict(**changes)).replace("\xa0", " ")

    def test_a_verdict_that_its_interval_seems_to_deny_says_why(self):
        assert "corrected for the number of comparisons, it is not enough (p = 0.12)" in self.tell()
        assert "corrigé du nombre de comparaisons" in self.tell("fr")
        assert "corrected" not in self.tell(low=-0.01)
        assert "corrected" not in self.tell(p_adjusted=0.03, verdict="better")

    def test_where_the_test_itself_shows_nothing_no_correction_is_blamed(self):
        text = self.tell(p=0.07, p_adjusted=0.07)
        assert "more careful than the interval (p = 0.070)" in text
        assert "corrected" not in text

    def test_it_is_said_once_where_several_are_corrected(self):
        assert tell_correction([verdict(), verdict()], EN)
        assert tell_correction([verdict()], EN) == ""
        assert tell_correction([verdict(), verdict(p=None, p_adjusted=None)], EN) == ""

    def test_the_answer_warns_of_intervals_that_are_not_corrected(self, record):
        missed = record.model_copy(update={"verdicts": (verdict(candidate="cnn-noise", baseline="cnn"),)})
        answer = " ".join(AnswerTeller(EN, MetricWords(EN, "accuracy")).tell_answer(missed))
        assert "Their intervals are not corrected" in answer
        usual = " ".join(AnswerTeller(EN, MetricWords(EN, "accuracy")).tell_answer(record))
        assert "not corrected" not in usual


@pytest.mark.parametrize(("language", "told"), [("en", "Tuned on them."), ("fr", "Réglé\xa0: ici.")])
def test_what_the_study_file_remarks_stands_among_the_limits(study_folder, record, language, told):
    remarks = [{"en": "Tuned on them.", "fr": "Réglé : ici."}, "In one language."]
    record.model_copy(update={"config": record.config | {"report": {"remarks": remarks}}}).save(
        study_folder / "study.json"
    )
    limits = gather(read_study(study_folder), Words(language))["limits"]
    assert limits[:2] == [told, "In one language."]


def test_reports_hold_what_was_to_be_said(study_folder, record):
    small(record, 100).save(study_folder / "study.json")
    told = gather(read_study(study_folder), EN, name=str)
    assert told["leaderboard_notes"]
    assert any("test part holds" in limit for limit in told["limits"])
    assert told["correction"]


@pytest.mark.parametrize(
    ("language", "verdict", "told"),
    [
        ("en", "better", "On other test pictures this may vanish: over pictures the interval is [−0.5, 9.0]."),
        ("en", "worse", "On other test pictures this may vanish: over pictures the interval is [−9.0, 0.5]."),
        ("fr", "better", "Sur d’autres images de test, cela peut disparaître"),
    ],
)
def test_a_gain_that_other_pictures_may_undo_says_so(study_folder, language, verdict, told):
    words = Words(language)
    teller = Teller(words, MetricWords(words, "accuracy"))
    (entry, *_) = read_study(study_folder).record.verdicts
    shown = entry.model_copy(update={"verdict": verdict, "pictures": Interval(low=-0.005, high=0.09)})
    assert told in teller.tell_verdict(shown)
    sure = shown.model_copy(update={"pictures": Interval(low=0.005, high=0.09)})
    assert told not in teller.tell_verdict(sure)


@pytest.mark.parametrize(
    ("language", "method", "told"),
    [
        ("en", "corrected resampled t", "[0.5, 9.0]: these networks differ on them; that networks trained on other"),
        ("en", "paired t", "these networks differ on them; that networks of other seeds would is not shown."),
        (
            "fr",
            "corrected resampled t",
            "que des réseaux entraînés sur d’autres images diffèrent aussi n’est pas montré.",
        ),
    ],
)
def test_a_gain_of_these_runs_alone_is_told_beside_a_verdict_that_shows_nothing(study_folder, language, method, told):
    words = Words(language)
    teller = Teller(words, MetricWords(words, "accuracy"))
    (entry, *_) = read_study(study_folder).record.verdicts
    changes = {"verdict": "no difference shown", "method": method, "pictures": Interval(low=0.005, high=0.09)}
    assert told in teller.tell_verdict(entry.model_copy(update=changes))
    unsure = {**changes, "pictures": Interval(low=-0.005, high=0.09)}
    assert told not in teller.tell_verdict(entry.model_copy(update=unsure))
    assert told not in teller.tell_verdict(entry.model_copy(update={**changes, "verdict": "better"}))


def test_pictures_of_different_sizes_are_a_limit(study_folder):
    study = read_study(study_folder)
    runs = [run for row in study.record.leaderboard for run in study.runs_of(row.candidate)]

    def tell(words=EN):
        return " ".join(list_limits(study.record, runs, words, MetricWords(words, "accuracy"))).replace("\xa0", " ")

    assert "different sizes" not in tell()
    larger = {**runs[0].config, "prepare": {**runs[0].config["prepare"], "size_px": 64}}
    runs = [run.model_copy(update={"config": larger}) if run.candidate == "resnet" else run for run in runs]
    assert "32 × 32 px (cnn-flip-shift, cnn-noise, cnn, mlp) and 64 × 64 px (resnet)" in tell()
    assert "et ne montrent pas plus de détails" in tell(Words("fr"))
