"""The record of a study: its plan, its runs, its leaderboard and its verdicts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, Literal

from etude.core.bound import Bound
from etude.core.class_names import ClassName
from etude.core.interval import Interval
from etude.core.published import PublishedValue
from etude.core.records import Config, Record

VerdictWord = Literal["better", "worse", "no difference shown"]


class LeaderboardRow(Config):
    """One candidate: its score with both intervals, and what it costs."""

    candidate: str
    """Name in the study file."""
    n_runs: int
    """Finished runs (seeds × folds)."""
    score: float | None
    """Mean score on the test part over the runs, in the study's metric; none while no run is finished."""
    deviation: float | None = None
    """Standard deviation of the score over folds, seeds of a fold averaged, or over seeds; none with one."""
    interval_runs: Interval | None = None
    """95 % interval over seeds or folds (t), within the bounds of the metric; none with one run."""
    interval_pictures: Interval | None = None
    """95 % interval over the pictures of the test part; none of measures of generated pictures that have no honest one
    (`metrics.generation.FeatureMetric.resampling`)."""
    validation_score: float | None = None
    """Mean score on the validation part."""
    train_score: float | None = None
    """Mean score on the training part without augmentation."""
    also: dict[str, float] = {}
    """Means of the other metrics that the protocol asks for, on the test part."""
    of_photographs: dict[str, Interval] = {}
    """Of those of them that are read against what photographs show (near copies), between what ends the mean of as many
    runs would lie in 95 of 100 draws if they gave fresh photographs. Records of earlier versions have none."""
    class_scores: dict[ClassName, float | None] = {}
    """For masks, the mean IoU over the runs of each class on the test part; none for a class that is not there."""
    category_scores: dict[ClassName, float | None] = {}
    """The same of each category of classes, where the classes have some."""
    seconds: float | None = None
    """Mean training time in seconds."""
    seconds_to_best: float | None = None
    """Mean training time in seconds up to the epoch that was kept."""
    search_seconds: float | None = None
    """Training time in seconds of the search that found its settings, all trials together, with folds the mean of their
    searches; none without a search."""
    images_per_s: float | None = None
    """Mean training pictures a second."""
    params: int | None = None
    """Parameters."""
    macs: int | None = None
    """Multiply-adds of one picture."""
    memory_mb: float | None = None
    """Peak memory in training in MiB, median over its runs: on a CPU that of the process, which grows with each run."""
    own_memory_mb: float | None = None
    """The same above what was held when each run began; none where it is not known."""
    latency_ms: float | None = None
    """Median milliseconds a picture at batch 1, of several runs the median of theirs."""
    latency_q1_ms: float | None = None
    """Lower quartile over the timed calls of a run, of several runs the median of theirs."""
    latency_q3_ms: float | None = None
    """Upper quartile, in the same way."""
    size_mb: float | None = None
    """Size of the weights in MB."""
    score_clean: float | None = None
    """Mean score on the test pictures of which no other part holds a twin; none where nothing leaks, or all does."""
    n_clean: int | None = None
    """Test pictures that remain clean in a run; none where nothing leaks."""
    failed: tuple[str, ...] = ()
    """One sentence for each run that failed."""


class Ratio(Config):
    """The score of one candidate over that of another."""

    value: float
    """Mean score over mean score."""
    interval: Interval
    """95 % interval over the test pictures, the trainings as they are."""
    over_runs: Interval | None = None
    """95 % interval over folds or seeds, which vary with the trainings too: t of the logarithms, over folds corrected
    for the training pictures that they share. None with one pair, where a score does not lie above 0, or in records of
    before."""
    runs: tuple[float, ...] = ()
    """The same of each pair of runs; empty where a run's divisor does not lie above 0, or in records of before."""


