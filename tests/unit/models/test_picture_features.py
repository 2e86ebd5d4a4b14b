"""What generated pictures are compared by: which features are found, and what they are of a picture."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch

from etude.core.errors import MissingPartError
from etude.models import embedding, picture_features
from etude.models.embedding import Embedder
from etude.models.picture_features import PictureFeatures, find_features

PICTURES = np.random.default_rng(0).integers(0, 256, (70, 32, 48, 3), dtype=np.uint8)


@pytest.fixture
def at_hand(monkeypatch):
    """Say which networks' weights are at hand."""
    known: set[str] = set()

    def find(names):
        return next((Embedder(name, Path(f"{name}.safetensors")) for name in names if name in known), None)

    monkeypatch.setattr(picture_features, "find_embedder", find)
    return known


def test_without_a_network_at_hand_pictures_are_compared_by_their_pixels(at_hand):
    assert find_features() == find_features("pixels") == PictureFeatures("pixels")
    at_hand.update({"mobilenetv2_100", "resnet50"})
    assert find_features().name == "resnet50", "the most telling one"
    assert find_features("mobilenetv2_100").file == Path("mobilenetv2_100.safetensors")
    assert find_features("pixels").file is None, "asked for by name"
    at_hand.add("inception_v3")
    assert find_features().name == "inception_v3", "that which the KID and the FID are of"


def test_a_network_that_is_not_at_hand_is_said_with_the_remedy(at_hand):
    at_hand.add("resnet50")
    with pytest.raises(MissingPartError, match=r"generation\.features.*'convnext_tiny'.*ETUDE_WEIGHTS"):
        find_features("convnext_tiny")


def test_pixels_are_means_of_patches_from_minus_one_to_one():
    features = PictureFeatures("pixels").of(PICTURES)
    assert features.shape == (70, 3 * 16 * 16)
    assert features.dtype == np.float32
    patches = PICTURES.reshape(70, 16, 2, 16, 3, 3).mean((2, 4)).transpose(0, 3, 1, 2).reshape(70, -1)
    np.testing.assert_allclose(features, patches / 127.5 - 1, atol=1e-5)
    ends = PictureFeatures("pixels").of(np.stack([np.zeros((16, 16, 3)), np.full((16, 16, 3), 255)]).astype(np.uint8))
    assert (ends.min(1).tolist(), ends.max(1).tolist()) == ([-1, 1], [-1, 1])


@pytest.mark.parametrize(("name", "side_px"), [("resnet50", 128), ("vit_small_patch14_dinov2", 224)])
def test_a_network_sees_every_picture_at_one_size_normalised_as_it_was_trained(monkeypatch, name, side_px):
    seen: list[tuple[int, ...]] = []

    def means(images_BCHW):
        seen.append(tuple(images_BCHW.shape))
        return images_BCHW.mean((2, 3))

    monkeypatch.setattr(picture_features, "open_embedder", lambda *_: means)
    grey = np.arange(70, dtype=np.uint8)[:, None, None, None] * np.ones((1, 32, 48, 3), np.uint8)
    features = PictureFeatures(name, Path("weights.safetensors")).of(grey)
    assert {shape[1:] for shape in seen} == {(3, side_px, side_px)}
    assert sum(shape[0] for shape in seen) == 70
    np.testing.assert_allclose(features, np.arange(70)[:, None] / 127.5 - 1 + np.zeros((1, 3)), atol=1e-5)
    assert torch.is_grad_enabled()


def test_inception_comes_first_where_a_folder_has_its_weights_and_sees_pictures_at_299_px(monkeypatch, tmp_path):
    import timm
    from safetensors.torch import save_file

    def save(name):
        torch.manual_seed(0)
        save_file(timm.create_model(name).state_dict(), tmp_path / f"{name}.safetensors")

    monkeypatch.setenv("ETUDE_WEIGHTS", str(tmp_path))
    save("mobilenetv2_100")
    before = find_features()
    save("inception_v3")
    found = find_features()
    assert (before.name, found.name) == ("mobilenetv2_100", "inception_v3")
    assert found.file == (tmp_path / "inception_v3.safetensors").resolve()
    assert found.weights == hashlib.sha256(found.file.read_bytes()).hexdigest()
    fitted, seen = found.fitted_to(PICTURES[:4]), []
    network = embedding.open_embedder(found.name, found.file)
    hook = network.register_forward_pre_hook(lambda _, given: seen.append(tuple(given[0].shape)))
    features = fitted.of(PICTURES[:2])
    hook.remove()
    assert seen == [(2, 3, 299, 299)]
    assert features.shape == (2, 2048)
    assert np.isfinite(features).all()
    assert np.abs(features[0] - features[1]).max() > 0
    known = timm.create_model("inception_v3", pretrained=False).eval()
    torch.manual_seed(0)
    known.load_state_dict(timm.create_model("inception_v3").state_dict())
    mean, std = (torch.tensor(values)[:, None, None] for values in fitted.statistics)
    images = (torch.from_numpy(PICTURES[:2]).permute(0, 3, 1, 2).float() / 255 - mean) / std
    wide = torch.nn.functional.interpolate(images, (299, 299), mode="bilinear", antialias=True)
    with torch.no_grad():
        pooled = known.forward_features(wide).mean((2, 3))
    np.testing.assert_allclose(features, pooled.numpy(), rtol=1e-3, atol=1e-4)


def test_a_network_is_opened_once_and_anew_where_its_file_holds_other_weights(monkeypatch, tmp_path):
    opened: list[str] = []

    def create_model(name, **_):
        opened.append(name)
        return torch.nn.Identity()

    monkeypatch.setattr("timm.create_model", create_model)
    monkeypatch.setattr("etude.models.networks.timm.embedding_options", lambda *_: {})
    file = tmp_path / "resnet50.safetensors"
    for content, count in ((b"1", 1), (b"1", 1), (b"another", 2)):
        if not file.exists() or file.read_bytes() != content:
            file.write_bytes(content)
        embedding.open_embedder("resnet50", file)
        assert len(opened) == count
    assert PictureFeatures("resnet50", file).weights == hashlib.sha256(b"another").hexdigest()
    assert PictureFeatures("pixels").weights == ""
