"""The one gate before all routes: keys, rates, sizes, times; and the one place where a failure becomes an answer.

It is written for the ASGI interface itself, so that nothing of a request is read before it is let in.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from etude.core.errors import DataError
from etude.runtime.serving.config import ServeConfig, is_loopback
from etude.runtime.serving.keys import Keys
from etude.runtime.serving.logs import log
from etude.runtime.serving.metrics import Metrics
from etude.runtime.serving.rate import RateLimit

OPEN_PATHS = frozenset({"/healthz", "/readyz", "/", "/page.js", "/page.css", "/words.json"})
"""What is answered without a key: whether the server lives, and the static shell of the page."""
RETRY_S = 1
"""Seconds after which to ask a busy server again."""
_SECURITY = {
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"cache-control": b"no-store",
    b"x-frame-options": b"DENY",
    b"cross-origin-resource-policy": b"same-origin",
    b"content-security-policy": b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    b"connect-src 'self'; media-src 'self' blob:; form-action 'none'; base-uri 'none'; frame-ancestors 'none'",
}


@dataclass
class RefusedError(Exception):
    """A request that goes no further.

    `code`, `cause` and `facts` are for programs, and for pages that say it in another language than `message`.
    """

    status: int
    code: str
    message: str
    retry_s: int | None = None
    cause: str = ""
    facts: Mapping[str, float | str] = field(default_factory=dict)


class Guard:
    """Lets requests through to the application, or refuses them.

    Args:
        app: the application.
        config: the limits.
        keys: the keys; none: no key is asked for.
        metrics: what is counted.
        route_of: names the route of a path, for counts and logs.
    """

    def __init__(
        self, app: ASGIApp, config: ServeConfig, keys: Keys | None, metrics: Metrics, route_of: Callable[[str], str]
    ) -> None:
        self._app, self._config, self.keys = app, config, keys
        self._metrics, self._route_of = metrics, route_of
        self._rates = RateLimit(config.per_minute, config.burst)
        self._held_bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = _Request(scope, send, self._route_of(scope["path"]))
        try:
            await self._let_in(request, scope, receive)
        except RefusedError as refusal:
            self._metrics.refused.labels(refusal.code).inc()
            await request.refuse(refusal)
        except Exception as error:  # the client is told that it failed, the log why
            log("failed", level=logging.ERROR, error=error, request=request.id, route=request.route)
            await request.refuse(RefusedError(500, "fault", "A fault of the server's own; its log says more."))
        finally:
            self._tell(request)

    async def _let_in(self, request: _Request, scope: Scope, receive: Receive) -> None:
        headers = Headers(scope=scope)
        if self.keys is None:
            _check_host(headers)
        if scope["path"] not in OPEN_PATHS:
            request.caller = self._check_key(headers, scope)
            wait_s = self._rates.wait_s(request.caller, time.monotonic())
            if wait_s:
                told = f"Too many requests. Ask again in {wait_s} s."
                raise RefusedError(429, "rate", told, wait_s, facts={"seconds": wait_s})
        # What is answered without a key takes no body: nobody unknown may hold memory that callers with keys wait for.
        has_body = scope["method"] not in ("GET", "HEAD", "OPTIONS") and scope["path"] not in OPEN_PATHS
        body = await self._read_body(headers, receive) if has_body else b""
        request.n_bytes = len(body)
        try:
            await self._app(scope, _replay(body, receive), request.send)
        finally:
            self._held_bytes -= len(body)

    def _check_key(self, headers: Headers, scope: Scope) -> str:
        """Return the name of the caller: that of its key, or its address where no keys are asked for."""
        if self.keys is None:
            client = scope.get("client")
            return f"address {client[0]}" if client else "address unknown"
        given = headers.get("authorization", "")
        key = given[7:] if given[:7].lower() == "bearer " else headers.get("x-api-key", "")
        name = self.keys.name_of(key)
        if name is None:
            raise RefusedError(401, "key", "An API key is needed: send it as Authorization: Bearer KEY.")
        return name

    async def _read_body(self, headers: Headers, receive: Receive) -> bytes:
        """Read a body within its limits of bytes and of time, all bodies together within theirs."""
        config, told = self._config, headers.get("content-length")
        if told is not None and (not told.isdecimal() or int(told) > config.max_bytes):
            raise _too_large(config.max_bytes)
        chunks: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(config.body_timeout_s):
                more = True
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise RefusedError(400, "gone", "The request ended before its body did.")
                    chunk, more = message.get("body", b""), message.get("more_body", False)
                    size += len(chunk)
                    self._held_bytes += len(chunk)
                    chunks.append(chunk)
                    if size > config.max_bytes:
                        raise _too_large(config.max_bytes)
                    if self._held_bytes > config.most_held_bytes:
                        raise busy()
        except TimeoutError:
            self._held_bytes -= size
            raise _too_slow(config.body_timeout_s) from None
        except BaseException:
            self._held_bytes -= size
            raise
        return b"".join(chunks)

    def _tell(self, request: _Request) -> None:
        seconds = time.perf_counter() - request.started
        self._metrics.requests.labels(request.route, str(request.status)).inc()
        self._metrics.seconds.labels(request.route).observe(seconds)
        log(
            "request", request=request.id, method=request.method, route=request.route, status=request.status,
            ms=round(1000 * seconds, 1), bytes=request.n_bytes, caller=request.caller,
        )  # fmt: skip


class _Request:
    """What is known of a request while it is answered."""

    def __init__(self, scope: Scope, send: Send, route: str) -> None:
        self.id, self.started, self.route = secrets.token_hex(8), time.perf_counter(), route
        self.method = scope["method"] if scope["method"] in ("GET", "POST", "HEAD", "OPTIONS") else "other"
        self.caller, self.status, self.n_bytes = "", 0, 0
        self._send = send

    async def send(self, message: Message) -> None:
        """Send on, with the headers that every answer has."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            own = [(name, value) for name, value in message.get("headers", []) if name.lower() not in _SECURITY]
            message = {**message, "headers": [*own, *_SECURITY.items(), (b"x-request-id", self.id.encode())]}
        await self._send(message)

    async def refuse(self, refusal: RefusedError) -> None:
        """Answer with the reason, unless an answer has begun."""
        if self.status:
            return
        headers = [(b"content-type", b"application/json")]
        if refusal.retry_s is not None:
            headers.append((b"retry-after", str(refusal.retry_s).encode()))
        if refusal.status == 401:
            headers.append((b"www-authenticate", b"Bearer"))
        if refusal.status in (400, 408, 413):
            headers.append((b"connection", b"close"))  # what is left of the body is not read
        body = error_body(refusal)
        headers.append((b"content-length", str(len(body)).encode()))
        await self.send({"type": "http.response.start", "status": refusal.status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})


