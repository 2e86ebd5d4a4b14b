"""Finished runs are mirrored into MLflow once, and a tracker that is out stops no run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.integration.mlflow_server import serving

from etude import Study
from etude.core.search_record import SearchRecord, TrialRecord
from etude.core.study_record import RunRef, StudyRecord
from etude.core.watch import Silent
from etude.study.tracking import TrackConfig, list_metrics, make_mirror

STUDY = """
study: mirrored
data: {{source: shapes, split: {{train_items: 100, validation: 0.2}}}}
prepare: {{size_px: 16, normalize: half}}
train: {{epochs: 2, batch: 32, optimizer: {{name: adamw, lr: 0.01}}, precision: fp32}}
candidates:
  linear: {{model: {{name: mlp, widths: []}}}}
  majority: {{model: majority}}
track: {track}
"""


class Hearing(Silent):
    def __init__(self):
        self.heard = []

    def said(self, text):
        self.heard.append(text)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Where the study was run, without a tracker."""
    folder = tmp_path_factory.mktemp("results")
    Study.from_text(STUDY.format(track="null")).run(folder)
    return folder


@pytest.fixture(params=["file", "server"])
def address(request, tmp_path):
    """Where runs are mirrored: a local SQLite store, or a server on this machine."""
    pytest.importorskip("mlflow")
    if request.param == "file":
        yield f"sqlite:///{tmp_path}/store.db"
    else:
        with serving(tmp_path) as url:
            yield url


@pytest.mark.slow
def test_runs_are_mirrored_once_with_parameters_metrics_by_epoch_and_files(address, results, tmp_path, monkeypatch):
    from mlflow import MlflowClient

    monkeypatch.chdir(tmp_path)
    text, watch = STUDY.format(track=f"{{name: mlflow, url: '{address}'}}"), Hearing()
    for _ in range(2):
        result = Study.from_text(text).run(results, watch=watch)  # finished runs too, each once
    assert not [told for told in watch.heard if told.startswith("track:")]
    client = MlflowClient(tracking_uri=address)
    experiment = client.get_experiment_by_name("mirrored")
    runs = client.search_runs([experiment.experiment_id])
    assert len(runs) == 2
    assert {run.info.status for run in runs} == {"FINISHED"}
    run = next(run for run in runs if run.data.tags["etude.candidate"] == "linear")
    assert run.info.run_name == "linear, seed 0"
    assert {"etude.study": "mirrored", "etude.seed": "0", "etude.stopped": "complete"}.items() <= run.data.tags.items()
    record = StudyRecord.load(result.folder / "study.json")
    identity = run.data.tags["etude.identity"]
    assert identity in {ref.identity for ref in record.runs}
    assert run.data.params["train.epochs"] == "2"
    assert run.data.params["train.optimizer.lr"] == "0.01"
    assert run.data.params["model.name"] == "mlp"
    lines = (result.folder / "runs" / identity / "history.jsonl").read_text().splitlines()
    losses = client.get_metric_history(run.info.run_id, "train_loss")
    assert {entry.step: entry.value for entry in losses} == {
        line["epoch"]: line["train_loss"] for line in map(json.loads, lines)
    }
    row = next(row for row in record.leaderboard if row.candidate == "linear")
    assert run.data.metrics["test.accuracy"] == row.score
    names = {"run.json", "history.jsonl", "model.safetensors", "predictions.parquet"}
    assert {entry.path for entry in client.list_artifacts(run.info.run_id)} == names
    for name in names:
        sent = client.download_artifacts(run.info.run_id, name, str(tmp_path))
        assert Path(sent).read_bytes() == (result.folder / "runs" / identity / name).read_bytes()


def test_a_tracker_that_is_out_is_said_once_and_stops_nothing(tmp_path, monkeypatch):
    pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    watch = Hearing()
    text = STUDY.format(track="{name: mlflow, url: 'http://127.0.0.1:9'}")
    result = Study.from_text(text).run(tmp_path, watch=watch)
    assert all(ref.status == "finished" for ref in result.record.runs)
    assert len([text for text in watch.heard if text.startswith("track: MLflow cannot be written to")]) == 1


def test_without_a_tracker_identities_are_as_they_were(tmp_path):
    plain = Study.from_text(STUDY.format(track="null"))
    assert plain.config.track is None
    assert Study.from_text(STUDY.format(track="mlflow")).config.track == TrackConfig()
    make_mirror(None, "x", Silent()).mirror(None, tmp_path)


def test_metrics_of_a_run_without_history_are_its_scores(results):
    record = StudyRecord.load(results / "mirrored" / "study.json")
    ref = next(ref for ref in record.runs if ref.candidate == "majority")
    from etude.core.run_record import RunRecord

    folder = results / "mirrored" / "runs" / ref.identity
    found = {name: value for name, value, _ in list_metrics(RunRecord.load(folder / "run.json"), folder)}
    assert found["test.accuracy"] == pytest.approx(0.1)
    assert "cost.params" in found


@pytest.fixture
def store(tmp_path):
    """A local store, and what stands in it of the study `breeds`, by name."""
    pytest.importorskip("mlflow")
    from mlflow import MlflowClient

    url = f"sqlite:///{tmp_path}/store.db"
    mirror = make_mirror(TrackConfig(url=url), "breeds", Hearing())

    def runs():
        client = MlflowClient(tracking_uri=url)
        experiment = client.get_experiment_by_name("breeds")
        return {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}, client

    return mirror, runs


