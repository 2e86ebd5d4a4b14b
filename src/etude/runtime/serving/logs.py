"""Structured logs: one JSON object a line, with what happened and how long it took; never what a picture shows."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

LOGGER = logging.getLogger("etude.serve")


class JsonLines(logging.Formatter):
    """Writes a record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        told: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **getattr(record, "told", {}),
        }
        if record.exc_info:
            told["traceback"] = self.formatException(record.exc_info)
        return json.dumps(told, ensure_ascii=True, default=str)


def start_logging(level: int = logging.INFO) -> None:
    """Send the server's log to standard error, and uvicorn's own warnings with it."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    for name in ("etude.serve", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers[:] = [handler]
        logger.propagate = False
        logger.setLevel(level if name == "etude.serve" else logging.WARNING)


def log(event: str, *, level: int = logging.INFO, error: BaseException | None = None, **told: object) -> None:
    """Log an event with its fields."""
    LOGGER.log(level, event, extra={"told": told}, exc_info=error)
