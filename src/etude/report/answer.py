"""The answer to a study's question, from its leaderboard and verdicts alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from etude.core.study_record import AblationGroup, LeaderboardRow, StudyRecord, Verdict
from etude.evaluate.final import final_row
from etude.report.messages import mark
from etude.report.sentences import VERDICT_WORDS, Teller, shorten

_MOST_NAMED = 6
"""Of more candidates than this, a sentence names the first and counts the rest."""
_TOLD_RATIO = 1.2
"""Training times that differ by less are not told in the answer."""


def _by_word(verdicts: Iterable[Verdict]) -> dict[str, list[Verdict]]:
    """Sort comparisons by their verdict, the largest gain first."""
    by_word: dict[str, list[Verdict]] = {word: [] for word in VERDICT_WORDS}
    for verdict in sorted(verdicts, key=lambda verdict: -verdict.gain):
        by_word[verdict.verdict].append(verdict)
    return by_word


@dataclass(frozen=True)
class AnswerTeller(Teller):
    """One that writes the answer too."""

    def tell_answer(self, record: StudyRecord) -> list[str]:
        """Write the answer to the study's question, in a few points, from its leaderboard and verdicts alone."""
        first = next((row for row in record.leaderboard if row.score is not None), None)
        if first is None:
            return [self.words.say("No run is finished yet: there is nothing to compare.")]
        sentences = [self._tell_first(record), *self._tell_final(record, first)]
        times = list(self._tell_times(record, first))
        if len(record.leaderboard) == 1:
            only = self.words.say("It is the only candidate of the study: there is nothing to compare it with.")
            return [*sentences, only, *times]
        if not record.verdicts:
            return [*sentences, self.words.say("No comparison was made: the order alone shows no difference."), *times]
        if own := [verdict for verdict in record.verdicts if not verdict.group]:
            sentences += [*self._tell_comparisons(own, record.baseline), *self._tell_not_compared(record)]
        if not record.higher_is_better:
            sentences.append(
                self.words.say(
                    "A lower {metric} is better; differences are signed so that positive ones are better.",
                    metric=self.metric.name,
                )
            )
        return [*sentences, *self._tell_ablations(record), *times]

    def _tell_comparisons(self, verdicts: list[Verdict], baseline: str | None) -> list[str]:
        """Write what the comparisons with the study's baseline came to."""
        by_word = _by_word(verdicts)
        sentences = list(self._tell_better(by_word["better"], baseline))
        if missed := by_word["no difference shown"]:
            sentences.append(self._tell_missed(missed))
        if worse := by_word["worse"]:
            sentences.append(self.words.say("Shown to be worse: {names}.", names=self._name_gains(worse)))
        return sentences

    def _tell_not_compared(self, record: StudyRecord) -> Iterator[str]:
        """Write that the first two were not compared with each other, where neither is the baseline."""
        scored = [row.candidate for row in record.leaderboard if row.score is not None]
        first, *others = [name for name in scored if name in record.names_without_variants] or [""]
        if not others or record.baseline in (None, first, others[0]):
            return
        yield self.words.say(
            "{first} and {second} were not compared with each other: --set baseline={plain} does, and trains nothing "
            "anew.",
            first=self.name(first), second=self.name(others[0]), plain=others[0],
        )  # fmt: skip

    def _tell_ablations(self, record: StudyRecord) -> Iterator[str]:
        """Write which variants of each ablation gain, then of which fields none does."""
        without_gain: dict[str, list[tuple[str, list[Verdict]]]] = {}
        for group in record.ablations:
            verdicts = [shorten(verdict, group) for verdict in record.verdicts if verdict.group == group.name]
            by_word = _by_word(verdicts)
            if group.all_of:
                yield from self._tell_left_out(verdicts, group)
            elif better := by_word["better"]:
                told = self.words.say(
                    "Of {field} varied in {baseline}, shown to gain: {names}.",
                    field=group.vary, baseline=self.name(group.of), names=self._name_gains(better),
                )  # fmt: skip
                yield self._with_worse(told, by_word["worse"][::-1])
            else:
                without_gain.setdefault(group.of, []).append((group.vary, by_word["worse"]))
        for baseline, found in without_gain.items():
            fields = [field for field, _ in found]
            many = mark("Of {field}, each varied in {baseline}, nothing was shown to gain.")
            one = mark("Of {field} varied in {baseline}, nothing was shown to gain.")
            told = self.words.say(
                many if len(fields) > 1 else one, field=self.words.listing(fields), baseline=self.name(baseline)
            )
            lost = sorted((verdict for _, worse in found for verdict in worse), key=lambda verdict: verdict.gain)
            yield self._with_worse(told, lost)

    def _with_worse(self, told: str, worse: list[Verdict]) -> str:
        """Add to what was said of an ablation which of its variants were shown to be worse; nothing where none was."""
        if not worse:
            return told
        lost = self.words.say("Shown to be worse: {names}.", names=self._name_gains(worse))
        return type(told)(" ").join((told, lost))

    def _tell_left_out(self, verdicts: Iterable[Verdict], group: AblationGroup) -> Iterator[str]:
        """Write which augmentations are missed where they alone are left out, and which are better left out."""
        by_word, baseline = _by_word(verdicts), self.name(group.of)
        if worse := by_word["worse"][::-1]:
            names = self._name_gains(worse)
            yield self.words.say(
                "With one augmentation of {baseline} left out, shown to lose: {names}.", baseline=baseline, names=names
            )
        if better := by_word["better"]:
            names = self._name_gains(better)
            yield self.words.say(
                "With one augmentation of {baseline} left out, shown to gain: {names}.", baseline=baseline, names=names
            )
        if not worse and not better:
            yield self.words.say(
                "With one augmentation of {baseline} left out, no difference was shown.", baseline=baseline
            )

    def _tell_first(self, record: StudyRecord) -> str:
        """Write which candidate stands first, and its score."""
        first = next(row for row in record.leaderboard if row.score is not None)
        assert first.score is not None
        if len(record.leaderboard) == 1:
            return self._tell_only(first, self.metric.score(first.score))
        return self.words.say_count(
            "{candidate} stands first with {score} {metric} on the test part{intervals}, from {n} run.",
            "{candidate} stands first with {score} {metric} on the test part{intervals}, the mean of {n} runs.",
            first.n_runs,
            candidate=self.name(first.candidate),
            score=self.metric.score(first.score),
            metric=self.metric.name,
            intervals=self.tell_intervals(first),
        )

    def _tell_only(self, row: LeaderboardRow, score: str) -> str:
        """Write the score of a study's one candidate, which stands before no other."""
        return self.words.say_count(
            "{candidate} reaches {score} {metric} on the test part{intervals}, from {n} run.",
            "{candidate} reaches {score} {metric} on the test part{intervals}, the mean of {n} runs.",
            row.n_runs,
            candidate=self.name(row.candidate),
            score=score,
            metric=self.metric.name,
            intervals=self.tell_intervals(row),
        )

    def _tell_final(self, record: StudyRecord, first: LeaderboardRow) -> Iterator[str]:
        """Write which candidate validation chooses, where another stands first on the test part."""
        final = final_row(record)
        if final is None or final.candidate == first.candidate or None in (final.validation_score, final.score):
            return
        assert final.score is not None
        yield self.words.say(
            "The final candidate, which validation chooses, is {candidate} with {score} on the test part{intervals}.",
            candidate=self.name(final.candidate),
            score=self.metric.score(final.score),
            intervals=self.tell_intervals(final),
        )

    def _tell_times(self, record: StudyRecord, first: LeaderboardRow) -> Iterator[str]:
        """Write how long the first, the final, the baseline and what was searched train, where that differs."""
        final = final_row(record)
        named = [first.candidate, *([final.candidate] if final else []), record.baseline]
        rows = {row.candidate: row for row in record.leaderboard if row.seconds}
        named += [name for name, row in rows.items() if row.search_seconds and name in record.names_without_variants]
        chosen = [rows[name] for name in dict.fromkeys(named) if name in rows]
        seconds = [row.seconds or 0.0 for row in chosen]
        if len(chosen) < 2 or (max(seconds) < _TOLD_RATIO * min(seconds) and not any(r.search_seconds for r in chosen)):
            return
        yield self.words.say("One run trains for {times}.", times=self.words.listing(map(self._tell_time, chosen)))

    def _tell_time(self, row: LeaderboardRow) -> str:
        """Write how long a run of a candidate trains, with the search before it."""
        places = {"time": self.words.duration(row.seconds or 0.0), "candidate": self.name(row.candidate)}
        if not row.search_seconds:
            return self.words.say("{time} ({candidate})", **places)
        search = self.words.duration(row.search_seconds)
        return self.words.say("{time} ({candidate}, after {search} of search)", search=search, **places)

    def _tell_better(self, better: list[Verdict], baseline: str | None) -> Iterator[str]:
        """Write the largest gain in full, and name the others."""
        if not better:
            yield self.words.say(
                "No candidate was shown to be better than {baseline}.", baseline=self.name(baseline or "")
            )
            return
        yield self.tell_verdict(better[0])
        if others := better[1:]:
            yield self.words.say_count(
                "One other candidate gains too: {names}.",
                "{n} other candidates gain too: {names}.",
                len(others),
                names=self._name_gains(others),
            )

    def _tell_missed(self, missed: list[Verdict]) -> str:
        """Write for which candidates nothing was shown."""
        text = self.words.say("No difference shown for {names}.", names=self._name_gains(missed))
        if not any(verdict.leaves_zero_out for verdict in missed):
            return text
        return text + " " + self.words.say("Their intervals are not corrected for the number of comparisons.")

    def _name_gains(self, verdicts: Iterable[Verdict]) -> str:
        """List candidates with their gains, of many the first ones."""
        named = [
            self.words.say(
                "{candidate} ({gain}{interval})",
                candidate=self.name(verdict.candidate),
                gain=self.metric.signed_points(verdict.gain),
                interval=" " + interval if (interval := self.metric.interval(verdict.low, verdict.high)) else "",
            )
            for verdict in verdicts
        ]
        if len(named) <= _MOST_NAMED:
            return self.words.listing(named)
        rest = len(named) - _MOST_NAMED + 1
        return self.words.listing([*named[:-rest], self.words.say_count("{n} other", "{n} others", rest)])