def test_failed_runs_trials_and_the_report_are_mirrored_once(store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    mirror, runs = store
    failed = RunRef(
        candidate="a 'b'", seed=1, fold=2, identity="f" * 16, status="failed", failure="The loss is no number."
    )
    given = {"search": "s", "phase": "random"}
    trials = (
        TrialRecord(
            number=0,
            state="complete",
            settings={"train.optimizer.lr": 0.1},
            score=0.7,
            epochs=2,
            scores={1: 0.5, 2: 0.7},
            **given,
        ),
        TrialRecord(number=1, state="pruned", settings={"train.optimizer.lr": 0.01}, score=0.3, epochs=1, **given),
        TrialRecord(number=2, state="failed", settings={"train.optimizer.lr": 30.0}, failure="It diverged.", **given),
        TrialRecord(number=3, state="running", settings={"train.optimizer.lr": 0.2}, **given),
    )
    search = SearchRecord(
        study="breeds", candidate="found", of="plain", metric="accuracy", higher_is_better=True, sampler="random",
        pruner="median", n_trials=4, seed=0, parameters=(), trials=trials,
    )  # fmt: skip
    page = tmp_path / "note.en.html"
    for text in ("one", "two"):  # a second call adds nothing; a report takes the place of the one before
        page.write_text(text)
        mirror.mirror_failure(failed)
        mirror.mirror_search(search)
        mirror.mirror_report([page, tmp_path])
    assert not mirror.watch.heard
    found, client = runs()
    assert set(found) == {
        "a 'b', seed 1, fold 2", "search found", "found, trial 0", "found, trial 1", "found, trial 2", "report breeds",
    }  # fmt: skip
    run = found["a 'b', seed 1, fold 2"]
    assert (run.info.status, run.data.tags["etude.failure"]) == ("FAILED", "The loss is no number.")
    first, second, third = (found[f"found, trial {n}"] for n in range(3))
    assert first.data.tags["mlflow.parentRunId"] == found["search found"].info.run_id
    assert first.data.params == {"train.optimizer.lr": "0.1"}
    assert first.data.metrics["score"] == 0.7
    steps = client.get_metric_history(first.info.run_id, "validation_score")
    assert {entry.step: entry.value for entry in steps} == {1: 0.5, 2: 0.7}
    assert (second.info.status, second.data.tags["etude.state"]) == ("FINISHED", "pruned")
    assert (third.info.status, third.data.tags["etude.failure"]) == ("FAILED", "It diverged.")
    (artifact,) = client.list_artifacts(found["report breeds"].info.run_id)
    sent = client.download_artifacts(found["report breeds"].info.run_id, artifact.path, str(tmp_path))
    assert Path(sent).read_text() == "two"


def test_a_run_that_was_cut_off_while_it_was_sent_is_sent_anew(store, results, tmp_path, monkeypatch):
    from etude.core.run_record import RunRecord

    monkeypatch.chdir(tmp_path)
    mirror, runs = store
    ref = next(ref for ref in StudyRecord.load(results / "mirrored" / "study.json").runs if ref.candidate == "linear")
    folder = results / "mirrored" / "runs" / ref.identity
    record = RunRecord.load(folder / "run.json")

    def die(*_given, **_more):
        raise KeyboardInterrupt

    mirror._connect()
    with monkeypatch.context() as cut, pytest.raises(KeyboardInterrupt):
        cut.setattr(mirror._client, "set_terminated", die)
        mirror.mirror(record, folder)
    found, _ = runs()
    assert [run.info.status for run in found.values()] == ["RUNNING"]
    for _ in range(2):
        mirror.mirror(record, folder)
    _, client = runs()
    experiment = client.get_experiment_by_name("breeds")
    assert [run.info.status for run in client.search_runs([experiment.experiment_id])] == ["FINISHED"]


def test_without_an_address_the_store_is_mlflows_own(results, tmp_path, monkeypatch):
    pytest.importorskip("mlflow")
    from mlflow import MlflowClient

    from etude.core.run_record import RunRecord

    own = f"sqlite:///{tmp_path}/own.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", own)
    monkeypatch.chdir(tmp_path)
    ref = next(ref for ref in StudyRecord.load(results / "mirrored" / "study.json").runs if ref.candidate == "linear")
    folder = results / "mirrored" / "runs" / ref.identity
    mirror = make_mirror(TrackConfig(), "breeds", heard := Hearing())
    mirror.mirror(RunRecord.load(folder / "run.json"), folder)
    assert heard.heard == []
    client = MlflowClient(tracking_uri=own)
    (run,) = client.search_runs([client.get_experiment_by_name("breeds").experiment_id])
    assert run.data.tags["etude.identity"] == ref.identity


def test_another_sentence_of_a_failure_is_another_run_there(store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    mirror, runs = store
    ref = RunRef(candidate="a", seed=0, identity="e" * 16, status="failed", failure="Out of memory.")
    mirror.mirror_failure(ref)
    mirror.mirror_failure(ref.model_copy(update={"failure": "The loss is no number."}))
    _, client = runs()
    experiment = client.get_experiment_by_name("breeds")
    assert len(client.search_runs([experiment.experiment_id])) == 2
