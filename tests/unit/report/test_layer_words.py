"""Layers in words: a loss is a loss, a gain a gain, and what cannot be shown is said to be missing."""

from __future__ import annotations

import pytest

from etude.explain.records import LayerRow, LayersRecord
from etude.report.layer_words import tell_lacking, tell_layers
from etude.report.words import Words


def row(name, kind="dense", fall=None, shape=(16,)):
    return LayerRow(
        name=name, kind=kind, type="Linear", input_shape=(48,), output_shape=shape, params=10, trained=10, macs=10,
        fall_shuffled=fall,
    )  # fmt: skip


def record(*rows):
    return LayersRecord(
        network="mlp", size_px=(4, 4), rows=rows, params=20, macs=20, metric="accuracy", score=0.8, n_pictures=64
    )


def tell(*rows, language="en"):
    return " ".join(tell_layers(record(*rows), Words(language))).replace("\xa0", " ")


def test_a_layer_without_which_the_score_is_better_costs_nothing():
    text = tell(row("hidden", fall=0.31), row("head", "head", fall=-0.071))
    assert "Shuffling the weights of hidden costs most: 31.0 points." in text
    assert "With those of head shuffled, the score is better by 7.1 points" in text
    assert "−" not in text
    assert "meilleur de 7,1 points" in tell(row("a", fall=0.31), row("b", fall=-0.071), language="fr")


def test_a_small_loss_is_a_cost_and_none_is_none():
    assert "costs least: 2.0 points" in tell(row("a", fall=0.31), row("b", fall=0.02))
    assert "With those of b shuffled, the score stays as it is." in tell(row("a", fall=0.31), row("b", fall=0.0))
    assert "any one layer costs nothing" in tell(row("a", fall=-0.01), row("b", fall=-0.02))


@pytest.mark.parametrize(
    ("language", "first"), [("en", "What a layer sees is left out"), ("fr", "Ce que voit une couche manque")]
)
def test_a_network_without_maps_says_what_it_cannot_show(language, first):
    lacking = tell_lacking(record(row("hidden"), row("head", "head")), Words(language))
    assert lacking[0].startswith(first)
    assert "Grad-CAM" in lacking[1]
    assert all("mlp" in sentence for sentence in lacking)


def test_one_with_maps_lacks_nothing():
    assert tell_lacking(record(row("conv", "convolution", shape=(8, 4, 4)), row("head", "head")), Words("en")) == []
    assert tell_lacking(record(row("conv", "convolution", shape=(8, 1, 1))), Words("en"))
