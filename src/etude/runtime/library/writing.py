"""What leaves a library: a table as CSV or Parquet, copies, links, and folders to train on. Originals are only read."""

from __future__ import annotations

import contextlib
import csv
import errno
import hashlib
import io
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from PIL import Image

from etude.core.errors import DataError, MissingPartError, MistakeError, StorageError, sentence
from etude.core.files import folder_name, storage_errors, write_bytes, writing
from etude.pictures.reading import MAX_PIXELS, read_file
from etude.runtime.heic import HEIC, decode_heic, is_heic
from etude.runtime.library.database import Library
from etude.runtime.library.rows import COLUMNS, Found, shown
from etude.runtime.library.training import TrainingFolder

Way = Literal["copy", "link"]
_HEAD: Final = 12
"""Bytes that tell the format of a file."""
_QUALITY: Final = 95
_NO_NAME: Final = {errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ}
"""What a folder answers to a name that it does not take."""
_NO_LINKS: Final = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}
"""What a file system answers that has no links, as that of most USB sticks."""


def write_table(library: Library, path: Path) -> None:
    """Write the table of a library: `.csv`, or `.parquet` where the extra is installed.

    The CSV begins with the mark by which spreadsheets know UTF-8.

    Raises:
        MistakeError: if the ending is neither.
        MissingPartError: if pyarrow is needed and not installed.
    """
    if path.suffix == ".csv":
        with writing(path) as beside, beside.open("w", newline="", encoding="utf-8-sig") as file:
            table = csv.writer(file)
            table.writerow(COLUMNS)
            table.writerows([_harmless(cell) for cell in row] for row in library.table())
    elif path.suffix == ".parquet":
        _write_parquet(library, path)
    else:
        raise MistakeError(sentence("index", "--to", "a .sqlite, .csv or .parquet file", shown(path)))


def _harmless(cell: object) -> object:
    """Keep a spreadsheet from taking the name of a file for a formula."""
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in ("=", "+", "-", "@", "\t", "\r") else cell


def _write_parquet(library: Library, path: Path) -> None:
    try:
        import pyarrow as pa
        import pyarrow.parquet as parquet
    except ImportError:
        remedy = "Install it with `pip install pyarrow`, or give a .csv file."
        raise MissingPartError(f"index: {shown(path)}: needs pyarrow. {remedy}") from None
    columns = list(zip(*library.table(), strict=True)) or [()] * len(COLUMNS)
    with writing(path) as beside:
        parquet.write_table(pa.table(dict(zip(COLUMNS, map(list, columns), strict=True))), beside)


@dataclass(frozen=True)
class Brought:
    """What came of bringing pictures into a folder."""

    made: list[Path]
    """The files that were made; what lay there already is not among them."""
    wanted: int
    """Pictures, each content counted once."""
    missing: list[Found]
    """Those of them that are not where the library found them."""
    left_out: int
    """Pictures of none of the classes, which have no folder to train on."""
    unreadable: list[tuple[Found, str]] = field(default_factory=list)
    """Those that could not be read, or that the folder does not take, and why."""
    removed: list[Path] = field(default_factory=list)
    """Files that were brought before and taken away: their pictures show another class now."""
    kept: list[Path] = field(default_factory=list)
    """Such files that stay: they were changed since, or their pictures lie nowhere else."""


def bring(
    found: Sequence[Found], folder: Path, way: Way, *, by_class: bool = False, library: Library | None = None
) -> Brought:
    """Copy or link pictures into a folder, or into a folder for each class in it.

    A name that is taken gets the beginning of the picture's hash; the same picture twice is brought once. Folders of
    classes are there to train on: a HEIC picture comes into them as JPEG, which every source of pictures reads, and one
    that shows none of the classes does not come into them: they would be a class of their own, of all the rest. What
    was brought there before and shows another class now is taken away.

    Args:
        found: the pictures.
        folder: where they are to lie.
        way: whether they are copied or linked.
        by_class: whether each comes into the folder of its class.
        library: what knows of pictures that were brought before and are not among these, and with which limit pictures
            are read.

    Raises:
        MistakeError: if the list of what was brought before cannot be read.
        StorageError: if the disk is full or protected, or has no links.
    """
    wanted = [picture for picture in found if not (by_class and picture.none)]
    before = TrainingFolder(folder) if by_class else None
    bringer = _Bringer(folder, way, before, MAX_PIXELS if library is None else library.max_pixels)
    removed: list[Path] = []
    kept: list[Path] = []
    try:
        for picture in wanted:
            bringer.take(picture)
        if before is not None:
            removed, kept = before.leave(library.of_content if library is not None else _by_content(found))
    finally:
        if before is not None:
            before.write()
    left_out = {picture.sha256 for picture in found} - {picture.sha256 for picture in wanted}
    missing, unreadable = bringer.missing, bringer.unreadable
    return Brought(
        bringer.made, len(bringer.seen | missing.keys() | unreadable.keys()),
        [picture for sha256, picture in missing.items() if sha256 not in bringer.seen | unreadable.keys()],
        len(left_out), [told for sha256, told in unreadable.items() if sha256 not in bringer.seen], removed, kept,
    )  # fmt: skip


