"""Blocks, heads and shortened networks of timm. Loading timm takes some seconds: slow."""

from __future__ import annotations

import pytest
import torch

from etude.core.errors import ModelError
from etude.models import build_model, resolve_spec
from etude.models.networks.depth import cut_before_head, find_head, number_blocks, set_training, train_last

SIZE_PX = (64, 64)
DINO = "vit_small_patch14_dinov2"
NAMES = {
    "mobilenetv1_100": SIZE_PX, "mobilenetv2_100": SIZE_PX, "mobilenetv3_small_050": SIZE_PX, "resnet18": SIZE_PX,
    "resnetv2_50": SIZE_PX, "efficientnet_b0": SIZE_PX, "convnext_atto": SIZE_PX, "vit_tiny_patch16_224": SIZE_PX,
    "vgg11": SIZE_PX, "vgg16": SIZE_PX, "vgg19": SIZE_PX, DINO: (196, 196),
}  # fmt: skip
"""Networks that documentation names, with a size of pictures: DINOv2 takes multiples of its patches of 14 px."""


def build(spec, n_outputs=5, size_px=SIZE_PX):
    return build_model(spec, n_outputs=n_outputs, size_px=size_px, seed=0)


@pytest.mark.parametrize("name", ["cnn", "vgg", "resnet", "mlp"])
def test_our_own_networks_have_blocks_in_order(name):
    model = build(name)
    numbers = number_blocks(model)
    assert list(numbers.values()) == sorted(numbers.values())
    assert numbers["head.weight"] == max(numbers.values()) > 1


def test_frozen_parts_stay_in_evaluation_mode():
    model = build("resnet")
    train_last(model, 1, frozenset(name for name, _ in model.named_parameters()))
    set_training(model)
    assert model.blocks[-1].norm1.training
    assert not model.blocks[0].norm1.training
    assert not model.stem_norm.training


@pytest.mark.slow
@pytest.mark.parametrize(("name", "size_px"), NAMES.items())
def test_any_network_of_timm_is_cut_before_its_head(name, size_px):
    model = build(name, size_px=size_px).eval()
    numbers = number_blocks(model)
    head = find_head(model)
    assert max(numbers.values()) > 4
    assert {key for key, number in numbers.items() if number == max(numbers.values())} == {
        f"{head}.weight",
        f"{head}.bias",
    }
    trunk = cut_before_head(model, size_px)
    images = torch.rand(3, 3, *size_px)
    torch.testing.assert_close(trunk.head.eval()(trunk.features(images)), model(images), rtol=1e-3, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("encoder", ["mobilenetv3_small_050", "convnext_atto"])
@pytest.mark.parametrize("name", ["smp-unet", "smp-fpn", "smp-deeplabv3plus", "smp-segformer"])
def test_a_segmentation_network_has_blocks_from_its_pictures_to_its_head(name, encoder):
    if (name, encoder) == ("smp-deeplabv3plus", "convnext_atto"):
        pytest.skip("the library cannot dilate this encoder")
    spec = {"name": name, "encoder": encoder}
    model = build_model(spec, n_outputs=5, size_px=SIZE_PX, seed=0, task="segmentation")
    numbers = number_blocks(model)
    parts = {"encoder": "body.encoder.", "decoder": "body.decoder.", "head": "body.segmentation_head."}
    of = {part: {n for name, n in numbers.items() if name.startswith(prefix)} for part, prefix in parts.items()}
    assert len(of["encoder"]) > 4
    assert min(of["encoder"]) == 0
    assert max(of["encoder"]) < min(of["decoder"]) <= max(of["decoder"]) < min(of["head"])
    assert len(of["head"]) == 1
    assert set(numbers.values()) == set(range(max(numbers.values()) + 1))


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["resnetv2_50", "convnext_atto", "vit_tiny_patch16_224", "swin_tiny_patch4_window7_224"]
)
@pytest.mark.parametrize("head", [{}, {"pool": "avgmax", "hidden": 16, "dropout": 0.3}])
def test_without_its_last_blocks_and_with_a_new_head(name, head):
    size_px = (224, 224) if "swin" in name else SIZE_PX
    whole, cut = (
        build({"name": name, "drop_blocks": count, "head": head if count else {}}, size_px=size_px) for count in (0, 1)
    )
    assert cut(torch.rand(2, 3, *size_px)).shape == (2, 5)
    assert sum(p.numel() for p in cut.parameters()) < sum(p.numel() for p in whole.parameters())
    trunk = cut_before_head(cut, size_px)
    assert trunk.head.dropout == head.get("dropout", 0.0)
    numbers = number_blocks(cut)
    assert all(number == max(numbers.values()) for key, number in numbers.items() if key.startswith("head."))
    assert len(set(numbers.values())) == max(numbers.values()) + 1


@pytest.mark.slow
def test_a_hidden_layer_stands_before_the_logits():
    model = build({"name": "mobilenetv3_small_050", "head": {"hidden": 16, "pool": "max"}})
    assert [tuple(p.shape) for p in model.classifier.parameters()] == [(16, 1024), (16,), (5, 16), (5,)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"drop_blocks": 9}, r"drop_blocks must be less than 5"),
        ({"drop_blocks": 1, "head": {"pool": "median"}}, r"head\.pool must be one of avg, max"),
        ({"dropout": 0.1, "head": {"dropout": 0.1}}, "dropout and head.dropout are the same"),
    ],
)
def test_mistakes_are_sentences(given, told):
    with pytest.raises(ModelError, match=told):
        build({"name": "mobilenetv3_small_050", **given})


@pytest.mark.slow
def test_defaults_leave_the_identity_as_it_was():
    spec = {"name": "mobilenetv3_small_050"}
    assert resolve_spec({**spec, "drop_blocks": 0, "head": {}}).identity == resolve_spec(spec).identity == spec
