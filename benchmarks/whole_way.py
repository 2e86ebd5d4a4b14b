"""A real study's model goes the whole way, by the commands that a user types: exported, asked, indexed, served, shown.

What was typed and what was printed is kept as Markdown, with pictures of the pages in Chromium (Playwright). A command
that fails stops it.

    python benchmarks/whole_way.py dog-breeds --pictures PATH/dogs/Images --to studies/dog-breeds/deployed
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

from etude.core.errors import EXIT_RULE
from etude.evaluate.cost import machine_words
from etude.runtime.predictor import load

SHOWN_LINES = 30
"""Lines of an answer that are kept; what is left out is said."""
CHROMIUM = "/usr/bin/chromium"


@dataclass
class Transcript:
    """What was typed and what came back, in the words of Markdown."""

    folder: Path
    """Where the commands are typed."""
    hidden: dict[str, str]
    """Paths of this machine, and what stands in their place."""
    lines: list[str] = field(default_factory=list)

    def say(self, text: str) -> None:
        """Write a paragraph."""
        self.lines += [text, ""]

    def type(self, *words: str, may_be_refused: bool = False) -> str:
        """Type a command, keep what it prints, and return that; a failure ends the way, but for a refusal by a rule."""
        typed = [sys.executable, "-m", *words] if words[0] == "etude" else list(words)
        done = subprocess.run(typed, cwd=self.folder, capture_output=True, text=True, check=False)
        printed = re.sub(r"^.*\r", "", done.stdout + done.stderr, flags=re.MULTILINE)
        if done.returncode and not (may_be_refused and done.returncode == EXIT_RULE):
            raise SystemExit(f"{shlex.join(words)} ended with {done.returncode}:\n{printed}")
        shown = printed.rstrip().splitlines()
        if len(shown) > SHOWN_LINES:
            shown = [*shown[:SHOWN_LINES], f"… and {len(shown) - SHOWN_LINES} more lines"]
        self.lines += ["```", f"$ {self.plain(shlex.join(words))}", *map(self.plain, shown), "```", ""]
        return printed

    def plain(self, text: str) -> str:
        """Return a text with the words that stand for this machine's paths."""
        for path, word in self.hidden.items():
            text = text.replace(path, word)
        return text.rstrip()


@contextmanager
def listening(folder: Path, *words: str) -> Iterator[str]:
    """Run a command that listens, give its address, and stop it as a supervisor does; it must end well."""
    process = subprocess.Popen(
        [sys.executable, "-m", "etude", *words], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )  # fmt: skip
    assert process.stdout is not None
    try:
        said = []
        for line in process.stdout:
            said.append(line)
            if found := re.search(r"http://[\w.:]+", line):
                yield found.group()
                break
        else:
            raise SystemExit(f"etude {shlex.join(words)} stopped before it listened:\n{''.join(said)}")
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)


def shoot_page(page: Page, address: str, model: str, pictures: Sequence[Path], to: Path) -> None:
    """Choose a model on the server's page, give it pictures, and keep what is seen."""
    page.goto(address)
    page.locator("#ask").wait_for()
    page.select_option("#model", model)
    page.set_input_files("#files", [str(path) for path in pictures])
    for number in range(len(pictures)):
        page.locator("#answers > li").nth(number).locator("img, canvas").first.wait_for()
    page.wait_for_timeout(1500)
    page.screenshot(path=str(to), full_page=True)


def shoot_gallery(page: Page, address: str, to: Path) -> None:
    """Keep the first screen of the gallery."""
    page.goto(address)
    page.wait_for_timeout(2500)
    page.screenshot(path=str(to))


