"""Sentences written from verdicts: none claims what its record does not show."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from etude.core.study_record import AblationGroup, LeaderboardRow, Verdict, VerdictWord, cost_ratio
from etude.evaluate.overfitting import Gap
from etude.metrics.statistics import ALPHA
from etude.report.messages import mark
from etude.report.words import MetricWords, Words

VERDICT_WORDS: dict[VerdictWord, str] = {
    "better": mark("better"),
    "worse": mark("worse"),
    "no difference shown": mark("no difference shown"),
}

METHOD_WORDS = {
    "paired t": mark("paired t"),
    "corrected resampled t": mark("corrected resampled t"),
    "exact McNemar": mark("exact McNemar"),
    "sequential paired t": mark("sequential paired t"),
    "paired bootstrap": mark("paired bootstrap"),
    "paired jackknife": mark("paired jackknife"),
}


def shorten(verdict: Verdict, group: AblationGroup) -> Verdict:
    """Name a variant by what it varies alone, such as '+flip' for 'plain+flip'."""
    return verdict.model_copy(update={"candidate": verdict.candidate.removeprefix(group.varied).strip()})


def _ratio_with_search(board: list[LeaderboardRow], verdict: Verdict) -> float | None:
    """Return the training time of a candidate and its search over that of a baseline that was not searched."""
    rows = {row.candidate: row for row in board}
    candidate, baseline = rows.get(verdict.candidate), rows.get(verdict.baseline)
    if candidate is None or baseline is None or not candidate.search_seconds or baseline.search_seconds:
        return None
    if candidate.seconds is None or not baseline.seconds:
        return None
    return (candidate.seconds + candidate.search_seconds) / baseline.seconds


@dataclass(frozen=True)
class Teller:
    """What sentences are written with."""

    words: Words
    metric: MetricWords
    name: Callable[[str], str] = str
    """Sets off the name of a candidate from the sentence around it."""

    def tell_verdict(self, verdict: Verdict) -> str:
        """Write one comparison as a sentence."""
        if verdict.verdict == "no difference shown":
            return self._tell_nothing_shown(verdict)
        better = verdict.verdict == "better"
        places = {
            "candidate": self.name(verdict.candidate),
            "baseline": self.name(verdict.baseline),
            "gain": self.metric.points(verdict.gain),
            "interval": self._size_interval(verdict, verdict.low, verdict.high),
        }
        if self.metric.in_percent:
            if better:
                text = self.words.say("{candidate} gains {gain} {interval} over {baseline}.", **places)
            else:
                text = self.words.say("{candidate} loses {gain} {interval} against {baseline}.", **places)
        else:
            places["metric"] = self.metric.name
            if better:
                text = self.words.say("{candidate} improves {metric} by {gain} {interval} over {baseline}.", **places)
            else:
                text = self.words.say("{candidate} worsens {metric} by {gain} {interval} against {baseline}.", **places)
        text = text if places["interval"] else type(text)(text.replace("  ", " "))
        return text + self._tell_pictures(verdict)

    def tell_with_costs(self, verdict: Verdict, rows: Iterable[LeaderboardRow]) -> str:
        """Write a comparison as a sentence, and what the candidate costs beside what it is compared with."""
        told, costs = self.tell_verdict(verdict), self.tell_costs(verdict, rows)
        return type(told)(" ").join(filter(None, (told, costs)))

    def tell_costs(self, verdict: Verdict, rows: Iterable[LeaderboardRow]) -> str:
        """Write what a candidate costs beside what it is compared with; empty where neither cost is known."""
        say, board = self.words.say, list(rows)
        sides = {verdict.candidate, verdict.baseline}
        if any(row.params == 0 for row in board if row.candidate in sides):
            return ""  # what has no parameters costs next to nothing, and a ratio to nothing says nothing
        time = self.words.times(cost_ratio(board, verdict, "seconds"))
        searched = self.words.times(_ratio_with_search(board, verdict))
        latency = self.words.times(cost_ratio(board, verdict, "latency_ms"))
        costs = [
            *([say("training time {ratio}", ratio=time)] if time else []),
            *([say("{ratio} with its search", ratio=searched)] if time and searched else []),
            *([say("latency of one picture {ratio}", ratio=latency)] if latency else []),
        ]
        if not costs:
            return ""
        return say("Beside {baseline}: {costs}.", baseline=self.name(verdict.baseline), costs=", ".join(costs))

    def _tell_pictures(self, verdict: Verdict) -> str:
        """Write that the test pictures leave open what the runs have shown; empty where they do not."""
        if not verdict.may_vanish or verdict.pictures is None:
            return ""
        interval = self._size_interval(verdict, verdict.pictures.low, verdict.pictures.high)
        return " " + self.words.say(
            "On other test pictures this may vanish: over pictures the interval is {interval}.", interval=interval
        )

    def _tell_nothing_shown(self, verdict: Verdict) -> str:
        """Write that nothing was shown, and what could have been."""
        text = self.words.say(
            "{candidate}: no difference shown from {baseline} ({gain}{interval}).",
            candidate=self.name(verdict.candidate),
            baseline=self.name(verdict.baseline),
            gain=self.metric.signed_points(verdict.gain),
            interval=" " + interval if (interval := self.metric.interval(verdict.low, verdict.high)) else "",
        )
        text += self._tell_why_nothing(verdict) + self._tell_these_runs(verdict)
        if verdict.smallest_detectable is None:
            return text
        if self.metric.in_percent and verdict.smallest_detectable >= 1:
            return text + " " + self.words.say("So few runs could hardly have shown any difference.")
        least = self.metric.points(verdict.smallest_detectable)
        return text + " " + self.words.say("A true gain of {least} would have been shown 8 times in 10.", least=least)

    def _tell_why_nothing(self, verdict: Verdict) -> str:
        """Write why nothing is shown though the interval leaves zero out; empty where it does not."""
        if not verdict.leaves_zero_out or verdict.p is None or verdict.p_adjusted is None:
            return ""
        p = self.words.p_value(verdict.p_adjusted)
        if verdict.p > ALPHA:
            return " " + self.words.say("The test, which decides, is more careful than the interval (p = {p}).", p=p)
        return " " + self.words.say(
            "The interval is that of this comparison alone; corrected for the number of comparisons, it is not enough "
            "(p = {p}).",
            p=p,
        )

    def _tell_these_runs(self, verdict: Verdict) -> str:
        """Write that the runs as they are differ on the test pictures; empty where they are not shown to."""
        if not verdict.differs_on_pictures or verdict.pictures is None:
            return ""
        interval = self.metric.interval(verdict.pictures.low, verdict.pictures.high)
        if verdict.method == "corrected resampled t":
            told = self.words.say(
                "Over the test pictures alone the interval, which is not corrected, is {interval}: these networks "
                "differ on them; that networks trained on other pictures would is not shown.",
                interval=interval,
            )
        else:
            told = self.words.say(
                "Over the test pictures alone the interval, which is not corrected, is {interval}: these networks "
                "differ on them; that networks of other seeds would is not shown.",
                interval=interval,
            )
        return f" {told}"

    def _size_interval(self, verdict: Verdict, low: float | None, high: float | None) -> str:
        """Write an interval of the size of a gain or a loss, turned round for a loss."""
        if low is None or high is None or verdict.verdict == "better":
            return self.metric.interval(low, high)
        return self.metric.interval(0.0 - high, 0.0 - low)

    def title_ablation(self, group: AblationGroup) -> str:
        """Write what an ablation varies, for its heading."""
        if group.all_of:
            return self.words.say("{baseline} with one augmentation left out", baseline=group.of)
        return self.words.say("{field} varied in {baseline}", field=group.vary, baseline=group.of)

    def tell_all_of(self, group: AblationGroup) -> str:
        """Write how to read comparisons with the candidate that has all augmentations; empty for other ablations."""
        if not group.all_of:
            return ""
        return self.words.say(
            "Each lacks one augmentation of {baseline} and is compared with it: what it loses is what that "
            "augmentation adds to the others.",
            baseline=self.name(group.of),
        )

    def tell_gap(self, baseline: str, gap: Gap, *, has_gained: bool = False) -> str:
        """Write whether the model that an augmentation is judged on overfits.

        Args:
            baseline: that model.
            gap: its scores on training and test.
            has_gained: whether one of its augmentations was shown to gain.
        """
        places = {
            "baseline": self.name(baseline),
            "train": self.metric.score(gap.train),
            "test": self.metric.score(gap.test),
        }
        if gap.is_overfit:
            return self.words.say(
                "{baseline} reaches {train} on its training pictures and {test} on the test part: it overfits, which "
                "augmentation is meant to lessen.",
                **places,
            )
        if has_gained:
            return self.words.say(
                "{baseline} reaches {train} on its training pictures and {test} on the test part: no overfitting was "
                "shown.",
                **places,
            )
        return self.words.say(
            "{baseline} reaches {train} on its training pictures and {test} on the test part: no overfitting was "
            "shown, so nothing says that an augmentation would help.",
            **places,
        )

    def tell_intervals(self, row: LeaderboardRow) -> str:
        """Write the intervals of a score, each with what it is over; empty where there is none."""
        say, runs, pictures = self.words.say, row.interval_runs, row.interval_pictures
        told = [
            *([say("{interval} over runs", interval=self.metric.interval(runs.low, runs.high))] if runs else []),
            *(
                [say("{interval} over pictures", interval=self.metric.interval(pictures.low, pictures.high))]
                if pictures
                else []
            ),
        ]
        return say(" (95%: {intervals})", intervals=", ".join(told)) if told else ""
