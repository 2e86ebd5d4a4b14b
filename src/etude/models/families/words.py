"""Words that several families share."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

Activation = Literal["relu", "leaky_relu", "elu", "gelu", "silu"]
"""The activations that a family may be given."""
Width = Annotated[int, Field(ge=1, le=8192)]
"""A number of channels or units."""
Rate = Annotated[float, Field(ge=0, lt=1)]
"""A share that is dropped: 0 drops nothing."""
