import math
from itertools import pairwise

import numpy as np
import pytest

from etude.core.interval import Interval
from etude.core.run_record import AdversarialLook, Epoch
from etude.core.study_record import LeaderboardRow, Verdict
from etude.figures.confusion import draw_confusion, list_confusions, share_rows
from etude.figures.curves import draw_curves, draw_gaps, gather_curve
from etude.figures.gallery import draw_answers, draw_contact_sheet
from etude.figures.leaderboard import draw_leaderboard
from etude.figures.masks import MaskRow, draw_class_curves, draw_masks
from etude.figures.pareto import Panel, Point, draw_pareto, find_front
from etude.figures.theme import BLUE, INK, NARROW_IN, ORANGE, WIDE_IN, assign_looks, to_pixels, to_svg
from etude.figures.verdicts import draw_verdicts
from etude.report.drawings import ROUND_SECONDS
from etude.report.words import Words

BOTH = pytest.mark.parametrize("width_in", [WIDE_IN, NARROW_IN])


def history(*losses, score=True):
    return [
        Epoch(
            epoch=n, step=n, train_loss=loss, validation_loss=loss + 0.1, validation_score=1 / (1 + loss) if score else None,
            lr=0.1, seconds=1, images_per_s=10,
        )
        for n, loss in enumerate(losses, 1)
    ]  # fmt: skip


def row(name, score, half=0.01):
    return LeaderboardRow(
        candidate=name, n_runs=2, score=score,
        interval_runs=Interval(low=score - half, high=score + half) if score else None,
    )  # fmt: skip


def verdict(name, gain, word):
    return Verdict(
        baseline="plain", candidate=name, metric="accuracy", n_pairs=3, gain=gain, low=gain - 0.01, high=gain + 0.01,
        p=0.01, p_adjusted=0.02, verdict=word, smallest_detectable=0.01, method="paired t",
    )  # fmt: skip


def texts(figure):
    figure.draw_without_rendering()
    return to_svg(figure)


class TestCurves:
    def test_the_mean_ends_with_the_shortest_run(self):
        curve = gather_curve([history(2, 1, 0.5), history(4, 3)], "train_loss")
        assert curve.runs_RE.shape == (2, 3)
        assert curve.mean_E[:2].tolist() == [3, 2]
        assert math.isnan(curve.mean_E[2])

    def test_a_quantity_without_values_has_no_curve_and_no_panel(self):
        runs = [history(2, 1, score=False)]
        assert gather_curve(runs, "validation_score") is None
        assert gather_curve([], "train_loss") is None
        numbers = {"validation_score": str, "train_loss": str}
        panels = {"validation_score": "score", "train_loss": "loss"}
        figure = draw_curves({"a": runs}, panels, looks=assign_looks(["a"]), epoch_label="epoch", numbers=numbers)
        assert [axes.get_title(loc="left") for axes in figure.axes] == ["loss"]

    def test_what_a_look_saw_is_drawn_by_step_at_each_candidates_own_distance(self):
        def looks(every, *diversities):
            seen = {"discriminator_loss": 1.0, "real_logit": 0.0, "fake_logit": 0.0, "generator_gradient": 1.0}
            return [
                line.model_copy(
                    update={
                        "step": every * line.epoch,
                        "adversarial": AdversarialLook(**seen, discriminator_gradient=1.0, diversity=diversity),
                    }
                )
                for line, diversity in zip(history(*diversities), diversities, strict=True)
            ]

        curve = gather_curve([looks(250, 0.5, 0.4), looks(250, 0.3, 0.2)], "diversity", "step")
        assert curve.at_E.tolist() == [250, 500]
        assert curve.mean_E.tolist() == pytest.approx([0.4, 0.3])
        assert gather_curve([history(2, 1)], "diversity", "step") is None
        figure = draw_curves(
            {"a": [looks(250, 0.5, 0.4)], "b": [looks(100, 0.5, 0.4)]}, {"diversity": "diversity"},
            looks=assign_looks(["a", "b"]), epoch_label="step", numbers={"diversity": str}, by="step",
        )  # fmt: skip
        (axes,) = figure.axes
        assert {tuple(line.get_xdata()) for line in axes.lines} == {(250, 500), (100, 200)}

    def test_infinite_losses_are_left_out(self):
        curve = gather_curve([history(2, math.inf), history(4, 3)], "train_loss")
        assert curve.runs_RE[1].tolist() == [4, 3]
        assert math.isnan(curve.runs_RE[0, 1])

    @BOTH
    def test_each_run_is_a_line_and_the_mean_another(self, width_in):
        looks = assign_looks(["a", "b"])
        figure = draw_curves(
            {"a": [history(2, 1), history(3, 2)], "b": [history(2, 1)]}, {"train_loss": "perte"}, looks=looks,
            epoch_label="époque", numbers={"train_loss": str}, width_in=width_in,
        )  # fmt: skip
        text = to_svg(figure)
        assert text.count('class="series-0"') == 3
        assert text.count('class="series-1"') == 1
        assert "époque" in text

    def test_gaps_have_one_panel_a_candidate_on_one_scale(self):
        figure = draw_gaps(
            {"a": [history(2, 1)], "b": [history(9, 8)]},
            train_label="t",
            validation_label="v",
            epoch_label="e",
            number=str,
        )
        assert len(figure.axes) == 2
        assert figure.axes[0].get_ylim() == figure.axes[1].get_ylim()


