"""The real server, as a process: answers, limits, reload and an end in order."""

from __future__ import annotations

import concurrent.futures
import http.client
import io
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("onnx", reason="needs onnx to draw graphs: install etude[train]")
httpx = pytest.importorskip("httpx", reason="needs httpx")

from tests.integration.server_process import Server, until  # noqa: E402
from tests.unit.runtime.drawing import (  # noqa: E402
    make_contents,
    make_generator_contents,
    make_graph,
    plain,
    write_zip,
)

from etude.runtime.serving.keys import add_key  # noqa: E402

RED, BLUE = (220, 30, 20), (0, 30, 240)


def jpeg(colour: tuple[int, int, int], size: int = 40) -> bytes:
    packed = io.BytesIO()
    Image.fromarray(plain(colour, size)).save(packed, "JPEG", quality=95)
    return packed.getvalue()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("serve")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    bundle = write_zip(folder / "colours.bundle", make_contents(name="colours"))
    generator = write_zip(folder / "shades.bundle", make_generator_contents())
    started = Server(str(bundle), str(generator), "--threads", "2", "--max-mb", "0.1")
    yield started
    assert started.stop() == 0


def test_many_clients_at_once_get_each_its_own_answer(server: Server) -> None:
    pictures = {"red": jpeg(RED), "blue": jpeg(BLUE), "green": jpeg((0, 200, 0))}

    def ask(number: int) -> bool:
        label = list(pictures)[number % 3]
        with httpx.Client(base_url=server.address) as client:
            for _ in range(5):
                answer = client.post("/v1/predict", content=pictures[label])
                if answer.status_code != 503:
                    return answer.json()["predictions"][0]["label"] == label
        return False

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        assert all(pool.map(ask, range(60)))


def test_many_clients_at_once_are_made_each_its_own_pictures(server: Server, folder: Path) -> None:
    from etude import load_generator

    generator = load_generator(folder / "shades.bundle")

    def ask(seed: int) -> bool:
        with httpx.Client(base_url=server.address) as client:
            for _ in range(5):
                answer = client.post("/v1/generate", params={"seed": seed, "class": "blue"})
                if answer.status_code != 503:
                    wishes = generator.wishes(1, seed=seed, label="blue")
                    return answer.content == generator.png(list(generator.stream(wishes)), wishes)
        return False

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        assert all(pool.map(ask, range(60)))


