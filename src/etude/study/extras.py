"""The generators whose pictures a candidate trains on beside its photographs, one a class.

A generator sees the photographs of its class in the training part of the very run that it is for, and nothing else:
there is no way from a validation or a test picture into it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from etude.core.errors import DataError, sentence
from etude.core.records import fingerprint
from etude.data.augment import AugmentConfig
from etude.data.prepared import PreparedSet, take_rows
from etude.models import build_model
from etude.study.plan import Order, generated_content
from etude.study.resolve import Candidate
from etude.study.workspace import Workspace
from etude.tasks.generation import METRIC

if TYPE_CHECKING:
    from etude.train.job import Extra

_FEWEST = 2


def make_extras(workspace: Workspace, candidate: Candidate, order: Order) -> tuple[Extra, ...]:
    """Return the generators of one run; none where the candidate trains on photographs alone.

    Raises:
        EtudeError: if a class is unknown, or the generator cannot be built.
    """
    generated = candidate.generated
    if generated is None:
        return ()
    labels = generated.labels(workspace.source.classes, workspace.study.data.positive)
    return tuple(_make_extra(workspace, candidate, order, label) for label in labels)


def _make_extra(workspace: Workspace, candidate: Candidate, order: Order, label: int) -> Extra:
    from etude.train.job import Extra, Job

    generated = candidate.generated
    assert generated is not None
    name, fold = workspace.source.classes[label], order.fold or 0
    prepare = candidate.prepare.model_copy(update={"size_px": generated.size_px, "normalize": "half"})
    mirrored = AugmentConfig(use=("flip",) if "flip" in candidate.augment.use else ())
    content = generated_content(generated, workspace.base)
    content.pop("of", None)  # a generator of one class is the same whether others are generated too
    identity = fingerprint(
        {
            "generated": content,
            "class": name,
            "data": workspace.fingerprint,
            "split": workspace.digest(fold, candidate.train_items, candidate.held_out),
            "prepare": prepare.model_dump(mode="json", exclude_defaults=True),
            "augment": mirrored.model_dump(mode="json", exclude_defaults=True),
            "precision": workspace.execution(generated.train).precision,
            "seed": order.seed,
        }
    )
    build = functools.partial(
        build_model, generated.model, n_outputs=1, size_px=(generated.size_px, generated.size_px), seed=order.seed,
        base=workspace.base, task="generation",
    )  # fmt: skip
    job = Job(
        identity=identity, study=workspace.study.study, candidate=f"{order.candidate}, generator of {name}",
        seed=order.seed, fold=order.fold, config={}, task="generation", classes=(name,), metric=METRIC, also=(),
        prepare=prepare, augment=mirrored, train=generated.train, build=build,
        execution=workspace.execution(generated.train),
        parts=_training_alone(workspace.parts(prepare, fold, candidate.train_items, candidate.held_out), label, name),
        item_ids=workspace.item_ids, data_key=workspace.fingerprint,
    )  # fmt: skip
    return Extra(job, label, generated.pictures, workspace.folder.generated / identity)


def _training_alone(parts: Callable[[str], PreparedSet], label: int, of: str) -> Callable[[str], PreparedSet]:
    """Return what gives the photographs of a class in the training part of a fold, and no other part."""

    def part(name: str) -> PreparedSet:
        if name != "train":
            raise DataError(f"data.generated: a generator is trained on the training part alone, not on {name}.")
        whole = parts("train")
        rows = np.flatnonzero(whole.labels_N == label)
        if len(rows) < _FEWEST:
            rule = f"at least {_FEWEST} training pictures of the class"
            raise DataError(sentence("data.generated", of, rule, len(rows)))
        return take_rows(whole, rows)

    return part
