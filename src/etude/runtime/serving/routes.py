"""The routes of the API and of the page."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from importlib import resources
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse

from etude.core.errors import DataError, MistakeError
from etude.pictures.reading import Pixels
from etude.runtime.answers import Answer, MaskAnswer
from etude.runtime.bundled import CARD_FILE, Bundled
from etude.runtime.drawing import grey_png, mask_png, rgb_png
from etude.runtime.generator import Generator
from etude.runtime.latents import MOST_SEED
from etude.runtime.opening import Model
from etude.runtime.serving.answering import Answering
from etude.runtime.serving.bodies import read_pictures
from etude.runtime.serving.config import ServeConfig
from etude.runtime.serving.documents import (
    OPEN,
    PREDICT_EXAMPLE,
    SEGMENT_EXAMPLE,
    docs_page,
    refusals,
    request_body,
)
from etude.runtime.serving.guard import RefusedError, unread
from etude.runtime.serving.metrics import Metrics
from etude.runtime.serving.schemas import Alive, ModelsTold, ModelTold, Predicted, Ready, Segmented
from etude.runtime.serving.shelf import Shelf
from etude.runtime.serving.shell import add_shell

ModelName = Annotated[
    str | None, Query(alias="model", max_length=200, description="Name of the model; by default the first that fits.")
]
Top = Annotated[int, Query(ge=1, le=100, description="Classes to tell of each picture.")]
Form = Annotated[
    Literal["ids", "grey", "color", "overlay", "json"],
    Query(
        alias="as",
        description="ids: PNG of class ids, with their colours as its palette; grey: PNG of ids as grey levels; "
        "color: PNG of colours; overlay: PNG of colours laid over the picture; json: share of each class.",
    ),
]
Seed = Annotated[int, Query(ge=0, le=MOST_SEED, description="The same seed gives the same pictures.")]
Count = Annotated[int, Query(ge=1, le=1000, description="Pictures: one as it is, or several as a grid.")]
First = Annotated[int, Query(ge=0, le=2**31, description="Number of the first picture; each depends on its own alone.")]
Label = Annotated[
    str | None,
    Query(alias="class", max_length=200, description="Class, of a generator that can be asked for one; else in turn."),
]
Opacity = Annotated[float, Query(ge=0, le=1, description="How much of the colour an overlay shows.")]


def make_routes(shelf: Shelf, answering: Answering, config: ServeConfig, metrics: Metrics) -> APIRouter:
    """Return all routes."""
    routes = APIRouter()
    body, refused = request_body(config.max_pictures), refusals(400, 404, 408, 413, 415, 422, 503)

    def find(name: str | None, task: str) -> Model:
        try:
            return shelf.find(name, task)
        except MistakeError as error:
            raise RefusedError(404, "model", str(error)) from error

    @routes.post(
        "/v1/predict",
        summary="Name the class of one or more pictures",
        responses={
            200: {"model": Predicted, "content": {"application/json": {"example": PREDICT_EXAMPLE}}},
            **refused,
        },
        openapi_extra=body,
        tags=["answers"],
    )
    async def predict(request: Request, model: ModelName = None, top: Top = 5) -> JSONResponse:
        """Send a picture as the body, or several as files of a form; JPEG, PNG, WebP, GIF, BMP and TIFF are read."""
        chosen = find(model, "classification")
        finish = partial(_told, top=top)
        pictures, is_form = await read_pictures(request, config.max_pictures, config.max_bytes)
        found = await answering.answer(chosen, [content for _, content in pictures], finish)
        return _json(chosen, pictures, found, is_form)

    @routes.post(
        "/v1/segment",
        summary="Give every pixel of a picture its class",
        responses={
            200: {
                "model": Segmented,
                "content": {
                    "image/png": {"schema": {"type": "string", "format": "binary"}},
                    "application/json": {"example": SEGMENT_EXAMPLE},
                },
            },
            **refused,
        },
        response_class=Response,
        openapi_extra=body,
        tags=["answers"],
    )
    async def segment(
        request: Request, model: ModelName = None, form: Form = "ids", opacity: Opacity = 0.5
    ) -> Response:
        """The mask has the picture's own size. PNG answers take one picture, `as=json` several."""
        chosen = find(model, "segmentation")
        pictures, is_form = await read_pictures(request, config.max_pictures, config.max_bytes)
        if form != "json" and len(pictures) != 1:
            told = "A PNG answer takes one picture. Use as=json for several."
            raise RefusedError(422, "several", told, facts={"most": 1})
        finish: Callable[[Answer], Any] = (
            partial(_told, top=0) if form == "json" else partial(_drawn, form=form, opacity=opacity)
        )
        found = await answering.answer(chosen, [content for _, content in pictures], finish)
        if form == "json":
            return _json(chosen, pictures, found, is_form)
        if isinstance(found[0], DataError):
            raise unread(found[0])
        return Response(found[0], media_type="image/png")

    @routes.post(
        "/v1/generate",
        summary="Make new pictures from a seed",
        responses={
            200: {"content": {"image/png": {"schema": {"type": "string", "format": "binary"}}}},
            **refusals(400, 404, 408, 413, 422, 503),
        },
        response_class=Response,
        tags=["answers"],
    )
    async def generate(
        model: ModelName = None, seed: Seed = 0, count: Count = 1, first: First = 0, label: Label = None
    ) -> Response:
        """The PNG file says that it is generated, by which bundle and from which seed. No body is needed."""
        chosen = find(model, "generation")
        assert isinstance(chosen, Generator)
        if count > config.max_pictures:
            told = f"A request may ask for at most {config.max_pictures} pictures."
            raise RefusedError(422, "several", told, facts={"most": config.max_pictures})
        try:
            wishes = chosen.wishes(count, seed=seed, label=label, first=first)
        except MistakeError as error:
            raise RefusedError(422, "parameter", str(error)) from error
        made = await answering.answer(chosen, wishes, lambda picture: picture)
        pictures: list[Pixels] = []
        for picture in made:
            if isinstance(picture, DataError):  # the file names every picture that was asked for
                raise unread(picture)
            pictures.append(picture)
        content = await asyncio.to_thread(chosen.png, pictures, wishes)
        return Response(content, media_type="image/png")

    @routes.get(
        "/v1/model",
        summary="What a model is and can do",
        responses={200: {"model": ModelsTold | ModelTold}, **refusals(404, 422)},
        name="model",
        tags=["models"],
    )
    async def model_(model: ModelName = None) -> JSONResponse:
        """Without a name, all models in a list."""
        if model is None:
            return JSONResponse({"models": [describe(entry) for entry in shelf.all()]})
        try:
            return JSONResponse(describe(shelf.find(model)))
        except MistakeError as error:
            raise RefusedError(404, "model", str(error)) from error

    @routes.get(
        "/metrics",
        summary="Counts for Prometheus",
        response_class=PlainTextResponse,
        responses=refusals(),
        name="metrics",
        tags=["service"],
    )
    async def metrics_() -> Response:
        return Response(metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @routes.get("/healthz", summary="Whether the server lives", responses=OPEN, tags=["service"])
    async def healthz() -> Alive:
        return Alive()

    @routes.get("/readyz", summary="Whether every model has passed its own test", responses=OPEN, tags=["service"])
    async def readyz() -> Ready:
        # The server starts, and takes bundles anew, only after each has passed its self-test.
        return Ready(models=len(shelf.all()))

    for path, route in (("/healthz", healthz), ("/readyz", readyz)):  # some supervisors ask for the head alone
        routes.add_api_route(path, route, methods=["HEAD"], include_in_schema=False, name=f"head{path}")

    @routes.get("/docs", summary="This API as a page", response_class=HTMLResponse, include_in_schema=False)
    async def docs(request: Request) -> HTMLResponse:
        return HTMLResponse(docs_page(request.app.openapi()))

    add_shell(routes, resources.files("etude.runtime.serving") / "page", "page")
    return routes


def describe(model: Bundled) -> dict[str, Any]:
    """Return what the public may know of a model."""
    record = model.record
    told: dict[str, Any] = {
        "name": record.name,
        "task": record.task,
        "classes": list(record.classes),
        "called": record.called,
        "conditional": record.conditional,
        "palette": [list(colour) for colour in record.palette],
        "size_px": [model.prepare.height_px, model.prepare.width_px],
        "kind": record.kind,
        "threshold": record.threshold,
        "unsure_below": record.certainty.unsure_below if record.certainty else None,
        "unfamiliar_below": record.familiarity.unfamiliar_below if record.familiarity else None,
        "scores": [score.plain() for score in record.scores],
        "licence_weights": record.origin.licence_weights,
        "version": model.fingerprint[:16],
        "card": model.document(CARD_FILE),
    }
    return told


def _told(answer: Answer, top: int) -> dict[str, Any]:
    return answer.as_json(top)


def _drawn(answer: Answer, form: str, opacity: float) -> bytes:
    assert isinstance(answer, MaskAnswer)
    if form in ("ids", "grey"):
        return mask_png(answer) if form == "ids" else grey_png(answer)
    return rgb_png(answer.colored if form == "color" else answer.overlay(opacity=opacity))


def _untold(error: DataError) -> dict[str, Any]:
    """Return what is told of a picture that could not be read, in place of its answer."""
    told: dict[str, Any] = {"error": str(error)}
    return told | ({"cause": error.cause} if error.cause else {}) | ({"facts": error.facts} if error.facts else {})


def _json(
    model: Bundled, pictures: Sequence[tuple[str, bytes]], found: Sequence[Any], is_form: bool
) -> JSONResponse:  # fmt: skip
    """Return the answers; a picture that cannot be read is an error of its own among several."""
    if not is_form and isinstance(found[0], DataError):
        raise unread(found[0])
    rows = [
        {"name": name, **(_untold(entry) if isinstance(entry, DataError) else entry)}
        for (name, _), entry in zip(pictures, found, strict=True)
    ]
    return JSONResponse({"model": model.name, "version": model.fingerprint[:16], "predictions": rows})
