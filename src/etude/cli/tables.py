"""Tables for the terminal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from etude.cli.printing import add_row, make_table
from etude.cli.watching import duration
from etude.core.counting import how_many
from etude.core.interval import Interval
from etude.core.study_record import COMBINE_GROUP, SEARCH_GROUP, LeaderboardRow, StudyRecord, Verdict, cost_ratio

_BETWEEN = 3
"""Signs between two columns."""
_FEW_RUNS = 3
"""With fewer, an interval over runs says little."""
_COLOURS = {"better": "green", "worse": "red", "no difference shown": "yellow"}


class Board(Protocol):
    """What has a leaderboard and verdicts: a study, or several side by side."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def metric(self) -> str:
        """The metric that ranks and compares."""

    @property
    def leaderboard(self) -> tuple[LeaderboardRow, ...]:
        """One row a candidate, best first."""

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """The comparisons."""


def leaderboard_table(record: Board, width: int) -> Table:
    """Return the leaderboard, with as many columns as the width has room for; below it the names of the others."""
    told = [(heading, right, [tell(row) for row in record.leaderboard], rank)
            for heading, right, tell, rank in _columns(record)]  # fmt: skip
    columns = [column for column in told if any(column[2]) or column[3] == 0]
    shown = _fitting([(rank, max(map(cell_len, (heading, *texts)))) for heading, _, texts, rank in columns], width)
    headings = [heading for heading, *_ in columns]
    right = [heading for heading, is_right, *_ in columns if is_right]
    title = f"{record.name}: {record.metric} on the test part"
    table = make_table(*(headings[place] for place in shown), right=right, title=title)
    if hidden := [heading for place, heading in enumerate(headings) if place not in shown]:
        table.caption = f"A wider terminal, or a file, has room for more: {', '.join(hidden)}\n"
        table.caption_justify = "left"
    for number in range(len(record.leaderboard)):
        add_row(table, *(columns[place][2][number] for place in shown))
    return table


def _fitting(columns: Sequence[tuple[int, int]], width: int) -> list[int]:
    """Return the places of the columns that fit, those of the lowest rank first; rank 0 is always shown.

    Args:
        columns: rank and width of each.
        width: of the terminal.
    """
    left, shown = width - 2, []
    for place, (rank, size) in sorted(enumerate(columns), key=lambda entry: entry[1][0]):
        left -= size + _BETWEEN
        if rank > 0 and left < 0:
            break
        shown.append(place)
    return sorted(shown)


def _columns(record: Board) -> list[tuple[str, bool, Callable[[LeaderboardRow], str], int]]:
    """Return heading, right-aligned?, text of a row, and the rank by which columns are shown where not all fit."""
    clean: list[tuple[str, bool, Callable[[LeaderboardRow], str], int]] = []
    if any(row.score_clean is not None for row in record.leaderboard):
        clean = [("without leaks", True, lambda row: _number(row.score_clean, 4), 20)]
    searched: list[tuple[str, bool, Callable[[LeaderboardRow], str], int]] = []
    if any(row.search_seconds is not None for row in record.leaderboard):
        searched = [("search", True, lambda row: _time(row.search_seconds), 80)]
    return [
        ("candidate", False, lambda row: row.candidate, 0),
        ("runs", True, lambda row: str(row.n_runs), 10),
        (record.metric, True, lambda row: _number(row.score, 4), 0),
        *clean,
        ("±", True, lambda row: _number(row.deviation, 4), 100),
        ("95 % pictures", True, lambda row: _interval(row.interval_pictures), 60),
        ("95 % runs", True, lambda row: _interval(row.interval_runs), 85),
        ("validation", True, lambda row: _number(row.validation_score, 4), 105),
        ("time", True, lambda row: _time(row.seconds), 70),
        ("to best", True, lambda row: _time(row.seconds_to_best), 95),
        *searched,
        ("pictures/s", True, lambda row: "" if not row.images_per_s else f"{row.images_per_s:,.0f}", 115),
        ("params", True, lambda row: _count(row.params), 125),
        ("MACs", True, lambda row: _count(row.macs), 135),
        ("ms", True, lambda row: _number(row.latency_ms, 2), 90),
        ("MB", True, lambda row: "" if row.size_mb is None else f"{row.size_mb:.3g}", 93),
        ("memory MiB", True, lambda row: "" if row.own_memory_mb is None else f"{row.own_memory_mb:,.0f}", 155),
    ]


