"""What was found out about a finished network, written beside its run under `explain/`."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from etude.core.class_names import CLASS_NAMES, ClassName
from etude.core.interval import Interval
from etude.core.records import Config, Record

LAYERS_FILE, DISCRIMINATOR_FILE = "layers.json", "layers-discriminator.json"
"""Where the layers of a network are written under `explain/`, and those of what a generator was trained against."""

Kind = Literal[
    "convolution",
    "depthwise convolution",
    "pointwise convolution",
    "patch embedding",
    "up-sampling",
    "resizing",
    "dense",
    "head",
    "batch norm",
    "layer norm",
    "activation",
    "pooling",
    "global pooling",
    "dropout",
    "residual",
    "gate",
    "join",
    "attention",
    "scale",
    "parameters",
    "other",
]
"""What a layer is; the report has a sentence for each."""

MAP_KINDS: tuple[Kind, ...] = (
    "convolution",
    "depthwise convolution",
    "pointwise convolution",
    "patch embedding",
    "up-sampling",
)
"""Kinds of layers that give maps: numbers that still say where in the picture they are from."""

Role = Literal["", "first", "halves", "enlarges", "widens", "narrows"]
"""What stands out of a layer at its place."""

Side = Literal["", "generator", "discriminator"]
"""Which of two networks that are trained against each other one is; empty of one that answers to pictures."""


class LayerRow(Config):
    """One layer, in the order in which a picture goes through."""

    name: str
    """Dotted name of the module; of a function that a module calls, the module's name and the function's."""
    kind: Kind
    """What it is."""
    role: Role = ""
    """What stands out of it at its place: first, or halves, enlarges, widens, narrows the map."""
    type: str
    """Name of its class, or of the function."""
    input_shape: tuple[int, ...]
    """Shape of what it takes, without the batch."""
    output_shape: tuple[int, ...]
    """Shape of what it gives, without the batch."""
    params: int
    """Parameters of its own; of a module that is called twice, at its first call."""
    trained: int
    """Those of them that an optimiser may change."""
    macs: int
    """Multiply-adds for one picture: products of matrices, convolutions and attention."""
    receptive_px: tuple[float, float] | None = None
    """Height and width, in pixels of the input, of what one place of its output can depend on by convolution, pooling
    and up-sampling alone, whatever the picture's size; none where that has no meaning, or is not known."""
    stride_px: tuple[float, float] | None = None
    """Pixels of the input between two neighbouring places of its output."""
    sees_all: bool = False
    """Whether every number that it gives depends on a pixel in the corner of the picture."""
    joins: int | None = None
    """For a residual sum, the place of the layer whose output comes round to it; none for the input itself."""
    time_share: float = 0.0
    """Share of the time that all layers take, 0 to 1."""
    dead: float | None = None
    """For an activation, share of channels that give one and the same number on all pictures, 0 to 1."""
    sparsity: float | None = None
    """For an activation, share of numbers that are zero or below, 0 to 1."""
    fall_bypassed: float | None = None
    """By how much the score gets worse, in the metric's unit, when the layer is left out (of a residual sum, what it
    adds to what goes round it; of a gate, the numbers that it multiplies by); none where it cannot be."""
    interval_bypassed: Interval | None = None
    """95 % interval of that fall, pictures resampled (bootstrap, paired with the whole network); none with one picture,
    and in records of format 1."""
    fall_shuffled: float | None = None
    """By how much the score gets worse when the layer's weights are shuffled, mean over shuffles; none where it has
    none."""
    interval_shuffled: Interval | None = None
    """The same of that fall, shuffles resampled too."""

    @property
    def gives_maps(self) -> bool:
        """Whether it gives maps of more than one row."""
        return self.kind in MAP_KINDS and len(self.output_shape) == 3 and self.output_shape[1] > 1


class Member(Config):
    """The one network that is explained of a run in which several answer together."""

    number: int
    """Its number, from 1."""
    of: int
    """How many there are."""


class LayersRecord(Record):
    """A network layer by layer (`explain/layers.json`; of a discriminator, `explain/layers-discriminator.json`).

    Format 1 looked at the first pictures of the source, which may all be of a few classes, and shuffled once.
    """

    FORMAT: ClassVar[int] = 2

    format: int = FORMAT
    """The number of the format that this record was written in."""

    network: str
    """Name of the network."""
    size_px: tuple[int, int]
    """Height and width of the pictures."""
    rows: tuple[LayerRow, ...]
    """Its layers."""
    side: Side = ""
    """Which of two networks that are trained against each other it is; empty of one that answers to pictures."""
    member: Member | None = None
    """Which network of a run in which several answer together; none where it is the run's one."""
    of_training: bool = False
    """Whether its falls and activations are of training pictures, as the study has no validation part."""
    params: int
    """Parameters of the network; the sum of the rows'."""
    macs: int
    """Multiply-adds for one picture; the sum of the rows'."""
    metric: str = ""
    """The metric of the falls; empty where none was measured."""
    score: float | None = None
    """The score of the whole network on the pictures on which falls were measured."""
    n_pictures: int = 0
    """Validation pictures on which falls were measured."""
    n_shuffles: int = 1
    """Times that the weights of each layer were shuffled."""
    n_seen: int = 0
    """Validation pictures on which activations were looked at; of a generator, latent vectors."""
    device: str = ""
    """Where time was measured."""


