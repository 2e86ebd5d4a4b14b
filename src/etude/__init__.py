"""Étude: a workbench for studies of image models."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from etude.runtime.generator import Generator, load_generator
    from etude.runtime.predictor import Predictor, load
    from etude.study.study import Study

# Threads that wait for one another sleep instead of spinning. Alone on a machine spinning trains some 2 % faster;
# beside other busy programs it trains up to several times slower (docs/decisions/0007). It must be said before torch
# is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__version__ = "0.1.0"
__all__ = ["Generator", "Predictor", "Study", "__version__", "load", "load_generator"]


def __getattr__(name: str) -> object:
    """Import what is asked for when it is asked for, so that `import etude` stays light."""
    if name == "Study":
        from etude.study.study import Study

        return Study
    if name in ("load", "Predictor"):
        from etude.runtime import predictor

        return getattr(predictor, name)
    if name in ("load_generator", "Generator"):
        from etude.runtime import generator

        return getattr(generator, name)
    raise AttributeError(f"module 'etude' has no attribute {name!r}")
