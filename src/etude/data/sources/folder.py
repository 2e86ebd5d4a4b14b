"""Class folders: a folder of pictures for each class, flat or under train/, val/ and test/."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from etude.core.counting import how_many
from etude.core.errors import DataError, sentence
from etude.core.files import OWN_LIST
from etude.core.words import Part
from etude.data.fingerprint import content_fingerprint
from etude.data.items import Items, check_classes, part_named, texts
from etude.pictures.prepare import Box
from etude.pictures.reading import EXTENSIONS, printable, read_file

if TYPE_CHECKING:
    from etude.data.source import Kind

_SYNSET = re.compile(r"n\d{8}-(.+)")
_WRAPPERS = frozenset({"images", "image", "imgs", "data", "dataset", "train", "training"})
_HIDDEN = frozenset({"__macosx", "@eadir", "thumbs.db", "desktop.ini"})
_BESIDE_IMAGES = frozenset({"annotation", "annotations", "lists"})


class FolderSource:
    """Pictures in a folder for each class, at any depth below it.

    The class is the folder's name; of a name such as `n02085620-Chihuahua` it is the part after the dash. Where the
    folder holds `train` beside `val` or `test`, these are the official parts. A lone `Images` folder is entered.
    Pictures without any such folder are one class, of the root's name, which is enough to generate more of them.
    Hidden files and files that are no pictures by their ending are passed over and named in the notes.

    Args:
        root: the folder.
        name: what the source is called.

    Raises:
        DataError: if there is no picture, or a class without pictures.
    """

    kind: Kind = "classification"
    licence = ""

    def __init__(self, root: Path, name: str = "") -> None:
        self.name = name or root.resolve().name
        self._root = _enter(root)
        walk = _Walk(self._root)
        parts = _official_parts(self._root)
        by_class: dict[str, list[tuple[str, Part]]] = {}
        for folder, part in parts.items() if parts else [(self._root, Part.TRAIN)]:
            for class_folder in walk.subfolders(folder):
                found = by_class.setdefault(Path(class_folder).name, [])
                found += [(path, part) for path in walk.pictures(class_folder)]
        if not parts and not any(by_class.values()):  # all pictures lie beside each other: one class, for a generator
            walk = _Walk(self._root)
            by_class = {self._root.resolve().name: [(path, Part.TRAIN) for path in walk.pictures(str(self._root))]}
        names = _class_names(list(by_class))
        order = sorted(by_class, key=lambda folder: (names[folder], folder))
        rows = [(path, label, part) for label, folder in enumerate(order) for path, part in sorted(by_class[folder])]
        self.classes = tuple(printable(names[folder]) for folder in order)
        self._odd_paths = {row: path for row, (path, _, _) in enumerate(rows) if printable(path) != path}
        labels = np.array([label for _, label, _ in rows], np.int32)
        check_classes(self.classes, labels, printable(str(root)))
        self.items = Items(
            texts(printable(path).replace(os.sep, "/") for path, _, _ in rows),
            labels,
            np.array([part for _, _, part in rows], np.int8) if parts else None,
        )
        self.notes = walk.notes()

    def raw(self, index: int) -> bytes:
        """Return the bytes of one file."""
        item = str(self.items.ids[index])
        return read_file(self._root / self._odd_paths.get(index, item), item)

    def mask(self, index: int) -> None:
        """Return None: there are no masks."""

    def box(self, index: int) -> Box | None:
        """Return None: there are no boxes."""
        return None

    def fingerprint(self) -> str:
        """Return the fingerprint of the files and their classes."""
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        return content_fingerprint(self.classes, self.items, self.raw)


@dataclass
class _Walk:
    """A walk below a root that survives what folders hold: loops of links, what may not be entered, odd names."""

    root: Path
    passed_over: dict[str, list[str]] = field(default_factory=dict)

    def subfolders(self, folder: str | Path) -> list[str]:
        """Return the visible folders in a folder, and note the files beside them."""
        return self._list(folder, lambda path: self._pass("outside any class folder", path))

    def pictures(self, folder: str) -> list[str]:
        """Return the paths, relative to the root, of all pictures below a folder."""
        found: list[str] = []

        def take(path: str) -> None:
            if Path(path).suffix.lower() in EXTENSIONS:
                found.append(os.path.relpath(path, self.root))
            else:
                self._pass("no picture by its ending", path)

        waiting: list[tuple[str, frozenset[tuple[int, int]]]] = [(folder, frozenset())]
        while waiting:
            folder, above = waiting.pop()
            here = self._identity(folder)
            if here in above:
                self._pass("a loop of links", folder)
                continue
            waiting += [(inner, above | {here}) for inner in self._list(folder, take)]
        return found

    def notes(self) -> tuple[str, ...]:
        """Say how many files of each sort were passed over, and name the first."""
        return tuple(
            f"{how_many(len(paths), 'file was', 'files were')} passed over ({reason}): "
            f"{', '.join(sorted(paths)[:5])}{', …' if len(paths) > 5 else ''}"
            for reason, paths in sorted(self.passed_over.items())
        )

    @staticmethod
    def _identity(folder: str) -> tuple[int, int]:
        """Return what stays the same however many links lead to a folder."""
        try:
            status = Path(folder).stat()
        except OSError:  # listing it will say why
            return (0, 0)
        return (status.st_dev, status.st_ino)

    def _list(self, folder: str | Path, take_file: Callable[[str], None]) -> list[str]:
        """Return the folders in a folder, sorted, and hand each visible file to `take_file`."""
        folders = []
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if _is_hidden(entry.name):
                        if entry.name != OWN_LIST:
                            self._pass("hidden", entry.path)
                    elif _is_folder(entry):
                        folders.append(entry.path)
                    else:
                        take_file(entry.path)
        except OSError as error:
            self._pass(f"a folder that cannot be read, {os.strerror(error.errno or 0)}", str(folder))
        return sorted(folders)

    def _pass(self, reason: str, path: str) -> None:
        """Note a file that is passed over."""
        self.passed_over.setdefault(reason, []).append(printable(os.path.relpath(path, self.root)))


def _is_hidden(name: str) -> bool:
    """Whether a name is hidden, or left by a desktop rather than by a person."""
    return name.startswith(".") or name.casefold() in _HIDDEN


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a folder; a link that leads nowhere is a file, which will be named as unreadable."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def _visible_folders(folder: Path) -> list[Path]:
    """Return the visible folders in a folder.

    Raises:
        DataError: if it cannot be read.
    """
    try:
        return sorted(entry for entry in folder.iterdir() if not _is_hidden(entry.name) and entry.is_dir())
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        remedy = "Check the path and its permissions."
        raise DataError(
            sentence("data", printable(str(folder)), "a folder that can be read", reason, remedy)
        ) from error


def _enter(root: Path) -> Path:
    """Enter folders that only wrap the class folders, such as `Images` of Stanford Dogs."""
    while True:
        folders = _visible_folders(root)
        wrappers = [folder for folder in folders if folder.name.casefold() in _WRAPPERS]
        rest = {folder.name.casefold() for folder in folders} - {folder.name.casefold() for folder in wrappers}
        if len(wrappers) != 1 or not rest <= _BESIDE_IMAGES or not _visible_folders(wrappers[0]):
            return root
        root = wrappers[0]


def _official_parts(root: Path) -> dict[Path, Part]:
    """Return the folders that are official parts; none unless a training part lies beside another."""
    parts = {folder: part for folder in _visible_folders(root) if (part := part_named(folder.name)) is not None}
    return parts if Part.TRAIN in parts.values() and len(set(parts.values())) > 1 else {}


def _class_names(folders: list[str]) -> dict[str, str]:
    """Return the class that each folder's name stands for."""
    shortened = {folder: match[1] if (match := _SYNSET.fullmatch(folder)) else folder for folder in folders}
    return shortened if len(set(shortened.values())) == len(folders) else {folder: folder for folder in folders}
