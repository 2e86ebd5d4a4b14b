"""The project tree: the study as a folder in the layout that data scientists know, which runs alone.

Étude's own source lies in it, so that it needs the libraries of `requirements.txt` and nothing else.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

import etude
from etude.core.files import writing
from etude.report.note import write_note
from etude.report.notebook import write_notebook
from etude.report.reading import StudyResults, read_study
from etude.report.words import Words

_LIBRARIES = (
    "babel", "jinja2", "matplotlib", "numpy", "onnxruntime", "pillow", "pyarrow", "pydantic", "pyyaml", "rich", "safetensors",  # noqa: E501
    "scipy", "timm", "torch", "typer",
)  # fmt: skip
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
    words, study = Words(language), read_study(study_folder, language)
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
    texts = {
        "README.md": _readme(study, words),
        "requirements.txt": "".join(f"{name}>={_version(name)}\n" for name in _LIBRARIES),
        "setup.py": _SETUP.format(name=record.name.replace("_", "-"), python=">=3.11"),
        "data/raw/README.md": words.say("The pictures as they were found go here: nothing changes them.") + "\n",
        "data/interim/.gitkeep": "",
        "data/processed/.gitkeep": "",
        "src/__init__.py": "",
        "src/data/__init__.py": "",
        "src/data/make_dataset.py": _MAKE_DATASET,
        "src/models/__init__.py": "",
        "src/models/train_model.py": _TRAIN.format(name=record.name),
        "src/models/predict_model.py": _PREDICT,
        "src/visualization/__init__.py": "",
        "src/visualization/visualize.py": _VISUALIZE.format(name=record.name, language=words.language),
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
    _copy_best(made / "models", study)


def _copy_best(models: Path, study: StudyResults) -> None:
    """Copy the weights and the record of the best candidate's first run."""
    best = next((row.candidate for row in study.record.leaderboard if row.score is not None), None)
    runs = study.runs_of(best) if best else []
    models.mkdir(parents=True, exist_ok=True)
    for source, name in (("model.safetensors", "best.safetensors"), ("run.json", "best.json")):
        path = study.folder / "runs" / runs[0].identity / source if runs else None
        if path is not None and path.is_file():
            with writing(models / name) as beside:
                shutil.copyfile(path, beside)


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
            "python src/models/predict_model.py PICTURE.jpg",
            "```", "",
            say("What is already trained is not trained again; pictures that the study does not draw itself go into data/raw."), "",  # noqa: E501
            "```",
            *(f"{name:<16}{what}" for name, what in tree),
            "```", "",
        ]
    )  # fmt: skip


def _version(name: str) -> str:
    """Return the release of an installed library, its local part cut off; 0 where it is not installed."""
    try:
        return metadata.version(name).split("+")[0]
    except metadata.PackageNotFoundError:
        return "0"


_SETUP = '''\
"""Install the source of the study as a package."""

from pathlib import Path

from setuptools import find_packages, setup

setup(
    name="{name}",
    version="0.1.0",
    packages=find_packages("src"),
    package_dir={{"": "src"}},
    include_package_data=True,
    python_requires="{python}",
    install_requires=Path(__file__).with_name("requirements.txt").read_text().split(),
)
'''
_HEAD = """\
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "src"))
os.environ.setdefault("ETUDE_DATA", str(ROOT / "data" / "raw"))
"""
_MAKE_DATASET = f'''\
"""Check the pictures of the study and its split, and say what was found."""

{_HEAD}
from etude.core.watch import Silent  # noqa: E402
from etude.study.folder import StudyFolder  # noqa: E402
from etude.study.study import Study  # noqa: E402
from etude.study.workspace import Workspace  # noqa: E402

if __name__ == "__main__":
    study = Study.from_file(ROOT / "study.yaml")
    folder = StudyFolder(ROOT / "data" / "processed", study.config.study)
    folder.root.mkdir(parents=True, exist_ok=True)
    workspace = Workspace(study.config, ROOT, folder, "cpu", Silent())
    for finding in workspace.check.findings:
        print(finding.sentence)
    print({{part: sum(counts.values()) for part, counts in workspace.counts().items()}})
'''
_TRAIN = f'''\
"""Train every candidate of the study, or what is left of it, and print the leaderboard."""

{_HEAD.replace("{", "{{").replace("}", "}}")}
from etude.study.study import Study  # noqa: E402

if __name__ == "__main__":
    result = Study.from_file(ROOT / "study.yaml", sys.argv[1:]).run(ROOT / "models" / "runs")
    for row in result.leaderboard():
        print(row.candidate, row.score)
'''
_PREDICT = f'''\
"""Ask the best model about pictures: python src/models/predict_model.py PICTURE …"""

{_HEAD}
import torch  # noqa: E402
from safetensors.torch import load_file  # noqa: E402

from etude.core.run_record import RunRecord  # noqa: E402
from etude.models import build_model  # noqa: E402
from etude.pictures.prepare import normalisation, prepare_picture  # noqa: E402
from etude.pictures.prepare_config import Prepare  # noqa: E402

if __name__ == "__main__":
    record = RunRecord.load(ROOT / "models" / "best.json")
    prepare = Prepare.model_validate(record.config["prepare"])
    size_px = (prepare.height_px, prepare.width_px)
    spec = {{key: value for key, value in record.config["model"].items() if key != "weights"}}
    model = build_model(spec, n_outputs=len(record.classes), size_px=size_px, seed=record.seed)
    model.load_state_dict(load_file(ROOT / "models" / "best.safetensors"))
    model.eval()
    mean, std = (torch.tensor(values) for values in normalisation(prepare))
    for name in sys.argv[1:]:
        picture = torch.from_numpy(prepare_picture(Path(name), prepare, name=name))
        with torch.no_grad():
            logits = model(((picture.float() / 255 - mean) / std).permute(2, 0, 1)[None])[0]
        probabilities = (logits / (record.temperature or 1.0)).softmax(0)
        best = int(probabilities.argmax())
        print(name, record.classes[best], f"{{probabilities[best]:.3f}}")
'''
_VISUALIZE = f'''\
"""Draw the figures of the study from its records into reports/figures, as PNG."""

{_HEAD.replace("{", "{{").replace("}", "}}")}
from etude.report.note import gather  # noqa: E402
from etude.report.reading import read_study  # noqa: E402
from etude.report.words import Words  # noqa: E402

NAMES = ("leaderboard_drawing", "verdicts_drawing", "curves_drawing", "gaps_drawing", "pareto_drawing")

if __name__ == "__main__":
    trained = ROOT / "models" / "runs" / "{{name}}"
    folder = trained if (trained / "study.json").is_file() else ROOT / "reports"
    told = gather(read_study(folder, "{{language}}"), Words("{{language}}"), name=str)
    for name in NAMES:
        if told[name] is not None:
            path = ROOT / "reports" / "figures" / (name.removesuffix("_drawing") + ".png")
            path.write_bytes(told[name].png(dpi=150))
            print(path)
'''
