import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from markupsafe import Markup

from etude.core.errors import MistakeError
from etude.core.interval import Interval
from etude.core.run_record import RunRecord
from etude.core.study_record import AblationGroup, StudyRecord, Verdict
from etude.report import tables
from etude.report.answer import AnswerTeller
from etude.report.drawings import Artist
from etude.report.note import render_note, write_note
from etude.report.reading import read_history, read_study
from etude.report.sentences import Teller
from etude.report.settings import list_changes, read_settings
from etude.report.words import MetricWords, Words

VOID = {"area", "base", "br", "col", "hr", "img", "input", "link", "meta", "source", "wbr"}


class Page(HTMLParser):
    """Checks that tags close in order, and gathers ids, links and text."""

    def __init__(self, html):
        super().__init__()
        self.open, self.ids, self.anchors, self.outside, self.words = [], [], [], [], []
        self.feed(html)
        assert not self.open, self.open

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value)
            if name in ("href", "src", "xlink:href", "srcset", "action"):
                (self.anchors if value.startswith("#") else self.outside).append(value)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_data(self, data):
        if not self.open or self.open[-1] not in ("style", "script"):
            self.words.append(data)

    @property
    def text(self):
        return re.sub(r"\s+", " ", " ".join(self.words))


def mutate(folder, **changes):
    path = folder / "study.json"
    StudyRecord.load(path).model_copy(update=changes).save(path)


def read(folder, language="en"):
    return render_note(read_study(folder), Words(language))


def answer(folder, language="en"):
    record = StudyRecord.load(folder / "study.json")
    words = Words(language)
    return " ".join(AnswerTeller(words, MetricWords(words, record.metric)).tell_answer(record)).replace("\xa0", " ")


@pytest.mark.parametrize("language", ["en", "fr"])
def test_the_note_is_one_sound_file_that_asks_for_nothing_outside(notes, language):
    path = notes[language]
    assert path.parts[-2:] == ("report", f"note.{language}.html")
    html = path.read_text("utf-8")
    page = Page(html)
    assert len(page.ids) == len(set(page.ids))
    assert {anchor[1:] for anchor in page.anchors} <= set(page.ids)
    other = {"en": "fr", "fr": "en"}[language]
    assert sorted(set(page.outside)) == ["data:,", f"note.{other}.html"]
    assert not re.search(r"https?://(?!www\.w3\.org/)", html)
    assert "@import" not in html
    assert f'<html lang="{language}">' in html
    assert "None" not in page.text
    assert "nan" not in page.text.split()


@pytest.mark.parametrize(
    ("language", "told"), [("en", "random weights at the start"), ("fr", "de départ tirés au hasard")]
)
def test_every_candidate_of_the_file_is_said_to_be_what_it_is(notes, study_folder, language, told):
    html = notes[language].read_text("utf-8")
    section = re.search(r'<section id="candidates".*?</section>', html, re.S)[0]
    assert 'href="#candidates"' in html
    names = re.findall(r'<dt><b class="name">(.*?)</b></dt>', section)
    assert set(names) == set(StudyRecord.load(study_folder / "study.json").names_without_variants)
    assert told in section.replace("\xa0", " ")
    assert "`" not in section


def test_the_first_two_are_said_not_to_have_been_compared(study_folder):
    record = StudyRecord.load(study_folder / "study.json")
    first, second = [row.candidate for row in record.leaderboard[:2]]
    told = f"{first} and {second} were not compared with each other: --set baseline={second} does"
    mutate(study_folder, baseline=record.leaderboard[-1].candidate)
    assert told in answer(study_folder)
    for baseline in (first, second):
        mutate(study_folder, baseline=baseline)
        assert "were not compared" not in answer(study_folder)


def test_candidates_that_are_the_same_runs_are_said_to_be(study_folder):
    assert "are the same." not in Page(read(study_folder)).text
    record = StudyRecord.load(study_folder / "study.json")
    twice = [ref.model_copy(update={"candidate": "twin"}) for ref in record.runs if ref.candidate == "cnn"]
    row = next(row for row in record.leaderboard if row.candidate == "cnn").model_copy(update={"candidate": "twin"})
    mutate(study_folder, runs=(*record.runs, *twice), leaderboard=(*record.leaderboard, row))
    assert "The runs of cnn and twin are the same." in Page(read(study_folder)).text


