"""The routes behind the guard, without a network: keys over all of them, errors without traces, answers that hold."""

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.unit.runtime.drawing import make_contents, make_graph, plain, write_zip

from etude import load
from etude.core.bundle_record import Logits, Moved
from etude.core.errors import BundleError, DataError
from etude.runtime.serving.app import Service
from etude.runtime.serving.config import ServeConfig
from etude.runtime.serving.guard import OPEN_PATHS
from etude.runtime.serving.keys import add_key
from etude.runtime.serving.shelf import Shelf

testing = pytest.importorskip("starlette.testclient", reason="needs httpx")
RED, BLUE = (220, 30, 20), (0, 30, 240)


def jpeg(colour: tuple[int, int, int], size: tuple[int, int] = (30, 40)) -> bytes:
    packed = io.BytesIO()
    Image.fromarray(plain(colour, size)).save(packed, "JPEG", quality=95)
    return packed.getvalue()


def start(bundles: dict[str, Path], **fields: object) -> testing.TestClient:
    config = ServeConfig(threads=1, **fields)
    service = Service(Shelf(list(bundles.values()), config.max_pixels), config)
    client = testing.TestClient(service.app, base_url="http://localhost", raise_server_exceptions=False)
    client.service = service
    return client


@pytest.fixture(scope="module")
def client(bundles) -> Iterator[testing.TestClient]:
    with start(bundles) as started:
        yield started


@pytest.fixture(scope="module")
def keyed(bundles, tmp_path_factory) -> Iterator[tuple[testing.TestClient, str]]:
    path = tmp_path_factory.mktemp("keys") / "keys.txt"
    key = add_key(path, "volunteer")
    with start(bundles, keys=path, host="0.0.0.0") as started:
        yield started, key


def test_every_route_but_the_open_ones_asks_for_a_key(keyed) -> None:
    client, key = keyed
    paths = client.service.paths
    assert paths >= {"/v1/predict", "/v1/segment", "/v1/model", "/metrics", "/docs", "/openapi.json"} | OPEN_PATHS
    assert {"/healthz", "/readyz", "/", "/page.js", "/page.css", "/words.json"} == OPEN_PATHS
    for path in [*paths, "/nothing", "/v1", "/v1/", "/healthz/", "/HEALTHZ"]:
        for method in ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE"):
            for headers in ({}, {"authorization": f"Basic {key}"}) if method in ("GET", "POST") else ({},):
                answer = client.request(method, path, headers=headers)
                if path in OPEN_PATHS:
                    assert answer.status_code in (200, 405), (method, path)
                else:
                    assert answer.status_code == 401, (method, path)
                    assert answer.headers["www-authenticate"] == "Bearer"
    for headers in ({"authorization": f"Bearer {key}"}, {"authorization": f"bearer {key}"}, {"x-api-key": key}):
        assert client.get("/v1/model", headers=headers).status_code == 200
    assert client.get("/v1/model", params={"key": key}).status_code == 401


def _post_unread(client, path: str, headers: list[tuple[bytes, bytes]]) -> int:
    """Post to a path with a body that must not be read; return the status of the answer."""
    import asyncio

    sent = []

    async def receive() -> dict[str, object]:
        raise AssertionError("the body was read")

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": path, "headers": headers, "query_string": b"", "client": None}
    asyncio.run(client.service.guard(scope, receive, send))
    return sent[0]["status"]


@pytest.mark.parametrize("headers", [[], [(b"authorization", b"Bearer wrong")], [(b"x-api-key", b"\xff\xfe")]])
def test_a_request_without_a_key_is_refused_before_its_body_is_read(keyed, headers: list[tuple[bytes, bytes]]) -> None:
    assert _post_unread(keyed[0], "/v1/predict", headers) == 401


@pytest.mark.parametrize("path", sorted(OPEN_PATHS))
def test_what_needs_no_key_reads_no_body_either(keyed, path: str) -> None:
    """Whoever has no key must not hold memory that callers with keys wait for."""
    assert _post_unread(keyed[0], path, []) == 405


def test_what_curl_sends_with_data_binary_alone_is_answered(client) -> None:
    form = {"content-type": "application/x-www-form-urlencoded"}  # what curl says where it is told nothing
    assert client.post("/v1/predict", content=jpeg(RED), headers=form).status_code == 200


