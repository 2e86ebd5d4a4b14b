"""Some test pictures of a finished segmentation run, kept with truth and answer so that people can look at them."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from etude.core.files import write_bytes
from etude.core.mask_examples_record import MaskExample, MaskExamples
from etude.evaluate.mask_counts import MaskCounts
from etude.train.job import Job
from etude.train.loop import Fitted
from etude.train.mask_answers import answer_masks, take

EXAMPLES_FOLDER = "masks"
EXAMPLES_FILE = "examples.json"
_OF_EACH = 4
_WIDEST_PX = 640
"""Wider pictures are kept smaller: they are to be looked at, the scores were counted at full size."""


def save_examples(job: Job, fitted: Fitted, counts: MaskCounts, folder: Path) -> MaskExamples:
    """Answer some pictures of the test part once more and write them down, the record last.

    Args:
        job: the run.
        fitted: its network.
        counts: what it gave to the test part.
        folder: where the files go.
    """
    prepared = job.parts(counts.part.label)
    chosen = list(choose_examples(counts))
    some = take(prepared, np.array([row for row, _ in chosen], np.int64))
    scores_N = counts.of_pictures("miou")
    examples = []
    for number, ((row, kind), (truth, ids)) in enumerate(zip(chosen, answer_masks(job, fitted, some), strict=True)):
        stem = f"{number:02d}"
        # A picture that was cropped or laid on a border is not where its label is: it is read anew beside the label.
        picture = some.pictures_NHWC[number] if job.picture is None else job.picture(int(some.indices_N[number]))
        _write(folder / f"{stem}.jpg", _shrink(picture, truth.shape, nearest=False), "JPEG")
        _write(folder / f"{stem}.truth.png", _shrink(truth, truth.shape, nearest=True), "PNG")
        _write(folder / f"{stem}.answer.png", _shrink(ids, truth.shape, nearest=True), "PNG")
        score = float(scores_N[row])
        examples.append(
            MaskExample(item=str(counts.ids[row]), kind=kind, stem=stem, score=None if np.isnan(score) else score)
        )
    record = MaskExamples(classes=job.classes, examples=tuple(examples))
    record.save(folder / EXAMPLES_FILE)
    return record


def choose_examples(counts: MaskCounts) -> Iterator[tuple[int, Literal["spread", "worst", "best"]]]:
    """Give rows of a part and why each is kept: some evenly spread, the worst, and the best of those that are left."""
    scores_N = counts.of_pictures("miou")
    order = [int(row) for row in np.argsort(scores_N, kind="stable") if not np.isnan(scores_N[row])]
    each = min(_OF_EACH, max(1, len(counts) // 3))
    for row in dict.fromkeys(np.linspace(0, len(counts) - 1, each).round().astype(int).tolist()):
        yield row, "spread"
    for row in order[:each]:
        yield row, "worst"
    for row in order[::-1][: min(each, len(order) - each)]:
        yield row, "best"


def _shrink(pixels: npt.NDArray[np.uint8], size_px: tuple[int, ...], *, nearest: bool) -> Any:  # noqa: ANN401 - Pillow's
    """Bring a picture or a mask to the size of the label, at most as wide as what is kept."""
    from PIL import Image

    share = min(1.0, _WIDEST_PX / size_px[1])
    to = (max(1, round(size_px[1] * share)), max(1, round(size_px[0] * share)))
    how = Image.Resampling.NEAREST if nearest else Image.Resampling.BILINEAR
    return Image.fromarray(np.ascontiguousarray(pixels)).resize(to, how)


def _write(path: Path, image: Any, form: str) -> None:  # noqa: ANN401 - Pillow's
    content = io.BytesIO()
    image.save(content, form, **({"quality": 88} if form == "JPEG" else {"optimize": True}))
    write_bytes(path, content.getvalue())