class PictureRef(Config):
    """A picture of the study and what was answered to it."""

    item: str
    """Its id in the source, or the file that was given."""
    truth: ClassName
    """Its class, empty where that is not known; of masks, the class that most of the pixels in question are of."""
    answer: ClassName
    """The class that was answered; of masks, to the pixels in question."""
    probability: float
    """Probability of the answer; of masks, the mean over the pixels in question."""
    covers: float | None = None
    """Of masks, the share of the picture that was given the answer: the pixels in question; else none."""


class Exciting(Config):
    """The pictures that most excite a channel."""

    layer: str
    """Name of the layer."""
    channel: int
    """Number of the channel, from 0."""
    items: tuple[PictureRef, ...]
    """The pictures, the most exciting first."""
    values: tuple[float, ...]
    """The largest number that the channel gives anywhere on each of them."""


class SightRecord(Record):
    """What layers of a network see (`explain/sight.json`); maps, filters and pictures lie beside it in `sight.npz`."""

    FORMAT: ClassVar[int] = 1

    member: Member | None = None
    """Which network of a run in which several answer together; none where it is the run's one."""
    picture: PictureRef
    """The picture whose feature maps are shown."""
    layers: tuple[str, ...]
    """The layers whose maps are shown, in order."""
    first: str | None
    """The first convolution, whose filters are shown; none where there is none."""
    exciting: tuple[Exciting, ...]
    """For some channels, the pictures that most excite them."""


class Attribution(Config):
    """Where a network looked for one answer, and how that was checked."""

    picture: PictureRef
    """The picture."""
    is_right: bool
    """Whether the answer is right."""
    drop_grad_cam: float
    """By how much the probability of the answer falls when the fifth that Grad-CAM marks most is grey."""
    drop_integrated: float
    """The same for integrated gradients."""
    drop_random: float
    """The same for a fifth chosen by chance, mean over draws."""
    likeness: float | None
    """Rank correlation of the Grad-CAM map with that of the network with random weights, -1 to 1; none where either is
    the same everywhere."""
    likeness_integrated: float | None = None
    """The same of the integrated gradients; none too in records from before they were checked."""
    inside: float | None = None
    """Of masks, the share of what Grad-CAM marks that lies on the pixels in question, 0 to 1; else none."""


class WhyRecord(Record):
    """Where a network looks, on right and on wrong answers (`explain/why.json`); the maps lie beside in `why.npz`.

    In format 1 integrated gradients marked what speaks for the answer or against it, and the statistics of batch
    normalisations did not follow random weights, so that a deep network gave nothing to be compared with.
    """

    FORMAT: ClassVar[int] = 2

    format: int = FORMAT
    """The number of the format that this record was written in."""
    member: Member | None = None
    """Which network of a run in which several answer together; none where it is the run's one."""
    layer: str
    """The layer at which Grad-CAM was taken."""
    of_tokens: bool = False
    """Whether that layer gives no maps but tokens, or channels last, which were laid out as maps."""
    pictures: tuple[Attribution, ...]
    """Pictures of the test part, right ones first."""
    mean_drop_grad_cam: float
    """Mean over the pictures."""
    mean_drop_integrated: float
    """Mean over the pictures."""
    mean_drop_random: float
    """Mean over the pictures."""
    mean_likeness: float | None
    """Mean over the pictures of which it could be measured; none where there is none."""
    interval_likeness: Interval | None = None
    """Its 95 % interval over pictures, each with weights drawn anew (t); none with one picture and in format 1."""
    mean_likeness_integrated: float | None = None
    """The same mean of the integrated gradients; none in records from before it was measured."""
    interval_likeness_integrated: Interval | None = None
    """Its interval."""
    gain_grad_cam: Interval | None = None
    """95 % interval of what the fifth that Grad-CAM marks costs beyond a fifth chosen by chance (t, paired by picture);
    none with one picture."""
    gain_integrated: Interval | None = None
    """The same for integrated gradients."""
    mean_inside: float | None = None
    """Of masks, mean over the pictures; else none."""
    mean_covers: float | None = None
    """Of masks, the share of the picture that the pixels in question cover, mean over the pictures; else none."""


class ClassSeparation(Config):
    """How well one class stands apart from the others on a map."""

    name: str
    """Name of the class."""
    n: int
    """Pictures of it."""
    share: float
    """Share of its pictures whose nearest neighbour (itself left out) is of the class too, 0 to 1."""
    interval: Interval
    """95 % interval: Wilson's, over groups or blocks of neighbours where pictures know groups; in records of before by
    the bootstrap."""


class MapRecord(Config):
    """One map: a space and a way of laying it flat."""

    space: Literal["pixels", "features"]
    """What is laid flat: the raw pixels, or what the network gives before its head."""
    method: Literal["pca", "tsne"]
    """The way."""
    explained: float | None = None
    """For PCA, the share of the variance that the two axes carry."""


