"""What a pretrained network finds beyond copies, and what a linear model says of labels."""

import os
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from etude.check import check_source, checking
from etude.check.alike import find_pairs
from etude.check.doubtful import answer_linearly, find_doubtful, read_answers
from etude.core.errors import DataError
from etude.data.sources.folder import FolderSource
from etude.pictures.prepare_config import Prepare

COLOURS = {"blue": (40, 60, 200), "green": (40, 190, 60), "red": (200, 50, 40)}


class MeanColour:
    """Stands for a pretrained network: the mean colour of each quarter of a picture."""

    name = "mean-colour"

    def prepare(self, size_px):
        return Prepare(size_px=size_px)

    def embed(self, pictures_NHWC, progress=None):
        half = pictures_NHWC.shape[1] // 2
        quarters = [pictures_NHWC[:, y : y + half, x : x + half].mean((1, 2)) for y in (0, half) for x in (0, half)]
        features = np.concatenate(quarters, axis=1).astype(np.float32)
        features -= features.mean(axis=1, keepdims=True)
        return features / np.linalg.norm(features, axis=1, keepdims=True)


def draw(root, n=12, wrong=()):
    """Draw noisy pictures of three colours; `wrong` are numbers of `red` that show blue."""
    rng = np.random.default_rng(0)
    for name, colour in COLOURS.items():
        (root / name).mkdir(parents=True)
        for number in range(n):
            shown = COLOURS["blue"] if name == "red" and number in wrong else colour
            pixels = np.clip(np.array(shown) + rng.normal(0, 60, (32, 32, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(root / name / f"{number:02}.png")
    return FolderSource(root)


def by_kind(record):
    return {finding.kind: finding for finding in record.findings}


def test_pairs_are_those_of_the_whole_matrix():
    rng = np.random.default_rng(1)
    features = rng.normal(size=(5000, 4)).astype(np.float32)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    first, second = find_pairs(features, above=0.999)
    cosines = np.triu(features @ features.T, 1)
    assert set(zip(first.tolist(), second.tolist(), strict=True)) == set(
        map(tuple, np.argwhere(cosines > 0.999).tolist())
    )


def test_what_shows_the_same_is_told_but_stops_nothing(tmp_path, monkeypatch):
    source = draw(tmp_path, n=3)
    monkeypatch.setattr(checking, "find_embedder", MeanColour)
    splits = [np.array([0, 0, 2] * 3, np.int8)]
    record = check_source(source, splits)
    alike = by_kind(record)["alike"]
    assert alike.count == 9
    assert alike.severity == "warning"  # sets that several parts hold
    assert "mean-colour can hardly tell them apart" in alike.sentence
    assert {frozenset(name.split("/")[0] for name in names) for names in alike.sets} == {
        frozenset([name]) for name in COLOURS
    }
    assert not record.leaks_any


def test_without_weights_the_record_says_what_was_not_looked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(checking, "find_embedder", lambda: None)
    record = check_source(draw(tmp_path))
    assert any("ETUDE_WEIGHTS" in sentence for sentence in record.skipped)


def test_looking_for_weights_that_are_nowhere_imports_no_timm(tmp_path):
    code = "import sys; from etude.models.embedding import find_embedder as f; assert f() is None; print('timm' in sys.modules)"
    nowhere = {"HF_HUB_CACHE": str(tmp_path), "HF_HOME": str(tmp_path), "ETUDE_WEIGHTS": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | nowhere, capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"


@pytest.mark.parametrize("embedder", [MeanColour, lambda: None], ids=["network", "thumbnails"])
def test_wrong_labels_are_found_and_right_ones_left_alone(tmp_path, monkeypatch, embedder):
    source = draw(tmp_path, n=30, wrong=(4, 17))
    monkeypatch.setattr(checking, "find_embedder", embedder)
    found = by_kind(check_source(source, labels=True))["label-errors"]
    assert set(found.files) == {"red/04.png", "red/17.png"}
    assert "answered blue" in found.sentence


def test_labels_are_not_looked_at_unless_asked(tmp_path, monkeypatch):
    monkeypatch.setattr(checking, "find_embedder", lambda: None)
    assert "label-errors" not in by_kind(check_source(draw(tmp_path, wrong=(1,))))


def test_answers_of_a_study_are_averaged_over_its_seeds(tmp_path, monkeypatch):
    source = draw(tmp_path / "pictures", n=10, wrong=(3,))
    names = [str(name) for name in source.items.ids]
    truth = source.items.labels.copy()
    truth[names.index("red/03.png")] = 0
    rng = np.random.default_rng(0)
    sure = np.eye(3)[truth] * 0.8 + 0.2 / 3
    rows = [(name, row * rng.uniform(0.9, 1.1)) for _ in range(2) for name, row in zip(names, sure, strict=True)]
    table = pa.table({"item": [name for name, _ in rows], "probabilities": [row.tolist() for _, row in rows]})
    pq.write_table(table, tmp_path / "cnn.parquet")
    indices, probabilities = read_answers(tmp_path / "cnn.parquet", source)
    assert indices.tolist() == list(range(30))
    np.testing.assert_allclose(probabilities.sum(1), 1)
    monkeypatch.setattr(checking, "find_embedder", lambda: None)
    found = by_kind(check_source(source, answers=tmp_path / "cnn.parquet"))["label-errors"]
    assert found.files == ("red/03.png",)
    assert "cnn.parquet" in found.sentence


def test_answers_of_other_pictures_are_a_sentence(tmp_path):
    source = draw(tmp_path / "pictures", n=3)
    pq.write_table(pa.table({"item": ["a", "b"], "probabilities": [[0.5, 0.5]] * 2}), tmp_path / "other.parquet")
    with pytest.raises(DataError, match="of other pictures or classes"):
        read_answers(tmp_path / "other.parquet", source)
    (tmp_path / "text.parquet").write_text("no table")
    with pytest.raises(DataError, match=r"oof/CANDIDATE\.parquet"):
        read_answers(tmp_path / "text.parquet", source)


def test_a_class_with_too_few_pictures_is_a_sentence():
    labels = np.array([0] * 10 + [1] * 4)
    with pytest.raises(DataError, match="at least 5 pictures of each class"):
        answer_linearly(np.zeros((14, 2), np.float32), labels, 2)


def test_sure_and_right_answers_raise_no_suspicion(tmp_path):
    source = draw(tmp_path, n=6)
    sure = np.eye(3)[source.items.labels] * 0.9 + 0.1 / 3
    assert find_doubtful(source, np.arange(18), sure, "a test") is None
