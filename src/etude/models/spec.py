"""From what a study file says of a model to a validated specification and its identity."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from etude.core.errors import ModelError, sentence
from etude.core.records import Config
from etude.core.registry import nearest, unknown
from etude.models import own
from etude.models.card import Card
from etude.models.model_spec import ModelSpec
from etude.models.registry import MODELS, Family
from etude.models.weights import file_sha256, locate_file, locate_imagenet, locate_weights


class ResolvedModel(NamedTuple):
    """A model that has been looked up and whose parameters hold."""

    spec: ModelSpec
    """The specification, its paths absolute."""
    params: Config
    """The parameters, an instance of the family's record."""
    full: dict[str, Any]
    """JSON: the whole specification, defaults included; `build_model` takes it."""
    identity: dict[str, Any]
    """JSON: defaults omitted, files by their content: what enters the identity of a run."""


def resolve_spec(value: str | Mapping[str, Any] | ModelSpec, base: Path | None = None) -> ResolvedModel:
    """Look a model up and validate its parameters, all mistakes together.

    Args:
        value: a name, `nets.py:Net`, or a mapping with `name` or `python` and the parameters.
        base: folder that paths are relative to: the study file's; the working folder by default.

    Raises:
        ModelError: if the model is unknown, parameters do not hold, or a file does not fit.
        MissingPartError: if pretrained weights are asked for and cannot be had.
    """
    spec = _with_absolute_paths(_as_spec(value), base or Path.cwd())
    family = family_of(spec)
    params = _validated(spec, family)
    spec = _with_weights(spec, params, family, base or Path.cwd())
    full = spec.model_dump(mode="json", include=set(ModelSpec.model_fields)) | params.model_dump(mode="json")
    return ResolvedModel(spec, params, full, _identity(spec, params, family))


def check_task(spec: ModelSpec, task: str) -> None:
    """Refuse a model that cannot give what a task asks for.

    Raises:
        ModelError: naming the models that can.
    """
    if task in family_of(spec).tasks:
        return
    able = ", ".join(name for name in MODELS if task in MODELS[name].tasks and name != "python")
    remedy = f"Models of a {task}: {able}."
    if task == "segmentation" and MODELS["timm"] is family_of(spec):
        remedy += f" A network of timm serves as the encoder of one: {{name: smp-unet, encoder: {spec.name}}}."
    raise ModelError(sentence("model", "name", f"a model of a {task}", spec.name, remedy))


def family_of(spec: ModelSpec) -> Family:
    """Return the family that builds a specification; a name that no family has is looked up in timm.

    Raises:
        ModelError: if neither knows the name; the text names the nearest.
    """
    if spec.python is not None:
        return MODELS["python"]
    if spec.name in MODELS and spec.name not in ("timm", "python"):
        return MODELS[spec.name]
    from etude.models.networks.timm import timm_names

    known = timm_names()
    if spec.name not in known:
        raise ModelError(unknown("model", spec.name, _likely_names(spec.name, known)))
    return MODELS["timm"]


def card_of(value: str | Mapping[str, Any] | ModelSpec) -> Card:
    """Return the card of a model by its name or specification; for a timm name it is made from timm's own.

    Raises:
        ModelError: if the name is unknown.
    """
    if isinstance(value, str) and value in MODELS:
        return MODELS[value].card
    spec = _as_spec(value)
    family = family_of(spec)
    if family is not MODELS["timm"]:
        return family.card
    from etude.models.networks.timm import timm_card

    return timm_card(spec.name)


def _likely_names(name: str, timm_known: frozenset[str]) -> list[str]:
    """Return what to suggest for an unknown name: all that look like it, else our own families."""
    own_names = [known for known in MODELS if known not in ("timm", "python")]
    return nearest(name, [*own_names, *sorted(timm_known)]) or [*own_names, "any timm name"]


def _as_spec(value: str | Mapping[str, Any] | ModelSpec) -> ModelSpec:
    if isinstance(value, ModelSpec):
        return value
    content = {"python" if ".py:" in value else "name": value} if isinstance(value, str) else dict(value)
    if content.get("python") is not None:
        content.setdefault("name", "python")
    try:
        return ModelSpec.model_validate(content)
    except ValidationError as error:
        raise ModelError(_problems_text("model", error, list(ModelSpec.model_fields))) from error


