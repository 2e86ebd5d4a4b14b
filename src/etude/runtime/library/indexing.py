"""Indexing: every new or changed picture is read once, answered, and written; if it is stopped, it goes on from there.

A thread does the whole way of a handful of files: read, hash, decode, prepare, ask. Pillow, hashing and onnxruntime
leave Python's lock, so that threads use all cores, and no more than a handful each is ever in memory.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from etude.core.errors import DataError, MistakeError, sentence
from etude.pictures.reading import Pixels, read_file
from etude.runtime.answers import Answer, ClassAnswer
from etude.runtime.library.database import Library, Row, shown
from etude.runtime.library.heic import decode_heic, is_heic
from etude.runtime.library.walking import File, find_pictures
from etude.runtime.predictor import Predictor, Seen

HANDFUL: Final = 8
"""Files that a thread takes at a time."""
_WRITE_EVERY_S: Final = 1.0

Known = dict[str, tuple[str, float | None, bool, str]]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Summary:
    """What an indexing came to."""

    pictures: int
    """Files that were found."""
    looked_at: int
    """Files that were new or changed, and were read."""
    answered: int
    """Pictures that the model was asked about; the others were known by their content."""
    broken: int
    """Files among those read that are no pictures, or damaged."""
    gone: int
    """Files in the library that are no longer there."""
    seconds: float


def index_folder(
    model: Predictor,
    folder: Path,
    library: Library,
    *,
    threads: int,
    progress: Progress = lambda done, total: None,
    handful: int = HANDFUL,
) -> Summary:
    """Bring a library up to date with a folder. The pictures are only read.

    Args:
        model: what answers; with `threads=1`, as the threads here are the parallel ones.
        folder: the pictures, at any depth.
        library: where the answers go.
        threads: threads that read and answer.
        progress: hears (done, all) as files are done.
        handful: files that a thread takes at a time.

    Raises:
        MistakeError: if there is no such folder, or it holds no picture any more.
    """
    started = time.perf_counter()
    if not folder.is_dir():
        raise MistakeError(sentence("index", "FOLDER", "a folder", str(folder)))
    files = list(find_pictures(folder))
    known = library.known()
    if not files:
        remedy = "Is its disk there? What the library knows stays." if known else "Give the folder that holds them."
        raise MistakeError(sentence("index", str(folder), "a folder with pictures", "none", remedy))
    library.set_meta(
        folder=str(folder.resolve()), model=model.name, fingerprint=model.fingerprint, classes=json.dumps(model.classes)
    )
    graph = model.fingerprint
    todo = [file for file in files if known.get(shown(file.path)) != (file.size, file.mtime_ns, graph)]
    reader = _Reader(model, folder, library.answers_of(graph))
    _run(reader, todo, library, threads, handful, progress)
    gone = library.mark_gone({shown(file.path) for file in files})
    return Summary(len(files), len(todo), reader.asked, reader.broken, gone, time.perf_counter() - started)


def _run(reader: _Reader, todo: list[File], library: Library, threads: int, handful: int, progress: Progress) -> None:
    """Hand the files to the threads, a bounded number at a time, and write what comes back every second."""
    rows: list[Row] = []
    running: set[Future[list[Row]]] = set()
    at, done, last = 0, 0, time.monotonic()
    progress(0, len(todo))
    pool = ThreadPoolExecutor(threads, thread_name_prefix="index")
    try:
        while at < len(todo) or running:
            while at < len(todo) and len(running) < 2 * threads:
                running.add(pool.submit(reader.take, todo[at : at + handful]))
                at += handful
            ended, running = wait(running, return_when=FIRST_COMPLETED)
            for future in ended:
                rows.extend(future.result())
                done += len(future.result())
            if time.monotonic() - last >= _WRITE_EVERY_S:
                library.write(rows)
                rows, last = [], time.monotonic()
            progress(done, len(todo))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        library.write([*rows, *_left(running)])  # on Ctrl-C too: what was answered is not asked again


def _left(running: set[Future[list[Row]]]) -> list[Row]:
    """Return the rows of what had ended when the work was stopped."""
    ended = [future for future in running if not future.cancelled() and future.exception() is None]
    return [row for future in ended for row in future.result()]


class _Reader:
    """Reads files and answers them; its threads share what was answered by content."""

    def __init__(self, model: Predictor, folder: Path, known: Known) -> None:
        self._model, self._folder, self._known = model, folder, known
        self.asked = self.broken = 0
        self._counting = threading.Lock()

    def take(self, files: Sequence[File]) -> list[Row]:
        """Return the rows of a handful of files."""
        rows: list[Row] = []
        waiting: list[tuple[File, str, Pixels, Seen]] = []
        for file in files:
            try:
                content = read_file(self._folder / file.path, file.path)
            except DataError as error:
                rows.append(self._broken(file, "", error))
                continue
            digest = hashlib.sha256(content).hexdigest()
            if digest in self._known:
                rows.append(self._answered(file, digest, self._known[digest]))
                continue
            try:
                waiting.append((file, digest, *self._read(content, file.path)))
            except DataError as error:
                rows.append(self._broken(file, digest, error))
        return rows + self._ask(waiting)

    def _read(self, content: bytes, name: str) -> tuple[Pixels, Seen]:
        picture = decode_heic(content, name, self._model.max_pixels) if is_heic(content) else content
        return self._model.read(picture, name=name)

    def _ask(self, waiting: Sequence[tuple[File, str, Pixels, Seen]]) -> list[Row]:
        if not waiting:
            return []
        pictures = np.stack([pixels for _, _, pixels, _ in waiting])
        answers = self._model.answer(pictures, [seen for *_, seen in waiting])
        with self._counting:
            self.asked += len(waiting)
        rows = []
        for (file, digest, _, _), answer in zip(waiting, answers, strict=True):
            self._known[digest] = told = _told(answer)
            rows.append(self._answered(file, digest, told))
        return rows

    def _answered(self, file: File, digest: str, told: tuple[str, float | None, bool, str]) -> Row:
        label, probability, unsure, answer = told
        return Row(file.path, file.size, file.mtime_ns, digest, "answered", self._model.fingerprint, "",
                   label, probability, unsure, answer)  # fmt: skip

    def _broken(self, file: File, digest: str, error: DataError) -> Row:
        with self._counting:
            self.broken += 1
        return Row(file.path, file.size, file.mtime_ns, digest, "broken", self._model.fingerprint, str(error))


def _told(answer: Answer) -> tuple[str, float | None, bool, str]:
    """Return label, probability, doubt and the whole as JSON; of a mask the largest class and its share."""
    whole = json.dumps(answer.as_json(5), ensure_ascii=False)
    if isinstance(answer, ClassAnswer):
        return answer.label, answer.probability, answer.is_unsure, whole
    label, share = max(answer.areas.items(), key=lambda area: area[1])
    return label, share, False, whole
