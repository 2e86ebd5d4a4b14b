"""Tables as the template reads them: cells hold text to show and a value to sort by."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from etude.core.run_record import RunRecord
from etude.core.study_record import CostColumn, LeaderboardRow, StudyRecord, Verdict, cost_ratio
from etude.report.messages import mark
from etude.report.reading import StudyResults
from etude.report.sentences import METHOD_WORDS, VERDICT_WORDS
from etude.report.splits import tell_folds
from etude.report.words import MetricWords, Words

ABSENT = "–"
"""What a cell without value shows."""


@dataclass(frozen=True)
class Column:
    """One column of a table."""

    heading: str
    numeric: bool = True
    hint: str = ""
    """What the column holds, where its heading is short."""


@dataclass(frozen=True)
class Cell:
    """One cell."""

    text: str
    sort: float | str | None = None
    """What it is sorted by; its text if none."""
    kind: str = ""
    """A class that says what it is."""
    link: str = ""
    """The address that its text leads to; empty for none."""


@dataclass(frozen=True)
class Table:
    """A table: its columns, and rows whose first cell names the row."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    marked: frozenset[int] = field(default=frozenset())
    """Places of rows that are set off: the baseline's."""


_Writer = Callable[[Any], str]


def tabulate_leaderboard(record: StudyRecord, words: Words, metric: MetricWords) -> Table:
    """Set out the leaderboard; a column that no candidate has a value for is left out."""
    rows = record.leaderboard
    columns: list[tuple[Column, Callable[[LeaderboardRow], float | None], Callable[[LeaderboardRow], str]]] = []

    def add(heading: str, get: Callable[[LeaderboardRow], float | None], write: _Writer, hint: str = "") -> None:
        def write_row(row: LeaderboardRow) -> str:
            value = get(row)
            return ABSENT if value is None else write(value)

        columns.append((Column(heading, hint=hint), get, write_row))

    say = words.say
    add(metric.heading, lambda row: row.score, metric.bare, say("mean on the test part"))
    add("±", lambda row: row.deviation, metric.bare, say("standard deviation over folds, or over seeds"))
    for heading, hint, pick in (
        (say("over runs"), say("95% interval over seeds or folds"), lambda row: row.interval_runs),
        (
            say("over pictures"),
            say("95% interval over the pictures of the test part"),
            lambda row: row.interval_pictures,
        ),
    ):
        columns.append((Column(heading, hint=hint), _low_of(pick), _write_interval(pick, metric)))
    add(
        say("without leaks"),
        lambda row: row.score_clean,
        metric.bare,
        say("mean on the test pictures of which no other part holds a twin"),
    )
    add(say("on validation"), lambda row: row.validation_score, metric.bare, say("mean on the validation part"))
    add(say("on training"), lambda row: row.train_score, metric.bare, say("mean on the training part"))
    for name in _also(rows, record.metric):
        other = MetricWords(words, name)
        columns.append((Column(other.heading), _also_of(name), _write_also(name, other)))
    add(say("training time"), lambda row: row.seconds, words.duration, say("mean of a run"))
    add(
        say("time to epoch kept") if record.task != "generation" else say("time to step kept"),
        lambda row: row.seconds_to_best,
        words.duration,
        say("mean training time up to the epoch that was kept"),
    )
    add(
        say("search"),
        lambda row: row.search_seconds,
        words.duration,
        say("training time of all trials of its search, with folds the mean of their searches"),
    )
    add(say("training pictures/s"), lambda row: row.images_per_s, words.significant)
    add(say("parameters"), lambda row: row.params, words.short)
    add(say("multiply-adds"), lambda row: row.macs, words.short, say("one picture"))
    add(
        say("memory (MiB)"),
        lambda row: row.own_memory_mb,
        words.count_rounded,
        say("peak in training above what the process held before, median over runs"),
    )
    columns.append(
        (
            Column(say("latency (ms)"), hint=say("one picture, in this process")),
            lambda row: row.latency_ms,
            lambda row: tell_latency(row, words) or ABSENT,
        )
    )
    add(say("size (MB)"), lambda row: row.size_mb, words.significant, say("weights"))
    add(say("runs"), lambda row: row.n_runs, words.count, say("finished runs"))
    kept = [entry for entry in columns if any(entry[1](row) is not None for row in rows)]
    body = tuple((Cell(row.candidate), *(Cell(write(row), get(row)) for _, get, write in kept)) for row in rows)
    marked = frozenset(place for place, row in enumerate(rows) if row.candidate == record.baseline)
    return Table((Column(say("candidate"), numeric=False), *(entry[0] for entry in kept)), body, marked)