class TestLeaderboard:
    @BOTH
    def test_candidates_without_score_are_left_out_and_words_are_those_given(self, width_in):
        figure = draw_leaderboard(
            [row("wide", 0.8), row("plain", 0.7), row("unfinished", None)], score_label="exactitude (%)", runs_label="graines",
            pictures_label="images", run_label="un", baseline_label="référence", number=lambda v: f"{100 * v:g}",
            baseline="plain", run_scores={"wide": [0.79, 0.81]}, width_in=width_in,
        )  # fmt: skip
        text = texts(figure)
        assert all(word in text for word in ("wide", "plain", "exactitude (%)", "graines", "référence"))
        assert "unfinished" not in text
        assert "images" not in text  # no interval over pictures was drawn, so its legend is not either


class TestVerdicts:
    @BOTH
    def test_colour_marker_and_order_say_the_verdict(self, width_in):
        rows = [
            verdict("up", 0.05, "better"),
            verdict("same", 0, "no difference shown"),
            verdict("down", -0.05, "worse"),
        ]
        figure = draw_verdicts(
            rows, gain_label="gain", verdict_labels={"better": "mieux", "worse": "moins", "no difference shown": "rien"},
            number=str, summary=lambda v: f"{v.gain:+}", width_in=width_in,
        )  # fmt: skip
        dots = {line.get_label(): line for line in figure.axes[0].lines if not line.get_label().startswith("_")}
        assert dots["mieux"].get_color() == BLUE
        assert dots["moins"].get_color() == ORANGE
        assert len({line.get_marker() for line in dots.values()}) == 3
        assert dots["mieux"].get_ydata()[0] < dots["moins"].get_ydata()[0]
        assert "+0.05" in texts(figure)


