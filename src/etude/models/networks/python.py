"""Running a user's file and building the network in it."""

from __future__ import annotations

import inspect
import sys
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import nn

from etude.core.errors import ModelError, sentence
from etude.models.own import OUTPUT_NAMES, source_files, split


def build_own(reference: str, given: dict[str, Any], n_outputs: int, size_px: tuple[int, int]) -> nn.Module:
    """Build the network of a user's file.

    Args:
        reference: `/absolute/path/nets.py:Net`.
        given: keyword arguments of the constructor.
        n_outputs: number of logits; offered as `n_outputs`, `num_classes` or `n_classes`.
        size_px: height and width of the pictures; offered as `size_px`.

    Raises:
        ModelError: if the file fails, has no such name, or its constructor fails or gives no module.
    """
    path, name = split(reference)
    label = f"model {path.name}:{name}"
    with _neighbours_importable(path):
        try:
            constructor = getattr(_run(path), name, None)
        except Exception as error:
            raise ModelError(f"model: {path}: fails when it is run ({_told(error, path)}).") from error
        if not callable(constructor):
            raise ModelError(sentence(label, name, "a class or a function", constructor))
        try:
            model = constructor(**_offered(constructor, n_outputs, size_px), **given)
        except Exception as error:
            raise ModelError(f"{label}: fails when it is built ({_told(error, path)}).") from error
    if not isinstance(model, nn.Module):
        raise ModelError(sentence(label, "what it gives", "a torch.nn.Module", type(model).__name__))
    return model


def _run(path: Path) -> types.ModuleType:
    """Run a file as a module of its own name space; its text is compiled anew, so that no stale bytecode is used."""
    module = types.ModuleType(f"etude_own_{path.stem}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # dataclasses and pickling look a class's module up by name
    exec(compile(path.read_bytes(), str(path), "exec"), module.__dict__)
    return module


def _offered(constructor: Callable[..., Any], n_outputs: int, size_px: tuple[int, int]) -> dict[str, Any]:
    """Return what we know and the constructor asks for by name."""
    names = inspect.signature(constructor).parameters
    offered: dict[str, Any] = {name: n_outputs for name in OUTPUT_NAMES[:1] if name in names}
    if not offered:
        offered = {name: n_outputs for name in OUTPUT_NAMES if name in names}
    return offered | ({"size_px": size_px} if "size_px" in names else {})


def _told(error: Exception, path: Path) -> str:
    """Return the kind and text of an error, and the line of the user's file that it came from."""
    lines = []
    trace = error.__traceback__
    while trace is not None:
        if Path(trace.tb_frame.f_code.co_filename).name == path.name:
            lines.append(trace.tb_lineno)
        trace = trace.tb_next
    where = f"line {lines[-1]}: " if lines else ""
    return f"{where}{type(error).__name__}: {error}"


@contextmanager
def _neighbours_importable(path: Path) -> Iterator[None]:
    """Let the file import its neighbours, and forget them afterwards: another folder may use the same names."""
    folder = str(path.parent)
    names = {".".join(file.relative_to(path.parent).with_suffix("").parts) for file in source_files(path)[1:]}
    names |= {name.removesuffix(".__init__") for name in names}
    hidden = {name: sys.modules.pop(name) for name in names if name in sys.modules}
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)
        for name in names:
            sys.modules.pop(name, None)
        sys.modules.update(hidden)
