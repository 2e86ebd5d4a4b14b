"""The features of what a generator gave, beside those of real pictures, and their file.

Shapes: N held-out pictures, M generated ones, T training pictures, D features, R weightings.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from etude.core.errors import MistakeError, sentence
from etude.core.files import writing
from etude.core.words import Part
from etude.metrics.generation import GENERATION_METRICS, FeatureSets

_GENERATED: Final = "generated"
_MIRRORED: Final = f"{Part.TRAIN.label} mirrored"


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

    def write(self, path: Path) -> None:
        """Write the file whole or not at all.

        Columns: `item` (string, empty for generated pictures), `part` (string; `generated` for those, `train mirrored`
        for the training pictures as a mirror shows them) and `features` (fixed-size list of D float32).
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        parts = [
            (self.part.label, self.sets.real_ND),
            (_GENERATED, self.sets.generated_MD),
            (Part.TRAIN.label, self.sets.training_TD),
        ]
        if self.sets.mirrored_TD is not None:
            parts.append((_MIRRORED, self.sets.mirrored_TD))
        flat = np.concatenate([features for _, features in parts]).astype(np.float32)
        unnamed = [""] * (len(flat) - len(self))
        table = pa.table(
            {
                "item": pa.array([*self.ids.tolist(), *unnamed], pa.string()),
                "part": pa.array([name for name, rows in parts for _ in range(len(rows))], pa.string()),
                "features": pa.FixedSizeListArray.from_arrays(pa.array(flat.ravel()), flat.shape[1]),
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
            items = np.array(table.column("item").to_pylist(), dtype=np.dtypes.StringDType())
        except (OSError, KeyError, ValueError, AttributeError, pa.ArrowException) as error:
            remedy = "Delete the run's folder, and the same command trains it again."
            raise MistakeError(f"{path}: cannot be read as features ({error}). {remedy}") from error
        if part.label not in names or part is Part.TRAIN:
            raise MistakeError(sentence(str(path), "part", "test", part.label))
        at = {name: names == name for name in (part.label, _GENERATED, Part.TRAIN.label, _MIRRORED)}
        mirrored = features[at[_MIRRORED]] if at[_MIRRORED].any() else None
        sets = FeatureSets(features[at[_GENERATED]], features[at[part.label]], features[at[Part.TRAIN.label]], mirrored)
        return cls(items[at[part.label]], part, sets)
