"""The notebook: one file that stands alone.

The records and Étude's own source travel inside it; the source of the networks and of the loop stands in cells that can
be changed. It is executed when it is written, and regenerates itself from its records, or with `retrain = True` from
pictures.
"""

from __future__ import annotations

import base64
import io
import lzma
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import etude
from etude.core.errors import EtudeError, MissingPartError
from etude.core.files import write_text
from etude.core.judgement_record import JUDGEMENT_FILE
from etude.report.reading import StudyResults, read_study
from etude.report.words import Words

_MOST_PREDICTIONS = 3_000_000  # bytes of predictions that travel along, the best candidate's first
_MOST_ARRAYS = 1_000_000  # bytes of one file of arrays
_SOURCE_SUFFIXES = {".py", ".po", ".j2", ".css", ".js", ".yaml"}
_NEEDED = ("numpy", "pillow", "pydantic", "pyyaml", "matplotlib", "babel", "jinja2", "pyarrow", "scipy")
_TO_RETRAIN = ("torch", "timm", "safetensors", "onnxruntime", "typer", "rich")
_SHOWN = {
    "classification": ("train/loop.py", "tasks/classification.py", "data/loader.py"),
    "segmentation": ("train/loop.py", "tasks/segmentation.py", "tasks/mask_losses.py", "data/loader.py"),
    "generation": ("train/generation.py", "train/adversarial.py", "tasks/generation.py", "data/loader.py"),
}
"""The files of the loop, by task."""
_OF_STUDY = ("study.json", "study.yaml", "resolved.json", "check.json", "robustness.json", JUDGEMENT_FILE)
"""Records that a study's folder itself holds."""


def write_notebook(study_folder: Path, language: str, *, to: Path | None = None, execute: bool = True) -> Path:
    """Write the notebook of a study, executed, whole or not at all.

    Args:
        study_folder: what `etude run` left.
        language: fr or en.
        to: the file to write; none means `report/notebook.<language>.ipynb` in the study's folder.
        execute: whether it is executed, so that it holds its outputs.

    Raises:
        MissingPartError: if nbformat, nbclient or ipykernel is not installed.
        EtudeError: if a cell fails: a fault of ours.
        MistakeError: if the folder holds no study, a record cannot be read, or the language is unknown.
    """
    try:
        import nbformat
        from nbclient import NotebookClient
        from nbclient.exceptions import CellExecutionError
    except ImportError:
        raise MissingPartError("report: a notebook needs Jupyter's parts: `pip install 'etude[report]'`.") from None
    path = to or study_folder / "report" / f"notebook.{language}.ipynb"
    book = build_notebook(read_study(study_folder, language), Words(language))
    if execute:
        with tempfile.TemporaryDirectory() as scratch:
            client = NotebookClient(
                book,
                kernel_name="python3",
                extra_arguments=["--log-level=ERROR"],
                timeout=600,
                record_timing=False,
                resources={"metadata": {"path": scratch}},
            )
            try:
                client.execute()
            except CellExecutionError as error:
                raise EtudeError(f"report: a cell of the notebook failed ({error}).") from error
    write_text(path, nbformat.writes(book) + "\n")
    return path


def build_notebook(study: StudyResults, words: Words) -> Any:  # noqa: ANN401 - nbformat has no types
    """Return the notebook of a study, not yet executed."""
    from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

    cells = []
    for number, (kind, text) in enumerate(_cells(study, words)):
        cell = new_markdown_cell(text) if kind == "text" else new_code_cell(text)
        cell["id"] = f"cell-{number:03d}"
        if kind == "folded":
            cell["metadata"] = {"jupyter": {"source_hidden": True}, "cellView": "form", "collapsed": False}
        cells.append(cell)
    metadata = {
        "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
        "language_info": {"name": "python"},
        "colab": {"provenance": []},
    }
    return new_notebook(cells=cells, metadata=metadata)