class Verdict(Config):
    """One paired comparison of a candidate with the baseline."""

    baseline: str
    """Name of the candidate that is compared against."""
    candidate: str
    """Name of the candidate."""
    metric: str
    """The metric that is compared."""
    n_pairs: int
    """Pairs (same seed, same fold)."""
    gain: float
    """Mean of candidate minus baseline, signed so that more is better."""
    low: float | None
    """Lower end of the 95 % interval of the gain, that of this comparison alone, not corrected as `p_adjusted` is."""
    high: float | None
    """Upper end of the 95 % interval of the gain."""
    p: float | None
    """Two-sided p-value of 'no difference'."""
    p_adjusted: float | None
    """The p-value after Holm's correction over the comparisons of its group."""
    verdict: VerdictWord
    """What the evidence allows to say at 5 %, after correction."""
    smallest_detectable: float | None
    """The smallest gain that so many runs with this spread would show 8 times out of 10."""
    method: str
    """Name of the test: 'paired t' over seeds, 'corrected resampled t' over folds, 'exact McNemar' with one pair."""
    pictures: Interval | None = None
    """95 % interval of the gain over the pictures of the test part, by the paired bootstrap, where the test is over
    runs: those that share a test part say nothing of other pictures. None for generators."""
    ratio: Ratio | None = None
    """For generators, the candidate's score over the baseline's; none for scores that are read as differences, and
    where the baseline's is not shown to lie above 0."""
    group: str = ""
    """Name of the ablation, search or combination that it belongs to, within which p was corrected; empty for the
    study's candidates."""

    @property
    def may_vanish(self) -> bool:
        """Whether a difference that is shown over runs may be one of these test pictures alone."""
        is_shown = self.verdict != "no difference shown"
        return is_shown and self.pictures is not None and self.pictures.low <= 0 <= self.pictures.high

    @property
    def differs_on_pictures(self) -> bool:
        """Whether the runs differ on their test pictures, while other runs are not shown to."""
        is_shown = self.verdict != "no difference shown"
        return not is_shown and self.pictures is not None and not self.pictures.low <= 0 <= self.pictures.high

    @property
    def leaves_zero_out(self) -> bool:
        """Whether the interval of the gain lies on one side of zero."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


CostColumn = Literal["seconds", "latency_ms"]
"""The costs of a leaderboard that a comparison sets beside each other."""


def cost_ratio(rows: Iterable[LeaderboardRow], verdict: Verdict, cost: CostColumn) -> float | None:
    """Return a cost of a candidate over that of what it is compared with; none where either has none.

    Args:
        rows: the leaderboard that has both.
        verdict: the comparison.
        cost: the column.
    """
    costs: dict[str, float | None] = {row.candidate: getattr(row, cost) for row in rows}
    ours, theirs = costs.get(verdict.candidate), costs.get(verdict.baseline)
    return ours / theirs if ours and theirs else None


class AblationGroup(Config):
    """The comparisons of one ablation: one field of a candidate varied."""

    name: str
    """Name of the group, such as 'plain: augment.use'; its verdicts carry it."""
    of: str
    """The baseline of the group: the candidate that is varied, or where one augmentation is left out, the one that has
    them all."""
    vary: str
    """The field that is varied, dotted."""
    candidates: tuple[str, ...]
    """The variants, in the order of the file; a value that `of` has already makes none."""
    all_of: str = ""
    """Where each variant leaves out one of the augmentations of `of`, the candidate on top of which they come; empty
    for values that are tried one by one."""

    @property
    def varied(self) -> str:
        """The candidate of the study file that the ablation varies."""
        return self.all_of or self.of


SEARCH_GROUP = "search of "
"""What the name of a group of comparisons begins with that sets what searches found beside what they varied."""


COMBINE_GROUP = "combinations of "
"""What the name of a group of comparisons begins with that sets combined candidates beside what they combine."""


class Combination(Config):
    """A candidate that differs from another in what is made of the finished training only.

    Its gain over that one stands in a verdict, its cost in the leaderboard.
    """

    candidate: str
    """Name of the candidate."""
    of: str
    """The candidate of one network that answers once."""
    combine: dict[str, Any]
    """What is combined, the fields of `combine` that are not at their default."""


class SearchSummary(Config):
    """A search, summed up: what it cost; its gain stands in the verdict of its candidate against `of`."""

    candidate: str
    """The candidate that its best settings make."""
    of: str
    """The candidate that it varied."""
    sampler: str
    """random, grid, random-then-grid or tpe."""
    n_trials: int
    """Trials in all; with folds those of all folds."""
    n_complete: int
    """Trials that were trained to their end."""
    n_pruned: int = 0
    """Trials that were stopped early on validation."""
    n_failed: int = 0
    """Trials that failed."""
    seconds: float
    """Training time in seconds of all its trials."""
    settings: tuple[dict[str, Any], ...] = ()
    """The best settings by dotted field, one a fold."""
    validation_scores: tuple[float | None, ...] = ()
    """The validation score of the best trial, one a fold: the best of many, so it flatters."""
    records: tuple[str, ...] = ()
    """Paths of the records of its trials in the study's folder, one a fold."""
    identities: tuple[str, ...] = ()
    """Names of the trials' folders under `runs/`."""


