"""Graphs in 8 bits are rewritten to faster operators that give the same numbers, to the last one."""

from __future__ import annotations

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
torch = pytest.importorskip("torch")

from etude.export import quantise as quantising  # noqa: E402
from etude.export.graph import Deployed, export_graph  # noqa: E402
from etude.pictures.prepare_config import Prepare  # noqa: E402
from etude.runtime.reference import drawn_pictures  # noqa: E402
from etude.runtime.session import Session  # noqa: E402

PREPARE = Prepare(size_px=(16, 24), normalize="imagenet")
PICTURES = drawn_pictures((16, 24), 8)


def both(monkeypatch, *layers: torch.nn.Module, tells_logits: bool = False) -> tuple[bytes, bytes]:
    """Return the 8-bit graph of these layers as onnxruntime makes it, and as it is rewritten."""
    model = Deployed(torch.nn.Sequential(*layers), PREPARE, "segmentation", tells_logits=tells_logits).eval()
    exact = export_graph(model, PREPARE)
    lowered = quantising.quantise(exact, iter(np.split(PICTURES, 2)))
    with monkeypatch.context() as patch:
        patch.setattr(quantising, "lower", lambda model: model)
        return quantising.quantise(exact, iter(np.split(PICTURES, 2))), lowered


def ids(graph: bytes, pictures=PICTURES):
    return Session(graph, "pictures", "ids", threads=1).run(pictures)


def operators(graph: bytes) -> list[str]:
    return [node.op_type for node in onnx.load_from_string(graph).graph.node]


def channels_of_last_conv(graph: bytes) -> int:
    model = onnx.load_from_string(graph)
    sizes = {entry.name: list(entry.dims) for entry in model.graph.initializer}
    makers = {name: node for node in model.graph.node for name in node.output}
    last = [node for node in model.graph.node if node.op_type == "Conv"][-1]
    return sizes[makers[last.input[1]].input[0]][0]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("times", [2, (2, 4)])
def test_pixels_are_repeated_and_channels_filled_without_a_changed_id(monkeypatch, bias, times) -> None:
    torch.manual_seed(0)
    shrink = (2, 2) if times == 2 else (2, 4)
    plain, lowered = both(
        monkeypatch,
        torch.nn.Conv2d(3, 16, 3, shrink, 1), torch.nn.ReLU(), torch.nn.Upsample(scale_factor=times, mode="nearest"),
        torch.nn.Conv2d(16, 5, 3, 1, 1, bias=bias),
    )  # fmt: skip
    assert "Resize" in operators(plain)
    assert channels_of_last_conv(plain) == 5
    assert "Resize" not in operators(lowered)
    assert channels_of_last_conv(lowered) == 16
    expected = ids(plain)
    assert len(np.unique(expected)) > 2
    assert np.array_equal(ids(lowered), expected)
    assert np.array_equal(ids(lowered, PICTURES[:1]), expected[:1])


def test_a_class_that_is_added_is_not_chosen_where_all_others_are_at_the_lowest_level(monkeypatch) -> None:
    convolution = torch.nn.Conv2d(3, 3, 1)
    with torch.no_grad():  # all classes fall with brightness, to the lowest level that was seen
        convolution.weight.fill_(-1.0)
        convolution.bias.zero_()
    dim = (PICTURES // 8).astype(np.uint8)
    model = Deployed(torch.nn.Sequential(convolution), PREPARE, "segmentation").eval()
    exact = export_graph(model, PREPARE)
    lowered = quantising.quantise(exact, iter(np.split(dim, 2)))
    assert channels_of_last_conv(lowered) == 16
    white = np.full_like(PICTURES, 255)
    assert np.unique(ids(lowered, white)).tolist() == [0]  # all at the lowest level: the first of them


class _Token(torch.nn.Module):
    """Takes the first of a row of tokens, as networks with a class token do: by a scalar index."""

    def __init__(self) -> None:
        super().__init__()
        self.patches, self.head = torch.nn.Conv2d(3, 16, 8, 8), torch.nn.Linear(16, 4)

    def forward(self, images_BCHW: torch.Tensor) -> torch.Tensor:
        tokens_BTC = self.patches(images_BCHW).flatten(2).transpose(1, 2)
        return self.head(tokens_BTC[:, 0])


def test_a_graph_with_scalars_stays_what_it_is() -> None:
    torch.manual_seed(0)
    model = Deployed(_Token(), PREPARE, "classification").eval()
    small = quantising.quantise(export_graph(model, PREPARE), iter(np.split(PICTURES, 2)))
    answers = Session(small, "pictures", "probabilities", threads=1).run(PICTURES)
    with torch.no_grad():
        np.testing.assert_allclose(answers, model(torch.from_numpy(PICTURES)).numpy(), atol=0.05)


def test_pixels_that_are_not_repeated_evenly_are_left_as_they_are(monkeypatch) -> None:
    torch.manual_seed(0)
    layers = (torch.nn.Conv2d(3, 16, 3, 2, 1), torch.nn.ReLU(), torch.nn.Upsample(scale_factor=2.05, mode="nearest"),
              torch.nn.Conv2d(16, 5, 1))  # fmt: skip
    plain, lowered = both(monkeypatch, *layers)
    assert ("Resize" in operators(lowered)) or np.array_equal(ids(lowered), ids(plain))
    assert np.array_equal(ids(lowered), ids(plain))


def test_what_is_not_known_is_left_as_it_is(monkeypatch) -> None:
    torch.manual_seed(0)
    start = (torch.nn.Conv2d(3, 16, 3, 2, 1), torch.nn.ReLU())
    _, bilinear = both(monkeypatch, *start, torch.nn.Conv2d(16, 5, 1), torch.nn.UpsamplingBilinear2d(scale_factor=2))
    assert "Resize" in operators(bilinear)
    assert channels_of_last_conv(bilinear) == 5
    doubled = torch.nn.Upsample(scale_factor=2, mode="nearest")
    plain, told = both(monkeypatch, *start, doubled, torch.nn.Conv2d(16, 5, 1), tells_logits=True)
    assert channels_of_last_conv(told) == 5
    answers = [Session(graph, "pictures", "ids", threads=1).run_with_logits(PICTURES) for graph in (plain, told)]
    assert all(np.array_equal(one, other) for one, other in zip(*answers, strict=True))