def tell_columns(table: Table, words: Words) -> str:
    """Say what the columns hold whose headings are short, where a page has no pointer to rest on them."""
    told = [
        words.say("{heading}: {hint}", heading=column.heading, hint=column.hint)
        for column in table.columns
        if column.hint
    ]
    return words.say("Columns: {told}.", told=words.apart(told)) if told else ""


def tell_latency(row: LeaderboardRow, words: Words) -> str:
    """Write the latency of a candidate without its unit, with quartiles where they were recorded; empty for none."""
    if row.latency_ms is None:
        return ""
    median = words.significant(row.latency_ms)
    if row.latency_q1_ms is None or row.latency_q3_ms is None:
        return median
    ends = words.interval(words.significant(row.latency_q1_ms), words.significant(row.latency_q3_ms))
    return f"{median} {ends}"


def _low_of(pick: Callable[[LeaderboardRow], Any]) -> Callable[[LeaderboardRow], float | None]:
    """Return what reads the low end of an interval."""
    return lambda row: None if (interval := pick(row)) is None else interval.low


def _write_interval(pick: Callable[[LeaderboardRow], Any], metric: MetricWords) -> Callable[[LeaderboardRow], str]:
    """Return what writes an interval."""
    return lambda row: ABSENT if (interval := pick(row)) is None else metric.interval(interval.low, interval.high)


def _also_of(name: str) -> Callable[[LeaderboardRow], float | None]:
    """Return what reads another metric."""
    return lambda row: row.also.get(name)


def _write_also(name: str, metric: MetricWords) -> Callable[[LeaderboardRow], str]:
    """Return what writes another metric, with what photographs would show where that was recorded."""

    def write(row: LeaderboardRow) -> str:
        value, interval = row.also.get(name), row.of_photographs.get(name)
        if value is None:
            return ABSENT
        ends = "" if interval is None else metric.interval(interval.low, interval.high)
        return f"{metric.bare(value)} {ends}".strip()

    return write


def _also(rows: Iterable[LeaderboardRow], metric: str) -> list[str]:
    """Return the other metrics of a leaderboard that have no column of their own."""
    names = dict.fromkeys(name for row in rows for name in row.also)
    return [name for name in names if name != metric and name not in LeaderboardRow.model_fields]