def test_predict_answers_as_the_predictor_does(client, bundles) -> None:
    raw = jpeg(RED)
    expected = load(bundles["classification"])(raw)
    for headers in (
        {},
        {"content-type": "image/jpeg"},
        {"content-type": "application/octet-stream"},
        {"content-type": "text/plain"},
    ):
        told = client.post("/v1/predict", content=raw, headers=headers).json()
        assert told["model"] == "colours"
        row = told["predictions"][0]
        assert row["label"] == "red"
        assert row["probability"] == pytest.approx(expected.probability, abs=1e-6)
        assert [entry["label"] for entry in row["top"]] == ["red", "green", "blue"]
    assert len(client.post("/v1/predict?top=1", content=raw).json()["predictions"][0]["top"]) == 1


def test_several_pictures_and_a_broken_one_among_them(client) -> None:
    files = [
        ("pictures", ("a.jpg", jpeg(RED))),
        ("pictures", ("b.jpg", b"broken")),
        ("other", ("../c.jpg", jpeg(BLUE))),
    ]
    rows = client.post("/v1/predict", files=files).json()["predictions"]
    assert [row["name"] for row in rows] == ["a.jpg", "b.jpg", "../c.jpg"]
    assert (rows[0]["label"], rows[2]["label"]) == ("red", "blue")
    assert "JPEG, PNG" in rows[1]["error"]
    text = client.post("/v1/predict", files=files, data={"model": "colours"})
    assert text.status_code == 422
    assert "The field 'model' of the form is no file." in text.json()["error"]["message"]
    many = client.post("/v1/predict", files=[("p", ("a.jpg", jpeg(RED)))] * 17)
    assert many.status_code == 400
    assert "Too many files" in many.json()["error"]["message"]


def test_segment_gives_ids_colours_overlay_and_areas(client, bundles) -> None:
    picture = np.concatenate([plain(RED, (30, 20)), plain(BLUE, (30, 60))], axis=1)
    packed = io.BytesIO()
    Image.fromarray(picture).save(packed, "PNG")
    raw = packed.getvalue()
    expected = load(bundles["segmentation"])(raw)
    answers = {form: client.post(f"/v1/segment?as={form}", content=raw) for form in ("ids", "grey", "color", "overlay")}
    for answer in answers.values():
        assert answer.headers["content-type"] == "image/png"
    ids = Image.open(io.BytesIO(answers["ids"].content))
    assert ids.mode == "P"
    np.testing.assert_array_equal(np.asarray(ids), expected.mask)
    grey = Image.open(io.BytesIO(answers["grey"].content))
    assert grey.mode == "L"
    np.testing.assert_array_equal(np.asarray(grey), expected.mask)
    np.testing.assert_array_equal(np.asarray(ids.convert("RGB")), expected.colored)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(answers["color"].content))), expected.colored)
    overlay = np.asarray(Image.open(io.BytesIO(answers["overlay"].content)))
    np.testing.assert_array_equal(overlay, expected.overlay(opacity=0.5))
    told = client.post("/v1/segment?as=json", files=[("a", ("a.png", raw)), ("b", ("b.png", b"no"))]).json()
    assert told["predictions"][0]["areas"] == pytest.approx(expected.areas, abs=1e-5)
    assert "error" in told["predictions"][1]
    assert client.post("/v1/segment", files=[("a", ("a.png", raw))] * 2).status_code == 422


def test_a_bundle_with_logits_is_served_as_one_without(bundles, tmp_path: Path) -> None:
    told = Logits(shape=(3, 16, 16), pictures=9, size=255.0, moved=Moved(largest=1e-5, typical=1e-6))
    graph = make_graph("segmentation", 16, tells_logits=True)
    contents = make_contents("segmentation", graph_bytes=graph, logits=told, name="raw")
    picture = jpeg(BLUE)
    with start({"raw": write_zip(tmp_path / "raw.bundle", contents)}) as client:
        assert client.get("/readyz").json()["models"] == 1  # its self-test, of logits too, was passed
        answer = client.post("/v1/segment", content=picture)
        ids = np.asarray(Image.open(io.BytesIO(answer.content)))
        np.testing.assert_array_equal(ids, load(bundles["segmentation"])(picture).mask)
        assert client.get("/v1/model").json()["models"][0]["task"] == "segmentation"


