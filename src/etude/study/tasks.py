"""What of a study file hangs on its task: defaults, the ladder, and what does not go together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from etude.core.errors import EtudeError, ModelError
from etude.core.registry import Registry, unknown
from etude.metrics.generation import GENERATION_METRICS
from etude.metrics.registry import METRICS, SEGMENTATION_METRICS
from etude.models import MODELS
from etude.models.families.gan import SIDES_PX
from etude.models.spec import check_task, family_of
from etude.study.merging import merge
from etude.tasks.task import CLASS_LOSSES, TaskName
from etude.train.adversarial_config import AdversarialConfig

if TYPE_CHECKING:
    from etude.study.file import StudyConfig
    from etude.study.resolve import Candidate
    from etude.study.yaml_text import Path as FieldPath
    from etude.train.config import TrainConfig

LADDERS: Final[dict[TaskName, dict[str, dict[str, Any]]]] = {
    "classification": {
        "majority": {"model": "majority", "augment": "none"},
        "mlp": {"model": "mlp", "augment": "none"},
        "cnn": {"model": "cnn", "augment": "none"},
        "cnn-augmented": {"model": "cnn", "augment": ["flip", "shift"]},
        "resnet": {"model": "resnet", "augment": ["flip", "shift"]},
    },
    "segmentation": {
        "majority": {"model": "majority", "augment": "none"},
        "unet-mini": {"model": "unet-mini", "augment": "none"},
        "unet-mini-augmented": {"model": "unet-mini", "augment": ["flip", "scale", "color"]},
        "fast-scnn": {"model": "fast-scnn", "augment": ["flip", "scale", "color"]},
    },
    "generation": {
        "dcgan": {"model": "dcgan", "train": {"loss": "non-saturating", "average": "none"}},
        "dcgan-augmented": {
            "model": {"name": "dcgan", "spectral_norm": True},
            "train": {
                "loss": "non-saturating",
                "average": "none",
                "adversarial": {"augment": ["color", "translation", "cutout"]},
            },
        },
        "fastgan": {"model": "fastgan", "train": {"adversarial": {"augment": ["color", "translation", "cutout"]}}},
    },
}
"""The candidates of a study that names none, simple to complex."""

_CONDITIONAL: Final[dict[str, Any]] = {
    "model": {"name": "fastgan", "conditional": True},
    "train": {"adversarial": {"augment": ["color", "translation", "cutout"]}},
}
"""The last rung of generators where the file names several classes: one that can be asked for each of them."""

_DEFAULTS: Final[dict[str, dict[str, dict[str, Any]]]] = {
    "segmentation": {
        "data": {"source": "streets"},
        "protocol": {"metric": "miou"},
        "prepare": {"size_px": [192, 256]},
        "train": {"batch": 8, "optimizer": {"name": "adamw", "lr": 2e-3, "weight_decay": 0.01}},
    },
    "generation": {
        "protocol": {
            "metric": "kid",
            "also": ["fid", "density", "coverage", "diversity", "near_copies", "closest_copies"],
        },
        "prepare": {"size_px": 64, "fit": "crop", "normalize": "half"},
        "train": {
            "epochs": 1000,
            "batch": 16,
            "optimizer": {"name": "adamw", "lr": 2e-4, "momentum": 0.5, "weight_decay": 0.0},
            "schedule": "constant",
            "loss": "hinge",
            "average": {"name": "ema", "decay": 0.995},
            "keep": "last",
        },
    },
}
"""What these tasks start from in the place of the defaults, which are those of small pictures of one thing."""
_OF_GENERATORS: Final = ("non-saturating", "hinge")
_OF_MASKS: Final = ("accumulate", "crop_px", "balanced_crops")


def training_defaults(task: TaskName) -> dict[str, Any]:
    """Return what the training of a task starts from, where that is not what a classification starts from."""
    return dict(_DEFAULTS.get(task, {}).get("train", {}))


def ladder_of(tree: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the candidates of a study file that names none, by its task and its classes."""
    task: TaskName = tree["task"] if tree.get("task") in ("segmentation", "generation") else "classification"
    data = tree.get("data")
    classes = data.get("classes") if isinstance(data, dict) else None
    if task == "generation" and isinstance(classes, list) and len(classes) > 1:
        return LADDERS[task] | {"conditional": _CONDITIONAL}
    return LADDERS[task]


