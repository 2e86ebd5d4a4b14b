import re
import subprocess
import sys

import matplotlib
import pytest
from matplotlib.figure import Figure

from etude.figures.theme import INK, SERIES, assign_looks, belongs_to, dress, new_figure, to_png, to_svg


def draw() -> Figure:
    figure = new_figure(3, 2)
    axes = figure.add_subplot()
    dress(axes)
    looks = assign_looks(["plain", "wide"], baseline="plain")
    for name, look in looks.items():
        (line,) = axes.plot([1, 2], [look.index, 3], "o-", color=look.color)
        belongs_to(line, look)
        axes.text(1, look.index, f"<{name}>")
    return figure


def test_the_same_figure_gives_the_same_svg_and_png(tmp_path):
    assert to_svg(draw()) == to_svg(draw())
    assert to_svg(draw(), inline="a") == to_svg(draw(), inline="a")
    one, other = (to_png(draw(), tmp_path / f"{n}.png", dpi=60).read_bytes() for n in "ab")
    assert one == other
    assert one.startswith(b"\x89PNG")


def test_a_file_of_its_own_holds_plain_colours_and_no_date():
    text = to_svg(draw(), label="two lines & a dot")
    assert INK in text
    assert "var(" not in text
    assert "<title>two lines &amp; a dot</title>" in text
    assert not re.search(r"20\d\d-\d\d", text)


def test_in_a_page_colours_are_variables_and_ids_cannot_clash():
    one, other = to_svg(draw(), inline="one", label='a "b"'), to_svg(draw(), inline="other")
    assert not any(color in one for color in (INK, *SERIES))
    assert "var(--ink)" in one
    assert "var(--series-0)" in one
    assert 'aria-label="a &quot;b&quot;"' in one
    ids = re.findall(r' id="([^"]+)"', one)
    assert ids
    assert len(ids) == len(set(ids))
    assert not set(ids) & set(re.findall(r' id="([^"]+)"', other))
    used = re.findall(r"url\(#([^)]+)\)", one) + re.findall(r'href="#([^"]+)"', one)
    assert set(used) <= set(ids)
    assert "<style" not in one


def test_marks_carry_the_class_of_their_candidate_and_words_stay_text():
    text = to_svg(draw(), inline="x")
    assert text.count('class="series-0"') == 1
    assert text.count('class="series-1"') == 1
    assert "&lt;plain&gt;" in text


@pytest.mark.parametrize("count", [1, 6, 24])
def test_looks_differ_as_long_as_colours_and_dashes_last(count):
    looks = assign_looks([f"c{n}" for n in range(count)])
    assert len({(look.color, look.dash) for look in looks.values()}) == count


def test_drawing_leaves_no_global_trace():
    before = dict(matplotlib.rcParams)
    to_svg(draw(), inline="x")
    assert dict(matplotlib.rcParams) == before
    code = (
        "import sys, etude.figures.leaderboard, etude.figures.curves, etude.figures.gallery, etude.figures.theme as t;"
        "assert 'matplotlib' not in sys.modules; t.to_svg(t.new_figure(1, 1)); assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
