"""A study kept so that it can be run again: its file with what was laid over it, and the networks of the user's own."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from etude.core.errors import ModelError
from etude.core.files import write_bytes, write_text
from etude.models import own
from etude.study.folder import StudyFolder
from etude.study.yaml_text import parse_value, read_yaml, set_field

_REFERENCE = re.compile(r"\S.*\.py:[A-Za-z_]\w*")


def lay_over(text: str, sets: Iterable[str]) -> str:
    """Return the text of a study file with overrides `key=value` in it; as it stands where there are none.

    >>> print(lay_over("train: {epochs: 9}", ["train.epochs=1"]))
    # The study file, with what was laid over it: train.epochs=1
    train:
      epochs: 1
    <BLANKLINE>
    """
    given = list(sets)
    if not given:
        return text
    tree = read_yaml(text, "study")[0]
    for entry in given:
        key, _, value = entry.partition("=")
        set_field(tree, key.strip(), parse_value(value))
    told = ", ".join(given).replace("\n", " ")
    return f"# The study file, with what was laid over it: {told}\n{_write(tree)}"


def keep_study(text: str, base: Path, folder: StudyFolder) -> None:
    """Write `study.yaml`, and under `networks/` the user's own ones, with the files of their folder that they import.

    A reference to one of them then names its copy: the file can be run from where it is kept, and what it names stays
    what was run.

    Args:
        text: the study file, overrides laid over it.
        base: the folder that relative paths in it start from.
        folder: where it is kept.
    """
    tree = read_yaml(text, "study")[0]
    files = dict(_find_files(_texts(tree), base))
    parents = list(dict.fromkeys(path.parent for path, _ in files.values()))
    copies: dict[str, str] = {}
    written: set[Path] = set()
    for reference, (path, name) in files.items():
        place = Path(folder.networks.name)
        place = place / str(parents.index(path.parent)) if len(parents) > 1 else place
        for file in own.source_files(path):
            copy = folder.root / place / file.relative_to(path.parent)
            write_bytes(copy, file.read_bytes())
            written.add(copy)
        copies[reference] = f"{(place / path.name).as_posix()}:{name}"
    for stale in set(folder.networks.rglob("*.py")) - written:
        stale.unlink()
    write_text(folder.given, rename_texts(text, copies))


def _find_files(texts: Iterable[str], base: Path) -> Iterator[tuple[str, tuple[Path, str]]]:
    """Give each reference to a network of the user's own with its file and the name in it."""
    for text in texts:
        if _REFERENCE.fullmatch(text):
            with contextlib.suppress(ModelError, OSError):  # a sentence that only looks like one
                yield text, own.split(own.absolute(text, base))


def _texts(node: Any) -> Iterator[str]:  # noqa: ANN401 - any YAML value
    """Give every text of a tree."""
    if isinstance(node, str):
        yield node
    elif isinstance(node, Mapping):
        for value in node.values():
            yield from _texts(value)
    elif isinstance(node, list):
        for value in node:
            yield from _texts(value)


def rename_texts(text: str, names: Mapping[str, str]) -> str:
    """Return a study file with other texts in the place of some, its comments kept where that can be done."""
    if not names:
        return text
    renamed = _replace(read_yaml(text, "study")[0], names)
    pattern = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    changed = re.sub(rf"(?<![\w./~-])(?:{pattern})(?!\w)", lambda found: names[found[0]], text)
    return changed if read_yaml(changed, "study")[0] == renamed else _write(renamed)


def _replace(node: Any, names: Mapping[str, str]) -> Any:  # noqa: ANN401 - any YAML value
    if isinstance(node, str):
        return names.get(node, node)
    if isinstance(node, Mapping):
        return {key: _replace(value, names) for key, value in node.items()}
    return [_replace(value, names) for value in node] if isinstance(node, list) else node


def _write(tree: Any) -> str:  # noqa: ANN401 - any YAML value
    return yaml.safe_dump(tree, sort_keys=False, allow_unicode=True)
