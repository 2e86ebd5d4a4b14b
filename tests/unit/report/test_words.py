import pytest
from markupsafe import Markup

from etude.core.interval import Interval
from etude.report.searches import tell_setting
from etude.report.words import MetricWords, Words

EN, FR = Words("en"), Words("fr")


@pytest.mark.parametrize(
    ("seconds", "english", "french"),
    [
        (0, "0 s", "0 s"), (0.0312, "0.031 s", "0,031 s"), (4.21, "4.2 s", "4,2 s"), (9.96, "10 s", "10 s"),
        (59.4, "59 s", "59 s"), (59.7, "1 min 00 s", "1 min 00 s"), (125, "2 min 05 s", "2 min 05 s"),
        (3599.8, "1 h 00 min", "1 h 00 min"), (4020, "1 h 07 min", "1 h 07 min"), (86_380, "1 d 00 h", "1 j 00 h"),
        (183_600, "2 d 03 h", "2 j 03 h"),
    ],
)  # fmt: skip
def test_durations(seconds, english, french):
    assert EN.duration(seconds).replace("\xa0", " ") == english
    assert FR.duration(seconds).replace("\xa0", " ") == french


def test_numbers_as_each_language_writes_them():
    assert EN.count(1234567) == "1,234,567"
    assert FR.count(1234567) == "1\u202f234\u202f567"
    assert FR.number(-0.5, 1) == "−0,5"
    assert EN.number(-0.04, 1) == "0.0"
    assert FR.significant(0.00012345) == "0,000123"
    assert EN.significant(float("nan")) == "–"
    assert FR.percent(0.9125, 2) == "91,25\xa0%"
    assert EN.p_value(0.0004) == "<\u202f0.001"
    assert FR.p_value(0.0424) == "0,042"
    assert FR.date("2026-11-12T09:11:00+00:00") == "12 novembre 2026"
    assert EN.date("2026-11-12T09:11:00+00:00") == "November 12, 2026"


def test_a_share_and_its_percent_are_rounded_alike():
    """100 times 0.7275 is a little less than 72.75: tables told 72.7 % beside 0.728."""
    for value, percent, share in ((0.7275, "72.8%", "0.728"), (0.8925, "89.3%", "0.893"), (-0.0004, "0.0%", "0.000")):
        assert (Words("en").percent(value), Words("en").number(value, 3)) == (percent, share)
    assert Words("en").number(-0.125, 2) == "−0.13"
    assert Words("en").number(float("inf"), 1) == "∞"


def test_lists():
    assert [EN.listing("abc"[:n]) for n in range(4)] == ["", "a", "a and b", "a, b and c"]
    assert FR.listing("abc") == "a, b et c"


def test_html_is_kept_only_where_it_is_meant():
    assert EN.say("{first} and {last}", first="<b>", last="&") == "<b> and &"
    mixed = EN.say("{first} and {last}", first=Markup("<b>x</b>"), last="<i>")
    assert mixed == "<b>x</b> and &lt;i&gt;"


class TestMetrics:
    def test_accuracy_is_in_percent_and_its_gains_in_points(self):
        english, french = MetricWords(EN, "accuracy"), MetricWords(FR, "accuracy")
        assert english.heading == "accuracy (%)"
        assert english.score(0.8134) == "81.3%"
        assert french.score(0.8134) == "81,3\xa0%"
        assert english.signed(0.0213) == "+2.1"
        assert english.signed(-0.0213) == "−2.1"
        assert english.signed(0.0001) == "0.0"
        assert french.interval(0.014, 0.028) == "[1,4\xa0;\xa02,8]"

    @pytest.mark.parametrize(
        ("gain", "english", "french"),
        [(0.021, "2.1 points", "2,1 points"), (0.01, "1.0 points", "1,0 point"), (-0.015, "1.5 points", "1,5 point"), (0.002, "0.2 points", "0,2 point")],
    )  # fmt: skip
    def test_points_agree_in_number(self, gain, english, french):
        assert MetricWords(EN, "accuracy").points(gain).replace("\xa0", " ") == english
        assert MetricWords(FR, "accuracy").points(gain).replace("\xa0", " ") == french

    def test_log_loss_is_a_plain_number(self):
        metric = MetricWords(EN, "log_loss")
        assert metric.heading == "log loss"
        assert metric.score(0.4567) == "0.457"
        assert metric.points(-0.0213) == "0.021"

    def test_a_narrow_interval_asks_for_one_more_decimal(self):
        assert MetricWords(EN, "accuracy", [Interval(low=0.8, high=0.802)]).bare(0.80123) == "80.12"
        assert MetricWords(EN, "accuracy", [Interval(low=0.8, high=0.82), None]).bare(0.80123) == "80.1"


def test_items_are_set_apart_with_the_space_of_the_language():
    assert EN.apart(["cpu, 2 threads", "cuda"]) == "cpu, 2 threads; cuda"
    assert FR.apart(["cpu, 2 fils", "cuda"]) == "cpu, 2 fils\xa0; cuda"


@pytest.mark.parametrize(
    ("value", "english", "french"),
    [(0.0039812, "0.00398", "0,00398"), (0.5, "0.5", "0,5"), (64, "64", "64"), (1e-6, "1e-06", "1e-06"),
     ([0.5, 1], "[0.5, 1]", "[0.5, 1]"), ("sgd", "sgd", "sgd"), (30.0, "30", "30")],
)  # fmt: skip
def test_a_setting_is_told_with_the_decimals_of_the_language(value, english, french):
    assert tell_setting(value, EN) == english
    assert tell_setting(value, FR) == french


@pytest.mark.parametrize(
    ("low", "high", "told"),
    [
        (0.0003, 0.0058, "[0.03, 0.58]"),
        (-0.0003, 0.0058, "[0.0, 0.6]"),
        (-0.02, -0.0004, "[-2.00, -0.04]"),
        (0.0, 0.01, "[0.0, 1.0]"),
    ],
)
def test_an_interval_that_leaves_zero_out_does_not_end_in_it(low, high, told):
    written = MetricWords(Words("en"), "accuracy").interval(low, high).replace("\N{MINUS SIGN}", "-")
    assert written.replace("-0.0,", "0.0,") == told
