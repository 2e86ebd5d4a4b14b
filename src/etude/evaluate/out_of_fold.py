"""Out-of-fold predictions: what each picture was answered by the models that had not seen it, one file a candidate."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from etude.core.files import writing
from etude.evaluate.mask_counts import MaskCounts
from etude.evaluate.predictions import Predictions
from etude.evaluate.run_result import RunResult

if TYPE_CHECKING:
    import pyarrow as pa


def write_out_of_fold(folder: Path, runs: Mapping[str, Sequence[RunResult]]) -> dict[str, Path]:
    """Merge the test parts of all folds of each candidate; each file is written whole or not at all.

    Columns: `item`, `fold`, `seed`, and of classes `truth` and `probabilities`; of masks `confusion`, the K × K pixels
    of the picture by true class (row by row) and answer, and `boundary` (K × 4) where contours were counted. With
    folds each picture is in the test part once a repeat and a seed, so it has so many rows.

    Args:
        folder: where the files go, one a candidate, named after it.
        runs: finished runs over folds by candidate; one without is passed over.

    Returns:
        The files by candidate.

    Raises:
        StorageError: if the disk is full or protected.
    """
    names = file_names(runs)
    return {name: _write(folder / f"{names[name]}.parquet", entries) for name, entries in runs.items() if entries}


def file_names(candidates: Iterable[str]) -> dict[str, str]:
    """Name a file for each candidate, with letters that every disk takes; no two have the same, whatever its case.

    >>> file_names(["plain+flip", "a b", "a_b", "A_b"])
    {'plain+flip': 'plain+flip', 'a b': 'a_b', 'a_b': 'a_b-2', 'A_b': 'A_b-3'}
    """
    names: dict[str, str] = {}
    for candidate in candidates:
        plain = re.sub(r"[^A-Za-z0-9._+=,-]+", "_", candidate)
        taken = sum(re.sub(r"-\d+$", "", name).lower() == plain.lower() for name in names.values())
        names[candidate] = f"{plain}-{taken + 1}" if taken else plain
    return names


def _write(path: Path, runs: Sequence[RunResult]) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    tables = []
    for run in sorted(runs, key=lambda run: (run.record.seed, run.record.fold or 0)):
        answers = run.open_test()
        assert isinstance(answers, Predictions | MaskCounts)
        count = len(answers.ids)
        columns = {
            "item": pa.array(answers.ids.tolist(), pa.string()),
            "fold": pa.array(np.full(count, run.record.fold or 0, np.int16)),
            "seed": pa.array(np.full(count, run.record.seed, np.int64)),
        }
        tables.append(pa.table(columns | _answer_columns(answers)))
    with writing(path) as beside:
        pq.write_table(pa.concat_tables(tables), beside, compression="zstd")
    return path


def _answer_columns(answers: Predictions | MaskCounts) -> dict[str, pa.Array]:
    import pyarrow as pa

    if isinstance(answers, Predictions):
        return {"truth": pa.array(answers.truth, pa.int32()), "probabilities": _lists(answers.probabilities)}
    columns = {"confusion": _lists(answers.confusions)}
    return columns if answers.boundaries is None else columns | {"boundary": _lists(answers.boundaries)}


def _lists(values: npt.NDArray[np.generic]) -> pa.Array:
    """Return a column with all numbers of a picture in one cell, row by row."""
    import pyarrow as pa

    flat = np.ascontiguousarray(values).reshape(len(values), -1)
    return pa.FixedSizeListArray.from_arrays(pa.array(flat.ravel()), flat.shape[1])
