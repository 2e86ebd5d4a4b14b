"""What a finished segmentation model gave to every picture of a part: its counts of pixels, and the file of them.

A picture's matrix is all that a score of pixels needs, at a thousandth of the masks' size, and pictures can still be
resampled. Shapes: N pictures, K classes, R weightings.
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
from etude.metrics import SEGMENTATION_METRICS


@dataclass(frozen=True, eq=False)
class MaskCounts:
    """The pixels of each picture of one part by true and predicted class, void left out.

    Raises:
        DataError: if the arrays do not fit each other, a count is negative, or an item comes twice.
    """

    ids: npt.NDArray[np.str_]
    """(N,) item ids, each once: any array of strings; kept as numpy strings."""
    part: Part
    """The part that the pictures are in."""
    confusions: npt.NDArray[np.int64]
    """(N, K, K) pixels; rows are true classes, as `etude.metrics.segmentation.pixel_confusion` counts them."""
    boundaries: npt.NDArray[np.int64] | None = None
    """(N, K, 4) contour pixels, as `etude.metrics.boundaries.boundary_counts` counts them; none: not counted."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "ids", np.asarray(self.ids, dtype=np.dtypes.StringDType()))
        object.__setattr__(self, "part", Part(self.part))
        object.__setattr__(self, "confusions", np.ascontiguousarray(self.confusions, dtype=np.int64))
        shape = self.confusions.shape
        if self.confusions.ndim != 3 or shape[1] != shape[2] or shape[:1] != self.ids.shape:
            given = (self.ids.shape, shape)
            raise DataError(sentence("mask counts", "shapes of ids and confusions", "(N,), (N, K, K)", given))
        if self.boundaries is not None and self.boundaries.shape != (*shape[:2], 4):
            rule = f"({shape[0]}, {shape[1]}, 4)"
            raise DataError(sentence("mask counts", "the shape of boundaries", rule, self.boundaries.shape))
        if (self.confusions < 0).any():
            raise DataError(sentence("mask counts", "counts", "not negative", int(self.confusions.min())))
        if count_distinct(self.ids) != len(self.ids):
            raise DataError(
                sentence("mask counts", "ids", "unique", f"{len(self.ids) - count_distinct(self.ids)} twice")
            )

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def n_classes(self) -> int:
        """K."""
        return int(self.confusions.shape[1])

    def score(self, metric: str) -> float:
        """Return one score of the whole part; `etude.metrics.SEGMENTATION_METRICS` says its unit and direction.

        Raises:
            MistakeError: if the metric is unknown.
            DataError: if there is no picture.
        """
        if len(self) == 0:
            remedy = "Give this part more pictures: data.split says how many."
            raise DataError(sentence("evaluate", f"the {self.part.label} part", "of at least 1 picture", 0, remedy))
        return float(self.under_weights(metric, np.ones((1, len(self))))[0])

    def values_of_pictures(self, metric: str) -> npt.NDArray[np.float64] | None:
        """Return none: scores of pixels are ratios of sums over the part, no means over pictures."""
        SEGMENTATION_METRICS[metric]
        return None

    def under_weights(self, metric: str, weights_RN: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the score (R,) under each row of weights: the pictures resampled."""
        known = SEGMENTATION_METRICS[metric]
        if known.from_confusion is not None:
            return known.from_confusion(_sum_under(weights_RN, self.confusions))
        assert known.from_boundaries is not None
        if self.boundaries is None:
            remedy = "Ask for it in protocol.metric or protocol.also before the run is made."
            raise MistakeError(sentence("evaluate", metric, "of a run that counted its contours", None, remedy))
        return known.from_boundaries(_sum_under(weights_RN, self.boundaries))

    def of_pictures(self, metric: str) -> npt.NDArray[np.float64]:
        """Return the score (N,) of each picture by itself: not what the score of the part is the mean of."""
        known = SEGMENTATION_METRICS[metric]
        counts = self.confusions if known.from_confusion is not None else self.boundaries
        from_counts = known.from_confusion or known.from_boundaries
        assert from_counts is not None
        if counts is None:
            raise MistakeError(sentence("evaluate", metric, "of a run that counted its contours", None))
        return from_counts(counts)

    def write(self, path: Path) -> None:
        """Write one part to a Parquet file, whole or not at all.

        Columns: `item` (string), `part` (string), `confusion` (fixed-size list of K × K int64, row by row), and
        `boundary` (K × 4 int64) where contours were counted.
        """
        write_mask_counts(path, [self])

    @classmethod
    def read(cls, path: Path, part: Part | None = None) -> Self:
        """Read one part of a file.

        Args:
            path: a file that `write` or `write_mask_counts` left.
            part: which part; none where the file holds only one.

        Raises:
            MistakeError: if the file cannot be read, is not of mask counts, or does not hold the part.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            table = pq.read_table(path).combine_chunks()
            side = round(table.column("confusion").type.list_size ** 0.5)
            labels_N = np.array(table.column("part").to_pylist(), dtype=object)
            items = np.array(table.column("item").to_pylist(), dtype=np.dtypes.StringDType())
            flat = table.column("confusion").combine_chunks().flatten().to_numpy(zero_copy_only=False)
            contours = None
            if "boundary" in table.column_names:
                contours = table.column("boundary").combine_chunks().flatten().to_numpy(zero_copy_only=False)
        except (OSError, KeyError, ValueError, AttributeError, pa.ArrowException) as error:
            remedy = "Delete the run's folder, and the same command trains it again."
            raise MistakeError(f"{path}: cannot be read as mask counts ({error}). {remedy}") from error
        held = list(dict.fromkeys(labels_N.tolist()))
        wanted = part.label if part is not None else held[0] if len(held) == 1 else None
        if wanted not in held:
            raise MistakeError(sentence(str(path), "part", f"one of {', '.join(held)}", wanted))
        mask = labels_N == wanted
        boundaries = None if contours is None else contours.reshape(-1, side, 4)[mask]
        return cls(items[mask], Part[str(wanted).upper()], flat.reshape(-1, side, side)[mask], boundaries)


def _sum_under(weights_RN: npt.NDArray[np.float64], counts: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Return the sums (R, ...) of counts (N, ...) under each row of weights."""
    flat_NC = counts.reshape(len(counts), -1).astype(np.float64)
    return (weights_RN @ flat_NC).reshape(-1, *counts.shape[1:])


def write_mask_counts(path: Path, parts: list[MaskCounts]) -> None:
    """Write several parts to one Parquet file, whole or not at all.

    Raises:
        DataError: if there is none, a part comes twice, or the parts have different numbers of classes.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    n_classes = {counts.n_classes for counts in parts}
    names = [counts.part.label for counts in parts]
    if len(n_classes) != 1 or len(set(names)) != len(names):
        given = [(counts.part.label, counts.n_classes) for counts in parts]
        raise DataError(sentence("mask counts", "parts of one file", "each once, of the same classes", given))
    flat = pa.array(np.concatenate([counts.confusions.ravel() for counts in parts]))
    n_classes_each = n_classes.pop()
    table = pa.table(
        {
            "item": pa.array([item for counts in parts for item in counts.ids.tolist()], pa.string()),
            "part": pa.array([c.part.label for c in parts for _ in range(len(c))], pa.string()).dictionary_encode(),
            "confusion": pa.FixedSizeListArray.from_arrays(flat, n_classes_each**2),
        }
    )
    contours = [counts.boundaries for counts in parts if counts.boundaries is not None]
    if len(contours) == len(parts):
        values = pa.array(np.concatenate([counted.ravel() for counted in contours]))
        table = table.append_column("boundary", pa.FixedSizeListArray.from_arrays(values, 4 * n_classes_each))
    with writing(path) as beside:
        pq.write_table(table, beside, compression="zstd")
