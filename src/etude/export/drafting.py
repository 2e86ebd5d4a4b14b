"""A bundle that is not written yet: what the export of any task begins with."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, cast

from etude.core.bundle_record import BundleRecord, Gate, Task
from etude.core.counting import how_many
from etude.core.machine import processor_name, usable_threads
from etude.evaluate.cost import versions
from etude.export.bundling import with_entries
from etude.export.request import Request

GRAPH_FILE: Final = "model.onnx"
REFERENCE_FILE: Final = "reference.npz"


@dataclass(frozen=True, eq=False)
class Draft:
    """A bundle that is not written yet: what a predictor needs of one."""

    record: BundleRecord
    contents: dict[str, bytes]

    def __getitem__(self, name: str) -> bytes:
        """Return the content of a file."""
        return self.contents[name]

    def forget(self, name: str) -> None:
        """Keep the content of a file all the same: it is still to be written."""


def make_draft(request: Request, graph: bytes, **own: Any) -> Draft:  # noqa: ANN401 - fields of the record
    """Return a bundle of a graph that no gate has seen.

    Args:
        request: the run.
        graph: its ONNX file.
        own: what the record of this task or variant says more.
    """
    own = {"gate": Gate(pictures=0, agreement=0.0), **own}
    record = BundleRecord(
        name=request.name,
        etude=versions().get("etude", ""),
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        task=cast("Task", request.task),  # a study has no other
        classes=request.classes,
        called={language: dict(names) for language, names in request.called.items()},
        graph=GRAPH_FILE,
        prepare=request.prepare.model_dump(mode="json"),
        scores=tuple(score for score in request.scores if math.isfinite(score.value)),  # JSON has no NaN
        machine=f"{processor_name()}, {how_many(usable_threads(), 'thread')}",
        origin=request.origin,
        data=request.data,
        files={},
        **own,
    )
    contents = {GRAPH_FILE: graph}
    return Draft(with_entries(record, contents), contents)
