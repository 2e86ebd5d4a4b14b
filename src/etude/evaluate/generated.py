"""The features of what a generator gave, beside those of real pictures, and their file.

Shapes: N held-out pictures, M generated ones, T training pictures, D features, R weightings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from etude.core.errors import MistakeError, sentence
from etude.core.files import writing
from etude.core.words import Part
from etude.metrics.generation import GENERATION_METRICS, FeatureSets

_GENERATED: Final = "generated"


@dataclass(frozen=True, eq=False)
class GeneratedFeatures:
    """A generator as it is scored: against the real pictures of one part, which can be resampled."""

    ids: npt.NDArray[np.str_]
    """(N,) ids of the real pictures."""
    part: Part
    """The part that they are in."""
    sets: FeatureSets
    """The features of all."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "ids", np.asarray(self.ids, dtype=np.dtypes.StringDType()))

    def __len__(self) -> int:
        return len(self.ids)

    def score(self, metric: str) -> float:
        """Return one score; `etude.metrics.generation.GENERATION_METRICS` says its unit and direction."""
        return float(GENERATION_METRICS[metric].function(self.sets))

    def values_of_pictures(self, metric: str) -> npt.NDArray[np.float64] | None:
        """Return none: distances of distributions are no means over pictures."""
        GENERATION_METRICS[metric]
        return None

    def under_weights(self, metric: str, weights_RN: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the score (R,) under each row of weights: the real pictures resampled, the generated ones as they are.

        Where a row leaves fewer than two pictures the score is NaN.
        """
        scores_R = np.full(len(weights_RN), np.nan)
        enough_R = (weights_RN > 0).sum(1) >= 2
        if enough_R.any():
            scores_R[enough_R] = GENERATION_METRICS[metric].under_weights(self.sets, weights_RN[enough_R])
        return scores_R

    def write(self, path: Path, nearest: tuple[Sequence[str], Sequence[str]] | None = None) -> None:
        """Write the file whole or not at all.

        Columns: `item` (string, empty for all but the real pictures), `part` (string; `generated` for those),
        `features` (fixed-size list of D float16 where these hold them exactly, else float32), `nearness` to the
        training pictures (float64; null for those) and
        `nearest_item` (string; null for those), the id of the training picture that is nearest.

        Args:
            path: of the file.
            nearest: the ids (N,) nearest to the real pictures and (M,) to the generated ones, where they are known.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        sets = self.sets
        parts = [
            (self.part.label, sets.real_ND, sets.real_nearness_N),
            (_GENERATED, sets.generated_MD, sets.generated_nearness_M),
            (Part.TRAIN.label, sets.training_TD, None),
        ]
        flat = np.concatenate([features for _, features, _ in parts])
        half = _halves(flat)
        flat = half if np.array_equal(half, flat) else flat.astype(np.float32)
        nearness = [[None] * len(rows) if near is None else near.tolist() for _, rows, near in parts]
        none = [None] * len(sets.training_TD)
        known = [None] * (len(flat) - len(none)) if nearest is None else [*nearest[0], *nearest[1]]
        unnamed = [""] * (len(flat) - len(self))
        table = pa.table(
            {
                "item": pa.array([*self.ids.tolist(), *unnamed], pa.string()),
                "part": pa.array([name for name, rows, _ in parts for _ in range(len(rows))], pa.string()),
                "features": pa.FixedSizeListArray.from_arrays(pa.array(flat.ravel()), flat.shape[1]),
                "nearness": pa.array([value for values in nearness for value in values], pa.float64()),
                "nearest_item": pa.array([*known, *none], pa.string()),
            }
        )
        with writing(path) as beside:
            pq.write_table(table, beside, compression="zstd")

    @classmethod
    def read(cls, path: Path, part: Part) -> Self:
        """Read the file of a run.

        Raises:
            MistakeError: if the file cannot be read or does not hold the part.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            table = pq.read_table(path).combine_chunks()
            names = np.array(table.column("part").to_pylist(), dtype=object)
            lists = table.column("features")
            flat = lists.combine_chunks().flatten().to_numpy(zero_copy_only=False)
            features = flat.reshape(-1, lists.type.list_size)
            nearness = _nearness_of(table)
            items = np.array(table.column("item").to_pylist(), dtype=np.dtypes.StringDType())
        except (OSError, KeyError, ValueError, AttributeError, pa.ArrowException) as error:
            remedy = "Delete the run's folder, and the same command trains it again."
            raise MistakeError(f"{path}: cannot be read as features ({error}). {remedy}") from error
        if part.label not in names or part is Part.TRAIN:
            raise MistakeError(sentence(str(path), "part", "test", part.label))
        of_part, made, training = (names == name for name in (part.label, _GENERATED, Part.TRAIN.label))
        near = (None, None) if nearness is None else (nearness[made], nearness[of_part])
        return cls(items[of_part], part, FeatureSets(features[made], features[of_part], features[training], *near))


def rounded_to_half(features_ND: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return features as float16 holds them, so that a file of half the size scores the same; too large ones as is."""
    half_ND = _halves(features_ND)
    return half_ND.astype(np.float32) if np.isfinite(half_ND).all() else features_ND


def _halves(features_ND: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.float16]:
    with np.errstate(over="ignore"):  # what is too large becomes infinite, which both who ask look at
        return features_ND.astype(np.float16)


def _nearness_of(table: Any) -> npt.NDArray[np.float64] | None:  # noqa: ANN401 - pyarrow has no types
    """Return the nearness of each row, NaN for training pictures; none in files of earlier versions."""
    if "nearness" not in table.column_names:
        return None
    found: npt.NDArray[np.float64] = table.column("nearness").combine_chunks().to_numpy(zero_copy_only=False)
    made = np.array([name == _GENERATED for name in table.column("part").to_pylist()])
    return None if np.isnan(found[made]).any() else found
