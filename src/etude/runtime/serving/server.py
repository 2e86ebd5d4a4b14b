"""Running the service: uvicorn, signals, and an end that finishes what was begun."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from etude.core.errors import EtudeError, MistakeError
from etude.runtime.library.database import Library
from etude.runtime.serving.app import Service
from etude.runtime.serving.config import ServeConfig
from etude.runtime.serving.connections import affordable, bounded
from etude.runtime.serving.logs import log, start_logging
from etude.runtime.serving.shelf import Shelf

_MOST_HEAD_BYTES = 32 << 10
_KEEP_ALIVE_S = 10
_BACKLOG = 256


def serve(paths: list[Path], config: ServeConfig, ready: Callable[[str], None]) -> None:
    """Serve bundles until SIGTERM or Ctrl-C; SIGHUP takes them anew.

    Args:
        paths: the bundles.
        config: address, limits and keys.
        ready: hears the address once requests are answered.

    Raises:
        MistakeError: if the address is open to others and there are no keys, or it is taken.
        BundleError: if a bundle cannot be used.
    """
    config.check()
    start_logging()
    hangups = _Hangups()
    try:
        service = Service(Shelf(paths, config.max_pixels), config)
        names = [model.name for model in service.shelf.all()]
        told = {
            "models": names, "threads": config.n_threads, "keys": config.keys is not None, "rate": config.per_minute,
        }  # fmt: skip
        _run(service.app, config, ready, (service, hangups), told)
    finally:
        hangups.let_go()


def serve_gallery(library: Library, config: ServeConfig, ready: Callable[[str], None]) -> None:
    """Serve the gallery of a library until it is stopped.

    Raises:
        MistakeError: if the address is not this machine's own, or is taken.
    """
    from etude.runtime.library.gallery import Gallery

    start_logging(logging.WARNING)
    _run(Gallery(library, config).app, config, ready, None, {"library": str(library.path)})


def _run(
    app: ASGIApp,
    config: ServeConfig,
    ready: Callable[[str], None],
    reloads: tuple[Service, _Hangups] | None,
    told: dict[str, Any],
) -> None:
    """Listen, run until a signal comes, and put the signals back."""
    listening = _listen(config)
    config = config.model_copy(update={"connections": affordable(config.connections)})
    server = _Server(app, config, lambda: ready(_address(listening)), reloads)
    log("started", address=_address(listening), **told)
    before = _hold_signals(server, ends_on_hangup=reloads is None)
    try:
        server.run(sockets=[listening])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        log("stopped")


class _Server(uvicorn.Server):
    """uvicorn, which tells when it listens and takes bundles anew on SIGHUP."""

    def __init__(
        self,
        app: ASGIApp,
        config: ServeConfig,
        ready: Callable[[], None],
        reloads: tuple[Service, _Hangups] | None = None,
    ) -> None:
        protocol = bounded(config.body_timeout_s, config.write_timeout_s, config.connections)
        super().__init__(
            uvicorn.Config(
                app, http=protocol, ws="none", loop="asyncio",
                lifespan="on", access_log=False, log_config=None, server_header=False, proxy_headers=False,
                backlog=_BACKLOG, timeout_keep_alive=_KEEP_ALIVE_S,
                timeout_graceful_shutdown=max(1, round(config.stop_s)), h11_max_incomplete_event_size=_MOST_HEAD_BYTES,
            )
        )  # fmt: skip
        self._reloads, self._ready = reloads, ready
        self._reloading: asyncio.Task[None] | None = None
        self._is_asked = False

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start listening; then say so."""
        await super().startup(sockets)
        if self._reloads is not None and _can_hear():
            service, hangups = self._reloads
            reload = partial(self._reload, service)
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reload)
            if hangups.came:  # while the bundles were being opened
                reload()
        if not self.should_exit:
            self._ready()

    def _reload(self, service: Service) -> None:
        """Take the bundles anew; what is asked for meanwhile is done once, after it."""
        self._is_asked = True
        if self._reloading is None or self._reloading.done():
            self._reloading = asyncio.get_running_loop().create_task(self._take_anew(service))

    async def _take_anew(self, service: Service) -> None:
        """Open the bundles in a thread of its own, while requests go on."""
        while self._is_asked:
            self._is_asked = False
            try:
                changed = await asyncio.to_thread(service.reload)
            except Exception as error:  # whatever it is: nobody asks what became of a task
                service.metrics.reloads.labels("failed").inc()
                fault = None if isinstance(error, EtudeError) else error
                log("reload failed", level=logging.ERROR, error=fault, reason=str(error))
                continue
            service.metrics.reloads.labels("done").inc()
            log("reloaded", changed=changed)


def _listen(config: ServeConfig) -> socket.socket:
    """Bind the address before anything else, so that a taken port is a sentence."""
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    # Named so, accepted sockets send at once (TCP_NODELAY): asyncio sets it on those alone that say that they are TCP.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((config.host, config.port))
    except OSError as error:
        listening.close()
        raise MistakeError(
            f"serve: {config.host}:{config.port} cannot be listened on ({error.strerror}). Give another --port."
        ) from error
    listening.listen(_BACKLOG)
    return listening


def _address(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class _Hangups:
    """SIGHUP while the server is not listening yet: noted, where it would end the process."""

    def __init__(self) -> None:
        self.came = False
        self._before = signal.signal(signal.SIGHUP, self._note) if _can_hear() else None

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.came = True

    def let_go(self) -> None:
        """Put back what was done on it before."""
        if self._before is not None:
            signal.signal(signal.SIGHUP, self._before)


def _can_hear() -> bool:
    """Whether there is such a signal here, and this thread may listen to it."""
    return hasattr(signal, "SIGHUP") and threading.current_thread() is threading.main_thread()


def _hold_signals(server: uvicorn.Server, *, ends_on_hangup: bool) -> dict[int, Any]:
    """Let the signals that end the server in order end nothing else: uvicorn raises them again when it is done.

    One that comes before uvicorn listens to them ends the server as soon as it has started.

    Args:
        server: what they end.
        ends_on_hangup: whether SIGHUP, which comes when a terminal is closed, is one of them; not under `nohup`.
    """
    if threading.current_thread() is not threading.main_thread():
        return {}

    def note(number: int, frame: FrameType | None) -> None:
        server.should_exit = True

    held = [signal.SIGTERM, signal.SIGINT]
    if ends_on_hangup and _can_hear() and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        held.append(signal.SIGHUP)
    return {number: signal.signal(number, note) for number in held}