def test_the_same_records_give_the_same_bytes(study_folder, tmp_path):
    one = write_note(study_folder, "fr", to=tmp_path / "a.html").read_bytes()
    assert one == write_note(study_folder, "fr", to=tmp_path / "b.html").read_bytes()


@pytest.mark.parametrize(("language", "heading"), [("en", "How to reproduce"), ("fr", "Comment reproduire")])
def test_every_section_stands_in_both_languages(notes, language, heading):
    page = Page(notes[language].read_text("utf-8"))
    assert heading in page.text
    sections = (
        "answer",
        "leaderboard",
        "verdicts",
        "curves",
        "cost",
        "errors",
        "data",
        "settings",
        "limits",
        "reproduce",
    )
    assert set(sections) <= set(page.ids)
    for words in ("etude run studies/cifar10-models.yaml", "torch 2.15.0", "AMD EPYC", "near duplicates"):
        assert words in page.text


def test_the_answer_is_written_from_the_verdicts(study_folder):
    text = answer(study_folder)
    intervals = "(95%: [80.2, 82.4] over runs, [80.6, 82.1] over pictures)"
    assert f"resnet stands first with 81.3% accuracy on the test part {intervals}, the mean of 2 runs." in text
    assert "resnet gains 7.3 points [6.6, 8.0] over cnn." in text
    assert "cnn-flip-shift (+2.1 points [1.4, 2.8])" in text
    assert "No difference shown for cnn-noise (+0.2 points [−0.6, 1.0])." in text
    assert "Shown to be worse: mlp" in text
    assert "resnet gagne 7,3 points [6,6 ; 8,0] sur cnn." in answer(study_folder, "fr")


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("en", {"runs": "[80.2, 82.4] over runs", "pictures": "[80.6, 82.1] over pictures"}),
        ("fr", {"runs": "[80,2 ; 82,4] sur les entraînements", "pictures": "[80,6 ; 82,1] sur les images"}),
    ],
)
@pytest.mark.parametrize("kept", [("runs", "pictures"), ("pictures",), ()])
def test_the_first_sentence_names_what_its_intervals_are_over(study_folder, language, expected, kept):
    left_out = {f"interval_{kind}": None for kind in {"runs", "pictures"} - set(kept)}
    rows = [row.model_copy(update=left_out) for row in StudyRecord.load(study_folder / "study.json").leaderboard]
    mutate(study_folder, leaderboard=tuple(rows))
    first = answer(study_folder, language).split(". ")[0].replace("\u202f", " ")
    assert [told in first for told in expected.values()] == [kind in kept for kind in expected]
    assert ("[" in first) == bool(kept)


def test_a_changed_verdict_changes_the_sentence_all_over_the_note(study_folder):
    verdicts = list(StudyRecord.load(study_folder / "study.json").verdicts)
    assert "resnet</b> gains 7.3" in read(study_folder).replace("\xa0", " ")
    verdicts[0] = verdicts[0].model_copy(update={"verdict": "no difference shown", "low": -0.01})
    verdicts[1] = verdicts[1].model_copy(update={"gain": 0.0249})
    mutate(study_folder, verdicts=tuple(verdicts))
    assert "No difference shown for resnet (+7.3 points [−1.0, 8.0]) and cnn-noise" in answer(study_folder)
    assert "cnn-flip-shift gains 2.5 points [1.4, 2.8] over cnn." in answer(study_folder)
    html = read(study_folder).replace("\xa0", " ")
    assert "resnet</b> gains" not in html
    assert html.count("+2.5") >= 3  # the table, and the figure at both widths
    assert "+2.1" not in html