def _by_content(found: Sequence[Found]) -> Callable[[str], list[Found]]:
    """Return what gives the pictures of a content."""
    held: dict[str, list[Found]] = {}
    for picture in found:
        held.setdefault(picture.sha256, []).append(picture)
    return lambda sha256: held.get(sha256, [])


class _Bringer:
    """Brings pictures into a folder one by one; what cannot be read, or is not there, stops no other."""

    def __init__(self, folder: Path, way: Way, training: TrainingFolder | None, max_pixels: int) -> None:
        self._folder, self._way, self._training, self._max_pixels = folder, way, training, max_pixels
        self.made: list[Path] = []
        self.seen: set[str] = set()
        """Contents that were brought, now or before."""
        self.missing: dict[str, Found] = {}
        self.unreadable: dict[str, tuple[Found, str]] = {}

    def take(self, picture: Found) -> None:
        """Bring a picture, unless its content was."""
        if picture.sha256 in self.seen:
            return
        try:
            with _reading(picture):
                is_there = picture.file.is_file()
            if not is_there:
                self.missing.setdefault(picture.sha256, picture)
                return
            self.made += self._bring(picture)
            self.seen.add(picture.sha256)
        except DataError as error:
            self.unreadable.setdefault(picture.sha256, (picture, str(error)))

    def _bring(self, picture: Found) -> list[Path]:
        """Bring a picture into its folder; return the file, where one was made."""
        folder = self._folder if self._training is None else self._folder / folder_name(picture.label)
        is_phones = self._training is not None and _is_phones(picture)
        if is_phones:
            target = folder / f"{picture.file.stem}-{picture.sha256[:12]}.jpg"
        else:
            target = folder / picture.file.name
            with storage_errors(target):
                is_taken = os.path.lexists(target) and not _holds(target, picture)
            if is_taken:
                target = folder / f"{picture.file.stem}-{picture.sha256[:12]}{picture.file.suffix}"
        if os.path.lexists(target):
            return []  # brought before
        if self._way == "link":
            _link(picture, target)
            return [target]
        content = read_file(picture.file, picture.path)
        if self._training is not None:
            _check_same(content, picture)
        made = _as_jpeg(content, picture, self._max_pixels) if is_phones else content
        with _writing(picture, folder):
            write_bytes(target, made)
        if not is_phones:
            with contextlib.suppress(OSError):  # not every file system keeps times
                shutil.copystat(picture.file, target)
        if self._training is not None:
            self._training.add(target, picture, made)
        return [target]


@contextlib.contextmanager
def _reading(picture: Found) -> Iterator[None]:
    """Say of an original that cannot be read that it is the one.

    Raises:
        DataError: in place of the OSError.
    """
    try:
        yield
    except OSError as error:
        remedy = "Mend its permissions or its disk."
        found = os.strerror(error.errno) if error.errno else str(error)
        raise DataError(sentence("search", picture.path, "a file that can be read", found, remedy)) from error


@contextlib.contextmanager
def _writing(picture: Found, folder: Path) -> Iterator[None]:
    """Make a folder and write into it.

    Raises:
        DataError: if the folder does not take the name of the picture.
        StorageError: if the disk is full or protected.
    """
    try:
        with storage_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            yield
    except OSError as error:
        if error.errno not in _NO_NAME:
            raise
        found = os.strerror(error.errno or 0)
        remedy = "Copy it by hand, under another name."
        raise DataError(sentence("search", picture.path, "of a name that the folder takes", found, remedy)) from error


def _link(picture: Found, target: Path) -> None:
    """Make a link to a picture.

    Raises:
        StorageError: if the file system of the folder has no links.
    """
    with _reading(picture):
        original = picture.file.resolve()
    with _writing(picture, target.parent):
        try:
            target.symlink_to(original)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            rule, found = "on a file system that has links", os.strerror(error.errno or 0)
            remedy = "Copy the pictures instead: --copy."
            raise StorageError(sentence("search", shown(target.parent), rule, found, remedy)) from error


def _is_phones(picture: Found) -> bool:
    """Whether a file is a HEIC picture, or is called one: neither is taken for a picture to train on."""
    with _reading(picture), picture.file.open("rb") as file:
        return is_heic(file.read(_HEAD)) or picture.file.suffix.lower() in HEIC


def _check_same(content: bytes, picture: Found) -> None:
    """Refuse another picture than was answered and corrected: it may show another class.

    Raises:
        DataError: if its content is another one.
    """
    if hashlib.sha256(content).hexdigest() != picture.sha256:
        rule, found = "the picture that was indexed", "another content"
        raise DataError(sentence("search", picture.path, rule, found, "Index its folder again."))


def _as_jpeg(content: bytes, picture: Found, max_pixels: int) -> bytes:
    """Return a HEIC picture as the bytes of a JPEG file; one that is only called so as it is."""
    if not is_heic(content):
        return content
    packed = io.BytesIO()
    Image.fromarray(decode_heic(content, picture.path, max_pixels)).save(packed, "JPEG", quality=_QUALITY)
    return packed.getvalue()


def _holds(path: Path, picture: Found) -> bool:
    """Whether a file has the content of a picture."""
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == picture.sha256
