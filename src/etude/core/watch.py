"""How long work tells where it stands; the command line draws it, a program may ignore it."""

from __future__ import annotations

from typing import Protocol

from etude.core.run_record import Epoch, RunRecord


class Watcher(Protocol):
    """Listens to a study while it runs."""

    def said(self, text: str) -> None:
        """A sentence that a person should read."""

    def counted(self, what: str, done: int, total: int) -> None:
        """Some long work that is counted (reading pictures) has come to `done` of `total`."""

    def run_started(self, label: str, position: int, of: int, epochs: int, steps: int, steps_done: int) -> None:
        """A training starts or goes on: number `position` of `of`, with `steps` in all."""

    def stepped(self, steps_done: int, loss: float, images_per_s: float) -> None:
        """Some steps of the training are done."""

    def epoch_done(self, epoch: Epoch) -> None:
        """An epoch is done and validated."""

    def run_done(self, record: RunRecord) -> None:
        """A training is done and its test part scored."""

    def run_skipped(self, label: str, position: int, of: int) -> None:
        """A run of the plan was trained before."""

    def run_failed(self, label: str, reason: str) -> None:
        """A training ended without a result."""


class Silent:
    """The watcher that says nothing."""

    def said(self, text: str) -> None: ...
    def counted(self, what: str, done: int, total: int) -> None: ...
    def run_started(self, label: str, position: int, of: int, epochs: int, steps: int, steps_done: int) -> None: ...
    def stepped(self, steps_done: int, loss: float, images_per_s: float) -> None: ...
    def epoch_done(self, epoch: Epoch) -> None: ...
    def run_done(self, record: RunRecord) -> None: ...
    def run_skipped(self, label: str, position: int, of: int) -> None: ...
    def run_failed(self, label: str, reason: str) -> None: ...
