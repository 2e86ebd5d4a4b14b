"""`etude serve`: bundles as an API and a page."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from etude.core.errors import MistakeError, sentence

if TYPE_CHECKING:
    from etude.runtime.serving.config import ServeConfig


_OPTIONS = {
    "host": "--host", "port": "--port", "threads": "--threads", "queue": "--queue", "max_bytes": "--max-mb",
    "max_pixels": "--max-megapixels", "connections": "--connections", "rate": "--rate", "burst": "--burst",
    "timeout_s": "--timeout", "body_timeout_s": "--body-timeout",
}  # fmt: skip
"""The option that each field comes from."""


def make_config(*, max_mb: float, max_megapixels: float, **fields: Any) -> ServeConfig:  # noqa: ANN401 - the options
    """Return what the options ask for.

    Raises:
        MistakeError: naming the first option that does not hold, and what it must be.
    """
    from pydantic import ValidationError

    from etude.runtime.serving.config import ServeConfig

    for name, value in (("--max-mb", max_mb), ("--max-megapixels", max_megapixels)):
        if not math.isfinite(value):
            raise MistakeError(sentence("serve", name, "a number", value))
    sizes = {"max_bytes": round(max_mb * 1e6), "max_pixels": round(max_megapixels * 1e6)}
    given = {"max_bytes": max_mb, "max_pixels": max_megapixels, **fields}
    try:
        return ServeConfig(**sizes, **fields)
    except ValidationError as error:
        fault = error.errors()[0]
        field = str(fault["loc"][0])
        unit = {"max_bytes": " bytes", "max_pixels": " pixels"}.get(field, "")
        rule = fault["msg"].removeprefix("Input should be ") + unit
        raise MistakeError(sentence("serve", _OPTIONS.get(field, field), rule, given.get(field))) from error


def serve_bundles(bundles: list[Path], config: ServeConfig, quiet: bool) -> None:
    """Serve until stopped."""
    from etude.runtime.serving.server import serve

    def ready(address: str) -> None:
        if not quiet:
            sys.stderr.write(f"Listening on {address} (Ctrl-C stops, SIGHUP takes the bundles anew)\n")

    serve(bundles, config, ready)


def make_key(name: str, keys: Path | None) -> None:
    """Make an API key and print it, this once."""
    from etude.runtime.serving.keys import add_key

    if keys is None:
        raise MistakeError(sentence("serve", "--keys", "the file that the key's hash goes to", None))
    key = add_key(keys, name)
    sys.stdout.write(f"{key}\n")
    sys.stderr.write(f"This key of {name} is shown this once; {keys} holds its hash.\n")
