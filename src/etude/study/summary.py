"""From the finished runs of a plan to the study's record, leaderboard and verdicts."""

from __future__ import annotations

import contextlib
import csv
import functools
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from etude.core.errors import EtudeError
from etude.core.files import write_json, write_text
from etude.core.generation_record import GENERATION_FILE, GenerationRecord
from etude.core.published import PublishedValue
from etude.core.run_record import RunRecord
from etude.core.search_record import SearchRecord
from etude.core.study_record import (
    AblationGroup,
    CandidateTime,
    LeaderboardRow,
    RunRef,
    SearchSummary,
    StudyRecord,
    Verdict,
)
from etude.core.words import Part
from etude.data.split import resolve_kind
from etude.data.split_file import read_groups
from etude.evaluate.answers import read_answers
from etude.evaluate.clean import add_clean_scores
from etude.evaluate.cost import machine_words, versions
from etude.evaluate.leaderboard import leaderboard_rows
from etude.evaluate.pictures import ratio_over_pictures, resampling_of
from etude.evaluate.run_result import RunResult
from etude.evaluate.scores import metric_of
from etude.evaluate.verdicts import compare, look_at_seeds, pair_runs, ratio_over_runs
from etude.study.ablations import expand_ablations
from etude.study.bounds import judge_bounds
from etude.study.combining import count_members, list_combinations
from etude.study.effort import training_seconds
from etude.study.file import StudyConfig
from etude.study.folder import StudyFolder
from etude.study.guard import leak_notes
from etude.study.resolve import Candidate
from etude.study.sides import default_baseline, sides_of
from etude.study.timing import Timings
from etude.study.workspace import Workspace


def summarize(
    study: StudyConfig,
    workspace: Workspace,
    folder: StudyFolder,
    refs: Sequence[RunRef],
    *,
    candidates: Mapping[str, Candidate],
    command: str,
    searches: Sequence[SearchRecord] = (),
    origin: str = "",
) -> StudyRecord:
    """Score, compare, and write `study.json`, the leaderboard and the verdicts as they stand."""
    runs = finished_runs(study, folder, refs)
    metric, also = study.protocol.metric, study.protocol.also
    failed = {name: [ref.failure for ref in refs if ref.candidate == name and ref.failure] for name in runs}
    rows = leaderboard_rows(runs, metric, also, failed)
    if study.data.on_leak == "allow" and any(fold.test for fold in workspace.check.leaks):
        rows = add_clean_scores(rows, runs, metric, [fold.test for fold in workspace.check.leaks])
    summaries = sum_up_searches(folder, searches)
    rows = [_with_search_time(row, summaries) for row in rows]
    baseline = study.baseline or default_baseline(study)
    groups = expand_ablations(study).groups
    verdicts = _compare_groups(study, runs, groups)
    records = [run.record for entries in runs.values() for run in entries]
    before: StudyRecord | None = None
    with contextlib.suppress(EtudeError):  # the first call, or a record that nobody can read and nobody has judged by
        before = folder.load_study()
    looks, rules = _looks(study, before, refs, verdicts)
    record = StudyRecord(
        name=study.study,
        question=study.asked,
        questions=study.question if isinstance(study.question, dict) else {},
        task=study.task,
        metric=metric,
        higher_is_better=metric_of(metric).higher_is_better,
        baseline=baseline,
        config=resolved_json(study, candidates),
        classes=tuple(workspace.source.classes),
        counts=workspace.counts(),
        pixels=(pixels := workspace.pixels()),
        class_weights=_class_weights(pixels),
        n_pictures=workspace.sizes(),
        licence=study.data.licence or workspace.source.licence,
        runs=tuple(refs),
        leaderboard=tuple(rows),
        verdicts=tuple(verdicts),
        looks=looks,
        rules=rules,
        ablations=groups,
        searches=summaries,
        combinations=list_combinations(study),
        command=command,
        origin=origin,
        device=machine_words(),
        versions=versions(),
        seconds=training_seconds(workspace, folder, candidates, refs) + sum(search.seconds for search in searches),
        data_fingerprint=workspace.fingerprint,
        split_kind=resolve_kind(workspace.source.items, study.data.split.kind),
        split_digests=tuple(workspace.digest(fold) for fold in range(len(workspace.splits))),
        times=tuple(_times(workspace, candidates, rows)),
        notes=_notes(study, workspace, refs, records, looks, rules, rows),
        resampling=resampling_of(runs.get(rows[0].candidate, [])) if rows else None,
        bounds=judge_bounds(study, baseline, before, runs, rows, verdicts, refs),
        published=tuple(PublishedValue(**dict(value)) for value in study.report.published),
    )
    record.save(folder.record)
    write_json(folder.leaderboard_json, [row.model_dump(mode="json") for row in rows])
    write_json(folder.verdicts, [verdict.model_dump(mode="json") for verdict in verdicts])
    write_text(folder.leaderboard_csv, leaderboard_csv(rows))
    return record


