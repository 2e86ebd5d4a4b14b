"""A study file: what it means, and what is said of its mistakes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml

from etude.core.errors import StudyFileError
from etude.study.file import StudyConfig
from etude.study.parse import parse_study
from etude.study.resolve import resolve_candidate, resolve_candidates
from etude.study.starter import starter_text
from etude.study.tasks import LADDERS
from etude.study.yaml_text import read_yaml


def problems(text: str, sets: list[str] | None = None) -> tuple[str, ...]:
    with pytest.raises(StudyFileError) as caught:
        parse_study(text, name="f.yaml", sets=sets or [])
    return caught.value.problems


def test_data_alone_runs_the_ladder() -> None:
    study = parse_study("data: {source: shapes}")
    assert list(study.candidates) == list(LADDERS["classification"])


def test_a_model_alone_is_one_candidate() -> None:
    study = parse_study("model: {name: cnn, widths: [8, 16]}")
    assert list(study.candidates) == ["cnn"]
    assert resolve_candidate(study, "cnn").model.given() == {"widths": [8, 16]}


def test_a_question_is_asked_in_one_language_or_in_several() -> None:
    assert parse_study("question: Which one?\ndata: {source: shapes}").asked == "Which one?"
    both = parse_study("question: {fr: 'Laquelle ?', en: 'Which one?'}\ndata: {source: shapes}")
    assert both.asked == "Laquelle\N{NO-BREAK SPACE}?"
    assert both.question == {"fr": "Laquelle ?", "en": "Which one?"}
    assert any("question" in told for told in problems("question: {de: 'Welches?'}\ndata: {source: shapes}"))


STUDIES = sorted((Path(__file__).parents[3] / "studies").glob("*.yaml"))


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_the_studies_of_the_repository_are_read_and_ask_in_each_language_of_their_report(path: Path) -> None:
    text = path.read_text("utf-8")
    given, _, _ = read_yaml(text, path.name)
    assert given["study"] == path.stem
    assert set(given["question"]) == set(given.get("report", {}).get("languages", ("en", "fr")))
    wrong: tuple[str, ...] = ()
    try:
        parse_study(text, name=str(path))
    except StudyFileError as error:
        wrong = error.problems
    # Where no pretrained weights are at hand, they are all that is missing.
    assert all("weights are neither" in problem for problem in wrong)


def test_words_of_yaml_1_1_stay_words_and_powers_are_numbers() -> None:
    value, lines, twice = read_yaml("a: no\nb: 1e-3\nc: [on, 3, 2.5, true]\n", "f")
    assert value == {"a": "no", "b": 0.001, "c": ["on", 3, 2.5, True]}
    assert lines[("c", 1)] == 3
    assert twice == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("train: {epochs: -1}", "line 1: train.epochs must be at least 0. Got -1."),
        ("train:\n  batch: many", "line 2: train.batch must be a whole number. Got 'many'."),
        ("train:\n  optimizer: adamm", "line 2: train.optimizer must be one of 'sgd', 'adamw' or 'muon'. Got 'adamm'. Did you mean 'adamw'?"),
        ("data:\n  sorce: x", "line 2: data.sorce is not a field. Did you mean 'source'?"),
        ("candidates:\n  a: {model: cnn, train: {ephocs: 3}}", "line 2: candidates.a.train.ephocs is not a field. Did you mean 'epochs'?"),
        ("candidates:\n  a: {model: cnn, augment: flp}", "line 2: candidates.a.augment: augment.use: unknown name 'flp'. Did you mean 'flip'?"),
        ("candidates:\n  a: {extends: b}\n  b: {extends: a, model: cnn}", "line 2: candidates.a.extends goes in a circle: a → b → a."),
        ("baseline: b\ncandidates: {a: {model: cnn}}", "line 1: baseline: there is no candidate 'b'. Candidates: a."),
        ("protocol: {seeds: 0}", "line 1: protocol.seeds: must be at least one seed"),
        ("protocol: {seeds: [1, 1]}", "line 1: protocol.seeds: must not name a seed twice"),
        ("protocol: {budget: soon}", "line 1: protocol.budget: must be a duration such as 90s, 60min or 4h"),
        ("train: {epochs: 1}\ntrain: {epochs: 2}", "line 2: train is given twice (first in line 1)."),
        ("study: a b", "line 1: study must be letters, digits, '.', '_' and '-', without spaces. Got 'a b'."),
        ("candidates:\n  a: {train: {epochs: 3}}", "line 2: candidates.a must have a model. Give `model: cnn`, say; `etude models list` names all."),
    ],
)  # fmt: skip
def test_a_mistake_says_line_rule_and_nearest_name(text: str, told: str) -> None:
    assert told in problems(text)


def test_all_mistakes_come_together_in_the_order_of_lines() -> None:
    told = problems(
        "dta: {}\ntrain: {epochs: x, lr: 3}\ncandidates:\n  a: {model: cn}\n  b: {extends: c, model: mlp}\n",
        ["train.batch=0"],
    )
    assert len(told) == 6
    assert told[0].startswith("--set train.batch: train.batch must be at least 1")
    assert [line.split(":")[0] for line in told[1:]] == ["line 1", "line 2", "line 2", "line 4", "line 5"]


def test_set_overrides_any_field() -> None:
    study = parse_study(
        "train: {optimizer: sgd}\ncandidates: {a: {model: cnn}}",
        sets=["train.epochs=5", "train.optimizer.lr=0.3", "candidates.a.model.widths=[4, 8]", "protocol.seeds=[3, 5]"],
    )
    candidate = resolve_candidate(study, "a")
    assert candidate.train.epochs == 5
    assert candidate.train.optimizer.lr == 0.3
    assert candidate.model.given() == {"widths": [4, 8]}
    assert study.protocol.seed_list == (3, 5)


def test_set_reaches_into_what_is_written_in_short_and_not_into_lists() -> None:
    text = (
        "data: {source: digits}\ncandidates: {a: {model: cnn, augment: [flip, shift]}, b: {model: cnn, augment: none}}"
    )
    study = parse_study(text, sets=["candidates.a.augment.strength=1.5", "candidates.b.augment.copies=2"])
    a, b = resolve_candidate(study, "a").augment, resolve_candidate(study, "b").augment
    assert (a.use, a.strength) == (("flip", "shift"), 1.5), "the augmentations were lost"
    assert (b.use, b.copies) == ((), 2)
    more = text + "\nablations: [{of: a, vary: train.epochs, over: [3]}]"
    (told,) = problems(more, sets=["ablations.0.over=[4]"])
    assert told == "--set ablations.0.over=[4]: ablations is a list. Give it whole, as ablations=[…]."


def test_not_yaml_says_the_line() -> None:
    with pytest.raises(StudyFileError, match=r"f.yaml, line 2: is not YAML"):
        parse_study("train: {epochs: 1}\n  x: [", name="f.yaml")


def test_a_checkpoint_keeps_its_statistics_too(tmp_path: Path) -> None:
    (tmp_path / "own.safetensors").touch()
    text = f"model: {{name: cnn, checkpoint: {tmp_path / 'own.safetensors'}}}\ndata: {{source: shapes}}"
    assert resolve_candidate(parse_study(text), "cnn").finetune.norm == "frozen"


def test_pretrained_weights_keep_their_statistics_where_nothing_else_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mobilenetv2_100.safetensors").touch()
    monkeypatch.setenv("ETUDE_WEIGHTS", str(tmp_path))
    text = "model: {name: mobilenetv2_100, weights: imagenet}\ndata: {source: shapes}\nfinetune: "
    ways = {"gradual": "frozen", "all": "frozen", "{name: all, norm: trained}": "trained"}
    for given, norm in ways.items():
        study = parse_study(text + given)
        (candidate,) = resolve_candidates(study).values()
        assert candidate.finetune.norm == norm
    drawn = parse_study("model: cnn\ndata: {source: shapes}")
    assert resolve_candidate(drawn, "cnn").finetune.norm is None


def test_random_weights_have_no_statistics_to_keep() -> None:
    (told,) = problems("model: cnn\ndata: {source: shapes}\nfinetune: {norm: frozen}")
    assert "finetune.norm must be trained or left out, as the network starts from random weights" in told


@pytest.mark.parametrize(
    ("field", "path"), [("optimizer: {lr: 0.0001}", "optimizer"), ("average: {decay: 0.9}", "average")]
)
@pytest.mark.parametrize("task", ["generation", "segmentation"])
def test_one_field_of_a_group_leaves_the_others_at_what_the_task_starts_from(task, field, path):
    source = "{source: animals, classes: [red_panda]}" if task == "generation" else "{source: camvid}"
    text = f"task: {task}\ndata: {source}\n"
    plain = getattr(parse_study(text).train, path)
    given = yaml.safe_load(field)[path]
    changed = getattr(parse_study(f"{text}train: {{{field}}}\n").train, path)
    assert changed.name == plain.name
    assert changed == plain.model_copy(update=given)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("model: cnn\ntrain: {epochs: 1}\nfinetune:\n  name: all\n  norm: frozen\n", 6),
        ("finetune: {norm: frozen}\ncandidates:\n  small: {model: cnn}\nbaseline: small\n", 2),
        ("candidates:\n  small:\n    model: cnn\n    finetune: {norm: frozen}\nbaseline: small\n", 5),
        ("candidates:\n  small:\n    model: cnn\n    combine: {windows: sliding}\nbaseline: small\n", 5),
        ("task: generation\ncandidates:\n  drawn: {model: dcgan}\nfinetune: gradual\n", 5),
    ],
)
def test_what_a_candidate_cannot_have_is_told_at_the_line_of_the_field(text, line):
    with pytest.raises(StudyFileError) as caught:
        parse_study(f"data: {{source: digits}}\n{text}")
    assert [problem.split(":")[0] for problem in caught.value.problems] == [f"line {line}"]


def test_candidates_inherit_and_override() -> None:
    study = parse_study("""
