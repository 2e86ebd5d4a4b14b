"""A source: named pictures with labels or masks, wherever they come from; and how one is found and opened."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

from etude.core.errors import DataError, mistakes_at, sentence
from etude.core.registry import Registry, nearest
from etude.data.fingerprint import Raw
from etude.data.items import Items
from etude.data.sources.binary import BinarySource
from etude.data.sources.camvid import is_camvid, is_camvid_original, open_camvid, open_camvid_original
from etude.data.sources.chosen import ChosenSource
from etude.data.sources.cifar import CifarSource, fetch_cifar, is_cifar_folder
from etude.data.sources.cityscapes import Labels, is_cityscapes, open_cityscapes
from etude.data.sources.dogs import DogsSource, is_dogs
from etude.data.sources.folder import FolderSource
from etude.data.sources.mask_folders import is_mask_folder, open_mask_folder
from etude.data.sources.parquet import ParquetSource, is_parquet
from etude.data.sources.shapes import shapes
from etude.data.sources.streets import streets
from etude.data.sources.table import TableSource, is_table
from etude.data.sources.tiny_imagenet import TinyImageNetSource, is_tiny_imagenet
from etude.pictures.prepare import Box

Kind = Literal["classification", "segmentation"]


class Source(Protocol):
    """Pictures with what is known of them. Nothing is decoded before it is asked for.

    `raw`, `mask` and `box` may be called from several threads at once.
    """

    @property
    def name(self) -> str:
        """What the source is called in records and reports."""

    @property
    def kind(self) -> Kind:
        """Whether pictures have classes or masks."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes; labels, or the ids of masks, are positions in it."""

    @property
    def items(self) -> Items:
        """What is known of each picture before it is opened."""

    @property
    def licence(self) -> str:
        """Under what terms the pictures may be used; empty where the source does not say."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know: files that were passed over, parts that are missing."""

    def raw(self, index: int) -> Raw:
        """Return one picture: encoded bytes, or a uint8 array (H, W, 3).

        Raises:
            DataError: if its file cannot be read.
        """

    def mask(self, index: int) -> Raw | None:
        """Return the mask of one picture: encoded bytes, or a uint8 array (H, W) of ids; None without masks."""

    def box(self, index: int) -> Box | None:
        """Return the annotated box of one picture; None without one."""

    def fingerprint(self) -> str:
        """Return 32 hex digits of the content: the same pictures and labels, the same value, wherever they lie."""


class Layout(NamedTuple):
    """A way in which pictures lie on the disk."""

    name: str
    recognises: Callable[[Path], bool]
    """Whether a path is laid out this way."""
    open: Callable[[Path, str], Source]
    """Open a path under a name."""


SOURCES: Registry[Callable[[], Source]] = Registry("source")
"""The sources that need no path: each a function without arguments that opens one."""
SOURCES.register("shapes")(shapes)
SOURCES.register("streets")(streets)
SOURCES.register("cifar10")(lambda: fetch_cifar("cifar10"))
SOURCES.register("cifar100")(lambda: fetch_cifar("cifar100"))

LAYOUTS: list[Layout] = [
    Layout("parquet", is_parquet, ParquetSource),
    Layout("table", is_table, TableSource),
    Layout("cifar", is_cifar_folder, CifarSource),
    Layout("dogs", is_dogs, DogsSource),
    Layout("tiny-imagenet", is_tiny_imagenet, TinyImageNetSource),
    Layout("cityscapes", is_cityscapes, open_cityscapes),
    Layout("camvid", is_camvid, open_camvid),
    Layout("camvid-original", is_camvid_original, open_camvid_original),
    Layout("masks", is_mask_folder, open_mask_folder),
    Layout("folders", Path.is_dir, FolderSource),
]
"""The layouts, in the order in which they are tried; the first that recognises a path opens it."""


