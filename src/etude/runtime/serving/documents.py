"""What the API's description adds to what FastAPI writes by itself, and the description as a page."""

from __future__ import annotations

import html
import json
import re
from typing import Any

from etude.runtime.serving.schemas import Refused
from etude.runtime.serving.shell import page

_BYTES = {"type": "string", "format": "binary"}
_KINDS = ("image/jpeg", "image/png", "image/webp", "image/gif", "image/bmp", "image/tiff", "application/octet-stream")
PREDICT_EXAMPLE: dict[str, Any] = {
    "model": "breeds",
    "version": "0123456789abcdef",
    "predictions": [
        {
            "name": "rex.jpg",
            "label": "husky",
            "probability": 0.93,
            "unsure": False,
            "top": [{"label": "husky", "probability": 0.93}, {"label": "malamute", "probability": 0.05}],
        }
    ],
}
SEGMENT_EXAMPLE: dict[str, Any] = {
    "model": "streets",
    "version": "0123456789abcdef",
    "predictions": [{"name": "", "height": 360, "width": 480, "areas": {"road": 0.41, "car": 0.12}}],
}


def request_body(max_pictures: int) -> dict[str, Any]:
    """Return what the description says of a request's body: one picture, or several as a form."""
    pictures = {"type": "array", "items": _BYTES, "minItems": 1, "maxItems": max_pictures}
    form = {
        "type": "object",
        "properties": {"pictures": pictures},
        "required": ["pictures"],
        "additionalProperties": False,
    }
    content = {kind: {"schema": _BYTES} for kind in _KINDS} | {"multipart/form-data": {"schema": form}}
    return {"requestBody": {"required": True, "content": content}}


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return what the description says of these refusals, and of those that every guarded route may give."""
    return {status: _REFUSALS[status] for status in sorted({401, 421, 429, *statuses})}


def _refusal(text: str, code: str, **headers: dict[str, Any]) -> dict[str, Any]:
    example = {"error": {"code": code, "message": text}}
    told = {"description": text, "model": Refused, "content": {"application/json": {"example": example}}}
    return told | ({"headers": headers} if headers else {})


_RETRY = {"retry-after": {"description": "Seconds after which to ask again.", "schema": {"type": "integer"}}}
_REFUSALS: dict[int, dict[str, Any]] = {
    400: _refusal("The request cannot be read.", "form"),
    401: _refusal("An API key is needed.", "key", **{"www-authenticate": {"schema": {"const": "Bearer"}}}),
    404: _refusal("There is no such model.", "model"),
    408: _refusal("The body took too long to arrive.", "slow"),
    413: _refusal("The request is too large.", "large"),
    415: _refusal("The body is of a type that holds no pictures.", "type"),
    421: _refusal("Without keys the server answers to localhost only.", "host"),
    422: _refusal("The picture cannot be read, or a parameter does not hold.", "picture"),
    429: _refusal("Too many requests; Retry-After says when to ask again.", "rate", **_RETRY),
    503: _refusal("The server is busy; Retry-After says when to ask again.", "busy", **_RETRY),
}
OPEN: dict[int | str, dict[str, Any]] = {421: _REFUSALS[421]}
"""The refusals of a route that needs no key."""


def with_keys(document: dict[str, Any], open_paths: frozenset[str]) -> dict[str, Any]:
    """Say in the description that keys are needed, everywhere but on the open paths."""
    document.setdefault("components", {})["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer"},
        "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    }
    for path, methods in document["paths"].items():
        for operation in methods.values():
            operation["security"] = [] if path in open_paths else [{"bearer": []}, {"key": []}]
    return document


def docs_page(openapi: dict[str, Any]) -> str:
    """Return the description of the API as one page without scripts or outside assets."""
    parts = [
        f"<h1>{html.escape(openapi['info']['title'])}</h1>",
        f"<p>{_prose(openapi['info']['description'])}</p>",
    ]
    for path, methods in openapi["paths"].items():
        for method, operation in methods.items():
            parts.append(_operation(path, method, operation))
    body = "\n".join(parts)
    inside = f'<main class="docs">{body}<p><a href="/openapi.json">openapi.json</a></p></main>\n'
    return page(inside, name="page", title="API")


def _operation(path: str, method: str, operation: dict[str, Any]) -> str:
    rows = "".join(
        f"<tr><th scope=row><code>{html.escape(entry['name'])}</code></th>"
        f"<td>{_prose(entry.get('description', ''))}</td></tr>"
        for entry in operation.get("parameters", [])
    )
    table = f"<table><tbody>{rows}</tbody></table>" if rows else ""
    answers = "".join(
        f"<li><b>{code}</b> {_prose(answer['description'])}</li>"
        for code, answer in operation.get("responses", {}).items()
    )
    content = operation.get("responses", {}).get("200", {}).get("content", {}).get("application/json", {})
    example = content.get("example")
    shown = f"<pre>{html.escape(json.dumps(example, indent=1))}</pre>" if example else ""
    title = f"<h2><code>{method.upper()} {html.escape(path)}</code> {html.escape(operation.get('summary', ''))}</h2>"
    told = f"<p>{_prose(operation['description'])}</p>" if operation.get("description") else ""
    return f"{title}{told}{table}<ul>{answers}</ul>{shown}"


def _prose(markdown: str) -> str:
    """Return a description as HTML: of Markdown, which a description is written in, it knows what stands in backticks.

    >>> _prose("Use `as=json` for <several>.")
    'Use <code>as=json</code> for &lt;several&gt;.'
    """
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(markdown))
