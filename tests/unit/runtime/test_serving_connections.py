"""Connections: how many there may be, who gives way where there are too many, and what is no request."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from etude.runtime.serving.config import ServeConfig
from etude.runtime.serving.server import _listen, _Server

ASKED = b"GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Slow:
    """An application that answers at once, and below `/slow` once it may."""

    def __init__(self) -> None:
        self.may, self.asked = threading.Event(), 0

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] == "lifespan":
            for step in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{step}.complete"})
            return
        if scope["path"] == "/slow":
            self.asked += 1
            while not self.may.is_set():
                await asyncio.sleep(0.01)
        body = scope["path"].encode()
        head = [(b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": body})


@contextmanager
def serving(app: Slow, **fields: float) -> Iterator[int]:
    """Serve from a thread; give the port."""
    config = ServeConfig(port=0, threads=1, **fields)
    listening, ready = _listen(config), threading.Event()
    server = _Server(app, config, ready.set)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    assert ready.wait(20)
    yield listening.getsockname()[1]
    app.may.set()
    server.should_exit = True
    thread.join(20)
    assert not thread.is_alive()


class Clients(ExitStack):
    """Opens connections, and closes them all at the end."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self._port = port

    def open(self, asked: bytes = b"") -> socket.socket:
        connection = self.enter_context(socket.create_connection(("127.0.0.1", self._port), timeout=10))
        connection.sendall(asked)
        return connection


def hear(connection: socket.socket) -> bytes:
    """Return the whole answer; nothing where the connection was closed."""
    heard = b""
    try:
        while b"\r\n\r\n" not in heard or len(heard.partition(b"\r\n\r\n")[2]) < _length(heard):
            chunk = connection.recv(65536)
            if not chunk:
                break
            heard += chunk
    except ConnectionResetError:
        return b""
    return heard


def _length(heard: bytes) -> int:
    return int(next(line for line in heard.split(b"\r\n") if line.startswith(b"content-length")).split()[1])


def test_idle_connections_give_way_and_a_supervisor_is_answered() -> None:
    with serving(Slow(), connections=8) as port, Clients(port) as clients:
        for _ in range(60):
            clients.open()
        for _ in range(5):
            assert hear(clients.open(ASKED % b"/healthz")).endswith(b"/healthz")


def test_the_longest_idle_gives_way_first_and_those_within_go_on() -> None:
    with serving(Slow(), connections=3) as port, Clients(port) as clients:
        first, second, third = (clients.open(ASKED % path) for path in (b"/1", b"/2", b"/3"))
        assert [hear(one)[-2:] for one in (first, second, third)] == [b"/1", b"/2", b"/3"]
        first.sendall(ASKED % b"/4")  # it is the last that fell idle now
        assert hear(first).endswith(b"/4")
        assert hear(clients.open(ASKED % b"/5")).endswith(b"/5")
        assert second.recv(10) == b""
        for one in (first, third):
            one.sendall(ASKED % b"/6")
            assert hear(one).endswith(b"/6")


def test_whoever_is_being_answered_is_not_cut_off() -> None:
    app = Slow()
    with serving(app, connections=2) as port, Clients(port) as clients:
        asking = [clients.open(ASKED % b"/slow") for _ in range(2)]
        ends = time.monotonic() + 10
        while app.asked < 2:
            assert time.monotonic() < ends
            time.sleep(0.01)
        assert [hear(clients.open(ASKED % b"/healthz")) for _ in range(3)] == [b"", b"", b""]
        app.may.set()
        for one in asking:
            assert hear(one).endswith(b"/slow")


@pytest.mark.parametrize("text", [b"GET / of the page\r\n\r\n", b"\x16\x03\x01\r\n\r\n", b"GET /" + b"a" * 40_000])
def test_what_is_no_request_is_refused_in_the_form_of_every_error(text: bytes) -> None:
    with serving(Slow()) as port, Clients(port) as clients:
        heard = b""
        connection = clients.open(text)
        while chunk := connection.recv(65536):
            heard += chunk
        head, _, body = heard.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 400 ")
        assert b"content-type: application/json" in head
        assert json.loads(body)["error"]["code"] == "request"
