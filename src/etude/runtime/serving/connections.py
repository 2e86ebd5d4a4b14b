"""One connection: how long it may be kept for nothing, how many of them there may be, and what is no request at all."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import struct
from collections.abc import Callable
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from etude.runtime.serving.guard import RefusedError, error_body
from etude.runtime.serving.logs import log

_SPARE = 128
"""File descriptors beside those of connections: bundles, keys, the log, the loop's own, connections just coming in."""
_AT_ONCE = struct.pack("ii", 1, 0)
"""A socket that lingers for no time drops what it has not sent when it is closed."""


def bounded(head_s: float, write_s: float, most: int) -> type[H11Protocol]:
    """Return uvicorn's protocol, which hangs up on who keeps a connection for nothing.

    Args:
        head_s: seconds that the head of a request may take to arrive.
        write_s: seconds that what is sent may take to be read.
        most: connections that may be open. For one more, that which has been idle longest is closed; where none is
            idle, that whose client has left an answer unread for longest; where all are being answered, the new one.
    """
    idle: dict[Bounded, None] = {}  # of all connections, in the order in which they fell idle
    unread: dict[Bounded, None] = {}  # and in the order in which their clients stopped taking what is sent

    class Bounded(H11Protocol):
        """A connection that is not kept for nothing."""

        def connection_made(self, transport: Any) -> None:  # noqa: ANN401 - as uvicorn has it
            super().connection_made(transport)
            # With no room in its buffer, the transport tells of everything that the client does not take at once.
            transport.set_write_buffer_limits(high=0)
            self._head_timer = _Timer(self.loop, head_s, self.transport.close)
            self._write_timer = _Timer(self.loop, write_s, self._hang_up)
            if len(self.connections) > most:
                self._make_room()
            self._watch_head()
            self._watch_idle()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._watch_head()
            self._watch_idle()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            self._watch_idle()

        def pause_writing(self) -> None:
            super().pause_writing()
            self._write_timer.start()
            unread[self] = None
            self._watch_idle()

        def resume_writing(self) -> None:
            super().resume_writing()
            self._write_timer.stop()
            unread.pop(self, None)
            self._watch_idle()

        def connection_lost(self, exc: Exception | None) -> None:
            self._head_timer.stop()
            self._write_timer.stop()
            super().connection_lost(exc)
            idle.pop(self, None)
            unread.pop(self, None)

        def send_400_response(self, msg: str) -> None:
            """Refuse what is no request in the form of every other error."""
            body = error_body(RefusedError(400, "request", msg))
            headers = [
                (b"content-type", b"application/json"),
                (b"content-length", str(len(body)).encode()),
                (b"connection", b"close"),
            ]
            begin = h11.Response(status_code=400, headers=headers, reason=b"Bad Request")
            with contextlib.suppress(h11.LocalProtocolError):  # the answer to what came before it has begun
                for part in (begin, h11.Data(data=body), h11.EndOfMessage()):
                    self.transport.write(self.conn.send(part) or b"")
            self.transport.close()

        @property
        def _is_answering(self) -> bool:
            return self.cycle is not None and not self.cycle.response_complete

        def _watch_head(self) -> None:
            """Count the time in which no request is being answered and the head of one may be on its way."""
            if self._is_answering:
                self._head_timer.stop()
            else:
                self._head_timer.start()

        def _watch_idle(self) -> None:
            """Note whether nobody would lose an answer if the connection were closed."""
            if self._is_answering or self.transport.is_closing() or self.transport.get_write_buffer_size():
                idle.pop(self, None)
            else:
                idle.setdefault(self)

        def _make_room(self) -> None:
            """Close the connection that is missed least; this new one where all others are being answered."""
            if idle:
                next(iter(idle))._give_way()
            elif unread:
                next(iter(unread))._hang_up()
            else:
                self._give_way()

        def _give_way(self) -> None:
            idle.pop(self, None)
            self.transport.close()

        def _hang_up(self) -> None:
            """Let go of what was not read, here and in the system's buffers: `close` would wait for the client."""
            unread.pop(self, None)  # at once: the loss is told later, and another connection may come before
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
            self.transport.abort()

    return Bounded


def affordable(wanted: int) -> int:
    """Return how many of so many connections there are file descriptors for, after asking the system for more.

    Without a descriptor no connection could be taken at all, not even to close an idle one for it.
    """
    try:
        import resource
    except ImportError:  # Windows counts otherwise
        return wanted
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + _SPARE
    if soft != resource.RLIM_INFINITY and soft < needed:
        asked = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        with contextlib.suppress(OSError, ValueError):  # where more is refused, there is what there is
            resource.setrlimit(resource.RLIMIT_NOFILE, (asked, hard))
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return wanted
    found = max(1, soft - _SPARE)
    log("fewer connections", level=logging.WARNING, wanted=wanted, connections=found, descriptors=soft)
    return found


class _Timer:
    """Calls once, so many seconds after it was started, unless it is stopped before."""

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float, call: Callable[[], object]) -> None:
        self._loop, self._seconds, self._call = loop, seconds, call
        self._handle: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Count from now on; a timer that runs already goes on."""
        if self._handle is None:
            self._handle = self._loop.call_later(self._seconds, self._call)

    def stop(self) -> None:
        """Call no more."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