def _cells(study: StudyResults, words: Words) -> Iterator[tuple[str, str]]:
    """Give the cells, each with its kind: text, code or folded."""
    say, record = words.say, study.record
    yield (
        "text",
        f"# {record.name}\n\n*{record.question}*\n\n"
        + say(
            "This notebook stands alone. The records of the study and the source that made them travel inside it: run all cells and "  # noqa: E501
            "every table and figure is made again from the records; set `retrain = True` and everything is trained again from the "  # noqa: E501
            "pictures. Nothing was tidied away: the section on the path lists every run."
        ),
    )
    yield "text", "## " + say("What is needed")
    yield "code", _INSTALL.format(needed=_NEEDED, more=_TO_RETRAIN)
    yield (
        "code",
        _SETTINGS.format(
            train=say("True: train everything again"), where=say("folder of the pictures, where the study needs one")
        ),
    )
    yield "text", say("The records and the source, packed; this cell unpacks them beside the notebook.")
    yield "folded", _UNPACK.format(name=record.name, source=pack(_source_files()), records=pack(_record_files(study)))
    yield "text", "## " + say("The source of the networks and of the training loop") + "\n\n" + say(
        "These cells hold the very files that trained. Change one, run it, and train again to see what becomes of it."
    )  # fmt: skip
    for name in _shown_modules(study):
        yield "code", f"%%module etude/{name}\n" + (Path(etude.__file__).parent / name).read_text("utf-8").rstrip()
    yield "text", "## " + say("Training")
    yield "code", _RETRAIN.format(name=record.name, language=words.language)
    for heading, text, code in _chapters(study, words):
        yield "text", f"## {heading}" + (f"\n\n{text}" if text else "")
        yield "code", code


def _chapters(study: StudyResults, words: Words) -> Iterator[tuple[str, str, str]]:
    """Give heading, general words and code of each chapter; what depends on records is told by the code."""
    say = words.say
    yield say("Answer"), "", 'book.tell("answer")'
    yield say("The question"), study.record.question, 'book.tell("metric_why")'
    yield say("The data and their check"), "", 'book.table("counts")\nbook.findings()'
    yield (
        say("The split, and why nothing leaks"),
        say(
            "Pictures that are alike go to one side: a near twin of a training picture in the test part would be recognised, not "  # noqa: E501
            "understood, and the score would promise too much. The check above looks for such twins, mirrored and cropped ones too."  # noqa: E501
        ),
        'book.tell("split_told")',
    )
    yield (
        say("The criteria, and why there is a test part"),
        say(
            "Weights learn on the training part. Epoch, threshold and settings are chosen on the validation part, so its score is too "  # noqa: E501
            "good: among many choices the luckiest is kept. The test part is opened once, by a finished run, and judges alone. Two "  # noqa: E501
            "intervals are told apart: over pictures (others could have been drawn) and over runs (other seeds could have been)."  # noqa: E501
        ),
        'book.tell("metric_why")',
    )
    of_pictures = study.record.task != "generation"
    if of_pictures:
        yield say("Each model, layer by layer"), "", "book.networks()\nbook.sights()"
    yield say("Every training parameter"), "", "book.parameters()\nbook.changes()"
    yield (
        say("Results"),
        "",
        'book.table("leaderboard")\nbook.tell("leaderboard_notes", "small_test")\nbook.draw("leaderboard_drawing")\n'
        'book.tell("verdict_sentences", "correction")\nbook.draw("verdicts_drawing")',
    )
    if not of_pictures:
        yield say("Generated pictures"), "", "book.generated()"
        if (study.folder / JUDGEMENT_FILE).is_file():
            yield say("What a detector sees in generated pictures"), "", "book.judged()"
    yield (
        say("Learning curves"),
        say("Where the two losses part, the network learns its training pictures by heart.") if of_pictures else "",
        'book.draw("curves_drawing")\nbook.draw("gaps_drawing")',
    )
    yield say("Ablations"), say("One field is varied at a time, all else is the same."), "book.ablations()"
    if study.record.combinations:
        yield say("The best score possible"), "", "book.combinations()"
    yield say("Score and cost"), "", 'book.draw("pareto_drawing")'
    if of_pictures:
        yield say("Errors"), "", "book.errors()"
    yield (
        say("The path"),
        say("Every run in the order of the plan, failed ones included, with what each decided."),
        "book.path()",
    )
    yield say("What to try next"), "", "book.proposals()"
    yield say("How to reproduce"), f"`{study.record.command}`", "book.machine()"
    yield say("References"), "", "book.references()"


