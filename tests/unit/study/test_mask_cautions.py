"""A score of masks that would not compare with published ones is said to be such."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from etude.data.sources.streets import streets
from etude.study.cautions import mask_cautions
from etude.study.resolve import resolve_candidate
from etude.study.study import Study


def named(*classes):
    return SimpleNamespace(classes=classes)


@pytest.mark.parametrize(
    ("fields", "source", "words"),
    [
        ({}, None, []),
        ({"protocol": {"metric": "pixel_accuracy"}}, None, ["average over pixels"]),
        ({"protocol": {"resolution": "network"}}, None, ["192 × 256 px"]),
        ({"prepare": {"fit": "crop"}}, None, ["centre crop"]),
        ({}, named("void", "flat", "sky"), ["The class void is void by its name"]),
        ({}, named("sky", " Unlabelled"), ["The class  Unlabelled is void"]),
        ({}, named("VOID", "sky", "ignore"), ["The class VOID is void", "The class ignore is void"]),
        ({}, named("background", "avoided"), []),
    ],
)
def test_each_is_said_where_it_holds(fields, source, words):
    study = Study.from_dict({"task": "segmentation", "candidates": {"a": {"model": "unet-mini"}}, **fields}).config
    told = list(mask_cautions(study, resolve_candidate(study, "a"), source or streets(n_train=1, n_test=1, n_frames=1)))
    assert len(told) == len(words)
    assert all(word in sentence for word, sentence in zip(words, told, strict=True))
