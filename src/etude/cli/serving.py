"""`etude serve`: bundles as an API and a page."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from etude.core.errors import MistakeError, sentence

if TYPE_CHECKING:
    from etude.runtime.serving.config import ServeConfig


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
