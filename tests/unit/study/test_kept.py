"""What is kept of a study is what was run: overrides stand in its file, networks of one's own lie beside it."""

from __future__ import annotations

import pytest

from etude.models import resolve_spec
from etude.study.folder import StudyFolder
from etude.study.kept import keep_study, lay_over
from etude.study.parse import parse_study
from etude.study.study import Study

TEXT = """
study: breeds   # a name
data: {source: shapes}
train: {epochs: 9, optimizer: adamw}
candidates:
  mine: {model: {python: nets.py:Net, width: 4}}   # my own
  theirs: {model: cnn}
"""
NET = "from layers_of_mine import head\n\n\nclass Net:\n    def __init__(self, width, n_outputs):\n        pass\n"


@pytest.fixture
def desk(tmp_path):
    """Where the user's files lie."""
    folder = tmp_path / "desk"
    folder.mkdir()
    (folder / "nets.py").write_text(NET)
    (folder / "layers_of_mine.py").write_text("head = 1\n")
    (folder / "other.py").write_text("nothing = 1\n")
    return folder


@pytest.fixture
def kept(tmp_path):
    return StudyFolder(tmp_path / "results", "breeds")


def test_overrides_stand_in_the_text_that_is_kept(desk):
    sets = ["train.optimizer.lr=1e-3", "study=other", "candidates.theirs.augment=[flip]"]
    study = Study.from_text(TEXT, base=desk, sets=sets)
    assert Study.from_text(study.text, base=desk).config == study.config
    assert study.config.study == "other"
    assert lay_over(TEXT, []) == TEXT


def test_networks_of_ones_own_lie_beside_the_file_with_what_they_import(desk, kept):
    keep_study(TEXT, desk, kept)
    text = kept.given.read_text()
    assert "# my own" in text
    assert "# a name" in text
    assert sorted(path.name for path in kept.networks.iterdir()) == ["layers_of_mine.py", "nets.py"]
    before, after = (
        resolve_spec(parse_study(text, base=base).candidates["mine"].model, base)
        for text, base in ((TEXT, desk), (text, kept.root))
    )
    assert after.identity == before.identity
    assert after.spec.python == f"{kept.networks / 'nets.py'}:Net"


def test_a_kept_study_is_kept_again_as_it_is(desk, kept):
    keep_study(TEXT, desk, kept)
    text = kept.given.read_text()
    keep_study(text, kept.root, kept)
    assert kept.given.read_text() == text
    assert (kept.networks / "nets.py").read_text() == NET


def test_what_the_study_no_longer_names_is_not_kept(desk, kept):
    keep_study(TEXT, desk, kept)
    keep_study(TEXT.replace("mine: {model: {python: nets.py:Net, width: 4}}", "mine: {model: mlp}"), desk, kept)
    assert list(kept.networks.rglob("*.py")) == []


def test_files_of_one_name_from_two_folders_stay_apart(desk, kept):
    (desk / "old").mkdir()
    (desk / "old" / "nets.py").write_text(
        NET.replace("width, n_outputs", "n_outputs, width=1").replace("from layers_of_mine", "# ")
    )
    text = TEXT.replace("theirs: {model: cnn}", f"theirs: {{model: {{python: '{desk / 'old' / 'nets.py'}:Net'}}}}")
    keep_study(text, desk, kept)
    study = parse_study(kept.given.read_text(), base=kept.root)
    references = [study.candidates[name].model.python for name in ("mine", "theirs")]
    assert references == ["networks/0/nets.py:Net", "networks/1/nets.py:Net"]
    assert (kept.root / "networks/0/nets.py").read_text() == NET
    assert "width=1" in (kept.root / "networks/1/nets.py").read_text()


def test_a_sentence_that_looks_like_a_reference_stays(desk, kept):
    text = TEXT.replace("study:", "question: What is wrong with nets.py:Net\nstudy:")
    keep_study(text, desk, kept)
    study = parse_study(kept.given.read_text(), base=kept.root)
    assert study.question == "What is wrong with nets.py:Net"
    assert study.candidates["mine"].model.python == "networks/nets.py:Net"
