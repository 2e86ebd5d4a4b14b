"""The reader that other tests look at slides with, and what a deck does with nothing to say."""

from __future__ import annotations

import pytest
from pptx.util import Inches, Pt
from tests.slide_layout import faults_of

from etude.report.slides import Deck
from etude.report.words import Words


def test_nothing_to_say_makes_no_box(tmp_path):
    deck = Deck(Words("en"), tmp_path)
    slide = deck.slide("A title", ["told"])
    before = len(slide.shapes)
    deck.bullets(slide, ["", ""], (0.7, 1.4, 8.0, 3.0))
    assert len(slide.shapes) == before


def boxed(slide, text, left, top, wide, high, size_pt=20):
    frame = slide.shapes.add_textbox(*map(Inches, (left, top, wide, high))).text_frame
    frame.word_wrap = True
    run = frame.paragraphs[0].add_run()
    run.text, run.font.size = text, Pt(size_pt)


@pytest.mark.parametrize(
    ("boxes", "fault"),
    [
        ([("one", 1, 1, 3, 1), ("two", 3, 1.5, 3, 1)], "'one' and 'two' overlap"),
        ([("one", 11, 1, 3, 1)], "'one' leaves the slide"),
        ([("words that need several lines " * 3, 1, 1, 3, 0.6)], "needs"),
        ([("", 1, 1, 3, 1)], "an empty text"),
    ],
)
def test_the_reader_of_these_tests_finds_what_is_wrong(tmp_path, boxes, fault):
    deck = Deck(Words("en"), tmp_path).presentation
    for box in boxes:
        slide = deck.slides[0] if len(deck.slides) else deck.slides.add_slide(deck.slide_layouts[6])
        boxed(slide, *box)
    deck.save(str(tmp_path / "s.pptx"))
    (found,) = faults_of(tmp_path / "s.pptx")
    assert fault in found
