"""Generated pictures, written one a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from etude.core.files import folder_name, write_bytes
from etude.runtime.generator import Generator, Wish


def write_pictures(generator: Generator, wishes: Sequence[Wish], folder: Path) -> list[Path]:
    """Write each picture as a PNG file that says what made it; return the files.

    A file is named after the seed and the number of its picture. With classes there is a folder for each, as a study
    takes them.

    Raises:
        StorageError: if the disk is full or protected.
    """
    files = []
    for wish, pixels in zip(wishes, generator.stream(wishes), strict=True):
        own = folder / folder_name(generator.classes[wish.class_id]) if generator.is_conditional else folder
        files.append(own / f"generated-{wish.seed}-{wish.number:05}.png")
        write_bytes(files[-1], generator.png([pixels], [wish]))
    return files
