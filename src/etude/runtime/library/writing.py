"""What leaves a library: a table as CSV or Parquet, copies, links, and folders to train on. Originals are only read."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from PIL import Image

from etude.core.errors import MissingPartError, MistakeError, sentence
from etude.core.files import folder_name, storage_errors, write_bytes, writing
from etude.pictures.reading import read_file
from etude.runtime.heic import HEIC, decode_heic, is_heic
from etude.runtime.library.database import COLUMNS, Found, Library

Way = Literal["copy", "link"]
_HEAD: Final = 12
"""Bytes that tell the format of a file."""
_QUALITY: Final = 95


def write_table(library: Library, path: Path) -> None:
    """Write the table of a library: `.csv`, or `.parquet` where the extra is installed.

    Raises:
        MistakeError: if the ending is neither.
        MissingPartError: if pyarrow is needed and not installed.
    """
    if path.suffix == ".csv":
        with writing(path) as beside, beside.open("w", newline="", encoding="utf-8") as file:
            table = csv.writer(file)
            table.writerow(COLUMNS)
            table.writerows([_harmless(cell) for cell in row] for row in library.table())
    elif path.suffix == ".parquet":
        _write_parquet(library, path)
    else:
        raise MistakeError(sentence("index", "--to", "a .sqlite, .csv or .parquet file", str(path)))


def _harmless(cell: object) -> object:
    """Keep a spreadsheet from taking the name of a file for a formula."""
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in ("=", "+", "-", "@", "\t", "\r") else cell


def _write_parquet(library: Library, path: Path) -> None:
    try:
        import pyarrow as pa
        import pyarrow.parquet as parquet
    except ImportError:
        remedy = "Install it with `pip install pyarrow`, or give a .csv file."
        raise MissingPartError(f"index: {path}: needs pyarrow. {remedy}") from None
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


def bring(found: Sequence[Found], folder: Path, way: Way, *, by_class: bool = False) -> Brought:
    """Copy or link pictures into a folder, or into a folder for each class in it.

    A name that is taken gets the beginning of the picture's hash; the same picture twice is brought once. Folders of
    classes are there to train on: a HEIC picture comes into them as JPEG, which every source of pictures reads, and one
    that shows none of the classes does not come into them: they would be a class of their own, of all the rest.

    Raises:
        DataError: if a HEIC picture cannot be read.
        StorageError: if the disk is full or protected.
    """
    wanted = [picture for picture in found if not (by_class and picture.none)]
    made: list[Path] = []
    seen: set[str] = set()
    missing: dict[str, Found] = {}
    for picture in wanted:
        if picture.sha256 in seen:
            continue
        if not picture.file.is_file():
            missing.setdefault(picture.sha256, picture)
            continue
        seen.add(picture.sha256)
        made += _bring(picture, folder / folder_name(picture.label) if by_class else folder, way, to_train=by_class)
    gone = [picture for sha256, picture in missing.items() if sha256 not in seen]
    left_out = {picture.sha256 for picture in found} - {picture.sha256 for picture in wanted}
    return Brought(made, len(seen) + len(gone), gone, len(left_out))


def _bring(picture: Found, folder: Path, way: Way, *, to_train: bool) -> list[Path]:
    """Bring a picture into a folder; return the file, where one was made."""
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        if to_train and _is_phones(picture.file):
            target = folder / f"{picture.file.stem}-{picture.sha256[:12]}.jpg"
            if target.is_file():
                return []
            write_bytes(target, _as_jpeg(picture))
            return [target]
        target = folder / picture.file.name
        if os.path.lexists(target) and not _holds(target, picture):
            target = folder / f"{picture.file.stem}-{picture.sha256[:12]}{picture.file.suffix}"
        if os.path.lexists(target):
            return []  # brought before
        if way == "link":
            target.symlink_to(picture.file.resolve())
        else:
            with writing(target) as beside:
                shutil.copyfile(picture.file, beside)
            shutil.copystat(picture.file, target)
    return [target]


def _is_phones(path: Path) -> bool:
    """Whether a file is a HEIC picture, or is called one: neither is taken for a picture to train on."""
    with path.open("rb") as file:
        return is_heic(file.read(_HEAD)) or path.suffix.lower() in HEIC


def _as_jpeg(picture: Found) -> bytes:
    """Return a HEIC picture as the bytes of a JPEG file; one that is only called so as it is."""
    content = read_file(picture.file, picture.path)
    if not is_heic(content):
        return content
    packed = io.BytesIO()
    Image.fromarray(decode_heic(content, picture.path)).save(packed, "JPEG", quality=_QUALITY)
    return packed.getvalue()


def _holds(path: Path, picture: Found) -> bool:
    """Whether a file has the content of a picture."""
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == picture.sha256
