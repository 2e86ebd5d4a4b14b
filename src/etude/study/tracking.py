"""Experiment trackers: what a study did, mirrored into MLflow for those who look there; one out stops no run."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol

from pydantic import BeforeValidator

from etude.core.errors import MissingPartError
from etude.core.extras import install
from etude.core.records import Config, fingerprint
from etude.core.run_record import MODEL_FILE, Epoch, RunRecord
from etude.core.search_record import SearchRecord, TrialRecord
from etude.core.study_record import RunRef
from etude.core.watch import Watcher

_OF_EPOCH = ("train_loss", "train_score", "validation_loss", "validation_score", "lr", "images_per_s")
_OF_COST = (
    "seconds", "seconds_to_best", "images_per_s", "params", "macs", "memory_mb", "own_memory_mb", "latency_ms",
    "size_mb",
)  # fmt: skip
_FILES = ("run.json", "history.jsonl", MODEL_FILE, "predictions.parquet")
_MOST_PARAMS, _MOST_METRICS, _LONGEST = 90, 900, 500  # of what MLflow takes at once


class TrackConfig(Config):
    """Where runs, trials and reports are mirrored."""

    name: Literal["mlflow"] = "mlflow"
    """mlflow."""
    url: str | None = None
    """Address of its server or store; by default MLflow's own: `$MLFLOW_TRACKING_URI`, or a local file."""
    experiment: str | None = None
    """Name of the experiment there; by default the study's."""
    artifacts: bool = True
    """Whether record, history, weights, predictions and reports are sent too."""


def _read_track(given: Any) -> Any:  # noqa: ANN401 - raw input
    """Accept a name for `{name: …}`."""
    return {"name": given} if isinstance(given, str) else given


Track = Annotated[TrackConfig, BeforeValidator(_read_track, json_schema_input_type=TrackConfig | str)]


class Mirror(Protocol):
    """Hears of what a study did; each thing is taken once, and none raises for a tracker that is out."""

    def mirror(self, record: RunRecord, folder: Path) -> None:
        """Take a finished run."""

    def mirror_failure(self, ref: RunRef) -> None:
        """Take a run that failed, with the sentence that says why."""

    def mirror_search(self, search: SearchRecord) -> None:
        """Take the trials of a search that are over."""

    def mirror_report(self, paths: Sequence[Path]) -> None:
        """Take the files of a report, in place of those that were taken before."""


class NoMirror:
    """Hears of nothing."""

    def mirror(self, record: RunRecord, folder: Path) -> None:
        """Do nothing."""

    def mirror_failure(self, ref: RunRef) -> None:
        """Do nothing."""

    def mirror_search(self, search: SearchRecord) -> None:
        """Do nothing."""

    def mirror_report(self, paths: Sequence[Path]) -> None:
        """Do nothing."""


def make_mirror(config: TrackConfig | None, study: str, watch: Watcher) -> Mirror:
    """Return what finished runs are given to.

    Raises:
        MissingPartError: if a tracker is asked for and its library is not installed.
    """
    if config is None:
        return NoMirror()
    from importlib.util import find_spec

    if find_spec("mlflow") is None:
        raise MissingPartError(f"track: mlflow is not installed. {install('track')}")
    return MlflowMirror(config, study, watch)