def pick(pictures: Path, n: int) -> list[Path]:
    """Take pictures at even distances, in the order of their names."""
    found = sorted(path for path in pictures.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    return found[:: max(1, len(found) // n)][:n]


def go(arguments: argparse.Namespace, folder: Path) -> Transcript:
    """Go the whole way in a folder."""
    study, results, pictures, to = arguments.study, arguments.results, arguments.pictures, arguments.to
    told = Transcript(
        folder, {str(results): "results", str(pictures): "photos", str(to): to.name, str(folder) + os.sep: ""}
    )
    plain, small = f"{study}.bundle", f"{study}-int8.bundle"
    command = told.plain(shlex.join(["python", "benchmarks/whole_way.py", *sys.argv[1:]]))
    told.say(
        f"# {study}: from the study to its users\n\nWhat was typed, and what came back, on {machine_words()}. Written "
        f"by `{command}`; `results` is the folder of the studies and `photos` that of the pictures."
    )
    told.say("## A file without PyTorch")
    of_run = ("--run", arguments.run) if arguments.run else ()
    export = ("etude", "export", study, *of_run, "--results", str(results), "--quiet")
    told.type(*export, "--to", plain)
    told.type(*export, "--to", small, "--int8", "--name", f"{study}-int8", may_be_refused=True)
    bundles = [name for name in (plain, small) if (folder / name).exists()]
    if small not in bundles:
        told.say("8 bits would lose more than a point: none were written. All that follows is asked of 32 bits.")
        small = plain
    told.type("ls", "-sh", "--block-size=kB", *bundles)
    told.type("etude", "predict", small, "--self-test")
    model = load(folder / plain)
    few = pick(pictures, 3)
    told.say("## Asked about pictures")
    if model.record.task == "segmentation":
        told.type("etude", "predict", small, *map(str, few), "--to", "masks")
    told.type("etude", "predict", small, *map(str, few))
    told.say("## A disk of pictures")
    indexed = told.type("etude", "index", small, str(pictures), "--to", "library.sqlite", "--quiet")
    told.say("The same again looks at new and changed pictures only:")
    told.type("etude", "index", small, str(pictures), "--to", "library.sqlite", "--quiet")
    (wanted, *_) = re.findall(r"^ +\d+ (.+?)(?: \(\d+ unsure\))?$", indexed, re.MULTILINE)
    least = "0.3" if model.record.task == "segmentation" else "0.5"  # of a mask, the share of its largest class
    told.type("etude", "search", "library.sqlite", "--class", wanted, "--min", least, "--limit", "5")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1100, "height": 800}, locale="en-GB")
        with listening(folder, "gallery", "library.sqlite", "--no-browse") as address:
            shoot_gallery(page, address, to / "gallery.png")
        told.say("`etude gallery library.sqlite` shows it to the volunteer, who corrects what is wrong:")
        told.say("![The gallery](gallery.png)")
        told.say("## A server, and its page")
        with listening(folder, "serve", *bundles, "--port", "0") as address:
            told.hidden[address] = "http://127.0.0.1:8000"
            told.say(f"`etude serve {' '.join(bundles)}` answers programs and people:")
            ask(told, model.record.task, address, few[0])
            shoot_page(page, address, study, few, to / "page.png")
        told.say("![The page](page.png)")
        browser.close()
    return told


def ask(told: Transcript, task: str, address: str, picture: Path) -> None:
    """Ask the server as a program does."""
    send: list[Any] = ["curl", "-sS", "--fail", "--data-binary", f"@{picture}"]
    if task == "segmentation":
        told.type(*send, f"{address}/v1/segment?as=json")
        told.type(*send, f"{address}/v1/segment?as=ids", "-o", "mask.png")
    else:
        told.type(*send, f"{address}/v1/predict")


def main() -> None:
    """Go the whole way and keep what was seen."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", help="name of a study that was run")
    parser.add_argument("--run", default="", help="the run to export; by default the best on validation")
    parser.add_argument("--results", type=Path, default=Path("results"), help="folder of the studies")
    parser.add_argument("--pictures", type=Path, required=True, help="a disk of pictures to ask about")
    parser.add_argument("--to", type=Path, required=True, help="folder for README.md and the pictures of the pages")
    arguments = parser.parse_args()
    for name in ("results", "pictures", "to"):
        setattr(arguments, name, getattr(arguments, name).resolve())
    arguments.to.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        told = go(arguments, Path(folder).resolve())
    (arguments.to / "README.md").write_text("\n".join(told.lines).rstrip() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
