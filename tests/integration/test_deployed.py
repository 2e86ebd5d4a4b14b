"""Bundles of networks that were really trained go the whole way: the index, the server, the page."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

httpx = pytest.importorskip("httpx", reason="needs httpx")
pytest.importorskip("torch", reason="needs PyTorch: install etude[train]")

from tests.integration.server_process import Server  # noqa: E402
from tests.integration.tiny_studies import run_colours, run_masks  # noqa: E402
from tests.unit.runtime.browsing import CHROMIUM, drag_files, open_browser, until  # noqa: E402

from etude import load  # noqa: E402
from etude.core.words import Part  # noqa: E402
from etude.evaluate.predictions import Predictions  # noqa: E402
from etude.export.exporting import export_bundle  # noqa: E402
from etude.export.request import Wishes  # noqa: E402
from etude.metrics.calibration import with_temperature  # noqa: E402
from etude.runtime.library.database import Library  # noqa: E402
from etude.runtime.predictor import Predictor  # noqa: E402
from etude.study.deploying import export_request  # noqa: E402


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the results of a study of classes and of one of masks, their pictures, and their bundles."""
    results = run_masks(run_colours(tmp_path_factory.mktemp("deployed")))
    for study, is_int8 in (("colours", False), ("masks", True)):
        wishes = Wishes(to=results / f"{study}.bundle", int8=is_int8, max_loss=100, measure=False)
        export_bundle(export_request(study, results), wishes, lambda text: None)
    return results


@pytest.fixture(scope="module")
def models(folder: Path) -> dict[str, Predictor]:
    return {name: load(folder / f"{name}.bundle", threads=1) for name in ("colours", "masks")}


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    started = Server(str(folder / "colours.bundle"), str(folder / "masks.bundle"), "--threads", "1")
    yield started
    assert started.stop() == 0


def index(bundle: Path, pictures: Path, to: Path) -> dict[str, Any]:
    """Index a folder by the command, and return what the library then knows of each picture."""
    words = [sys.executable, "-m", "etude", "index", str(bundle), str(pictures), "--to", str(to)]
    told = subprocess.run(words, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    library = Library(to)
    found = {row.path: row for row in library.search()}
    library.close()
    return found


def test_the_index_says_of_each_photo_what_the_run_had_said(folder: Path, models, tmp_path: Path) -> None:
    found = index(folder / "colours.bundle", folder / "photos", tmp_path / "photos.sqlite")
    record = models["colours"].record
    kept = Predictions.read(folder / "colours/runs" / record.origin.run / "predictions.parquet", Part.TEST)
    probabilities_NK = with_temperature(kept.probabilities, record.temperature)
    for item, row in zip(kept.ids.tolist(), probabilities_NK, strict=True):
        assert found[item].label == record.classes[int(row.argmax())]
        assert found[item].probability == pytest.approx(row.max(), abs=1e-3)
    right = [found[item].label == record.classes[truth] for item, truth in zip(kept.ids, kept.truth, strict=True)]
    told = next(score for score in record.scores if (score.part, score.metric) == ("test", "accuracy"))
    assert np.mean(right) == pytest.approx(told.value)


def test_the_index_of_a_segmenter_names_the_largest_class(folder: Path, models, tmp_path: Path) -> None:
    found = index(folder / "masks.bundle", folder / "scenes/images", tmp_path / "scenes.sqlite")
    assert len(found) == 24
    for path, row in found.items():
        areas = models["masks"](folder / "scenes/images" / path).areas
        assert row.probability == pytest.approx(max(areas.values()), abs=1e-6)
        assert areas[row.label] == max(areas.values())


def test_the_server_answers_as_the_bundles_do(folder: Path, models, server: Server) -> None:
    with httpx.Client(base_url=server.address) as client:
        assert client.get("/readyz").json() == {"status": "ready", "models": 2}
        for path in sorted((folder / "photos").rglob("*.jpg"))[::11]:
            row = client.post("/v1/predict", content=path.read_bytes()).json()["predictions"][0]
            expected = models["colours"](path).as_json()
            assert row["label"] == expected["label"]
            assert row["probability"] == pytest.approx(expected["probability"], abs=1e-5)
            assert row["familiarity"] == pytest.approx(expected["familiarity"], abs=1e-5)
        scene = folder / "scenes/images/3.jpg"
        answer = client.post("/v1/segment", content=scene.read_bytes())
        ids = np.asarray(Image.open(io.BytesIO(answer.content)))
        np.testing.assert_array_equal(ids, models["masks"](scene).mask)


@pytest.mark.browser
@pytest.mark.skipif(not CHROMIUM.exists(), reason="needs Chromium: apt-get install chromium")
def test_the_page_shows_what_the_bundles_answer(folder: Path, models, server: Server) -> None:
    photo, scene = folder / "photos/greens/007.jpg", folder / "scenes/images/3.jpg"
    with open_browser() as browser:
        page = browser.new_page(viewport={"width": 1100, "height": 900}, locale="en-GB")
        said: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(server.address)
        page.locator("#ask").wait_for()
        drag_files(page, "#drop", [photo], "dragEnter", "dragOver", "drop")
        page.locator("#answers .bars").wait_for()
        assert page.locator("#answers .answer").inner_text().startswith(models["colours"](photo).label)
        assert page.locator("#answers .bars li").count() == 3
        page.select_option("#model", "masks")
        drag_files(page, "#drop", [scene], "dragEnter", "dragOver", "drop")
        page.locator(".legend button").first.wait_for()
        areas = models["masks"](scene).areas
        assert page.locator(".legend button").count() == sum(share > 0 for share in areas.values())
        shares = page.locator(".legend [data-share]")
        until(page, "document.querySelectorAll('.legend [data-share]').length > 0")
        shown = [float(shares.nth(at).get_attribute("data-share")) for at in range(shares.count())]
        assert sorted(shown) == pytest.approx(sorted(share for share in areas.values() if share > 0), abs=1e-3)
        assert said == []
