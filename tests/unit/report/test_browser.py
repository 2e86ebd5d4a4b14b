"""The note and the map to walk on in a real browser: silent, self-contained, and what a hand does has its effect."""

import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageColor

from etude.explain.records import DataMapRecord, MapRecord
from etude.figures.theme import SERIES
from etude.report.walk import write_walk
from etude.report.words import Words

CHROMIUM = Path("/usr/bin/chromium")
ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="needs Chromium: apt-get install chromium"),
]


@pytest.fixture(scope="module")
def browser():
    api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    with api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGS)
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser):
    """Open a page at a width; gather what the console says and what the page asks for."""
    pages = []

    def open_at(path, width=1280, height=800, **options):
        page = browser.new_page(viewport={"width": width, "height": height}, **options)
        pages.append(page)
        page.said, page.asked = [], []
        page.on("console", lambda message: page.said.append(message.text))
        page.on("pageerror", lambda error: page.said.append(str(error)))
        page.on("request", lambda request: page.asked.append(request.url))
        page.goto(path.as_uri())
        assert [url for url in page.asked if not url.startswith("data:")] == [path.as_uri()]
        assert not page.said
        return page

    yield open_at
    for page in pages:
        page.close()


@pytest.fixture
def visit(open_page, notes):
    """Open the note."""
    return lambda language="en", width=1280, **options: open_page(notes[language], width, **options)


def names(page):
    return page.locator("#leaderboard tbody th").evaluate_all("cells => cells.map(cell => cell.firstChild.textContent)")


def test_sorting_by_click_and_by_key(visit):
    page = visit()
    best_first = ["resnet", "cnn-flip-shift", "cnn-noise", "cnn", "mlp"]
    heads = page.locator("#leaderboard thead th")
    assert names(page) == best_first
    assert heads.nth(1).get_attribute("aria-sort") == "descending"
    heads.nth(1).locator("button").click()
    assert names(page) == best_first[::-1]
    assert heads.nth(1).get_attribute("aria-sort") == "ascending"
    heads.nth(0).locator("button").focus()
    page.keyboard.press("Enter")
    assert names(page) == sorted(best_first)
    assert heads.nth(0).get_attribute("aria-sort") == "ascending"
    assert heads.nth(1).get_attribute("aria-sort") is None
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    assert names(page) == best_first
    assert not page.said


def test_switches_hide_and_show_curves(visit):
    page = visit()
    curves = page.locator("#curves-figure .wide .series-4").first
    assert curves.is_visible()
    page.get_by_role("checkbox", name="mlp").uncheck()
    assert not curves.is_visible()
    page.get_by_role("button", name="all", exact=True).click()
    assert curves.is_visible()
    page.get_by_role("button", name="none", exact=True).click()
    assert not page.locator("#curves-figure .wide .series-0").first.is_visible()


@pytest.mark.parametrize("language", ["en", "fr"])
@pytest.mark.parametrize("width", [320, 375, 768, 1280])
def test_no_width_makes_the_page_scroll_sideways(visit, language, width):
    page = visit(language, width)
    for details in page.locator("summary").all():
        details.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    shown = ".narrow" if width < 640 else ".wide"
    assert page.locator(f"#curves-figure {shown} svg").is_visible()
    assert page.locator("#curves-figure svg:visible").count() == 1


def test_dark_and_light_have_contrast(visit):
    script = "[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]"
    light, dark = (visit(color_scheme=scheme).evaluate(script) for scheme in ("light", "dark"))
    levels = [[int(part) for part in color[4:-1].split(",")] for color in (*light, *dark)]
    ink, paper, dark_ink, dark_paper = (sum(level) / 3 for level in levels)
    assert paper - ink > 150
    assert dark_ink - dark_paper > 150


def test_no_words_of_a_figure_are_cut(visit):
    """Every text of every figure that is seen lies within its page, at both widths."""
    for width in (375, 1280):
        page = visit("fr", width)
        cut = page.evaluate(
            """() => [...document.querySelectorAll("figure svg text")].filter(text => {
                 const box = text.getBoundingClientRect();
                 const frame = text.closest("figure").getBoundingClientRect();
                 return box.width && (box.left < frame.left - 12 || box.right > frame.right + 12);
               }).map(text => text.textContent)"""
        )
        assert not cut


CLASSES = ("cat", "dog", "owl")
LABELS = np.array([0, 0, 1, 1, 2, 2])
ANSWERS = np.array([0, 1, 1, 1, 2, 0])
PARTS = np.array([0, 1, 2, 0, 1, 2])
INKS = ("red", "lime", "blue", "yellow", "cyan", "magenta")
GRID = np.array([(x, y) for y in (0.0, 1.0) for x in (0.0, 1.0, 2.0)])
"""Where the six pictures lie on the first map; on the second in the opposite order."""


@pytest.fixture(scope="module")
def walks(tmp_path_factory):
    """A map of six pictures of one colour each, two of them answered wrongly, in two languages."""
    folder = tmp_path_factory.mktemp("explain")
    maps = (MapRecord(space="pixels", method="pca", explained=0.4), MapRecord(space="features", method="tsne"))
    DataMapRecord(
        maps=maps, n=6, separation={}, chance=dict.fromkeys(CLASSES, 1 / 3), seconds=1.0, pixels_px=8
    ).save(folder / "map.json")  # fmt: skip
    places = {"pixels.pca": GRID, "features.tsne": GRID[::-1]}
    np.savez(folder / "map.npz", labels=LABELS, answers=ANSWERS, parts=PARTS, **places)
    inks = np.array([ImageColor.getrgb(ink) for ink in INKS], np.uint8)
    np.savez(folder / "thumbs.npz", thumbs=np.broadcast_to(inks[:, None, None], (6, 16, 16, 3)))
    return {language: write_walk(folder, "pets", Words(language)) for language in ("en", "fr")}


