"""Floor 2: what is deployed, without PyTorch: bundle, predictor, photo indexer, server, page."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from etude.runtime.predictor import Predictor, load

__all__ = ["Predictor", "load"]


def __getattr__(name: str) -> object:
    """Import the predictor when it is asked for: the server's and the library's other parts do not wait for it."""
    if name in __all__:
        from etude.runtime import predictor

        return getattr(predictor, name)
    raise AttributeError(f"module 'etude.runtime' has no attribute {name!r}")
