"""What a study file says of a model."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict

from etude.core.records import Config


class ModelSpec(Config):
    """A model as it is asked for; every other key is a parameter of its family."""

    model_config = ConfigDict(frozen=True, extra="allow", use_attribute_docstrings=True)

    name: str
    """A registered family (`etude models list`), or any name that timm knows."""
    weights: str | None = None
    """Pretrained weights: `imagenet`, or the path of a safetensors file, or of a folder that holds it under its model's
    name; none: drawn from the seed."""
    python: str | None = None
    """A network of your own, `nets.py:Net`: a file (relative to the study file) and the class or function in it."""
    checkpoint: str | None = None
    """A safetensors file with the whole state of the network, loaded once it is built."""
    new_head: bool = False
    """Leave the last layer as drawn where the checkpoint's has another number of outputs."""

    def given(self) -> dict[str, Any]:
        """Return the parameters, as given and not yet validated."""
        return dict(self.model_extra or {})