def _class_weights(pixels: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, float]]:
    if not pixels:
        return {}
    from etude.tasks.segmentation import tell_weights

    return tell_weights(pixels["train"])


def sum_up_searches(folder: StudyFolder, searches: Sequence[SearchRecord]) -> tuple[SearchSummary, ...]:
    """Sum up each search over its folds."""
    by_candidate: dict[str, list[SearchRecord]] = {}
    for search in searches:
        by_candidate.setdefault(search.candidate, []).append(search)
    return tuple(
        SearchSummary(
            candidate=name,
            of=own[0].of,
            sampler=own[0].sampler,
            n_trials=sum(len(search.trials) for search in own),
            n_complete=sum(search.count("complete") for search in own),
            n_pruned=sum(search.count("pruned") for search in own),
            n_failed=sum(search.count("failed") for search in own),
            seconds=sum(search.seconds for search in own),
            settings=tuple(search.settings for search in own),
            validation_scores=tuple(search.best_score for search in own),
            records=tuple(str(folder.search_record(name, search.fold).relative_to(folder.root)) for search in own),
            identities=tuple(dict.fromkeys(trial.identity for search in own for trial in search.trials)),
        )
        for name, own in by_candidate.items()
    )


def _with_search_time(row: LeaderboardRow, searches: Sequence[SearchSummary]) -> LeaderboardRow:
    spent = [search.seconds / len(search.settings) for search in searches if search.candidate == row.candidate]
    return row.model_copy(update={"search_seconds": spent[0]}) if spent else row


def _compare_groups(
    study: StudyConfig, runs: Mapping[str, list[RunResult]], groups: Sequence[AblationGroup]
) -> list[Verdict]:
    """Compare the study's candidates with its baseline, then each ablation's with its own; Holm within each group."""
    verdicts = []
    for name, of, own in _sides(study, runs, groups):
        found = compare(own, of, study.protocol.metric, auto=study.protocol.auto)
        if study.task == "generation":
            found = [_with_ratio(verdict, own, study.protocol.metric) for verdict in found]
        verdicts += [verdict.model_copy(update={"group": name}) for verdict in found]
    return verdicts


def _with_ratio(verdict: Verdict, runs: Mapping[str, list[RunResult]], metric: str) -> Verdict:
    """Add the score of a candidate over that of its baseline, over the runs that both have."""
    ours, theirs = pair_runs(runs[verdict.candidate], runs[verdict.baseline])
    ratio = ratio_over_pictures(ours, theirs, metric)
    if ratio is None:
        return verdict
    over_runs = ratio_over_runs(ours, theirs, metric)
    return verdict.model_copy(update={"ratio": ratio.model_copy(update={"over_runs": over_runs})})


def _sides(
    study: StudyConfig, runs: Mapping[str, list[RunResult]], groups: Sequence[AblationGroup]
) -> Iterator[tuple[str, str, dict[str, list[RunResult]]]]:
    """Give the groups of comparisons whose baseline has a run: name, baseline, and the runs by candidate."""
    for name, of, candidates in sides_of(study, groups):
        if runs.get(of):
            yield name, of, {candidate: runs[candidate] for candidate in candidates}