def test_an_ablation_has_its_own_part_and_stays_out_of_the_verdicts(study_folder):
    record = StudyRecord.load(study_folder / "study.json")
    names = [f"cnn+{name}" for name in ("flip", "noise")]
    group = AblationGroup(name="cnn: augment.use", of="cnn", vary="augment.use", candidates=tuple(names))
    own = [
        verdict.model_copy(update={"candidate": name, "group": group.name})
        for name, verdict in zip(names, record.verdicts[1:3], strict=True)
    ]
    mutate(study_folder, verdicts=(*record.verdicts[:1], *own), ablations=(group,))
    text = answer(study_folder)
    assert "resnet gains 7.3 points" in text
    assert "Of augment.use varied in cnn, shown to gain: +flip (+2.1 points [1.4, 2.8])." in text
    page = Page(read(study_folder))
    assert "ablations" in page.ids
    assert "augment.use varied in cnn" in page.text
    assert "on its training pictures" in page.text
    assert "it overfits" in page.text, "80.0% on training lies above both intervals of 74.0%"
    assert "Quand augment.use varie dans cnn, un gain est montré pour : +flip" in answer(study_folder, "fr")
    verdicts, ablations = read(study_folder).split('<section id="ablations"')
    assert "+flip" not in verdicts.split('<section id="verdicts"')[1]
    assert "+noise" in ablations


def test_fields_of_which_nothing_gains_are_told_together_with_what_loses(study_folder):
    record = StudyRecord.load(study_folder / "study.json")
    missed, worse = record.verdicts[2], record.verdicts[3]
    groups = [
        AblationGroup(name=f"cnn: {field}", of="cnn", vary=field, candidates=(f"cnn {field}=1",))
        for field in ("model.dropout", "train.batch")
    ]
    own = [
        verdict.model_copy(update={"candidate": group.candidates[0], "group": group.name})
        for verdict, group in zip((missed, worse), groups, strict=True)
    ]
    mutate(study_folder, verdicts=(*record.verdicts, *own), ablations=tuple(groups))
    told = "Of model.dropout and train.batch, each varied in cnn, nothing was shown to gain. Shown to be worse: "
    assert told + "train.batch=1 (−21.2 points" in answer(study_folder)
    assert "Quand model.dropout et train.batch varient tour à tour dans cnn" in answer(study_folder, "fr")
    points = read(study_folder).split('<section id="answer"')[1].split("</section>")[0].split("<li>")
    assert any(one.startswith("Of model.dropout") and "Shown to be worse: " in one.split("</li>")[0] for one in points)
    mutate(study_folder, verdicts=(*record.verdicts, own[0]), ablations=(groups[0],))
    assert "Of model.dropout varied in cnn, nothing was shown to gain." in answer(study_folder)


def test_the_answer_names_the_final_candidate_and_what_training_takes(study_folder):
    record = StudyRecord.load(study_folder / "study.json")
    assert "which validation chooses" not in answer(study_folder)  # it stands first
    assert "One run trains for 5 min 18 s (resnet) and 1 min 31 s (cnn)." in answer(study_folder)
    rows = [
        row.model_copy(
            update={"validation_score": 0.9, "search_seconds": 912.0} if row.candidate == "cnn-noise" else {}
        )
        for row in record.leaderboard
    ]
    mutate(study_folder, leaderboard=tuple(rows))
    text = answer(study_folder)
    assert "The final candidate, which validation chooses, is cnn-noise with 74.2% on the test part (95%: " in text
    assert "1 min 35 s (cnn-noise, after 15 min 12 s of search)" in text
    words = Words("en")
    teller = Teller(words, MetricWords(words, "accuracy"))
    costs = {v.candidate: teller.tell_costs(v, rows).replace("\xa0", " ") for v in record.verdicts}
    assert "training time ×1.0, ×11 with its search" in costs["cnn-noise"]
    assert "search" not in costs["resnet"]


