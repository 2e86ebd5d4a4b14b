"""Nothing half translated: every message of code and templates stands in both catalogues, with the same places."""

import re
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

import etude.report
from etude.core.errors import MistakeError
from etude.data.augment.catalog import AUGMENTATIONS
from etude.metrics import METRICS, SEGMENTATION_METRICS
from etude.metrics.generation import GENERATION_METRICS
from etude.models import MODELS
from etude.models.card import Card
from etude.models.timm_ideas import IDEAS
from etude.report.card_words import list_messages, tell_card
from etude.report.messages import LANGUAGES, read_messages
from etude.report.words import METRIC_NAMES, PERCENT_METRICS, Words

ROOM = Path(etude.report.__file__).parent
KEYWORDS = {"_": None, "say": None, "mark": None, "ngettext": (1, 2), "say_count": (1, 2), "get_plural": (1, 2),
            "mark_count": (1, 2), "mark_in": ((1, "c"), 2)}  # fmt: skip
METHODS = [("**.py", "python"), ("templates/**.j2", "jinja2.ext:babel_extract")]
PLACE = re.compile(r"{(\w*)}")


def extract():
    options = {"templates/**.j2": {"trim_blocks": "true", "lstrip_blocks": "true", "silent": "false"}}
    found = extract_from_dir(ROOM, METHODS, options, keywords=KEYWORDS)
    messages = {
        keyed(tuple(text[:2]) if isinstance(text, tuple) else text, context) for _, _, text, _, context in found
    }
    messages |= {text for name in MODELS for text in list_messages(MODELS[name].card)}
    messages |= {idea.sentence for idea in IDEAS.values()}
    messages |= {
        text for name in AUGMENTATIONS for card in [AUGMENTATIONS[name]] for text in (card.summary, card.at_strength_1)
    }
    counted = {text[0] for text in messages if isinstance(text, tuple)}
    return {text for text in messages if text not in counted}


def catalogue(language):
    with (ROOM / "locale" / language / "LC_MESSAGES" / "etude.po").open("rb") as file:
        return {keyed(message.id, message.context): message for message in read_po(file, locale=language) if message.id}


def keyed(text, context):
    """Set a context before its message, as gettext does."""
    return f"{context}\4{text}" if context else text


def test_the_extraction_sees_code_and_templates():
    messages = extract()
    assert "{candidate} gains {gain} {interval} over {baseline}." in messages
    assert "How to reproduce" in messages
    assert ("{n} candidate", "{n} candidates") in messages
    assert len(messages) > 100


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_message_is_translated_and_none_is_left_over(language):
    assert set(catalogue(language)) == extract()
    for key, message in catalogue(language).items():
        forms = [message.string] if isinstance(key, str) else list(message.string)
        assert len(forms) == (1 if isinstance(key, str) else 2), key
        assert all(form.strip() for form in forms), key
        assert not message.fuzzy, key


@pytest.mark.parametrize("language", LANGUAGES)
def test_places_are_those_of_the_message(language):
    for key, message in catalogue(language).items():
        keys = [key] if isinstance(key, str) else list(key)
        forms = [message.string] if isinstance(key, str) else list(message.string)
        for source, form in zip(keys, forms, strict=True):
            assert sorted(PLACE.findall(source)) == sorted(PLACE.findall(form)), key


def test_french_is_french():
    """A message that reads the same in both languages is one that both languages write so."""
    same = {
        key for key, message in catalogue("fr").items() if message.string == catalogue("en")[key].string
    }  # fmt: skip
    words = {
        text
        for key in same
        for text in ([key.removeprefix("class\4")] if isinstance(key, str) else key)
        if re.search(r"[a-z]{4}", PLACE.sub("", text))
    }
    assert words == {
        "Ablations", "Configurations", "Verdicts", "activation", "attention", "automobile", "classes", "construction",
        "convolution", "importance", "machine", "machines", "nature", "pixels", "source", "terrain", "test", "train",
        "triangle", "validation", "verdict", "versions", "{points} point", "{points} points", "{quantity}, validation", "IoU, validation",
    }  # fmt: skip


def test_french_punctuation_is_never_torn_off():
    for key, message in catalogue("fr").items():
        for form in [message.string] if isinstance(key, str) else message.string:
            assert not re.search(r" [:;!?%»](?!\w)", form.replace("en %", "")), form


def test_every_registered_metric_has_a_name():
    registered = {*METRICS.names(), *SEGMENTATION_METRICS.names(), *GENERATION_METRICS.names()}
    assert set(METRIC_NAMES) == registered
    assert registered >= PERCENT_METRICS
    for registry in (METRICS, SEGMENTATION_METRICS, GENERATION_METRICS):
        for name in registry:
            if name in PERCENT_METRICS:
                assert (registry[name].low, registry[name].high) == (0, 1)
    assert "log_loss" not in PERCENT_METRICS


def test_plurals():
    say = {language: Words(language).say_count for language in LANGUAGES}
    counts = {
        language: [say[language]("{n} candidate", "{n} candidates", n) for n in (0, 1, 2)] for language in LANGUAGES
    }
    assert [text.replace("\xa0", " ") for text in counts["fr"]] == ["0 candidat", "1 candidat", "2 candidats"]
    assert [text.replace("\xa0", " ") for text in counts["en"]] == ["0 candidates", "1 candidate", "2 candidates"]


ENGLISH = re.compile(r"\b(the|of|and|with|for|is|its|that|pictures|network|weights|trained)\b")


@pytest.mark.parametrize("name", list(MODELS))
def test_a_card_is_told_in_french_and_stays_what_it_is_in_english(name):
    card = MODELS[name].card
    assert tell_card(card, Words("en")) == card
    told = tell_card(card, Words("fr"))
    for text in (told.title, told.sentence, *told.notes, told.licence_weights):
        assert not ENGLISH.search(re.sub(r"`[^`]*`", "", text)), text
    assert (told.input_px, told.name) == (card.input_px, card.name)
    assert not re.search(r"\bafter\b|pre-activation|normalisation: ", told.paper), told.paper


def test_a_card_made_from_timms_own_record_is_told_in_french_too():
    card = Card(
        name="some_net", title="some_net (timm)", sentence="some_net as timm 1.0.31 defines it.", input_px=224, min_px=32,
        notes=(
            "Its weights were trained on pictures of 224 px, bicubic resizing.",
            "It is built for one size of pictures, that of prepare.size_px.",
        ),
    )  # fmt: skip
    told = tell_card(card, Words("fr"))
    assert told.sentence == "some_net tel que le définit timm 1.0.31."
    assert (
        told.notes[0]
        == "Ses poids ont été appris sur des images de 224 px, redimensionnées par interpolation bicubique."
    )
    assert not any(ENGLISH.search(note) for note in told.notes)


def test_an_unknown_language_is_a_mistake():
    with pytest.raises(MistakeError, match="one of fr, en"):
        read_messages("de")
