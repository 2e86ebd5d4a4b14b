"""Floor 2: one file per family of networks, with its card.

`families/` holds what a study file needs to know of a family (parameters, card) and loads no torch; `networks/`
holds the modules and is imported only when one is built or counted.
"""

from etude.models import families as families  # registers every family
from etude.models.building import build_model, is_trainable
from etude.models.card import Card
from etude.models.counting import count_macs, count_parameters
from etude.models.model_spec import ModelSpec
from etude.models.registry import MODELS, Family
from etude.models.spec import ResolvedModel, card_of, resolve_spec

__all__ = [
    "MODELS",
    "Card",
    "Family",
    "ModelSpec",
    "ResolvedModel",
    "build_model",
    "card_of",
    "count_macs",
    "count_parameters",
    "is_trainable",
    "resolve_spec",
]
