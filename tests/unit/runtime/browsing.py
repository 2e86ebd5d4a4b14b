"""What the tests in a real browser share: starting it, waiting, and dragging files as a hand does."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = Path("/usr/bin/chromium")
ARGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
        "--disable-component-update", "--disable-sync", "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream"]  # fmt: skip


@contextmanager
def open_browser() -> Iterator[Any]:
    """Run Chromium, without a window."""
    api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    with api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGS)
        yield chromium
        chromium.close()


def until(page: Any, holds: str, seconds: float = 15) -> None:
    """Wait for an expression to hold; the page's policy forbids the evaluation that Playwright's own waiting does."""
    ends = time.monotonic() + seconds
    while not page.evaluate(holds):
        assert time.monotonic() < ends, holds
        page.wait_for_timeout(50)


def drag_files(page: Any, at: str, files: Sequence[Path], *steps: str) -> None:
    """Drag files from outside of the browser over a part of the page; the steps end with `drop` where it lets go."""
    box = page.locator(at).bounding_box()
    place = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
    data = {"items": [], "files": [str(file) for file in files], "dragOperationsMask": 1}
    session = page.context.new_cdp_session(page)
    for step in steps:
        session.send("Input.dispatchDragEvent", {"type": step, **place, "data": data})
    session.detach()
