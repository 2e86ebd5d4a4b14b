"""Opening a bundle for what it is."""

from __future__ import annotations

from pathlib import Path

from etude.pictures.reading import MAX_PIXELS
from etude.runtime.archive import Archive
from etude.runtime.generator import Generator
from etude.runtime.predictor import Predictor

Model = Predictor | Generator


def open_bundle(path: str | Path, *, threads: int = 0, max_pixels: int = MAX_PIXELS, reads_heic: bool = True) -> Model:
    """Open a bundle that answers about pictures, or one that makes them.

    Args:
        path: the file or the folder.
        threads: threads of one call; 0: all that the machine has.
        max_pixels: refuse pictures to answer about with more pixels than this.
        reads_heic: whether HEIC pictures are read, where pillow-heif is installed.

    Raises:
        BundleError: if it is no bundle, is damaged, or holds what a bundle may not hold.
    """
    archive = Archive(Path(path))
    model: Model
    if archive.record.task == "generation":
        model = Generator(archive, threads=threads)
    else:
        model = Predictor(archive, threads=threads, max_pixels=max_pixels, reads_heic=reads_heic)
    _ = model.session
    return model