def add_defaults(tree: Any) -> Any:  # noqa: ANN401 - raw input
    """Fill in what the file of a segmentation or a generation leaves out; others are returned as they are."""
    if not isinstance(tree, dict) or tree.get("task") not in _DEFAULTS:
        return tree
    filled = dict(tree)
    for group, fields in _DEFAULTS[tree["task"]].items():
        given = tree.get(group)
        if given is None or isinstance(given, dict):
            filled[group] = merge(fields, given or {})
    return filled


def check_metrics(study: StudyConfig) -> Iterator[tuple[FieldPath, str]]:
    """Find metrics of the other task: give the field, and what is wrong."""
    of_tasks: dict[TaskName, Registry[Any]] = {
        "classification": METRICS, "segmentation": SEGMENTATION_METRICS, "generation": GENERATION_METRICS
    }  # fmt: skip
    known = of_tasks[study.task]
    for field, names in (("metric", (study.protocol.metric,)), ("also", study.protocol.also)):
        for name in names:
            if name not in known:
                yield ("protocol", field), f"protocol.{field}: {unknown('metric', name, known)}"


def check_study(study: StudyConfig) -> Iterator[tuple[FieldPath, str]]:
    """Find fields of the study that its task cannot have."""
    yield from check_metrics(study)
    yield from _check_search(study)
    if study.task != "segmentation" and study.protocol.resolution != "labels":
        yield ("protocol", "resolution"), "protocol.resolution must be left out: it is of masks."
    if study.task != "generation" and study.protocol.generation.judge:
        yield ("protocol", "generation"), "protocol.generation.judge must be left out: it is of generated pictures."
    if study.task == "classification":
        return
    of_task = "masks" if study.task == "segmentation" else "generated pictures"
    for field, given in (
        (("protocol", "threshold"), study.protocol.threshold is not None),
        (("protocol", "calibrate"), study.protocol.calibrate),
        (("protocol", "robustness"), study.protocol.robustness),
        (("data", "positive"), study.data.positive is not None),
    ):
        if given:
            yield field, f"{'.'.join(field)} must be left out: it is of one class a picture, and the task is {of_task}."


def _check_search(study: StudyConfig) -> Iterator[tuple[FieldPath, str]]:
    """Find a search for a metric that is not counted while its trials are trained."""
    metric = study.protocol.metric
    if study.task != "segmentation" or not study.search or metric not in SEGMENTATION_METRICS:
        return
    if SEGMENTATION_METRICS[metric].from_confusion is None:
        yield (
            ("protocol", "metric"),
            (
                f"protocol.metric must be counted after every epoch, as search chooses by it. Got {metric!r}, which is "
                f"counted at the end alone. Give miou, and {metric} in protocol.also."
            ),
        )


def check_candidate(candidate: Candidate, task: TaskName) -> Iterator[str]:
    """Find what a candidate's task cannot have, sentence by sentence."""
    name, train = candidate.name, candidate.train
    if candidate.generated is not None:
        yield from _check_generated(candidate, task)
    yield from _check_model(candidate, task)
    if task == "generation":
        yield from _check_generator(candidate)
        return
    is_drawn = candidate.model.weights is None and candidate.model.checkpoint is None
    if candidate.finetune.norm == "frozen" and (is_drawn or task != "classification"):
        reason = (
            "the network starts from random weights" if is_drawn else f"the task is {task}: its decoder has none yet"
        )
        yield f"{name}: finetune.norm must be trained or left out, as {reason}."
    if train.loss in _OF_GENERATORS or train.adversarial != AdversarialConfig():
        yield f"{name}: train.loss and train.adversarial must not be those of generators, as the task is {task}."
    for loss, field in (("focal", "focal_gamma"), ("tversky", "tversky_missed")):
        if train.loss != loss and getattr(train, field) != type(train).model_fields[field].default:
            yield f"{name}: train.{field} must be left out: it is of train.loss: {loss}. Got train.loss: {train.loss}."
    if task == "classification":
        for field in _OF_MASKS:
            if getattr(train, field) != type(train).model_fields[field].default:
                yield f"{name}: train.{field} must be left out: it is of masks, and the task is classification."
        if train.loss not in CLASS_LOSSES:
            losses = " or ".join(CLASS_LOSSES)
            yield f"{name}: train.loss must be {losses} for a classification. Got {train.loss!r}."
        if train.class_weights == "log":
            yield f"{name}: train.class_weights must be none or balanced for a classification. Got 'log'."
        if train.loss == "focal" and train.label_smoothing:
            told = f"which keeps the network from certainty in a way of its own. Got {train.label_smoothing}"
            yield f"{name}: train.label_smoothing must be 0 with train.loss: focal, {told}."
        if candidate.combine.windows != "whole":
            yield f"{name}: combine.windows must be left out: it is of masks."
        return
    if train.loss == "lovasz" and train.class_weights != "none":
        yield (
            f"{name}: train.class_weights must be none with train.loss: lovasz, in which all classes count the same. "
            f"Got {train.class_weights!r}."
        )
    if train.label_smoothing:
        yield f"{name}: train.label_smoothing must be left out: it is of one class a picture."
    if "shifts" in candidate.combine.tta:
        yield f"{name}: combine.tta must be none or flip for masks. Got {candidate.combine.tta!r}."
    size_px = (candidate.prepare.height_px, candidate.prepare.width_px)
    if train.crop_px is not None and any(a > b for a, b in zip(train.crop_px, size_px, strict=True)):
        told = f"at most prepare.size_px, {list(size_px)}. Got {list(train.crop_px)}"
        yield f"{name}: train.crop_px must be {told}."
    if candidate.combine.windows == "sliding" and train.crop_px is None:
        yield f"{name}: combine.windows: sliding must go with train.crop_px, the size of the windows."
    if candidate.combine.windows == "sliding" and candidate.model.name == "majority":
        yield f"{name}: combine.windows must be whole for majority, which knows where in the picture a pixel lies."