train: {epochs: 7, optimizer: {name: sgd, lr: 0.5}}
augment: [flip]
candidates:
  plain: {model: {name: cnn, widths: [8, 16], dropout: 0.1}, augment: none}
  wide: {extends: plain, model: {widths: [32, 64]}}
  other: {extends: plain, model: mlp, train: {optimizer: adamw}}
  default: {model: cnn}
""")
    made = resolve_candidates(study)
    assert made["plain"].augment.use == ()
    assert made["default"].augment.use == ("flip",)
    assert made["wide"].model.given() == {"widths": [32, 64], "dropout": 0.1}
    assert made["wide"].train.epochs == 7
    assert made["other"].model.given() == {}
    assert made["other"].train.optimizer.lr is None, "one optimiser's learning rate says nothing about another's"
    assert made["other"].train.optimizer.peak_lr == 1e-3


def test_the_schema_accepts_what_we_accept() -> None:
    schema = StudyConfig.model_json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    for text in (starter_text("mine"), *(path.read_text() for path in _study_files())):
        jsonschema.validate(yaml.safe_load(text), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"train": {"epohs": 3}}, schema)
    assert all("description" in field for field in schema["properties"].values()), json.dumps(schema["properties"])


def _study_files() -> list[Path]:
    root = Path(__file__).parents[3]
    return [*sorted((root / "studies").glob("*.yaml")), *sorted((root / "src/etude/study/embedded").glob("*.yaml"))]


def test_the_starter_and_our_studies_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mobilenetv2_100.safetensors").write_bytes(
        b""
    )  # a study says which weights it needs; none are read here
    monkeypatch.setenv("ETUDE_WEIGHTS", str(tmp_path))
    parse_study(starter_text("mine"))
    for path in _study_files():
        parse_study(path.read_text(), name=path.name, base=path.parent)


class TestTogether:
    """What is valid in its place, and means something else, or nothing, once it is laid over the rest."""

    def candidate(self, text: str, name: str = "b"):
        return resolve_candidate(parse_study("data: {source: shapes}\n" + text), name)

    @pytest.mark.parametrize("optimizer", ["adamw", "{name: muon}"])
    def test_another_optimiser_than_the_default_keeps_no_learning_rate_of_it(self, optimizer: str) -> None:
        text = (
            "train: {optimizer: {lr: 0.1}}\ncandidates: {a: {model: cnn}, "
            f"b: {{model: cnn, train: {{optimizer: {optimizer}}}}}}}"
        )
        assert self.candidate(text).train.optimizer.lr is None
        assert self.candidate(text, "a").train.optimizer.lr == 0.1

    def test_an_ablation_over_optimisers_does_not_either(self) -> None:
        text = (
            "train: {optimizer: {lr: 0.1}}\ncandidates: {a: {model: cnn}}\n"
            "ablations: [{of: a, vary: train.optimizer, over: [adamw]}]"
        )
        assert self.candidate(text, "a train.optimizer=adamw").train.optimizer.lr is None

    def test_another_schedule_keeps_no_end_of_the_default(self) -> None:
        text = "train: {schedule: {end: 0.3}}\ncandidates: {b: {model: cnn, train: {schedule: step}}}"
        assert self.candidate(text).train.schedule.end == 0.0

    @pytest.mark.parametrize(
        ("above", "own", "length"),
        [
            ("steps: 1000", "epochs: 100", (100, None, None)),
            ("budget: 3min", "steps: 100", (10, 100, None)),
            ("steps: 100", "budget: 3min", (10, None, 180.0)),
            ("epochs: 20", "steps: 100", (20, 100, None)),
        ],
    )
    def test_the_length_that_a_candidate_gives_stands(self, above: str, own: str, length: tuple) -> None:
        train = self.candidate(f"train: {{{above}}}\ncandidates: {{b: {{model: cnn, train: {{{own}}}}}}}").train
        assert (train.epochs, train.steps, train.budget) == length

    @pytest.mark.parametrize(
        ("above", "own", "told"),
        [
            ("accumulate: 8", "batch: 4", "train.accumulate must be at most train.batch"),
            ("crop_px: [32, 32], balanced_crops: 0.5", "crop_px: null", "train.balanced_crops must go with"),
            ("keep: last", "early_stopping: 5", "train.early_stopping must go with train.keep: best"),
        ],
    )
    def test_what_clashes_once_it_is_put_together_is_a_mistake_with_its_line(
        self, above: str, own: str, told: str
    ) -> None:
        text = (
            f"task: segmentation\ndata: {{source: streets}}\ntrain: {{{above}}}\ncandidates:\n"
            f"  b: {{model: unet-mini, train: {{{own}}}}}"
        )
        with pytest.raises(StudyFileError, match=rf"line \d: candidates\.b: {re.escape(told)}"):
            parse_study(text)

    def test_what_fits_once_it_is_put_together_is_taken(self) -> None:
        text = (
            "task: segmentation\ndata: {source: streets}\ntrain: {crop_px: [32, 32]}\n"
            "candidates: {b: {model: unet-mini, train: {balanced_crops: 0.5}}}"
        )
        assert "b" in parse_study(text).candidates
