"""Several networks that answer as one candidate: the mean of their probabilities, at the cost of all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from etude import Study
from etude.core.errors import MistakeError, StudyFileError
from etude.core.run_record import RunRecord
from etude.core.study_record import StudyRecord
from etude.core.words import Part
from etude.evaluate.predictions import Predictions
from etude.report.note import render_note
from etude.report.reading import read_study
from etude.report.words import Words
from etude.study.deploying import export_request
from etude.train import loop
from etude.train.state import load_tensors

TEXT = """
study: together
data: {source: shapes, split: {train_items: 120}}
prepare: {size_px: 32, normalize: half}
train: {epochs: 2, batch: 32, precision: fp32, optimizer: {name: adamw, lr: 0.003}}
baseline: plain
candidates:
  trio: {extends: plain, combine: {members: 3}}
  trio-tta: {extends: plain, combine: {members: 3, tta: flip}}
  plain: {model: {name: cnn, widths: [8]}}
protocol: {seeds: 2}
"""


def test_it_answers_with_the_mean_of_networks_that_no_other_run_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    seeds: list[int] = []
    real = loop.fit

    def fit(job, folder, watch):
        seeds.append(job.seed)
        return real(job, folder, watch)

    monkeypatch.setattr("etude.train.finish.fit", fit)
    record = Study.from_text(TEXT).run(tmp_path).record
    assert sorted(seeds) == [0, 1, 10_000, 10_001, 20_000, 20_001]  # nothing is trained twice

    folder = tmp_path / "together" / "runs"
    runs = {(run.candidate, run.seed): run for run in (RunRecord.load(path) for path in folder.glob("*/run.json"))}
    refs = {(ref.candidate, ref.seed): ref.identity for ref in record.runs}
    for seed in (0, 1):
        parts = [
            run for (name, own), run in runs.items() if own % 10_000 == seed and "tta" not in name and name != "trio"
        ]
        assert len(parts) == 3
        answers = [Predictions.read(folder / run.identity / "predictions.parquet", Part.TEST) for run in parts]
        together = Predictions.read(folder / refs["trio", seed] / "predictions.parquet", Part.TEST)
        mean_NK = np.mean([entry.probabilities for entry in answers], axis=0)
        np.testing.assert_allclose(together.probabilities, mean_NK, atol=2e-6)
        trio = RunRecord.load(folder / refs["trio", seed] / "run.json")
        assert trio.cost.seconds == pytest.approx(sum(run.cost.seconds for run in parts))
        assert trio.cost.params == 3 * parts[0].cost.params
        assert trio.cost.macs == 3 * parts[0].cost.macs
    asked_once, views = (
        Predictions.read(folder / refs[name, 0] / "predictions.parquet", Part.TEST).probabilities
        for name in ("trio", "trio-tta")
    )
    assert np.abs(views - asked_once).max() > 1e-5
    trained = [run for (name, _), run in runs.items() if name not in ("trio", "trio-tta")]
    assert record.seconds == pytest.approx(sum(run.cost.seconds for run in trained))  # each training once
    verdicts = {verdict.candidate: verdict.n_pairs for verdict in record.verdicts}
    assert verdicts == {"trio": 2, "trio-tta": 2}


FOLDS = """
study: over
data: {source: shapes, split: {train_items: 90, validation: 0.2}}
prepare: {size_px: 16, normalize: half}
train: {epochs: 2, batch: 16, precision: fp32, optimizer: {name: adamw, lr: 0.003}}
baseline: other
candidates:
  other: {model: majority}
  plain: {model: {name: cnn, widths: [4]}}
  over-folds: {extends: plain, combine: {folds: 3}}
  over-folds-tta: {extends: plain, combine: {folds: 3, tta: flip}}
  last: {extends: plain, combine: {last_epochs: 2}}
  soup: {extends: plain, combine: {members: 2, average: weights}}
