"""The project tree: the study as a folder in the layout that data scientists know, which runs alone.

Étude's own source lies in it, so that it needs the libraries of `requirements.txt` and nothing else.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

import etude
from etude.core.errors import MistakeError
from etude.core.files import write_text, writing
from etude.core.run_record import MODEL_FILE, RunRecord
from etude.data.source import SOURCES
from etude.evaluate.final import final_candidate
from etude.models.own import source_files
from etude.models.own import split as split_reference
from etude.report.needed import list_models, list_requirements, settings_elsewhere
from etude.report.note import write_note
from etude.report.notebook import write_notebook
from etude.report.project_scripts import MAKE_DATASET, MANIFEST, PREDICT, SETUP, TRAIN, VISUALIZE
from etude.report.reading import StudyResults, read_results, read_versions
from etude.report.words import Words
from etude.study.deploying import best_run
from etude.study.kept import rename_texts

_OWN_NETWORKS = "src/networks"
"""Where networks of one's own lie in the tree; paths start at its root."""
_SKIPPED = shutil.ignore_patterns("__pycache__", "*.pyc")


def write_project(
    study_folder: Path,
    language: str,
    *,
    to: Path | None = None,
    execute: bool = True,
    made: Mapping[str, Path] | None = None,
) -> Path:
    """Write the project tree of a study; what stood there before is replaced.

    Args:
        study_folder: what `etude run` left.
        language: fr or en: of the README, the note and the notebook.
        to: the folder to write; none means `report/project.<language>` in the study's folder.
        execute: whether the notebook in it is executed.
        made: `note` and `notebook` that were written from these records just now, which are then copied.

    Raises:
        MissingPartError: if what the notebook needs is not installed.
        MistakeError: if the folder holds no study, a record cannot be read, or the language is unknown.
    """
    folder = to or study_folder / "report" / f"project.{language}"
    study, words = read_results(study_folder, language)
    folder.parent.mkdir(parents=True, exist_ok=True)
    made = made or {}
    with tempfile.TemporaryDirectory(prefix=".project.", dir=folder.parent) as scratch:
        tree = Path(scratch) / "made"
        _fill(tree, study, words)
        note, notebook = tree / "reports" / "note.html", tree / "notebooks" / f"1.0-{study.record.name}.ipynb"
        notebook.parent.mkdir()
        if "note" in made:
            shutil.copyfile(made["note"], note)
        else:
            write_note(study_folder, language, to=note)
        if "notebook" in made:
            shutil.copyfile(made["notebook"], notebook)
        else:
            write_notebook(study_folder, language, to=notebook, execute=execute)
        if folder.exists():
            folder.rename(Path(scratch) / "before")
        tree.rename(folder)
    return folder


def _fill(made: Path, study: StudyResults, words: Words) -> None:
    """Write everything but the notebook and the note."""
    record = study.record
    own = _own_networks(study)
    texts = {
        "README.md": _readme(study, words),
        "requirements.txt": _write_requirements(study, pinned=True),
        "requirements-loose.txt": _write_requirements(study, pinned=False),
        "MANIFEST.in": MANIFEST,
        "setup.py": SETUP.format(name=record.name.replace("_", "-"), python=">=3.11"),
        "data/raw/README.md": words.say("The pictures as they were found go here: nothing changes them.") + "\n",
        "data/interim/.gitkeep": "",
        "data/processed/.gitkeep": "",
        "src/__init__.py": "",
        "src/data/__init__.py": "",
        "src/data/make_dataset.py": MAKE_DATASET.format(language=words.language),
        "src/models/__init__.py": "",
        "src/models/train_model.py": TRAIN.format(sets=settings_elsewhere(study)),
        "src/models/predict_model.py": PREDICT.format(task=record.task),
        "src/visualization/__init__.py": "",
        "src/visualization/visualize.py": _write_visualize(record.name, words),
        "references/.gitkeep": "",
        "reports/figures/.gitkeep": "",
    }
    for name, text in texts.items():
        path = made / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    shutil.copytree(Path(etude.__file__).parent, made / "src" / "etude", ignore=_SKIPPED)
    for name in ("study.yaml", "study.json", "resolved.json", "leaderboard.csv", "verdicts.json", "check.json"):
        if (study.folder / name).is_file():
            shutil.copy2(study.folder / name, made / ("study.yaml" if name == "study.yaml" else f"reports/{name}"))
    _copy_histories(made / "reports" / "runs", study)
    _copy_networks(made, own)
    _name_pictures(made / "study.yaml", study)
    _copy_best(made / "models", study)


def _write_requirements(study: StudyResults, *, pinned: bool) -> str:
    """Return the requirements, those that the study recorded in that version; loose ones ask for it or a later one."""
    recorded = read_versions(study)
    lines = []
    for name in list_requirements(study):
        sign = "==" if pinned and name in recorded else ">="
        lines.append(f"{name}{sign}{recorded.get(name) or _version(name)}\n")
    return "".join(lines)


def _write_visualize(name: str, words: Words) -> str:
    """Return the script that draws the figures; it says which it cannot draw."""
    missing = words.say("{name}: not drawn, as the records hold nothing for it", name="{name}")
    return VISUALIZE.format(name=name, language=words.language, missing=missing)


