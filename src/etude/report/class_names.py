"""What the classes of a study are called in a report: as its file says, or as everyone calls those of known data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from etude.core.study_record import StudyRecord
from etude.data.config import call_class
from etude.report.messages import LANGUAGES, mark_in
from etude.report.words import Words

IN: Final = "class"
KNOWN: Final = (
    # CIFAR-10
    mark_in("class", "airplane"),
    mark_in("class", "automobile"),
    mark_in("class", "bird"),
    mark_in("class", "cat"),
    mark_in("class", "deer"),
    mark_in("class", "dog"),
    mark_in("class", "frog"),
    mark_in("class", "horse"),
    mark_in("class", "ship"),
    mark_in("class", "truck"),
    # CamVid, Cityscapes and its categories, the drawn streets
    mark_in("class", "bicycle"),
    mark_in("class", "building"),
    mark_in("class", "bus"),
    mark_in("class", "car"),
    mark_in("class", "construction"),
    mark_in("class", "cyclist"),
    mark_in("class", "fence"),
    mark_in("class", "flat"),
    mark_in("class", "human"),
    mark_in("class", "motorcycle"),
    mark_in("class", "nature"),
    mark_in("class", "object"),
    mark_in("class", "pavement"),
    mark_in("class", "pedestrian"),
    mark_in("class", "person"),
    mark_in("class", "pole"),
    mark_in("class", "rider"),
    mark_in("class", "road"),
    mark_in("class", "sidewalk"),
    mark_in("class", "sign"),
    mark_in("class", "sky"),
    mark_in("class", "terrain"),
    mark_in("class", "traffic light"),
    mark_in("class", "traffic sign"),
    mark_in("class", "train"),
    mark_in("class", "tree"),
    mark_in("class", "vegetation"),
    mark_in("class", "vehicle"),
    mark_in("class", "void"),
    mark_in("class", "wall"),
    # the drawn shapes
    mark_in("class", "arrow"),
    mark_in("class", "crescent"),
    mark_in("class", "cross"),
    mark_in("class", "disc"),
    mark_in("class", "half-disc"),
    mark_in("class", "heart"),
    mark_in("class", "ring"),
    mark_in("class", "square"),
    mark_in("class", "star"),
    mark_in("class", "triangle"),
)
"""The classes of data that many know."""
_NOT = "not "


def call_classes(record: StudyRecord) -> dict[str, dict[str, str]]:
    """Return what the classes of a study and their categories are called, by language and by their own names."""
    return {language: names for language in LANGUAGES if (names := call_classes_in(record, language))}


def call_classes_in(record: StudyRecord, language: str) -> dict[str, str]:
    """Return the same in one language; those that keep their names are left out.

    Raises:
        MistakeError: if the language is unknown.
    """
    categories = [name for row in record.leaderboard for name in row.category_scores]
    given = record.config.get("data", {}).get("names") or {}
    return name_classes([*record.classes, *categories], given, Words(language))


def name_classes(classes: Iterable[str], given: Mapping[str, str | Mapping[Any, str]], words: Words) -> dict[str, str]:
    """Return what classes are called in the language, by their own names; those that keep theirs are left out.

    Names that the study file gives go first. Those of known data are translated where all classes are known, so that
    no table is half translated and no 'flat' of tyres becomes a surface, and where no two would be called alike.

    Args:
        classes: the classes of a study, its categories among them.
        given: `data.names` of the study file.
        words: the language.
    """
    names = set(classes)
    others = {name for name in names if name.startswith(_NOT) and name.removeprefix(_NOT) in names}  # of a detector
    called = {name: call_class(name, given, words.language) for name in names}
    own = {name for name in names if called[name] != name}
    known = {name: words.messages.get_in(IN, name) for name in names - others - own}
    translated = called | {name: told for name, told in known.items() if told}
    if all(known.values()) and len(set(translated.values())) == len(names):
        called = translated
    for name in others - own:
        called[name] = words.say("not {name}", name=called[name.removeprefix(_NOT)])
    return {name: told for name, told in called.items() if told != name}