def test_what_leaves_one_augmentation_out_is_told_against_the_one_that_has_all(study_folder):
    record = StudyRecord.load(study_folder / "study.json")
    better, missed, worse = record.verdicts[1], record.verdicts[2], record.verdicts[3]
    whole = "cnn-flip-shift"  # stands for cnn+all
    group = AblationGroup(
        name=f"{whole}: augment.use", of=whole, vary="augment.use", all_of="cnn",
        candidates=("cnn+all-but-flip", "cnn+all-but-noise", "cnn+all-but-shift"),
    )  # fmt: skip
    own = [
        verdict.model_copy(update={"candidate": name, "baseline": whole, "group": group.name})
        for name, verdict in zip(group.candidates, (worse, better, missed), strict=True)
    ]
    mutate(study_folder, verdicts=(*record.verdicts, *own), ablations=(group,))
    text = answer(study_folder)
    assert f"With one augmentation of {whole} left out, shown to lose: +all-but-flip (−21.2 points" in text
    assert f"With one augmentation of {whole} left out, shown to gain: +all-but-noise (+2.1 points" in text
    assert f"Une seule augmentation de {whole} retirée, une perte est montrée pour : +all-but-flip" in answer(
        study_folder, "fr"
    )
    html = read(study_folder)
    assert "&lt;b" not in html  # names keep their tags in sentences put one after the other
    page = Page(html)
    assert f"{whole} with one augmentation left out" in page.text
    assert "what it loses is what that augmentation adds to the others" in page.text
    assert "it overfits" in page.text  # of cnn: no other part says so
    mutate(study_folder, verdicts=(*record.verdicts, own[2]))
    assert f"With one augmentation of {whole} left out, no difference was shown." in answer(study_folder)


@pytest.mark.parametrize(("place", "gains"), [(2, False), (1, True)])
def test_where_no_overfitting_was_shown_the_note_claims_no_more_than_that(study_folder, place, gains):
    record = StudyRecord.load(study_folder / "study.json")
    name = record.verdicts[place].candidate
    group = AblationGroup(name="cnn: augment.use", of="cnn", vary="augment.use", candidates=(name,))
    rows = [row.model_copy(update={"train_score": row.score + 0.005}) for row in record.leaderboard]
    verdicts = (record.verdicts[place].model_copy(update={"group": group.name}),)
    mutate(study_folder, verdicts=verdicts, ablations=(group,), leaderboard=tuple(rows))
    page = Page(read(study_folder))
    assert "no overfitting was shown" in page.text
    assert ("nothing says that an augmentation would help" in page.text) is not gains
    assert ("nothing was shown to gain" in answer(study_folder)) is not gains
    assert "verdicts" not in page.ids


def test_the_verdicts_have_a_column_over_pictures_where_one_has_such_an_interval(study_folder):
    verdicts = StudyRecord.load(study_folder / "study.json").verdicts
    words = Words("en")
    metric = MetricWords(words, "accuracy")

    def headings(given):
        return [column.heading for column in tables.tabulate_verdicts(given, words, metric).columns]

    assert "over pictures" not in headings(verdicts)
    some = [verdicts[0].model_copy(update={"pictures": Interval(low=-0.01, high=0.05)}), *verdicts[1:]]
    at = headings(some).index("over pictures")
    texts = [str(row[at].text).replace("\xa0", " ") for row in tables.tabulate_verdicts(some, words, metric).rows]
    assert texts == ["[−1.0, 5.0]", *[tables.ABSENT] * (len(some) - 1)]


@pytest.mark.parametrize(("least", "told"), [(3.27, "> 100"), (0.0327, "3.3"), (None, tables.ABSENT)])
def test_no_detectable_gain_is_larger_than_the_whole(study_folder, least, told):
    verdict = (
        StudyRecord.load(study_folder / "study.json").verdicts[0].model_copy(update={"smallest_detectable": least})
    )
    words = Words("en")
    table = tables.tabulate_verdicts([verdict], words, MetricWords(words, "accuracy"))
    at = [column.heading for column in table.columns].index("smallest detectable gain")
    assert table.rows[0][at].text == told