class RunRef(Config):
    """A run of the plan and where it stands."""

    candidate: str
    """Name of the candidate."""
    seed: int
    """Seed."""
    fold: int | None = None
    """Fold."""
    identity: str
    """Name of the run's folder under `runs/`."""
    status: Literal["planned", "running", "finished", "failed"]
    """Where it stands."""
    failure: str = ""
    """The sentence of the error, for a failed run."""


class Resampling(Config):
    """How the intervals over the test pictures draw pictures that are not independent, such as frames of a video."""

    unit: Literal["groups", "blocks"]
    """Whole groups, or blocks of neighbouring pictures of one group; of 2 to 7 groups both, and the wider interval."""
    drawn: int
    """How many of them each replicate draws."""
    groups: int
    """Groups that the test pictures are of."""
    length: int | None = None
    """Pictures in a block; none where only whole groups are taken."""

    @property
    def is_of_few(self) -> bool:
        """Whether groups are left out in turn and blocks are drawn too, as there are but few groups."""
        return self.unit == "groups" and self.length is not None


class CandidateTime(Config):
    """What the runs of a candidate were expected to take, and what they took."""

    candidate: str
    """Name of the candidate."""
    estimated_seconds: float | None = None
    """Training time of one run, all its trainings together, as it was estimated from a few steps before the first one;
    none where they were not timed: `etude plan` times all, `etude run` only what trains long beside that."""
    real_seconds: float | None = None
    """Mean training time of its finished runs, all trainings of a run together; none before the first."""