class TestPareto:
    def test_front_of_lower_is_better(self):
        points = [Point("a", 1, 0.9), Point("b", 2, 0.5), Point("c", 2, 0.4), Point("d", 3, 0.45)]
        assert [point.name for point in find_front(points, higher_is_better=False)] == ["a", "c"]

    @BOTH
    def test_names_stand_in_the_frame_and_a_wide_range_is_logarithmic(self, width_in):
        points = [Point("cheap", 1, 0.5), Point("dear-and-long-named", 1000, 0.9, Interval(low=0.88, high=0.92))]
        figure = draw_pareto(
            [Panel("s", points, str), Panel("MB", [Point("cheap", 1, 0.5), Point("dear-and-long-named", 2, 0.9)], str)],
            score_label="score", score_number=str, looks=assign_looks(["cheap", "dear-and-long-named"]), width_in=width_in,
        )  # fmt: skip
        assert [axes.get_xscale() for axes in figure.axes] == ["log", "linear"]
        figure.draw_without_rendering()
        for axes in figure.axes:
            frame = axes.get_window_extent()
            for text in axes.texts:
                box = text.get_window_extent()
                assert frame.x0 - 2 <= box.x0
                assert box.x1 <= frame.x1 + 2

    def test_a_cost_of_nothing_has_its_place_and_ticks_keep_apart(self):
        costs = [0.0, 0.02, 15.0, 90.0, 4000.0]
        points = [Point(f"c{n}", cost, 0.5 + 0.1 * n) for n, cost in enumerate(costs)]
        figure = draw_pareto(
            [Panel("s", points, str, round_values=(0.1, 0.3, 1, 3, 10, 30, 60, 120, 300, 600, 1200, 3600))],
            score_label="x", score_number=str, looks=assign_looks([p.name for p in points]), width_in=NARROW_IN,
        )  # fmt: skip
        axes = figure.axes[0]
        assert axes.get_xscale() == "symlog"
        figure.draw_without_rendering()
        boxes = [label.get_window_extent() for label in axes.get_xticklabels() if label.get_text()]
        assert len(boxes) > 2
        assert all(one.x1 < other.x0 for one, other in pairwise(sorted(boxes, key=lambda box: box.x0)))

    @pytest.mark.parametrize(
        "costs", [(3720, 3840, 3842), (3720, 3724, 3731), (62.0, 64.5, 64.6), (3800.0,), (8_000, 19_000)]
    )
    def test_costs_that_are_nearly_the_same_have_ticks_that_differ(self, costs):
        points = [Point(f"c{n}", cost, 0.5 + 0.1 * n) for n, cost in enumerate(costs)]
        figure = draw_pareto(
            [Panel("s", points, Words("en").duration_tick, round_values=ROUND_SECONDS)],
            score_label="x", score_number=str, looks=assign_looks([p.name for p in points]), width_in=NARROW_IN,
        )  # fmt: skip
        figure.draw_without_rendering()
        axes = figure.axes[0]
        labels = [label for label in axes.get_xticklabels() if label.get_text()]
        assert labels
        assert len({label.get_text() for label in labels}) == len(labels)
        boxes = [label.get_window_extent() for label in labels]
        assert all(one.x1 < other.x0 for one, other in pairwise(sorted(boxes, key=lambda box: box.x0)))

    def test_of_many_candidates_names_never_cover_each_other(self):
        costs, scores = (*[9.0] * 7, 45, 0.4, 1e-4), (84, 83, 82, 82, 80, 80, 79, 79, 42, 16)
        points = [Point(f"candidate-{n}", *both) for n, both in enumerate(zip(costs, scores, strict=True))]
        figure = draw_pareto(
            [Panel("s", points, str)], score_label="x", score_number=str, looks=assign_looks([p.name for p in points])
        )
        figure.draw_without_rendering()
        boxes = [text.get_window_extent() for text in figure.axes[0].texts]
        assert len(boxes) == 8  # all but two whose points lie under others
        for place, one in enumerate(boxes):
            for other in boxes[:place]:
                width = min(one.x1, other.x1) - max(one.x0, other.x0)
                height = min(one.y1, other.y1) - max(one.y0, other.y0)
                assert max(width, 0) * max(height, 0) < 0.05 * one.width * one.height


class TestConfusion:
    COUNTS = np.array([[8, 2, 0], [0, 0, 0], [1, 0, 3]])

    def test_rows_are_shares_and_an_absent_class_gives_zeros(self):
        shares_KK = share_rows(self.COUNTS)
        assert shares_KK.sum(axis=1).tolist() == [1, 0, 1]

    def test_confusions_come_by_count_and_leave_out_what_never_happened(self):
        pairs = list_confusions(self.COUNTS, ["a", "b", "c"])
        assert [(pair.truth, pair.predicted, pair.count) for pair in pairs] == [("a", "b", 2), ("c", "a", 1)]
        assert pairs[1].share == 0.25

    def test_numbers_stand_in_few_cells_and_names_beside_few_classes(self):
        figure = draw_confusion(self.COUNTS, ["a", "b", "c"], truth_label="t", predicted_label="p")
        assert sorted(text.get_text() for text in figure.axes[0].texts) == ["20", "25", "75", "80"]
        many = draw_confusion(np.eye(60, dtype=int), [str(n) for n in range(60)], truth_label="t", predicted_label="p")
        assert not many.axes[0].texts
        assert not many.axes[0].get_xticks().size
        many.draw_without_rendering()


