"""Layers in words: a loss is a loss, a gain a gain, and what cannot be shown is said to be missing."""

from __future__ import annotations

from typing import get_args

import pytest
import torch

from etude.core.interval import Interval
from etude.explain.layers import describe_layers
from etude.explain.records import Kind, LayerRow, LayersRecord
from etude.models import build_model
from etude.report.layer_words import KIND_WORDS, PLACE_SENTENCES, tabulate_layers, tell_lacking, tell_layers
from etude.report.words import Words


def row(name, kind="dense", fall=None, shape=(16,), within=None):
    interval = None if within is None else Interval(low=fall - within, high=fall + within)
    return LayerRow(
        name=name, kind=kind, type="Linear", input_shape=(48,), output_shape=shape, params=10, trained=10, macs=10,
        fall_shuffled=fall, interval_shuffled=interval,
    )  # fmt: skip


def record(*rows):
    return LayersRecord(
        network="mlp", size_px=(4, 4), rows=rows, params=20, macs=20, metric="accuracy", score=0.8, n_pictures=64
    )


def tell(*rows, language="en"):
    return " ".join(tell_layers(record(*rows), Words(language))).replace("\xa0", " ")


def test_a_cost_that_its_interval_does_not_show_is_not_claimed():
    """One picture in 64 more or less says nothing of a layer."""
    rows = row("hidden", fall=0.31, within=0.1), row("a", fall=-0.016, within=0.04), row("b", fall=0.0, within=0.0)
    text = tell(*rows)
    assert "Shuffling the weights of hidden costs most: 31.0 points [21.0, 41.0]." in text
    assert "No cost is shown of shuffling those of a and b." in text
    assert "better" not in text
    assert "gain" not in text
    assert "Aucun coût n’est montré quand on permute ceux de a et b." in tell(*rows, language="fr")
    assert "of any one layer costs anything is not shown" in tell(row("a", fall=0.05, within=0.06))
    assert "costs least: 5.0 points [4.0, 6.0]" in tell(
        row("a", fall=0.31, within=0.1), row("b", fall=0.05, within=0.01)
    )
    many = tell(row("a", fall=0.3, within=0.1), *(row(f"l{n}", fall=0.0, within=0.1) for n in range(9)))
    assert "l0, l1, l2, l3, l4 and 4 others" in many


def test_the_table_has_the_interval_beside_the_fall():
    table = tabulate_layers(record(row("a", fall=0.31, within=0.1)), Words("en"))
    assert "31.0 [21.0, 41.0]" in [cell.text for cell in table.rows[0]]


@pytest.mark.parametrize(("metric", "in_points"), [("accuracy", True), ("log_loss", False), ("brier", False)])
def test_a_fall_is_in_points_only_of_a_score_in_percent(metric, in_points):
    layers = record(row("a", fall=0.31, within=0.1)).model_copy(update={"metric": metric})
    for language, points, worse in (("en", "points of score", "gets worse"), ("fr", "points de score", "se dégrade")):
        columns = {column.heading: column.hint for column in tabulate_layers(layers, Words(language)).columns}
        hint = columns[Words(language).say("fall shuffled")]
        assert (points in hint) == in_points
        assert (worse in hint) != in_points


def test_a_record_of_before_keeps_the_names_that_it_has():
    layers = record(row("bn1 · native_batch_norm", "batch norm", fall=0.3, within=0.1))
    assert "bn1 · native_batch_norm" in tabulate_layers(layers, Words("en")).rows[0][0].text
    assert "bn1 · native_batch_norm costs most" in " ".join(tell_layers(layers, Words("en")))


def test_the_pictures_of_the_score_are_called_a_sample():
    text = tell(row("a", fall=0.31, within=0.1))
    assert "On 64 pictures drawn from validation the score is 80.0% (accuracy)." in text
    assert "tirées de la validation" in tell(row("a", fall=0.31, within=0.1), language="fr")


def test_a_record_of_before_without_intervals_ranks_nothing_but_the_largest_fall():
    text = tell(row("hidden", fall=0.31), row("head", "head", fall=-0.071))
    assert "Shuffling the weights of hidden costs most: 31.0 points." in text
    assert "head" not in text
    assert "of any one layer costs anything is not shown" in tell(row("a", fall=-0.01), row("b", fall=-0.02))


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


NETWORKS = {
    "swin": (
        {"name": "swin_tiny_patch4_window7_224", "dropout": 0.1,
         "options": {"embed_dim": 24, "depths": [1, 1], "num_heads": [2, 2], "window_size": 7}},
        "classification", {"attention", "layer norm", "activation", "patch embedding", "dropout"},
    ),
    "convnext": (
        {"name": "convnext_tiny", "options": {"depths": [1, 1, 1, 1], "dims": [8, 16, 24, 32]}},
        "classification", {"depthwise convolution", "layer norm", "activation"},
    ),
    "unet": ({"name": "unet-mini", "widths": [8, 12]}, "segmentation", {"up-sampling", "join", "batch norm"}),
}  # fmt: skip


@pytest.mark.parametrize("name", list(NETWORKS))
def test_why_a_layer_stands_here_is_said_of_every_layer(name):
    spec, task, kinds = NETWORKS[name]
    model = build_model(spec, n_outputs=3, size_px=(56, 56), seed=0, task=task)
    images = torch.randn(1, 3, 56, 56, generator=torch.Generator().manual_seed(0))
    layers = describe_layers(model, images, network=name)
    assert kinds <= {row.kind for row in layers.rows}
    for language in ("en", "fr"):
        table = tabulate_layers(layers, Words(language))
        told = {row[0].text: row[-1].text for row in table.rows}
        assert table.columns[-1].heading == Words(language).say("here")
        assert all(told.values()), [layer for layer, text in told.items() if not text]
    english = tabulate_layers(layers, Words("en"))
    told = {row.name: cells[-1].text for row, cells in zip(layers.rows, english.rows, strict=True)}
    for row, before in zip(layers.rows[1:], layers.rows, strict=False):
        if row.kind == "batch norm":
            assert f"what {before.name} gives to one scale" in told[row.name]
        if row.kind == "up-sampling" and row.output_shape[1] > row.input_shape[1]:
            assert told[row.name].startswith("makes the map larger again")


def test_every_kind_of_layer_has_its_words():
    assert set(KIND_WORDS) == set(get_args(Kind))
    assert {*PLACE_SENTENCES, "head", "residual", "global pooling"} == set(get_args(Kind))
