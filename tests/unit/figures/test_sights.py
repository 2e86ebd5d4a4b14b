"""Figures of explanations with long names: no word lies on another, and none is cut by the edge."""

from __future__ import annotations

import re
from itertools import combinations

import numpy as np
import pytest

from etude.explain.records import LayerRow, LayersRecord
from etude.figures.gallery import draw_answers, draw_contact_sheet
from etude.figures.labels import legend_columns, shorten, width_of, wrap
from etude.figures.sight import ROW_IN, Look, draw_attributions, draw_data_maps, draw_exciting, draw_maps
from etude.figures.theme import NARROW_IN, WIDE_IN
from etude.report.network import draw_network
from etude.report.words import Words

NAMES = [
    "Staffordshire terrier", "german_short-haired", "Entlebuchersennenhund", "soft-coated wheatens", "WWWWWWWWWWWWWWWWWWWW",
    "Chesapeake retriever", "black-and-tan hounds", "Old English sheepdog",
]  # fmt: skip
BOTH = pytest.mark.parametrize("width_in", [WIDE_IN, NARROW_IN])


def boxes_of(figure):
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.text import Text

    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    texts = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]
    ticks = {id(label) for axes in figure.axes for label in (*axes.get_xticklabels(), *axes.get_yticklabels())}
    return [(text.get_text(), text.get_window_extent(renderer)) for text in texts if id(text) not in ticks]


def check(figure, least):
    boxes = boxes_of(figure)
    assert len(boxes) >= least
    width, height = figure.get_size_inches() * figure.dpi
    for name, box in boxes:
        inside = box.x0 >= -1 and box.y0 >= -1 and box.x1 <= width + 1 and box.y1 <= height + 1
        assert inside, f"{name!r} is cut"
    for (one, a), (other, b) in combinations(boxes, 2):
        apart = a.x1 <= b.x0 + 0.5 or b.x1 <= a.x0 + 0.5 or a.y1 <= b.y0 + 0.5 or b.y1 <= a.y0 + 0.5
        assert apart, f"{one!r} lies on {other!r}"


@BOTH
def test_attributions_of_classes_with_long_names(width_in):
    picture, flat = np.zeros((16, 16, 3), np.uint8), np.zeros((16, 16), np.float32)
    looks = [
        Look(f"{name} 100 %" + (f"\nnot {NAMES[place - 1]}" if place > 3 else ""), picture, flat, flat)
        for place, name in enumerate(NAMES)
    ]
    check(draw_attributions(looks, ["picture", "Grad-CAM", "integrated gradients"], width_in=width_in), 8)


@BOTH
def test_maps_of_the_data_with_long_names(width_in):
    places, labels = np.random.default_rng(0).normal(size=(80, 2)), np.arange(80) % 8
    panels = [("learnt features, t-SNE", places), ("pixels, principal components (12 %)", places)]
    check(draw_data_maps(panels, labels, NAMES, width_in=width_in), 10)


def test_maps_of_the_data_stand_in_one_row_on_a_slide_with_larger_dots_of_fewer_pictures():
    def rows_and_dots(n_pictures, width_in):
        places, labels = np.random.default_rng(0).normal(size=(n_pictures, 2)), np.arange(n_pictures) % 8
        headings = ("pixels, PCA (12 %)", "pixels, t-SNE", "learnt features, PCA (9 %)", "learnt features, t-SNE")
        figure = draw_data_maps([(heading, places) for heading in headings], labels, NAMES, width_in=width_in)
        check(figure, 12)
        heights = {round(axes.get_position().y0, 2) for axes in figure.axes}
        return len(heights), figure.axes[0].collections[0].get_sizes()[0]

    slide, page = rows_and_dots(200, ROW_IN), rows_and_dots(2_000, WIDE_IN)
    assert (slide[0], page[0]) == (1, 2)
    assert slide[1] > page[1]


@BOTH
def test_galleries_of_classes_with_long_names(width_in):
    pictures = [np.full((8, 8, 3), 20 * n, np.uint8) for n in range(8)]
    columns = 6 if width_in > 5 else 3
    truth, answers = list(range(8)), [0, 2, 1, 3, 5, 4, 6, 7]
    figure = draw_answers(
        pictures, truth, answers, [1.0] * 8, NAMES, number="{:.0%}".format, instead_of="not {truth}", columns=columns,
        width_in=width_in,
    )  # fmt: skip
    check(figure, 8)
    check(draw_contact_sheet(pictures, truth, NAMES, width_in=width_in), 8)


