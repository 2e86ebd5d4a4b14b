"""`python`: a network of the user's own, from a file beside the study."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import ConfigDict

from etude.core.records import Config
from etude.models.card import Card
from etude.models.registry import MODELS, Family, Order

if TYPE_CHECKING:
    from torch import nn


class PythonParams(Config):
    """The keyword arguments of the user's constructor, whatever they are called."""

    model_config = ConfigDict(frozen=True, extra="allow", use_attribute_docstrings=True)


def _build(order: Order) -> nn.Module:
    from etude.models.networks.python import build_own

    assert order.spec.python is not None
    return build_own(order.spec.python, order.spec.given(), order.n_outputs, order.size_px)


MODELS.register("python")(
    Family(
        PythonParams,
        Card(
            name="python",
            title="A network of your own",
            sentence="A class or function in a Python file of yours that gives a torch.nn.Module: "
            "`model: {python: nets.py:Net}`.",
            licence_code="yours",
            input_px=32,
            min_px=1,
            notes=(
                "It gives logits (B, n_outputs), or for a segmentation (B, n_outputs, H, W).",
                "Its constructor is given the number of logits if it takes n_outputs, num_classes or n_classes, the "
                "pictures' (height, width) if it takes size_px, and the other keys of `model` by name.",
                "The file is run: use only files that you trust. Its source, and that of the files of its folder that "
                "it imports, is part of the identity of a run.",
            ),
        ),
        _build,
        sources=("python.py",),
        tasks=("classification", "segmentation"),
    )
)