class DataMapRecord(Record):
    """Maps of the data and what their eye-sight says in numbers (`explain/map.json`, coordinates in `map.npz`)."""

    FORMAT: ClassVar[int] = 1

    member: Member | None = None
    """Whose features they are, of a run in which several networks answer together; none where it is the run's one."""
    maps: tuple[MapRecord, ...]
    """The maps."""
    n: int
    """Pictures on each."""
    separation: dict[str, Annotated[tuple[ClassSeparation, ...], CLASS_NAMES]]
    """By space, how well each class stands apart, measured on the test pictures, from which nothing was learnt, and in
    the space itself, not on the flat map."""
    chance: dict[ClassName, float]
    """By class, the share that would be reached by chance: its share of the test pictures."""
    has_kin: bool = False
    """Whether test pictures of one group were no neighbours of each other in that measure."""
    kin_apart: int | None = None
    """Of films, those that lie at least so many test pictures apart were; none: all of a group were left out."""
    n_judged: int = 0
    """Test pictures on which that was measured; 0 in records from before it was kept."""
    n_alone: int = 0
    """Those of them that have no neighbour but of their own group, and say nothing."""
    n_test: int = 0
    """Test pictures in all."""
    seconds: float
    """Time that it took."""
    pixels_px: int
    """Side that pictures were brought to for the space of pixels."""
    of_masks: bool = False
    """Whether a picture's class is the one that most of its pixels have; else it is its own."""
    groups: tuple[str, ...] = ()
    """Groups, such as sequences, that pictures can be coloured by; none where there are none, or too many."""
    group_separation: dict[str, tuple[ClassSeparation, ...]] = {}
    """By space, how well each group stands apart among all pictures of the map, trained on or not."""
    group_chance: dict[str, float] = {}
    """By group, the share that would be reached by chance: its share of the pictures of the map."""


class Doubtful(Config):
    """A picture whose label looks wrong, or that is hard."""

    picture: PictureRef
    """The picture."""
    of_truth: float
    """Mean probability of its label over the runs."""


LEAST_OF_GROUP, MOST_GROUPS = 5, 50
"""Groups of fewer test pictures, and those after the worst of so many, have no score in a record of errors."""


class GroupScore(Config):
    """The share of right answers in a group of pictures."""

    name: str
    """Name of the group or class."""
    n: int
    """Test pictures in it."""
    share: float
    """Share of right answers, 0 to 1; of masks, the score of its pixels."""
    interval: Interval
    """95 % interval (Wilson; of masks, bootstrap over pictures)."""


class ErrorsRecord(Record):
    """Where the runs of a candidate err (`explain/errors.json`)."""

    FORMAT: ClassVar[int] = 1

    candidate: str
    """The candidate."""
    n_runs: int
    """Answers to each picture that were taken together, each of another run."""
    n_folds: int = 1
    """Folds of which answers were put together, each to the pictures that were held out of it; 1 where all runs have
    one test part, and in records of before."""
    confident: tuple[PictureRef, ...]
    """Wrong answers of this run (with folds, of those of its deal), the most confident first."""
    hardest: tuple[Doubtful, ...]
    """Pictures whose label got the least probability in the mean over the runs."""
    mislabelled: tuple[Doubtful, ...]
    """Pictures that every run answers alike, confidently, and unlike their label."""
    classes: Annotated[tuple[GroupScore, ...], CLASS_NAMES]
    """Right answers by class, the worst first."""
    groups: tuple[GroupScore, ...] = ()
    """Right answers by group of at least five pictures, the worst first, at most fifty."""


class HardMask(Config):
    """A picture that is hard to tell apart into classes."""

    item: str
    """Its id in the source."""
    score: float
    """Its score, mean over the runs; that of a part is not the mean of those of its pictures."""


class MaskDoubt(Config):
    """A class of a picture whose label looks wrong: every run gives its pixels to one and the same other class."""

    item: str
    """Id of the picture."""
    truth: ClassName
    """The class of the label."""
    answer: ClassName
    """The class that every run answers."""
    share: float
    """Share of the class's pixels that the run which agrees least gives to it, 0 to 1."""
    covers: float
    """Share of the picture that the class covers, void left out."""


class MaskErrorsRecord(Record):
    """Where the runs of a candidate err on masks (`explain/mask_errors.json`); pictures beside in `mask_errors.npz`."""

    FORMAT: ClassVar[int] = 1

    candidate: str
    """The candidate."""
    n_runs: int
    """Runs whose answers were taken together."""
    classes: tuple[ClassName, ...]
    """Names of the classes, in the order of their ids."""
    metric: str
    """The metric of the scores."""
    hardest: tuple[HardMask, ...]
    """The pictures with the worst score, the worst first."""
    doubtful: tuple[MaskDoubt, ...]
    """Labels that look wrong, the largest first."""
    groups: tuple[GroupScore, ...] = ()
    """The score of groups of at least five pictures, the worst first, at most fifty; `share` is the score."""