def test_an_answer_on_a_kept_connection_does_not_wait_for_its_own_acknowledgement(server: Server) -> None:
    """Head and body of an answer were held apart by Nagle's algorithm: each cost 40 ms on a connection that is kept."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    took_s = []
    for _ in range(40):
        started = time.perf_counter()
        connection.request("GET", "/v1/model")
        assert connection.getresponse().read()
        took_s.append(time.perf_counter() - started)
    connection.close()
    assert min(took_s[20:]) < 0.03  # at first, Linux acknowledges at once


def test_a_body_that_is_too_large_is_refused_whether_or_not_it_says_so(server: Server) -> None:
    with httpx.Client(base_url=server.address) as client:
        assert client.post("/v1/predict", content=bytes(200_000)).status_code == 413
        chunks = (bytes(10_000) for _ in range(100))
        assert client.post("/v1/predict", content=chunks).status_code == 413
        assert client.get("/healthz").status_code == 200


def _say(server: Server, text: bytes, seconds: float = 5) -> bytes:
    with socket.create_connection(("127.0.0.1", server.port), timeout=seconds) as connection:
        connection.sendall(text)
        heard = b""
        while chunk := connection.recv(65536):
            heard += chunk
            if b"\r\n\r\n" in heard and b"}" in heard:
                break
        return heard


@pytest.mark.parametrize(
    "text",
    [
        b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999\r\n\r\n",
        b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
        b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/9.9\r\n\r\n",
    ],
)
def test_requests_that_are_none_end_without_a_5xx(server: Server, text: bytes) -> None:
    heard = _say(server, text)
    assert heard == b"" or heard.split()[1][:1] == b"4"
    assert httpx.get(f"{server.address}/healthz").status_code == 200


def test_sighup_takes_a_new_bundle_while_requests_go_on(folder: Path) -> None:
    path = write_zip(folder / "changing.bundle", make_contents(name="changing"))
    server = Server(str(path), "--threads", "1")
    stop, codes, versions = threading.Event(), [], set()

    def ask() -> None:
        with httpx.Client(base_url=server.address) as client:
            while not stop.is_set():
                answer = client.post("/v1/predict", content=jpeg(RED))
                codes.append(answer.status_code)
                versions.add(answer.json()["version"])

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    until(lambda: len(codes) > 3)
    contents = make_contents(name="changing", graph_bytes=make_graph("classification", 16, sharpness=0.01))
    write_zip(folder / "next.bundle", contents)
    shutil.move(folder / "next.bundle", path)
    server.process.send_signal(signal.SIGHUP)
    until(lambda: len(versions) == 2)
    path.write_bytes(b"broken")
    server.process.send_signal(signal.SIGHUP)
    until(lambda: any(event["event"] == "reload failed" for event in server.events()))
    before = len(codes)
    until(lambda: len(codes) > before + 3)
    stop.set()
    asking.join()
    assert set(codes) == {200}
    assert server.stop() == 0


def test_a_key_that_was_taken_back_is_refused_even_where_a_bundle_is_broken(folder: Path) -> None:
    path, keys = write_zip(folder / "kept.bundle", make_contents(name="kept")), folder / "taken.txt"
    first, second = add_key(keys, "anne"), add_key(keys, "bruno")
    server = Server(str(path), "--keys", str(keys))

    def status(key: str) -> int:
        headers = {"authorization": f"Bearer {key}"}
        return httpx.get(f"{server.address}/v1/model", headers=headers).status_code

    assert (status(first), status(second)) == (200, 200)
    path.write_bytes(b"half a bundle")
    keys.write_text("".join(line + "\n" for line in keys.read_text().splitlines() if line.startswith("bruno")))
    server.process.send_signal(signal.SIGHUP)
    until(lambda: status(first) == 401)
    assert status(second) == 200
    keys.write_text("# nobody\n")
    server.process.send_signal(signal.SIGHUP)
    until(lambda: status(second) == 401)
    assert server.stop() == 0


def test_a_signal_that_comes_before_uvicorn_listens_ends_the_server(folder: Path) -> None:
    bundle = write_zip(folder / "stopped.bundle", make_contents(name="stopped"))
    code = (
        "import os, signal; from pathlib import Path; from etude.runtime.serving import server;"
        "from etude.runtime.serving.config import ServeConfig\n"
        "run = server._Server.run\n"
        "def late(self, **given):\n"
        "  os.kill(os.getpid(), signal.SIGTERM); run(self, **given)\n"
        "server._Server.run = late\n"
        f"server.serve([Path({str(bundle)!r})], ServeConfig(port=0), print)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], timeout=60, capture_output=True, text=True, check=False)
    assert "http" not in done.stdout, "it said that it listens"


def test_sighup_while_the_bundles_are_opened_is_a_reload_and_no_end(folder: Path) -> None:
    bundle = write_zip(folder / "early.bundle", make_contents(name="early"))
    code = (
        "import os, signal; from pathlib import Path; from etude.runtime.serving import server;"
        "from etude.runtime.serving.config import ServeConfig\n"
        "class Slow(server.Shelf):\n"
        " def __init__(self, *given):\n"
        "  os.kill(os.getpid(), signal.SIGHUP); super().__init__(*given)\n"
        "server.Shelf = Slow\n"
        f"server.serve([Path({str(bundle)!r})], ServeConfig(port=0, threads=1), lambda a: None)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if '"reloaded"' in line:
            break
    else:
        raise AssertionError(f"it ended with {process.wait()}")
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0


def test_sigterm_finishes_what_was_accepted(folder: Path) -> None:
    bundle = write_zip(folder / "last.bundle", make_contents(name="last"))
    server = Server(str(bundle), "--threads", "1")
    large = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (2500, 2500, 3), dtype=np.uint8)).save(large, "PNG")
    answers: list[int] = []

    def ask() -> None:
        answers.append(httpx.post(f"{server.address}/v1/predict", content=large.getvalue(), timeout=30).status_code)

    asking = [threading.Thread(target=ask, daemon=True) for _ in range(4)]
    for thread in asking:
        thread.start()
    time.sleep(0.5)
    assert server.stop() == 0
    for thread in asking:
        thread.join(20)
    assert answers == [200] * 4
    assert server.events()[-1]["event"] == "stopped"


def _serve_impatiently(bundle: Path, **fields: float) -> tuple[subprocess.Popen[str], int]:
    """Start a server whose limits of time are no options of the command line; return it with its port."""
    code = (
        "import sys; from pathlib import Path; from etude.runtime.serving.server import serve;"
        "from etude.runtime.serving.config import ServeConfig;"
        f"serve([Path({str(bundle)!r})], ServeConfig(port=0, threads=1, **{fields!r}), lambda a: print(a, flush=True))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, stderr=subprocess.DEVNULL
    )
    assert process.stdout is not None
    return process, int(process.stdout.readline().rsplit(":", 1)[1])


def test_a_slow_body_and_a_slow_head_are_hung_up_on(folder: Path) -> None:
    from etude.runtime.serving.config import ServeConfig

    assert ServeConfig().body_timeout_s > 1
    bundle = write_zip(folder / "slow.bundle", make_contents(name="slow"))
    process, port = _serve_impatiently(bundle, body_timeout_s=0.6)
    try:
        for text, status in (
            (b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nxx", b"408"),
            (b"POST /v1/pre", b""),
            (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n|GET /hea", b"200"),
            (b"", b""),
        ):
            with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
                started = time.monotonic()
                first, _, then = text.partition(b"|")
                connection.sendall(first)
                heard = connection.recv(65536) if then else b""
                connection.sendall(then)
                while chunk := connection.recv(65536):
                    heard += chunk
                assert status in heard.split(b"\r\n")[0]
                assert time.monotonic() - started < 3
    finally:
        process.terminate()
        assert process.wait(10) == 0


def test_who_does_not_read_the_answer_is_hung_up_on(folder: Path) -> None:
    """The answer is larger than what the system takes in for a client that reads nothing."""
    from etude.runtime.serving.config import ServeConfig

    assert ServeConfig().write_timeout_s > 10
    bundle = write_zip(folder / "large.bundle", make_contents("segmentation", name="large"))
    noise = np.random.default_rng(0).integers(0, 256, (1900, 1900, 3), dtype=np.uint8)
    packed = io.BytesIO()
    Image.fromarray(noise).save(packed, "PNG", compress_level=1)
    head = "POST /v1/segment?as=overlay HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n"
    asked = head.format(packed.tell()).encode() + packed.getvalue()
    process, port = _serve_impatiently(bundle, write_timeout_s=1.0)
    try:
        assert _is_read_whole(port, asked, wait_s=0.0)
        assert not _is_read_whole(port, asked, wait_s=2.5)
        assert httpx.get(f"http://127.0.0.1:{port}/healthz").status_code == 200
    finally:
        process.terminate()
        assert process.wait(10) == 0


def _is_read_whole(port: int, asked: bytes, wait_s: float) -> bool:
    """Ask, read the head of the answer, wait, and read on; return whether all of the answer came."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(asked)
        heard = b""
        while b"\r\n\r\n" not in heard:
            heard += connection.recv(4096)
        head, _, body = heard.partition(b"\r\n\r\n")
        length = int(next(line for line in head.split(b"\r\n") if line.startswith(b"content-length")).split()[1])
        count = len(body)
        time.sleep(wait_s)
        try:
            while count < length and (chunk := connection.recv(1 << 16)):
                count += len(chunk)
        except ConnectionResetError:
            return False
        return count == length


def test_a_taken_port_and_an_open_address_are_sentences(server: Server, folder: Path) -> None:
    words = [sys.executable, "-m", "etude", "serve", str(folder / "colours.bundle")]
    taken = subprocess.run([*words, "--port", str(server.port)], capture_output=True, text=True, check=False)
    assert taken.returncode == 2
    assert "cannot be listened on" in taken.stderr
    open_ = subprocess.run([*words, "--host", "0.0.0.0"], capture_output=True, text=True, check=False)
    assert open_.returncode == 2
    assert "--new-key" in open_.stderr
