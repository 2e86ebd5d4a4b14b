"""What a finished classifier said of every picture of a part, and its file.

Shapes: N pictures, K classes, R weightings.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from etude.core.errors import DataError, MistakeError, sentence
from etude.core.files import writing
from etude.core.texts import count_distinct
from etude.core.words import Part
from etude.metrics import METRICS, Metric
from etude.metrics.classification import predicted_labels
from etude.metrics.confusion import confusion_matrix, confusion_under

SUM_TOLERANCE = 1e-3


@dataclass(frozen=True, eq=False)
class Predictions:
    """The probabilities that one model gave to the pictures of one part, beside the truth.

    Raises:
        DataError: if the arrays do not fit each other, an item comes twice, a label is out of range, or a row is
            no distribution over the classes (not finite, negative, or not summing to 1).
    """

    ids: npt.NDArray[np.str_]
    """(N,) item ids, each once: any array of strings; kept as numpy strings."""
    part: Part
    """The part that the pictures are in."""
    truth: npt.NDArray[np.int64]
    """(N,) true class ids, in [0, K)."""
    probabilities: npt.NDArray[np.float32]
    """(N, K) probabilities; each row sums to 1."""
    threshold: float | None = None
    """For two classes, the probability of class 1 from which it is predicted, chosen on validation; none: the most
    probable class. It moves the metrics of labels only."""

    def __post_init__(self) -> None:
        strings = np.asarray(self.ids, dtype=np.dtypes.StringDType())
        object.__setattr__(self, "ids", strings)
        object.__setattr__(self, "part", Part(self.part))
        object.__setattr__(self, "truth", np.ascontiguousarray(self.truth, dtype=np.int64))
        object.__setattr__(self, "probabilities", np.ascontiguousarray(self.probabilities, dtype=np.float32))
        self._check()

    def _check(self) -> None:
        n = len(self.ids)
        shapes = (self.ids.shape, self.truth.shape, self.probabilities.shape[:1])
        if self.probabilities.ndim != 2 or shapes != ((n,), (n,), (n,)):
            given = (self.ids.shape, self.truth.shape, self.probabilities.shape)
            raise DataError(
                sentence("predictions", "shapes of ids, truth and probabilities", "(N,), (N,), (N, K)", given)
            )
        if n == 0:
            return
        low, high = int(self.truth.min()), int(self.truth.max())
        if low < 0 or high >= self.n_classes:
            wrong = low if low < 0 else high
            raise DataError(sentence("predictions", "truth", f"from 0 to {self.n_classes - 1}", wrong))
        if not np.isfinite(self.probabilities).all():
            remedy = "The model gave NaN or infinity: its training diverged, or it was exported wrongly."
            raise DataError(sentence("predictions", "probabilities", "finite", float("nan"), remedy))
        sums_N = self.probabilities.sum(axis=1, dtype=np.float64)
        if (self.probabilities < 0).any() or np.abs(sums_N - 1).max() > SUM_TOLERANCE:
            worst = float(sums_N[np.abs(sums_N - 1).argmax()])
            remedy = "Give probabilities, not logits: apply softmax first."
            raise DataError(sentence("predictions", "each row", "not negative, with sum 1", worst, remedy))
        if count_distinct(self.ids) != n:
            raise DataError(sentence("predictions", "ids", "unique", f"{n - count_distinct(self.ids)} twice"))

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def n_classes(self) -> int:
        """K."""
        return int(self.probabilities.shape[1])

    @property
    def labels(self) -> npt.NDArray[np.int64]:
        """(N,) predicted class ids."""
        return predicted_labels(self.probabilities, self.threshold)

    def score(self, metric: str) -> float:
        """Return one score; `etude.metrics.METRICS` says its unit and direction.

        Raises:
            MistakeError: if the metric is unknown.
            DataError: if there is no picture, or the metric is of two classes and there are more.
        """
        known = METRICS[metric]
        if len(self) == 0:
            remedy = "Give this part more pictures: data.split says how many."
            raise DataError(sentence("evaluate", f"the {self.part.label} part", "of at least 1 picture", 0, remedy))
        if known.from_confusion:
            return float(known.from_confusion(confusion_matrix(self.truth, self.labels, self.n_classes)))
        return known.function(self.truth, self.probabilities)

    def values_of_pictures(self, metric: str) -> npt.NDArray[np.float64] | None:
        """Return the (N,) values of which the metric is the mean; none where it is no mean over pictures."""
        known = METRICS[metric]
        return known.per_picture(self.truth, self._scored(known)) if known.per_picture else None

    def under_weights(self, metric: str, weights_RN: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the score (R,) under each row of weights: the pictures resampled."""
        known = METRICS[metric]
        if known.from_confusion:
            return known.from_confusion(confusion_under(self.truth, self.labels, self.n_classes, weights_RN))
        if known.per_picture:
            values_N = known.per_picture(self.truth, self._scored(known))
            means_R: npt.NDArray[np.float64] = weights_RN @ values_N / weights_RN.sum(axis=1)
            return means_R
        if known.under_weights:
            return known.under_weights(self.truth, self.probabilities, weights_RN)
        return np.array([known.function(self.truth, self.probabilities, weights_N) for weights_N in weights_RN])

    def _scored(self, metric: Metric) -> npt.NDArray[np.float32]:
        """Probabilities as a metric of labels must see them where a threshold decides."""
        if self.threshold is None or metric.needs == "probabilities":
            return self.probabilities
        return np.eye(self.n_classes, dtype=np.float32)[self.labels]

    def write(self, path: Path) -> None:
        """Write the file of one part whole or not at all; `write_predictions` puts several parts in one."""
        write_predictions(path, [self])

    @classmethod
    def read(cls, path: Path, part: Part | None = None) -> Self:
        """Read one part of a file.

        Args:
            path: a file that `write` or `write_predictions` left.
            part: which part; none where the file holds only one.

        Raises:
            MistakeError: if the file cannot be read, is not of predictions, or does not hold the part.
        """
        parts = _read_columns(path)
        if part is None and len(parts) == 1:
            part = next(iter(parts))
        if part is None or part not in parts:
            held = ", ".join(entry.label for entry in parts)
            raise MistakeError(sentence(str(path), "part", f"one of {held}", part.label if part is not None else None))
        return cls(*parts[part])