def error_form(refusal: RefusedError) -> dict[str, Any]:
    """Return the one form of every error; cause and facts stand in it where there are some."""
    told: dict[str, Any] = {"code": refusal.code, "message": refusal.message}
    if refusal.cause:
        told["cause"] = refusal.cause
    if refusal.facts:
        told["facts"] = dict(refusal.facts)
    return {"error": told}


def error_body(refusal: RefusedError) -> bytes:
    """Return the one form of every error, as it is sent."""
    return json.dumps(error_form(refusal), ensure_ascii=False).encode("utf-8", "replace")


def unread(error: DataError) -> RefusedError:
    """Return the refusal of a picture that could not be read; where memory was short, it can be another time."""
    if error.cause == "memory":
        return RefusedError(503, "picture", str(error), RETRY_S, error.cause, error.facts)
    return RefusedError(422, "picture", str(error), cause=error.cause, facts=error.facts)


def busy() -> RefusedError:
    """Return the refusal of what there is no room for now."""
    told = f"The server is busy. Ask again in {RETRY_S} s."
    return RefusedError(503, "busy", told, RETRY_S, facts={"seconds": RETRY_S})


def _too_slow(seconds: float) -> RefusedError:
    return RefusedError(408, "slow", f"The body must arrive within {seconds:g} s.", facts={"seconds": seconds})


def _too_large(max_bytes: int) -> RefusedError:
    return RefusedError(
        413,
        "large",
        f"A request must have at most {max_bytes} bytes.",
        facts={"most": max_bytes, "mb": max_bytes / 1e6},
    )


def _check_host(headers: Headers) -> None:
    """Without keys, answer to this machine's own names only: a page elsewhere may have its name point here."""
    host = headers.get("host", "")
    name = host if host.endswith("]") else host.rsplit(":", 1)[0]
    if not is_loopback(name[1:-1] if name.startswith("[") and name.endswith("]") else name):
        raise RefusedError(421, "host", "Without keys the server answers to localhost only.")


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that gives a body that was read already, once."""
    was_given = False

    async def give() -> Any:  # noqa: ANN401 - an ASGI message
        nonlocal was_given
        if was_given:
            return await receive()
        was_given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return give