class MlflowMirror:
    """Writes each finished run once: parameters, metrics by epoch, scores, costs, tags, files."""

    def __init__(self, config: TrackConfig, study: str, watch: Watcher) -> None:
        self.config = config
        self.study = study
        self.experiment = config.experiment or study
        self.watch = watch
        self._client: Any = None
        self._experiment_id = ""
        self._is_out = False

    def mirror(self, record: RunRecord, folder: Path) -> None:
        """Mirror a finished run that is not there yet."""
        with self._reached() as is_reached:
            if is_reached and self._find("etude.identity", record.identity, "FINISHED") is None:
                while (half := self._find("etude.identity", record.identity, "RUNNING")) is not None:
                    self._client.delete_run(half.info.run_id)  # it was cut off while it was sent
                self._write(record, folder)

    def mirror_failure(self, ref: RunRef) -> None:
        """Mirror a run that failed, unless it is there with the same sentence."""
        tags = {
            "etude.identity": ref.identity,
            "etude.study": self.study,
            "etude.candidate": ref.candidate,
            "etude.seed": str(ref.seed),
            "etude.failure": ref.failure[:_LONGEST],
        }
        if ref.fold is not None:
            tags["etude.fold"] = str(ref.fold)
        with self._reached() as is_reached:
            if is_reached:
                known = self._find("etude.identity", ref.identity, "FAILED")
                if known is None or known.data.tags.get("etude.failure") != tags["etude.failure"]:
                    self._write_briefly(_name(ref.candidate, ref.seed, ref.fold), tags, "FAILED")

    def mirror_search(self, search: SearchRecord) -> None:
        """Mirror the trials that are over, below a run that stands for their search."""
        name = f"search {search.candidate}" + ("" if search.fold is None else f", fold {search.fold}")
        tags = {"etude.search": f"{self.study}: {name}", "etude.study": self.study, "etude.candidate": search.candidate}
        for trial in search.trials:
            with self._reached() as is_reached:
                if not is_reached or trial.state == "running":
                    continue
                identity = f"{tags['etude.search']}, trial {trial.number}, {fingerprint(trial.settings, 8)}"
                status = "FAILED" if trial.state == "failed" else "FINISHED"
                if self._find("etude.trial", identity, status) is not None:
                    continue
                parent = self._find("etude.parent", tags["etude.search"], "FINISHED")
                above = parent.info.run_id if parent else self._write_briefly(
                    name, tags | {"etude.parent": tags["etude.search"]}, "FINISHED"
                )  # fmt: skip
                own = {"etude.trial": identity, "etude.state": trial.state, "mlflow.parentRunId": above}
                failed = {"etude.failure": trial.failure[:_LONGEST]} if trial.failure else {}
                self._write_briefly(
                    f"{search.candidate}, trial {trial.number}", tags | own | failed, status,
                    params=flat_config(trial.settings), metrics=list(_list_trial_metrics(trial)),
                )  # fmt: skip

    def mirror_report(self, paths: Sequence[Path]) -> None:
        """Send the files of a report to the run that stands for the study."""
        if not self.config.artifacts or not paths:
            return
        with self._reached() as is_reached:
            if is_reached:
                known = self._find("etude.report", self.study, "FINISHED")
                tags = {"etude.report": self.study, "etude.study": self.study}
                run_id = known.info.run_id if known else self._write_briefly(f"report {self.study}", tags, "FINISHED")
                for path in paths:
                    if path.is_file():  # the project tree, a folder, holds a copy of the library
                        self._client.log_artifact(run_id, str(path))

    @contextmanager
    def _reached(self) -> Iterator[bool]:
        """Say whether the tracker can be written to; where it fails, say so once and leave it."""
        try:
            if not self._is_out:
                self._connect()
        except Exception as error:  # of many libraries: HTTP, databases, files
            self._give_up(error)
        if self._is_out:
            yield False
            return
        try:
            yield True
        except Exception as error:
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        self._is_out = True
        self.watch.said(
            f"track: MLflow cannot be written to ({type(error).__name__}: {str(error).splitlines()[0][:160]}). "
            "The study goes on without it; the same command mirrors what is missing."
        )

    def _connect(self) -> None:
        if self._client is not None:
            return
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
        os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # where the results go, as JSON too
        from mlflow import MlflowClient

        client = MlflowClient(tracking_uri=self.config.url)
        found = client.get_experiment_by_name(self.experiment)
        self._experiment_id = found.experiment_id if found else client.create_experiment(self.experiment)
        self._client = client

    def _find(self, tag: str, value: str, status: str) -> Any:  # noqa: ANN401 - MLflow's
        """Return the run with a tag and a status; none where there is none."""
        filter_text = f"tags.`{tag}` = {_quote(value)} and attributes.status = '{status}'"
        return next(
            iter(self._client.search_runs([self._experiment_id], filter_string=filter_text, max_results=1)), None
        )

    def _write_briefly(
        self, name: str, tags: Mapping[str, str], status: str, *, params: Mapping[str, str] | None = None,
        metrics: Sequence[tuple[str, float, int]] = (),
    ) -> str:  # fmt: skip
        """Write a run that has no record of its own, and return its id there."""
        run = self._client.create_run(self._experiment_id, run_name=name, tags=dict(tags))
        for key, value in (params or {}).items():
            self._client.log_param(run.info.run_id, key, value[:_LONGEST])
        for key, number, step in metrics:
            self._client.log_metric(run.info.run_id, key, number, step=step)
        self._client.set_terminated(run.info.run_id, status=status)
        return str(run.info.run_id)

    def _write(self, record: RunRecord, folder: Path) -> None:
        from mlflow.entities import Metric, Param

        started, finished = _milliseconds(record.started_at), _milliseconds(record.finished_at)
        name = _name(record.candidate, record.seed, record.fold)
        run = self._client.create_run(self._experiment_id, start_time=started, run_name=name, tags=_tags(record))
        params = [Param(key, value[:_LONGEST]) for key, value in flat_config(record.config).items()]
        metrics = [Metric(key, value, finished, step) for key, value, step in list_metrics(record, folder)]
        for start in range(0, len(params), _MOST_PARAMS):
            self._client.log_batch(run.info.run_id, params=params[start : start + _MOST_PARAMS])
        for start in range(0, len(metrics), _MOST_METRICS):
            self._client.log_batch(run.info.run_id, metrics=metrics[start : start + _MOST_METRICS])
        for path in [folder / name for name in _FILES] if self.config.artifacts else []:
            if path.is_file():
                self._client.log_artifact(run.info.run_id, str(path))
        self._client.set_terminated(run.info.run_id, status="FINISHED", end_time=finished)


