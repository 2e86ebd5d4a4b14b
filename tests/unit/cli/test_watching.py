"""Progress in a terminal: of a generator both losses and how much its samples differ, at each look."""

from __future__ import annotations

import io
import math

import pytest
from rich.console import Console

from etude.cli.watching import BarWatcher, PlainWatcher
from etude.core.run_record import AdversarialLook, Epoch


def look() -> Epoch:
    seen = AdversarialLook(
        discriminator_loss=0.75, real_logit=1.0, fake_logit=-1.0, generator_gradient=2.0, discriminator_gradient=3.0,
        diversity=0.43,
    )  # fmt: skip
    return Epoch(epoch=3, step=1500, train_loss=1.25, lr=0.001, seconds=9, images_per_s=321, adversarial=seen)


@pytest.mark.parametrize("kind", [PlainWatcher, BarWatcher])
def test_both_losses_and_the_diversity_are_told_at_each_look(kind):
    console = Console(file=io.StringIO(), width=200, force_terminal=kind is BarWatcher)
    with kind(console) as watcher:
        watcher.run_started("dcgan, seed 0", 1, 9, 12, 6000, 0)
        watcher.epoch_done(look())
        if kind is BarWatcher:
            watcher._progress.refresh()
    told = console.file.getvalue()
    assert "epoch" not in told
    losses = ["losses 1.25 and 0.75"] if kind is BarWatcher else ["generator 1.250", "discriminator 0.750"]
    for part in ("look 3/12", *losses, "diversity 0.43", "321 pictures/s"):
        assert part in told, told


def test_in_a_narrow_terminal_how_far_a_run_is_stays():
    """The words of a look pushed bar, percent and time left out of a terminal of 80 columns."""
    console = Console(file=io.StringIO(), width=80, force_terminal=True, color_system=None)
    with BarWatcher(console) as watcher:
        watcher.run_started("dcgan, seed 0, fold 2", 1, 9, 12, 6000, 0)
        watcher.epoch_done(look())
        watcher._drawn = 0.0
        watcher.stepped(3000, math.nan, 299)
        watcher._progress.refresh()
    told = console.file.getvalue().rpartition("[1/9]")[2]
    for part in ("dcgan, seed 0, fold 2", "━━", "50 %", "diversity 0.43"):
        assert part in told, told


def test_between_looks_the_bar_moves():
    console = Console(file=io.StringIO(), width=100, force_terminal=True, color_system=None)
    with BarWatcher(console) as watcher:
        watcher.run_started("dcgan, seed 0", 1, 9, 12, 6000, 0)
        watcher._drawn = 0.0
        watcher.stepped(60, math.nan, 299)
        watcher._progress.refresh()
    told = console.file.getvalue().rpartition("[1/9]")[2]
    assert "1 %" in told
    assert "299 pictures/s" in told
    assert "nan" not in told


def test_an_epoch_of_a_classifier_is_told_as_before():
    console = Console(file=io.StringIO(), width=200)
    watcher = PlainWatcher(console)
    watcher.run_started("cnn, seed 0", 1, 9, 12, 6000, 0)
    watcher.epoch_done(look().model_copy(update={"adversarial": None, "validation_score": 0.5}))
    assert "epoch 3/12, loss 1.2500, validation 0.5000, 321 pictures/s" in console.file.getvalue()


@pytest.mark.parametrize(
    ("what", "count", "told"),
    [
        ("pictures", 1200, "1,200 pictures prepared"),
        ("pictures seen by a network", 200, "200 pictures seen by a network"),
        ("pictures read for the check", 1, "1 picture read for the check"),
    ],
)
def test_counted_work_is_told_at_its_end(what, count, told):
    console = Console(file=io.StringIO(), width=200)
    watcher = PlainWatcher(console)
    watcher.counted(what, count - 1, count)
    watcher.counted(what, count, count)
    assert console.file.getvalue().splitlines() == [told]
