from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from etude.core.words import Part
from etude.evaluate.mask_counts import MaskCounts
from etude.explain.maps import Kin, draw_tsne, nearest_others, place_on_tsne, reduce_space, separate_classes
from etude.explain.mask_mistakes import find_mask_mistakes
from etude.explain.mistakes import find_mistakes
from etude.explain.questions import OfPicture, OfPixels
from etude.explain.records import Attribution, PictureRef
from etude.explain.sight import feature_maps, find_cam_layer, find_map_layers, first_filters, most_exciting
from etude.explain.why import (
    check_by_occlusion,
    draw_anew,
    explain_answer,
    likeness,
    raw_grad_cam,
    raw_integrated_gradients,
)
from etude.metrics.statistics import wilson
from etude.models import build_model
from etude.study.attributions import sum_up


def draw(n: int = 6, size_px: int = 16) -> torch.Tensor:
    return torch.randn(n, 3, size_px, size_px, generator=torch.Generator().manual_seed(3))


class Bright(nn.Module):
    """Answers class 1 by how bright the picture is where `look` reads it; nothing else matters."""

    def __init__(self, look):
        super().__init__()
        self.look, self.conv = look, nn.Conv2d(3, 2, 1, bias=False)
        with torch.no_grad():
            self.conv.weight.fill_(1.0)

    def forward(self, images):
        bright = self.look(self.conv(images)[:, 0])
        return torch.stack([-bright, bright], 1)


def at_the_corner(maps_BHW):
    """Give one number a picture: the brightness of its upper left corner."""
    return maps_BHW[:, :4, :4].mean((1, 2))


def to_the_left(maps_BHW):
    """Give each pixel the brightness eight pixels to its left."""
    return maps_BHW.roll(8, 2)


def bright_corner() -> torch.Tensor:
    image = torch.zeros(1, 3, 16, 16)
    image[:, :, :4, :4] = 2.0
    return image


def test_attributions_mark_what_matters_and_the_check_sees_it():
    model = Bright(at_the_corner).train()
    maps = explain_answer(model, bright_corner(), OfPicture(1), "conv")
    for found in (maps.grad_cam_HW, maps.integrated_HW):
        assert found.shape == (16, 16)
        assert found[:4, :4].min() > 0.9
        assert found[6:, 6:].max() < 0.1
    check = check_by_occlusion(model, bright_corner(), OfPicture(1), maps)
    assert check.drop_grad_cam > check.drop_random + 0.2
    assert check.drop_integrated > check.drop_random + 0.2
    assert model.training
    assert all(parameter.grad is None and parameter.requires_grad for parameter in model.parameters())


def test_attributions_of_pixels_mark_what_their_class_was_read_from_and_not_the_pixels():
    image = torch.zeros(1, 3, 16, 16)
    image[:, :, :, :8] = 1.0
    pixels = torch.zeros(16, 16, dtype=torch.bool)
    pixels[4:8, 12:] = True  # read from columns 4 to 7
    asked, model = OfPixels(1, pixels), Bright(to_the_left)
    assert asked.logit(model(image)).item() == pytest.approx(16 * 3.0)
    assert asked.probability(model(image)).item() == pytest.approx(torch.sigmoid(torch.tensor(6.0)).item())
    maps = explain_answer(model, image, asked, "conv")
    marked = torch.zeros(16, 16, dtype=torch.bool)
    marked[4:8, 4:8] = True
    assert maps.integrated_HW[marked].min() > 0.9
    assert maps.integrated_HW[~marked].max() == 0
    assert maps.grad_cam_HW[:, :8].min() > 0.9  # a mean gradient a channel: it tells what, not where
    assert maps.grad_cam_HW[:, 9:].max() < 0.1
    check = check_by_occlusion(model, image, asked, maps)
    assert check.drop_integrated > 0.4
    assert check.drop_random < check.drop_integrated