def _check_generator(candidate: Candidate) -> Iterator[str]:
    """Find what the training of a generator cannot have, sentence by sentence."""
    name, train = candidate.name, candidate.train
    yield from (f"{name}: {told}" for told in check_generator_training(train))
    sides = (candidate.prepare.height_px, candidate.prepare.width_px)
    if candidate.model.name in MODELS and (sides[0] != sides[1] or sides[0] not in SIDES_PX):
        known = ", ".join(map(str, SIDES_PX[:-1]))
        yield f"{name}: prepare.size_px must be a square of {known} or {SIDES_PX[-1]}. Got {list(sides)}."
    if candidate.prepare.normalize != "half":
        yield f"{name}: prepare.normalize must be half: a generator gives values from -1 to 1."
    if mixing := sorted({"mixup", "cutmix"} & set(candidate.augment.use)):
        yield f"{name}: augment must not mix pictures for a generation: it would learn the mixtures. Got {mixing}."
    if candidate.augment.copies:
        yield f"{name}: augment.copies must be left out for a generation: its pictures are changed anew at every step."
    for field in ("combine", "finetune"):
        if (given := getattr(candidate, field)) != type(given)():
            yield f"{name}: {field} must be left out for a generation."


def check_generator_training(train: TrainConfig) -> Iterator[str]:
    """Find which fields of `train` the training of a generator cannot have, sentence by sentence."""
    if train.loss not in _OF_GENERATORS:
        yield f"train.loss must be {' or '.join(_OF_GENERATORS)} for a generation. Got {train.loss!r}."
    if train.average.name == "lookahead":
        yield "train.average must be none or ema for a generation. Got 'lookahead'."
    if train.precision == "fp16":
        yield "train.precision must be auto, fp32 or bf16 for a generation. Got 'fp16'."
    if train.keep != "last" or train.early_stopping is not None:
        yield (
            "train.keep must be last, and early_stopping left out, for a generation: a dozen validation pictures "
            "cannot choose among its looks."
        )
    for field in ("label_smoothing", "accumulate", "class_weights", "crop_px"):
        if getattr(train, field) != type(train).model_fields[field].default:
            yield f"train.{field} must be left out for a generation."


def _check_generated(candidate: Candidate, task: TaskName) -> Iterator[str]:
    """Find what does not go with generated pictures, sentence by sentence."""
    name, prepare, generated = candidate.name, candidate.prepare, candidate.generated
    if task != "classification":
        yield f"{name}: data.generated must be left out: a generated picture has a class, and the task is {task}."
    if candidate.augment.copies:
        yield f"{name}: data.generated must be left out beside augment.copies: give one of them."
    if prepare.height_px != prepare.width_px and prepare.fit != "stretch":
        yield f"{name}: prepare.size_px must be square with data.generated, or prepare.fit stretch."
    if generated is not None:
        try:
            check_task(generated.model, "generation")
        except EtudeError as error:
            yield f"{name}: data.generated: {error}"


def _check_model(candidate: Candidate, task: TaskName) -> Iterator[str]:
    try:
        family_of(candidate.model)
    except EtudeError:  # a model that nobody knows is told of elsewhere
        return
    try:
        check_task(candidate.model, task)
    except ModelError as error:
        yield f"{candidate.name}: {error}"
