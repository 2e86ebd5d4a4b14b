"""Generated pictures as further training data, from generators that saw nothing but this run's own training part.

Shapes: N photographs, M generated pictures, H and W pixels, C channels.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from etude.core.seeds import derive
from etude.core.watch import Silent, Watcher
from etude.data.prepared import Pixels, PreparedSet
from etude.pictures.prepare import prepare_picture
from etude.pictures.prepare_config import Prepare
from etude.train.job import Extra, Job
from etude.train.samples import FINAL_FILE, draw_wanted, generate, to_bytes, watched_samples, write_samples
from etude.train.state import load_tensors, save_tensors

PICTURES_FILE: Final = "pictures.safetensors"
_NO_ITEM: Final = -1
"""What `indices_N` has for a picture that the source does not hold."""


def train_generators(job: Job, watch: Watcher) -> tuple[float, list[str]]:
    """Train the generators of a job that were not trained before, and keep the pictures that they give.

    Returns:
        The seconds that all of them took, whenever that was, and a sentence for each that collapsed.

    Raises:
        DivergenceError: if a loss is no longer finite.
        StorageError: if the disk is full.
    """
    for extra in job.extras:
        if not (extra.folder / PICTURES_FILE).exists():
            _train(replace(extra, job=replace(extra.job, position=job.position)), _StepsOnly(watch))
    abouts = [_read(extra)[1] for extra in job.extras]
    notes = [f"{extra.job.label}: {about['note']}" for extra, about in zip(job.extras, abouts, strict=True)
             if about["note"]]  # fmt: skip
    return sum(float(about["seconds"]) for about in abouts), notes


def seconds_of(extra: Extra) -> float:
    """Return the seconds that the training of a generator took; 0 where it is not trained."""
    return float(_read(extra)[1]["seconds"]) if (Path(extra.folder) / PICTURES_FILE).exists() else 0.0


def training_part(job: Job) -> PreparedSet:
    """Return the training part, with the generated pictures behind it where the job has some.

    The generators must be trained.
    """
    photographs = job.parts("train")
    for extra in job.extras:
        pictures_MHWC = enlarge(_read(extra)[0], job.prepare)
        count = len(pictures_MHWC)
        photographs = PreparedSet(
            np.concatenate([photographs.pictures_NHWC, pictures_MHWC]),
            np.concatenate([photographs.labels_N, np.full(count, extra.label, np.int64)]),
            None,
            np.concatenate([photographs.indices_N, np.full(count, _NO_ITEM, np.int64)]),
            photographs.left_out,
        )
    return photographs


class _StepsOnly(Silent):
    """Passes on where the training of a generator stands; its looks are no epochs of the run that it is for."""

    def __init__(self, watch: Watcher) -> None:
        self.said = watch.said  # type: ignore[method-assign]
        self.run_started, self.stepped = watch.run_started, watch.stepped  # type: ignore[method-assign]


def enlarge(pictures_MHWC: Pixels, prepare: Prepare) -> Pixels:
    """Bring generated pictures to the size of a candidate's; they show what its preparation leaves of a picture."""
    fit = Prepare(size_px=(prepare.height_px, prepare.width_px), fit="stretch")
    return np.stack([prepare_picture(picture, fit) for picture in pictures_MHWC])


def _train(extra: Extra, watch: Watcher) -> None:
    from etude.train.adversarial import fit_generator  # it is built upon the loop, which is built upon this

    job, folder = extra.job, extra.folder
    fitted = fit_generator(job, folder, watch)
    wanted = draw_wanted(fitted.model, extra.count, derive(job.seed, "training data"))
    exact = replace(job.execution, precision="fp32")  # as generated pictures are measured and exported
    pictures_MHWC = torch.from_numpy(to_bytes(generate(fitted.model, wanted, exact)))
    samples = watched_samples(fitted.model, job.execution, job.seed)
    write_samples(folder, FINAL_FILE, samples, f"{job.label} ({folder.name})")
    if fitted.note:
        watch.said(f"{job.label}: {fitted.note}")
    about = json.dumps({"seconds": fitted.progress.seconds, "note": fitted.note})
    save_tensors(folder / PICTURES_FILE, {"pictures": pictures_MHWC}, about)
    shutil.rmtree(folder / "state", ignore_errors=True)


def _read(extra: Extra) -> tuple[Pixels, dict[str, Any]]:
    tensors, about = load_tensors(Path(extra.folder) / PICTURES_FILE)
    return np.asarray(tensors["pictures"].numpy()), json.loads(about)