@pytest.mark.slow
def test_grad_cam_of_pixels_is_that_of_captum():
    attr = pytest.importorskip("captum.attr")
    model = build_model(
        {"name": "unet-mini", "widths": [4, 8]}, n_outputs=3, size_px=(32, 32), seed=0, task="segmentation"
    ).eval()
    image, layer = draw(1, 32), find_cam_layer(model, draw(1, 32))
    pixels = model(image)[0].argmax(0) == 2
    assert 0 < pixels.sum() < pixels.numel()

    class Summed(nn.Module):
        def __init__(self):
            super().__init__()
            self.network = model

        def forward(self, images):
            return (self.network(images) * pixels).sum((2, 3))

    summed = Summed().eval()
    cam = attr.LayerGradCam(summed, model.get_submodule(layer)).attribute(image, target=2, relu_attributions=True)
    assert torch.allclose(raw_grad_cam(model, image, OfPixels(2, pixels), layer), cam.detach(), atol=1e-5)


def test_integrated_gradients_of_pixels_sum_to_the_difference_from_grey():
    model = build_model(
        {"name": "unet-mini", "widths": [4, 8]}, n_outputs=3, size_px=(32, 32), seed=0, task="segmentation"
    ).eval()
    image = draw(1, 32)
    asked = OfPixels(2, model(image)[0].argmax(0) == 2)
    with torch.no_grad():
        gap = asked.logit(model(image)) - asked.logit(model(torch.zeros_like(image)))
    found = raw_integrated_gradients(model, image, asked, steps=128)
    assert float(found.sum()) == pytest.approx(float(gap), rel=0.02)


def test_what_speaks_against_an_answer_is_not_marked_as_speaking_for_it():
    """A bright right half speaks against the class, more than the left corner speaks for it."""

    def look(maps_BHW):
        return maps_BHW[:, :4, :4].mean((1, 2)) - 5 * maps_BHW[:, :, 8:].mean((1, 2))

    image = bright_corner()
    image[:, :, :, 8:] = 3.0
    found = explain_answer(Bright(look), image, OfPicture(1), "conv").integrated_HW
    assert found[:4, :4].min() == 1
    assert found[:, 8:].max() == 0
    against = explain_answer(Bright(look), image, OfPicture(0), "conv").integrated_HW
    assert against[:4, :4].max() == 0
    assert against[:, 8:].min() == 1


def test_grad_cam_is_taken_where_a_network_knows_what_and_still_where():
    size_px = (32, 32)
    cnn = build_model({"name": "cnn", "widths": [4, 8]}, n_outputs=4, size_px=size_px, seed=0)
    assert find_cam_layer(cnn, draw(1, 32)) == find_map_layers(cnn, draw(1, 32))[-1]
    unet = build_model(
        {"name": "unet-mini", "widths": [4, 8]}, n_outputs=3, size_px=size_px, seed=0, task="segmentation"
    )
    assert find_cam_layer(unet, draw(1, 32)).startswith("down.1.")  # the bottom: 'up' enlarges, 'head' is the answer
    assert find_cam_layer(build_model("mlp", n_outputs=4, size_px=size_px, seed=0), draw(1, 32)) is None