def pack(files: dict[str, bytes]) -> str:
    """Return files as one text: a tar, compressed, in base 85; the same files give the same text."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, content in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return base64.b85encode(lzma.compress(out.getvalue(), preset=6)).decode("ascii")


def _source_files() -> dict[str, bytes]:
    """Return Étude's own files, by their paths below the folder that is put on Python's path."""
    root = Path(etude.__file__).parent
    return {
        f"etude/{path.relative_to(root).as_posix()}": path.read_bytes()
        for path in root.rglob("*")
        if path.suffix in _SOURCE_SUFFIXES and "__pycache__" not in path.parts
    }


def _record_files(study: StudyResults) -> dict[str, bytes]:
    """Return the records of a study, by their paths in its folder; of predictions those that are drawn."""
    folder = study.folder
    paths = [folder / name for name in _OF_STUDY]
    for ref in study.record.runs:
        run = folder / "runs" / ref.identity
        paths += [run / "run.json", run / "history.jsonl", *sorted((run / "explain").glob("*.json"))]
        paths += [path for path in sorted((run / "explain").glob("*.npz")) if path.stat().st_size < _MOST_ARRAYS]
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths if path.is_file()}
    for record in [run for row in study.record.leaderboard[:1] for run in study.runs_of(row.candidate)[:1]]:
        masks = folder / "runs" / record.identity / "masks"
        files |= {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(masks.glob("*.*"))}
    for record in [run for row in study.record.leaderboard for run in study.runs_of(row.candidate)[:1]]:
        generated = folder / "runs" / record.identity
        paths = [generated / name for name in ("generation.json", "samples/final.png", "samples/nearest.png")]
        files |= {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths if path.is_file()}
    room = _MOST_PREDICTIONS
    scored = [row for row in study.record.leaderboard if row.score is not None]
    for row in scored if len(study.record.classes) == 2 else scored[:1]:  # curves of detectors; errors of the best
        for record in study.runs_of(row.candidate):
            path = folder / "runs" / record.identity / "predictions.parquet"
            if path.is_file() and path.stat().st_size <= room:
                room -= path.stat().st_size
                files[path.relative_to(folder).as_posix()] = path.read_bytes()
    return files


def _shown_modules(study: StudyResults) -> list[str]:
    """Return the files of the networks that the study trained, and of the loop."""
    root = Path(etude.__file__).parent
    names = {str(run.config.get("model", {}).get("name", "")) for run in study.runs.values()}
    networks = [f"models/networks/{name}.py" for name in sorted(names)]
    return [name for name in (*networks, *_SHOWN[study.record.task]) if (root / name).is_file()]


_INSTALL = """\
import importlib.util
import subprocess
import sys

NEEDED = {needed!r}
TO_RETRAIN = {more!r}  # what training needs besides
NAMES = {{"pillow": "PIL", "pyyaml": "yaml"}}


def install(*packages):
    missing = [name for name in packages if importlib.util.find_spec(NAMES.get(name, name)) is None]
    if missing:
        subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", *missing], check=True)


install(*NEEDED)"""
_SETTINGS = """\
retrain = False  # {train}
pictures = None  # {where}"""
_UNPACK = '''\
import base64
import io
import lzma
import tarfile
from pathlib import Path

SOURCE = "{source}"
RECORDS = "{records}"
here = Path("etude-{name}").resolve()


def unpack(text, folder):
    with tarfile.open(fileobj=io.BytesIO(lzma.decompress(base64.b85decode(text)))) as tar:
        tar.extractall(folder, filter="data")


unpack(SOURCE, here / "source")
unpack(RECORDS, here / "records")
sys.path.insert(0, str(here / "source"))


def module(line, cell):
    """Write a cell into the source that was unpacked."""
    (here / "source" / line.strip()).write_text(cell, encoding="utf-8")


get_ipython().register_magic_function(module, "cell", "module")'''
_RETRAIN = """\
records = here / "records"
if retrain:
    install(*TO_RETRAIN)
    import os

    from etude.study.study import Study

    if pictures:
        os.environ["ETUDE_DATA"] = str(pictures)
    text = (records / "study.yaml").read_text(encoding="utf-8")
    records = Study.from_text(text, base=Path.cwd(), default_name={name!r}).run(here / "retrained").folder

from etude.report.cells import Book

book = Book(records, {language!r})"""
