"""The note in a real browser: silent, self-contained, sortable by hand and by key, no wider than a phone."""

from pathlib import Path

import pytest

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
def visit(browser, notes):
    """Open the note at a width; gather what the console says and what the page asks for."""
    pages = []

    def open_note(language="en", width=1280, **options):
        page = browser.new_page(viewport={"width": width, "height": 800}, **options)
        pages.append(page)
        page.said, page.asked = [], []
        page.on("console", lambda message: page.said.append(message.text))
        page.on("pageerror", lambda error: page.said.append(str(error)))
        page.on("request", lambda request: page.asked.append(request.url))
        path = notes[language]
        page.goto(path.as_uri())
        assert [url for url in page.asked if not url.startswith("data:")] == [path.as_uri()]
        assert not page.said
        return page

    yield open_note
    for page in pages:
        page.close()


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