@pytest.mark.parametrize(
    ("path", "content", "headers", "status", "code"),
    [
        ("/v1/predict", b"", {}, 422, "empty"),
        ("/v1/predict", b"junk", {}, 422, "picture"),
        ("/v1/predict?model=other", b"junk", {}, 404, "model"),
        ("/v1/predict?model=pixels", b"junk", {}, 404, "model"),
        ("/v1/segment?model=colours", b"junk", {}, 404, "model"),
        ("/v1/predict?top=0", b"junk", {}, 422, "parameter"),
        ("/v1/predict?top=many", b"junk", {}, 422, "parameter"),
        ("/v1/segment?as=svg", b"junk", {}, 422, "parameter"),
        ("/v1/segment?opacity=2", b"junk", {}, 422, "parameter"),
        ("/v1/predict", b"a=b", {"content-type": "application/x-www-form-urlencoded"}, 415, "type"),
        ("/v1/predict", b"junk", {"content-type": "multipart/form-data"}, 400, "form"),
        ("/v1/predict", b"junk", {"content-type": "multipart/form-data; boundary=x"}, 400, "form"),
        ("/v1/predict", b"x" * 60_000, {}, 413, "large"),
        ("/nothing", b"junk", {}, 404, "route"),
        ("/v1/predict/../../../etc/passwd", b"junk", {}, 404, "route"),
        ("/page.js", b"junk", {}, 405, "route"),
    ],
)
def test_what_does_not_hold_is_one_form_of_error(
    bundles, path: str, content: bytes, headers: dict[str, str], status: int, code: str
) -> None:
    with start(bundles, max_bytes=50_000) as client:
        answer = client.post(path, content=content, headers=headers)
        assert answer.status_code == status
        error = answer.json()["error"]
        assert error["code"] == code
        assert set(answer.json()) == {"error"}
        for secret in ("Traceback", "site-packages", "/root", 'File "', "etude/runtime"):
            assert secret not in answer.text


def test_a_limit_that_was_passed_is_told_with_its_number(bundles) -> None:
    with start(bundles, max_bytes=50_000, rate=1, burst=2) as client:
        large = client.post("/v1/predict", content=b"x" * 60_000).json()["error"]
        assert (large["code"], large["facts"]) == ("large", {"most": 50_000, "mb": 0.05})
        several = client.post("/v1/segment", files=[("p", ("a.jpg", jpeg(RED)))] * 2).json()["error"]
        assert (several["code"], several["facts"]) == ("several", {"most": 1})
        late = client.get("/v1/model")
        rate = late.json()["error"]
        assert (rate["code"], rate["facts"]) == ("rate", {"seconds": int(late.headers["retry-after"])})


@pytest.mark.parametrize("path", ["/v1/predict", "/v1/segment", "/v1/segment?as=json"])
def test_why_a_picture_cannot_be_read_is_told_for_programs_too(bundles, monkeypatch, path: str) -> None:
    errors = [DataError("too large", cause="pixels", facts={"width": 9, "height": 8, "most": 7})]

    def fail(content: bytes) -> None:
        raise errors[0]

    with start(bundles) as client:
        for model in client.service.shelf.all():
            monkeypatch.setattr(model, "read", fail)
        told = client.post(path, content=b"any")
        error = {"code": "picture", "message": "too large", "cause": "pixels", "facts": errors[0].facts}
        assert (told.status_code, told.json()) == (422, {"error": error})
        if path != "/v1/segment":
            [row] = client.post(path, files=[("p", ("a.jpg", b"any"))]).json()["predictions"]
            assert row == {"name": "a.jpg", "error": "too large", "cause": "pixels", "facts": errors[0].facts}
        errors[0] = DataError("no memory", cause="memory")
        short = client.post(path, content=b"any")
        assert (short.status_code, short.headers["retry-after"]) == (503, "1")
        assert short.json()["error"] == {"code": "picture", "message": "no memory", "cause": "memory"}


def test_the_server_reads_no_heic_and_says_what_to_do(client) -> None:
    heif = pytest.importorskip("pillow_heif", reason="needs pillow-heif")
    packed = io.BytesIO()
    heif.from_pillow(Image.fromarray(plain(RED, 64))).save(packed)
    answer = client.post("/v1/predict", content=packed.getvalue())
    assert answer.status_code == 422
    assert "a HEIC or AVIF picture'. Convert it to JPEG or PNG." in answer.json()["error"]["message"]


