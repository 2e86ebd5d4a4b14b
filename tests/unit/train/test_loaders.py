"""How many pictures are answered together: few large ones, many small ones, all of them once."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from tests.unit.train.test_finetune import make_job

from etude.data.prepared import PreparedSet
from etude.pictures.prepare_config import Prepare
from etude.train.finetune import FinetuneConfig
from etude.train.job import Job
from etude.train.loaders import plain_loader


def asked(side_px: int, count: int, **changes) -> tuple[Job, PreparedSet]:
    pictures = np.zeros((count, side_px, side_px, 3), np.uint8)
    pictures[:, 0, 0, 0] = np.arange(count) % 256
    prepared = PreparedSet(
        pictures_NHWC=pictures, labels_N=np.arange(count) % 3, masks_NHW=None, indices_N=np.arange(count)
    )
    job = make_job(FinetuneConfig(), prepare=Prepare(size_px=(side_px, side_px), normalize="half"))
    return dataclasses.replace(job, **changes), prepared


@pytest.mark.parametrize(("side_px", "count"), [(512, 10), (64, 300), (16, 300)])
def test_large_pictures_are_answered_a_few_at_a_time(side_px: int, count: int):
    """Answers of 512 pictures of 224 px at once took 3.5 GB, and more than twice the time."""
    batches = list(plain_loader(*asked(side_px, count)))
    sizes = [len(batch.targets_B) for batch in batches]
    assert max(sizes) * side_px**2 <= 2**19
    assert len(sizes) == -(-count // max(sizes))
    seen = torch.cat([batch.images_BCHW[:, 0, 0, 0] for batch in batches])
    np.testing.assert_allclose((seen + 1) * 127.5, np.arange(count) % 256, atol=1e-3)
