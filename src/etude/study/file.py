"""The study file: every field with its default, composed of the records of the rooms below."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Discriminator, Field, Tag, field_validator, model_validator

from etude.core.durations import Seconds
from etude.core.records import Config
from etude.core.registry import unknown
from etude.core.translated import Translated, in_language
from etude.core.words import Language
from etude.data.augment import AugmentConfig
from etude.data.config import DataConfig
from etude.evaluate.detector import Threshold
from etude.evaluate.generation_config import GenerationConfig
from etude.metrics.generation import GENERATION_METRICS
from etude.metrics.registry import METRICS, SEGMENTATION_METRICS
from etude.metrics.statistics import AutoSeeds
from etude.models import ModelSpec
from etude.pictures.prepare_config import Prepare
from etude.search.config import SearchConfig
from etude.study.bounds import BoundConfig
from etude.study.generated_config import GeneratedConfig
from etude.study.published_config import PublishedConfig
from etude.study.tasks import add_defaults
from etude.study.tracking import Track
from etude.tasks.task import TaskName
from etude.train.config import TrainConfig
from etude.train.finetune import Finetune, FinetuneConfig


def _read_augment(given: Any) -> Any:  # noqa: ANN401 - raw input
    """Accept `none`, a name or a list of names for `{use: […]}`."""
    if given is None or given == "none":
        return {"use": []}
    if isinstance(given, str):
        return {"use": [given]}
    return {"use": given} if isinstance(given, list | tuple) else given


def _read_model(given: Any) -> Any:  # noqa: ANN401 - raw input
    """Accept a name for `{name: …}`, and `{python: nets.py:Net}` without a name."""
    if isinstance(given, str):
        return {"name": given}
    if isinstance(given, dict) and "python" in given:
        return {"name": "python", **given}
    return given


Augment = Annotated[
    AugmentConfig, BeforeValidator(_read_augment, json_schema_input_type=AugmentConfig | str | list[str])
]


class ModelConfig(ModelSpec):
    """A model as a study file gives it: without a name it changes the parameters of the one it is laid over."""

    name: str = ""
    """A family (`etude models list`), or any name that timm knows."""


Model = Annotated[ModelConfig, BeforeValidator(_read_model, json_schema_input_type=ModelConfig | str)]


class CandidateSplit(Config):
    """What a candidate may change of the split: the size of its training part."""

    train_items: Annotated[int, Field(ge=1)] | None = None
    """Pictures of its training part, drawn from the study's: a smaller part lies within a larger one, and
    validation and test stay the same."""


class CandidateData(Config):
    """What a candidate may change of the data: of its training part alone."""

    split: CandidateSplit = CandidateSplit()
    """The size of its training part."""
    generated: GeneratedConfig | None = None
    """Generated pictures in its training part, as `{pictures: 100}`; each run trains its own generators, on its own
    training photographs alone."""


class CombineConfig(Config):
    """How the answers of a finished network are combined into one."""

    tta: Literal["none", "flip", "shifts", "flip-shifts"] = "none"
    """Test-time augmentation: the mean over the picture and its mirror image (flip: 2 passes), over small moves
    (shifts: 5), or over both (flip-shifts: 10). A run that differs in this only is not trained again."""
    windows: Literal["whole", "sliding"] = "whole"
    """For masks, whether a picture is answered whole or in overlapping windows of `train.crop_px`."""
    members: Annotated[int, Field(ge=2, le=100)] | None = None
    """Networks whose probabilities are averaged: that of the run's seed, and others from seeds that no run of the
    protocol has, so that its runs stay independent. Its time, milliseconds and size are those of all together."""
    average: Literal["probabilities", "weights"] = "probabilities"
    """What of `members` is averaged: their probabilities, at the cost of all, or their weights, which makes one network
    of them at the cost of one. Weights can be averaged where all start from the same pretrained ones."""
    folds: Annotated[int, Field(ge=2, le=100)] | None = None
    """Networks whose probabilities are averaged, one for each of so many parts that training and validation pictures
    are dealt to: it is trained on the other parts and its epoch is chosen on that one. The test part is that of all."""
    last_epochs: Annotated[int, Field(ge=2, le=1000)] | None = None
    """Epochs at the end of the training whose weights are averaged into one network. A run that differs in this only is
    not trained again."""


class CandidateConfig(Config):
    """One candidate: what it has of its own; all else comes from the study, or from the candidate it extends."""

    extends: str | None = None
    """Another candidate whose fields this one starts from."""
    model: Model | None = None
    """The network: a name, or a name with its parameters."""
    augment: Augment | None = None
    """Augmentation of the training pictures; `none` for none."""
    prepare: Prepare | None = None
    """Size, fit and normalisation of the pictures."""
    train: TrainConfig | None = None
    """How it is trained."""
    finetune: Finetune | None = None
    """What of a pretrained network is trained: all, head, last-3 or gradual."""
    combine: CombineConfig | None = None
    """How answers are combined once it is trained, as `{tta: flip}`."""
    data: CandidateData | None = None
    """The size of its training part, as `{split: {train_items: 500}}`, and generated pictures in it."""


def _read_list(given: Any) -> Any:  # noqa: ANN401 - raw input
    """Accept one word for a list of one."""
    return [given] if isinstance(given, str) else given


Combine = Literal["each", "all", "all-but-each"]
Combines = Annotated[
    tuple[Combine, ...],
    BeforeValidator(_read_list, json_schema_input_type=Combine | list[Combine]),
    Field(min_length=1),
]


class AblationConfig(Config):
    """One field of a candidate varied, all else the same; each value becomes a candidate of its own."""

    of: str
    """The candidate that is varied, and that its variants are compared with."""
    vary: str
    """The field that is varied, dotted, such as `prepare.fit`, `train.optimizer.lr`, `augment.use` or
    `data.split.train_items`."""
    over: Annotated[tuple[Any, ...], Field(min_length=1)]
    """The values that it takes; for `augment.use` the names of augmentations."""
    combine: Combines = ("each",)
    """For `augment.use`: each alone, all together, all but each in turn; they come on top of what `of` has. All but
    each are compared with all together, which is made for them if need be."""


class AutoSeedsConfig(Config):
    """Seeds added while looking: until every comparison is told apart or its interval is narrow, or none is left."""

    auto: Literal[True] = True
    """What `seeds: auto` alone says."""
    first: Annotated[int, Field(ge=2)] = 3
    """Seeds before the first look."""
    most: Annotated[int, Field(ge=2)] = 10
    """The most seeds. It is fixed beforehand: the level of the tests is spread over all looks up to it."""
    half_width: Annotated[float, Field(gt=0)] | None = 0.01
    """Half the width of an interval that is narrow enough, in the metric's unit; none: on until a verdict."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.first > self.most:
            raise ValueError(f"first must be at most `most` ({self.most}). Got {self.first}.")
        return self


