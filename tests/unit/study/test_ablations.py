"""Ablations: which candidates a field varied makes, and what is said of mistakes."""

from __future__ import annotations

import pytest

from etude.core.errors import StudyFileError
from etude.study.ablations import expand_ablations, written_candidates
from etude.study.file import StudyConfig
from etude.study.parse import parse_study
from etude.study.resolve import resolve_candidate

PLAIN = "candidates:\n  plain: {model: {name: cnn, widths: [8, 16]}, augment: none}\nablations:\n"


def study_of(*ablations: str, candidates: str = PLAIN) -> StudyConfig:
    return parse_study(candidates + "".join(f"  - {{{line}}}\n" for line in ablations))


def problems(*ablations: str) -> tuple[str, ...]:
    with pytest.raises(StudyFileError) as caught:
        study_of(*ablations)
    return caught.value.problems


def uses(study: StudyConfig) -> dict[str, tuple[str, ...]]:
    return {name: resolve_candidate(study, name).augment.use for name in study.candidates}


def test_augmentations_each_alone_all_and_all_but_each() -> None:
    study = study_of("of: plain, vary: augment.use, over: [flip, shift, cutout], combine: [each, all, all-but-each]")
    assert uses(study) == {
        "plain": (),
        "plain+flip": ("flip",),
        "plain+shift": ("shift",),
        "plain+cutout": ("cutout",),
        "plain+all": ("flip", "shift", "cutout"),
        "plain+all-but-flip": ("shift", "cutout"),
        "plain+all-but-shift": ("flip", "cutout"),
        "plain+all-but-cutout": ("flip", "shift"),
    }


def test_augmentations_come_on_top_of_what_there_is() -> None:
    given = PLAIN.replace("augment: none", "augment: [flip]")
    study = study_of("of: plain, vary: augment.use, over: [noise, cutout], combine: [all-but-each]", candidates=given)
    assert uses(study)["plain+all-but-noise"] == ("flip", "cutout")


@pytest.mark.parametrize("combine", ["[each, all, all-but-each]", "[all-but-each, each]", "[all-but-each, all, each]"])
def test_what_leaves_one_out_is_compared_with_the_one_that_has_all(combine: str) -> None:
    study = study_of(f"of: plain, vary: augment.use, over: [flip, shift, cutout], combine: {combine}")
    added, left_out = expand_ablations(study).groups
    assert (added.name, added.of, added.varied) == ("plain: augment.use", "plain", "plain")
    assert set(added.candidates) == {"plain+flip", "plain+shift", "plain+cutout", "plain+all"}
    assert (left_out.name, left_out.of, left_out.varied) == ("plain+all: augment.use", "plain+all", "plain")
    assert left_out.candidates == ("plain+all-but-flip", "plain+all-but-shift", "plain+all-but-cutout")
    assert written_candidates(study, (added, left_out)) == ["plain"]


def test_the_one_that_has_all_is_made_where_only_leaving_out_is_asked_for() -> None:
    study = study_of("of: plain, vary: augment.use, over: [flip, shift, cutout], combine: all-but-each")
    assert uses(study)["plain+all"] == ("flip", "shift", "cutout")
    assert [group.candidates for group in expand_ablations(study).groups] == [
        ("plain+all",),
        ("plain+all-but-flip", "plain+all-but-shift", "plain+all-but-cutout"),
    ]


def test_of_two_augmentations_all_but_one_is_the_other() -> None:
    study = study_of("of: plain, vary: augment.use, over: [flip, shift], combine: [each, all, all-but-each]")
    assert list(study.candidates) == ["plain", "plain+flip", "plain+shift", "plain+all"]
    added, left_out = expand_ablations(study).groups
    assert added.candidates == ("plain+flip", "plain+shift", "plain+all")
    assert (left_out.of, left_out.candidates) == ("plain+all", ("plain+shift", "plain+flip"))


def test_of_one_augmentation_none_is_left_out() -> None:
    study = study_of("of: plain, vary: augment.use, over: [flip], combine: [each, all, all-but-each]")
    (added,) = expand_ablations(study).groups
    assert added.candidates == ("plain+flip",)


def test_a_field_takes_each_value_but_the_one_it_has() -> None:
    study = study_of(
        "of: plain, vary: prepare.fit, over: [stretch, crop, letterbox]",
        "of: plain, vary: train.optimizer.lr, over: [0.1, 0.03]",
        "of: plain, vary: model.widths, over: [[8, 16], [32, 64]]",
        "of: plain, vary: train.optimizer, over: [{name: adamw, lr: 0.002}]",
    )
    assert list(study.candidates) == [
        "plain",
        "plain prepare.fit=crop",
        "plain prepare.fit=letterbox",
        "plain train.optimizer.lr=0.03",  # 0.1 is the optimiser's own
        "plain model.widths=[32, 64]",
        "plain train.optimizer={name: adamw, lr: 0.002}",
    ]
    made = resolve_candidate(study, "plain train.optimizer.lr=0.03")
    assert made.train.optimizer.lr == 0.03
    assert made.model == resolve_candidate(study, "plain").model
    assert resolve_candidate(study, "plain train.optimizer={name: adamw, lr: 0.002}").train.optimizer.name == "adamw"


