"""The study of street scenes, as it stands in `studies/`, on another source: Cityscapes in its own layout."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import save_file

from etude import Study
from etude.core.study_record import StudyRecord
from etude.data.sources.cityscapes import CLASSES
from etude.models import build_model

FILE = Path(__file__).parents[2] / "studies" / "street-scenes.yaml"
ENCODER = "mobilenetv2_100"
SIZE_PX = (32, 64)
SHORT = (
    "data.source=cityscapes",
    "prepare.size_px=[32, 64]",
    "train.budget=null",
    "train.steps=1",
    "train.precision=fp32",
    "candidates.small.prepare.size_px=[32, 64]",
    "candidates.unet-mobilenetv2-as-few.data.split.train_items=10",
    "candidates.small.train.steps=1",
    "candidates.small.train.crop_px=[16, 32]",
    "protocol.seeds=1",
)


def draw_cityscapes(root: Path) -> Path:
    """Draw a few frames of three cities: bands of classes, of which each frame has some, and ids that are void."""
    rng = np.random.default_rng(0)
    ids = np.array([*CLASSES.values(), 0, 4], np.uint8)
    for part, city, n_frames in (("train", "ulm", 12), ("train", "bonn", 12), ("val", "lindau", 4)):
        pictures, masks = (root / kind / part / city for kind in ("leftImg8bit", "gtFine"))
        pictures.mkdir(parents=True)
        masks.mkdir(parents=True)
        for frame in range(n_frames):
            mask = np.repeat(np.repeat(rng.choice(ids, (4, 8)), 12, 0), 12, 1)
            pixels = (mask[..., None] * np.array([7, 5, 3]) + rng.integers(0, 20, (*mask.shape, 3))).astype(np.uint8)
            stem = f"{city}_000000_{frame:06d}"
            Image.fromarray(pixels).save(pictures / f"{stem}_leftImg8bit.png")
            Image.fromarray(mask).save(masks / f"{stem}_gtFine_labelIds.png")
    return root


@pytest.mark.slow
def test_it_runs_whole_on_cityscapes_by_changing_the_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw_cityscapes(tmp_path / "data" / "cityscapes")
    encoder = build_model(ENCODER, n_outputs=3, size_px=SIZE_PX, seed=0)
    (tmp_path / "weights").mkdir()
    weights = {name: tensor.contiguous() for name, tensor in encoder.state_dict().items()}
    save_file(weights, tmp_path / "weights" / f"{ENCODER}.safetensors")
    monkeypatch.setenv("ETUDE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("ETUDE_WEIGHTS", str(tmp_path / "weights"))
    Study.from_file(FILE, sets=SHORT).run(tmp_path / "results")
    record = StudyRecord.load(tmp_path / "results" / "street-scenes" / "study.json")
    assert record.classes == tuple(CLASSES)
    assert {ref.status for ref in record.runs} == {"finished"}
    names = {ref.candidate for ref in record.runs}
    assert {"majority", "unet-mini", "unet", "fast-scnn", "segformer-mobilenetv2", "small"} <= names
    assert [group.vary for group in record.ablations] == ["train.loss", "train.class_weights", "augment.use"]
    assert {name for group in record.ablations for name in group.candidates} < names
    assert record.n_pictures["test"] == 4
    assert all(row.score is not None for row in record.leaderboard)
