"""`etude new` and `etude schema`: what one starts from."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from etude.core.errors import MistakeError
from etude.core.files import write_text
from etude.study.file import StudyConfig
from etude.study.starter import starter_text


def write_starter(name: str, data: str, task: str, force: bool) -> None:
    """Write NAME.yaml, commented."""
    path = Path(name if name.endswith((".yaml", ".yml")) else f"{name}.yaml")
    if path.exists() and not force:
        raise MistakeError(f"{path}: is there already. Give another name, or --force to overwrite it.")
    write_text(path, starter_text(path.stem, data, task))
    if "/" in data and not Path(data).exists():
        sys.stderr.write(f"Note: {data} is not there yet; correct data.source in {path} if it was meant to be.\n")
    sys.stdout.write(f"{path} is written. Look through it, then: etude run {path}\n")


def print_schema() -> None:
    """Print the JSON Schema of study files."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **StudyConfig.model_json_schema()}
    sys.stdout.write(json.dumps(schema, indent=1, ensure_ascii=False) + "\n")