class StudyRecord(Record):
    """The plan and its runs, the comparisons and their verdicts (`study.json`)."""

    FORMAT: ClassVar[int] = 1

    name: str
    """Name of the study."""
    question: str
    """The question that it answers."""
    questions: dict[str, str] = {}
    """The question by language, where the study file gives it in several."""
    task: str
    """classification, segmentation or generation."""
    metric: str
    """The metric that ranks and compares."""
    higher_is_better: bool
    """Direction of the metric."""
    baseline: str | None
    """The candidate that the others are compared with."""
    config: dict[str, Any]
    """The whole resolved study file, defaults included."""
    classes: tuple[ClassName, ...]
    """Names of the classes."""
    counts: dict[str, dict[ClassName, int]]
    """Pictures by part and class: counts['train']['cat']; of masks, those in which the class is seen."""
    pixels: dict[str, dict[ClassName, int]] = {}
    """Of masks, pixels by part and class as the first candidate sees them, void left out; empty for others, and in
    records of earlier versions."""
    class_weights: dict[str, dict[ClassName, float]] = {}
    """Of masks, by way of `train.class_weights` the weight of each class that the training part's pixels give."""
    n_pictures: dict[str, int] = {}
    """Pictures by part; empty in records of earlier versions."""
    licence: str = ""
    """Terms of the pictures, as their source states them; empty where it states none, or in records of earlier
    versions."""
    runs: tuple[RunRef, ...]
    """Every run of the plan, in order."""
    leaderboard: tuple[LeaderboardRow, ...]
    """One row a candidate, best first."""
    verdicts: tuple[Verdict, ...]
    """One comparison a candidate other than the baseline, then those of each ablation with its own baseline."""
    looks: tuple[int, ...] = ()
    """Numbers of seeds at which these candidates were judged, one call of `etude run` after the other; with `seeds:
    auto` each at which its rule looked. Empty in records of earlier versions."""
    rules: tuple[tuple[int, int], ...] = ()
    """First look and most seeds of each `seeds: auto` by which these candidates were judged, the last one last."""
    ablations: tuple[AblationGroup, ...] = ()
    """The ablations of the study."""
    searches: tuple[SearchSummary, ...] = ()
    """The searches of the study."""
    combinations: tuple[Combination, ...] = ()
    """The candidates that combine the trainings of others."""
    command: str = ""
    """The last command line that ran it."""
    origin: str = ""
    """What it was made of: its file or its folder of pictures, as a path from the study's own folder, or the name of an
    embedded study; empty where a program made it, and in records of earlier versions."""
    device: str = ""
    """The machine in words."""
    versions: dict[str, str] = {}
    """Versions of Python and of the libraries."""
    seconds: float = 0.0
    """Training seconds of all its runs."""
    data_fingerprint: str = ""
    """Hash of pictures and labels; empty in records of earlier versions."""
    split_kind: str = ""
    """How the pictures were parted, `auto` resolved; empty in records of earlier versions."""
    split_digests: tuple[str, ...] = ()
    """For each fold, the hash of which picture is in which part; empty in records of earlier versions."""
    times: tuple[CandidateTime, ...] = ()
    """For each candidate, the time that was estimated beside the real one."""
    notes: tuple[str, ...] = ()
    """Sentences that a reader must know."""
    resampling: Resampling | None = None
    """How the intervals over pictures draw pictures that are not independent; none where each is drawn by itself, as in
    records of earlier versions."""
    bounds: tuple[Bound, ...] = ()
    """What the study file asks of its candidates, and what came of it."""
    published: tuple[PublishedValue, ...] = ()
    """Values that others published, as the study file states them; nothing here was compared with them."""

    @classmethod
    def upgrade(cls, content: dict[str, Any]) -> dict[str, Any]:
        """Leave out intervals of near copies that earlier versions wrote: they called chance a copy."""
        rows = content.get("leaderboard", [])
        if not any(isinstance(row, dict) and "also_pictures" in row for row in rows):
            return content
        return content | {
            "leaderboard": [{name: row[name] for name in row if name != "also_pictures"} for row in rows]
        }  # fmt: skip

    def draws_of(self, candidate: str) -> int:
        """Return what an interval over the runs of a candidate rests on: folds where it has several, else seeds."""
        finished = [ref for ref in self.runs if ref.candidate == candidate and ref.status == "finished"]
        folds = {ref.fold for ref in finished}
        return len(folds) if len(folds) > 1 else len(finished)

    @property
    def published_here(self) -> tuple[PublishedValue, ...]:
        """The published values that are of this study's source, or of no named one."""
        source = str(self.config.get("data", {}).get("source") or "")
        return tuple(value for value in self.published if value.is_of(source))

    @property
    def n_planned(self) -> int:
        """How many trainings the plan holds: candidates that come to the same training share it."""
        return len({ref.identity for ref in self.runs})

    @property
    def names_without_variants(self) -> tuple[str, ...]:
        """The candidates that the study file names, in the order of the leaderboard."""
        variants = {name for group in self.ablations for name in group.candidates}
        return tuple(row.candidate for row in self.leaderboard if row.candidate not in variants)

    @property
    def sizes(self) -> dict[str, int]:
        """Pictures of each part, of folds those of the first; empty where the record does not tell."""
        if self.n_pictures or self.task == "segmentation":  # a picture has many classes of masks
            return dict(self.n_pictures)
        return {part: sum(counts.values()) for part, counts in self.counts.items()}

    @property
    def n_folds(self) -> int:
        """How many splits of the pictures the runs are of."""
        return len({ref.fold for ref in self.runs})

    @property
    def n_repeats(self) -> int:
        """How many times the pictures were dealt into folds for these splits."""
        split = self.config.get("data", {}).get("split")
        repeats = int(split.get("repeats") or 1) if isinstance(split, dict) else 1
        return repeats if self.n_folds % repeats == 0 else 1

    @property
    def n_tested(self) -> int | None:
        """Test pictures, of folds those of all together; none where the record does not tell."""
        parts = self.sizes
        if self.n_folds <= 1:
            return parts.get("test")
        return None if parts.get("left_out") else sum(parts.values()) or None

    def verdict_on(self, search: SearchSummary) -> Verdict | None:
        """Return the comparison of what a search found with what it varied; none before there is one."""
        return self.verdict_between(search.candidate, search.of)

    def verdict_between(self, candidate: str, baseline: str) -> Verdict | None:
        """Return the comparison of two candidates; none before there is one."""
        found = [v for v in self.verdicts if (v.candidate, v.baseline) == (candidate, baseline)]
        return found[0] if found else None
