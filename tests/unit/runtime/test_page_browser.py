"""The page in a real browser: pictures in, answers out, by hand, by key, in two languages, with nothing from elsewhere."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.unit.runtime.browsing import CHROMIUM, drag_files, open_browser, until
from tests.unit.runtime.drawing import make_contents, plain, write_zip

from etude import load_generator
from etude.runtime.serving.config import ServeConfig
from etude.runtime.serving.keys import add_key

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="needs Chromium: apt-get install chromium"),
]


@pytest.fixture(scope="module")
def browser():
    with open_browser() as chromium:
        yield chromium


def run_server(bundles: dict[str, Path], **fields: object) -> Iterator[str]:
    """Serve from a thread; give the address."""
    from etude.runtime.serving.app import Service
    from etude.runtime.serving.server import _address, _listen, _Server
    from etude.runtime.serving.shelf import Shelf

    config = ServeConfig(port=0, threads=1, **fields)
    listening, ready = _listen(config), threading.Event()
    service = Service(Shelf(list(bundles.values()), config.max_pixels), config)
    server = _Server(service.app, config, ready.set)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    assert ready.wait(20)
    yield _address(listening)
    server.should_exit = True
    thread.join(20)


@pytest.fixture(scope="module")
def address(bundles) -> Iterator[str]:
    yield from run_server(bundles)


@pytest.fixture
def visit(browser, address):
    pages = []

    def open_page(at: str = address, **options):
        page = browser.new_page(**{"viewport": {"width": 1100, "height": 900}, **options})
        pages.append(page)
        page.said, page.asked = [], []
        page.on("console", lambda message: page.said.append(message.text))
        page.on("pageerror", lambda error: page.said.append(str(error)))
        page.on("request", lambda request: page.asked.append(request.url))
        page.goto(at)
        return page

    yield open_page
    for page in pages:
        page.close()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pictures")
    halves = np.concatenate([plain((220, 30, 20), (120, 60)), plain((0, 30, 240), (120, 120))], axis=1)
    drawn = {"red": plain((220, 30, 20), 120), "halves": halves, "grey": plain((128, 128, 128), 120)}
    for name, pixels in drawn.items():
        Image.fromarray(pixels).save(folder / f"{name}.png")
    (folder / "broken.png").write_text("no picture")
    return {path.stem: path for path in folder.iterdir()}


def test_several_pictures_are_answered_with_bars(visit, pictures) -> None:
    page = visit()
    page.locator("#ask").wait_for()
    page.set_input_files("#files", [str(pictures[name]) for name in ("red", "grey", "broken")])
    page.locator("#answers .error").wait_for()
    until(page, "document.querySelectorAll('#answers > li').length === 3")
    red = page.locator("#answers > li", has_text="red.png")
    assert red.locator(".answer").inner_text().startswith("red")
    assert red.locator(".bars li").count() == 3
    assert float(red.locator(".bar").first.evaluate("bar => parseFloat(bar.style.width)")) > 90
    assert "unsure" in page.locator("#answers > li", has_text="grey.png").inner_text()
    assert "JPEG, PNG" in page.locator("#answers > li", has_text="broken.png").inner_text()
    assert all(url.startswith((page.url, "blob:", "data:")) for url in page.asked)
    page.get_by_role("button", name="Remove red.png").press("Enter")
    assert page.locator("#answers > li").count() == 2
    assert [line for line in page.said if "422" not in line] == []


def test_pictures_are_dropped_on_the_page(visit, pictures) -> None:
    page = visit()
    page.locator("#ask").wait_for()
    address = page.url
    dropped = [pictures["red"], pictures["halves"]]
    drag_files(page, "#drop", dropped, "dragEnter", "dragOver")
    until(page, "document.getElementById('drop').classList.contains('over')")
    drag_files(page, "#drop", dropped, "drop")
    until(page, "document.querySelectorAll('#answers .bars').length === 2")
    assert page.locator("#answers > li", has_text="red.png").locator(".answer").inner_text().startswith("red")
    assert page.locator("#answers > li", has_text="halves.png").locator(".answer").inner_text().startswith("blue")
    assert page.evaluate("!document.getElementById('drop').classList.contains('over')")
    assert page.url == address  # the browser's own way with a dropped file is to open it
    assert page.said == []


def test_a_mask_lies_over_its_picture_and_its_legend_hides_classes(visit, pictures) -> None:
    page = visit()
    page.locator("#ask").wait_for()
    page.select_option("#model", "pixels")
    page.set_input_files("#files", str(pictures["halves"]))
    page.locator(".legend button").first.wait_for()
    seen = "canvas => [...canvas.getContext('2d').getImageData({x}, 60, 1, 1).data]"
    canvas = page.locator("#answers canvas")
    assert canvas.evaluate(seen.format(x=20)) == [255, 0, 0, 255]
    assert canvas.evaluate(seen.format(x=150)) == [0, 0, 255, 255]
    red = page.get_by_role("button", name=re.compile("^red"))
    assert red.get_attribute("aria-pressed") == "true"
    red.focus()
    page.keyboard.press("Space")
    assert red.get_attribute("aria-pressed") == "false"
    assert canvas.evaluate(seen.format(x=20))[3] == 0
    assert canvas.evaluate(seen.format(x=150))[3] == 255
    page.locator("input[type=range]").focus()
    before = float(canvas.evaluate("canvas => canvas.style.opacity"))
    for _ in range(10):
        page.keyboard.press("ArrowRight")
    assert float(canvas.evaluate("canvas => canvas.style.opacity")) == pytest.approx(before + 0.1)
    assert page.get_by_role("img", name="Mask of halves.png").count() == 1
    assert page.said == []


def test_a_mask_of_a_picture_that_the_browser_cannot_draw_stands_by_itself(visit, tmp_path: Path) -> None:
    page = visit()
    page.locator("#ask").wait_for()
    page.select_option("#model", "pixels")
    Image.new("RGB", (160, 120), "red").save(tmp_path / "old.tif")
    page.set_input_files("#files", str(tmp_path / "old.tif"))
    page.locator(".frame.unseen canvas").wait_for()
    box = page.locator("#answers canvas").bounding_box()
    assert box["width"] / box["height"] == pytest.approx(4 / 3, rel=0.02)


def test_classes_of_one_colour_and_black_ones_are_told_apart(visit, pictures, tmp_path: Path) -> None:
    contents = make_contents("segmentation", fit="crop", palette=((9, 9, 9), (9, 9, 9), (0, 0, 0)))
    server = run_server({"same": write_zip(tmp_path / "same.bundle", contents)})
    page = visit(next(server))
    page.locator("#ask").wait_for()
    page.set_input_files("#files", str(pictures["halves"]))
    page.locator(".legend button").first.wait_for()
    # Of 180 columns the model sees the middle 120: 30 red ones and 90 blue ones; the border is of no class.
    told = [button.inner_text().split() for button in page.locator(".legend button").all()]
    assert [name for name, _ in told] == ["red", "blue"]
    assert float(told[0][1].rstrip("%")) == pytest.approx(100 * 30 / 180, abs=3)
    assert float(told[1][1].rstrip("%")) == pytest.approx(100 * 90 / 180, abs=3)
    seen = "canvas => [...canvas.getContext('2d').getImageData({x}, 60, 1, 1).data]"
    canvas = page.locator("#answers canvas")
    assert [canvas.evaluate(seen.format(x=x))[3] for x in (5, 40, 100, 175)] == [0, 255, 255, 0]
    assert canvas.evaluate(seen.format(x=40)) == [9, 9, 9, 255]
    assert page.said == []
    next(server, None)


def test_the_language_is_the_browsers_and_can_be_changed(visit, pictures) -> None:
    page = visit(locale="fr-FR")
    page.locator("#ask").wait_for()
    assert page.locator("h1").inner_text() == "Interroger le modèle"
    assert page.locator("html").get_attribute("lang") == "fr"
    page.set_input_files("#files", str(pictures["grey"]))
    page.locator(".unsure").wait_for()
    assert page.locator(".unsure").inner_text() == "incertaine"
    assert "%" in page.locator(".bars li").first.inner_text()
    page.select_option("#language", "en")
    assert page.locator("h1").inner_text() == "Ask the model"
    assert page.locator(".unsure").inner_text() == "unsure"
    assert visit(locale="de-DE").locator("html").get_attribute("lang") == "en"


def test_what_goes_wrong_is_told_in_the_readers_language_and_follows_it(visit, pictures) -> None:
    page = visit(locale="fr-FR")
    page.locator("#ask").wait_for()
    page.set_input_files("#files", str(pictures["broken"]))
    error, status = page.locator("#answers .error"), page.locator("#status")
    error.wait_for()
    assert error.inner_text().startswith("Ce n’est pas une image")
    assert status.inner_text().startswith("broken.png\u00a0: Ce n’est pas une image")
    page.select_option("#language", "en")
    assert error.inner_text().startswith("This is no picture")
    assert status.inner_text().startswith("broken.png: This is no picture")


def test_classes_are_called_as_the_language_of_the_page_has_them(visit, pictures) -> None:
    page = visit(locale="fr-FR")
    page.locator("#ask").wait_for()
    page.set_input_files("#files", str(pictures["red"]))
    answer, bars = page.locator("#answers .answer"), page.locator("#answers .bars")
    answer.wait_for()
    assert answer.inner_text().startswith("rouge")
    assert bars.inner_text().split()[0] == "rouge"
    assert "rouge" in page.locator("#status").inner_text()
    page.select_option("#language", "en")
    assert answer.inner_text().startswith("red")
    assert bars.inner_text().split()[0] == "red"


def test_a_server_that_has_gone_is_told_in_the_readers_language(visit, pictures) -> None:
    page = visit(locale="fr-FR")
    page.locator("#ask").wait_for()
    page.route("**/v1/predict*", lambda route: route.abort())
    page.set_input_files("#files", str(pictures["red"]))
    page.locator("#answers .error").wait_for()
    assert page.locator("#answers .error").inner_text() == "Le serveur ne répond pas."


def test_a_picture_that_is_taken_away_is_let_go_of(visit, pictures) -> None:
    page = visit()
    page.locator("#ask").wait_for()
    page.set_input_files("#files", str(pictures["red"]))
    page.locator("#answers .bars").wait_for()
    page.evaluate(
        "() => { window.gone = []; const honest = URL.revokeObjectURL.bind(URL);"
        " URL.revokeObjectURL = (url) => { window.gone.push(url); honest(url); }; }"
    )
    shown = page.locator("#answers img").get_attribute("src")
    page.get_by_role("button", name="Remove red.png").click()
    assert page.evaluate("window.gone") == [shown]


def test_it_is_used_by_keyboard_and_named_for_a_screen_reader(visit) -> None:
    page = visit()
    page.locator("#ask").wait_for()
    reached = []
    for _ in range(8):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id"))
    assert {"language", "model", "files", "camera"} <= set(reached)
    unnamed = page.evaluate(
        "[...document.querySelectorAll('button, input, select')].filter(e => e.offsetParent && "
        "!(e.textContent.trim() || e.labels?.length || e.getAttribute('aria-label'))).map(e => e.id)"
    )
    assert unnamed == []
    assert page.locator("#status").get_attribute("aria-live") == "polite"
    narrow = visit(viewport={"width": 340, "height": 700})
    narrow.locator("#ask").wait_for()
    assert narrow.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_camera_takes_a_picture(visit) -> None:
    page = visit()
    page.locator("#ask").wait_for()
    page.evaluate(
        "() => { const devices = navigator.mediaDevices, honest = devices.getUserMedia.bind(devices);"
        " devices.getUserMedia = (wanted) => { window.wanted = wanted; return honest(wanted); }; }"
    )
    page.click("#camera")
    until(page, "document.getElementById('video').videoWidth > 0")
    page.click("#take")
    page.locator("#answers .bars").wait_for()
    assert page.evaluate("window.wanted") == {"video": {"facingMode": "environment"}}  # a phone has two
    page.click("#close")
    assert page.locator("#viewfinder").is_hidden()


def test_without_https_the_camera_is_not_offered_and_the_reason_is(visit, browser) -> None:
    page = visit("about:blank")
    page.add_init_script("Object.defineProperty(Navigator.prototype, 'mediaDevices', { get: () => undefined })")
    page.goto(visit().url)
    page.locator("#ask").wait_for()
    assert page.locator("#camera").is_hidden()
    assert "https" in page.locator("#nocamera").inner_text()
    assert page.said == []


def test_the_page_asks_for_the_key(visit, bundles, tmp_path: Path) -> None:
    key = add_key(tmp_path / "keys.txt", "volunteer")
    server = run_server(bundles, keys=tmp_path / "keys.txt")
    page = visit(next(server))
    page.locator("#keybox").wait_for()
    assert page.locator("#ask").is_hidden()
    page.fill("#key", key + "\u200b")  # what no header can carry is not kept
    page.keyboard.press("Enter")
    until(page, "document.getElementById('keywrong').textContent !== ''")
    assert page.evaluate("sessionStorage.getItem('key')") is None
    page.fill("#key", "wrong")
    page.keyboard.press("Enter")
    until(page, "sessionStorage.getItem('key') === 'wrong' && document.getElementById('keywrong').textContent !== ''")
    page.fill("#key", key)
    page.keyboard.press("Enter")
    page.locator("#ask").wait_for()
    assert page.locator("#model option").count() == 2
    assert key not in page.content()
    page.get_by_role("link", name="The API").click()
    page.locator("#docs h1").wait_for()
    assert "/v1/segment" in page.locator("#docs").inner_text()
    with page.expect_download() as saved:
        page.get_by_role("link", name="openapi.json").click()
    assert "/v1/segment" in saved.value.path().read_text()
    assert [line for line in page.said if "401" not in line] == []
    next(server, None)


def test_a_key_that_is_taken_back_meanwhile_is_asked_for_anew(visit, bundles, pictures, tmp_path: Path) -> None:
    key = add_key(tmp_path / "keys.txt", "volunteer")
    server = run_server(bundles, keys=tmp_path / "keys.txt")
    page = visit(next(server), locale="fr-FR")
    page.locator("#keybox").wait_for()
    page.fill("#key", key)
    page.keyboard.press("Enter")
    page.locator("#ask").wait_for()
    page.select_option("#model", "pixels")
    page.evaluate("sessionStorage.setItem('key', 'taken-back')")
    page.set_input_files("#files", str(pictures["halves"]))
    page.locator("#keybox").wait_for()
    page.locator("#answers .error").wait_for()
    assert page.locator("#answers .error").inner_text().startswith("Le serveur demande une clé")
    assert page.locator("#keywrong").inner_text() == "Le serveur ne connaît pas cette clé."
    page.select_option("#language", "en")
    assert page.locator("#keywrong").inner_text() == "The server does not know this key."
    page.fill("#key", key)
    page.locator("#key").press("Enter")
    page.locator("#keybox").wait_for(state="hidden")
    assert page.locator("#model").input_value() == "pixels"
    page.set_input_files("#files", str(pictures["halves"]))
    page.locator(".legend button").first.wait_for()
    next(server, None)


def test_a_generator_is_asked_by_seed_and_class(visit, generator_bundle, bundles) -> None:
    server = run_server({"generation": generator_bundle, **bundles})
    page = visit(next(server), locale="fr-FR")
    page.locator("#make").wait_for()
    assert page.locator("#drop").is_hidden()
    assert page.locator("#lead").inner_text().startswith("Choisissez une graine")
    assert page.locator("h1").inner_text() == page.title() == "Générer des images"
    page.get_by_label("Graine").fill("7")
    page.locator("#count").select_option("4")
    page.locator("#class").select_option("green")
    page.get_by_label("Graine").press("Enter")
    image = page.get_by_role("img", name="Images générées, graine 7")
    image.wait_for()
    until(page, "[...document.images].every(image => image.complete && image.naturalWidth === 22)")
    item = page.locator("#answers > li").first
    assert item.locator("h2").inner_text().startswith("Graine 7, vert, images")
    assert "pas une photographie" in item.inner_text()
    with page.expect_download() as saved:
        item.get_by_text("Enregistrer le fichier").click()
    generator = load_generator(generator_bundle)
    wishes = generator.wishes(4, seed=7, label="green")
    assert saved.value.suggested_filename == "generated-7-green-4.png"
    assert saved.value.path().read_bytes() == generator.png(list(generator.stream(wishes)), wishes)
    page.select_option("#language", "en")
    assert item.locator("h2").inner_text().startswith("Seed 7, green, pictures")
    page.get_by_role("button", name="Another seed").click()
    assert page.get_by_label("Seed").input_value() != "7"
    page.get_by_role("button", name="Remove 7").click()
    assert page.locator("#answers > li").count() == 0
    page.select_option("#model", "colours")
    assert page.locator("#make").is_hidden()
    assert page.locator("#drop").is_visible()
    assert page.title() == "Ask the model"
    assert all(url.startswith((page.url, "blob:", "data:")) for url in page.asked)
    assert page.said == []
    next(server, None)


def test_the_gallery_corrects_by_hand_and_speaks_french(browser, bundles, pictures, tmp_path: Path) -> None:
    from etude import load
    from etude.runtime.library.database import Library
    from etude.runtime.library.gallery import Gallery
    from etude.runtime.library.indexing import index_folder
    from etude.runtime.serving.server import _address, _listen, _Server

    library = Library(tmp_path / "l.sqlite", create=True)
    index_folder(load(bundles["classification"], threads=1), pictures["red"].parent, library, threads=1)
    config, ready = ServeConfig(port=0), threading.Event()
    listening = _listen(config)
    server = _Server(Gallery(library, config).app, config, ready.set)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    assert ready.wait(20)
    page = browser.new_page(locale="fr-FR")
    said = []
    page.on("console", lambda message: said.append(message.text))
    page.goto(_address(listening))
    page.locator("#pictures li").first.wait_for()
    assert page.locator("h1").inner_text() == "La bibliothèque"
    assert page.locator("#pictures li").count() == 3
    page.locator("#broken summary").click()
    assert "broken.png" in page.locator("#broken li").inner_text()
    page.get_by_label("Classe de grey.png").select_option("vert")
    until(page, "document.getElementById('status').textContent.includes('vert')")
    assert "corrigée" in page.locator("#pictures li", has_text="grey.png").inner_text()
    assert [(found.path, found.label) for found in library.search(corrected=True)] == [("grey.png", "green")]
    grey = page.locator("#pictures li", has_text="grey.png")
    undo = page.get_by_role("button", name="Annuler ce qui a été dit de grey.png")
    undo.focus()
    page.keyboard.press("Enter")
    until(page, "document.getElementById('status').textContent.includes('annulé')")
    assert library.search(corrected=True) == []
    assert "33" in grey.inner_text()
    right = page.get_by_role("button", name="rouge est juste pour grey.png")
    assert right.evaluate("button => button === document.activeElement")
    page.keyboard.press("Enter")
    until(page, "document.getElementById('status').textContent.includes('enregistrée comme rouge')")
    assert "confirmée" in grey.inner_text()
    page.get_by_label("Classe de grey.png").select_option("aucune des classes")
    until(page, "document.getElementById('status').textContent.includes('aucune des classes')")
    assert [found.path for found in library.search(none=True)] == ["grey.png"]
    page.select_option("#which", "none")
    until(page, "document.querySelectorAll('#pictures li').length === 1")
    page.select_option("#which", "corrected")
    until(page, "document.querySelectorAll('#pictures li').length === 1")
    until(page, "[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    assert said == []
    page.close()
    server.should_exit = True
    thread.join(20)


def test_a_gallery_whose_library_cannot_be_read_says_so(
    browser, bundles, pictures, tmp_path: Path, monkeypatch
) -> None:
    from etude import load
    from etude.core.errors import StorageError
    from etude.runtime.library.database import Library
    from etude.runtime.library.gallery import Gallery
    from etude.runtime.library.indexing import index_folder
    from etude.runtime.serving.server import _address, _listen, _Server

    library = Library(tmp_path / "l.sqlite", create=True)
    index_folder(load(bundles["classification"], threads=1), pictures["red"].parent, library, threads=1)
    config, ready = ServeConfig(port=0), threading.Event()
    listening = _listen(config)
    server = _Server(Gallery(library, config).app, config, ready.set)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    assert ready.wait(20)

    def fail(*given: object, **named: object) -> None:
        raise StorageError("library: l.sqlite: another program holds it.")

    page = browser.new_page(locale="fr-FR")
    with monkeypatch.context() as held:
        held.setattr(library, "counts", fail)
        page.goto(_address(listening))
        until(page, "document.getElementById('status').textContent !== ''")
        assert page.locator("h1").inner_text() == "La bibliothèque"
        assert page.locator("#status").inner_text().startswith("La bibliothèque ne peut pas être montrée")
        assert "another program holds it" in page.locator("#status").inner_text()
    page.reload()
    page.locator("#pictures li").first.wait_for()
    with monkeypatch.context() as held:
        held.setattr(library, "search", fail)
        page.select_option("#which", "unsure")
        until(page, "document.getElementById('status').textContent.includes('another program')")
    page.close()
    server.should_exit = True
    thread.join(20)