@BOTH
def test_rows_of_layers_with_long_names(width_in):
    picture, maps = np.zeros((16, 16, 3), np.uint8), np.random.default_rng(0).random((4, 4, 4))
    names = [f"features.stage{n}.blocks.{n}.branch_1.depthwise_convolution" for n in range(3)]
    check(draw_maps(picture, dict.fromkeys(names, maps), width_in=width_in), 3)
    check(draw_exciting([(f"{name}, 123", [picture] * 6) for name in names], width_in=width_in), 3)


def test_rows_that_are_not_full_keep_the_size_of_their_pictures():
    picture = np.zeros((30, 40, 3), np.uint8)
    figure = draw_exciting([("whole", [picture] * 6), ("part", [picture] * 2), ("none", [])])
    boxes_of(figure)
    shown = [image.get_window_extent() for axes in figure.axes for image in axes.images]
    assert len(shown) == 8
    assert {round(box.width) for box in shown} == {round(shown[0].width)}
    assert shown[0].height / shown[0].width == pytest.approx(30 / 40, rel=0.02)
    assert [round(box.x0) for box in shown[6:]] == [round(box.x0) for box in shown[:2]]


def test_what_has_room_stays_as_it_is_and_what_has_none_keeps_its_ends():
    assert shorten("terrier", 3.0, 8) == "terrier"
    short = shorten("Entlebuchersennenhund", 0.8, 8)
    assert short.startswith("Entle")
    assert short.endswith("hund")
    assert width_of(short, 8) <= 0.8
    assert wrap("one two three four five six", 0.6, 8, 2).count("\n") == 1
    assert legend_columns(["a"] * 12, 7, 8) > legend_columns(NAMES, 7, 8) >= 2


def row(kind, n):
    return LayerRow(
        name=f"blocks.0.{n}", kind=kind, type="Layer", input_shape=(8, 4, 4), output_shape=(8, 4, 4), params=1, trained=1,
        macs=1,
    )  # fmt: skip


@pytest.mark.parametrize(("language", "whole"), [("en", "batch normalisation"), ("fr", "normalisation")])
def test_the_drawing_of_a_network_names_kinds_whole(language, whole):
    """A block of many kinds names the commonest ones, and says how many it leaves out."""
    kinds = ["depthwise convolution"] * 3 + ["batch norm"] * 2 + ["activation", "gate", "residual"]
    rows = tuple(row(kind, n) for n, kind in enumerate(kinds * 20))
    record = LayersRecord(network="net", size_px=(4, 4), rows=rows, params=1, macs=160)
    drawn = re.findall(r">([^<]*)</text>", str(draw_network(record, Words(language)).wide))
    of_kinds = [text for text in drawn if re.search(r"\+\d$", text)]
    assert of_kinds
    assert not any("…" in text for text in drawn)


def test_long_names_of_layers_end_before_the_shapes_of_their_maps():
    rows = tuple(
        row("convolution", n).model_copy(
            update={"name": f"body.encoder.model.blocks_of_stage.{n}.conv_stem", "output_shape": (320, 192, 240)}
        )
        for n in range(3)
    )
    record = LayersRecord(network="net", size_px=(360, 480), rows=rows, params=1, macs=3)
    for svg in (draw_network(record, Words("en")).wide, draw_network(record, Words("en")).narrow):
        names = re.findall(r'<text x="([\d.]+)" y="\d+">(body[^<]*)</text>', str(svg))
        shapes = re.findall(r'<text x="([\d.]+)" y="\d+" text-anchor="end"[^>]*>(320[^<]*)</text>', str(svg))
        assert len(names) == len(shapes) == 3
        for (name_x, name), (shape_x, shape) in zip(names, shapes, strict=True):
            assert float(name_x) + 7 * len(name) <= float(shape_x) - 7 * len(shape)


def test_a_single_bright_pixel_does_not_leave_the_others_black():
    faint_HW = np.zeros((40, 40))
    faint_HW[10:20, 10:20] = 0.02
    faint_HW[0, 0] = 1.0
    figure = draw_attributions([Look("cat", np.zeros((40, 40, 3), np.uint8), faint_HW, faint_HW)], ["a", "b", "c"])
    shown_HW = figure.axes[2].images[0].get_array()
    assert shown_HW[10:20, 10:20].min() > 0.9
    assert shown_HW[30, 30] == 0
    dark = draw_attributions([Look("cat", np.zeros((40, 40, 3), np.uint8), faint_HW, 0 * faint_HW)], ["a", "b", "c"])
    assert dark.axes[2].images[0].get_array().max() == 0
