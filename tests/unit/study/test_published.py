"""What a study file states of published values: how it is read, what is refused, and what does not depend on it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from etude.core.errors import StudyFileError
from etude.core.published import PublishedValue
from etude.study.file import StudyConfig
from etude.study.parse import parse_study

ENTRY = {"name": "ENet", "metric": "miou", "value": 0.51, "measured_on": "CamVid test", "source": "Paszke et al., 2016"}
STUDIES = Path(__file__).parents[3] / "studies"


def write(**changes):
    """Write a study file with one published value, in its fourth line; a field that is None is left out."""
    fields = {name: value for name, value in (ENTRY | changes).items() if value is not None}
    flow = yaml.safe_dump(fields, default_flow_style=True, allow_unicode=True, sort_keys=False, width=1000).strip()
    return f"data: {{source: shapes}}\nreport:\n  published:\n    - {flow}\n"


def read(**changes):
    (entry,) = parse_study(write(**changes)).report.published
    return entry


def problems(**changes):
    with pytest.raises(StudyFileError) as caught:
        parse_study(write(**changes))
    return caught.value.problems


def test_a_value_a_range_and_a_deviation_are_read():
    assert read().ends == (0.51,)
    assert read(value=[0.46, 0.6]).ends == (0.46, 0.6)
    assert read(metric="accuracy", value=0.881, spread=0.018).spread == 0.018
    assert read(metric="kid", value=-0.001).ends == (-0.001,)
    assert parse_study("data: {source: shapes}").report.published == ()


def test_texts_may_stand_in_both_languages_and_another_metric_in_words():
    entry = read(name={"en": "students", "fr": "étudiants"}, metric="IoU of the road", value=66.9)
    assert entry.name == {"en": "students", "fr": "étudiants"}
    assert (entry.metric, entry.value) == ("IoU of the road", 66.9)
    assert read(metric={"en": "panoptic quality", "fr": "qualité panoptique"}, value=50).value == 50


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"value": 66.9}, "value: must be from 0 to 1, as miou is. Got 66.9. Give 66.9 % as 0.669."),
        ({"value": [0.5, 68.7]}, "value: must be from 0 to 1, as miou is. Got 68.7. Give 68.7 % as 0.687."),
        ({"metric": "fid", "value": -3}, "value: must be at least 0, as fid is. Got -3."),
        ({"spread": 1.8}, "spread: must be from 0 to 1, as miou is. Got 1.8. Give 1.8 % as 0.018."),
        ({"spread": -0.1}, "spread must be greater than 0.0. Got -0.1."),
        ({"value": [0.6, 0.46]}, "value: must be one number, or a range [low, high] with low below high. Got [0.6, 0.46]."),
        ({"value": [0.4, 0.5, 0.6]}, "value: must be one number, or a range [low, high] with low below high. Got [0.4, 0.5, 0.6]."),
        ({"value": [0.46, 0.6], "spread": 0.1}, "spread: must go with one value, not with a range. Got 0.1. Leave one of the two out."),
        ({"value": "half"}, "value must be a number. Got 'half'."),
        ({"value": True}, "value must be a number. Got True."),
        ({"value": float("nan")}, "value must be a finite number. Got nan."),
        ({"metric": "mean_iou"}, "metric: unknown metric 'mean_iou'. Did you mean 'miou'? One that Étude does not measure is named in several words, and shown as they are."),
        ({"url": "arxiv.org/abs/1606.02147"}, "url: must be an address that begins with https:// or http://. Got 'arxiv.org/abs/1606.02147'."),
        ({"url": "javascript:alert(1)"}, "url: must be an address that begins with https:// or http://. Got 'javascript:alert(1)'."),
        ({"name": " "}, "name: must be a text, or a text for each language as {en: …, fr: …}. Got ' '."),
        ({"measured_on": {}}, "measured_on: must be a text, or a text for each language as {en: …, fr: …}. Got {}."),
        ({"measured_on": {"de": "CamVid"}}, "measured_on.de must be one of 'fr' or 'en'. Got 'de'."),
        ({"source": None}, "source is missing."),
        ({"sorce": "them"}, "sorce is not a field. Did you mean 'source'?"),
    ],
)  # fmt: skip
def test_a_mistake_says_line_rule_and_what_to_do(changes, told):
    assert problems(**changes) == (f"line 4: report.published.0.{told}",)


def test_a_question_that_is_no_text_is_told_once():
    with pytest.raises(StudyFileError) as caught:
        parse_study("question: 3\ndata: {source: shapes}")
    assert caught.value.problems == ("line 1: question must be a text. Got 3.",)


def test_what_was_resolved_is_read_again_and_kept_in_a_record_as_it_is():
    study = parse_study(write(value=[0.46, 0.6], url="https://arxiv.org/abs/1606.02147"))
    dumped = json.loads(json.dumps(study.report.model_dump(mode="json")))
    assert StudyConfig.model_validate({"report": dumped}).report == study.report
    (entry,) = study.report.published
    assert PublishedValue.model_validate_json(entry.model_dump_json()).model_dump() == entry.model_dump()


def test_studies_of_the_same_pictures_state_the_same_values_in_both_languages():
    files = ("street-scenes", "street-scenes-final", "animal-generation", "animal-detectors")
    given = {name: yaml.safe_load((STUDIES / f"{name}.yaml").read_text("utf-8"))["report"] for name in files}
    assert given["street-scenes"]["published"] == given["street-scenes-final"]["published"]
    for report in given.values():
        entries = StudyConfig.model_validate({"report": report}).report.published
        assert entries
        assert all(set(entry.measured_on) == {"en", "fr"} for entry in entries)