def tabulate_verdicts(
    verdicts: Sequence[Verdict],
    words: Words,
    metric: MetricWords,
    rows: Sequence[LeaderboardRow] = (),
    name: Callable[[Verdict], str] = lambda verdict: verdict.candidate,
) -> Table:
    """Set out the comparisons.

    Args:
        verdicts: the comparisons.
        words: the language.
        metric: what is compared.
        rows: the leaderboard, for what each candidate costs beside what it is compared with.
        name: what the candidate of a comparison is called here.
    """
    say = words.say
    costs: tuple[tuple[Column, CostColumn], ...] = (
        (Column(say("time, ratio"), hint=say("mean training time over that of what it is compared with")), "seconds"),
        (Column(say("latency, ratio"), hint=say("latency of one picture over that of what it is compared with")),
         "latency_ms"),
    )  # fmt: skip
    ratios = [(column, [cost_ratio(rows, verdict, cost) for verdict in verdicts]) for column, cost in costs]
    ratios = [(column, values) for column, values in ratios if any(value is not None for value in values)]
    has_pictures = any(verdict.pictures is not None for verdict in verdicts)
    hint = say("95% interval over the pictures of the test part")
    over_pictures = (Column(say("over pictures"), hint=hint),) if has_pictures else ()
    columns = (
        Column(say("candidate"), numeric=False),
        Column(say("verdict"), numeric=False),
        Column(metric.gain_heading),
        Column(say("95% interval"), hint=say("of this comparison alone, not corrected")),
        *over_pictures,
        Column(say("p, adjusted"), hint=say("Holm's correction over the comparisons of this section")),
        Column(say("pairs"), hint=say("same seed, same fold")),
        Column(say("smallest detectable gain"), hint=say("shown 8 times out of 10 by so many runs")),
        *(column for column, _ in ratios),
        Column(say("test"), numeric=False),
    )
    body = tuple(
        (
            Cell(name(verdict)),
            Cell(say(VERDICT_WORDS[verdict.verdict]), kind="verdict-" + verdict.verdict.split()[0]),
            Cell(metric.signed(verdict.gain), verdict.gain),
            Cell(metric.interval(verdict.low, verdict.high) or ABSENT, verdict.low),
            *([_cell_over_pictures(verdict, metric)] if has_pictures else []),
            Cell(ABSENT if verdict.p_adjusted is None else words.p_value(verdict.p_adjusted), verdict.p_adjusted),
            Cell(words.count(verdict.n_pairs), verdict.n_pairs),
            _cell_of_least(verdict, metric),
            *(Cell(words.times(values[place]) or ABSENT, values[place]) for _, values in ratios),
            Cell(say(METHOD_WORDS.get(verdict.method, verdict.method))),
        )
        for place, verdict in enumerate(verdicts)
    )
    return Table(columns, body)


def _cell_of_least(verdict: Verdict, metric: MetricWords) -> Cell:
    """Tell the smallest gain that would be shown; of a share no gain is larger than the whole."""
    least = verdict.smallest_detectable
    if least is None:
        return Cell(ABSENT)
    text = "> " + metric.words.number(100) if metric.in_percent and least > 1 else metric.bare(least)
    return Cell(text, least)


def _cell_over_pictures(verdict: Verdict, metric: MetricWords) -> Cell:
    if verdict.pictures is None:
        return Cell(ABSENT)
    return Cell(metric.interval(verdict.pictures.low, verdict.pictures.high), verdict.pictures.low)


PART_WORDS = {
    "train": mark("training part"),
    "validation": mark("validation part"),
    "test": mark("test part"),
    "left_out": mark("left out"),
}


def tabulate_counts(record: StudyRecord, words: Words) -> Table:
    """Set out the pictures by class and part, with a last row for all classes."""
    parts = [part for part in PART_WORDS if sum(record.counts.get(part, {}).values())]
    columns = (Column(words.say("class"), numeric=False), *(Column(words.say(PART_WORDS[part])) for part in parts))
    names = list(record.classes) + [
        name for name in dict.fromkeys(n for part in parts for n in record.counts[part]) if name not in record.classes
    ]
    rows = [(name, [record.counts[part].get(name, 0) for part in parts]) for name in names]
    # A picture has many classes of masks: their counts do not add up to the pictures.
    in_all = record.n_pictures or {part: sum(record.counts[part].values()) for part in parts}
    rows.append((words.say("all classes"), [in_all[part] for part in parts]))
    body = tuple((Cell(name), *(Cell(words.count(count), count) for count in counts)) for name, counts in rows)
    return Table(columns, body, frozenset([len(rows) - 1]))


