"""A network of the user's own: finding its file, and its source as content. Nothing is run here."""

from __future__ import annotations

import ast
import hashlib
from pathlib import Path
from typing import Any

from etude.core.errors import ModelError, sentence
from etude.core.registry import unknown

OUTPUT_NAMES = ("n_outputs", "num_classes", "n_classes")
"""Names under which a constructor may take the number of logits."""
SIZE_NAMES = ("size_px",)
"""Names under which a constructor may take the (height, width) of the pictures."""


def absolute(reference: str, base: Path) -> str:
    """Return `file.py:Name` with the file's absolute path.

    Raises:
        ModelError: if the reference has another form or the file does not exist.
    """
    file, colon, name = reference.rpartition(":")
    if not colon or not file.endswith(".py") or not name.isidentifier():
        raise ModelError(sentence("model", "python", "FILE.py:CLASS, such as nets.py:Net", reference))
    path = (base / Path(file).expanduser()).resolve()
    if not path.is_file():
        raise ModelError(sentence("model", "python", "an existing file", str(path), "Paths start at the study file."))
    return f"{path}:{name}"


def split(reference: str) -> tuple[Path, str]:
    """Return the file and the name of a reference.

    >>> path, name = split("/home/ada/nets.py:Net")
    >>> path.name, name
    ('nets.py', 'Net')
    """
    file, _, name = reference.rpartition(":")
    return Path(file), name


def check(reference: str, given: dict[str, Any]) -> None:
    """Check, without running the file, that it defines the name and that its constructor takes the parameters.

    Raises:
        ModelError: if it does not; all mistakes together, with the nearest names.
    """
    path, name = split(reference)
    tree = _parse(path)
    names = _defined(tree)
    if name not in names:
        raise ModelError(unknown(f"model: {path.name}: class or function", name, names or ["none"]))
    accepted = _accepted(tree, name)
    if accepted is None:
        return
    offered = set(OUTPUT_NAMES) | set(SIZE_NAMES)
    problems = [
        unknown(f"model: {path.name}:{name}: parameter", key, sorted(accepted - offered) or ["none"])
        for key in given
        if key not in accepted
    ]
    problems += [
        sentence(f"model: {path.name}:{name}", key, "left out: the data decides it", given[key])
        for key in given
        if key in offered and key in accepted
    ]
    if problems:
        raise ModelError("\n".join(problems))


def source_sha256(reference: str) -> str:
    """Return the SHA-256 of the source: the file, and every file of its folder that it imports, in order of name."""
    path, _ = split(reference)
    digest = hashlib.sha256()
    for file in source_files(path):
        digest.update(f"{file.relative_to(path.parent).as_posix()}\0".encode() if file != path else b"\0")
        digest.update(file.read_bytes().replace(b"\r\n", b"\n"))
    return digest.hexdigest()


def source_files(path: Path) -> tuple[Path, ...]:
    """Return a Python file and the files of its own folder that it imports, directly or not: first itself."""
    found, waiting = {path}, [path]
    while waiting:
        file = waiting.pop()
        for module in _imported(_parse(file)):
            candidate = path.parent.joinpath(*module.split("."))
            for neighbour in (candidate.with_suffix(".py"), candidate / "__init__.py"):
                if neighbour.is_file() and neighbour not in found:
                    found.add(neighbour)
                    waiting.append(neighbour)
    return (path, *sorted(found - {path}))


def _parse(path: Path) -> ast.Module:
    try:
        return ast.parse(path.read_bytes(), filename=str(path))
    except SyntaxError as error:
        raise ModelError(f"model: {path}: line {error.lineno} is not valid Python ({error.msg}).") from error


def _defined(tree: ast.Module) -> list[str]:
    """Return the names that a file defines or imports at its top level."""
    names = []
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            names.append(node.name)
        elif isinstance(node, ast.ImportFrom):
            names += [alias.asname or alias.name for alias in node.names]
        elif isinstance(node, ast.Assign):
            names += [target.id for target in node.targets if isinstance(target, ast.Name)]
    return names


def _accepted(tree: ast.Module, name: str) -> set[str] | None:
    """Return the keyword names that a class or function takes; none where its source does not say."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return _argument_names(node, skip=0)
        if isinstance(node, ast.ClassDef) and node.name == name:
            for member in node.body:
                if isinstance(member, ast.FunctionDef) and member.name == "__init__":
                    return _argument_names(member, skip=1)
    return None


def _argument_names(function: ast.FunctionDef, skip: int) -> set[str] | None:
    if function.args.kwarg is not None:
        return None
    return {argument.arg for argument in [*function.args.args[skip:], *function.args.kwonlyargs]}


def _imported(tree: ast.Module) -> set[str]:
    """Return the dotted names that a file imports, anywhere in it."""
    modules: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            modules |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return modules | {module.rpartition(".")[0] for module in modules if "." in module}
