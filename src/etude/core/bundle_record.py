"""The record of a bundle: what is deployed, told to whoever runs it (`bundle.json`)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from etude.core.interval import Interval
from etude.core.plain import Plain

Rgb = tuple[int, int, int]
GraphKind = Literal["fp32", "int8"]
Task = Literal["classification", "segmentation", "generation"]


@dataclass(frozen=True, kw_only=True)
class FileEntry(Plain):
    """A file of the bundle."""

    sha256: str
    """SHA-256 of its content, in hexadecimal."""
    bytes: int
    """Its length."""


@dataclass(frozen=True, kw_only=True)
class Score(Plain):
    """A score of the model."""

    part: str
    """validation or test."""
    metric: str
    """Name of the metric."""
    value: float
    """The score."""
    interval: Interval | None = None
    """95 % interval over the pictures of the part; none where it was not computed."""


@dataclass(frozen=True, kw_only=True)
class Origin(Plain):
    """Where the model comes from."""

    study: str
    """Name of the study."""
    question: str = ""
    """The question that it answered."""
    candidate: str
    """Name of the candidate."""
    run: str
    """Identity of the run."""
    network: str
    """The network in words."""
    paper: str = ""
    """Paper of the network; empty where the card names none."""
    pretrained: str = ""
    """The weights that training started from; empty where they were drawn."""
    licence_code: str = ""
    """Licence of the network's code."""
    licence_weights: str = ""
    """Licence of the pretrained weights; empty where there are none or it is not known."""
    trained_at: str
    """ISO 8601 date and time, UTC, of the end of the training."""
    precision: str = ""
    """fp32, bf16 or fp16: what the study computed with; the bundle has 32 bits, or 8. Empty in earlier bundles."""
    chosen: str = ""
    """How the run was chosen, as a sentence; empty where a person named it, and in earlier bundles."""


@dataclass(frozen=True, kw_only=True)
class DataSummary(Plain):
    """What the model was trained and scored on."""

    source: str
    """Name of the source."""
    fingerprint: str
    """Hash of pictures and labels."""
    licence: str = ""
    """Terms of use of the pictures; empty where the source does not say."""
    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    """Pictures by part and class, in the split of this run: counts['train']['cat']; of masks, which show many classes
    each, counts['train']['']."""
    notes: tuple[str, ...] = ()
    """Sentences that a reader must know."""


@dataclass(frozen=True, kw_only=True)
class Gate(Plain):
    """The agreement of the graph with 32 bits with the network that was trained.

    It is asked from the bytes of the validation pictures on, or, of a generator, from the seed on. A bundle with 8 bits
    has that of the graph which it was made from; how its own answers differ from those, `Quantisation` tells.
    """

    pictures: int
    """Validation pictures that both answered, or pictures that both generated."""
    agreement: float
    """Share of equal decisions (of pixels, for masks), or of levels that differ by at most 1 of 255, from 0 to 1."""
    largest_difference: float | None = None
    """Largest difference of a probability, or for a generator of a level, from 0 to 1; none for masks."""
    score_moved: float | None = None
    """Score of the graph minus that of the network (mIoU), for masks; none for classes."""
    familiarity_moved: float | None = None
    """Largest difference of a familiarity; none where the graph gives none."""
    recorded: float | None = None
    """Share of the bundle's decisions on validation that are those which the study recorded, with the precision of
    `origin`; none for masks, where answers were not kept, and in earlier bundles."""


@dataclass(frozen=True, kw_only=True)
class Loss(Plain):
    """What 8 bits cost in one metric."""

    metric: str
    """The metric that was compared."""
    score_fp32: float
    """Score with 32 bits on validation."""
    score_int8: float
    """Score with 8 bits on validation."""
    loss: float
    """What is lost, in points (hundredths of the metric), whichever way is better; negative where 8 bits are."""
    interval: Interval
    """95 % interval of the loss over the pictures, in points."""


@dataclass(frozen=True, kw_only=True)
class Quantisation(Loss):
    """What 8 bits cost in score: in right answers or mIoU, and in the study's own metric."""

    calibration_pictures: int
    """Training pictures that the ranges were taken from."""
    pictures: int
    """Validation pictures that both graphs answered."""
    own: Loss | None = None
    """The loss in the metric of the study; none where that is `metric`."""
    agreement: float | None = None
    """Share of the decisions on validation (of pixels, for masks) that are those of the graph with 32 bits, from 0 to
    1; none in earlier bundles."""
    further: float | None = None
    """What the temperature of 32 bits was multiplied by, as fitted to the answers with 8: the `temperature` of the
    bundle has it in it. None for masks, where it was not fitted, and in earlier bundles."""

    @property
    def losses(self) -> tuple[Loss, ...]:
        """All that was compared."""
        return (self,) if self.own is None else (self, self.own)


@dataclass(frozen=True, kw_only=True)
class Speed(Plain):
    """One way to run the model, measured on the machine that exported it."""

    name: str
    """pytorch, fp32 or int8."""
    p50_ms: float
    """Median milliseconds of one picture."""
    p95_ms: float
    """95 % of the pictures take no longer."""
    p99_ms: float
    """99 % of the pictures take no longer."""
    images_per_s: float
    """Pictures a second in batches, of up to 32."""
    size_mb: float
    """Size of the graph or of the weights in MB (10**6 bytes)."""
    memory_mb: float | None = None
    """Peak memory in MiB of a process that answers one picture at a time and does nothing else; that of pytorch has
    PyTorch itself in it. None where it was not measured."""