def needs_seed(study: StudyConfig, folder: StudyFolder, refs: Sequence[RunRef]) -> bool:
    """Say whether `seeds: auto` asks for one seed more: whether any group of comparisons does."""
    auto = study.protocol.auto
    if auto is None or len({ref.seed for ref in refs}) >= auto.most:
        return False
    runs = finished_runs(study, folder, refs)
    sides = _sides(study, runs, expand_ablations(study).groups)
    looks = [look_at_seeds(own, of, study.protocol.metric, auto) for _, of, own in sides]
    return any(look is not None and not look.stop for look in looks)


def finished_runs(study: StudyConfig, folder: StudyFolder, refs: Sequence[RunRef]) -> dict[str, list[RunResult]]:
    """Return the finished runs by candidate; their predictions are read when they are needed."""
    return load_runs(folder, refs, list(study.candidates))


def load_runs(folder: StudyFolder, refs: Sequence[RunRef], candidates: Sequence[str]) -> dict[str, list[RunResult]]:
    """Return the finished ones of some runs by candidate; their predictions are read when they are needed."""
    runs: dict[str, list[RunResult]] = {name: [] for name in candidates}
    groups = read_groups(folder.split) if folder.split.is_file() else None
    for ref in refs:
        record = folder.load_run(ref.identity)
        if record is not None:
            path = folder.run(ref.identity) / "predictions.parquet"
            # A run is shared by candidates that resolve to the same training: each sees it under its own name.
            own = record.model_copy(update={"candidate": ref.candidate, "seed": ref.seed, "fold": ref.fold})
            runs[ref.candidate].append(
                RunResult(
                    record=own,
                    test=functools.partial(read_answers, path, Part.TEST),
                    validation=functools.partial(read_answers, path, Part.VALIDATION),
                    groups=groups,
                )
            )
    return runs


def resolved_json(study: StudyConfig, candidates: Mapping[str, Candidate]) -> dict[str, Any]:
    """Return every field of a study, defaults included, each candidate put together."""
    whole = study.model_dump(mode="json")
    whole["candidates"] = {name: candidate.dump() for name, candidate in candidates.items()}
    return whole


def _times(
    workspace: Workspace, candidates: Mapping[str, Candidate], rows: Sequence[LeaderboardRow]
) -> Iterator[CandidateTime]:  # fmt: skip
    """Set the estimated time of a run of each candidate beside the real one, both of all its trainings."""
    timings = Timings(workspace)
    real = {row.candidate: row.seconds for row in rows}
    for name, candidate in candidates.items():
        known = timings.known(candidate)
        estimated = None if known is None else count_members(candidate) * known.seconds
        yield CandidateTime(candidate=name, estimated_seconds=estimated, real_seconds=real.get(name))


Rules = tuple[tuple[int, int], ...]


def _looks(
    study: StudyConfig, before: StudyRecord | None, refs: Sequence[RunRef], verdicts: Sequence[Verdict]
) -> tuple[tuple[int, ...], Rules]:  # fmt: skip
    """Return at how many seeds these candidates were judged, in earlier calls and in this one once it is done.

    And by which rules seeds were added while looking: a first number and the most.
    """
    looks: tuple[int, ...] = ()
    rules: Rules = ()
    if before is not None:
        known = {ref.identity for ref in before.runs if ref.status == "finished"}
        if len({ref.candidate for ref in refs if ref.identity in known}) > 1:  # else it judged other trainings
            looks = before.looks or _judged_at(before.runs, before.verdicts)
            rules = before.rules or _rule_of(before.config)
    own, auto = _judged_at(refs, verdicts), study.protocol.auto
    if own and auto is not None:
        own = tuple(range(auto.first, own[0] + 1))
        rules = (*(rule for rule in rules if rule != (auto.first, auto.most)), (auto.first, auto.most))
    return tuple(dict.fromkeys([*looks, *own])), rules


def _rule_of(config: Mapping[str, Any]) -> Rules:
    """Return the rule of a record of an earlier version, which has it in its configuration alone."""
    seeds = config.get("protocol", {}).get("seeds")
    if not isinstance(seeds, Mapping) or not {"first", "most"} <= seeds.keys():
        return ()
    return ((seeds["first"], seeds["most"]),)


