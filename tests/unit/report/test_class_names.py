"""What classes are called in a report: as the study file says, or as everyone calls those of known data."""

from __future__ import annotations

import re

import pytest
from pydantic import ValidationError

from etude.core.study_record import StudyRecord
from etude.data.config import DataConfig
from etude.data.sources.camvid import CLASSES as CAMVID
from etude.data.sources.cityscapes import CATEGORIES, CLASSES
from etude.data.sources.shapes import shapes
from etude.data.sources.streets import CLASSES as STREETS
from etude.report.class_names import call_classes, name_classes
from etude.report.note import write_note
from etude.report.reading import read_results
from etude.report.words import Words

CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
PANDA = {"red_panda": {"en": "red panda", "fr": "panda roux"}}
FR, EN = Words("fr"), Words("en")


@pytest.mark.parametrize("classes", [CIFAR10, CAMVID, [*CLASSES], [*CLASSES, *CATEGORIES], STREETS, shapes().classes])
def test_known_data_are_told_in_french_and_stay_in_english(classes):
    told = name_classes(classes, {}, FR)
    kept = set(classes) - set(told)
    assert kept <= {"automobile", "bus", "train", "terrain", "construction", "nature", "triangle"}, kept
    assert len(set(told.values()) | kept) == len(set(classes)), "two classes have one name"
    assert name_classes(classes, {}, EN) == {}


def test_names_are_translated_all_or_none():
    assert name_classes(["flat", "puncture"], {}, FR) == {}
    assert name_classes(["sidewalk", "pavement"], {}, FR) == {}, "both would be called trottoir"


def test_the_study_file_goes_first_and_may_leave_the_rest_to_us():
    assert name_classes(["cat", "dog"], {"cat": {"fr": "minou"}}, FR) == {"cat": "minou", "dog": "chien"}
    assert name_classes(["cat", "dog"], {"cat": {"fr": "minou"}}, EN) == {}
    assert name_classes(["cat", "dog"], {"cat": "Felis catus"}, EN) == {"cat": "Felis catus"}


def test_a_detector_tells_what_is_not_the_animal():
    classes = ["not red_panda", "red_panda"]
    assert name_classes(classes, PANDA, FR) == {"not red_panda": "sans panda roux", "red_panda": "panda roux"}
    assert name_classes(classes, PANDA, EN)["not red_panda"] == "not red panda"
    assert name_classes(classes, PANDA | {"not red_panda": {"fr": "le reste"}}, FR)["not red_panda"] == "le reste"
    assert name_classes(["not dog", "dog"], {}, FR) == {"not dog": "sans chien", "dog": "chien"}


def test_french_gets_its_apostrophes():
    assert name_classes(["a", "b"], {"a": {"fr": "l'âne"}}, FR) == {"a": "l’âne"}


def test_two_classes_of_one_name_are_refused():
    with pytest.raises(ValidationError, match="must not call 'a' and 'b' both 'panda' \\(en\\)"):
        DataConfig(names={"a": "panda", "b": {"en": "panda", "fr": "panda roux"}})


def test_a_note_in_french_has_no_class_in_english(study_folder):
    study, words = read_results(study_folder, "fr")
    assert study.record.classes[:4] == ("avion", "automobile", "oiseau", "chat")
    assert words.called("horse") == "cheval"
    text = re.sub(
        r"<style.*?</style>|<script.*?</script>|data:[^\"]*",
        "",
        write_note(study_folder, "fr").read_text("utf-8"),
        flags=re.S,
    )
    assert re.search(r"\bgrenouille\b", text)
    found = {
        name
        for name in ("airplane", "bird", "deer", "frog", "horse", "ship", "truck")
        if re.search(rf"\b{name}\b", text)
    }
    assert not found
    assert re.search(r"\bfrog\b", write_note(study_folder, "en").read_text("utf-8"))


def test_records_on_the_disk_keep_the_names_of_the_source(study_folder):
    write_note(study_folder, "fr")
    assert StudyRecord.load(study_folder / "study.json").classes == CIFAR10


def test_a_bundle_is_given_the_names_of_every_language_that_has_some(study_folder):
    record = StudyRecord.load(study_folder / "study.json")
    assert set(call_classes(record)) == {"fr"}
    assert call_classes(record)["fr"]["frog"] == "grenouille"
    data = record.config["data"] | {"names": {"frog": {"en": "common frog"}}}
    named = call_classes(record.model_copy(update={"config": record.config | {"data": data}}))
    assert (named["en"], named["fr"]["frog"]) == ({"frog": "common frog"}, "grenouille")
