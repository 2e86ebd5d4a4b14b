"""The static shell of a page: one frame for all of them, each with what is its own; read once, before any request."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import resources
from importlib.resources.abc import Traversable
from string import Template
from typing import Any

from fastapi import APIRouter, Response

_FRAME = resources.files("etude.runtime.serving") / "page"


def add_shell(routes: APIRouter, folder: Traversable, name: str) -> None:
    """Add the files of a page: no path of a request ever names a file.

    Args:
        routes: where to; the page is at `/`, its script and its style at `/NAME.js` and `/NAME.css`.
        folder: holds what is the page's own: `NAME.html`, `NAME.js`, `NAME.css` and `words.json`. The words of errors
            are the same on all pages.
        name: of the page.
    """
    inside = _read(_FRAME, "header.html") + _read(folder, f"{name}.html") + f'<script src="/{name}.js"></script>\n'
    errors, own = (json.loads(_read(where, name)) for where, name in ((_FRAME, "errors.json"), (folder, "words.json")))
    words = json.dumps({language: errors[language] | own[language] for language in own}, ensure_ascii=False)
    shell = {
        "/": (page(inside, name=name), "text/html; charset=utf-8"),
        f"/{name}.js": (_read(_FRAME, "shell.js") + _read(folder, f"{name}.js"), "text/javascript; charset=utf-8"),
        f"/{name}.css": (_read(_FRAME, "shell.css") + _read(folder, f"{name}.css"), "text/css; charset=utf-8"),
        "/words.json": (words, "application/json"),
    }
    for path, (content, kind) in shell.items():
        routes.add_api_route(path, _giver(content.encode(), kind), include_in_schema=False, name=path)


def page(inside: str, *, name: str, title: str = "Étude") -> str:
    """Return a page around what is inside it, with the style of a name."""
    return Template(_read(_FRAME, "shell.html")).substitute(title=title, name=name, inside=inside)


def _read(folder: Traversable, name: str) -> str:
    return (folder / name).read_text(encoding="utf-8")


def _giver(content: bytes, kind: str) -> Callable[[], Any]:
    async def give() -> Response:
        return Response(content, media_type=kind)

    return give
