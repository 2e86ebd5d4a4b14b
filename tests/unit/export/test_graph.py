"""The exported graph: the network's answers from uint8 pictures on, without anything that only the tracing left there."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch: install etude[train]")
onnx = pytest.importorskip("onnx", reason="needs onnx: install etude[train]")

from etude.export.graph import Deployed, export_graph  # noqa: E402
from etude.export.quantise import quantise  # noqa: E402
from etude.pictures.prepare import Prepare  # noqa: E402
from etude.runtime.reference import drawn_pictures  # noqa: E402
from etude.runtime.session import Session  # noqa: E402

PREPARE = Prepare(size_px=(16, 24), normalize="imagenet")


@pytest.fixture(scope="module")
def deployed() -> Deployed:
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Conv2d(3, 16, 3, 2, 1), torch.nn.ReLU6(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(),
        torch.nn.Linear(16, 4),
    )  # fmt: skip
    with torch.no_grad():  # answers that are far from all the same
        model[-1].weight.mul_(20)
    return Deployed(model, PREPARE, "classification", temperature=1.5).eval()


@pytest.fixture(scope="module")
def graph(deployed: Deployed) -> bytes:
    return export_graph(deployed, PREPARE)


@pytest.mark.parametrize("count", [1, 3])
def test_it_answers_as_the_network_does_for_any_number_of_pictures(deployed, graph: bytes, count: int) -> None:
    pictures = drawn_pictures((16, 24), count)
    with torch.no_grad():
        expected = deployed(torch.from_numpy(pictures)).numpy()
    answers = Session(graph, "pictures", "probabilities", threads=1).run(pictures)
    assert np.ptp(expected) > 0.1
    np.testing.assert_allclose(answers, expected, atol=1e-5)


def test_the_order_of_pictures_in_memory_is_no_part_of_it(graph: bytes) -> None:
    operators = {node.op_type for node in onnx.load_from_string(graph).graph.node}
    assert "Conv" in operators
    assert not operators & {"Gather", "Range", "GatherND", "ScatterND"}


def test_eight_bits_answer_nearly_so_and_nothing_of_the_network_is_left_in_32(deployed, graph: bytes, tmp_path) -> None:
    import onnxruntime as ort

    pictures = drawn_pictures((16, 24), 8)
    small = quantise(graph, iter(np.split(pictures, 2)))
    answers = Session(small, "pictures", "probabilities", threads=1).run(pictures)
    with torch.no_grad():
        expected = deployed(torch.from_numpy(pictures)).numpy()
    np.testing.assert_allclose(answers, expected, atol=0.1)
    options = ort.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "made.onnx")
    options.log_severity_level = 3
    ort.InferenceSession(small, options, providers=["CPUExecutionProvider"])
    operators = [node.op_type for node in onnx.load(tmp_path / "made.onnx").graph.node]
    assert {"QLinearConv", "QLinearGlobalAveragePool", "QGemm"} <= set(operators)
    assert not {"Conv", "ReduceMean", "GlobalAveragePool", "Gemm"} & set(operators)


def test_an_export_that_is_interrupted_is_no_fault_of_the_network(deployed, monkeypatch) -> None:
    def interrupted(*args: object, **kwargs: object) -> None:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt as error:
            raise RuntimeError("Failed to export the model with torch.export.") from error

    monkeypatch.setattr(torch.onnx, "export", interrupted)
    with pytest.raises(KeyboardInterrupt):
        export_graph(deployed, PREPARE)