def test_training_set_size_is_a_field_of_a_candidate() -> None:
    study = study_of("of: plain, vary: data.split.train_items, over: [100, 400]")
    assert resolve_candidate(study, "plain data.split.train_items=100").train_items == 100
    assert resolve_candidate(study, "plain").train_items is None


def test_an_ablation_may_vary_what_an_earlier_one_made() -> None:
    study = study_of("of: plain, vary: augment.use, over: [flip]", "of: plain+flip, vary: augment.strength, over: [2]")
    made = resolve_candidate(study, "plain+flip augment.strength=2")
    assert (made.augment.use, made.augment.strength) == (("flip",), 2)


def test_each_ablation_is_a_group_and_what_was_written_stays_apart() -> None:
    study = study_of(
        "of: plain, vary: augment.use, over: [flip]",
        "of: plain, vary: augment.use, over: [shift]",
        "of: plain, vary: prepare.fit, over: [crop]",
    )
    groups = expand_ablations(study).groups
    assert [group.name for group in groups] == ["plain: augment.use", "plain: augment.use (2)", "plain: prepare.fit"]
    assert groups[0].candidates == ("plain+flip",)
    assert written_candidates(study, groups) == ["plain"]


def test_expanding_twice_changes_nothing() -> None:
    study = study_of("of: plain, vary: augment.use, over: [flip, shift, noise], combine: [each, all-but-each]")
    again = expand_ablations(study)
    assert again.study == study
    assert [len(group.candidates) for group in again.groups] == [4, 3]
    assert again.mistakes == ()


@pytest.mark.parametrize(
    ("ablation", "told"),
    [
        ("of: plian, vary: prepare.fit, over: [crop]", "ablations.0.of: there is no candidate 'plian'. Did you mean 'plain'?"),
        ("of: plain, vary: train.optimiser.lr, over: [1]", "ablations.0.vary: 'train.optimiser' is not a field of a candidate. Did you mean 'optimizer'?"),
        ("of: plain, vary: extends, over: [1]", "ablations.0.vary: 'extends' is not a field of a candidate."),
        ("of: plain, vary: prepare.fit.x, over: [1]", "ablations.0.vary: 'prepare.fit.x' is not a field of a candidate."),
        ("of: plain, vary: data.source, over: [cifar10]", "ablations.0.vary: 'data.source' is not a field of a candidate. Known: split, generated."),
        ("of: plain, vary: train.batch, over: [64, 0]", "train.batch must be at least 1. Got 0."),
        ("of: plain, vary: train.batch, over: [64, 64]", "ablations.0.over must not name 64 twice."),
        ("of: plain, vary: train.batch, over: []", "ablations.0.over must be a list of at least 1. Got []."),
        ("of: plain, vary: model.dropot, over: [0.1]", "model cnn: parameter: unknown name 'dropot'. Did you mean 'dropout'"),
        ("of: plain, vary: augment.use, over: [flp]", "ablations.0.over: there is no augmentation 'flp'. Did you mean 'flip'?"),
        ("of: plain, vary: train.batch, over: [64], combine: all", "ablations.0.combine must be 'each' where train.batch is varied"),
        ("of: plain, vary: augment.use, over: [flip], combine: al", "ablations.0.combine must be one of 'each', 'all' or 'all-but-each'. Got 'al'. Did you mean 'all'?"),
        ("of: plain, vray: train.batch, over: [64]", "ablations.0.vray is not a field. Did you mean 'vary'?"),
    ],
)  # fmt: skip
def test_a_mistake_says_line_rule_and_nearest_name(ablation: str, told: str) -> None:
    found = problems(ablation)
    assert any(line.startswith("line 4: ") and told in line for line in found), found


def test_a_mistake_in_one_ablation_does_not_hide_that_of_another() -> None:
    found = problems("of: plain, vary: train.batch, over: [0]", "of: nobody, vary: train.batch, over: [8]")
    assert [line.split(":")[0] for line in found] == ["line 4", "line 5"]


def test_a_name_that_is_taken_is_told() -> None:
    given = PLAIN.replace("ablations", "  plain+flip: {model: mlp}\nablations")
    with pytest.raises(StudyFileError, match=r"line 5: candidate 'plain\+flip' is there already"):
        study_of("of: plain, vary: augment.use, over: [flip]", candidates=given)


def test_an_augmentation_that_is_there_already_is_told() -> None:
    given = PLAIN.replace("augment: none", "augment: flip")
    with pytest.raises(StudyFileError, match="'plain' has 'flip' already"):
        study_of("of: plain, vary: augment.use, over: [flip]", candidates=given)


def test_made_candidates_can_be_the_baseline_and_be_extended() -> None:
    given = "baseline: plain+flip\n" + PLAIN.replace(
        "ablations", "  more: {extends: plain+flip, augment: {strength: 2}}\nablations"
    )
    study = study_of("of: plain, vary: augment.use, over: [flip]", candidates=given)
    assert study.baseline == "plain+flip"
    assert resolve_candidate(study, "more").augment.use == ("flip",)