def test_each_comparison_tells_what_the_candidate_costs_beside_its_baseline(study_folder):
    record = StudyRecord.load(study_folder / "study.json")
    words = Words("en")
    metric = MetricWords(words, "accuracy")
    table = tables.tabulate_verdicts(record.verdicts, words, metric, record.leaderboard)
    at = [[column.heading for column in table.columns].index(name) for name in ("time, ratio", "latency, ratio")]
    assert [[row[place].text for place in at] for row in table.rows] == [
        ["×3.5", "×3.6"], ["×1.1", "×0.99"], ["×1.0", "×1.0"], ["×0.16", "×0.13"]
    ]  # fmt: skip
    assert "Beside cnn : training time ×3.5, latency of one picture ×3.6." in Page(read(study_folder)).text
    assert "Par rapport à cnn : durée d’entraînement ×3,5" in Page(read(study_folder, "fr")).text
    free = [row.model_copy(update={"seconds": 0.0, "latency_ms": None}) for row in record.leaderboard]
    mutate(study_folder, leaderboard=tuple(free))
    assert "Beside cnn" not in Page(read(study_folder)).text


def test_the_costs_of_a_variant_are_found_though_its_name_is_shortened(study_folder):
    record = StudyRecord.load(study_folder / "study.json")
    group = AblationGroup(name="cnn: augment.use", of="cnn", vary="augment.use", candidates=("cnn-noise",))
    rows = [
        row.model_copy(update={"candidate": "cnn+noise", "seconds": 250.0}) if row.candidate == "cnn-noise" else row
        for row in record.leaderboard
    ]
    own = record.verdicts[2].model_copy(update={"group": group.name, "candidate": "cnn+noise"})
    mutate(study_folder, verdicts=(own,), ablations=(group,), leaderboard=tuple(rows))
    part = read(study_folder).split('<section id="ablations"')[1].split("</section>")[0]
    assert "+noise" in part
    assert "×2.7" in part


def test_the_leaderboard_has_the_time_to_the_best_epoch_and_the_size(whole_study):
    record = StudyRecord.load(whole_study / "study.json")
    words = Words("en")
    table = tables.tabulate_leaderboard(record, words, MetricWords(words, "accuracy"))
    headings = [column.heading for column in table.columns]
    assert {"training time", "time to epoch kept", "latency (ms)", "size (MB)"} <= set(headings)
    at = headings.index("time to epoch kept")
    assert [row[at].sort for row in table.rows] == [row.seconds_to_best for row in record.leaderboard]


@pytest.mark.parametrize("train", [{"loss": "focal"}, {"class_weights": "balanced"}])
def test_losses_of_two_kinds_are_not_set_side_by_side(whole_study, train):
    def artist(study):
        return Artist(study, Words("en"), MetricWords(Words("en"), "accuracy"))

    plain = read_study(whole_study, "en")
    runs = {
        identity: run.model_copy(update={"config": {**run.config, "train": {**run.config["train"], **train}}})
        for identity, run in plain.runs.items()
    }
    of_one = {name: runs[name] if run.candidate == "cnn" else run for name, run in plain.runs.items()}
    before, after = artist(plain), artist(replace(plain, runs=of_one))
    assert len(after.draw_gaps().draw(7.4).axes) == len(before.draw_gaps().draw(7.4).axes) - 1
    assert "side by side" not in before.tell_gaps()
    assert "Losses are not set side by side for cnn:" in after.tell_gaps()
    none = replace(plain, runs=runs)
    assert artist(none).draw_gaps() is None
    told = render_note(none, Words("en"))
    assert "Losses are not set side by side for" in told
    assert "by heart" not in told


def test_without_a_gain_none_is_claimed(study_folder):
    verdicts = StudyRecord.load(study_folder / "study.json").verdicts
    mutate(study_folder, verdicts=tuple(v.model_copy(update={"verdict": "no difference shown"}) for v in verdicts))
    text = answer(study_folder)
    assert "No candidate was shown to be better than cnn." in text
    assert "gains" not in text
    assert "worse" not in text


def test_a_removed_verdict_takes_its_sentence_along(study_folder):
    verdicts = StudyRecord.load(study_folder / "study.json").verdicts
    mutate(study_folder, verdicts=verdicts[1:])
    assert "resnet gains" not in answer(study_folder)
    mutate(study_folder, verdicts=())
    assert "the order alone shows no difference" in answer(study_folder)
    assert "gains" not in answer(study_folder)
    assert "verdicts" not in Page(read(study_folder)).ids


