"""The exported graph: the network's answers from uint8 pictures on, without anything that only the tracing left there."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch: install etude[train]")
onnx = pytest.importorskip("onnx", reason="needs onnx: install etude[train]")

from etude.export.familiarity import choose_familiarity, class_means, draw_pictures, find_head  # noqa: E402
from etude.export.graph import Deployed, cooled, export_graph  # noqa: E402
from etude.export.quantise import quantise  # noqa: E402
from etude.metrics.calibration import with_temperature  # noqa: E402
from etude.pictures.prepare_config import Prepare  # noqa: E402
from etude.runtime.graph import check_graph  # noqa: E402
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


def test_familiarity_is_the_cosine_with_the_nearest_mean_and_stays_so_with_eight_bits(deployed) -> None:
    rng = np.random.default_rng(0)
    means_KD = rng.normal(size=(4, 16)).astype(np.float32)
    means_KD /= np.linalg.norm(means_KD, axis=1, keepdims=True)
    model = deployed.model
    knowing = Deployed(model, PREPARE, "classification", 1.5, find_head(model, torch.zeros(2, 3, 16, 24), 4),
                       torch.from_numpy(means_KD)).eval()  # fmt: skip
    pictures = drawn_pictures((16, 24), 8)
    with torch.no_grad():
        features_BD = model[:-1](deployed.normalise(torch.from_numpy(pictures))).numpy()
        probabilities = deployed(torch.from_numpy(pictures)).numpy()
    expected = (features_BD @ means_KD.T / np.linalg.norm(features_BD, axis=1, keepdims=True)).max(1)
    exact = export_graph(knowing, PREPARE)
    answers, familiarity_B = Session(exact, "pictures", "probabilities", threads=1).run_both(pictures)
    np.testing.assert_allclose(answers, probabilities, atol=1e-5)
    np.testing.assert_allclose(familiarity_B, expected, atol=1e-5)
    small = quantise(exact, iter(np.split(pictures, 2)))
    np.testing.assert_allclose(
        Session(small, "pictures", "probabilities", threads=1).run_both(pictures)[1], expected, atol=0.03
    )


@pytest.mark.parametrize("bits", [32, 8])
def test_a_cooled_graph_divides_its_logits_once_more_and_changes_nothing_else(deployed, bits: int) -> None:
    told = Deployed(deployed.model, PREPARE, "classification", 1.5, tells_logits=True).eval()
    pictures = drawn_pictures((16, 24), 8)
    graph = export_graph(told, PREPARE)
    graph = graph if bits == 32 else quantise(graph, iter(np.split(pictures, 2)))
    made = cooled(graph, 2.5)
    assert made is not None
    check_graph(made)
    (before, logits), (after, same) = (
        Session(given, "pictures", "probabilities", threads=1).run_with_logits(pictures) for given in (graph, made)
    )
    np.testing.assert_allclose(same, logits, atol=1e-6)
    np.testing.assert_allclose(after, with_temperature(before, 2.5), atol=1e-5)
    shares = np.exp(logits / (1.5 * 2.5))
    np.testing.assert_allclose(after, shares / shares.sum(1, keepdims=True), atol=1e-4)
    assert np.abs(after - before).max() > 0.01


def test_a_graph_whose_answers_no_softmax_gives_is_not_cooled() -> None:
    assert cooled(export_graph(Deployed(segmenter(), PREPARE, "segmentation"), PREPARE), 2.0) is None


def segmenter(tta: str = "none") -> torch.nn.Module:
    """Return a network of masks of four classes, drawn, that enlarges what it gives."""
    from etude.train.views import Views

    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Conv2d(3, 16, 3, 2, 1), torch.nn.ReLU(), torch.nn.Conv2d(16, 4, 3, 1, 1),
        torch.nn.UpsamplingBilinear2d(scale_factor=2),
    )  # fmt: skip
    return model if tta == "none" else Views(model, tta)


@pytest.mark.parametrize("tta", ["none", "flip"])
def test_the_ids_of_a_mask_are_the_largest_of_its_logits_which_are_the_network_s(tta: str) -> None:
    model, pictures = segmenter(tta).eval(), drawn_pictures((16, 24), 8)
    deployed = Deployed(model, PREPARE, "segmentation", tells_logits=True).eval()
    with torch.no_grad():
        expected = model(deployed.normalise(torch.from_numpy(pictures))).numpy()
    exact = export_graph(deployed, PREPARE)
    for graph, near in ((exact, 1e-5), (quantise(exact, iter(np.split(pictures, 2))), 0.1)):
        session = Session(graph, "pictures", "ids", threads=1)
        ids, logits = session.run_with_logits(pictures)
        assert (logits.dtype, logits.shape) == (np.float32, (8, 4, 16, 24))
        assert len(np.unique(ids)) > 2
        assert np.array_equal(logits.argmax(1), ids)
        assert np.array_equal(session.run(pictures), ids)
        np.testing.assert_allclose(logits, expected, atol=near * np.abs(expected).max())


def test_logits_of_classes_are_told_before_the_temperature(deployed) -> None:
    told = Deployed(deployed.model, PREPARE, "classification", tells_logits=True).at_temperature(1.5).eval()
    pictures = drawn_pictures((16, 24), 3)
    with torch.no_grad():
        expected = deployed.model(deployed.normalise(torch.from_numpy(pictures))).numpy()
    answers, logits = Session(export_graph(told, PREPARE), "pictures", "probabilities").run_with_logits(pictures)
    np.testing.assert_allclose(logits, expected, atol=1e-5)
    shares = np.exp(logits / 1.5)
    np.testing.assert_allclose(answers, shares / shares.sum(1, keepdims=True), atol=1e-5)


def test_who_does_not_ask_for_logits_gets_the_graph_without_them() -> None:
    plain, told = (
        onnx.load_from_string(export_graph(Deployed(segmenter(), PREPARE, "segmentation", tells_logits=asked), PREPARE))
        for asked in (False, True)
    )
    assert [entry.name for entry in plain.graph.output] == ["ids"]
    assert [entry.name for entry in told.graph.output] == ["ids", "logits"]
    assert [node.op_type for node in plain.graph.node] == [node.op_type for node in told.graph.node]


@pytest.mark.parametrize(
    ("model", "has_one"), [("cnn", True), ("mlp", True), ("resnet", True), ("airnet", True), ("majority", False)]
)
def test_the_head_is_found_where_a_network_ends_in_a_linear_layer(model: str, has_one: bool) -> None:
    from etude.models import build_model

    network = build_model(model, n_outputs=5, size_px=(32, 32), seed=0).eval()
    head = find_head(network, torch.zeros(2, 3, 32, 32), 5)
    assert (head is not None) == has_one
    if head is not None:
        assert network.get_submodule(head).out_features == 5


def test_means_are_of_length_1_and_of_pictures_of_each_class() -> None:
    labels_N = np.repeat([0, 2], [1000, 30]).astype(np.int64)
    chosen = draw_pictures(labels_N, 100)
    assert np.array_equal(chosen, draw_pictures(labels_N, 100))
    assert np.array_equal(np.bincount(labels_N[chosen], minlength=3), [50, 0, 30])
    features = torch.tensor([[3.0, 0.0], [0.0, 5.0], [0.0, 2.0]])
    means_KD = class_means([(features[:2], np.array([0, 0])), (features[2:], np.array([2]))], 3)
    np.testing.assert_allclose(means_KD, [[0.5**0.5, 0.5**0.5], [0, 0], [0, 1]], atol=1e-6)


@pytest.mark.parametrize("familiar", [0.9, 0.95, 1.0])
def test_at_least_the_wished_share_of_validation_is_familiar(familiar: float) -> None:
    values = np.random.default_rng(0).random(137).astype(np.float32)
    chosen = choose_familiarity(values, familiar, 10)
    assert chosen.familiar_share == (values >= chosen.unfamiliar_below).mean()
    assert familiar <= chosen.familiar_share <= familiar + 1 / 137


def test_an_export_that_is_interrupted_is_no_fault_of_the_network(deployed, monkeypatch) -> None:
    def interrupted(*args: object, **kwargs: object) -> None:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt as error:
            raise RuntimeError("Failed to export the model with torch.export.") from error

    monkeypatch.setattr(torch.onnx, "export", interrupted)
    with pytest.raises(KeyboardInterrupt):
        export_graph(deployed, PREPARE)