def verdict_lines(record: Board) -> list[Text]:
    """Return one line a comparison, those of each ablation below a line with its name; how they are signed first."""
    from etude.evaluate.scores import metric_of

    lines = []
    if record.verdicts and not metric_of(record.metric).higher_is_better:
        lines.append(
            Text(f"A lower {record.metric} is better; differences are signed so that positive ones are better.")
        )
    group = ""
    groups = [verdict.group for verdict in record.verdicts if verdict.p_adjusted is not None]
    for verdict in record.verdicts:
        if verdict.group != group:
            group = verdict.group
            lines.append(Text(_group_words(group), style="bold"))
        told = _verdict_words(verdict, groups.count(group)) + _cost_words(verdict, record.leaderboard)
        lines.append(Text.assemble((verdict.verdict, _COLOURS[verdict.verdict]), f": {told}"))
    return lines


def few_runs_line(record: Board) -> str:
    """Say that the intervals over runs are of two runs; empty where none is."""
    if any(row.interval_runs is not None and row.n_runs < _FEW_RUNS for row in record.leaderboard):
        return "Note: two runs of a candidate are too few for an interval over runs that says much."
    return ""


def _group_words(group: str) -> str:
    if group.startswith(SEARCH_GROUP):
        return f"What the {group} found"
    if group.startswith(COMBINE_GROUP):
        return f"Combinations of {group.removeprefix(COMBINE_GROUP)}"
    return f"Ablation {group}"


def _verdict_words(verdict: Verdict, n_compared: int) -> str:
    """Write gain, interval, test and p-value; the latter says for how many comparisons it was corrected."""
    interval = "" if verdict.low is None or verdict.high is None else f" [{verdict.low:+.4f}, {verdict.high:+.4f}]"
    p = "" if verdict.p_adjusted is None else f", p = {verdict.p_adjusted:.3g}"
    if p and n_compared > 1:
        p += f" corrected for {n_compared} comparisons"
        if verdict.verdict == "no difference shown" and verdict.leaves_zero_out:
            p += ", as the interval is not"
    pairs = how_many(verdict.n_pairs, "pair")
    told = (
        f"{verdict.candidate} against {verdict.baseline}: {verdict.gain:+.4f}{interval} ({verdict.method}, {pairs}{p})"
    )
    if verdict.may_vanish and verdict.pictures is not None:
        told += (
            f"; over pictures [{verdict.pictures.low:+.4f}, {verdict.pictures.high:+.4f}], so it may vanish on others"
        )
    if verdict.differs_on_pictures and verdict.pictures is not None:
        told += f"; of these runs, over pictures [{verdict.pictures.low:+.4f}, {verdict.pictures.high:+.4f}]"
    return told


def _cost_words(verdict: Verdict, rows: Sequence[LeaderboardRow]) -> str:
    """Write what a candidate costs beside what it is compared with; nothing where neither is known."""
    ratios = (("time", cost_ratio(rows, verdict, "seconds")), ("ms", cost_ratio(rows, verdict, "latency_ms")))
    told = [f"{name} ×{_ratio(ratio)}" for name, ratio in ratios if ratio is not None]
    return f"; {', '.join(told)}" if told else ""


def _ratio(value: float) -> str:
    """Write a ratio with two digits, and all of those before the point.

    >>> _ratio(1.4321), _ratio(0.0321), _ratio(123.4)
    ('1.4', '0.032', '123')
    """
    return f"{value:.2g}" if value < 10 else f"{value:.0f}"


def search_lines(record: StudyRecord) -> list[Text]:
    """Return one line a search: its trials, its cost, and what that gained."""
    lines = []
    for search in record.searches:
        verdict = record.verdict_on(search)
        gain = f"; {verdict.verdict} than {search.of}" if verdict and verdict.verdict != "no difference shown" else ""
        gain = f"; no difference to {search.of} shown" if verdict and not gain else gain
        gain += f" ({verdict.gain:+.4f})" if verdict else ""
        lines.append(
            Text(
                f"Search {search.candidate}: {how_many(search.n_trials, 'trial')} ({search.n_complete} complete, "
                f"{search.n_pruned} "
                f"stopped early, {search.n_failed} failed), {duration(search.seconds)} of training{gain}"
            )
        )
    return lines


def _time(seconds: float | None) -> str:
    return "" if seconds is None else duration(seconds)


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _interval(interval: Interval | None) -> str:
    return "" if interval is None else f"{interval.low:.4f} – {interval.high:.4f}"


def _count(value: int | None) -> str:
    """Write a large count shortly.

    >>> _count(272_474), _count(1_500), _count(12)
    ('272 k', '1.5 k', '12')
    """
    if value is None:
        return ""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return str(value)
