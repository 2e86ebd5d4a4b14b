"""Indexing: every new or changed picture is read once, answered, and written; if it is stopped, it goes on from there.

A content that is broken is read again once the file changes, or what reads it: another limit, another decoder. What
could not be read at all is tried each time: a permission may have been mended, and memory be there.

A thread does the whole way of a handful of files: read, hash, decode, prepare, ask. Pillow, hashing and onnxruntime
leave Python's lock, so that threads use all cores, and no more than a handful each is ever in memory.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import PIL

from etude.core.counting import how_many
from etude.core.errors import DataError, MistakeError, sentence
from etude.pictures.reading import Pixels, read_file
from etude.runtime.answers import Answer, ClassAnswer
from etude.runtime.library.database import Library
from etude.runtime.library.rows import READING, Row, Told, shown
from etude.runtime.library.walking import File, Shut, find_pictures
from etude.runtime.predictor import Predictor, Seen

HANDFUL: Final = 8
"""Files that a thread takes at a time."""
_WRITE_EVERY_S: Final = 1.0
_MOST_KINDS: Final = 20
_HARDLY: Final = 0.1
"""A folder with a smaller share of the pictures that the library knows is taken for another one."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Summary:
    """What an indexing came to."""

    pictures: int
    """Files that were found."""
    looked_at: int
    """Files that were new or changed, or that could not be read for a reason that may have passed, and were read."""
    answered: int
    """Pictures that the model was asked about; the others were known by their content."""
    broken: int
    """Files that are no pictures, or damaged; files and folders that could not be looked at."""
    gone: int
    """Files that the library knew and that went since they were last looked for."""
    seconds: float
    passed_over: dict[str, int] = field(default_factory=dict)
    """Files and folders that were not taken for pictures, by kind (`.cr2`, `link`), the most frequent first."""


def index_folder(
    model: Predictor,
    folder: Path,
    library: Library,
    *,
    threads: int,
    progress: Progress = lambda done, total: None,
    handful: int = HANDFUL,
    replace: bool = False,
) -> Summary:
    """Bring a library up to date with a folder. The pictures are only read.

    Args:
        model: what answers; with `threads=1`, as the threads here are the parallel ones.
        folder: the pictures, at any depth.
        library: where the answers go.
        threads: threads that read and answer.
        progress: hears (done, all) as files are done.
        handful: files that a thread takes at a time.
        replace: take the folder in place of another one, whose pictures count as gone.

    Raises:
        MistakeError: if there is no such folder, it holds no picture any more, or the library is of another folder.
    """
    started = time.perf_counter()
    if not folder.is_dir():
        raise MistakeError(sentence("index", "FOLDER", "a folder", str(folder)))
    files, shut, passed_over = _walk(folder, library)
    if not replace:
        _check_same(library, folder, files)
    known, version, conditions = library.known(), model.fingerprint, reading_conditions(model.max_pixels)
    # What is gone is marked before the folder is noted, and both before anything is read: wherever the work is
    # stopped, no row that is shown belongs to another folder than the one that the library names.
    gone = library.mark_gone({shown(file.path) for file in files}, {shown(entry.path) for entry in shut})
    library.set_folder(folder, model.max_pixels)
    called = json.dumps(model.record.called)
    library.set_meta(model=model.name, fingerprint=version, classes=json.dumps(model.classes), called=called)
    library.write(_unread(shut, known, version))
    todo = [
        file
        for file in files
        if known.get(shown(file.path))
        not in ((file.size, file.mtime_ns, version), (file.size, file.mtime_ns, conditions))
    ]
    reader = _Reader(model, folder, library, conditions)
    _run(reader, todo, library, threads, handful, progress)
    seconds = time.perf_counter() - started
    return Summary(len(files), len(todo), reader.asked, len(library.broken()), gone, seconds, passed_over)


def reading_conditions(max_pixels: int) -> str:
    """Return what decides, beside a content, whether it can be read: the limit, and the versions of what reads it."""
    try:
        import pillow_heif

        heic = str(pillow_heif.__version__)
    except ImportError:
        heic = "none"
    try:
        etude = importlib.metadata.version("etude")
    except importlib.metadata.PackageNotFoundError:
        etude = "unknown"
    return f"{READING}{max_pixels}:{heic}:{PIL.__version__}:{etude}"


def _unread(shut: Sequence[Shut], known: Mapping[str, tuple[int, int, str]], version: str) -> list[Row]:
    """Return the rows of what could not be looked at; what was answered there stays."""
    unknown = (0, 0, READING)
    return [
        Row(entry.path, 0, 0, "", "broken", version, entry.reason)
        for entry in shut
        if known.get(shown(entry.path), unknown)[2].startswith(READING)
    ]


