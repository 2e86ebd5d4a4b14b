"""Memory told before training: it grows with what is sent at once, and leaves the network as it was."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from etude.core.allocator import release_freed_memory
from etude.core.watch import Silent
from etude.study.folder import StudyFolder
from etude.study.jobs import make_job
from etude.study.plan import Order
from etude.study.resolve import resolve_candidate
from etude.study.study import Study
from etude.study.workspace import Workspace
from etude.train import mask_answers
from etude.train.footprint import estimate_memory_mb, tell_memory
from etude.train.loop import build_task, fit
from etude.train.measure import measure_training
from etude.train.memory import own_memory_mb


@pytest.fixture
def memory(tmp_path):
    def measure(size_px=(64, 96), **train):
        fields = {
            "task": "segmentation",
            "data": {"source": "streets", "on_leak": "allow", "split": {"train_items": 16}},
            "prepare": {"size_px": list(size_px)},
            "train": {"batch": 8, "precision": "fp32", **train},
            "candidates": {"a": {"model": {"name": "unet-mini", "widths": [8, 16]}}},
        }
        study = Study.from_dict(fields).config
        workspace = Workspace(study, tmp_path, StudyFolder(tmp_path, "s"), "cpu", Silent())
        job = make_job(workspace, resolve_candidate(study, "a"), Order("a", 0, None, "x"))
        model = job.build()
        before, random = {k: v.clone() for k, v in model.state_dict().items()}, torch.get_rng_state()
        found = estimate_memory_mb(job, model, build_task(job, job.parts("train")))
        assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
        assert torch.equal(random, torch.get_rng_state())
        return found, job

    return measure


def test_half_at_once_is_about_half_and_a_window_a_quarter(memory):
    whole, _ = memory()
    assert memory(accumulate=2)[0] == pytest.approx(whole / 2, rel=0.1)
    assert memory(crop_px=[32, 48])[0] == pytest.approx(whole / 4, rel=0.1)


def test_nothing_is_kept_of_the_pictures_that_were_sent(memory):
    """Outputs that their own operations keep held themselves: each run left the way of two pictures behind."""
    told_mb, job = memory(size_px=(192, 256))
    model, task = job.build(), build_task(job, job.parts("train"))
    estimate_memory_mb(job, model, task)
    before = held_mb()
    for _ in range(6):
        estimate_memory_mb(job, model, task)
    assert held_mb() - before < told_mb / 8  # of eight pictures; six times two were left


def held_mb():
    """Return what the process holds in memory of its own, in MiB."""
    release_freed_memory()
    with Path("/proc/self/status").open() as status:
        return next(int(line.split()[1]) for line in status if line.startswith("RssAnon")) / 1024


def test_what_does_not_fit_is_told_with_what_to_do(memory):
    _, job = memory()
    assert tell_memory(job, 12.4) == "a, seed 0: training will take about 12 MiB."
    assert "set train.accumulate" in tell_memory(job, 1e9)


def test_what_was_told_is_about_what_was_measured(memory, tmp_path):
    _, small = memory()
    fit(small, tmp_path / "first", Silent())  # libraries that are loaded at first use are not of the next run
    told, job = memory(size_px=(224, 320), batch=16, epochs=1)
    fitted = fit(job, tmp_path / "run", Silent())
    measured = own_memory_mb(job.execution.device)
    assert fitted.progress.own_memory_mb == pytest.approx(measured, abs=5)
    # The pictures were there before, and are not told. What a step needs at once for a moment is not either.
    assert 0.7 < measured / told < 2


def test_the_time_that_is_foreseen_holds_the_contours_at_the_size_of_the_labels(memory, monkeypatch):
    _, job = memory()
    job = replace(job, also=("boundary_f1",))
    real, asked = mask_answers.boundary_counts, []

    def slow(truth_HW, *rest):
        asked.append(truth_HW.shape)
        time.sleep(0.1)
        return real(truth_HW, *rest)

    monkeypatch.setattr(mask_answers, "boundary_counts", slow)
    found = measure_training(job)
    n_scored = sum(len(job.parts(name)) for name in ("train", "validation", "test"))
    assert found.finish_s > 0.1 * n_scored
    assert set(asked) == {job.truth(0).shape}
    assert found.seconds > found.finish_s
