"""Networks of timm. Loading timm takes some seconds: all but the lookup of files is marked slow."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file

from etude.core.errors import MissingPartError, ModelError
from etude.models import build_model, card_of, resolve_spec
from etude.models.weights import FOLDER_VARIABLE, locate_imagenet, locate_weights

NAME = "mobilenetv3_small_050"


def test_weights_are_looked_for_by_name_in_the_folder(tmp_path, monkeypatch):
    for name in ("resnet50d", "resnet50_gn", "resnet50_imagenet1k", "vgg16", "vgg16.tv_in1k"):
        (tmp_path / f"{name}.safetensors").touch()
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    assert locate_imagenet("resnet50").name == "resnet50_imagenet1k.safetensors"
    assert locate_imagenet("vgg16").name == "vgg16.safetensors"


@pytest.mark.slow
def test_an_unknown_name_gives_the_nearest():
    with pytest.raises(ModelError, match=r"model: unknown name 'resnt50'\. Did you mean 'resnet50'"):
        resolve_spec("resnt50")
    with pytest.raises(ModelError, match=r"Did you mean 'cnn'"):
        resolve_spec("cn")


@pytest.mark.slow
def test_a_card_is_made_from_timms_own():
    card = card_of("vit_tiny_patch16_224")
    assert (card.input_px, card.min_px, card.normalize) == (224, 224, "half")
    assert card.licence_weights == "apache-2.0"


@pytest.mark.slow
def test_weights_that_are_nowhere_give_a_sentence(monkeypatch):
    from etude.models.networks import timm as networks

    def no_network(*_args, **_kwargs):
        raise OSError("Name or service not known")

    monkeypatch.delenv(FOLDER_VARIABLE, raising=False)
    monkeypatch.setattr(networks, "try_to_load_from_cache", lambda *_: None)
    monkeypatch.setattr(networks, "get_session", no_network)
    with pytest.raises(MissingPartError, match=f"save it as {NAME}.safetensors .* set {FOLDER_VARIABLE}"):
        resolve_spec({"name": NAME, "weights": "imagenet"})


@pytest.mark.slow
def test_a_path_may_be_that_of_a_folder(tmp_path, monkeypatch):
    monkeypatch.delenv(FOLDER_VARIABLE, raising=False)
    folder = tmp_path / "brought"
    folder.mkdir()
    source = build_model(NAME, n_outputs=7, size_px=(64, 64), seed=1)
    for name in (f"{NAME}_imagenet1k", "mobilenetv3_small_075"):
        save_file(source.state_dict(), folder / f"{name}.safetensors")
    by_folder = resolve_spec({"name": NAME, "weights": "brought"}, tmp_path)
    assert by_folder.spec.weights == str(folder / f"{NAME}_imagenet1k.safetensors")
    assert resolve_spec(by_folder.full).full == by_folder.full
    by_file = resolve_spec({"name": NAME, "weights": f"brought/{NAME}_imagenet1k.safetensors"}, tmp_path)
    assert by_folder.identity == by_file.identity
    model = build_model(by_folder.full, n_outputs=3, size_px=(64, 64), seed=2)
    assert torch.equal(model.conv_stem.weight, source.conv_stem.weight)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (".", f"{NAME}.safetensors"),
        ("nowhere", f"nowhere/{NAME}.safetensors"),
        ("mine.safetensors", "mine.safetensors"),
    ],
)
def test_a_path_that_holds_nothing_says_how_to_bring_the_file(tmp_path, given, wanted):
    with pytest.raises(MissingPartError) as caught:
        resolve_spec({"name": NAME, "weights": given}, tmp_path)
    told = str(caught.value)
    assert str(tmp_path / given) in told or given == "."
    assert "Download model.safetensors from https://huggingface.co/timm/" in told
    assert f"save it as {tmp_path / wanted}; or leave `weights` out" in told


def test_other_formats_are_refused_whether_they_are_there_or_not(tmp_path):
    (tmp_path / "there.bin").touch()
    for given in ("there.bin", "nowhere.pth"):
        with pytest.raises(ModelError, match="Other formats can carry code"):
            locate_weights(NAME, given, tmp_path)


@pytest.mark.slow
def test_a_local_file_fills_all_but_a_head_of_another_size(tmp_path, monkeypatch):
    source = build_model(NAME, n_outputs=7, size_px=(64, 64), seed=1)
    save_file(source.state_dict(), tmp_path / f"{NAME}.safetensors")
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    for weights in ("imagenet", str(tmp_path / f"{NAME}.safetensors")):
        spec = {"name": NAME, "weights": weights}
        other = build_model(spec, n_outputs=3, size_px=(64, 64), seed=2)
        same = build_model(spec, n_outputs=7, size_px=(64, 64), seed=2)
        assert torch.equal(other.conv_stem.weight, source.conv_stem.weight)
        assert other.classifier.out_features == 3
        assert torch.equal(same.classifier.weight, source.classifier.weight)
        assert list(resolve_spec(spec).identity) == ["name", "weights_sha256"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mobilenetv3_small_050", "convnext_atto"])
def test_a_drawn_head_starts_from_nearly_equal_answers(tmp_path, monkeypatch, name):
    # timm draws the heads of some networks so that answers start all but sure. Few steps do not undo that: a frozen
    # network ended far below a logistic regression on the same features.
    source = build_model(name, n_outputs=7, size_px=(64, 64), seed=1)
    save_file({key: value.contiguous() for key, value in source.state_dict().items()}, tmp_path / f"{name}.safetensors")
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    for spec in ({"name": name, "weights": "imagenet"}, {"name": name}):
        head = build_model(spec, n_outputs=6, size_px=(64, 64), seed=2).get_classifier()
        features_BC = 38 * torch.nn.functional.normalize(torch.rand(64, head.in_features), dim=1)
        assert head(features_BC).softmax(1).amax() < 0.5
        assert not torch.equal(head.weight, torch.zeros_like(head.weight))


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "resnetv2_50", "efficientnet_b0", "convnext_atto", "vit_tiny_patch16_224", "mobilenetv1_100", "mobilenetv2_100",
        "vgg16", "vgg19",
    ],
)  # fmt: skip
def test_published_networks_build_for_small_pictures(name):
    model = build_model({"name": name, "dropout": 0.1}, n_outputs=5, size_px=(64, 64), seed=0).eval()
    assert model(torch.zeros(1, 3, 64, 64)).shape == (1, 5)


@pytest.mark.slow
def test_dinov2_classifies_by_a_head_on_its_features():
    # Its published form is made for 518 px and has no head; another size and a head of our own are drawn.
    spec = {"name": "vit_small_patch14_dinov2", "dropout": 0.1}
    model = build_model(spec, n_outputs=5, size_px=(196, 196), seed=0).eval()
    assert model.head.in_features == model.num_features == 384
    assert model(torch.zeros(1, 3, 196, 196)).shape == (1, 5)
    assert card_of("vit_small_patch14_dinov2").normalize == "imagenet"
    head_of_its_own = build_model({**spec, "dropout": 0, "head": {"hidden": 16, "dropout": 0.1}}, n_outputs=3,
                                  size_px=(196, 196), seed=0).eval()  # fmt: skip
    assert head_of_its_own(torch.zeros(1, 3, 196, 196)).shape == (1, 3)


@pytest.mark.slow
def test_the_real_imagenet_file_gives_features(monkeypatch, real_weights):
    monkeypatch.setenv(FOLDER_VARIABLE, str(real_weights))
    spec = {"name": "mobilenetv2_100", "weights": "imagenet"}
    whole = build_model(spec, n_outputs=1000, size_px=(224, 224), seed=0).eval()
    cut = build_model(spec, n_outputs=6, size_px=(64, 64), seed=0).eval()
    assert torch.equal(whole.conv_stem.weight, cut.conv_stem.weight)
    assert cut(torch.zeros(1, 3, 64, 64)).shape == (1, 6)
    with torch.no_grad():
        spread = whole(torch.randn(2, 3, 224, 224)).softmax(1)
    assert spread.max() > 0.005  # a head that is not trained gives nearly 1/1000 everywhere