def tabulate_pixels(record: StudyRecord, words: Words) -> Table | None:
    """Set out how pixels are spread over the classes of masks, with the weights that this gives; none without masks."""
    totals = {part: sum(record.pixels.get(part, {}).values()) for part in PART_WORDS}
    parts = [part for part, total in totals.items() if total]
    if not parts:
        return None
    columns = (
        Column(words.say("class"), numeric=False),
        *(Column(words.say(PART_WORDS[part])) for part in parts),
        *(Column(words.say("weight, {way}", way=way)) for way in record.class_weights),
    )
    body = tuple(
        (
            Cell(name),
            *(Cell(words.percent(share := record.pixels[part][name] / totals[part], 2), share) for part in parts),
            *(Cell(words.number(weights[name], 2), weights[name]) for weights in record.class_weights.values()),
        )
        for name in record.classes
    )
    return Table(columns, body)


def caption_counts(record: StudyRecord, words: Words) -> str:
    """Say what the counts of pictures by class and part are; a picture has many classes of masks."""
    if record.task == "segmentation":
        return words.say(
            "Pictures of each part in which a class is seen: a picture holds several, so that they do not add up."
        )
    if record.n_folds > 1:
        return words.say(
            "Pictures by class and part in the first of {folds}; over all of them every picture is in a test part.",
            folds=tell_folds(record, words),
        )
    return words.say("Pictures by class and part.")


STATUS_WORDS = {
    "planned": mark("planned"),
    "running": mark("running"),
    "finished": mark("finished"),
    "failed": mark("failed"),
}

STOPPED_WORDS = {
    "complete": mark("all epochs"),
    "early": mark("stopped early"),
    "budget": mark("time budget spent"),
}


def tabulate_runs(study: StudyResults, words: Words, metric: MetricWords) -> Table:
    """Set out every run of the plan, in order, whatever became of it."""
    say = words.say
    record = study.record
    with_folds = any(ref.fold is not None for ref in record.runs)
    columns = [Column(say("candidate"), numeric=False), Column(say("seed"))]
    if with_folds:
        columns.append(Column(say("fold")))
    columns += [Column(say("state"), numeric=False), Column(metric.heading)]
    # A generator has no epochs, and its last step is kept.
    length = [say("steps")] if record.task == "generation" else [say("epochs"), say("epoch kept")]
    columns += [Column(say("validation")), *map(Column, length), Column(say("training time"))]
    columns.append(Column(say("run"), numeric=False, hint=say("folder under runs/")))
    body = []
    for ref in record.runs:
        run = study.runs.get(ref.identity)
        cells = [Cell(ref.candidate), Cell(str(ref.seed), ref.seed)]
        if with_folds:
            cells.append(Cell(ABSENT if ref.fold is None else str(ref.fold), ref.fold))
        state = _tell_end(run, words) if run else say(STATUS_WORDS[ref.status])
        cells += [Cell(state), *_run_cells(run, record, words, metric), Cell(ref.identity, kind="code")]
        body.append(tuple(cells))
    return Table(tuple(columns), tuple(body))


def _tell_end(run: RunRecord, words: Words) -> str:
    """Say why a training ended: after its epochs, after its steps, or early."""
    has_steps = run.stopped == "complete" and run.config.get("train", {}).get("steps") is not None
    return words.say("all steps") if has_steps else words.say(STOPPED_WORDS[run.stopped])


def _run_cells(run: RunRecord | None, record: StudyRecord, words: Words, metric: MetricWords) -> list[Cell]:
    """Write the numbers of one run; none where it is not finished."""
    has_steps = record.task == "generation"
    if run is None:
        return [Cell(ABSENT)] * (4 if has_steps else 5)
    scores = [run.test.get(record.metric), run.validation.get(record.metric)]
    cells = [Cell(ABSENT if score is None else metric.bare(score), score) for score in scores]
    lengths = (run.steps,) if has_steps else (run.epochs, run.best_epoch)
    cells += [Cell(words.count(length), length) for length in lengths]
    return [*cells, Cell(words.duration(run.cost.seconds), run.cost.seconds)]
