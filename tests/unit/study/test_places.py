"""Mistakes that show only once pictures and networks are opened name the file and the line of their field."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from etude.core.errors import MistakeError
from etude.study.study import Study

TEXT = """\
study: breeds
data:
  source: photos
  split: {validation: 0.1}
  # more
prepare: {size_px: 16}
candidates:
  plain: {model: majority}
"""
DEEP = "  deep: {model: {name: airnet, widths: [4, 4, 4, 4, 4]}}\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("places")
    for name in ("husky", "boxer"):
        (folder / "photos" / name).mkdir(parents=True)
        for number in range(8):
            Image.fromarray(np.full((16, 16, 3), 10 * number, np.uint8)).save(
                folder / "photos" / name / f"{number}.png"
            )
    return folder


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("photos\n", "fotos\n"), "line 3: data: source must be a registered name or a path that exists"),
        (("  # more", "  positive: haski"), "line 5: data.positive: unknown name 'haski'. Did you mean 'husky'?"),
        (("  # more", "  classes: [husky]"), "line 5: data: classes must be two or more"),
        (("validation: 0.1", "kind: group"), "line 4: split: kind must be one that needs no groups"),
        (("{validation: 0.1}", "\n    folds: 9\n    kind: kfold"), "line 5: split: folds must be at most 8"),
        (("{model: majority}\n", "{model: majority}\n" + DEEP), "line 9: model airnet: size_px must be at least 33"),
    ],
)  # fmt: skip
def test_it_names_file_and_line(folder, tmp_path, change, told):
    file = folder / "breeds.yaml"
    file.write_text(TEXT.replace(*change))
    for way in (Study.run, Study.plan):
        with pytest.raises(MistakeError) as error:
            way(Study.from_file(file), tmp_path)
        assert str(error.value).startswith(f"{file}, {told}")


def test_it_names_the_option_where_the_field_comes_from_the_command_line(folder, tmp_path):
    file = folder / "breeds.yaml"
    file.write_text(TEXT)
    with pytest.raises(MistakeError, match=r"^--set data.source: data: source must be"):
        Study.from_file(file, ["data.source=fotos"]).run(tmp_path)


def test_a_text_that_is_no_file_has_no_lines(tmp_path):
    with pytest.raises(MistakeError, match=r"^data: source must be"):
        Study.from_text(TEXT, base=tmp_path).run(tmp_path)