"""


@pytest.fixture(scope="module")
def combined(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, StudyRecord, list[tuple[str, set[str]]]]:
    """Every kind of combination in one study: its folder, its record, and what each training was given."""
    trained: list[tuple[str, set[str]]] = []
    real = loop.fit

    def fit(job, folder, watch):
        trained.append((job.label, set(job.item_ids(job.parts("validation").indices_N).tolist())))
        return real(job, folder, watch)

    folder = tmp_path_factory.mktemp("over")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("etude.train.finish.fit", fit)
        record = Study.from_text(FOLDS).run(folder).record
    return folder / "over", record, trained


def run_of(combined: tuple[Path, StudyRecord, object], candidate: str) -> RunRecord:
    folder, record, _ = combined
    (identity,) = (ref.identity for ref in record.runs if ref.candidate == candidate)
    return RunRecord.load(folder / "runs" / identity / "run.json")


def answers_of(combined: tuple[Path, StudyRecord, object], candidate: str, part: Part = Part.TEST) -> Predictions:
    return Predictions.read(combined[0] / "runs" / run_of(combined, candidate).identity / "predictions.parquet", part)


def weights_of(path: Path) -> dict[str, torch.Tensor]:
    return load_tensors(path)[0]


def test_networks_over_folds_hold_each_picture_out_once_and_share_the_test_part(combined):
    folder, _, trained = combined
    over_folds = [held_out for label, held_out in trained if label.startswith("over-folds")]
    assert len(trained) == 1 + 1 + 3 + 1, "majority, the plain one, three over folds, a second seed; nothing twice"
    assert len(over_folds) == 3
    assert (
        len(set.union(*over_folds))
        == sum(map(len, over_folds))
        == 90 + len(answers_of(combined, "plain", Part.VALIDATION).ids)
    )
    whole = answers_of(combined, "over-folds")
    assert not set(whole.ids.tolist()) & set.union(*over_folds)
    runs = [RunRecord.load(path) for path in folder.glob("runs/*/run.json")]
    members = [run for run in runs if run.candidate.startswith("over-folds, member")]
    parts = [Predictions.read(folder / "runs" / run.identity / "predictions.parquet", Part.TEST) for run in members]
    np.testing.assert_allclose(whole.probabilities, np.mean([p.probabilities for p in parts], axis=0), atol=2e-6)
    together = run_of(combined, "over-folds")
    assert together.cost.seconds == pytest.approx(sum(run.cost.seconds for run in members))
    assert any("learnt from pictures that others only choose on" in note for note in together.notes)


def test_on_validation_each_picture_is_answered_by_the_network_that_was_not_trained_on_it(combined):
    folder, _, _ = combined
    answered = answers_of(combined, "over-folds", Part.VALIDATION)
    own = {}
    for path in folder.glob("runs/*/run.json"):
        run = RunRecord.load(path)
        if run.candidate.startswith("over-folds, member"):
            part = Predictions.read(path.with_name("predictions.parquet"), Part.VALIDATION)
            own |= dict(zip(part.ids.tolist(), part.probabilities, strict=True))
    np.testing.assert_array_equal(answered.ids, answers_of(combined, "plain", Part.VALIDATION).ids)
    expected = np.array([own[name] for name in answered.ids.tolist()])
    np.testing.assert_allclose(answered.probabilities, expected, atol=2e-6)
    views = answers_of(combined, "over-folds-tta", Part.VALIDATION).probabilities
    assert np.abs(views - answered.probabilities).max() > 1e-5


def test_weights_are_averaged_into_one_network_that_costs_one(combined):
    folder, record, _ = combined
    plain, last, soup = (run_of(combined, name) for name in ("plain", "last", "soup"))
    epochs = sorted((folder / "runs" / plain.identity / "epochs").glob("*"))
    assert len(epochs) == 2
    others = [RunRecord.load(path) for path in folder.glob("runs/*/run.json")]
    (second,) = (run for run in others if run.candidate == "soup, member 2")
    sources = {
        last.identity: epochs,
        soup.identity: [folder / "runs" / run.identity / "model.safetensors" for run in (plain, second)],
    }
    for identity, files in sources.items():
        averaged = weights_of(folder / "runs" / identity / "model.safetensors")
        for name, tensor in averaged.items():
            if name.endswith("weight"):
                mean = torch.stack([weights_of(file)[name] for file in files]).mean(0)
                torch.testing.assert_close(tensor, mean)
    for run in (last, soup):
        assert (run.cost.params, run.cost.macs) == (plain.cost.params, plain.cost.macs)
        assert run.cost.seconds > plain.cost.seconds
    assert any("start from different draws" in note for note in soup.notes)
    assert {entry.candidate: (entry.of, entry.combine) for entry in record.combinations} == {
        "over-folds": ("plain", {"folds": 3}),
        "over-folds-tta": ("plain", {"folds": 3, "tta": "flip"}),
        "last": ("plain", {"last_epochs": 2}),
        "soup": ("plain", {"members": 2, "average": "weights"}),
    }
    verdict = record.verdict_between("last", "plain")
    assert verdict is not None
    assert verdict.group == "combinations of plain"


def test_a_run_that_kept_no_epochs_is_trained_again_for_those_who_average_them(combined, tmp_path):
    text = FOLDS.replace("  over-folds: {extends: plain, combine: {folds: 3}}\n", "")
    text = text.replace("  over-folds-tta: {extends: plain, combine: {folds: 3, tta: flip}}\n", "")
    text = text.replace("  soup: {extends: plain, combine: {members: 2, average: weights}}\n", "")
    before = Study.from_text(text.replace("  last: {extends: plain, combine: {last_epochs: 2}}\n", "")).run(tmp_path)
    (plain,) = (ref.identity for ref in before.record.runs if ref.candidate == "plain")
    assert not (tmp_path / "over/runs" / plain / "epochs").exists()
    after = Study.from_text(text).run(tmp_path).record
    (last,) = (ref.identity for ref in after.runs if ref.candidate == "last")
    ours = weights_of(tmp_path / "over/runs" / last / "model.safetensors")
    theirs = weights_of(combined[0] / "runs" / last / "model.safetensors")
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())


def test_averaged_weights_can_be_deployed_and_answers_of_several_networks_cannot(combined):
    folder = combined[0]
    for name in ("last", "soup"):
        request = export_request("over", folder.parent, run=run_of(combined, name).identity)
        kept = weights_of(request.weights)
        assert all(torch.equal(tensor, kept[key]) for key, tensor in request.model.state_dict().items())
    with pytest.raises(MistakeError, match=r"combine must be what one graph can answer.*'folds': 3"):
        export_request("over", folder.parent, run=run_of(combined, "over-folds").identity)


@pytest.mark.parametrize("language", ["en", "fr"])
def test_the_note_sets_gain_beside_cost(combined, language):
    page = render_note(read_study(combined[0]), Words(language))
    section = page.split('<section id="combinations"')[1].split("</section>")[0]
    rows = section.split("<tbody>")[1].split("</tr>")[:-1]
    assert [row.split("<th")[1].split(">")[1].split("<")[0] for row in rows] == [
        "plain",
        "over-folds",
        "over-folds-tta",
        "last",
        "soup",
    ]
    assert {"en": "answers of 3 networks over folds", "fr": "les réponses de 3 réseaux"}[language] in rows[1]
    latency = run_of(combined, "over-folds").cost.latency_ms
    assert Words(language).significant(latency) in rows[1]


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ("combine: {folds: 3, members: 2}", "combine must have one of members, folds and last_epochs"),
        ("combine: {folds: 3, average: weights}", "combine.average: weights must go with members"),
        ("combine: {last_epochs: 9}", r"combine.last_epochs must be at most train.epochs \(2\). Got 9"),
        ("combine: {last_epochs: 2}, finetune: gradual", "must go with another finetune than gradual"),
    ],
)
def test_what_cannot_be_combined_is_told(fields, told):
    with pytest.raises(StudyFileError, match=told):
        Study.from_text("train: {epochs: 2}\ncandidates: {one: {model: cnn, " + fields + "}}\n")


def test_masks_have_none(tmp_path: Path):
    with pytest.raises(StudyFileError, match=r"trio: combine.members must be left out"):
        Study.from_text(
            "task: segmentation\ndata: {source: streets}\ncandidates:\n"
            "  trio: {model: unet-mini, combine: {members: 3}}\n"
        )


def test_a_search_tries_one_network_and_what_it_finds_is_combined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    text = """
study: looked-for
data: {source: shapes, split: {train_items: 60, validation: 0.2}}
prepare: {size_px: 16, normalize: half}
train: {epochs: 1, batch: 16, precision: fp32}
candidates:
  pair: {model: {name: mlp, widths: [8]}, combine: {members: 2}}
search: {of: pair, space: {model.widths: [{choice: [[4], [12]]}]}, sampler: grid}
"""
    tried: list[str] = []
    real = loop.fit

    def fit(job, folder, watch):
        assert not job.members
        tried.append(job.label)
        return real(job, folder, watch)

    monkeypatch.setattr(loop, "fit", fit)
    record = Study.from_text(text).run(tmp_path).record
    assert tried == ["pair trial 1, seed 1000", "pair trial 2, seed 1000"]
    rows = {row.candidate: row for row in record.leaderboard}
    assert {"pair", "pair-searched"} == set(rows)
    (identity,) = (ref.identity for ref in record.runs if ref.candidate == "pair-searched")
    weights = weights_of(tmp_path / "looked-for" / "runs" / identity / "model.safetensors")
    assert {name.split(".")[1] for name in weights} == {"0", "1"}
