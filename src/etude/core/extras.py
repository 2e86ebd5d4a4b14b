"""Parts that an extra of the installation brings: whether they are there is asked before any work is done."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec

from etude.core.errors import MissingPartError


def require(owner: str, extra: str, modules: Iterable[str]) -> None:
    """Check that modules are installed, without importing them.

    Args:
        owner: what needs them, for the sentence.
        extra: the extra of Étude that brings them.
        modules: their names.

    Raises:
        MissingPartError: naming those that are not, and how to install them.

    >>> require("this", "train", ["json"])
    """
    missing = [name for name in modules if find_spec(name) is None]
    if missing:
        are = "is" if len(missing) == 1 else "are"
        raise MissingPartError(f"{owner}: needs {', '.join(missing)}, which {are} not installed. {install(extra)}")


def install(extra: str) -> str:
    """Say how an extra of Étude is installed."""
    return (
        f"Install the extra: `pip install '.[{extra}]'` or `uv sync --all-extras` in a clone of Étude, or "
        f"`pip install 'etude[{extra}]'` from an index that has it."
    )
