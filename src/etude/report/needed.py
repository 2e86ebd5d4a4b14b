"""What it takes to run a study elsewhere: the libraries, and the settings that name what is only where it was run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from etude.models import MODELS
from etude.models.families.smp import ARCHITECTURES
from etude.report.reading import StudyResults

_LIBRARIES = (
    "babel", "jinja2", "matplotlib", "numpy", "onnxruntime", "pillow", "pyarrow", "pydantic", "pyyaml", "rich", "safetensors",  # noqa: E501
    "scipy", "torch", "typer",
)  # fmt: skip
"""What every study needs."""


def list_requirements(study: StudyResults) -> list[str]:
    """Return the libraries that the study is run with, by what its candidates are made of and how they were found."""
    configs = [run.config for run in study.runs.values()]
    names = {str(model["name"]) for model in list_models(study) if model.get("name")}
    is_of_generators = study.record.task == "generation"
    of_timm = any(name not in MODELS or name in ("timm", *ARCHITECTURES) for name in names)
    wanted = {
        "timm": of_timm or is_of_generators,  # the features that generated pictures are compared over are its
        "segmentation-models-pytorch": any(name in ARCHITECTURES for name in names),
        "opencv-python-headless": any(config.get("augment", {}).get("use") for config in configs),
        "optuna": bool(study.record.searches or _read_asked(study).get("search")),
    }
    return sorted([*_LIBRARIES, *(name for name, is_wanted in wanted.items() if is_wanted)])


def list_models(study: StudyResults) -> list[dict[str, Any]]:
    """Return what each finished run was built of."""
    found = (run.config.get("model") for run in study.runs.values())
    return [model for model in found if isinstance(model, dict)]


def settings_elsewhere(study: StudyResults) -> list[str]:
    """Return what is to be laid over the study's file (as for `--set`) where it is run in a place of its own.

    A tracker is a server of whom the study belongs to, and the judge another study in the same results folder.
    """
    asked = _read_asked(study)
    protocol = asked.get("protocol")
    generation = protocol.get("generation") if isinstance(protocol, dict) else None
    has_judge = isinstance(generation, dict) and generation.get("judge")
    return [*(["track=null"] if asked.get("track") else []), *(['protocol.generation.judge=""'] if has_judge else [])]


def _read_asked(study: StudyResults) -> dict[str, Any]:
    import yaml

    path: Path = study.folder / "study.yaml"
    content = yaml.safe_load(path.read_text("utf-8")) if path.is_file() else None
    return content if isinstance(content, dict) else {}
