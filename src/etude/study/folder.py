"""The folder of a study: where each record lies, and the lock that keeps two processes apart."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

from etude.core.errors import EtudeError, MistakeError
from etude.core.files import locked, storage_errors, sweep, try_locked
from etude.core.judgement_record import JUDGEMENT_FILE
from etude.core.records import fingerprint
from etude.core.run_record import RunRecord
from etude.core.search_record import TrialRecord
from etude.core.study_record import StudyRecord

LOCK_FILE = ".lock"
TRIAL_FILE = "trial.json"


class StudyFolder:
    """Paths and records of one study below a results folder."""

    def __init__(self, results: Path, name: str) -> None:
        self.root = results / name
        self.given = self.root / "study.yaml"
        self.networks = self.root / "networks"
        self.resolved = self.root / "resolved.json"
        self.split = self.root / "split.parquet"
        self.record = self.root / "study.json"
        self.leaderboard_csv = self.root / "leaderboard.csv"
        self.leaderboard_json = self.root / "leaderboard.json"
        self.verdicts = self.root / "verdicts.json"
        self.runs = self.root / "runs"
        self.generated = self.root / "generated"
        self.features = self.root / "features"
        self.robustness = self.root / "robustness.json"
        self.judgement = self.root / JUDGEMENT_FILE
        self.out_of_fold = self.root / "oof"
        self.budgets = self.root / "budgets.json"
        self.timings = self.root / "timings.json"
        self.search = self.root / "search"

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

    def search_record(self, candidate: str, fold: int | None) -> Path:
        """Return the path of the record of a search; its journal lies in the folder of the same name."""
        plain = re.sub(r"[^A-Za-z0-9._+=,-]+", "_", candidate)
        # Two names that look the same to a disk are told apart by their hash.
        name = plain if plain == candidate == candidate.lower() else f"{plain}-{fingerprint(candidate, 6)}"
        return self.search / f"{name}{'' if fold is None else f'.fold-{fold}'}.json"

    def load_trial(self, identity: str) -> TrialRecord | None:
        """Return what a trial of a search left in the folder of its run, or none.

        Raises:
            MistakeError: if a record is there and cannot be read.
        """
        path = self.run(identity) / TRIAL_FILE
        return TrialRecord.load(path) if path.exists() else None

    def is_run_elsewhere(self) -> bool:
        """Say whether another process runs this study."""
        path = self.root / LOCK_FILE
        if not path.exists():
            return False
        with try_locked(path) as is_free:
            return not is_free

    @contextlib.contextmanager
    def locked(self, *, wait: bool = False) -> Iterator[None]:
        """Keep other processes from running this study at the same time.

        Args:
            wait: wait for another process that runs it, in place of raising an error.

        Raises:
            EtudeError: if another process runs it.
            StorageError: if the folder cannot be written.
        """
        with storage_errors(self.root):
            self.runs.mkdir(parents=True, exist_ok=True)
            (self.root / LOCK_FILE).touch()
        with contextlib.ExitStack() as held:
            if wait:
                held.enter_context(locked(self.root / LOCK_FILE))
            elif not held.enter_context(try_locked(self.root / LOCK_FILE)):
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
            # A path is told as it was given; one without a name of its own, such as `.`, has to be looked up.
            return StudyFolder.of(root if root.name not in ("", "..") else root.resolve())
    known = sorted(path.parent.name for path in results.glob("*/study.json"))
    hint = f"Studies there: {', '.join(known)}." if known else "There is none yet: `etude run` makes one."
    raise MistakeError(f"{target}: there is no such study in {results}. {hint}")