@dataclass(frozen=True, kw_only=True)
class Certainty(Plain):
    """When an answer counts as unsure; chosen on validation, on this very graph, with the temperature applied."""

    unsure_below: float
    """An answer with a smaller probability is unsure."""
    sure_share: float
    """Share of the validation pictures whose answer is sure."""
    sure_accuracy: float | None
    """Share of right answers among them; none where none is sure."""


@dataclass(frozen=True, kw_only=True)
class Familiarity(Plain):
    """When a picture counts as unlike those of the training; chosen on validation, on this very graph."""

    unfamiliar_below: float
    """A picture with a smaller familiarity is unlike them: its answer is unsure, however probable."""
    familiar_share: float
    """Share of the validation pictures that are familiar."""
    pictures: int
    """Training pictures that the means of the classes were taken from."""


@dataclass(frozen=True, kw_only=True)
class Moved(Plain):
    """How far logits lie from those that they are compared with."""

    largest: float
    """The largest difference."""
    typical: float
    """The root of the mean square of all differences."""


@dataclass(frozen=True, kw_only=True)
class Logits(Plain):
    """What the graph gives beside its answers under the name `logits`: float32, the batch first.

    They are raw: before the softmax, and not divided by the temperature.
    """

    shape: tuple[int, ...]
    """The axes behind the batch: (K,), or for masks (K, H, W) at the size of `prepare`; K in the order of `classes`."""
    views: str = "none"
    """The views of a picture that the study averaged over, such as flip: the logits are the logarithms of the mean
    probabilities then. The graph asks for all of them itself."""
    pictures: int
    """Validation pictures on which they were compared, evenly spread."""
    size: float
    """The largest of them there, whatever its sign, with 32 bits: what a difference is set against."""
    moved: Moved
    """With 32 bits, against the network in PyTorch."""
    moved_int8: Moved | None = None
    """With 8 bits, against 32; none in a graph of 32."""


@dataclass(frozen=True, kw_only=True)
class BundleRecord(Plain):
    """What a bundle holds and what it can do (`bundle.json`)."""

    FORMAT: ClassVar[int] = 1

    format: int = 1
    """The number of the format that this record was written in."""
    name: str
    """Name of the model, by which the server offers it."""
    etude: str
    """Version of Étude that wrote it."""
    created_at: str
    """ISO 8601 date and time, UTC."""
    task: Task
    """One class a picture, one class a pixel, or new pictures."""
    classes: tuple[str, ...]
    """Names of the classes, in the order of their ids; of a generator, those that it was trained on."""
    called: dict[str, dict[str, str]] = field(default_factory=dict)
    """What pages call the classes in a language, by their names: called['fr']['cat']; those that keep theirs, and all
    in bundles of earlier versions, are left out."""
    latent: int | None = None
    """For a generator, the numbers that a picture is drawn from: a standard normal vector."""
    conditional: bool = False
    """For a generator, whether it is told the class that is wanted."""
    palette: tuple[Rgb, ...] = ()
    """Colour of each class, for masks; empty for classification."""
    graph: str = "model.onnx"
    """The file of the graph."""
    kind: GraphKind = "fp32"
    """Numbers that the graph computes with."""
    input: str = "pictures"
    """Name of the graph's input: uint8 (B, H, W, 3), RGB, at the size of `prepare`; of a generator `latents`, float32
    (B, latent), beside `classes`, int64 (B,), where it is conditional."""
    output: str
    """Name of its output: `probabilities`, float32 (B, K), `ids`, uint8 (B, H, W), or of a generator `pictures`, uint8
    (B, H, W, 3), RGB."""
    prepare: dict[str, Any]
    """The rule by which a picture is brought to the size (see `etude.pictures.prepare.Prepare`); the normalisation is
    inside the graph."""
    temperature: float | None = None
    """What the logits are divided by, inside the graph; none where they are not. With 8 bits it was fitted to their
    answers, as the threshold was moved along (`quantisation.further`)."""
    threshold: float | None = None
    """For a detector, the probability of class 1 from which it says yes; none: the most probable class."""
    certainty: Certainty | None = None
    """When an answer is unsure; none for masks, or where there was no validation part to choose it on."""
    familiarity: Familiarity | None = None
    """When a picture is unlike those of the training. Where it is given the graph has a second output, `familiarity`,
    float32 (B,), from -1 to 1: the cosine of the picture's features with the nearest mean of a class. None for masks,
    and for networks that do not end in a linear layer."""
    logits: Logits | None = None
    """The graph's output `logits`, behind all others; none where it was not asked for."""
    scores: tuple[Score, ...] = ()
    """On validation what this very bundle scores, on test what the study measured, its probabilities at the temperature
    of the graph with 32 bits. Of masks and generators, and in earlier bundles, all are the study's."""
    own_miou: float | None = None
    """For masks, the mIoU on validation of the masks that this bundle answers, at the size of the labels: it enlarges
    ids, where the study enlarged logits. None for classes, and in bundles of earlier versions."""
    own_miou_interval: Interval | None = None
    """Its 95 % interval over the validation pictures."""
    gate: Gate
    """Agreement with the network that was trained."""
    quantisation: Quantisation | None = None
    """What 8 bits cost; none with 32."""
    speeds: tuple[Speed, ...] = ()
    """The variants as measured when it was exported."""
    machine: str = ""
    """The machine on which they were measured."""
    origin: Origin
    """Where the model comes from."""
    data: DataSummary
    """What it was trained on."""
    files: dict[str, FileEntry]
    """Every other file of the bundle, with its checksum."""
