"""The answers that a run left, of whichever task it was."""

from __future__ import annotations

from pathlib import Path

from etude.core.errors import MistakeError
from etude.core.words import Part
from etude.evaluate.generated import GeneratedFeatures
from etude.evaluate.mask_counts import MaskCounts
from etude.evaluate.predictions import Predictions


def read_answers(path: Path, part: Part) -> Predictions | MaskCounts | GeneratedFeatures:
    """Read one part of `predictions.parquet`.

    Raises:
        MistakeError: if the file cannot be read, is of nothing that is known, or does not hold the part.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        names = pq.read_schema(path).names
    except (OSError, pa.ArrowException) as error:
        remedy = "Delete the run's folder, and the same command trains it again."
        raise MistakeError(f"{path}: cannot be read as predictions ({error}). {remedy}") from error
    if "features" in names:
        return GeneratedFeatures.read(path, part)
    return MaskCounts.read(path, part) if "confusion" in names else Predictions.read(path, part)
