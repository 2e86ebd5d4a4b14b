"""Pictures made over HTTP: the same as the generator makes, within the limits, in batches, and told in the log's way."""

from __future__ import annotations

import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from etude import load_generator
from etude.core.errors import DataError
from etude.runtime.serving.app import Service
from etude.runtime.serving.config import ServeConfig
from etude.runtime.serving.keys import add_key
from etude.runtime.serving.shelf import Shelf

testing = pytest.importorskip("starlette.testclient", reason="needs httpx")


def start(paths: list[Path], **fields: object) -> testing.TestClient:
    config = ServeConfig(threads=1, **fields)
    service = Service(Shelf(paths, config.max_pixels), config)
    client = testing.TestClient(service.app, base_url="http://localhost", raise_server_exceptions=False)
    client.service = service
    return client


@pytest.fixture(scope="module")
def client(generator_bundle, bundles) -> Iterator[testing.TestClient]:
    with start([*bundles.values(), generator_bundle], max_pictures=9) as started:
        yield started


def opened(answer) -> Image.Image:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "image/png"
    return Image.open(io.BytesIO(answer.content))


def test_one_picture_is_that_of_the_generator_and_says_what_it_is(client, generator_bundle) -> None:
    generator = load_generator(generator_bundle)
    picture = opened(client.post("/v1/generate?seed=7&first=3"))
    np.testing.assert_array_equal(np.asarray(picture), generator(1, seed=7, first=3)[0])
    assert picture.text["Description"].startswith("Generated picture, no photograph.")
    assert (picture.text["etude:seed"], picture.text["etude:number"]) == ("7", "3")
    again = client.post("/v1/generate?seed=7&first=3")
    assert again.content == client.post("/v1/generate?seed=7&first=3&model=shades").content


def test_several_come_as_a_grid_of_the_class_that_is_asked_for(client, generator_bundle) -> None:
    generator = load_generator(generator_bundle)
    sheet = np.asarray(opened(client.post("/v1/generate", params={"count": 4, "seed": 2, "class": "blue"})))
    np.testing.assert_array_equal(sheet[2:10, 2:10], generator(1, seed=2, label="blue")[0])
    assert sheet.shape == (22, 22, 3)


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("count=10", 422, "several"), ("count=0", 422, "parameter"), ("count=many", 422, "parameter"),
        ("seed=-1", 422, "parameter"), (f"seed={2**53}", 422, "parameter"), ("class=gren", 422, "parameter"),
        ("model=colours", 404, "model"), ("model=none", 404, "model"),
    ],
)  # fmt: skip
def test_what_does_not_hold_is_one_form_of_error(client, query: str, status: int, code: str) -> None:
    answer = client.post(f"/v1/generate?{query}")
    assert answer.status_code == status
    assert answer.json()["error"]["code"] == code
    assert "Traceback" not in answer.text


def test_other_routes_do_not_take_a_generator_nor_it_pictures(client) -> None:
    assert client.post("/v1/predict?model=shades", content=b"x").status_code == 404
    assert client.post("/v1/segment?model=shades", content=b"x").status_code == 404
    assert client.get("/v1/generate").status_code == 405


def test_a_server_without_a_generator_says_so(bundles) -> None:
    with start(list(bundles.values())) as client:
        answer = client.post("/v1/generate")
        assert answer.status_code == 404
        assert "generation" in answer.json()["error"]["message"]


def test_it_is_described_with_what_can_be_asked_for(client) -> None:
    told = client.get("/v1/model?model=shades").json()
    assert (told["task"], told["conditional"], told["classes"]) == ("generation", True, ["red", "green", "blue"])
    assert client.get("/v1/model?model=colours").json()["conditional"] is False
    assert "/v1/generate" in client.get("/openapi.json").json()["paths"]
    assert "/v1/generate" in client.get("/docs").text


def test_keys_and_rates_hold_for_it(generator_bundle, tmp_path) -> None:
    key = add_key(tmp_path / "keys.txt", "volunteer")
    with start([generator_bundle], keys=tmp_path / "keys.txt", host="0.0.0.0", rate=60, burst=2) as client:
        assert client.post("/v1/generate").status_code == 401
        headers = {"authorization": f"Bearer {key}"}
        assert [client.post("/v1/generate", headers=headers).status_code for _ in range(3)] == [200, 200, 429]


def test_many_at_once_are_made_in_batches_and_each_is_its_own(generator_bundle) -> None:
    generator = load_generator(generator_bundle)
    with start([generator_bundle]) as client, ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda seed: client.post(f"/v1/generate?seed={seed}&count=4"), range(24)))
        for seed, answer in enumerate(answers):
            wishes = generator.wishes(4, seed=seed)
            assert answer.content == generator.png(list(generator.stream(wishes)), wishes)
        counts = client.get("/metrics").text
    assert 'etude_pictures_total{model="shades",outcome="answered"} 96.0' in counts


def test_a_picture_that_fails_is_told_and_not_left_out(generator_bundle, monkeypatch) -> None:
    with start([generator_bundle]) as client:
        model = client.service.shelf.find("shades")
        honest = model.read

        def fail(wish):
            if wish.number == 1:
                raise DataError("shades: picture 1 cannot be made.")
            return honest(wish)

        monkeypatch.setattr(model, "read", fail)
        for query in ("count=4", "first=1"):
            answer = client.post(f"/v1/generate?{query}")
            assert answer.status_code == 422
            assert answer.json()["error"] == {"code": "picture", "message": "shades: picture 1 cannot be made."}


def test_a_full_queue_says_when_to_ask_again(generator_bundle, monkeypatch) -> None:
    from etude.runtime.serving.pool import BusyError

    def busy(jobs: object) -> None:
        raise BusyError

    with start([generator_bundle]) as client:
        monkeypatch.setattr(client.service.pool, "submit", busy)
        answer = client.post("/v1/generate")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
