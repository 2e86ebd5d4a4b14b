"""Experiment trackers: finished runs mirrored into MLflow, for those who look there; one that is out stops no run."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol

from pydantic import BeforeValidator

from etude.core.errors import MissingPartError
from etude.core.records import Config
from etude.core.run_record import Epoch, RunRecord
from etude.core.watch import Watcher

_OF_EPOCH = ("train_loss", "train_score", "validation_loss", "validation_score", "lr", "images_per_s")
_OF_COST = (
    "seconds", "seconds_to_best", "images_per_s", "params", "macs", "memory_mb", "own_memory_mb", "latency_ms",
    "size_mb",
)  # fmt: skip
_FILES = ("run.json", "history.jsonl", "model.safetensors")
_MOST_PARAMS, _MOST_METRICS, _LONGEST = 90, 900, 500  # of what MLflow takes at once


class TrackConfig(Config):
    """Where finished runs are mirrored."""

    name: Literal["mlflow"] = "mlflow"
    """mlflow."""
    url: str | None = None
    """Address of its server or store; by default MLflow's own: `$MLFLOW_TRACKING_URI`, or a local file."""
    experiment: str | None = None
    """Name of the experiment there; by default the study's."""
    artifacts: bool = True
    """Whether record, history and weights are sent too."""


def _read_track(given: Any) -> Any:  # noqa: ANN401 - raw input
    """Accept a name for `{name: …}`."""
    return {"name": given} if isinstance(given, str) else given


Track = Annotated[TrackConfig, BeforeValidator(_read_track, json_schema_input_type=TrackConfig | str)]


class Mirror(Protocol):
    """Hears of finished runs."""

    def mirror(self, record: RunRecord, folder: Path) -> None:
        """Take a finished run, unless it was taken before; never raise for a tracker that is out."""


class NoMirror:
    """Hears of nothing."""

    def mirror(self, record: RunRecord, folder: Path) -> None:
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
        raise MissingPartError("track: mlflow is not installed. Install it with `pip install 'etude[track]'`.")
    return MlflowMirror(config, study, watch)


class MlflowMirror:
    """Writes each finished run once: parameters, metrics by epoch, scores, costs, tags, files."""

    def __init__(self, config: TrackConfig, study: str, watch: Watcher) -> None:
        self.config = config
        self.experiment = config.experiment or study
        self.watch = watch
        self._client: Any = None
        self._experiment_id = ""
        self._is_out = False

    def mirror(self, record: RunRecord, folder: Path) -> None:
        """Mirror a finished run that is not there yet; where the tracker fails, say so once and leave it."""
        if self._is_out:
            return
        try:
            self._connect()
            if not self._is_there(record):
                self._write(record, folder)
        except Exception as error:  # of many libraries: HTTP, databases, files
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

    def _is_there(self, record: RunRecord) -> bool:
        filter_text = f"tags.`etude.identity` = '{record.identity}' and attributes.status = 'FINISHED'"
        return bool(self._client.search_runs([self._experiment_id], filter_string=filter_text, max_results=1))

    def _write(self, record: RunRecord, folder: Path) -> None:
        from mlflow.entities import Metric, Param

        started, finished = _milliseconds(record.started_at), _milliseconds(record.finished_at)
        name = f"{record.candidate}, seed {record.seed}" + ("" if record.fold is None else f", fold {record.fold}")
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


def _milliseconds(moment: str) -> int:
    return int(datetime.fromisoformat(moment).timestamp() * 1000)