def test_of_many_candidates_a_sentence_names_the_first_and_counts_the_rest(study_folder):
    verdict = StudyRecord.load(study_folder / "study.json").verdicts[2]
    mutate(study_folder, verdicts=tuple(verdict.model_copy(update={"candidate": f"c{n}"}) for n in range(20)))
    assert "c4 (+0.2 points [−0.6, 1.0]) and 15 others." in answer(study_folder)


class TestSentences:
    def tell(self, language="en", metric="accuracy", **changes):
        fields = {
            "baseline": "plain", "candidate": "wide", "metric": metric, "n_pairs": 5, "gain": 0.021, "low": 0.014, "high": 0.028,
            "p": 0.001, "p_adjusted": 0.004, "verdict": "better", "smallest_detectable": 0.006, "method": "paired t",
        }  # fmt: skip
        words = Words(language)
        teller = Teller(words, MetricWords(words, metric))
        return teller.tell_verdict(Verdict(**fields | changes)).replace("\xa0", " ")

    def test_gain_loss_and_nothing(self):
        assert self.tell() == "wide gains 2.1 points [1.4, 2.8] over plain."
        assert self.tell("fr") == "wide gagne 2,1 points [1,4 ; 2,8] sur plain."
        lost = {"gain": -0.021, "low": -0.028, "high": -0.014, "verdict": "worse"}
        assert self.tell(**lost) == "wide loses 2.1 points [1.4, 2.8] against plain."
        text = self.tell(gain=0.002, low=-0.004, high=0.008, verdict="no difference shown")
        assert text == (
            "wide: no difference shown from plain (+0.2 points [−0.4, 0.8]). "
            "A true gain of 0.6 points would have been shown 8 times in 10."
        )

    def test_no_difference_of_more_than_a_hundred_points_is_spoken_of(self):
        text = self.tell(gain=0.25, verdict="no difference shown", smallest_detectable=1.813)
        assert text.endswith("So few runs could hardly have shown any difference.")
        assert "8 times in 10" in self.tell(verdict="no difference shown", smallest_detectable=1.8, metric="log_loss")

    def test_without_an_interval_none_is_written(self):
        assert self.tell(low=None, high=None) == "wide gains 2.1 points over plain."

    def test_a_plain_metric_is_improved_not_gained(self):
        assert self.tell(metric="log_loss") == "wide improves log loss by 0.021 [0.014, 0.028] over plain."

    def test_names_are_escaped_where_they_stand_in_html(self):
        words = Words("en")
        teller = Teller(words, MetricWords(words, "accuracy"), name=Markup("<b>{}</b>").format)
        verdict = Verdict(
            baseline="a&b", candidate="<i>", metric="accuracy", n_pairs=1, gain=0.02, low=None, high=None, p=0.01,
            p_adjusted=0.01, verdict="better", smallest_detectable=None, method="exact McNemar",
        )  # fmt: skip
        assert (
            teller.tell_verdict(verdict).replace("\xa0", " ")
            == "<b>&lt;i&gt;</b> gains 2.0 points over <b>a&amp;b</b>."
        )


def test_what_is_not_there_is_left_out(study_folder):
    ids = Page(read(study_folder)).ids
    assert not {"errors", "curves"} & set(ids)
    assert "leaderboard" in ids


def test_a_study_without_finished_runs_says_so(study_folder):
    record = StudyRecord.load(study_folder / "study.json")
    rows = tuple(type(row)(candidate=row.candidate, n_runs=0, score=None) for row in record.leaderboard)
    refs = tuple(ref.model_copy(update={"status": "planned"}) for ref in record.runs)
    mutate(study_folder, leaderboard=rows, verdicts=(), runs=refs, counts={}, config={})
    page = Page(read(study_folder))
    assert "No run is finished yet" in page.text
    assert "0 of 10 runs are finished" in page.text


