"""The space of a search, and the points that follow from a seed and a number."""

from __future__ import annotations

import math

import pytest
from pydantic import ValidationError

from etude.core.errors import MistakeError
from etude.search import SearchConfig, make_space
from etude.search.points import grid_points, grid_size, points_around, random_point
from etude.search.space import settings_of

OPTIMIZERS = {
    "train.optimizer.lr": [
        {"log": [0.01, 1], "when": {"train.optimizer.name": "sgd"}},
        {"log": [0.0001, 0.01], "when": {"train.optimizer.name": ["adamw", "muon"]}},
    ],
    "train.optimizer.name": {"choice": ["sgd", "adamw", "muon"]},
    "model.dropout": {"uniform": [0, 0.6]},
    "train.epochs": {"integer": [3, 9]},
}


def space_of(space, **fields):
    return make_space(SearchConfig(of="plain", space=space, **fields))


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "one of uniform, log, integer and choice"),
        ({"log": [0.1, 1], "choice": [1]}, "Got log and choice"),
        ({"log": [0, 1]}, "above 0"),
        ({"uniform": [1, 0]}, "the smaller first"),
        ({"uniform": [0, math.inf]}, "the smaller first"),
        ({"choice": []}, "choice"),
    ],
)
def test_a_parameter_is_one_range_or_choice(given, told):
    with pytest.raises(ValidationError, match=told):
        SearchConfig(of="plain", space={"train.batch": given})


def test_a_condition_names_another_field_and_goes_in_no_circle():
    with pytest.raises(MistakeError, match=r"another field of the space. Got 'model.width'"):
        space_of({"model.dropout": {"uniform": [0, 1], "when": {"model.width": 3}}})
    with pytest.raises(MistakeError, match="circle"):
        space_of({"a.b": {"choice": [1], "when": {"c.d": 1}}, "c.d": {"choice": [1], "when": {"a.b": 1}}})


def test_each_parameter_comes_after_those_that_it_depends_on():
    names = [parameter.name for parameter in space_of(OPTIMIZERS)]
    assert names.index("train.optimizer.name") < names.index("train.optimizer.lr (train.optimizer.name=sgd)")
    assert len(names) == 5


def test_random_points_are_in_their_ranges_follow_conditions_and_their_number():
    space = space_of(OPTIMIZERS)
    points = [random_point(space, 7, number) for number in range(300)]
    assert points == [random_point(space, 7, number) for number in range(300)]
    assert points != [random_point(space, 8, number) for number in range(300)]
    for point in points:
        settings = settings_of(space, point)
        low, high = (0.01, 1) if settings["train.optimizer.name"] == "sgd" else (0.0001, 0.01)
        assert low <= settings["train.optimizer.lr"] <= high
        assert 0 <= settings["model.dropout"] <= 0.6
        assert settings["train.epochs"] in range(3, 10)
        assert len(settings) == 4
    assert {point["train.optimizer.name"] for point in points} == {"sgd", "adamw", "muon"}
    assert {point["train.epochs"] for point in points} == set(range(3, 10))
    rates = [settings_of(space, point)["train.optimizer.lr"] for point in points
             if point["train.optimizer.name"] == "sgd"]  # fmt: skip
    assert 0.35 < sum(rate < 0.1 for rate in rates) / len(rates) < 0.65  # each power of ten as likely


def test_a_grid_has_every_combination_and_each_only_where_it_counts():
    space = space_of(
        {
            "train.batch": {"choice": [32, 64]},
            "train.optimizer.lr": {"log": [0.001, 0.1], "when": {"train.batch": 64}},
            "train.epochs": {"integer": [2, 4], "points": 3},
        }
    )
    points = [settings_of(space, point) for point in grid_points(space)]
    assert len(points) == grid_size(space, 1000) == 3 + 3 * 3
    assert grid_size(space, 5) == 5
    assert [point for point in points if point["train.batch"] == 32] == [
        {"train.batch": 32, "train.epochs": epochs} for epochs in (2, 3, 4)
    ]
    rates = sorted({point["train.optimizer.lr"] for point in points if point["train.batch"] == 64})
    assert rates == pytest.approx([0.001, 0.01, 0.1])


def test_the_grid_around_the_best_varies_the_important_together_and_stays_inside():
    space = space_of(
        {
            "train.optimizer.lr": {"log": [0.001, 1]},
            "model.dropout": {"uniform": [0, 0.6]},
            "train.batch": {"choice": [32, 64, 128]},
        }
    )
    best = {"train.optimizer.lr": 0.9, "model.dropout": 0.3, "train.batch": 64}
    points = points_around(space, best, ["model.dropout", "train.optimizer.lr"], 8)
    assert len(points) == 8
    assert best not in points
    assert len({tuple(point.values()) for point in points}) == 8
    assert all(point["train.batch"] == 64 for point in points[:8])
    assert {round(point["model.dropout"], 3) for point in points} == {0.3, 0.225, 0.375}
    assert all(0.001 <= point["train.optimizer.lr"] <= 1 for point in points)
    assert {0.9, 1.0} < {point["train.optimizer.lr"] for point in points}
    more = points_around(space, best, ["model.dropout", "train.optimizer.lr"], 30)
    assert {point["train.batch"] for point in more} == {32, 64, 128}
    assert len(points_around(space, best, [], 1)) == 1


def test_a_small_space_gives_no_more_points_than_it_has():
    space = space_of({"train.batch": {"choice": [32, 64]}})
    assert points_around(space, {"train.batch": 64}, [], 10) == [{"train.batch": 32}]
