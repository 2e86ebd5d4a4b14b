"""Further processes that share the trials of a study's searches."""

from __future__ import annotations

import contextlib
import multiprocessing
import time
from collections.abc import Iterator
from pathlib import Path

from etude.core.errors import EtudeError
from etude.core.machine import usable_threads
from etude.core.watch import Silent, Watcher
from etude.study.file import StudyConfig
from etude.study.folder import StudyFolder
from etude.study.searching import Searching
from etude.study.workspace import Workspace


@contextlib.contextmanager
def workers(count: int, study: StudyConfig, base: Path, results: Path, device: str, watch: Watcher) -> Iterator[None]:
    """Have `count` processes in all work on the trials during a block, this one among them.

    The processors are shared out among them. They talk through the search's storage only, as processes do that were
    started by hand; one that dies leaves its trial to the others.

    Args:
        count: processes, this one among them; 1 starts none.
        study: the study.
        base: the folder that relative paths in it start from.
        results: the folder in which the study's own folder lies.
        device: auto, cpu, cuda or mps.
        watch: is told of one that has failed.
    """
    if count < 2 or not study.search:
        yield
        return
    import torch

    before = torch.get_num_threads()
    threads = max(1, min(before, usable_threads() // count))
    context = multiprocessing.get_context("spawn")
    given = (study, base, results, device, threads)
    started = [context.Process(target=work, args=given, daemon=True) for _ in range(count - 1)]
    for process in started:
        process.start()
    torch.set_num_threads(threads)
    try:
        yield
        for process in started:
            process.join()
            if process.exitcode:
                watch.said(f"search: a worker ended with code {process.exitcode}; its trials were done by the others")
    finally:
        for process in started:
            process.terminate()
        torch.set_num_threads(before)


def work(study: StudyConfig, base: Path, results: Path, device: str, threads: int) -> None:
    """Do trials until none is left: what a further process does."""
    import torch

    torch.set_num_threads(threads)
    watch = Silent()
    workspace = Workspace(study, base, StudyFolder(results, study.study), device, watch)
    with contextlib.suppress(EtudeError, KeyboardInterrupt):  # the first process meets the same, and tells it
        Searching(study, workspace, watch, time.monotonic()).run(is_helping=True)
