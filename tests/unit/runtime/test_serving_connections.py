"""Connections: how many there may be, who gives way where there are too many, and what is no request."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from etude.runtime.serving import server as serving_server
from etude.runtime.serving.config import ServeConfig
from etude.runtime.serving.connections import affordable
from etude.runtime.serving.server import _listen, _run, _Server

ASKED = b"GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Slow:
    """An application that answers at once, and below `/slow` once it may."""

    def __init__(self) -> None:
        self.may, self.asked, self.answered = threading.Event(), 0, 0

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
        body = scope["path"].encode() * (1 if scope["path"] != "/large" else 3000)
        self.answered += 1
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

    def open(self, asked: bytes = b"", takes: int | None = None) -> socket.socket:
        connection = self.enter_context(socket.socket())
        connection.settimeout(10)
        if takes is not None:  # bytes that the system takes for a client that reads nothing
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, takes)
        connection.connect(("127.0.0.1", self._port))
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


def _rest(app: Slow) -> None:
    """Wait until nothing more is answered."""
    ends, before = time.monotonic() + 10, -1
    while before != app.answered:
        assert time.monotonic() < ends
        before = app.answered
        time.sleep(0.3)


def _is_cut(connection: socket.socket) -> bool:
    """Whether the connection ends before so much was read as its buffers cannot hold."""
    try:
        return any(not connection.recv(65536) for _ in range(50))
    except ConnectionResetError:
        return True


def test_whoever_reads_nothing_locks_nobody_out() -> None:
    app = Slow()
    with serving(app, connections=8) as port, Clients(port) as clients:
        unread = []
        for _ in range(8):
            unread.append(clients.open(200 * (ASKED % b"/large"), takes=4096))
            if len(unread) == 1:
                _rest(app)  # it is the one that has read nothing for longest
        _rest(app)
        assert app.answered < 8 * 200, "all of them wait to be read"
        one = clients.open(ASKED % b"/healthz")
        assert hear(one).endswith(b"/healthz")
        assert [_is_cut(each) for each in unread[:3]] == [True, False, False]
        for _ in range(12):  # the first of these makes the idle one give way, the others each other
            assert hear(clients.open(ASKED % b"/healthz")).endswith(b"/healthz")
        assert not _is_cut(unread[-1])


@pytest.mark.parametrize(
    ("limits", "wanted", "allowed", "soft"),
    [
        ((256, 4096), 512, 512, 640),
        ((1024, 1024), 512, 512, 1024),
        ((256, 300), 512, 172, 300),
        ((100, 100), 512, 1, 100),
        ((256, -1), 512, 512, 640),
        ((-1, -1), 100_000, 100_000, -1),
    ],
)
def test_there_are_as_many_connections_as_descriptors_allow(
    monkeypatch, caplog, limits: tuple[int, int], wanted: int, allowed: int, soft: int
) -> None:
    resource = pytest.importorskip("resource")
    held = list(limits)
    monkeypatch.setattr(resource, "RLIM_INFINITY", -1)
    monkeypatch.setattr(resource, "getrlimit", lambda _: tuple(held))
    monkeypatch.setattr(resource, "setrlimit", lambda _, asked: held.__setitem__(slice(None), asked))
    with caplog.at_level(logging.WARNING, logger="etude.serve"):
        assert affordable(wanted) == allowed
    assert tuple(held) == (soft, limits[1])
    told = [(record.message, record.told) for record in caplog.records]
    fewer = {"wanted": wanted, "connections": allowed, "descriptors": soft}
    assert told == ([] if allowed == wanted else [("fewer connections", fewer)])


def test_a_system_that_refuses_more_descriptors_gets_fewer_connections(monkeypatch) -> None:
    resource = pytest.importorskip("resource")

    def refuse(kind: int, asked: tuple[int, int]) -> None:
        raise ValueError("not allowed to raise maximum limit")

    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 4096))
    monkeypatch.setattr(resource, "setrlimit", refuse)
    assert affordable(512) == 128


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


def test_a_server_keeps_no_more_connections_than_there_are_descriptors_for(monkeypatch) -> None:
    kept: list[int] = []

    class Ended(_Server):
        """A server that notes its limit, and ends."""

        def run(self, sockets: list[socket.socket] | None = None) -> None:
            kept.append(self.most)

        def __init__(self, app: object, config: ServeConfig, *rest: object) -> None:
            super().__init__(app, config, *rest)
            self.most = config.connections

    monkeypatch.setattr(serving_server, "affordable", lambda wanted: wanted // 2)
    monkeypatch.setattr(serving_server, "_Server", Ended)
    _run(Slow(), ServeConfig(port=0, connections=512), lambda address: None, None, {})
    assert kept == [256]


@pytest.mark.parametrize(("before", "ends"), [(signal.SIG_DFL, True), (signal.SIG_IGN, False)])
def test_a_terminal_that_is_closed_ends_a_server_without_reloads_in_order(before: signal.Handlers, ends: bool) -> None:
    server = _Server(Slow(), ServeConfig(), lambda: None)
    after = signal.signal(signal.SIGHUP, before)
    try:
        held = serving_server._hold_signals(server, ends_on_hangup=True)
        try:
            signal.raise_signal(signal.SIGHUP)  # under nohup it goes on
        finally:
            for number, handler in held.items():
                signal.signal(number, handler)
        assert signal.getsignal(signal.SIGHUP) is before
    finally:
        signal.signal(signal.SIGHUP, after)
    assert server.should_exit is ends
