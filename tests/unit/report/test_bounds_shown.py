"""What a study asked of itself stands in every format, with what came of it."""

import html
import re

import pytest
from pptx import Presentation

from etude.core.bound import Bound
from etude.core.interval import Interval
from etude.core.study_record import StudyRecord
from etude.report.markdown import write_markdown
from etude.report.note import render_note
from etude.report.pdf import render_typst
from etude.report.reading import read_study
from etude.report.slides import write_slides
from etude.report.words import Words

ASKED = Bound(
    candidate="resnet", metric="accuracy", rule="gain above", limit=0.05, over="cnn", value=0.0732,
    interval=Interval(low=0.0661, high=0.0803), outcome="met",
)  # fmt: skip
TOLD = {
    "en": "The study file asks that resnet gains more than 5 points over cnn (accuracy). Met: +7.3 points [6.6, 8.0].",
    "fr": "Le fichier d’étude demande que resnet gagne plus de 5 points par rapport à cnn (exactitude). "
    "Atteint : +7,3 points [6,6 ; 8,0].",
}


@pytest.mark.parametrize("language", ["en", "fr"])
def test_bounds_stand_in_every_format(study_folder, tmp_path, language):
    path = study_folder / "study.json"
    StudyRecord.load(path).model_copy(update={"bounds": (ASKED,)}).save(path)
    study, words = read_study(study_folder, language), Words(language)
    deck = Presentation(str(write_slides(study_folder, language)))
    said = {
        "note": html.unescape(render_note(study, words)),
        "pdf": render_typst(study, words, tmp_path),
        "markdown": write_markdown(study_folder, language, to=tmp_path)[0].read_text("utf-8"),
        "slides": "\n".join(
            shape.text_frame.text for slide in deck.slides for shape in slide.shapes if shape.has_text_frame
        ),
    }
    assert '<b class="name">resnet</b>' in render_note(study, words).split(TOLD[language].split("resnet")[0])[1][:40]
    for name, text in said.items():
        plain = re.sub(r"</?b[^>]*>|[*`]", "", text)
        assert TOLD[language] in " ".join(plain.split()), name
