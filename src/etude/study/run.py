"""Running a study: plan, train what is missing, score, compare, keep every record up to date."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from etude.core.counting import how_many
from etude.core.errors import BudgetError, RuleError, mistakes_at
from etude.core.files import write_json
from etude.core.machine import command_words
from etude.core.run_record import RunRecord
from etude.core.search_record import SearchRecord
from etude.core.study_record import RunRef, StudyRecord
from etude.core.watch import Watcher
from etude.evaluate.out_of_fold import write_out_of_fold
from etude.study.ablations import expand_ablations
from etude.study.engine import Engine, InProcess, Outcome
from etude.study.estimate import StudyPlan, make_plan
from etude.study.extras import make_extras
from etude.study.file import StudyConfig
from etude.study.folder import StudyFolder
from etude.study.guard import check_scores, guard
from etude.study.jobs import build_network, make_job
from etude.study.judging import check_judge, find_judge, judge_generators
from etude.study.kept import keep_study
from etude.study.measuring import measure_anew
from etude.study.plan import Order, plan_runs
from etude.study.resolve import Candidate, resolve_candidates
from etude.study.robustness import measure_robustness
from etude.study.searches import waiting_candidates
from etude.study.searching import Searching, candidates_of
from etude.study.summary import finished_runs, needs_seed, resolved_json, summarize
from etude.study.taking_over import check_place, tell_other, write_origin
from etude.study.timing import Timings
from etude.study.tracking import make_mirror
from etude.study.workers import workers
from etude.study.workspace import Workspace


def run_study(
    study: StudyConfig,
    text: str,
    base: Path,
    results: Path,
    watch: Watcher,
    *,
    device: str = "auto",
    engine: Engine | None = None,
    processes: int = 1,
    origin: str = "",
    take_over: bool = False,
) -> StudyRecord:
    """Run a study: whatever of it was trained before is kept, whatever was interrupted goes on.

    Its searches come first. A second process that is given a study whose searches are under way takes part in them,
    then waits for the first.

    Args:
        study: the resolved study.
        text: its file, overrides laid over it, which is kept beside the records.
        base: the folder that relative paths in it start from.
        results: the folder in which the study's own folder lies.
        watch: hears where the work stands.
        device: auto, cpu, cuda or mps.
        engine: who does the runs; by default this process.
        processes: how many share the trials of a search, this one among them.
        origin: what the study was made of; see `Study.from_text`.
        take_over: replace the leaderboard and the report of another study that lies in that folder.

    Raises:
        EtudeError: a sentence for each thing that can go wrong; what was finished is kept.
        MistakeError: if another study lies in that folder, and `take_over` does not say that it may be replaced.
        BudgetError: once the budget is spent and runs are left.
    """
    folder, started = StudyFolder(results, study.study), time.monotonic()
    workspace = Workspace(study, base, folder, device, watch)
    if not take_over:
        check_place(workspace, origin)
    has_helped = _help(Searching(study, workspace, watch, started))
    with folder.locked(wait=has_helped):
        check_networks(resolve_candidates(study), workspace)
        if study.protocol.generation.judge:
            with mistakes_at("protocol", "generation", "judge"):
                find_judge(study, workspace.source.classes, results)
        check_scores(workspace)
        guard(workspace)
        with workers(processes, study, base, results, device, watch):
            found = Searching(study, workspace, watch, started).run()
        study = found.study
        candidates = candidates_of(found, workspace, expand_ablations(study).groups)
        orders = plan_runs(study, workspace, candidates)
        if study.protocol.generation.judge and any(folder.load_run(order.identity) is None for order in orders):
            with mistakes_at("protocol", "generation", "judge"):
                check_judge(study.protocol.generation.judge, results)
        keep_study(text, base, folder)
        write_json(folder.resolved, resolved_json(study, candidates))
        measure_anew(workspace, candidates, orders)
        session = _Session(study, workspace, folder, candidates, orders, watch, started, found.records, origin)
        session.write()
        session.train(engine or InProcess())
        record = session.close()
        if study.protocol.robustness:
            measure_robustness(workspace, candidates, record)
        if study.protocol.generation.judge:
            judge_generators(workspace, candidates, record, results)
        return record


def preview_study(
    study: StudyConfig,
    base: Path,
    results: Path,
    watch: Watcher,
    *,
    device: str = "auto",
    measure: bool = True,
    origin: str = "",
) -> StudyPlan:
    """Return what a study will train, in what order, how long it will take here and what it can show.

    Nothing is trained to its end: a few steps of each candidate are timed where that was not done before.

    Args:
        study: the resolved study.
        base: the folder that relative paths in it start from.
        results: the folder in which the study's own folder lies.
        watch: hears where the work stands.
        device: auto, cpu, cuda or mps.
        measure: whether to time what was not timed before.
        origin: what the study was made of; see `Study.from_text`.

    Raises:
        EtudeError: if the data or a network cannot be used.
    """
    folder = StudyFolder(results, study.study)
    workspace = Workspace(study, base, folder, device, watch)
    other = tell_other(workspace, origin)
    found, left = Searching(study, workspace, watch, time.monotonic()).known()
    study = found.study
    candidates = candidates_of(found, workspace, expand_ablations(study).groups)
    waiting = waiting_candidates(study, [search.candidate for search in left])
    orders = [
        replace(order, identity="") if order.candidate in waiting else order
        for order in plan_runs(study, workspace, candidates)
    ]
    session = _Session(study, workspace, folder, candidates, orders, watch, time.monotonic(), found.records)
    while all(ref.status == "finished" for ref in session.refs()) and session.add_seed():
        pass
    plan = make_plan(study, workspace, candidates, session.refs(), measure=measure, searches=found.records)
    note = (f"{other}. `etude run` asks for another --name or --results, or for --yes.",) if other else ()
    return plan.model_copy(update={"notes": (*plan.notes, *note)})


def _help(searching: Searching) -> bool:
    """Take part in searches that another process has under way; say whether there were any."""
    if not searching.study.search or not searching.workspace.folder.is_run_elsewhere():
        return False
    if not searching.known()[1]:
        return False
    searching.watch.said(f"{searching.study.study}: another process runs it; this one takes part in its search")
    searching.run(is_helping=True)
    searching.watch.said(f"{searching.study.study}: the search is done; the other process goes on with the runs")
    return True


def check_networks(candidates: dict[str, Candidate], workspace: Workspace) -> None:
    """Build each network once, so that a mistake shows before anything is trained.

    Raises:
        ModelError: if one cannot be built for these pictures and classes.
    """
    for name, candidate in candidates.items():
        build_network(candidate, workspace, 0)
        with mistakes_at("candidates", name):
            make_extras(workspace, candidate, Order(name, 0, None, ""))


class _Session:
    """One call of `run_study`: the outcomes so far, and the records written from them."""

    def __init__(
        self,
        study: StudyConfig,
        workspace: Workspace,
        folder: StudyFolder,
        candidates: dict[str, Candidate],
        orders: list[Order],
        watch: Watcher,
        started: float,
        searches: tuple[SearchRecord, ...],
        origin: str = "",
    ) -> None:
        self.study, self.workspace, self.folder, self.candidates = study, workspace, folder, candidates
        self.orders, self.watch = orders, watch
        self.mirror = make_mirror(study.track, study.study, watch)
        self.failures: dict[str, str] = {}
        self.seen: set[str] = set()
        self.timed: set[str] = set()
        self.started, self.searches, self.origin = started, searches, origin
        self.is_out_of_time = False
        self.next_write = 0.0

    def train(self, engine: Engine) -> None:
        """Train what is not finished, and write the records after each run; with `seeds: auto`, seed after seed."""
        while True:
            shared = (self.workspace, self.candidates, self.folder, self.watch, len(self.orders), self._positions())
            for outcome in engine.do(self._missing(), functools.partial(_perform, *shared)):
                self._take(outcome)
                if time.monotonic() > self.next_write:
                    self.write()
            if self.is_out_of_time or not self.add_seed():
                return
            measure_anew(self.workspace, self.candidates, self.orders)

    def add_seed(self) -> bool:
        """Plan one seed more where `seeds: auto` asks for it; say whether it did."""
        if not needs_seed(self.study, self.folder, self.refs()):
            return False
        seed = max(order.seed for order in self.orders) + 1
        self.orders += plan_runs(self.study, self.workspace, self.candidates, [seed])
        return True

    def _missing(self) -> Iterator[Order]:
        """Give the orders that are not finished, until the budget is spent."""
        budget = self.study.protocol.budget
        positions = self._positions()
        for order in self.orders:
            if order.identity in self.seen:
                continue
            self.seen.add(order.identity)
            if self.folder.load_run(order.identity) is not None:
                self.watch.run_skipped(order.label, positions[order.identity], len(self.orders))
                continue
            if budget is not None and time.monotonic() - self.started > budget:
                self.is_out_of_time = True
                return
            self._estimate(order.candidate)
            yield order

    def _estimate(self, candidate: str) -> None:
        """Time a few steps before the first run of a candidate, so that an estimate stands beside its real time."""
        own = [order for order in self.orders if order.candidate == candidate]
        if candidate not in self.timed and not any(self.folder.load_run(order.identity) for order in own):
            Timings(self.workspace).estimate(self.candidates[candidate], len(own))
        self.timed.add(candidate)

    def _positions(self) -> dict[str, int]:
        return {order.identity: index for index, order in reversed(list(enumerate(self.orders, 1)))}

    def _take(self, outcome: Outcome) -> None:
        if outcome.record is not None:
            self.watch.run_done(outcome.record)
            self.mirror.mirror(outcome.record, self.folder.run(outcome.record.identity))
            return
        self.failures[outcome.order.identity] = outcome.failure
        self.watch.run_failed(outcome.order.label, outcome.failure)

    def write(self) -> StudyRecord:
        """Write the study's record, leaderboard and verdicts as they stand."""
        started = time.monotonic()
        record = summarize(
            self.study,
            self.workspace,
            self.folder,
            self.refs(),
            candidates=self.candidates,
            command=command_words(),
            searches=self.searches,
            origin=write_origin(self.origin, self.folder),
        )
        # Between runs this may take one part in twenty of the time, no more, however many runs there are.
        self.next_write = time.monotonic() + 20 * (time.monotonic() - started)
        return record

    def refs(self) -> list[RunRef]:
        """Return every run of the plan and where it stands."""
        return [self._ref(order) for order in self.orders]

    def _ref(self, order: Order) -> RunRef:
        folder = self.folder.run(order.identity)
        failure = self.failures.get(order.identity, "")
        finished, begun = (folder / "run.json").exists(), (folder / "state").exists()
        status = "finished" if finished else "failed" if failure else "running" if begun else "planned"
        return RunRef(
            candidate=order.candidate,
            seed=order.seed,
            fold=order.fold,
            identity=order.identity,
            status=status,
            failure=failure,
        )

    def close(self) -> StudyRecord:
        """Return the record, or say what stopped the study short of its plan.

        Raises:
            BudgetError: if the budget is spent and runs are left.
            RuleError: if runs failed.
        """
        record = self.write()
        for ref in record.runs if self.study.track else ():
            if (finished := self.folder.load_run(ref.identity)) is not None:
                self.mirror.mirror(finished, self.folder.run(ref.identity))
            elif ref.status == "failed":
                self.mirror.mirror_failure(ref)
        for search in self.searches if self.study.track else ():
            self.mirror.mirror_search(search)
        if len(self.workspace.splits) > 1 and self.study.task != "generation":
            write_out_of_fold(self.folder.out_of_fold, finished_runs(self.study, self.folder, self.refs()))
        left = sum(ref.status in ("planned", "running") for ref in record.runs)
        if self.is_out_of_time and left:
            raise BudgetError(
                f"{self.study.study}: the budget is spent with {left} of {how_many(len(record.runs), 'run')} left. "
                f"The same command goes on from there; --set protocol.budget=2h gives it more."
            )
        if self.failures:
            first = next(iter(self.failures.values()))
            raise RuleError(
                f"{self.study.study}: {len(self.failures)} of {how_many(len(record.runs), 'run')} failed. {first}"
            )
        return record


def _perform(
    workspace: Workspace,
    candidates: dict[str, Candidate],
    folder: StudyFolder,
    watch: Watcher,
    of: int,
    positions: dict[str, int],
    order: Order,
) -> RunRecord:
    """Make the job of an order and train it."""
    from etude.train.finish import run_job

    job = make_job(workspace, candidates[order.candidate], order, (positions[order.identity], of))
    return run_job(job, folder.run(order.identity), watch)
