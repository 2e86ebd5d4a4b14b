"""The searches of a study, one after the other, with folds one in each: the outer test part stays closed."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, replace

from etude.core.counting import how_many
from etude.core.errors import BudgetError, MistakeError, RuleError
from etude.core.records import fingerprint
from etude.core.search_record import SearchRecord, TrialRecord
from etude.core.study_record import AblationGroup
from etude.core.watch import Watcher
from etude.evaluate.scores import metric_of
from etude.search import SearchConfig, make_space
from etude.search.session import Search, SearchTask
from etude.study.ablations import write_value
from etude.study.file import StudyConfig
from etude.study.plan import run_identity
from etude.study.resolve import Candidate, resolve_candidate, resolve_candidates
from etude.study.searches import with_settings
from etude.study.timing import resolve_budget, resolve_budgets
from etude.study.trials import Trials
from etude.study.workspace import Workspace


@dataclass(frozen=True)
class Found:
    """What the searches of a study came to."""

    studies: tuple[StudyConfig, ...]
    """The study with the settings that were found, one a fold."""
    records: tuple[SearchRecord, ...] = ()
    """The record of each search, those of the folds of one after the other."""

    @property
    def study(self) -> StudyConfig:
        """The study in its first fold: the one there is, without folds."""
        return self.studies[0]


class Searching:
    """The searches of one study, as one process does them."""

    def __init__(self, study: StudyConfig, workspace: Workspace, watch: Watcher, started: float) -> None:
        self.study, self.workspace, self.watch, self.started = study, workspace, watch, started
        n_folds = len(workspace.splits) if study.search else 1
        self.folds: list[int | None] = list(range(n_folds)) if n_folds > 1 else [None]

    def run(self, *, is_helping: bool = False) -> Found:
        """Do all trials that are left, and return what was found.

        Args:
            is_helping: whether another process runs the study, and writes the records.

        Raises:
            BudgetError: if the study's budget is spent before the trials are done.
            RuleError: if all trials of a search failed.
        """
        studies = [self.study for _ in self.folds]
        records = []
        for search in self.study.search:
            for place, fold in enumerate(self.folds):
                record = self._search(studies[place], search, fold, is_helping=is_helping)
                studies[place] = with_settings(studies[place], search, record.settings)
                records.append(record)
        return Found(tuple(studies), tuple(records))

    def known(self) -> tuple[Found, list[SearchRecord]]:
        """Return what is known without doing a trial, and the searches that have trials left."""
        studies = [self.study for _ in self.folds]
        records, left = [], []
        for search in self.study.search:
            for place, fold in enumerate(self.folds):
                opened = self._open(studies[place], search, fold)
                record = opened.record()
                records.append(record)
                if opened.is_over():
                    studies[place] = with_settings(studies[place], search, record.settings)
                else:
                    left.append(record)
        return Found(tuple(studies), tuple(records)), left

    def _open(self, study: StudyConfig, config: SearchConfig, fold: int | None) -> Search:
        return Search(self._task(study, config, fold))

    def _task(self, study: StudyConfig, config: SearchConfig, fold: int | None) -> SearchTask:
        space = make_space(config)
        of = resolve_budget(resolve_candidate(study, config.of), self.workspace)
        depends_on = config.model_dump(mode="json", exclude={"trials", "budget", "storage", "name", "of"})
        if config.sampler == "random-then-grid":
            depends_on["trials"] = config.trials  # they say where the grid begins
        depends_on["base"] = run_identity(self.workspace, of, config.seed, fold)
        key, folder = fingerprint(depends_on, 8), self.workspace.folder
        return SearchTask(
            study=study.study,
            config=config,
            space=space,
            metric=study.protocol.metric,
            higher_is_better=metric_of(study.protocol.metric).higher_is_better,
            folder=folder.search_record(config.candidate, fold).with_suffix("") / key,
            key=key,
            fold=fold,
            max_epochs=_most_epochs(of, config),
        )

    def _search(self, study: StudyConfig, config: SearchConfig, fold: int | None, *, is_helping: bool) -> SearchRecord:
        """Do one search to its end."""
        search = self._open(study, config, fold)
        self._check_validation(config, fold)
        heard = _Teller(search.task, self.watch)
        search.work(Trials(search.task, study, self.workspace, self.watch), heard, self._may_start)
        record = search.record()
        if not is_helping:
            record.save(self.workspace.folder.search_record(config.candidate, fold))
        if not search.is_over():
            raise BudgetError(
                f"{study.study}: the budget is spent with {len(record.trials)} of "
                f"{how_many(record.n_trials, 'trial')} of {config.candidate} done. The same command goes on "
                f"from there; --set protocol.budget=2h gives it more."
            )
        if record.best is None:
            failures = [trial.failure for trial in record.trials if trial.failure]
            raise RuleError(
                f"{study.study}: all {how_many(len(record.trials), 'trial')} of {config.candidate} ended "
                f"without a score. "
                f"{failures[0] if failures else ''}".strip()
            )
        return record

    def _check_validation(self, config: SearchConfig, fold: int | None) -> None:
        prepare = resolve_candidate(self.study, config.of).prepare
        if not len(self.workspace.parts(prepare, fold or 0)("validation").labels_N):
            raise MistakeError(
                f"search: {config.of} must have validation pictures to choose on. Got none. Set data.split.validation."
            )

    def _may_start(self) -> bool:
        budget = self.study.protocol.budget
        return budget is None or time.monotonic() - self.started < budget


def candidates_of(found: Found, workspace: Workspace, groups: Iterable[AblationGroup]) -> dict[str, Candidate]:
    """Put the candidates together with what the searches found, budgets in time turned into steps.

    Raises:
        EtudeError: if a network or the pictures cannot be had.
    """
    of_folds = [resolve_candidates(study) for study in found.studies]
    candidates = {
        name: replace(candidate, by_fold=tuple(fold[name] for fold in of_folds))
        if any(fold[name] != candidate for fold in of_folds)
        else candidate
        for name, candidate in of_folds[0].items()
    }
    return resolve_budgets(candidates, workspace, groups)


def _most_epochs(of: Candidate, config: SearchConfig) -> int | None:
    """Return the most epochs of a trial; none where they are counted in steps."""
    if of.train.steps is not None or of.train.budget is not None or "train.steps" in config.space:
        return None
    epochs = of.train.epochs
    for branch in config.space.get("train.epochs", ()):
        ends = branch.choice or branch.integer or branch.uniform or branch.log or ()
        epochs = max(epochs, *(int(value) for value in ends))
    return epochs + (of.finetune.head_epochs if of.finetune.name == "gradual" else 0)


class _Teller:
    """Says what each trial came to."""

    def __init__(self, task: SearchTask, watch: Watcher) -> None:
        self.task, self.watch = task, watch

    def __call__(self, trial: TrialRecord) -> None:
        settings = ", ".join(f"{field}={write_value(_short(value))}" for field, value in trial.settings.items())
        score = "" if trial.score is None else f", validation {trial.score:.4f}"
        state = "reused" if trial.is_reused else trial.state
        fold = "" if self.task.fold is None else f", fold {self.task.fold}"
        self.watch.said(
            f"{self.task.config.candidate}{fold}: trial {trial.number + 1} of {self.task.n_trials} {state}"
            f"{score} ({settings}){'. ' + trial.failure if trial.failure else ''}"
        )


def _short(value: object) -> object:
    return float(f"{value:.3g}") if isinstance(value, float) else value