def write_predictions(path: Path, parts: list[Predictions]) -> None:
    """Write the predictions of several parts to one Parquet file, whole or not at all.

    Columns: `item` (string), `part` (string), `truth` (int32), `probabilities` (fixed-size list of K float32).

    Raises:
        DataError: if there is none, a part comes twice, or the parts have different numbers of classes.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    n_classes = {predictions.n_classes for predictions in parts}
    names = [predictions.part.label for predictions in parts]
    if len(n_classes) != 1 or len(set(names)) != len(names):
        given = [(predictions.part.label, predictions.n_classes) for predictions in parts]
        raise DataError(sentence("predictions", "parts of one file", "each once, of the same classes", given))
    flat = pa.array(np.concatenate([predictions.probabilities.ravel() for predictions in parts]))
    table = pa.table(
        {
            "item": pa.array([item for predictions in parts for item in predictions.ids.tolist()], pa.string()),
            "part": pa.array([p.part.label for p in parts for _ in range(len(p))], pa.string()).dictionary_encode(),
            "truth": pa.array(np.concatenate([predictions.truth for predictions in parts]), pa.int32()),
            "probabilities": pa.FixedSizeListArray.from_arrays(flat, n_classes.pop()),
        }
    )
    thresholds = {p.part.label: repr(p.threshold) for p in parts if p.threshold is not None}
    table = table.replace_schema_metadata({f"threshold.{name}": value for name, value in thresholds.items()})
    with writing(path) as beside:
        # No two probabilities are equal: a dictionary of them is larger than they are, their bytes in streams smaller.
        streams = {"probabilities.list.element": "BYTE_STREAM_SPLIT"}
        pq.write_table(
            table, beside, compression="zstd", use_dictionary=["item", "part", "truth"], column_encoding=streams
        )


_Columns = tuple[npt.NDArray[np.str_], Part, npt.NDArray[np.int64], npt.NDArray[np.float32], float | None]


def _read_columns(path: Path) -> dict[Part, _Columns]:
    """Read a file of predictions, split by part, in the order in which the parts come."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path).combine_chunks()
        lists = table.column("probabilities")
        width = lists.type.list_size
        flat = lists.combine_chunks().flatten() if len(table) else pa.array([], pa.float32())
        probabilities_NK = flat.to_numpy(zero_copy_only=False).reshape(-1, width)
        items = np.array(table.column("item").to_pylist(), dtype=np.dtypes.StringDType())
        part_N = np.array([Part[name.upper()] for name in table.column("part").to_pylist()], dtype=np.int8)
        truth_N = table.column("truth").to_numpy()
        metadata = table.schema.metadata or {}
    except (OSError, KeyError, ValueError, AttributeError, pa.ArrowException) as error:
        remedy = "Delete the run's folder, and the same command trains it again."
        raise MistakeError(f"{path}: cannot be read as predictions ({error}). {remedy}") from error
    present = [Part(int(number)) for number in dict.fromkeys(part_N.tolist())]
    masks = {part: part_N == part for part in present}
    thresholds: dict[Part, float | None] = dict.fromkeys(present)
    for part in present:
        if (written := metadata.get(f"threshold.{part.label}".encode())) is not None:
            thresholds[part] = float(written)
    return {
        part: (items[mask], part, truth_N[mask], probabilities_NK[mask], thresholds[part])
        for part, mask in masks.items()
    }
