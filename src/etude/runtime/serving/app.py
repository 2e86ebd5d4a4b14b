"""The application: routes behind the guard, with the pool that answers."""

from __future__ import annotations

import contextlib
import importlib.metadata
from collections.abc import AsyncIterator
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import Route
from starlette.types import ASGIApp

from etude.runtime.serving.answering import Answering
from etude.runtime.serving.config import ServeConfig
from etude.runtime.serving.documents import with_keys
from etude.runtime.serving.guard import OPEN_PATHS, Guard, RefusedError, error_form
from etude.runtime.serving.keys import Keys
from etude.runtime.serving.metrics import Metrics
from etude.runtime.serving.pool import Pool
from etude.runtime.serving.routes import make_routes
from etude.runtime.serving.shelf import Shelf

_ABOUT = (
    "Answers about pictures. Send `Authorization: Bearer KEY` where the server asks for keys. Every error is "
    '{"error": {"code", "message"}}, with `cause` and `facts` where more is known; 429 and 503 carry Retry-After.'
)


class Service:
    """What a server is made of; `app` is what uvicorn runs.

    Args:
        shelf: the models.
        config: limits and keys.
    """

    def __init__(self, shelf: Shelf, config: ServeConfig) -> None:
        config.check()
        self.shelf, self.config, self.metrics = shelf, config, Metrics()
        self.pool = Pool(config.n_threads, config.queue, config.max_batch, self.metrics.batches.observe)
        self.metrics.waiting.set_function(lambda: float(len(self.pool)))
        self.api = self._make_api()
        keys = Keys.read(config.keys) if config.keys is not None else None
        self.guard = Guard(self.api, config, keys, self.metrics, self._route_of)
        self.app: ASGIApp = self.guard
        if config.origins:  # outermost: a browser asks without a key whether it may ask with one
            self.app = CORSMiddleware(
                self.guard, allow_origins=config.origins, allow_methods=["GET", "POST"],
                allow_headers=["authorization", "x-api-key", "content-type"], expose_headers=["retry-after"],
            )  # fmt: skip

    def reload(self) -> list[str]:
        """Take keys and bundles anew; return the names of the models that changed.

        Keys come first and by themselves: one that was taken back is refused even where a bundle cannot be used.

        Raises:
            EtudeError: if the keys or a bundle cannot be used; these stay as they were.
        """
        if self.config.keys is not None:
            self.guard.keys = Keys.read(self.config.keys, may_be_empty=True)
        return self.shelf.reload()

    def _make_api(self) -> FastAPI:
        @contextlib.asynccontextmanager
        async def life(api: FastAPI) -> AsyncIterator[None]:
            yield
            self.pool.close()

        api = _Api(
            title="Étude", version=_version(), description=_ABOUT, docs_url=None, redoc_url=None,
            lifespan=life, generate_unique_id_function=lambda route: route.name,
        )  # fmt: skip
        api.needs_keys = self.config.keys is not None
        answering = Answering(self.pool, self.config, self.metrics)
        routes = make_routes(self.shelf, answering, self.config, self.metrics)
        self.paths = frozenset({route.path for route in routes.routes if isinstance(route, Route)} | {"/openapi.json"})
        api.include_router(routes)
        api.add_exception_handler(RefusedError, self._refuse)
        api.add_exception_handler(RequestValidationError, _invalid)
        api.add_exception_handler(HTTPException, _refused)
        api.add_exception_handler(Exception, _failed)
        return api

    async def _refuse(self, request: Request, error: Exception) -> JSONResponse:
        """Answer a refusal of a route's."""
        assert isinstance(error, RefusedError)
        self.metrics.refused.labels(error.code).inc()
        headers = {} if error.retry_s is None else {"retry-after": str(error.retry_s)}
        return JSONResponse(error_form(error), error.status, headers=headers)

    def _route_of(self, path: str) -> str:
        """Return the route of a path, of a bounded number of names: no route has a part that varies."""
        return path if path in self.paths else "other"


class _Api(FastAPI):
    """FastAPI, whose description says where keys are needed."""

    needs_keys = False

    def openapi(self) -> dict[str, Any]:
        """Return the description of the routes."""
        if self.openapi_schema is None and self.needs_keys:
            self.openapi_schema = with_keys(super().openapi(), OPEN_PATHS)
        return super().openapi()


def invalid(error: RequestValidationError) -> RefusedError:
    """Return the refusal that tells which parameter does not hold, without its value."""
    told = "; ".join(f"{fault['loc'][-1]}: {fault['msg']}" for fault in error.errors())
    return RefusedError(422, "parameter", told)


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    """Tell which parameter does not hold, without its value."""
    assert isinstance(error, RequestValidationError)
    return JSONResponse(error_form(invalid(error)), 422)


async def _failed(request: Request, error: Exception) -> JSONResponse:
    """Say no more than that it failed; the guard logs why."""
    told = "A fault of the server's own; its log says more."
    return JSONResponse(error_form(RefusedError(500, "fault", told)), 500)


async def _refused(request: Request, error: Exception) -> JSONResponse:
    """Tell of a route or a method that is not there."""
    assert isinstance(error, HTTPException)
    body = error_form(RefusedError(error.status_code, "route", str(error.detail)))
    return JSONResponse(body, error.status_code, headers=error.headers)


def _version() -> str:
    """Return the version of Étude; empty where it is not installed."""
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        return importlib.metadata.version("etude")
    return ""
