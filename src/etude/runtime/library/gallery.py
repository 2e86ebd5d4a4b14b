"""The gallery: a page on this machine on which the volunteer looks through a library and corrects it.

It listens on a loopback address only. Pictures are named by their number in the library, never by a path.
"""

from __future__ import annotations

import contextlib
import io
import json
from importlib import resources
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from PIL import Image
from starlette.exceptions import HTTPException

from etude.core.errors import DataError, EtudeError, MistakeError
from etude.pictures.prepare import Preparation, prepare_picture
from etude.pictures.reading import read_file
from etude.runtime.heic import decode_heic, is_heic
from etude.runtime.library.database import Library
from etude.runtime.library.rows import Found, Key
from etude.runtime.serving.app import invalid
from etude.runtime.serving.config import ServeConfig
from etude.runtime.serving.guard import Guard, RefusedError, error_form
from etude.runtime.serving.metrics import Metrics
from etude.runtime.serving.shell import add_shell

_THUMB_PX = 192
_PAGE = 60


class Gallery:
    """The application over one library; `app` is what uvicorn runs."""

    def __init__(self, library: Library, config: ServeConfig) -> None:
        if not config.is_loopback:
            raise MistakeError("gallery: the address must be this machine's own: the gallery shows private pictures.")
        self.library = library
        api = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
        api.include_router(self._routes())
        for kind in (RefusedError, EtudeError, RequestValidationError, HTTPException):
            api.add_exception_handler(kind, _refused)
        self.app = Guard(api, config, None, Metrics(), lambda path: "gallery")

    def _routes(self) -> APIRouter:
        routes, library = APIRouter(), self.library

        @routes.get("/api/classes")
        def classes() -> dict[str, Any]:
            counts = [{"label": label, "pictures": n, "unsure": doubt} for label, n, doubt in library.counts()]
            causes = library.causes()
            broken = [{"path": path, "reason": reason, **causes.get(path, {})} for path, reason in library.broken()]
            return {
                "classes": library.classes(), "called": library.called(), "counts": counts,
                "none": library.count_none(), "broken": broken, "page": _PAGE, "read_only": library.read_only,
            }  # fmt: skip

        @routes.get("/api/pictures")
        def pictures(
            label: str | None = None, unsure: bool | None = None, unfamiliar: bool | None = None,
            corrected: bool | None = None, none: bool | None = None,
            after: Annotated[str | None, Query(max_length=100_000)] = None,
        ) -> list[dict[str, Any]]:  # fmt: skip
            found = library.search(
                label=label, unsure=unsure, unfamiliar=unfamiliar, corrected=corrected, none=none, limit=_PAGE,
                after=None if after is None else _key(after),
            )  # fmt: skip
            return [_row(entry) for entry in found]

        @routes.get("/api/thumbs/{number}")
        def thumb(number: Annotated[int, Path(ge=0, lt=2**63)]) -> Response:
            found = library.picture(number)
            if found is None:
                raise RefusedError(404, "missing", "There is no such picture.")
            with contextlib.suppress(DataError):
                return Response(make_thumb(found, library.max_pixels), media_type="image/jpeg")
            raise RefusedError(404, "missing", "The picture cannot be read any more.")

        @routes.post("/api/corrections")
        async def correct(request: Request) -> list[dict[str, Any]]:
            # A page elsewhere can send a form here without asking; it cannot send JSON.
            if request.headers.get("content-type", "").partition(";")[0] != "application/json":
                raise RefusedError(415, "type", "A correction is sent as application/json.")
            try:
                given = json.loads(await request.body())
                sha256 = _text(given["sha256"])
                is_none = "none" in given
                if is_none and ("label" in given or given["none"] is not True):
                    raise ValueError("none")
                label = None if is_none or given["label"] is None else _text(given["label"])
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                raise RefusedError(422, "form", "A correction is {sha256, label}, or {sha256, none: true}.") from error
            if is_none:
                library.set_none(sha256)
            elif label is None:
                library.take_back(sha256)
            else:
                library.correct(sha256, label)
            return [_row(entry) for entry in library.of_content(sha256)]

        add_shell(routes, resources.files("etude.runtime.library") / "page", "gallery")
        return routes


def make_thumb(picture: Found, max_pixels: int) -> bytes:
    """Return a small JPEG file of a picture, whole and upright.

    Args:
        picture: the picture.
        max_pixels: refuse it if it has more pixels than this.

    Raises:
        DataError: if it cannot be read.
    """
    content = read_file(picture.file, picture.path)
    raw = decode_heic(content, picture.path, max_pixels) if is_heic(content) else content
    rule = Preparation(size_px=_THUMB_PX, fit="letterbox")
    pixels = prepare_picture(raw, rule, name=picture.path, max_pixels=max_pixels)
    packed = io.BytesIO()
    Image.fromarray(pixels).save(packed, "JPEG", quality=80)
    return packed.getvalue()


def _key(text: str) -> Key:
    """Read the place of a picture, as its row has it."""
    try:
        corrected, share, path = json.loads(text)
        return bool(corrected), float(share), _text(path)
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise RefusedError(422, "parameter", "after: the key of a picture.") from error


def _text(given: object) -> str:
    """Return a text that a database can hold: half of a pair of JSON escapes is none.

    Raises:
        ValueError: if it is no such text.
    """
    text = str(given)
    text.encode()
    return text


def _row(found: Found) -> dict[str, Any]:
    return {
        "id": found.id, "path": found.path, "sha256": found.sha256, "label": found.label, "answered": found.answered,
        "probability": found.probability, "unsure": found.unsure, "unfamiliar": found.unfamiliar,
        "corrected": found.corrected, "none": found.none, "duplicate_of": found.duplicate_of, "key": found.key,
    }  # fmt: skip


async def _refused(request: Request, error: Exception) -> JSONResponse:
    if isinstance(error, RequestValidationError):
        error = invalid(error)
    elif isinstance(error, HTTPException):
        error = RefusedError(error.status_code, "route", str(error.detail))
    elif not isinstance(error, RefusedError):  # of a library that another program holds, say
        error = RefusedError(422, "mistake", str(error))
    return JSONResponse(error_form(error), error.status)
