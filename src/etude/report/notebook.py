"""The notebook: one file that stands alone.

The records and Étude's own source travel inside it; the source of the networks and of the loop stands in cells that can
be changed. It is executed when it is written, and regenerates itself from its records, or with `retrain = True` from
pictures.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import etude
from etude.core.errors import EtudeError, MissingPartError
from etude.core.extras import install
from etude.core.files import write_text
from etude.core.judgement_record import JUDGEMENT_FILE
from etude.data.source import SOURCES
from etude.models.registry import MODELS, Family
from etude.report.again import portable
from etude.report.explanations import read_explanations
from etude.report.needed import list_requirements, settings_elsewhere
from etude.report.packing import (
    OWN_NETWORKS,
    Parcel,
    gather_records,
    gather_source,
    list_own_networks,
    pack,
)
from etude.report.reading import StudyResults, read_results, read_versions
from etude.report.sights import has_chapters
from etude.report.training_told import tell_weights_needed
from etude.report.transfer import has_transfer
from etude.report.words import Words

MOST_BYTES = 10_000_000
"""Bytes that a notebook may have: what the places where notebooks are opened still show."""
_LESS = 1.5
"""How many times what is too much is left out: its outputs go with it, but not those of other things."""
_NEEDED = ("numpy", "pillow", "pydantic", "pyyaml", "matplotlib", "babel", "jinja2", "pyarrow", "scipy")
_SHOWN = {
    "classification": ("train/loop.py", "tasks/classification.py", "data/loader.py"),
    "segmentation": ("train/loop.py", "tasks/segmentation.py", "tasks/mask_losses.py", "data/loader.py"),
    "generation": ("train/generation.py", "train/adversarial.py", "tasks/generation.py", "data/loader.py"),
}
"""The files of the loop, by task."""


def write_notebook(study_folder: Path, language: str, *, to: Path | None = None, execute: bool = True) -> Path:
    """Write the notebook of a study, executed, whole or not at all.

    Args:
        study_folder: what `etude run` left.
        language: fr or en.
        to: the file to write; none means `report/notebook.<language>.ipynb` in the study's folder.
        execute: whether it is executed, so that it holds its outputs.

    Raises:
        MissingPartError: if nbformat, nbclient or ipykernel is not installed.
        EtudeError: if a cell fails: a fault of ours; or if the records alone are more than a notebook may hold.
        MistakeError: if the folder holds no study, a record cannot be read, or the language is unknown.
    """
    try:
        import nbclient  # noqa: F401 - asked for here, so that it is missed before anything is gathered
        import nbformat
    except ImportError:
        raise MissingPartError(f"report: a notebook needs Jupyter's parts. {install('report')}") from None
    path = to or study_folder / "report" / f"notebook.{language}.ipynb"
    study, words = read_results(study_folder, language)
    parcel = gather_records(study, words)
    while True:
        book = build_notebook(study, words, parcel)
        if execute:
            _execute(book)
        text = nbformat.writes(book) + "\n"
        excess = len(text.encode("utf-8")) - MOST_BYTES
        if excess <= 0:
            break
        if not parcel.n_spare:
            raise EtudeError(
                f"report: the notebook of {study.record.name} must have at most {MOST_BYTES / 1e6:.0f} MB. Got "
                f"{(MOST_BYTES + excess) / 1e6:.1f} MB with its records alone. Write the note, or make it two studies."
            )
        parcel = gather_records(study, words, max(0, parcel.n_spare - int(_LESS * excess)))
    write_text(path, text)
    return path


def _execute(book: Any) -> None:  # noqa: ANN401 - nbformat has no types
    """Execute a notebook in a folder of its own, so that it holds its outputs.

    Raises:
        EtudeError: if a cell fails.
    """
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

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


def build_notebook(study: StudyResults, words: Words, parcel: Parcel | None = None) -> Any:  # noqa: ANN401
    """Return the notebook of a study, not yet executed.

    Args:
        study: the study, read.
        words: the language.
        parcel: what it carries of the study; all that there is room for where none is given.
    """
    from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

    cells = []
    for number, (kind, text) in enumerate(_cells(study, words, parcel or gather_records(study, words))):
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


def _cells(study: StudyResults, words: Words, parcel: Parcel) -> Iterator[tuple[str, str]]:
    """Give the cells, each with its kind: text, code or folded."""
    say, record = words.say, study.record
    yield (
        "text",
        f"# {record.name}\n\n*{record.question}*\n\n"
        + say(
            "This notebook stands alone. The records of the study and the source that made them travel inside it: run all cells and "  # noqa: E501
            "every table and figure is made again from the records; set `retrain = True` and everything is trained again from the "  # noqa: E501
            "pictures. The section on the path lists every trial and every run of this plan, failed, pruned and interrupted ones too: a "  # noqa: E501
            "run that failed and was repeated stands there with its last state, what earlier plans ran does not stand there, and "  # noqa: E501
            "networks that were trained only to answer together stand in one line."
        ),
    )
    yield "text", "## " + say("What is needed")
    more = _list_needed_to_retrain(study)
    made_with = {name: version for name, version in read_versions(study).items() if name in (*_NEEDED, *more)}
    differs = say("{name}: {here} is here, the study was made with {made}", name="{name}", here="{here}", made="{made}")
    exact = say("True: the versions that the study was made with, in place of those that are here")
    besides = say("what training needs besides")
    any_version = say("such a version is not to be had here: any will do")
    yield (
        "code",
        _INSTALL.format(
            needed=_NEEDED, more=more, made_with=made_with, differs=differs, exact=exact, besides=besides,
            any_version=any_version,
        ),
    )  # fmt: skip
    yield (
        "code",
        _SETTINGS.format(train=say("True: train everything again"), where=_tell_pictures(study, words)),
    )
    packed = say("The records and the source, packed; this cell unpacks them beside the notebook.")
    if parcel.left_out:
        names = words.listing(parcel.left_out)
        packed += " " + say("Left out, so that the notebook stays under 10 MB: {names}.", names=names)
    yield "text", packed
    yield (
        "folded",
        _UNPACK.format(
            name=record.name,
            own=OWN_NETWORKS,
            written=say(
                "A cell that was changed is written into the source that was unpacked; a network of one's own lies elsewhere."  # noqa: E501
            ),
            source=pack(gather_source()),
            records=pack(parcel.files),
        ),
    )
    shown = say(
        "These cells hold the very files that trained. Change one, run it, and train again to see what becomes of it."
    )
    if borrowed := _list_borrowed(study):
        shown += " " + say(
            "Of some networks the cells hold what builds them; the library that they come from has their source: {names}.",  # noqa: E501
            names=words.listing(borrowed),
        )
    yield "text", "## " + say("The source of the networks and of the training loop") + "\n\n" + shown
    for name, text in _list_sources(study):
        yield "code", f"%%module {name}\n" + text.rstrip()
    needs = tell_weights_needed(study.record, list(study.runs.values()), words)
    yield "text", "\n\n".join(["## " + say("Training"), *needs])
    yield "code", _RETRAIN.format(name=record.name, language=words.language, sets=settings_elsewhere(study))
    for heading, text, code in _chapters(study, words):
        yield "text", f"## {heading}" + (f"\n\n{text}" if text else "")
        yield "code", code


def _tell_pictures(study: StudyResults, words: Words) -> str:
    """Say what `pictures` must be for this study to be trained again."""
    source = str(study.record.config.get("data", {}).get("source", ""))
    if source in SOURCES:
        return words.say("not needed: the study draws or fetches {source} itself", source=source)
    return words.say(
        "for `retrain`: the folder, Parquet or CSV file of the pictures, where they lie now; the study had them in {source}",  # noqa: E501
        source=source,
    )


def _list_needed_to_retrain(study: StudyResults) -> tuple[str, ...]:
    """Return what has to be installed to train the study, beside what shows its records."""
    return tuple(name for name in list_requirements(study) if name not in _NEEDED)


def _chapters(study: StudyResults, words: Words) -> Iterator[tuple[str, str, str]]:
    """Give heading, general words and code of each chapter; what depends on records is told by the code."""
    say = words.say
    yield say("Answer"), "", 'book.tell("answer")'
    yield say("The question"), study.record.question, 'book.tell("metric_why")'
    yield say("The data and their check"), "", "book.data()\nbook.findings()"
    yield (
        say("The split, and the search for leaks"),
        say(
            "Pictures that are alike belong on one side: a near twin of a training picture in the test part would be recognised, "  # noqa: E501
            "not understood, and the score would promise too much."
        ),
        'book.tell("split_told")',
    )
    yield (
        say("The criteria, and why there is a test part"),
        say(
            "Weights learn on the training part. What is chosen is chosen on the validation part, so its score there is too "  # noqa: E501
            "good: among many choices the luckiest is kept. The test part is opened once, by a finished run, and judges alone. Two "  # noqa: E501
            "intervals are told apart: over pictures (others could have been drawn) and over runs (other seeds or folds could have been)."  # noqa: E501
        )
        if study.record.task != "generation"
        else say(
            "Weights learn on the training part, and the network of the last step is kept. "
            "The test part is opened once, by a finished run, and judges alone. Two intervals are told apart: over pictures (others "  # noqa: E501
            "could have been drawn) and over runs (other seeds or folds could have been)."
        ),
        'book.tell("chosen_told", "also_why")',
    )
    of_pictures = study.record.task != "generation"
    yield say("Each model, layer by layer"), "", "book.networks()"
    yield say("Every training parameter"), "", "book.parameters()\nbook.changes()"
    yield (
        say("Results"),
        "",
        'book.table("leaderboard")\nbook.tell("leaderboard_notes")\nbook.draw("leaderboard_drawing")\n'
        'book.tell("verdict_sentences", "correction")\nbook.draw("verdicts_drawing")',
    )
    if study.record.published_here:
        yield say("Published values"), "", "book.published()"
    if not of_pictures:
        yield say("Generated pictures"), "", "book.generated()"
        if (study.folder / JUDGEMENT_FILE).is_file():
            yield say("What a detector sees in generated pictures"), "", "book.judged()"
    yield (
        say("Learning curves"),
        "",
        'book.draw("curves_drawing")\nbook.tell("curves_told")\nbook.draw("gaps_drawing")\nbook.tell("gaps_told")',
    )
    yield say("Ablations"), say("One field is varied at a time, all else is the same."), "book.ablations()"
    if study.record.searches:
        told = say(
            "Settings were looked for on the validation part; no trial opened the test part. What was found was trained under the "  # noqa: E501
            "protocol like all other candidates."
        )
        yield say("Searches"), told, "book.searches()"
    if has_transfer(study):
        yield say("Transfer"), "", "book.transfer()"
    if study.record.combinations:
        yield say("The best score possible"), "", "book.combinations()"
    if sum(row.score is not None for row in study.record.leaderboard) > 1:
        yield say("Score and cost"), "", 'book.draw("pareto_drawing")'
    if of_pictures:
        yield say("Errors"), "", "book.errors()"
        if _has_sights(study):
            yield say("One network, looked at closely"), "", "book.sights()"
        if (study.folder / "robustness.json").is_file():
            yield say("Robustness"), "", "book.robustness()"
    yield (
        say("The path"),
        say(
            "Every run of the plan in order, the trials of searches first, with what each decided: failed and pruned ones too."  # noqa: E501
        ),
        "book.path()",
    )
    yield say("Limits"), "", "book.limits()"
    yield say("What to try next"), "", "book.proposals()"
    yield say("How to reproduce"), f"`{portable(study.record.command)}`", "book.machine()"
    yield say("References"), "", "book.references()"


def _has_sights(study: StudyResults) -> bool:
    """Return whether more than the layers was explained of the run whose explanation comes first."""
    return any(has_chapters(found.folder) for found in read_explanations(study)[:1])


def _list_sources(study: StudyResults) -> Iterator[tuple[str, str]]:
    """Give the files of the networks that the study trained, its own ones first, and those of the loop."""
    for path in list_own_networks(study):
        yield path.relative_to(study.folder).as_posix(), path.read_text("utf-8")
    root = Path(etude.__file__).parent
    names = (f"models/networks/{name}" for _, family in _list_families(study) for name in family.sources)
    for name in dict.fromkeys((*names, *_SHOWN[study.record.task])):
        yield f"etude/{name}", (root / name).read_text("utf-8")


def _list_borrowed(study: StudyResults) -> list[str]:
    """Return the networks that come from a library."""
    return [name for name, family in _list_families(study) if family.pretrained_name is not None]


def _list_families(study: StudyResults) -> list[tuple[str, Family]]:
    """Return the networks that the study trained, generators of training pictures too, each with its family."""
    names: set[str] = set()
    for run in study.runs.values():
        generated = run.config.get("data", {}).get("generated") or {}
        names |= {str(model["name"]) for model in (run.config.get("model"), generated.get("model")) if model}
    return [(name, MODELS[name] if name in MODELS else MODELS["timm"]) for name in sorted(names)]


_INSTALL = """\
import importlib.metadata
import importlib.util
import subprocess
import sys

