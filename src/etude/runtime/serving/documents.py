"""What the API's description adds to what FastAPI writes by itself, and the description as a page."""

from __future__ import annotations

import html
import json
from typing import Any

_BYTES = {"type": "string", "format": "binary"}
BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "image/*": {"schema": _BYTES},
            "application/octet-stream": {"schema": _BYTES},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {"pictures": {"type": "array", "items": _BYTES}},
                    "required": ["pictures"],
                }
            },
        },
    }
}
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


def _refusal(text: str, code: str) -> dict[str, Any]:
    example = {"error": {"code": code, "message": text}}
    return {"description": text, "content": {"application/json": {"example": example}}}


REFUSALS: dict[int | str, dict[str, Any]] = {
    400: _refusal("The request cannot be read.", "form"),
    401: _refusal("An API key is needed.", "key"),
    404: _refusal("There is no such model.", "model"),
    408: _refusal("The body took too long to arrive.", "slow"),
    413: _refusal("The request is too large.", "large"),
    415: _refusal("The body is of a type that holds no pictures.", "type"),
    422: _refusal("The picture cannot be read, or a parameter does not hold.", "picture"),
    429: _refusal("Too many requests; Retry-After says when to ask again.", "rate"),
    503: _refusal("The server is busy; Retry-After says when to ask again.", "busy"),
}


def docs_page(openapi: dict[str, Any]) -> str:
    """Return the description of the API as one page without scripts or outside assets."""
    parts = [
        f"<h1>{html.escape(openapi['info']['title'])}</h1>",
        f"<p>{html.escape(openapi['info']['description'])}</p>",
    ]
    for path, methods in openapi["paths"].items():
        for method, operation in methods.items():
            parts.append(_operation(path, method, operation))
    body = "\n".join(parts)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>API</title>'
        '<link rel="icon" href="data:,"><link rel="stylesheet" href="/page.css"></head>'
        f'<body><main class="docs">{body}<p><a href="/openapi.json">openapi.json</a></p></main></body></html>'
    )


def _operation(path: str, method: str, operation: dict[str, Any]) -> str:
    rows = "".join(
        f"<tr><th scope=row><code>{html.escape(entry['name'])}</code></th>"
        f"<td>{html.escape(entry.get('description', ''))}</td></tr>"
        for entry in operation.get("parameters", [])
    )
    table = f"<table><tbody>{rows}</tbody></table>" if rows else ""
    answers = "".join(
        f"<li><b>{code}</b> {html.escape(answer['description'])}</li>"
        for code, answer in operation.get("responses", {}).items()
    )
    content = operation.get("responses", {}).get("200", {}).get("content", {}).get("application/json", {})
    example = content.get("example")
    shown = f"<pre>{html.escape(json.dumps(example, indent=1))}</pre>" if example else ""
    title = f"<h2><code>{method.upper()} {html.escape(path)}</code> {html.escape(operation.get('summary', ''))}</h2>"
    return f"{title}<p>{html.escape(operation.get('description', ''))}</p>{table}<ul>{answers}</ul>{shown}"
