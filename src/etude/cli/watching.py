"""Drawing the progress of a study: bars in a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Column

from etude.core.counting import how_many
from etude.core.run_record import AdversarialLook, Epoch, RunRecord


def duration(seconds: float) -> str:
    """Write a duration shortly.

    >>> duration(5.2), duration(125), duration(3700)
    ('5.2 s', '2 min 05 s', '1 h 01 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


class PlainWatcher:
    """One line an epoch, or a look at a generator, for logs and pipes."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._label = ""
        self._epochs = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:  # fmt: skip
        return None

    def said(self, text: str) -> None:
        """Print a sentence."""
        self._print(text)

    def counted(self, what: str, done: int, total: int) -> None:
        """Print the end of counted work."""
        if done == total:
            kind, *more = what.split(" ", 1)  # pictures, or `pictures read for the check`
            self._print(" ".join([how_many(total, kind.removesuffix("s")), *(more or ["prepared"])]))

    def run_started(self, label: str, position: int, of: int, epochs: int, steps: int, steps_done: int) -> None:
        """Print which run starts, or goes on."""
        self._label, self._epochs = f"[{position}/{of}] {label}", epochs
        resumed = f", resumed at step {steps_done:,}" if steps_done else ""
        self._print(f"{self._label}: {how_many(steps, 'step')}{resumed}")

    def stepped(self, steps_done: int, loss: float, images_per_s: float) -> None:
        """Print nothing: a line an epoch is enough."""

    def epoch_done(self, epoch: Epoch) -> None:
        """Print the epoch; of a generator what the look saw."""
        if epoch.adversarial is not None:
            self._print(
                f"{self._label}: look {epoch.epoch}/{self._epochs} (step {epoch.step:,}), "
                f"{_look_words(epoch, epoch.adversarial)}, {epoch.images_per_s:,.0f} pictures/s"
            )
            return
        score = "" if epoch.validation_score is None else f", validation {epoch.validation_score:.4f}"
        stage = f" ({epoch.stage})" if epoch.stage else ""
        self._print(
            f"{self._label}: epoch {epoch.epoch}/{self._epochs}{stage}, loss {epoch.train_loss:.4f}{score}, "
            f"{epoch.images_per_s:,.0f} pictures/s"
        )

    def run_done(self, record: RunRecord) -> None:
        """Print the score of the run."""
        self._print(f"{self._label}: done in {duration(record.cost.seconds)}, {_scores(record)}")

    def run_skipped(self, label: str, position: int, of: int) -> None:
        """Print that the run was trained before."""
        self._print(f"[{position}/{of}] {label}: trained before")

    def run_failed(self, label: str, reason: str) -> None:
        """Print why the run failed."""
        self._print(f"{label}: failed. {reason}")

    def _print(self, text: str) -> None:
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)


class BarWatcher(PlainWatcher):
    """A bar a run with loss, score, images a second and the time left."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._progress = Progress(
            TextColumn("{task.description}", table_column=Column(no_wrap=True)),
            BarColumn(bar_width=max(8, min(24, console.width // 6))),
            TextColumn("{task.percentage:>3.0f} %", table_column=Column(no_wrap=True)),
            TimeRemainingColumn(compact=True, table_column=Column(no_wrap=True)),
            # What is told gives way: in a narrow terminal it would push out how far the run is.
            TextColumn("[dim]{task.fields[told]}", table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1)),
            console=console,
            transient=True,
            expand=True,
        )
        self._bar: TaskID | None = None
        self._score = self._look = ""
        self._drawn = 0.0

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:  # fmt: skip
        self._progress.stop()

    def counted(self, what: str, done: int, total: int) -> None:
        """Draw a bar of the counted work."""
        if self._bar is None:
            self._bar = self._progress.add_task(what if " " in what else f"reading {what}", total=total, told="")
        if done == total or time.monotonic() - self._drawn > 0.1:
            self._drawn = time.monotonic()
            self._progress.update(self._bar, completed=done, told=f"{done:,} of {total:,}")
        if done == total:
            self._drop_bar()

    def run_started(self, label: str, position: int, of: int, epochs: int, steps: int, steps_done: int) -> None:
        """Draw the bar of a run."""
        self._drop_bar()
        self._label, self._epochs, self._score = f"[{position}/{of}] {label}", epochs, ""
        self._look = ""
        self._bar = self._progress.add_task(
            self._plain(self._label), total=max(1, steps), completed=steps_done, told=""
        )

    def stepped(self, steps_done: int, loss: float, images_per_s: float) -> None:
        """Move the bar, at most ten times a second."""
        if self._bar is None or time.monotonic() - self._drawn < 0.1:
            return
        self._drawn = time.monotonic()
        known = self._look or (f"loss {loss:.3f}{self._score}" if loss == loss else "")
        told = " · ".join(filter(None, [known, f"{images_per_s:,.0f} pictures/s"]))
        self._progress.update(self._bar, completed=steps_done, told=told)

    def epoch_done(self, epoch: Epoch) -> None:
        """Take the epoch's validation score into the bar; of a generator both losses and the diversity."""
        told = f"loss {epoch.train_loss:.3f}"
        if epoch.adversarial is not None:
            look = epoch.adversarial
            losses = f"losses {epoch.train_loss:.2f} and {look.discriminator_loss:.2f}"
            told = self._look = f"diversity {look.diversity:.2f} · look {epoch.epoch}/{self._epochs} · {losses}"
        elif epoch.validation_score is not None:
            self._score = f" · validation {epoch.validation_score:.3f} (epoch {epoch.epoch}/{self._epochs})"
        if self._bar is not None:
            told += f"{self._score} · {epoch.images_per_s:,.0f} pictures/s"
            self._progress.update(self._bar, completed=epoch.step, told=told)

    def run_done(self, record: RunRecord) -> None:
        """Replace the bar by a line."""
        self._drop_bar()
        super().run_done(record)

    def run_failed(self, label: str, reason: str) -> None:
        """Replace the bar by the reason."""
        self._drop_bar()
        super().run_failed(label, reason)

    def _drop_bar(self) -> None:
        if self._bar is not None:
            self._progress.remove_task(self._bar)
            self._bar = None

    @staticmethod
    def _plain(text: str) -> str:
        return text.replace("[", "\\[")


def make_watcher(console: Console) -> PlainWatcher:
    """Return bars for a terminal, plain lines for a log or a pipe."""
    return BarWatcher(console) if console.is_terminal else PlainWatcher(console)


def _look_words(epoch: Epoch, look: AdversarialLook) -> str:
    """Write both losses, and how much the fixed samples differ over how much training pictures do."""
    return (
        f"losses: generator {epoch.train_loss:.3f}, discriminator {look.discriminator_loss:.3f}, "
        f"diversity {look.diversity:.2f}"
    )


def _scores(record: RunRecord) -> str:
    parts = [("validation", record.validation), ("test", record.test)]
    found = [(part, name, value) for part, scores in parts for name, value in list(scores.items())[:1]]
    told = ", ".join(f"{part} {value:.4f}" for part, _, value in found)
    return f"{told} ({found[-1][1]})" if found else told