def _judged_at(refs: Sequence[RunRef], verdicts: Sequence[Verdict]) -> tuple[int, ...]:
    """Return the number of seeds of a plan that is done and judged; of one under way nothing: it goes on anyway."""
    if not verdicts or any(ref.status in ("planned", "running") for ref in refs):
        return ()
    return (len({ref.seed for ref in refs}),)


def _ways_of_normalising(folder: StudyFolder, records: Sequence[RunRecord]) -> set[object]:
    """Return how pictures of generators were normalised to be measured, as far as records say it."""
    paths = [folder.run(record.identity) / GENERATION_FILE for record in records]
    found: set[object] = {GenerationRecord.load(path).statistics for path in paths if path.exists()}
    return found - {None}


def _notes(
    study: StudyConfig,
    workspace: Workspace,
    refs: Sequence[RunRef],
    records: Sequence[RunRecord],
    looks: Sequence[int],
    rules: Rules,
    rows: Sequence[LeaderboardRow],
) -> tuple[str, ...]:
    """Gather what a reader must know: of the source, and of the runs."""
    notes = [*workspace.source.notes, *leak_notes(workspace), *(note for record in records for note in record.notes)]
    if len(study.protocol.seed_list) == 1 and len(workspace.splits) == 1:
        notes.append("One run a candidate: what another seed would give is not known.")
    drawn, auto = len({ref.seed for ref in refs}), study.protocol.auto
    if auto is not None:
        notes.append(
            f"Seeds were added while looking, {drawn} of at most {auto.most}: tests and intervals "
            f"allow for a look after every seed."
        )
    allowed = {drawn} if auto is None else set(range(auto.first, auto.most + 1))
    if earlier := [look for look in looks if look not in allowed]:
        notes.append(
            f"Numbers of seeds at which verdicts were written before: {', '.join(map(str, earlier))}; now {drawn}. "
            f"Tests and intervals do not allow for having looked in between, so they err more often than 5 times in "
            f"100. protocol.seeds: auto allows for it."
        )
    if auto is not None and (left := [rule for rule in rules if rule != (auto.first, auto.most)]):
        notes.append(
            f"Other rules by which seeds were added before: {', '.join(f'{first}–{most}' for first, most in left)}; "
            f"now {auto.first}–{auto.most}. Each spreads the level of its tests over its own looks, and nothing "
            f"allows for those of two: tests and intervals err more often than 5 times in 100."
        )
    if study.task == "generation" and len(_ways_of_normalising(workspace.folder, records)) > 1:
        notes.append(
            "Pictures were normalised in several ways for the network over whose features they are measured, each "
            "chosen on the training photographs of a run: the values of runs do not compare."
        )
    notes += [
        f"{row.candidate} has no score: {study.protocol.metric} does not exist on a test part that lacks pictures of a "
        f"class. Give another metric or another split."
        for row in rows
        if row.n_runs and row.score is None
    ]
    return tuple(dict.fromkeys(notes))


def leaderboard_csv(rows: Sequence[LeaderboardRow]) -> str:
    """Return the leaderboard as CSV: an interval has two columns, each further metric one."""
    return table_csv([flatten_row(row) for row in rows])


def table_csv(flat: Sequence[Mapping[str, Any]]) -> str:
    """Return rows as CSV, with a column for each name that any of them has."""
    names = list(dict.fromkeys(name for row in flat for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)
    return text.getvalue()


def flatten_row(row: LeaderboardRow) -> dict[str, Any]:
    """Return a row as columns of one value each."""
    flat: dict[str, Any] = {}
    for name in LeaderboardRow.model_fields:
        value = getattr(row, name)
        if name.startswith("interval_"):
            flat[f"{name}_low"], flat[f"{name}_high"] = ("", "") if value is None else (value.low, value.high)
        elif name == "also":
            flat |= value
        elif name == "of_photographs":
            ends = ("low", "high")
            flat |= {f"{of}_photographs_{end}": getattr(found, end) for of, found in value.items() for end in ends}
        elif name in ("class_scores", "category_scores"):
            kind = name.removesuffix("_scores")
            flat |= {f"iou_{kind}_{of}": "" if score is None else score for of, score in value.items()}
        elif name == "failed":
            flat[name] = " ".join(value)
        else:
            flat[name] = "" if value is None else value
    return flat