def test_a_bomb_is_refused_by_its_head(bundles) -> None:
    from tests.unit.runtime.drawing import png_bomb

    with start(bundles, max_pixels=1_000_000) as client:
        answer = client.post("/v1/predict", content=png_bomb(20_000, 20_000))
        assert answer.status_code == 422
        assert "megapixels" in answer.json()["error"]["message"]


def test_a_fault_of_the_server_tells_nothing_of_itself(bundles, monkeypatch, caplog) -> None:
    with start(bundles) as client:
        model = client.service.shelf.find("colours")
        monkeypatch.setattr(model, "answer", lambda *given: 1 / 0)
        answer = client.post("/v1/predict", content=jpeg(RED))
        assert answer.status_code == 500
        assert answer.json()["error"] == {"code": "fault", "message": "A fault of the server's own; its log says more."}
        monkeypatch.undo()
        assert client.post("/v1/predict", content=jpeg(RED)).status_code == 200


def test_a_full_server_says_when_to_ask_again(bundles, monkeypatch) -> None:
    from etude.runtime.serving.pool import BusyError

    def busy(jobs: object) -> None:
        raise BusyError

    with start(bundles) as client:
        monkeypatch.setattr(client.service.pool, "submit", busy)
        answer = client.post("/v1/predict", content=jpeg(RED))
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        monkeypatch.undo()
        assert client.post("/v1/predict", content=jpeg(RED)).status_code == 200


def test_a_picture_that_waited_too_long_is_late_and_may_be_asked_again(bundles, monkeypatch) -> None:
    with start(bundles, timeout_s=0.5, max_batch=1) as client:
        model = client.service.shelf.find("colours")
        honest = model.answer

        def slow(*given: object) -> object:
            time.sleep(1.0)
            return honest(*given)

        monkeypatch.setattr(model, "answer", slow)
        # The one thread is busy with the first picture for longer than the second may wait.
        answer = client.post("/v1/predict", files=[("p", ("a.jpg", jpeg(RED))), ("p", ("b.jpg", jpeg(BLUE)))])
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert answer.json()["error"]["code"] == "late"
        assert 'etude_refused_total{reason="late"} 1.0' in client.get("/metrics").text
        monkeypatch.undo()
        assert client.post("/v1/predict", content=jpeg(RED)).status_code == 200


def test_an_answer_that_never_comes_is_late(bundles, monkeypatch) -> None:
    may = threading.Event()
    with start(bundles, timeout_s=0.2) as client:
        model = client.service.shelf.find("colours")
        honest = model.answer

        def stuck(*given: object) -> object:
            may.wait(10)
            return honest(*given)

        monkeypatch.setattr(model, "answer", stuck)
        answer = client.post("/v1/predict", content=jpeg(RED))
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "late")
        may.set()


def test_a_bundle_that_fails_its_self_test_is_never_served(bundles, tmp_path: Path) -> None:
    def write(contents: dict[str, bytes]) -> Path:
        return write_zip(tmp_path / "colours.bundle", contents)

    graph = make_graph("classification", 16, sharpness=0.01)
    good, other = make_contents(), make_contents(graph_bytes=graph)
    with pytest.raises(BundleError, match="self-test"):
        start({"forged": write(make_contents(reference=other["reference.npz"]))})
    with start({"good": write(good)}) as client:
        before = client.get("/v1/model?model=colours").json()["version"]
        write(make_contents(graph_bytes=graph, reference=good["reference.npz"]))
        with pytest.raises(BundleError, match="self-test"):
            client.service.reload()
        assert client.get("/readyz").json() == {"status": "ready", "models": 1}
        assert client.get("/v1/model?model=colours").json()["version"] == before
        write(other)
        assert client.service.reload() == ["colours"]
        assert client.get("/v1/model?model=colours").json()["version"] != before


def test_the_rate_of_a_caller_is_limited(bundles) -> None:
    with start(bundles, rate=60, burst=2) as client:
        codes = [client.get("/v1/model").status_code for _ in range(4)]
        assert codes == [200, 200, 429, 429]
        refused = client.get("/v1/model")
        assert int(refused.headers["retry-after"]) >= 1
        assert client.get("/healthz").status_code == 200