def open_source(
    spec: str,
    *,
    task: str = "classification",
    positive: str | None = None,
    base: Path | None = None,
    labels: Labels = "classes",
    classes: Sequence[str] | None = None,
) -> Source:
    """Find and open a source.

    Args:
        spec: a registered name, or the path of a folder, a Parquet or a CSV file. A path is looked for in
            `$ETUDE_DATA`, then in `base`, then in the current folder, and goes before a registered name.
        task: what it is for; a segmentation needs masks, a classification classes.
        positive: the one class to tell from all others.
        base: the folder of the study file.
        labels: for Cityscapes, the 19 `classes` or the 8 `categories`.
        classes: the classes to use; none for all.

    Raises:
        DataError: if there is no such source, or it cannot serve the task.
    """
    path = locate(spec, base) if spec.strip() else None
    if path is not None:
        source = _open_path(path, labels)
    elif labels != "classes" and spec in SOURCES:
        raise _no_categories(spec)
    elif spec in SOURCES:
        source = SOURCES[spec]()
    else:
        raise DataError(_not_found(spec, base))
    kind = "segmentation" if task == "segmentation" else "classification"  # a generation learns from classes too
    if task in ("classification", "segmentation", "generation") and source.kind != kind:
        wanted = "classes" if kind == "classification" else "masks"
        rule = f"a source with {wanted}, as the task is {task}"
        raise DataError(sentence("data", "source", rule, spec, f"Give another source, or set task: {source.kind}."))
    if task == "classification" and positive is None and classes is None and len(source.classes) < 2:
        remedy = "Add the pictures of a second class; a classifier tells classes apart. A generation may have one."
        raise DataError(sentence("data", spec, "a source of two classes or more", list(source.classes), remedy))
    if classes is not None:
        with mistakes_at("data", "classes"):
            source = _choose(source, classes, task, positive)
    if positive is None:
        return source
    if source.kind != "classification":
        raise DataError(sentence("data", "positive", "left out, as the source has masks", positive)).at(
            "data", "positive"
        )
    with mistakes_at("data", "positive"):
        return BinarySource(source, positive)


def _choose(source: Source, classes: Sequence[str], task: str, positive: str | None) -> Source:
    """Leave some classes of a source.

    Raises:
        DataError: if it has masks, a class is unknown, or one class is left where two are needed.
    """
    if source.kind != "classification":
        raise DataError(sentence("data", "classes", "left out, as the source has masks", list(classes)))
    if positive is not None:
        raise DataError(sentence("data", "classes", "left out where data.positive is given", list(classes)))
    chosen = ChosenSource(source, classes)
    if task == "classification" and len(chosen.classes) < 2:
        remedy = "Give data.positive to tell one class from the rest."
        raise DataError(sentence("data", "classes", "two or more", list(classes), remedy))
    return chosen


def locate(spec: str, base: Path | None = None) -> Path | None:
    """Return the first existing path that a spec names; None if there is none."""
    for place in _places(base):
        path = place / Path(spec).expanduser()
        try:
            if path.exists():
                return path
        except OSError:  # a name too long for the disk, or a folder that may not be entered
            continue
    return None


def data_folder_entries() -> list[tuple[Path, str]]:
    """Return what lies in `$ETUDE_DATA`, with the name of the layout that opens it."""
    given = os.environ.get("ETUDE_DATA")
    folder = Path(given).expanduser() if given else None
    if folder is None or not folder.is_dir():
        return []
    found = []
    for path in sorted(folder.iterdir()):
        layout = None if path.name.startswith(".") else next((one for one in LAYOUTS if one.recognises(path)), None)
        if layout is not None:
            found.append((path, layout.name))
    return found


def _places(base: Path | None) -> list[Path]:
    """Return the folders in which sources are looked for."""
    given = os.environ.get("ETUDE_DATA")
    places = [Path(given).expanduser()] if given else []
    return [*places, *([base] if base is not None else []), Path.cwd()]


def _open_path(path: Path, labels: Labels) -> Source:
    """Open a path with the first layout that recognises it."""
    name = path.resolve().name if path.is_dir() else path.stem
    for layout in LAYOUTS:
        if layout.recognises(path):
            if layout.name == "cityscapes":
                return open_cityscapes(path, name, labels=labels)
            if labels != "classes":
                raise _no_categories(str(path))
            return layout.open(path, name)
    remedy = "Give the folder that holds the pictures, a .parquet file, or a .csv file of path,label."
    raise DataError(sentence("data", "source", "a folder, a Parquet or a CSV file", str(path), remedy))


def _no_categories(spec: str) -> DataError:
    remedy = "Leave it out: scores of street scenes are told by category too."
    return DataError(
        sentence(
            "data", "labels", f"classes, as only Cityscapes has categories and this is {spec}", "categories", remedy
        )
    ).at("data", "labels")


def _not_found(spec: str, base: Path | None) -> str:
    """Say where a source was looked for, and which are near."""
    places = _places(base)
    known = list(SOURCES.names())
    for place in places:
        if place.is_dir():
            known += sorted(entry.name for entry in place.iterdir() if not entry.name.startswith("."))
    close = nearest(spec, list(dict.fromkeys(known)))
    hint = f"Did you mean {' or '.join(close)}?" if close else f"Registered names: {', '.join(SOURCES.names())}."
    looked = ", ".join(dict.fromkeys(str(place) for place in places))
    return sentence("data", "source", f"a registered name or a path that exists (looked in {looked})", spec, hint)
