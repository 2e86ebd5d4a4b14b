"""The folder of a study: where each record lies, and the lock that keeps two processes apart."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from etude.core.errors import EtudeError, MistakeError
from etude.core.files import storage_errors, sweep
from etude.core.run_record import RunRecord
from etude.core.study_record import StudyRecord


class StudyFolder:
    """Paths and records of one study below a results folder."""

    def __init__(self, results: Path, name: str) -> None:
        self.root = results / name
        self.given = self.root / "study.yaml"
        self.resolved = self.root / "resolved.json"
        self.split = self.root / "split.parquet"
        self.record = self.root / "study.json"
        self.leaderboard_csv = self.root / "leaderboard.csv"
        self.leaderboard_json = self.root / "leaderboard.json"
        self.verdicts = self.root / "verdicts.json"
        self.runs = self.root / "runs"
        self.features = self.root / "features"
        self.robustness = self.root / "robustness.json"
        self.out_of_fold = self.root / "oof"
        self.budgets = self.root / "budgets.json"
        self.timings = self.root / "timings.json"

    @classmethod
    def of(cls, path: Path) -> StudyFolder:
        """Return the study whose folder is `path`."""
        return cls(path.parent, path.name)

    def run(self, identity: str) -> Path:
        """Return the folder of a run."""
        return self.runs / identity

    def load_run(self, identity: str) -> RunRecord | None:
        """Return the record of a finished run, or none.

        Raises:
            MistakeError: if a record is there and cannot be read.
        """
        path = self.run(identity) / "run.json"
        return RunRecord.load(path) if path.exists() else None

    def load_study(self) -> StudyRecord:
        """Return the study's record.

        Raises:
            MistakeError: if there is none.
        """
        if not self.record.exists():
            raise MistakeError(f"{self.root}: holds no study (no {self.record.name}). Run it first with `etude run`.")
        return StudyRecord.load(self.record)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from running this study at the same time.

        Raises:
            EtudeError: if another process runs it.
            StorageError: if the folder cannot be written.
        """
        with storage_errors(self.root):
            self.runs.mkdir(parents=True, exist_ok=True)
            lock = (self.root / ".lock").open("w")
        with lock:
            if not _try_lock(lock.fileno()):
                raise MistakeError(
                    f"{self.root}: is being run by another process. Wait for it, stop it, or give another --results."
                )
            sweep(self.root)
            yield

    def finished(self) -> list[RunRecord]:
        """Return the records of all finished runs, whatever plan they came from."""
        records = []
        for path in sorted(self.runs.glob("*/run.json")):
            with contextlib.suppress(EtudeError):
                records.append(RunRecord.load(path))
        return records


def find_study(target: str, results: Path) -> StudyFolder:
    """Find the folder of a study by its name, its folder or its file.

    Raises:
        MistakeError: if there is none; it names those that there are.
    """
    for root in (Path(target), results / target, results / Path(target).stem):
        if (root / "study.json").exists():
            return StudyFolder.of(root.resolve())
    known = sorted(path.parent.name for path in results.glob("*/study.json"))
    hint = f"Studies there: {', '.join(known)}." if known else "There is none yet: `etude run` makes one."
    raise MistakeError(f"{target}: there is no such study in {results}. {hint}")


def _try_lock(descriptor: int) -> bool:
    try:
        import fcntl
    except ImportError:  # Windows has no flock: two processes are then the person's own care
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