def _with_absolute_paths(spec: ModelSpec, base: Path) -> ModelSpec:
    changes = {}
    if spec.python is not None:
        changes["python"] = own.absolute(spec.python, base)
    if spec.checkpoint is not None:
        changes["checkpoint"] = str(locate_file("checkpoint", spec.checkpoint, base))
    return spec.model_copy(update=changes)


def _validated(spec: ModelSpec, family: Family) -> Config:
    try:
        params = family.params.model_validate(spec.given())
    except ValidationError as error:
        fields = [*family.params.model_fields, *ModelSpec.model_fields]
        raise ModelError(_problems_text(f"model {spec.name}", error, fields)) from error
    if spec.python is not None:
        own.check(spec.python, spec.given())
    return params


def _with_weights(spec: ModelSpec, params: Config, family: Family, base: Path) -> ModelSpec:
    """Return a specification with the absolute path of its weights, where they are a file or lie in a folder."""
    if spec.weights is None:
        return spec
    if family.pretrained_name is None:
        raise ModelError(
            sentence(
                f"model {spec.name}",
                "weights",
                "left out: this family has no pretrained weights",
                spec.weights,
                "Give a file of its own state as `checkpoint`.",
            )
        )
    if spec.weights == "imagenet":
        return spec
    path = locate_weights(family.pretrained_name(spec, params), spec.weights, base)
    return spec.model_copy(update={"weights": str(path)})


def _identity(spec: ModelSpec, params: Config, family: Family) -> dict[str, Any]:
    identity: dict[str, Any] = {"name": spec.name, **params.model_dump(mode="json", exclude_defaults=True)}
    # A field whose default is not what the network was before it had the field is a part of it in any case.
    identity |= params.model_dump(mode="json", include=set(family.always_told))
    if spec.python is not None:
        identity |= {"name": "python", "object": spec.python.rpartition(":")[2]}
        identity["source_sha256"] = own.source_sha256(spec.python)
    if spec.weights is not None:
        assert family.pretrained_name is not None
        of = family.pretrained_name(spec, params)
        weights = locate_imagenet(of) if spec.weights == "imagenet" else Path(spec.weights)
        identity["weights_sha256"] = file_sha256(weights)
    if spec.checkpoint is not None:
        identity["checkpoint_sha256"] = file_sha256(Path(spec.checkpoint))
    if spec.new_head:
        identity["new_head"] = True
    return identity


def _problems_text(owner: str, error: ValidationError, known: list[str]) -> str:
    """Write one sentence a line for every fault that pydantic found."""
    lines: dict[str, str] = {}
    for fault in error.errors():
        name = _field_name(fault["loc"])
        if fault["type"] == "extra_forbidden":
            line = unknown(f"{owner}: parameter", name, known)
        elif fault["type"] == "missing":
            line = f"{owner}: {name} must be given. Run `etude models list` for the names."
        elif fault["type"] == "value_error" and not name:
            line = f"{owner}: {fault['ctx']['error']}"
        else:
            line = sentence(owner, name, _rule(fault["msg"]), fault["input"])
        lines.setdefault(name, line)
    return "\n".join(lines.values())


def _field_name(location: tuple[int | str, ...]) -> str:
    """Return the field that a fault is in, with the position in a list.

    A field of several types has a fault for each, with the type's name behind the field's, which is left out.

    >>> _field_name(("widths", 1)), _field_name(("convs", "int"))
    ('widths.1', 'convs')
    """
    parts = [str(part) for index, part in enumerate(location[:2]) if index == 0 or isinstance(part, int)]
    return ".".join(parts)


def _rule(message: str) -> str:
    """Turn pydantic's 'Input should be …' into the rule of our sentence.

    >>> _rule("Input should be less than 1")
    'less than 1'
    """
    rule = message.removeprefix("Input should be ").removeprefix("Value error, ")
    return rule[:1].lower() + rule[1:]
