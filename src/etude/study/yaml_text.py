"""Reading YAML so that every value knows its line."""

from __future__ import annotations

import re
from typing import Any

import yaml

from etude.core.errors import MistakeError, StudyFileError

Path = tuple[str | int, ...]


class _Loader(yaml.SafeLoader):
    """YAML 1.2's plain scalars: `no`, `on` and `off` are words, and 1e-3 is a number."""


_OWN_TAGS = {f"tag:yaml.org,2002:{kind}" for kind in ("bool", "float", "timestamp")}
_Loader.yaml_implicit_resolvers = {
    key: [(tag, pattern) for tag, pattern in resolvers if tag not in _OWN_TAGS]
    for key, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(?:[0-9][0-9_]*\.[0-9_]*(?:[eE][-+]?[0-9]+)?|\.[0-9]+(?:[eE][-+]?[0-9]+)?"
               r"|[0-9]+[eE][-+]?[0-9]+|\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"),
    list("-+0123456789."),
)  # fmt: skip


def read_yaml(text: str, name: str) -> tuple[Any, dict[Path, int], list[tuple[int, str]]]:
    """Read a YAML text.

    Returns:
        The value, the line (from 1) of each path in it, and the keys given twice as (line, sentence).

    Raises:
        StudyFileError: if the text is not YAML; it says the line.
    """
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        problem = f"line {line}: is not YAML ({error.problem or error.context})"
        raise StudyFileError(f"{name}, {problem}. Check the indentation and the colons there.", (problem,)) from error
    except yaml.YAMLError as error:
        raise StudyFileError(f"{name}: is not YAML ({error}).", (str(error),)) from error
    lines: dict[Path, int] = {}
    twice: list[tuple[int, str]] = []
    value = _build(loader, node, (), lines, twice) if node is not None else {}
    return value, lines, twice


def _build(loader: _Loader, node: yaml.Node, path: Path, lines: dict[Path, int], twice: list[tuple[int, str]]) -> Any:  # noqa: ANN401 - any YAML value
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        return _build_mapping(loader, node, path, lines, twice)
    if isinstance(node, yaml.SequenceNode):
        return [_build(loader, child, (*path, index), lines, twice) for index, child in enumerate(node.value)]
    return loader.construct_object(node)


def _build_mapping(
    loader: _Loader, node: yaml.MappingNode, path: Path, lines: dict[Path, int], twice: list[tuple[int, str]]
) -> dict[Any, Any]:
    built: dict[Any, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        key = key if isinstance(key, str) else str(key)
        line = key_node.start_mark.line + 1
        if key in built:
            twice.append((line, f"{_dotted((*path, key))} is given twice (first in line {lines[(*path, key)]})"))
            continue
        lines[(*path, key)] = line
        built[key] = _build(loader, value_node, (*path, key), lines, twice)
    return built


def _dotted(path: Path) -> str:
    return ".".join(str(word) for word in path)


def parse_value(text: str) -> Any:  # noqa: ANN401 - any YAML value
    """Read the value of `--set key=value` as YAML would.

    >>> parse_value("[flip, shift]"), parse_value("1e-3"), parse_value("no")
    (['flip', 'shift'], 0.001, 'no')
    """
    return yaml.load(text, Loader=_Loader)


def set_field(tree: dict[str, Any], dotted: str, value: Any) -> None:  # noqa: ANN401 - any YAML value
    """Set `tree[a][b][c]` for the key 'a.b.c'; what stands there in short is written out: `{name: …}`, `{use: […]}`.

    Raises:
        MistakeError: if the key leads into a list: which of its entries is meant cannot be said.
    """
    *parents, last = dotted.split(".")
    node = tree
    for depth, word in enumerate(parents):
        child = node.get(word)
        if word == "augment" and isinstance(child, str | list):
            child = {"use": child if isinstance(child, list) else [name for name in [child] if name != "none"]}
        elif isinstance(child, str):
            child = {"name": child}
        elif isinstance(child, list):
            where = ".".join(parents[: depth + 1])
            raise MistakeError(f"{where} is a list. Give it whole, as {where}=[…].")
        node[word] = dict(child) if isinstance(child, dict) else {}
        node = node[word]
    node[last] = value
