"""Generated pictures, written one a file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from etude.core.errors import MistakeError, sentence
from etude.core.files import folder_name, write_bytes
from etude.runtime.generator import Generator, Wish


def write_pictures(generator: Generator, wishes: Sequence[Wish], folder: Path) -> list[Path]:
    """Write each picture as a PNG file that says what made it; return the files.

    A file is named after the seed and the number of its picture. With classes there is a folder for each, as a study
    takes them.

    Raises:
        MistakeError: if there is a file in the place of a folder, or a picture of another bundle has the name of one of
            these; nothing is written then.
        StorageError: if the disk is full or protected.
    """
    files = [_file(generator, wish, folder) for wish in wishes]
    for place in {file.parent for file in files}:
        _check_folder(place)
    for file in files:
        if os.path.lexists(file) and _graph_of(file) != generator.graph_sha256:
            rule, remedy = "a folder without pictures of others under these names", "Give another folder."
            raise MistakeError(sentence("generate", "--to", rule, str(file), remedy))
    for file, wish, pixels in zip(files, wishes, generator.stream(wishes), strict=True):
        write_bytes(file, generator.png([pixels], [wish]))
    return files


def _file(generator: Generator, wish: Wish, folder: Path) -> Path:
    own = folder / folder_name(generator.classes[wish.class_id]) if generator.is_conditional else folder
    return own / f"generated-{wish.seed}-{wish.number:05}.png"


def _check_folder(folder: Path) -> None:
    """Refuse a folder that cannot be made for a file in its way."""
    try:
        nearest = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    except OSError as error:
        raise MistakeError(sentence("generate", "--to", "a folder", str(folder)[:100], str(error))) from error
    if not nearest.is_dir():
        raise MistakeError(sentence("generate", "--to", "a folder", str(nearest), "It is a file: give another place."))


def _graph_of(path: Path) -> str:
    """Return the hash of the graph that made a picture, as its file says; empty where it says nothing."""
    try:
        with Image.open(path, formats=["PNG"]) as picture:
            return str(picture.info.get("etude:graph-sha256", ""))
    except Exception:  # it is no picture of ours, whatever it is
        return ""
