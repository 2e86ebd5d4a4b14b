"""The contract of every network of masks, on both label sets of Cityscapes: shapes, sizes, gradients, state, precision."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file, save_file

from etude.data.sources.cityscapes import CATEGORIES, CLASSES
from etude.explain.questions import OfPixels
from etude.explain.sight import find_cam_layer
from etude.explain.why import raw_grad_cam
from etude.models import MODELS, build_model, count_macs, count_parameters, is_trainable, resolve_spec
from etude.tasks.segmentation import Segmentation

LABELS = {"categories": tuple(CATEGORIES), "classes": tuple(CLASSES)}
SMALL = {
    "unet": {"name": "unet", "widths": [4, 8, 12]},
    "unet-mini": "unet-mini",
    "fast-scnn": {"name": "fast-scnn", "width": 0.25},
    "majority": "majority",
}
ENCODER = "mobilenetv3_small_050"
# PAN takes a picture apart into sixteenths before it looks at parts of them.
SIZES_PX = {"smp-pan": (136, 160)}
NAMES = [name for name in MODELS if "segmentation" in MODELS[name].tasks and name != "python"]


@pytest.fixture(scope="module", params=NAMES)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def spec(name):
    return SMALL.get(name, {"name": name, "encoder": ENCODER})


@pytest.fixture(scope="module")
def size_px(name):
    return SIZES_PX.get(name, (40, 52))  # no multiple of what the networks halve


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def draw(size_px, batch=2, seed=1):
    return torch.rand(batch, 3, *size_px, generator=torch.Generator().manual_seed(seed)) - 0.5


def build(spec, size_px, n_outputs=19, seed=0):
    return build_model(spec, n_outputs=n_outputs, size_px=size_px, seed=seed, task="segmentation")


@pytest.mark.parametrize("labels", LABELS)
def test_it_learns_masks_of_the_pictures_size(spec, size_px, labels):
    classes = LABELS[labels]
    model = build(spec, size_px, len(classes))
    logits = model(draw(size_px))
    assert logits.shape == (2, len(classes), *size_px)
    assert torch.isfinite(logits).all()
    if not is_trainable(model):
        return
    masks = torch.randint(0, len(classes), (2, *size_px), generator=torch.Generator().manual_seed(2))
    masks[:, :5] = 255
    Segmentation(classes).loss(logits, masks).backward()
    # Decoders that look at fewer levels leave the encoder's last ones without a gradient.
    gradients = {key: parameter.grad for key, parameter in model.named_parameters() if parameter.grad is not None}
    assert all(torch.isfinite(gradient).all() for gradient in gradients.values())
    if "encoder" not in str(spec):
        assert len(gradients) == sum(parameter.requires_grad for parameter in model.parameters())
    assert any(gradient.abs().sum() > 0 for gradient in gradients.values())


def test_same_seed_same_weights_and_the_state_makes_the_round_trip(spec, size_px, tmp_path):
    first, again, other = (build(spec, size_px, seed=seed) for seed in (0, 0, 1))
    state = first.state_dict()
    assert all(torch.equal(state[key], again.state_dict()[key]) for key in state)
    if is_trainable(first):
        assert any(not torch.equal(state[key], other.state_dict()[key]) for key in state)
    save_file(state, tmp_path / "model.safetensors")
    other.load_state_dict(load_file(tmp_path / "model.safetensors"))
    assert torch.equal(first.eval()(draw(size_px)), other.eval()(draw(size_px)))


def test_a_picture_alone_and_in_bfloat16_gives_nearly_the_same(spec, size_px):
    model = build(spec, size_px).eval()
    images = draw(size_px)
    with torch.no_grad():
        plain = model(images)
        torch.testing.assert_close(model(images[:1]), plain[:1], rtol=1e-3, atol=1e-4)
        model = model.to(memory_format=torch.channels_last)
        last = images.to(memory_format=torch.channels_last)
        torch.testing.assert_close(model(last), plain, rtol=1e-3, atol=1e-4)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            halved = model(last).float()
    assert (halved - plain).abs().max() <= 0.1 * plain.abs().max() + 0.02


def test_where_it_looks_can_be_asked_at_a_layer_before_maps_are_enlarged(spec, size_px):
    model = build(spec, size_px).eval()
    image = draw(size_px, batch=1)
    layer = find_cam_layer(model, image)
    if not is_trainable(model):
        assert layer is None
        return
    ids_HW = model(image)[0].argmax(0)
    label = int(ids_HW[0, 0])
    maps = raw_grad_cam(model, image, OfPixels(label, ids_HW == label), layer)
    assert torch.isfinite(maps).all()
    assert maps.shape[2] <= size_px[0] / 2
    assert maps.shape[3] <= size_px[1] / 2


def test_its_card_and_its_identity(name, spec, size_px):
    card = MODELS[name].card
    assert card.sentence.endswith(".")
    assert 1 <= card.min_px <= card.input_px
    resolved = resolve_spec(spec)
    assert resolve_spec(resolved.full).identity == resolved.identity
    model = build(spec, size_px)
    if is_trainable(model):
        assert count_macs(model, size_px) > 0
        assert model.get_parameter(next(key for key, _ in model.named_parameters())).requires_grad


def test_the_small_one_is_small_and_fast_scnn_is_as_large_as_its_paper_says():
    assert count_parameters(build("unet-mini", (64, 64))) < 500_000
    fast = build("fast-scnn", (64, 64), n_outputs=19)
    norms = sum(count_parameters(module) for module in fast.modules() if isinstance(module, torch.nn.BatchNorm2d))
    assert round((count_parameters(fast) - norms) / 1e6, 2) == 1.11
    assert norms < 25_000


def test_a_file_of_weights_fills_the_encoder_and_leaves_the_decoder_as_drawn(tmp_path, monkeypatch):
    spec = {"name": "smp-unet", "encoder": ENCODER}
    size_px = (64, 64)
    source = build_model(ENCODER, n_outputs=5, size_px=size_px, seed=1)
    path = tmp_path / f"{ENCODER}.safetensors"
    save_file({key: value.contiguous() for key, value in source.state_dict().items()}, path)
    monkeypatch.setenv("ETUDE_WEIGHTS", str(tmp_path))
    drawn = build(spec, size_px, seed=2).state_dict()
    for weights in ("imagenet", str(path)):
        filled = build({**spec, "weights": weights}, size_px, seed=2).state_dict()
        assert filled.keys() == drawn.keys()
        own = {key for key in filled if ".encoder." in key}
        for key in own:
            assert torch.equal(filled[key], source.state_dict()[key.removeprefix("body.encoder.model.")]), key
        assert all(torch.equal(filled[key], drawn[key]) for key in filled.keys() - own)
        assert any(not torch.equal(filled[key], drawn[key]) for key in own)


def test_the_commonest_class_of_each_position_is_that_counted_by_hand():
    """Four masks of two pixels; at the first: 0, 0, 1 and void; at the second: 1, 1, 1, 1. In all 2 of 0 and 5 of 1."""
    masks = torch.tensor([[[0, 1]], [[0, 1]], [[1, 1]], [[255, 1]]], dtype=torch.uint8)
    model = build("majority", (1, 2), n_outputs=3)
    model.fit_masks(masks)
    # To each position half a picture of the whole is added, where a class that is nowhere has half a pixel.
    whole = torch.tensor([2, 5, 0.5]) / 7.5
    first, second = torch.tensor([2, 1, 0]) + 0.5 * whole, torch.tensor([0, 4, 0]) + 0.5 * whole
    given = model(torch.zeros(2, 3, 1, 2)).softmax(1)
    expected = torch.stack((first / first.sum(), second / second.sum()), 1)[None, :, None]
    torch.testing.assert_close(given, expected.expand(2, -1, -1, -1))
    assert model(torch.zeros(1, 3, 4, 8)).argmax(1)[0, :, [0, -1]].tolist() == [[0, 1]] * 4
