"""How each language writes numbers, durations, dates and scores."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from functools import cached_property

from babel import Locale
from babel.dates import format_date
from babel.numbers import format_decimal
from markupsafe import Markup

from etude.core.interval import Interval
from etude.report.messages import Messages, mark, read_messages

PERCENT_METRICS = frozenset(
    (
        "accuracy",
        "balanced_accuracy",
        "top5",
        "f1_macro",
        "pixel_accuracy",
        "miou",
        "dice",
        "boundary_f1",
        "coverage",
        "near_copies",
        "closest_copies",
    )
)
"""Metrics from 0 to 1 that people read in percent, and whose differences are points. All others are plain numbers."""

METRIC_NAMES = {
    "accuracy": mark("accuracy"),
    "balanced_accuracy": mark("balanced accuracy"),
    "top5": mark("top-5 accuracy"),
    "f1_macro": mark("macro F1"),
    "pixel_accuracy": mark("pixel accuracy"),
    "miou": mark("mean IoU"),
    "dice": mark("Dice"),
    "boundary_f1": mark("boundary F1"),
    "kid": mark("KID"),
    "fid": mark("FID"),
    "density": mark("density"),
    "coverage": mark("coverage"),
    "diversity": mark("diversity"),
    "near_copies": mark("near copies"),
    "closest_copies": mark("closest copies"),
    "log_loss": mark("log loss"),
    "brier": mark("Brier score"),
    "ece": mark("calibration error"),
    "average_precision": mark("average precision"),
    "roc_auc": mark("area under the ROC curve"),
}
"""What a metric is called in a sentence, before translation."""

_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


class Words:
    """One language: its messages, its ways of writing, and what it calls the classes of a study.

    Args:
        language: fr or en.
        classes: what classes are called, by their own names; those that are not there keep theirs.
    """

    def __init__(self, language: str, classes: Mapping[str, str] | None = None) -> None:
        self.messages: Messages = read_messages(language)
        self.language = language
        self.locale = Locale.parse(language)
        self._classes = classes or {}

    def called(self, name: str) -> str:
        """Return what a class is called; any other text as it is."""
        return self._classes.get(name, name)

    def say(self, message: str, /, **values: object) -> str:
        """Translate a message and fill its places; values that are HTML keep their tags, all else is escaped then."""
        return _fill(self.messages.get(message), values)

    def say_count(self, singular: str, plural: str, n: int, /, **values: object) -> str:
        """Translate a message that counts: `n` chooses the form and stands in it as ``{n}``."""
        return _fill(self.messages.get_plural(singular, plural, n), {"n": self.count(n), **values})

    def number(self, value: float, decimals: int = 0) -> str:
        """Write a number with exactly so many decimals."""
        pattern = "#,##0" + ("." + "0" * decimals if decimals else "")
        return format_decimal(_round(value, decimals), format=pattern, locale=self.locale).replace(
            "-", "\N{MINUS SIGN}"
        )

    def tick(self, value: float) -> str:
        """Write a number with as few decimals as it needs, at most seven."""
        text = format_decimal(round(value, 7) + 0.0, format="#,##0.#######", locale=self.locale)
        return text.replace("-", "\N{MINUS SIGN}")

    def significant(self, value: float, digits: int = 3) -> str:
        r"""Write a number with so many significant digits; whole numbers keep all of theirs.

        >>> Words("en").significant(0.012345), Words("fr").significant(12345.6)
        ('0.0123', '12\u202f346')
        """
        if not math.isfinite(value) or value == 0:
            return self.number(value) if value == 0 else "–"
        return self.number(value, max(0, digits - 1 - math.floor(math.log10(abs(value)))))

    def count(self, value: int) -> str:
        """Write a whole number, its thousands set apart."""
        return self.number(value)

    def count_rounded(self, value: float) -> str:
        """Write a number to the nearest whole."""
        return self.number(value)

    def short(self, value: float) -> str:
        r"""Write a large number with a prefix.

        >>> Words("en").short(33_412_000)
        '33.4\xa0M'
        """
        for size, prefix in _PREFIXES:
            if abs(value) >= size:
                return f"{self.significant(value / size)}\N{NO-BREAK SPACE}{prefix}"
        return self.significant(value)

    def times(self, ratio: float | None) -> str:
        """Write a ratio with two significant digits; nothing for none.

        >>> Words("en").times(1.4321), Words("en").times(None)
        ('×1.4', '')
        """
        return "" if ratio is None else f"×{self.significant(ratio, 2)}"

    def percent(self, value: float, decimals: int = 1) -> str:
        r"""Write a share from 0 to 1 in percent.

        >>> Words("en").percent(0.912), Words("fr").percent(0.912)
        ('91.2%', '91,2\xa0%')
        """
        pattern: str = self.locale.percent_formats[None].pattern
        return pattern.replace("#,##0", self.number(100 * value, decimals))

    def duration(self, seconds: float) -> str:
        r"""Write a duration in its two largest units.

        >>> Words("en").duration(125), Words("en").duration(4.21)
        ('2\xa0min\xa005\xa0s', '4.2\xa0s')
        """
        if seconds < 9.95:
            return self.say("{seconds} s", seconds=self.significant(seconds, 2) if seconds else "0")
        whole = round(seconds)
        if whole < 60:
            return self.say("{seconds} s", seconds=whole)
        if whole < 3600:
            return self.say("{minutes} min {seconds} s", minutes=whole // 60, seconds=f"{whole % 60:02d}")
        minutes = round(seconds / 60)
        if minutes < 24 * 60:
            return self.say("{hours} h {minutes} min", hours=minutes // 60, minutes=f"{minutes % 60:02d}")
        hours = round(seconds / 3600)
        return self.say("{days} d {hours} h", days=hours // 24, hours=f"{hours % 24:02d}")

    def duration_tick(self, seconds: float) -> str:
        r"""Write a round duration in its one unit, for an axis.

        >>> Words("en").duration_tick(120), Words("en").duration_tick(125)
        ('2\xa0min', '2\xa0min\xa005\xa0s')
        """
        if seconds < 60:
            return self.say("{seconds} s", seconds=self.tick(seconds))
        if seconds >= 3600 and seconds % 3600 == 0:
            return self.say("{hours} h", hours=int(seconds // 3600))
        if seconds < 3600 and seconds % 60 == 0:
            return self.say("{minutes} min", minutes=int(seconds // 60))
        return self.duration(seconds)

    def date(self, moment: str) -> str:
        """Write the day of an ISO 8601 date and time."""
        return format_date(datetime.fromisoformat(moment), "long", locale=self.locale)

    def interval(self, low: str, high: str) -> str:
        """Write an interval from the texts of its ends."""
        return self.say("[{low}, {high}]", low=low, high=high)

    def p_value(self, p: float) -> str:
        """Write a p-value: no digits that say nothing."""
        if p < 0.001:
            return "<\N{NARROW NO-BREAK SPACE}" + self.number(0.001, 3)
        return self.number(p, 3 if p < 0.1 else 2)

    def listing(self, items: Iterable[str]) -> str:
        """Join items as a sentence does: 'a, b and c'."""
        texts = list(items)
        if len(texts) < 2:
            return texts[0] if texts else ""
        comma = Markup(", ") if any(hasattr(text, "__html__") for text in texts) else ", "
        return self.say("{first} and {last}", first=comma.join(texts[:-1]), last=texts[-1])

    def apart(self, items: Iterable[str]) -> str:
        r"""Set items apart that hold commas: 'a, b; c'.

        >>> Words("fr").apart(["cpu", "cuda"])
        'cpu\xa0; cuda'
        """
        return self.say("; ").join(items)

    def is_one(self, number: str) -> bool:
        """Return whether a number written with a point, such as '1.5', takes the singular in this language."""
        return self.locale.plural_form(abs(Decimal(number))) == "one"


class MetricWords:
    """How the values of one metric are written in one language."""

    def __init__(self, words: Words, metric: str, intervals: Iterable[Interval | None] = ()) -> None:
        self.words = words
        self.metric = metric
        self.in_percent = metric in PERCENT_METRICS
        self._decimals = self._choose_decimals([entry.high - entry.low for entry in intervals if entry])

    def _choose_decimals(self, widths: list[float]) -> int:
        """One decimal of a percent, three of a plain number; one more where an interval is narrower than 5 of them."""
        usual = 1 if self.in_percent else 3
        narrow = [width for width in widths if width > 0]
        step = 10.0 ** -(usual + 2 if self.in_percent else usual)
        return usual + (1 if narrow and min(narrow) < 5 * step else 0)

    @cached_property
    def name(self) -> str:
        """What the metric is called."""
        return self.words.say(METRIC_NAMES.get(self.metric, self.metric))

    @cached_property
    def heading(self) -> str:
        """Name and unit, for the head of a column or an axis."""
        return self.words.say("{metric} (%)", metric=self.name) if self.in_percent else self.name

    @cached_property
    def gain_heading(self) -> str:
        """Name and unit of a difference that is signed so that more is better."""
        if self.in_percent:
            return self.words.say("gain in {metric} (points)", metric=self.name)
        return self.words.say("gain in {metric}", metric=self.name)

    def bare(self, value: float, decimals: int | None = None) -> str:
        """Write a value without its unit."""
        return self.words.number(
            100 * value if self.in_percent else value, self._decimals if decimals is None else decimals
        )

    def tick(self, value: float) -> str:
        """Write a value on an axis."""
        return self.words.tick(100 * value if self.in_percent else value)

    def score(self, value: float) -> str:
        """Write a value with its unit."""
        return self.words.percent(value, self._decimals) if self.in_percent else self.bare(value)

    def interval(self, low: float | None, high: float | None) -> str:
        """Write an interval without unit; nothing where it has no ends.

        An end that is not zero is not written as zero where the interval leaves zero out.
        """
        if low is None or high is None:
            return ""
        decimals = self._decimals
        if low > 0 or high < 0:
            while decimals < self._decimals + 2 and any(_is_zero(self.bare(end, decimals)) for end in (low, high)):
                decimals += 1
        return self.words.interval(self.bare(low, decimals), self.bare(high, decimals))

    def points(self, value: float) -> str:
        """Write the size of a difference with its unit, without sign."""
        if not self.in_percent:
            return self.bare(abs(value))
        shown = f"{abs(100 * value):.{self._decimals}f}"
        form = self.words.messages.get_plural("{points} point", "{points} points", 1 if self.words.is_one(shown) else 2)
        return form.format(points=self.bare(abs(value)))

    def limit(self, value: float) -> str:
        """Write a value that a person gave, with its unit and no decimals but its own."""
        return self.words.percent(value, _own_decimals(100 * value)) if self.in_percent else self.words.tick(value)

    def limit_points(self, value: float) -> str:
        """Write the size of a difference that a person gave, with its unit and no decimals but its own."""
        size = abs(100 * value if self.in_percent else value)
        if not self.in_percent:
            return self.words.tick(size)
        is_one = self.words.is_one(f"{size:.{_own_decimals(size)}f}")
        form = self.words.messages.get_plural("{points} point", "{points} points", 1 if is_one else 2)
        return form.format(points=self.words.tick(size))

    def reads_zero(self, value: float) -> bool:
        """Whether nothing is left of a value once it is rounded."""
        return _is_zero(self.bare(value))

    def signed_points(self, value: float) -> str:
        """Write a difference with its sign and its unit."""
        sign = self.signed(value)[0]
        return (sign if sign in "+\N{MINUS SIGN}" else "") + self.points(value)

    def signed(self, value: float) -> str:
        """Write a difference with its sign, without unit."""
        text = self.bare(value)
        return "+" + text if value > 0 and not self.reads_zero(value) else text


def join_sentences(sentences: Iterable[str]) -> str:
    """Set sentences side by side, and leave those that are HTML what they are; empty ones are left out."""
    told, *others = [sentence for sentence in sentences if sentence] or [""]
    for other in others:
        told = told + " " + other
    return told


def _round(value: float, decimals: int) -> Decimal | float:
    """Round half away from zero, so that a share and the same in percent read alike: 0.7275 is 72.8 % and 0.728."""
    if not math.isfinite(value):
        return value
    clean = Decimal(repr(round(float(value), decimals + 6)))  # 72.74999999999999 is what 100 times 0.7275 comes to
    return clean.quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP) + 0  # + 0 turns -0 into 0


def _own_decimals(value: float) -> int:
    """Count the decimals that a number needs, at most seven."""
    _, point, decimals = f"{round(value, 7):.7f}".rstrip("0").partition(".")
    return len(decimals) if point else 0


def _is_zero(number: str) -> bool:
    return not any(digit in "123456789" for digit in number)


def _fill(text: str, values: dict[str, object]) -> str:
    """Put values into a translated text, which is trusted; beside values that are HTML all others are escaped."""
    if any(hasattr(value, "__html__") for value in values.values()):
        return Markup(text).format(**values)
    return text.format(**values)