def test_failures_notes_and_findings_are_told(study_folder):
    record = StudyRecord.load(study_folder / "study.json")
    refs = (*record.runs[:-1], record.runs[-1].model_copy(update={"status": "failed", "failure": "loss: NaN."}))
    rows = (record.leaderboard[0].model_copy(update={"failed": ("loss: NaN <at> step 3.",)}), *record.leaderboard[1:])
    mutate(study_folder, runs=refs, leaderboard=rows)
    (study_folder / "check.json").write_text(
        json.dumps({"findings": ["12 twins.", {"sentence": "3 leaks.", "count": 3}]})
    )
    page = Page(read(study_folder))
    assert "A run of resnet failed: loss: NaN <at> step 3." in page.text
    assert "near duplicates" in page.text
    assert "Its card asks for pictures of at least 32 px. (resnet)" in page.text
    assert "The data check found 2 things: 12 twins. 3 leaks." in page.text


def test_what_a_candidate_changes(notes):
    before = {"model.name": "cnn", "model.depth": "3", "model.widths": "[8]", "train.epochs": "3", "train.old": "1"}
    after = {"model.name": "mlp", "model.widths": "[9]", "train.epochs": "3", "new": "2"}
    assert [(change.field, change.before, change.after) for change in list_changes(before, after)] == [
        ("model.name", "cnn", "mlp"), ("model.widths", "[8]", "[9]"), ("train.old", "1", ""), ("new", "", "2"),
    ]  # fmt: skip
    html = notes["en"].read_text("utf-8")
    table = html[html.index('<table class="changes">') :]
    rows = table[: table.index("</table>")]
    assert "augment.use" in rows
    assert "train.epochs" not in rows
    assert "seed" not in rows


def test_what_a_new_network_leaves_unset_is_no_change():
    after = {"model.name": "mobilenet", "model.pool": "null", "model.options": "[]", "model.hidden": "0"}
    assert [change.field for change in list_changes({"model.name": "cnn"}, after)] == ["model.name", "model.hidden"]
    assert [change.after for change in list_changes({"model.pool": "max"}, {"model.pool": "null"})] == ["null"]


def test_fractions_that_a_search_has_drawn_are_rounded():
    after = {"train.lr": "0.0005312290155678309 / 0.01", "model.widths": "[16, 32]", "x": "5.367892312345e-05"}
    assert [change.after for change in list_changes({}, after)] == ["0.0005312 / 0.01", "[16, 32]", "5.368e-05"]


def test_a_run_of_an_earlier_version_does_not_seem_to_change_what_came_later(study_folder):
    record = StudyRecord.load(study_folder / "study.json")
    config = {**record.config, "candidates": {ref.candidate: {"combine": {"folds": None}} for ref in record.runs}}
    mutate(study_folder, config=config)
    path = study_folder / "runs" / record.runs[0].identity / "run.json"
    run = RunRecord.load(path)
    run.model_copy(update={"config": {**run.config, "combine": {"folds": None}}}).save(path)
    settings = read_settings(read_study(study_folder))
    assert len(settings) > 1
    assert {flat.get("combine.folds") for flat in settings.values()} == {"null"}


class TestReading:
    def test_a_folder_without_study_is_a_mistake(self, tmp_path):
        with pytest.raises(MistakeError, match=r"no study\.json"):
            write_note(tmp_path, "en")

    def test_a_line_cut_by_a_crash_is_left_out_and_a_broken_one_named(self, whole_study, tmp_path):
        whole = next(whole_study.rglob("history.jsonl")).read_text()
        path = tmp_path / "history.jsonl"
        path.write_text(whole + whole.splitlines()[0][:20])
        assert len(read_history(path)) == len(whole.splitlines())
        path.write_text("{}\n" + whole)
        with pytest.raises(MistakeError, match="line 1"):
            read_history(path)

    def test_confusions_are_summed_over_the_runs(self, whole_study):
        counts_KK = read_study(whole_study).count_answers("resnet")
        assert counts_KK.sum() == 4000
        assert counts_KK.shape == (10, 10)


def test_a_recorded_note_is_marked_as_english_only_where_it_was_not_translated(study_folder):
    own = "One run a candidate: what another seed would give is not known."
    mutate(study_folder, notes=(own, "A note of a source of my own."))
    html = read(study_folder, "fr")
    assert '<span lang="en">A note of a source of my own.</span>' in html
    assert own not in html
    assert '<span lang="en">Un' not in html
    assert '<span lang="en">' not in read(study_folder, "en").split('id="limits"')[1].split("</section>")[0]
