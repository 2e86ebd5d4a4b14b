"""What travels inside a notebook: the records, whole, and of pictures and predictions what there is room for."""

from __future__ import annotations

import base64
import io
import lzma
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import etude
from etude.core.judgement_record import JUDGEMENT_FILE
from etude.core.study_record import LeaderboardRow
from etude.evaluate.final import final_candidate
from etude.report.arrays import PACKED, pack_arrays
from etude.report.cards import CARDS_FILE, dump_cards
from etude.report.explanations import read_explanations
from etude.report.messages import mark
from etude.report.reading import StudyResults
from etude.report.words import Words

ROOM = 4_000_000
"""Bytes of pictures, maps and predictions that travel along at most; the records themselves always do."""
OWN_NETWORKS = "networks"
"""The folder of a study in which networks of the user's own lie."""
_SOURCE_SUFFIXES = {".py", ".po", ".j2", ".css", ".js", ".yaml"}
_OF_STUDY = ("study.json", "study.yaml", "resolved.json", "check.json", "robustness.json", JUDGEMENT_FILE)
"""Records that a study's folder itself holds."""
_HEADINGS = {
    "why": mark("Why this answer"),
    "sight": mark("What a layer sees"),
    "mask_errors": mark("Errors, looked at"),
    "errors": mark("Errors, looked at"),
    "map": mark("Maps of the data"),
}
"""What was explained of a run beside its layers, what matters most first: the name of its files, its chapter."""


@dataclass(frozen=True)
class Load:
    """Files that travel together or not at all."""

    name: str
    """What people call it."""
    files: dict[str, bytes]
    """By their paths in the study's folder."""

    @property
    def n_bytes(self) -> int:
        """Its size."""
        return sum(map(len, self.files.values()))


@dataclass(frozen=True)
class Parcel:
    """What a notebook carries of a study."""

    files: dict[str, bytes]
    """By their paths in the study's folder."""
    n_spare: int
    """Bytes of those that could be left out."""
    left_out: tuple[str, ...]
    """Names of what there was no room for."""


def pack(files: dict[str, bytes]) -> str:
    """Return files as one text: a tar, compressed, in base 85; the same files give the same text."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, content in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return base64.b85encode(lzma.compress(out.getvalue(), preset=6)).decode("ascii")


def gather_source() -> dict[str, bytes]:
    """Return Étude's own files, by their paths below the folder that is put on Python's path."""
    root = Path(etude.__file__).parent
    return {
        f"etude/{path.relative_to(root).as_posix()}": path.read_bytes()
        for path in root.rglob("*")
        if path.suffix in _SOURCE_SUFFIXES and "__pycache__" not in path.parts
    }


def gather_records(study: StudyResults, words: Words, room: int = ROOM) -> Parcel:
    """Return what a notebook carries of a study.

    Args:
        study: the study, read.
        words: the language of the names of what is left out.
        room: bytes for pictures, maps and predictions. What matters most comes first; what is larger than what is left
            of the room is left out, and smaller things after it still come along.
    """
    files, n_spare, left_out = _read(study.folder, _records(study)), 0, []
    networks = {name for run in study.runs.values() for name in _networks(run.config)}
    files[CARDS_FILE] = dump_cards(study.folder, networks)
    for load in _loads(study, words):
        if n_spare + load.n_bytes > room:
            left_out.append(load.name)
        else:
            n_spare += load.n_bytes
            files |= load.files
    return Parcel(files, n_spare, tuple(left_out))


def list_own_networks(study: StudyResults) -> list[Path]:
    """Return the files of the networks of the user's own, as they were run."""
    return sorted((study.folder / OWN_NETWORKS).rglob("*.py"))


def _networks(config: dict[str, object]) -> list[str]:
    """Return the names of a run's network and of its encoder."""
    model = config.get("model")
    return [str(model.get(field) or "") for field in ("name", "encoder")] if isinstance(model, dict) else []


def _read(folder: Path, paths: Iterable[Path]) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths if path.is_file()}


def _records(study: StudyResults) -> Iterator[Path]:
    """Give the files that a report cannot be without."""
    folder = study.folder
    yield from (folder / name for name in _OF_STUDY)
    yield from list_own_networks(study)
    yield from (folder / path for search in study.record.searches for path in search.records)
    for ref in study.record.runs:
        own = folder / "runs" / ref.identity
        yield from (own / "run.json", own / "history.jsonl", *sorted((own / "explain").glob("*.json")))
    for place, row in enumerate(_scored(study)):
        for run in study.runs_of(row.candidate):
            yield folder / "runs" / run.identity / "generation.json"
        yield from _sheets(study, row) if place == 0 else ()


def _scored(study: StudyResults) -> list[LeaderboardRow]:
    """Return the candidates that have a score, the best first."""
    return [row for row in study.record.leaderboard if row.score is not None]


def _sheets(study: StudyResults, row: LeaderboardRow) -> Iterator[Path]:
    """Give the samples that a candidate's first run has drawn, if it is a generator."""
    for run in study.runs_of(row.candidate)[:1]:
        samples = study.folder / "runs" / run.identity / "samples"
        yield from (samples / "final.png", samples / "nearest.png")


def _loads(study: StudyResults, words: Words) -> Iterator[Load]:
    """Give what travels along where there is room, what matters most first."""
    say, folder, rows = words.say, study.folder, _scored(study)
    final = [row for row in rows if row.candidate == final_candidate(study.record)]
    baseline = [row for row in rows if row.candidate == study.record.baseline and row not in final]
    for row in final:
        masks = [folder / "runs" / run.identity / "masks" for run in study.runs_of(row.candidate)[:1]]
        paths = [path for kept in masks for path in sorted(kept.glob("*.*"))]
        yield Load(say("masks of {candidate}", candidate=row.candidate), _read(folder, paths))
    yield from _explained(study, words)
    # Curves are drawn of each detector, errors looked at of the final candidate and the baseline.
    for row in rows if len(study.record.classes) == 2 else [*final, *baseline]:
        runs = [folder / "runs" / run.identity / "predictions.parquet" for run in study.runs_of(row.candidate)]
        yield Load(say("answers of {candidate}", candidate=row.candidate), _read(folder, runs))
    for row in rows[1:]:
        yield Load(say("samples of {candidate}", candidate=row.candidate), _read(folder, _sheets(study, row)))


def _explained(study: StudyResults, words: Words) -> Iterator[Load]:
    """Give the arrays of the explained run whose chapters the notebook shows."""
    for explanation in read_explanations(study)[:1]:
        for name, heading in _HEADINGS.items():
            path = explanation.folder / f"{name}.npz"
            if path.is_file():
                with np.load(path) as arrays:
                    packed = pack_arrays(arrays)
                place = path.with_name(name + PACKED).relative_to(study.folder).as_posix()
                yield Load(f"{words.say(heading)} ({explanation.ref.candidate})", {place: packed})