exact = False  # {exact}
NEEDED = {needed!r}
TO_RETRAIN = {more!r}  # {besides}
MADE_WITH = {made_with!r}
NAMES = {{
    "pillow": "PIL",
    "pyyaml": "yaml",
    "segmentation-models-pytorch": "segmentation_models_pytorch",
    "opencv-python-headless": "cv2",
}}


def version_of(name):
    if importlib.util.find_spec(NAMES.get(name, name)) is None:
        return None
    try:
        return importlib.metadata.version(name).split("+")[0]
    except importlib.metadata.PackageNotFoundError:
        return ""


def install(*packages):
    here = {{name: version_of(name) for name in packages}}
    other = {{name for name in packages if name in MADE_WITH and here[name] != MADE_WITH[name]}}
    missing = [name for name in packages if here[name] is None or (exact and name in other)]
    pip = [sys.executable, "-m", "pip", "install", "--quiet"]
    if missing:
        pinned = [f"{{name}}=={{MADE_WITH[name]}}" if name in MADE_WITH else name for name in missing]
        if subprocess.run([*pip, *pinned]).returncode:  # {any_version}
            subprocess.run([*pip, *missing], check=True)
    return {{name: here[name] for name in other if name not in missing}}


def install_to_retrain():
    for name, version in sorted((install(*NEEDED) | install(*TO_RETRAIN)).items()):
        print("{differs}".format(name=name, here=version, made=MADE_WITH[name]))


install(*NEEDED);"""
_SETTINGS = """\
retrain = False  # {train}
pictures = None  # {where}"""
_UNPACK = """\
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
    # {written}
    name = line.strip()
    path = here / ("records" if name.startswith("{own}/") else "source") / name
    if path.read_text(encoding="utf-8").rstrip() != cell.rstrip():
        path.write_text(cell, encoding="utf-8")


get_ipython().register_magic_function(module, "cell", "module")"""
_RETRAIN = """\
records = here / "records"
if retrain:
    install_to_retrain()
    import json

    from etude.study.study import Study

    text = (records / "study.yaml").read_text(encoding="utf-8")
    source = [f"data.source={{json.dumps(str(Path(pictures).resolve()))}}"] if pictures else []
    study = Study.from_text(text, base=records, sets=[*{sets!r}, *source], default_name={name!r})
    records = study.run(here / "retrained").folder
else:
    from etude.report.arrays import unpack_arrays

    unpack_arrays(records)

from etude.report.cells import Book

book = Book(records, {language!r})"""