def _walk(folder: Path, library: Library) -> tuple[list[File], list[Shut], dict[str, int]]:
    """Return the pictures of a folder, what in it could not be looked at, and what was passed over.

    Raises:
        MistakeError: if there is no picture.
    """
    files: list[File] = []
    shut: list[Shut] = []
    passed: Counter[str] = Counter()
    for entry in find_pictures(folder):
        if isinstance(entry, File):
            files.append(entry)
        elif isinstance(entry, Shut):
            shut.append(entry)
        else:
            passed[entry.kind] += 1
    passed_over = dict(sorted(passed.items(), key=lambda entry: (-entry[1], entry[0]))[:_MOST_KINDS])
    if rest := passed.total() - sum(passed_over.values()):
        passed_over["other"] = rest
    if files:
        return files, shut, passed_over
    if shut:
        raise MistakeError(f"index: {shown(folder)} holds no picture that may be looked at. {shut[0].reason}")
    remedy = "Give the folder that holds them."
    if library.sizes():
        remedy = "Is its disk there? What the library knows stays."
    if passed_over:
        remedy += f" Passed over: {tell_passed(passed_over)}."
    raise MistakeError(sentence("index", shown(folder), "a folder with pictures", "none", remedy))


def tell_passed(passed_over: Mapping[str, int]) -> str:
    """Say what was passed over.

    >>> tell_passed({".cr2": 1200, "no ending": 2})
    '1,200 .cr2, 2 no ending'
    """
    return ", ".join(f"{count:,} {kind}" for kind, count in passed_over.items())


def _check_same(library: Library, folder: Path, files: Sequence[File]) -> None:
    """Refuse a folder that is not the library's, unless it holds the same pictures: a disk may be found elsewhere.

    Raises:
        MistakeError: if hardly a picture that the library knows is there.
    """
    before, known = library.folder, library.sizes()
    if before is None or before == folder.resolve() or not known:
        return
    # Cameras give their files the same names over and over: the size tells them apart.
    same = sum(known.get(shown(file.path)) == file.size for file in files)
    if same < _HARDLY * len(known):
        rule = f"the folder that the library was made of, {shown(before)}, or hold its pictures"
        remedy = (
            "Give another folder a library of its own with --to; or take this one in place of the other with "
            "--replace: the pictures of the other then count as gone, and corrections stay."
        )
        found = f"{same:,} of {how_many(len(known), 'known picture')}"
        raise MistakeError(sentence("index", shown(folder), rule, found, remedy))


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
                reader.forget(rows)
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
    """Reads files and answers them; a content that was answered is not asked about again.

    What was answered is looked up in the library, so that a disk of any size takes no more memory than a small one.
    """

    def __init__(self, model: Predictor, folder: Path, library: Library, conditions: str) -> None:
        self._model, self._folder, self._library, self._conditions = model, folder, library, conditions
        self._unwritten: dict[str, Told] = {}
        self.asked = 0
        self._counting = threading.Lock()

    def forget(self, rows: Sequence[Row]) -> None:
        """Forget answers that are in the library now."""
        for row in rows:
            self._unwritten.pop(row.sha256, None)

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
            told = self._unwritten.get(digest) or self._library.told(digest, self._model.fingerprint)
            if told is not None:
                rows.append(self._answered(file, digest, told))
                continue
            try:
                waiting.append((file, digest, *self._model.read(content, name=file.path)))
            except DataError as error:
                rows.append(self._broken(file, digest, error))
        return rows + self._ask(waiting)

    def _ask(self, waiting: Sequence[tuple[File, str, Pixels, Seen]]) -> list[Row]:
        if not waiting:
            return []
        batch, answers = self._model.at_once(HANDFUL), []
        for start in range(0, len(waiting), batch):
            some = waiting[start : start + batch]
            pictures = np.stack([pixels for _, _, pixels, _ in some])
            answers += self._model.answer(pictures, [seen for *_, seen in some])
        with self._counting:
            self.asked += len(waiting)
        rows = []
        for (file, digest, _, _), answer in zip(waiting, answers, strict=True):
            self._unwritten[digest] = told = _told(answer)
            rows.append(self._answered(file, digest, told))
        return rows

    def _answered(self, file: File, digest: str, told: Told) -> Row:
        label, probability, unsure, answer = told
        return Row(file.path, file.size, file.mtime_ns, digest, "answered", self._model.fingerprint, "",
                   label, probability, unsure, answer)  # fmt: skip

    def _broken(self, file: File, digest: str, error: DataError) -> Row:
        """Return the row of a file that could not be read, with what has to change before it is tried again."""
        may_pass = not digest or error.cause == "memory"
        told = self._model.fingerprint if may_pass else self._conditions
        why = json.dumps({"cause": error.cause, "facts": error.facts}) if error.cause else "{}"
        return Row(file.path, file.size, file.mtime_ns, digest, "broken", told, str(error), answer=why)


def _told(answer: Answer) -> Told:
    """Return label, probability, doubt and the whole as JSON; of a mask the largest class and its share."""
    whole = json.dumps(answer.as_json(5), ensure_ascii=False)
    if isinstance(answer, ClassAnswer):
        return answer.label, answer.probability, answer.is_unsure, whole
    label, share = max(answer.areas.items(), key=lambda area: area[1])
    return label, share, False, whole