class TestGallery:
    PICTURES = [np.full((8, 8, 3), 20 * n, dtype=np.uint8) for n in range(5)]

    def test_contact_sheet_has_a_row_for_each_class_that_has_pictures(self):
        figure = draw_contact_sheet(self.PICTURES, [0, 0, 2, 2, 2], ["cat", "none", "dog"], per_class=2)
        assert [axes.get_ylabel() for axes in figure.axes if axes.get_ylabel()] == ["cat", "dog"]
        assert sum(len(axes.images) for axes in figure.axes) == 4

    def test_answers_tell_right_from_wrong_by_colour_line_and_words(self):
        figure = draw_answers(
            self.PICTURES[:2], [0, 1], [0, 0], [0.9, 0.6], ["cat", "dog"], number="{:.0%}".format, instead_of="not {truth}",
        )  # fmt: skip
        right, wrong = figure.axes
        assert right.get_xlabel() == "cat 90%"
        assert wrong.get_xlabel() == "cat 60%\nnot dog"
        assert right.spines["top"].get_edgecolor() != wrong.spines["top"].get_edgecolor()
        assert right.spines["top"].get_linestyle() != wrong.spines["top"].get_linestyle()


def test_the_baseline_has_the_colour_of_the_text():
    assert assign_looks(["a", "b"], "b")["b"].color == INK


class TestMasks:
    def test_a_class_that_an_epoch_did_not_see_has_no_point_there(self):
        lines = [
            line.model_copy(update={"validation_classes": ious})
            for line, ious in zip(
                history(3, 2, 1), ((0.5, None, None), (0.6, 0.2, None), (0.7, None, None)), strict=True
            )
        ]
        figure = draw_class_curves(lines, ("road", "pole", "train"), score_label="IoU", epoch_label="e", number=str)
        drawn = [(list(line.get_xdata()), list(line.get_ydata())) for line in figure.axes[0].lines]
        assert drawn == [([1, 2, 3], [0.5, 0.6, 0.7]), ([2], [0.2])]
        assert sorted(text.get_text() for text in figure.axes[0].texts) == ["pole", "road"]

    @pytest.mark.parametrize("width_in", [3.5, 7.65])
    def test_all_classes_are_named_though_all_are_near_the_top(self, width_in):
        names = [f"class {number}" for number in range(19)]
        ious = tuple(0.9 + number / 200 for number in range(19))
        lines = [line.model_copy(update={"validation_classes": ious}) for line in history(3, 2, 1)]
        figure = draw_class_curves(lines, names, score_label="IoU", epoch_label="e", number=str, width_in=width_in)
        svg = to_svg(figure)
        assert [name for name in names if f">{name}<" not in svg] == []
        heights = [text.xy[1] for text in figure.axes[0].texts]
        assert 0 <= min(heights) < max(heights) <= 1

    @pytest.mark.parametrize("width_in", [3.5, 7.65])
    def test_the_legend_of_masks_stays_on_the_page_however_long_the_names_are(self, width_in):
        names = [f"a rather long name of a class, {number}" for number in range(32)]
        pixels, ids = np.zeros((30, 40, 3), np.uint8), np.zeros((30, 40), np.uint8)
        row = MaskRow(pixels, ids, ids, "spread: 50%")
        palette = np.zeros((256, 3), np.uint8)
        figure = draw_masks([row], names, palette, ("a", "b", "c", "d"), width_in=width_in)
        figure.draw_without_rendering()
        (legend,) = figure.legends
        box = legend.get_window_extent()
        assert box.x1 / figure.dpi <= width_in
        assert box.y0 >= 0


def test_a_figure_of_photographs_is_written_as_what_is_smaller(tmp_path):
    noise = np.random.default_rng(3).integers(0, 255, (200, 300, 3), np.uint8)
    flat = np.zeros((200, 300, 3), np.uint8)
    for name, pixels, ending in (("noise", noise, ".jpg"), ("flat", flat, ".png")):
        figure = draw_contact_sheet([pixels], [0], ["all"], per_class=1, width_in=3)
        path = to_pixels(figure, tmp_path / name)
        assert path.suffix == ending
        assert [file.name for file in tmp_path.glob(f"{name}*")] == [path.name]