def test_a_network_drawn_anew_has_learnt_nothing_and_leaves_the_other_as_it_was():
    model = build_model({"name": "cnn", "widths": [4, 8]}, n_outputs=4, size_px=(16, 16), seed=0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(7.0)  # what pretraining, or training, left
    fresh, again, other = draw_anew(model, draw()), draw_anew(model, draw()), draw_anew(model, draw(), 1)
    assert not all(torch.equal(one, two) for one, two in zip(fresh.parameters(), other.parameters(), strict=True))
    assert all(bool((parameter == 7).all()) for parameter in model.parameters())
    assert not any(bool((parameter == 7).any()) for parameter in fresh.parameters())
    assert all(torch.equal(one, other) for one, other in zip(fresh.parameters(), again.parameters(), strict=True))


def deep_network(name):
    """Give a deep network with batch normalisations, and its last layer that gives maps."""
    if name == "torch":
        blocks = [
            (nn.Conv2d(3 if n == 0 else 8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
            for n in range(20)
        ]
        body = [layer for block in blocks for layer in block]
        model = nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3))
        return model, "57"
    model = build_model("mobilenetv2_100", n_outputs=3, size_px=(32, 32), seed=0)  # its norms are timm's own
    return model, "blocks.6.0.conv_pwl"


@pytest.mark.parametrize("name", ["torch", "timm"])
def test_a_deep_network_drawn_anew_still_passes_signals_on(name):
    """Its batch normalisations must fit the weights: with statistics of others a signal dies out on its way."""
    model, layer = deep_network(name)
    images = draw(16, 32)
    with torch.no_grad():  # statistics as training on large numbers leaves them
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_var.fill_(100.0)
    fresh = draw_anew(model.eval(), images)
    assert not any(module.training for module in fresh.modules())
    maps = feature_maps(fresh, images[:1], [layer])[layer]
    assert maps.std() > 0.05
    with torch.no_grad():
        assert fresh(images).std(0).min() > 1e-3  # its answers still depend on the picture
    before = {key: value.clone() for key, value in model.state_dict().items()}
    draw_anew(model, images, 1)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_integrated_gradients_sum_to_the_difference_from_grey():
    model = build_model("cnn", n_outputs=4, size_px=(16, 16), seed=0).eval()
    image = draw(1)
    with torch.no_grad():
        gap = (model(image) - model(torch.zeros_like(image)))[0, 2]
    assert raw_integrated_gradients(model, image, OfPicture(2), steps=256).sum() == pytest.approx(float(gap), abs=0.01)


@pytest.mark.slow
def test_grad_cam_is_that_of_captum():
    attr = pytest.importorskip("captum.attr")
    model = build_model("cnn", n_outputs=4, size_px=(16, 16), seed=0).eval()
    image = draw(1)
    cam = attr.LayerGradCam(model, model.blocks[1][3]).attribute(image, target=1, relu_attributions=True)
    assert torch.allclose(raw_grad_cam(model, image, OfPicture(1), "blocks.1.3"), cam.detach(), atol=1e-6)


def test_likeness_is_a_rank_correlation():
    one = torch.arange(16.0).reshape(4, 4)
    assert likeness(one, one**3) == pytest.approx(1)
    assert likeness(one, -one) == pytest.approx(-1)
    assert likeness(one, torch.zeros(4, 4)) is None  # it ranks nothing: neither alike nor unlike


def test_equal_numbers_share_a_rank():
    """Two maps that mark opposite corners and are zero elsewhere agree on nothing that they mark."""
    one, other = torch.zeros(16, 16), torch.zeros(16, 16)
    one[:4, :4] = 1.0
    other[12:, 12:] = 1.0
    assert likeness(one, other) == pytest.approx(-1 / 15)  # of two marks of a sixteenth each: -p / (1 - p)
    one[:4, :4], other[12:, 12:] = torch.rand(4, 4) + 0.1, torch.rand(4, 4) + 0.1
    assert likeness(one, other) == pytest.approx(-1 / 15, abs=0.01)


@pytest.mark.parametrize(
    ("name", "options", "side_px", "places"),
    [
        ("vit_tiny_patch16_224", {"depth": 2, "embed_dim": 48, "num_heads": 2}, 64, 4),
        ("mixer_s16_224", {}, 64, 4),
        ("swin_tiny_patch4_window7_224", {"embed_dim": 24, "depths": [1, 1], "num_heads": [2, 2]}, 56, 7),
    ],
)
def test_grad_cam_of_a_network_of_tokens_is_taken_behind_the_patches(name, options, side_px, places):
    image = draw(1, side_px)
    spec = {"name": name, "options": options}
    model = build_model(spec, n_outputs=3, size_px=(side_px, side_px), seed=0).eval()
    layer = find_cam_layer(model, image)
    assert "norm" in layer
    assert "patch_embed" not in layer
    assert raw_grad_cam(model, image, OfPicture(1), layer).shape[2:] == (places, places)
    maps = explain_answer(model, image, OfPicture(1), layer)
    assert maps.grad_cam_HW.shape == (side_px, side_px)
    assert maps.grad_cam_HW.max() == 1


def test_what_is_marked_is_said_to_matter_where_its_interval_says_so():
    def attribution(drop, chance):
        picture = PictureRef(item="a", truth="cat", answer="cat", probability=0.9)
        return Attribution(
            picture=picture, is_right=True, drop_grad_cam=drop, drop_integrated=chance, drop_random=chance,
            likeness=0.1, likeness_integrated=0.8,
        )  # fmt: skip

    record = sum_up("conv", [attribution(0.3 + 0.01 * n, 0.05 * n) for n in range(4)])
    gains = [0.3 - 0.04 * n for n in range(4)]
    low, high = stats.t.interval(0.95, 3, np.mean(gains), stats.sem(gains))
    assert (record.gain_grad_cam.low, record.gain_grad_cam.high) == pytest.approx((low, high))
    assert record.mean_likeness_integrated == pytest.approx(0.8)
    assert record.interval_likeness.low == record.interval_likeness.high == pytest.approx(0.1)
    assert sum_up("conv", [attribution(0.3, 0.1)]).gain_grad_cam is None  # one picture says nothing of others
    blank = attribution(0.3, 0.1).model_copy(update={"likeness": None})
    assert sum_up("conv", [blank, blank]).mean_likeness is None
    assert sum_up("conv", [blank, attribution(0.3, 0.1)]).mean_likeness == pytest.approx(0.1)


def test_layers_that_give_maps_are_found_and_looked_into():
    model = build_model({"name": "resnet", "depth": 8}, n_outputs=4, size_px=(16, 16), seed=0)
    layers = find_map_layers(model, draw(1))
    assert layers[0] == "stem"
    assert len(layers) == 7
    assert find_map_layers(model, draw(1), most=3) == [layers[0], layers[3], layers[6]]
    maps = feature_maps(model, draw(1), ["stem", layers[-1]])
    assert maps["stem"].shape == (16, 16, 16)
    name, filters = first_filters(model)
    assert name == "stem"
    assert filters.shape == (16, 3, 3, 3)
    assert find_map_layers(build_model("mlp", n_outputs=4, size_px=(16, 16), seed=0), draw(1)) == []


def test_the_most_exciting_pictures_are_those_with_the_largest_numbers():
    images = torch.stack([torch.full((3, 16, 16), float(value)) for value in (0, 5, 1, 9, 2)])
    found = most_exciting(Bright(at_the_corner), images.split(2), ["conv"], channels=1, pictures=2)
    _, places, values = found["conv"][0]
    assert places == [3, 1]
    assert values == [27.0, 15.0]


def test_axes_carry_what_numpy_says_and_a_wide_space_gives_the_same_as_a_narrow_one():
    values = np.random.default_rng(0).normal(size=(40, 12)).astype(np.float32) * np.arange(1, 13)
    squares = np.linalg.svd(values - values.mean(0), compute_uv=False) ** 2
    reduced = reduce_space(values, 5)
    np.testing.assert_allclose(reduced.explained_R, (squares / squares.sum())[:5], rtol=1e-4)
    wide = reduce_space(np.concatenate([values, np.zeros((40, 60), np.float32)], 1), 5)
    np.testing.assert_allclose(
        np.abs(wide.apply(np.pad(values, ((0, 0), (0, 60))))), np.abs(reduced.apply(values)), atol=1e-3
    )


def test_separability_tells_a_heap_from_a_mixture():
    rng = np.random.default_rng(1)
    apart = rng.normal(size=(60, 4)) + 20
    mixed = rng.normal(size=(120, 4))
    values = np.concatenate([apart, mixed]).astype(np.float32)
    labels = np.concatenate([np.zeros(60, np.int64), 1 + np.arange(120) % 2])
    elephant, fox, tiger = separate_classes(values, labels, ("elephant", "fox", "tiger"))
    assert elephant.share == 1
    assert 0.9 < elephant.interval.low < elephant.interval.high == 1
    for entry in (fox, tiger):
        assert entry.interval.low < 0.5 < entry.interval.high
        assert entry.n == 60


def test_the_next_frame_of_a_film_says_nothing_of_a_class():
    """Two films of one class each wander slowly through the same places: only neighbouring frames tell them apart."""
    rng = np.random.default_rng(4)
    films = np.repeat([0, 1], 200)
    values = np.concatenate([np.cumsum(rng.normal(size=(200, 2)), 0) for _ in range(2)]).astype(np.float32)
    values -= np.repeat([values[:200].mean(0), values[200:].mean(0)], 200, axis=0)
    frames = separate_classes(values, films, ("a", "b"))
    assert all(entry.share > 0.8 and entry.interval.low > 0.7 for entry in frames)
    kin = Kin.of(films)
    assert kin is not None
    assert kin.apart is not None
    nearest = nearest_others(values, kin)
    same = films[nearest] == films
    assert (np.abs(nearest - np.arange(400))[same] >= kin.apart).all()
    blocks = separate_classes(values, films, ("a", "b"), kin)
    assert all(entry.share < 0.7 and entry.interval.high - entry.interval.low > 0.3 for entry in blocks)
    assert [entry.n for entry in blocks] == [200, 200]


def test_pictures_of_one_patient_are_no_evidence_for_each_other():
    patients = np.repeat(np.arange(10), 5)
    values = (patients * 10.0 + np.tile(np.arange(5), 10) * 0.1)[:, None].astype(np.float32)
    classes = patients % 2
    alone = separate_classes(values, classes, ("a", "b"))
    assert [entry.share for entry in alone] == [1, 1]
    kin = Kin.of(patients)
    assert (patients[nearest_others(values, kin)] != patients).all()
    found = separate_classes(values, classes, ("a", "b"), kin)
    assert [entry.share for entry in found] == [0, 0]
    assert found[0].interval == wilson(0.0, 5)
    assert Kin.of(np.arange(6)) is None


def test_of_two_pictures_nothing_is_told_apart_though_they_are_alike():
    values = np.array([[0.0, 0], [0.1, 0], [9, 9], [9.1, 9]], np.float32)
    found = separate_classes(values, np.array([0, 0, 1, 1]), ("a", "b"))
    assert [(entry.share, entry.interval) for entry in found] == [(1.0, wilson(1.0, 2))] * 2
    assert found[0].interval.low < 0.5


def test_a_picture_without_any_other_says_nothing_of_its_class():
    """It was its own nearest one, and its class stood apart from nothing."""
    one = np.ones((1, 2), np.float32)
    assert nearest_others(one).tolist() == [-1]
    assert separate_classes(one, np.array([0]), ("a", "b")) == ()
    values = np.array([[0.0, 0], [1, 0], [2, 0], [9, 9]], np.float32)
    film = Kin(np.zeros(4, np.int64), np.arange(4), None)
    assert nearest_others(values, film).tolist() == [-1] * 4
    assert separate_classes(values, np.array([0, 0, 0, 1]), ("a", "b"), film) == ()
    frames = Kin(np.zeros(4, np.int64), np.array([0, 1, 2, 3]), 3)  # the outer ones alone have an other
    assert nearest_others(values, frames).tolist() == [3, -1, -1, 0]
    found = separate_classes(values, np.zeros(4, np.int64), ("a",), frames)
    assert [(entry.n, entry.share) for entry in found] == [(2, 1.0)]
    assert separate_classes(values[:0], np.zeros(0, np.int64), ("a",)) == ()


def test_nearest_others_are_those_of_scikit_learn():
    neighbors = pytest.importorskip("sklearn.neighbors")
    values = np.random.default_rng(2).normal(size=(300, 7)).astype(np.float32)
    expected = neighbors.NearestNeighbors(n_neighbors=2).fit(values).kneighbors(values, return_distance=False)[:, 1]
    assert np.array_equal(nearest_others(values), expected)


@pytest.mark.slow
def test_new_pictures_are_placed_near_those_that_they_are_like_and_the_map_stays():
    pytest.importorskip("openTSNE")
    rng = np.random.default_rng(3)
    centres = np.array([[0.0, 0], [12, 0], [0, 12]])
    values = np.concatenate([rng.normal(size=(40, 2)) + centre for centre in centres]).astype(np.float32)
    drawn = draw_tsne(values)
    before = drawn.copy()
    new = place_on_tsne(drawn, values, centres.astype(np.float32))
    assert np.array_equal(drawn, before)
    heaps = np.stack([drawn[40 * k : 40 * k + 40].mean(0) for k in range(3)])
    nearest = np.linalg.norm(new[:, None] - heaps[None], axis=2).argmin(1)
    assert nearest.tolist() == [0, 1, 2]


def test_mistakes_are_listed_by_what_makes_them_worth_a_look():
    truth = np.array([0, 0, 1, 1])
    first = np.array([[0.9, 0.1], [0.05, 0.95], [0.6, 0.4], [0.1, 0.9]], np.float32)
    second = np.array([[0.8, 0.2], [0.1, 0.9], [0.3, 0.7], [0.2, 0.8]], np.float32)
    record = find_mistakes(["a", "b", "c", "d"], truth, np.stack([first, second]), ("cat", "dog"), "cnn")
    assert [picture.item for picture in record.confident] == ["b", "c"]
    assert record.hardest[0].picture.item == "b"
    assert record.hardest[0].of_truth == pytest.approx(0.075)
    assert [entry.picture.item for entry in record.mislabelled] == ["b"]  # on c the runs do not agree
    assert [(group.name, group.share) for group in record.classes] == [("cat", 0.5), ("dog", 0.75)]


def test_mistakes_of_a_detector_are_told_by_its_threshold():
    """At 0.08 the second picture is found, and the first is a false alarm: one half would tell the opposite of both."""
    truth = np.array([0, 1, 1])
    yes_N = np.array([0.1, 0.2, 0.01], np.float32)
    probabilities_NK = np.stack([1 - yes_N, yes_N], 1)
    answers_RN = np.array([[1, 1, 0]])
    record = find_mistakes(
        ["a", "b", "c"], truth, probabilities_NK[None], ("other", "lion"), "cnn", answers_RN=answers_RN
    )
    assert [(picture.item, picture.answer) for picture in record.confident] == [("c", "other"), ("a", "lion")]
    assert record.confident[1].probability == pytest.approx(0.1)
    assert {group.name: group.share for group in record.classes} == {"other": 0.0, "lion": 0.5}
    assert next(entry.picture for entry in record.hardest if entry.picture.item == "b").answer == "lion"


def test_mistakes_of_masks_are_those_that_all_runs_make_alike():
    """Of the second picture both runs give the cat's pixels to the dog; of the first the runs do not agree.

    No run ever finds a fox: that all take it for a dog is no doubt of its label.
    """
    ids, classes = np.array(["a", "b", "c"]), ("road", "cat", "dog", "fox")
    known = np.diag([0, 90, 0, 0]) + np.array([[0] * 4] * 3 + [[0, 0, 10, 0]])
    one = np.zeros((3, 4, 4), int)
    one[0, :3, :3], one[1, :3, :3] = [[80, 0, 0], [0, 2, 18], [0, 0, 0]], [[70, 0, 0], [0, 3, 27], [0, 0, 0]]
    other = np.zeros((3, 4, 4), int)
    other[0, :3, :3], other[1, :3, :3] = [[80, 0, 0], [0, 18, 2], [0, 0, 0]], [[70, 0, 0], [0, 1, 29], [0, 0, 0]]
    one[2] = other[2] = known
    counts = [MaskCounts(ids, Part.TEST, confusions) for confusions in (one, other)]
    record = find_mask_mistakes(counts, classes, "unet", "pixel_accuracy")
    assert [(entry.item, entry.score) for entry in record.hardest] == [
        ("b", pytest.approx((0.73 + 0.71) / 2)),
        ("a", pytest.approx((0.82 + 0.98) / 2)),
        ("c", pytest.approx(0.9)),
    ]
    (doubt,) = record.doubtful
    assert (doubt.item, doubt.truth, doubt.answer) == ("b", "cat", "dog")
    assert (doubt.share, doubt.covers) == (0.9, 0.3)


def test_a_group_of_masks_is_scored_by_all_its_pixels():
    large, small = np.array([[90, 10], [0, 100]]), np.array([[1, 0], [4, 0]])
    confusions = np.stack([large] * 5 + [small] * 5 + [small])
    groups = np.array(["day"] * 5 + ["night"] * 5 + ["few"])
    counts = MaskCounts(np.arange(11).astype(str), Part.TEST, confusions)
    record = find_mask_mistakes([counts], ("road", "car"), "unet", "pixel_accuracy", groups)
    assert [(group.name, group.n, group.share) for group in record.groups] == [("night", 5, 0.2), ("day", 5, 0.95)]
    assert record.groups[1].interval.low == record.groups[1].interval.high == 0.95  # all its pictures are alike


def test_wilson_is_that_of_statsmodels():
    proportion = pytest.importorskip("statsmodels.stats.proportion")
    for share, n in ((0.0, 12), (0.3, 40), (1.0, 7)):
        low, high = proportion.proportion_confint(round(share * n), n, method="wilson")
        interval = wilson(round(share * n) / n, n)
        assert (interval.low, interval.high) == pytest.approx((low, high), abs=1e-9)