def _copy_histories(runs: Path, study: StudyResults) -> None:
    """Write records and histories of the finished runs, which the figures are drawn from; weights do not travel."""
    for identity, record in study.runs.items():
        _in_tree(record).save(runs / identity / "run.json")
        history = study.folder / "runs" / identity / "history.jsonl"
        if history.is_file():
            shutil.copyfile(history, runs / identity / "history.jsonl")


def _own_networks(study: StudyResults) -> list[Path]:
    """Return the files of the networks of one's own that the study trained.

    Raises:
        MistakeError: if one is not there any more.
    """
    files = {split_reference(str(model["python"]))[0] for model in list_models(study) if model.get("python")}
    for missing in sorted(path for path in files if not path.is_file()):
        raise MistakeError(
            f"report: the project tree must hold {missing}, a network of the study. It is not there any more: put it "
            "back, or leave out --format project."
        )
    return sorted(files)


def _copy_networks(made: Path, files: list[Path]) -> None:
    """Copy networks of one's own with what they import of their folder, and let the study file name the copies."""
    if not files:
        return
    given = made / "study.yaml"
    text = given.read_text("utf-8") if given.is_file() else ""
    for path in files:
        for source in source_files(path):
            copy = made / _OWN_NETWORKS / source.relative_to(path.parent)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, copy)
        # However the file was named, from whatever folder: what comes before its name is replaced.
        text = re.sub(rf"[^\s\"'{{,\[]*\b{re.escape(path.name)}:", f"{_OWN_NETWORKS}/{path.name}:", text)
    if text:
        given.write_text(text, "utf-8")


def _name_pictures(given: Path, study: StudyResults) -> None:
    """Let the study file ask for its pictures by their name alone, so that they are found in data/raw of the tree."""
    source, name = _read_source(study), _place_of_pictures(study)
    if given.is_file() and name and name != source:
        write_text(given, rename_texts(given.read_text("utf-8"), {source: name}))


def _place_of_pictures(study: StudyResults) -> str:
    """Return what the tree calls the pictures, a path from data/raw; empty where the study draws or fetches them.

    A path that leads out of the tree ends there in its last name. One that is also that of a registered source is told
    from it, so that without the pictures nothing else is taken for them.
    """
    source = _read_source(study)
    if source in SOURCES or not source:
        return ""
    path = Path(source).expanduser()
    if not path.is_absolute() and ".." not in path.parts:
        return source
    name = path.resolve().name
    return f"./{name}" if name in SOURCES else name


def _read_source(study: StudyResults) -> str:
    """Return the source of the study's pictures as its file gives it."""
    return str(study.record.config.get("data", {}).get("source") or "")


def _copy_best(models: Path, study: StudyResults) -> None:
    """Copy the weights and the record of the run that an export takes; its own network is that of the tree."""
    final = final_candidate(study.record)
    runs = study.runs_of(final)
    models.mkdir(parents=True, exist_ok=True)
    if not runs:
        return
    best, _ = best_run(study.record, {final: runs})
    weights = study.folder / "runs" / best.identity / MODEL_FILE
    if weights.is_file():
        with writing(models / "best.safetensors") as beside:
            shutil.copyfile(weights, beside)
    _in_tree(best).save(models / "best.json")


def _in_tree(record: RunRecord) -> RunRecord:
    """Return the record of a run with the path of its own network as it is from the root of the tree."""
    model = record.config.get("model")
    if not isinstance(model, dict) or not model.get("python"):
        return record
    path, name = split_reference(str(model["python"]))
    own = model | {"python": f"{_OWN_NETWORKS}/{path.name}:{name}"}
    return record.model_copy(update={"config": record.config | {"model": own}})


def _readme(study: StudyResults, words: Words) -> str:
    say, record = words.say, study.record
    tree = [
        ("data/raw", say("the pictures as they were found")),
        ("models", say("the best model: weights and record")),
        ("notebooks", say("the whole study in one notebook")),
        ("reports", say("the note, the records, the figures")),
        ("src/models", say("training and answering")),
        ("src/etude", say("the library that all of it calls")),
        ("study.yaml", say("what is asked, and of what")),
    ]
    return "\n".join(
        [
            f"# {record.name}", "", record.question, "",
            say("Install what is needed, train, draw the figures, and ask the best model:"), "",
            "```sh",
            "python -m pip install -r requirements.txt",
            "python src/models/train_model.py",
            "python src/visualization/visualize.py",
            f"python src/models/predict_model.py {'16' if record.task == 'generation' else 'PICTURE.jpg'}",
            "```", "",
            say("What is already trained is not trained again."), _tell_pictures(study, words), "",
            say("requirements.txt asks for the versions that the study recorded; where they cannot be had, requirements-loose.txt takes later ones."), "",  # noqa: E501
            "```",
            *(f"{name:<16}{what}" for name, what in tree),
            "```", "",
        ]
    )  # fmt: skip


def _tell_pictures(study: StudyResults, words: Words) -> str:
    """Say where the pictures have to lie for the study to be trained again."""
    name = _place_of_pictures(study).removeprefix("./").rstrip("/")
    if not name:
        return words.say("The study draws or fetches its pictures itself.")
    return words.say(
        "Its pictures do not travel along: put {name} into data/raw, or let ETUDE_DATA name the folder that holds it.",
        name=f"`{name}`",
    )


def _version(name: str) -> str:
    """Return the release of an installed library, its local part cut off; 0 where it is not installed."""
    try:
        return metadata.version(name).split("+")[0]
    except metadata.PackageNotFoundError:
        return "0"