def _read_seeds(given: Any) -> Any:  # noqa: ANN401 - raw input
    if isinstance(given, str):
        if given != "auto":
            raise ValueError(f"must be a number of seeds, a list of seeds, or auto. Got {given!r}.")
        return {"auto": True}
    return given


def _seeds_kind(given: Any) -> str:  # noqa: ANN401 - raw input
    """Say which of the three ways of giving seeds is meant, so that a mistake is told of that way alone."""
    if isinstance(given, dict | AutoSeedsConfig):
        return "rule"
    return "list" if isinstance(given, list | tuple) else "number"


Seeds = Annotated[
    Annotated[int, Tag("number")] | Annotated[tuple[int, ...], Tag("list")] | Annotated[AutoSeedsConfig, Tag("rule")],
    Discriminator(_seeds_kind),
    BeforeValidator(
        _read_seeds, json_schema_input_type=int | tuple[int, ...] | Literal["auto"] | AutoSeedsConfig
    ),
]  # fmt: skip


class ProtocolConfig(Config):
    """What makes the comparison fair: seeds, metric, budget."""

    seeds: Seeds = 1
    """Number of seeds (0, 1, …), the seeds themselves, or `auto`; all candidates have the same."""
    metric: str = "accuracy"
    """The metric that ranks, compares and chooses the epoch; for masks `miou` by default."""
    also: tuple[str, ...] = ()
    """Other metrics that are recorded."""
    threshold: Threshold | None = None
    """For two classes, how the threshold is chosen on validation: {recall: 0.95}, {cost: {false_positive: 1,
    false_negative: 5}} or f1; without it the likelier class is the answer."""
    calibrate: bool = False
    """Whether probabilities are adjusted by a temperature that is fitted on validation."""
    robustness: bool = False
    """Whether the final candidate and the baseline are scored on corrupted test pictures too, once all runs end."""
    resolution: Literal["labels", "network"] = "labels"
    """For masks, where they are compared: at the labels' own size, or (quicker) at the size that the network takes."""
    generation: GenerationConfig = GenerationConfig()
    """For generators, how many pictures are measured, and over which features."""
    bounds: tuple[BoundConfig, ...] = ()
    """What candidates are to reach, said before the run: {candidate: cnn, gain_above: 0.02}, say. Reports say what came
    of each, and whether it stood there before the first run was finished; no run depends on them."""
    budget: Seconds | None = None
    """Time for the whole study, such as 60min; once it is spent no further run starts."""

    @field_validator("metric", "also")
    @classmethod
    def _known(cls, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        for name in (value,) if isinstance(value, str) else value:
            if name not in (*METRICS, *SEGMENTATION_METRICS, *GENERATION_METRICS):
                raise ValueError(unknown("metric", name, (*METRICS, *SEGMENTATION_METRICS, *GENERATION_METRICS)))
        return value

    @field_validator("seeds")
    @classmethod
    def _some(cls, value: int | tuple[int, ...] | AutoSeedsConfig) -> int | tuple[int, ...] | AutoSeedsConfig:
        if isinstance(value, AutoSeedsConfig):
            return value
        count = value if isinstance(value, int) else len(set(value))
        if count < 1:
            raise ValueError("must be at least one seed")
        if not isinstance(value, int) and count != len(value):
            raise ValueError("must not name a seed twice")
        return value

    @property
    def seed_list(self) -> tuple[int, ...]:
        """The seeds themselves; those before the first look, where seeds are added."""
        if isinstance(self.seeds, AutoSeedsConfig):
            return tuple(range(self.seeds.first))
        return tuple(range(self.seeds)) if isinstance(self.seeds, int) else self.seeds

    @property
    def auto(self) -> AutoSeeds | None:
        """The rule by which seeds are added; none where their number is given."""
        if not isinstance(self.seeds, AutoSeedsConfig):
            return None
        return AutoSeeds(self.seeds.first, self.seeds.most, self.seeds.half_width)


class ReportConfig(Config):
    """What is written at the end."""

    formats: tuple[Literal["note", "slides", "notebook", "project", "all"], ...] = ("note",)
    """note: a self-contained HTML page, and the same as PDF; slides: a presentation (PPTX);
    notebook: an executed notebook that stands alone; project: a folder that runs alone; all: every format."""
    languages: tuple[Language, ...] = ("en", "fr")
    """Languages of what is written."""
    published: tuple[PublishedConfig, ...] = ()
    """Values that others published, to stand beside the leaderboard; no verdict compares with them, and no run depends
    on them."""
    remarks: tuple[Translated, ...] = ()
    """What else a reader must know, such as what was tried on these pictures before; it stands among the limits."""


def _read_searches(given: Any) -> Any:  # noqa: ANN401 - raw input
    """Accept one search for a list of one."""
    return [given] if isinstance(given, dict | SearchConfig) else given


Searches = Annotated[
    tuple[SearchConfig, ...],
    BeforeValidator(_read_searches, json_schema_input_type=SearchConfig | list[SearchConfig]),
]


class StudyConfig(Config):
    """A study: a question, pictures, candidates and the protocol that compares them."""

    study: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")] = "study"
    """Name of the study and of its folder: letters, digits, '.', '_' and '-'."""
    question: Translated = ""
    """The question that the study answers, in a sentence; or in two languages, as {en: …, fr: …}."""
    task: TaskName = "classification"
    """classification: one class a picture; segmentation: one class a pixel; generation: new pictures like the
    given ones."""
    data: DataConfig = DataConfig()
    """The pictures and their split."""
    prepare: Prepare = Prepare()
    """Size, fit and normalisation of the pictures."""
    augment: Augment = AugmentConfig()
    """Augmentation of the training pictures, for candidates that say nothing of it."""
    model: Model | None = None
    """The network, for candidates that say nothing of it."""
    train: TrainConfig = TrainConfig()
    """How candidates are trained that say nothing of it."""
    finetune: Finetune = FinetuneConfig()
    """What of a pretrained network is trained, for candidates that say nothing of it."""
    baseline: str | None = None
    """The candidate that the others are compared with; by default the first that learns."""
    candidates: dict[str, CandidateConfig] = {}
    """The candidates by name; without any, a ladder from the majority class to a residual network."""
    ablations: tuple[AblationConfig, ...] = ()
    """Fields varied one at a time, each with verdicts and a correction of its own."""
    search: Searches = ()
    """Searches for good settings, one or a list; what each finds becomes a candidate."""
    protocol: ProtocolConfig = ProtocolConfig()
    """Seeds, metric, budget."""
    report: ReportConfig = ReportConfig()
    """Formats and languages of what is written at the end, and what others published."""
    track: Track | None = None
    """An experiment tracker that finished runs are mirrored into: mlflow, or {name: mlflow, url: …}."""

    @property
    def asked(self) -> str:
        """The question in the language that stands first."""
        return in_language(self.question)

    @model_validator(mode="before")
    @classmethod
    def _of_task(cls, given: Any) -> Any:  # noqa: ANN401 - raw input
        return add_defaults(given)
