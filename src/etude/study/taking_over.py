"""Whether a study may write into a results folder: what another study left there must not be replaced unasked.

Finished runs are kept by their identity whatever happens; what a study replaces is the leaderboard, the verdicts and
the report. A study file that was changed replaces its own, as that is what changing it is for. A folder of pictures,
whose study nobody has named or written, and a file that is not the one that was run, do not.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from etude.core.counting import how_many
from etude.core.errors import MistakeError
from etude.core.study_record import StudyRecord
from etude.data.config import DataConfig
from etude.study.file import ProtocolConfig, StudyConfig
from etude.study.folder import StudyFolder
from etude.study.resolve import Candidate, as_written, resolve_candidates
from etude.study.workspace import Workspace

_PROTOCOL = ("metric", "threshold", "calibrate", "resolution", "generation")
"""What of the protocol every run depends on."""
_TOLD = ("source", "licence", "names")  # of the data, what no result hangs on
_MOST_TOLD = 3


def check_place(workspace: Workspace, origin: str) -> None:
    """Refuse to replace what another study left in the folder of this one.

    Args:
        workspace: the opened study.
        origin: what it was made of; see `Study.from_text`.

    Raises:
        MistakeError: if another study lies there, some of whose runs this one would drop from the leaderboard.
    """
    told = tell_other(workspace, origin)
    if told:
        raise MistakeError(
            f"{told}. Give another --name or --results to keep both, or --yes to replace that leaderboard and its "
            f"report; finished runs are kept either way."
        )


def tell_other(workspace: Workspace, origin: str) -> str:
    """Say in a sentence which other study lies in the folder and what differs; empty where nothing is replaced."""
    folder = workspace.folder
    if not origin or not folder.record.exists():
        return ""
    record = folder.load_study()
    n_runs = sum(ref.status == "finished" for ref in record.runs)
    if not n_runs or _is_own_file(record.origin, origin, folder.root):
        return ""
    different = list(dict.fromkeys(_differences(record, workspace)))
    if not different:
        return ""
    more = f" and {how_many(len(different) - _MOST_TOLD, 'thing')} more" if len(different) > _MOST_TOLD else ""
    made = f" of `{record.command}`" if record.command else ""
    return (
        f"{folder.root}: holds the study{made} with {how_many(n_runs, 'finished run')}, which differs from this one "
        f"in {', '.join(different[:_MOST_TOLD])}{more}"
    )


def write_origin(origin: str, folder: StudyFolder) -> str:
    """Return what the record says of a study's origin: a path from its folder, so that both can be moved together."""
    return os.path.relpath(origin, folder.root.resolve()) if Path(origin).is_absolute() else origin


def _is_own_file(written: str, origin: str, root: Path) -> bool:
    """Say whether a study is run from the file that it was run from before, or from where that was moved to."""
    if not Path(origin).is_file():
        return False
    before = (root.resolve() / written).resolve()
    return not written or not before.exists() or before.samefile(origin)


def _differences(record: StudyRecord, workspace: Workspace) -> Iterator[str]:
    """Name what some finished run of the record depends on and the study has otherwise."""
    study, config = workspace.study, record.config
    yield from _differing("", {"task": record.task}, {"task": study.task})
    if record.data_fingerprint and record.data_fingerprint != workspace.fingerprint:
        there, here = sum(record.n_pictures.values()), len(workspace.source.items)
        yield f"its pictures ({there:,} there, {here:,} here)" if there and there != here else "its pictures"
    try:
        data = DataConfig.model_validate(config["data"])
        protocol = ProtocolConfig.model_validate(config["protocol"])
        before = {name: Candidate.of_dump(name, dumped) for name, dumped in config["candidates"].items()}
    except (ValidationError, KeyError, TypeError, AttributeError):
        yield "fields that this version of Étude does not know"
        return
    yield from _differing("data", _dump(data, *_TOLD), _dump(study.data, *_TOLD))
    yield from _differing("protocol", _kept(protocol), _kept(study.protocol))
    yield from _missing_seeds(record, study)
    yield from _candidates(record, before, resolve_candidates(study))


def _candidates(record: StudyRecord, before: Mapping[str, Candidate], now: Mapping[str, Candidate]) -> Iterator[str]:
    """Name what the finished candidates have otherwise; what all of them have otherwise is named once."""
    searched = {search.candidate for search in record.searches}
    finished = [row.candidate for row in record.leaderboard if row.n_runs and row.candidate not in searched]
    shared = [name for name in finished if name in now and name in before]
    found = {name: list(_differing("", _settings(before[name]), _settings(now[name]))) for name in shared}
    common = [told for told in found[shared[0]] if all(told in own for own in found.values())] if shared else []
    yield from common
    for name in finished:
        if name not in found:
            yield f"candidate {name} (only there)"
        yield from (f"{name}: {told}" for told in found.get(name, ()) if told not in common)


def _missing_seeds(record: StudyRecord, study: StudyConfig) -> Iterator[str]:
    """Name the seeds of finished runs that the study does not have."""
    auto, seeds = study.protocol.auto, set(study.protocol.seed_list)
    mine = set(range(auto.most)) if auto else seeds
    gone = sorted({ref.seed for ref in record.runs if ref.status == "finished"} - mine)
    if gone:
        yield f"protocol.seeds ({', '.join(map(str, gone))} only there)"


def _settings(candidate: Candidate) -> dict[str, Any]:
    """Return the fields of a candidate as it is written: a budget, not the steps that it came to."""
    return as_written(candidate.dump())


def _dump(data: DataConfig, *without: str) -> dict[str, Any]:
    return data.model_dump(mode="json", exclude=set(without))


def _kept(protocol: ProtocolConfig) -> dict[str, Any]:
    return protocol.model_dump(mode="json", include=set(_PROTOCOL))


def _differing(path: str, there: Any, here: Any) -> Iterator[str]:  # noqa: ANN401 - any JSON value
    """Name the fields in which two groups differ, with both values."""
    if isinstance(there, Mapping) and isinstance(here, Mapping):
        for name in dict.fromkeys((*there, *here)):
            yield from _differing(f"{path}.{name}".lstrip("."), there.get(name), here.get(name))
    elif there != here:
        yield f"{path} ({_value(there)} there, {_value(here)} here)"


def _value(value: Any) -> str:  # noqa: ANN401 - any JSON value
    if value is None:
        return "none"
    text = f"[{', '.join(map(str, value))}]" if isinstance(value, list | tuple) else str(value)
    return text if len(text) <= 40 else f"{text[:39]}…"