def test_without_keys_only_this_machines_names_are_answered(client) -> None:
    for host in ("localhost", "LOCALHOST", "localhost:8000", "127.0.0.1:8000", "127.0.0.2:8000", "[::1]:8000", "[::1]"):
        assert client.get("/v1/model", headers={"host": host}).status_code == 200
    for host in ("evil.example", "localhost.evil.example", "127.0.0.1.evil.example:8000", "", "[", "[]", "0.0.0.0"):
        assert client.get("/v1/model", headers={"host": host}).status_code == 421


def test_other_origins_are_not_let_in_unless_named(client, bundles) -> None:
    asked = {"origin": "https://a.example", "access-control-request-method": "POST"}
    assert "access-control-allow-origin" not in client.options("/v1/predict", headers=asked).headers
    assert "access-control-allow-origin" not in client.get("/v1/model", headers=asked).headers
    with start(bundles, origins=("https://a.example",)) as open_client:
        allowed = open_client.options("/v1/predict", headers=asked)
        assert allowed.headers["access-control-allow-origin"] == "https://a.example"
        other = open_client.options("/v1/predict", headers={**asked, "origin": "https://b.example"})
        assert "access-control-allow-origin" not in other.headers


def test_health_model_and_counts(client) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/readyz").json() == {"status": "ready", "models": 2}
    for path in ("/healthz", "/readyz"):
        assert client.head(path).status_code == 200
    models = client.get("/v1/model").json()["models"]
    assert [model["name"] for model in models] == ["colours", "pixels"]
    one = client.get("/v1/model?model=pixels").json()
    assert one["palette"] == [[255, 0, 0], [0, 255, 0], [0, 0, 255]]
    assert client.get("/v1/model?model=x").status_code == 404
    client.post("/v1/predict", content=jpeg(RED))
    counts = client.get("/metrics").text
    assert 'etude_requests_total{route="/v1/predict",status="200"}' in counts
    assert 'etude_pictures_total{model="colours",outcome="answered"}' in counts
    client.get("/some/random/path")
    assert "/some/random" not in client.get("/metrics").text


def test_the_description_has_examples_and_the_docs_page_no_outside_asset(client) -> None:
    described = client.get("/openapi.json").json()
    answer = described["paths"]["/v1/predict"]["post"]
    assert answer["responses"]["200"]["content"]["application/json"]["example"]["predictions"]
    assert {"401", "413", "422", "429", "503"} <= set(answer["responses"])
    assert "multipart/form-data" in answer["requestBody"]["content"]
    page = client.get("/docs").text
    assert "/v1/segment" in page
    assert "`" not in page
    assert "<code>Authorization: Bearer KEY</code>" in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page


def test_answers_forbid_framing_sniffing_and_foreign_scripts(client) -> None:
    for path in ("/", "/v1/model", "/nothing"):
        headers = client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "server" not in headers
    page = client.get("/").text
    assert "<script>" not in page
    assert "style=" not in page
    assert "://" not in page


def test_the_words_of_the_page_are_complete_in_both_languages(client) -> None:
    import re

    words = client.get("/words.json").json()
    english, french = words["en"], words["fr"]
    assert set(english) == set(french)
    for key, text in english.items():
        assert sorted(re.findall(r"\{\w+\}", text)) == sorted(re.findall(r"\{\w+\}", french[key])), key
        assert french[key].strip()
        assert not re.search(r" [:;!?](?!\w)", french[key]), key
    page, script = client.get("/").text, client.get("/page.js").text
    used = set(re.findall(r'data-word="(\w+)"', page)) | set(re.findall(r'(?:say|tell)\((?:[^"]*?, )?"(\w+)"', script))
    used |= {"yes", "no", "done", "failed", "working", "busy", "unsure", "opacity", "legend", "remove", "picture_of", "mask_of",
             "no_camera", "share", "reason", "key_wrong"}  # fmt: skip
    assert used <= set(english)


def test_the_log_tells_of_requests_and_not_of_pictures(client, caplog) -> None:
    import logging

    from etude.runtime.serving.logs import JsonLines

    with caplog.at_level(logging.INFO, logger="etude.serve"):
        client.post("/v1/predict", content=jpeg(RED))
    line = json.loads(JsonLines().format(caplog.records[-1]))
    assert (line["event"], line["route"], line["status"]) == ("request", "/v1/predict", 200)
    assert set(line) == {"time", "level", "event", "request", "method", "route", "status", "ms", "bytes", "caller"}