def on_canvas(place):
    """Return where a place of the grid is drawn, in pixels of the canvas."""
    return 20 + place[0] / 2 * 1160, 20 + (1 - place[1]) * 860


def dots(page, places):
    """Return the colour of the canvas at each place, and how opaque it is."""
    return page.evaluate(
        """places => {
             const copy = new OffscreenCanvas(1200, 900).getContext("2d", {willReadFrequently: true});
             copy.drawImage(document.querySelector("canvas"), 0, 0);
             return places.map(([x, y]) => [...copy.getImageData(x, y, 1, 1).data]);
           }""",
        [list(on_canvas(place)) for place in places],
    )


def are_colored(found, wanted):
    """Whether dots have these colours of the figures, as exactly as a translucent dot keeps them."""
    colors = [ImageColor.getrgb(SERIES[place]) for place in wanted]
    return all(np.abs(np.subtract(dot[:3], color)).max() <= 3 for dot, color in zip(found, colors, strict=True))


def point_at(page, place):
    """Move the mouse to a place of the grid."""
    box = page.locator("canvas").bounding_box()
    x, y = on_canvas(place)
    page.mouse.move(box["x"] + x / 1200 * box["width"], box["y"] + y / 900 * box["height"])


def test_every_picture_has_its_dot_on_each_map(open_page, walks):
    page = open_page(walks["en"])
    assert page.locator("#map option").count() == 2
    for chosen, places in (("1", GRID[::-1]), ("0", GRID)):
        page.locator("#map").select_option(chosen)
        found = dots(page, places)
        assert all(dot[3] > 150 for dot in found)
        assert are_colored(found, LABELS)
    between = dots(page, [(0.5, 0.5), (1.5, 0.2)])
    assert all(dot[3] == 0 for dot in between)
    assert not page.said


@pytest.mark.parametrize(
    ("language", "colourings", "wrong"),
    [("en", ("class", "part", "error"), "wrong"), ("fr", ("classe", "partie", "erreur"), "faux")],
)
def test_dots_are_coloured_by_class_part_and_error(open_page, walks, language, colourings, wrong):
    page = open_page(walks[language])
    assert page.locator("html").get_attribute("lang") == language
    assert page.locator("#by option").all_text_contents() == list(colourings)
    for name, values in zip(colourings, (LABELS, PARTS, (ANSWERS != LABELS).astype(int)), strict=True):
        page.locator("#by").select_option(label=name)
        assert are_colored(dots(page, GRID[::-1]), values), name
        assert page.locator("#legend span").count() == len(set(values))
    assert page.locator("#legend span").all_text_contents()[1] == wrong
    assert not page.said


@pytest.mark.parametrize(("language", "told"), [("en", "cat · answer: dog"), ("fr", "cat · réponse : dog")])
def test_a_dot_that_is_pointed_at_shows_its_picture_and_what_was_answered(open_page, walks, language, told):
    page = open_page(walks[language], height=1400)
    page.locator("#map").select_option("0")
    assert not page.locator("#shown").is_visible()
    for number, ink in enumerate(INKS):
        point_at(page, GRID[number])
        assert page.locator("#shown").is_visible()
        shown = Image.open(io.BytesIO(page.locator("#picture").screenshot())).convert("RGB")
        assert np.abs(np.asarray(shown, int).mean((0, 1)) - ImageColor.getrgb(ink)).max() < 25, ink  # it is a JPEG
        said = page.locator("#words").text_content().replace("\xa0", " ")
        assert said == (told if number == 1 else "owl" + told[3:-3] + "cat" if number == 5 else CLASSES[LABELS[number]])
    point_at(page, (0.5, 0.5))
    assert not page.locator("#shown").is_visible()
    assert not page.said


def test_new_pictures_stand_out_and_every_picture_is_named(open_page, walks, tmp_path):
    """Squares of the page's ink, whatever dots are coloured by; beside the answer stands which picture it is."""
    folder = tmp_path / "explain"
    shutil.copytree(walks["en"].parent, folder)
    with np.load(folder / "map.npz") as drawn:
        np.savez(folder / "map.npz", **dict(drawn), ids=np.array([f"test/{n}" for n in range(6)]))
    between, name = np.array([[0.5, 0.5]]), "<i>new</i>/one.png"
    places = {"pixels.pca": between, "features.tsne": between}
    thumbs = np.zeros((1, 16, 16, 3), np.uint8)
    np.savez(folder / "placed.npz", names=np.array([name]), answers=np.array([2]), thumbs=thumbs, **places)
    page = open_page(write_walk(folder, "pets", Words("en")), height=1400)
    page.locator("#map").select_option("0")
    for colouring in ("class", "part", "error"):
        page.locator("#by").select_option(label=colouring)
        (dot,) = dots(page, between)
        assert max(dot[:3]) < 90
        assert page.locator("#legend span").all_text_contents()[-1] == "new picture"
        page.locator("#map").select_option("0")
    point_at(page, (0.5, 0.5))
    assert page.locator("#words").text_content().replace("\xa0", " ") == f"{name}\nanswer: owl"
    point_at(page, GRID[0])
    assert page.locator("#words").text_content() == "test/0\ncat"
    assert not page.said


def test_the_map_fits_a_phone(open_page, walks):
    page = open_page(walks["fr"], 320)
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    page.locator("#map").select_option("0")
    for place in (GRID[2], GRID[5]):  # at the right edge
        point_at(page, place)
        box = page.locator("#shown").bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 320