def list_metrics(record: RunRecord, folder: Path) -> Iterator[tuple[str, float, int]]:
    """Give every number of a run: name, value, and the epoch that it is of (the last one for the whole run)."""
    history = folder / "history.jsonl"
    for line in history.read_text("utf-8").splitlines() if history.is_file() else []:
        epoch = Epoch.model_validate_json(line)
        for name in _OF_EPOCH:
            if (value := getattr(epoch, name)) is not None:
                yield name, float(value), epoch.epoch
    for part, scores in (("train", record.train), ("validation", record.validation), ("test", record.test)):
        for name, value in scores.items():
            yield f"{part}.{name}", value, record.epochs
    for name in _OF_COST:
        if (value := getattr(record.cost, name)) is not None:
            yield f"cost.{name}", float(value), record.epochs


def _list_trial_metrics(trial: TrialRecord) -> Iterator[tuple[str, float, int]]:
    """Give the validation scores of a trial by epoch, and what it came to."""
    for epoch, score in sorted(trial.scores.items()):
        if math.isfinite(score):
            yield "validation_score", score, epoch
    if trial.score is not None and math.isfinite(trial.score):
        yield "score", trial.score, trial.epochs
    yield "cost.seconds", trial.seconds, trial.epochs


def flat_config(config: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Return a nested configuration as dotted names and texts.

    >>> flat_config({"train": {"epochs": 3, "clip_norm": None}})
    {'train.epochs': '3', 'train.clip_norm': 'null'}
    """
    flat: dict[str, str] = {}
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            flat |= flat_config(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return flat


def _tags(record: RunRecord) -> dict[str, str]:
    tags = {
        "etude.identity": record.identity,
        "etude.study": record.study,
        "etude.candidate": record.candidate,
        "etude.seed": str(record.seed),
        "etude.device": record.device,
        "etude.precision": record.precision,
        "etude.stopped": record.stopped,
    }
    return tags if record.fold is None else tags | {"etude.fold": str(record.fold)}


def _name(candidate: str, seed: int, fold: int | None) -> str:
    return f"{candidate}, seed {seed}" + ("" if fold is None else f", fold {fold}")


def _quote(value: str) -> str:
    """Write a text as MLflow's filters take it, which know no way to write their own quotes within."""
    return f'"{value}"' if "'" in value else f"'{value}'"


def _milliseconds(moment: str) -> int:
    return int(datetime.fromisoformat(moment).timestamp() * 1000)
