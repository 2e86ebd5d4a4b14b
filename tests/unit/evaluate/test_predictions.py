"""The record of predictions and its file."""

import numpy as np
import pytest

from etude.core.errors import DataError, MistakeError
from etude.core.words import Part
from etude.evaluate.predictions import Predictions, write_predictions


def drawn(n=50, k=3, part=Part.TEST, seed=0):
    rng = np.random.default_rng(seed)
    ids = np.array([f"class {i % k}/été {i}.jpg" for i in range(n)])
    return Predictions(ids, part, rng.integers(0, k, n), rng.dirichlet(np.ones(k), n))


def same(a, b):
    return (
        a.part == b.part
        and (a.ids == b.ids).all()
        and (a.truth == b.truth).all()
        and np.array_equal(a.probabilities, b.probabilities)
    )


def test_a_file_gives_back_what_was_written(tmp_path):
    path = tmp_path / "predictions.parquet"
    drawn().write(path)
    again = Predictions.read(path)
    assert same(again, drawn())
    assert again.probabilities.dtype == np.float32
    assert again.ids.dtype == np.dtypes.StringDType()


def test_one_file_holds_several_parts(tmp_path):
    path = tmp_path / "predictions.parquet"
    test, validation = drawn(), drawn(20, part=Part.VALIDATION, seed=1)
    write_predictions(path, [validation, test])
    assert same(Predictions.read(path, Part.TEST), test)
    assert same(Predictions.read(path, Part.VALIDATION), validation)
    with pytest.raises(MistakeError, match="validation, test"):
        Predictions.read(path)
    with pytest.raises(MistakeError, match="train"):
        Predictions.read(path, Part.TRAIN)


def test_the_columns_are_those_of_the_words(tmp_path):
    import pyarrow.parquet as pq

    path = tmp_path / "predictions.parquet"
    drawn().write(path)
    table = pq.read_table(path)
    assert table.column_names == ["item", "part", "truth", "probabilities"]
    assert str(table.schema.field("probabilities").type).startswith("fixed_size_list<")
    assert table.column("part").to_pylist()[0] == "test"


def test_writing_breaks_off_without_a_trace(tmp_path, monkeypatch):
    import pyarrow.parquet as pq

    path = tmp_path / "predictions.parquet"
    drawn().write(path)

    def fail(table, target, **options):
        target.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(pq, "write_table", fail)
    with pytest.raises(KeyboardInterrupt):
        drawn(5).write(path)
    monkeypatch.undo()
    assert len(Predictions.read(path)) == 50
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("content", [b"", b"no parquet"])
def test_a_broken_file_is_named(tmp_path, content):
    path = tmp_path / "predictions.parquet"
    path.write_bytes(content)
    with pytest.raises(MistakeError, match=r"predictions\.parquet"):
        Predictions.read(path)
    with pytest.raises(MistakeError, match=r"absent\.parquet"):
        Predictions.read(tmp_path / "absent.parquet")


def test_another_table_is_not_taken_for_predictions(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"item": ["a"], "probabilities": [0.5]}), tmp_path / "other.parquet")
    with pytest.raises(MistakeError, match="cannot be read as predictions"):
        Predictions.read(tmp_path / "other.parquet")


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"ids": np.array(["a", "a"])}, "unique"),
        ({"ids": np.array(["a"])}, "shapes"),
        ({"truth": np.array([0, 2])}, "truth must be from 0 to 1"),
        ({"truth": np.array([0, -1])}, "truth must be from 0 to 1"),
        ({"probabilities": np.array([[np.nan, 1], [0.5, 0.5]])}, "finite"),
        ({"probabilities": np.array([[3.0, -2.0], [0.5, 0.5]])}, "softmax"),
        ({"probabilities": np.array([[3.0, 2.0], [0.5, 0.5]])}, "softmax"),
        ({"probabilities": np.array([0.5, 0.5])}, "shapes"),
    ],
)
def test_what_does_not_fit_is_refused(change, rule):
    good = {"ids": np.array(["a", "b"]), "truth": np.array([0, 1]), "probabilities": np.full((2, 2), 0.5)}
    with pytest.raises(DataError, match=rule):
        Predictions(part=Part.TEST, **(good | change))


def test_an_empty_part_can_be_held_and_written(tmp_path):
    empty = Predictions(np.array([], dtype=str), Part.VALIDATION, np.zeros(0, int), np.zeros((0, 3)))
    write_predictions(tmp_path / "p.parquet", [empty, drawn()])
    assert len(Predictions.read(tmp_path / "p.parquet")) == 50


def test_parts_of_one_file_come_once_and_agree(tmp_path):
    for parts in ([drawn(), drawn()], [drawn(), drawn(k=4, part=Part.VALIDATION)], []):
        with pytest.raises(DataError, match="parts of one file"):
            write_predictions(tmp_path / "p.parquet", parts)


def test_a_threshold_is_kept_and_decides_the_labels(tmp_path):
    from dataclasses import replace

    plain = drawn(k=2)
    strict = replace(plain, threshold=0.9)
    write_predictions(tmp_path / "p.parquet", [strict, drawn(10, k=2, part=Part.VALIDATION)])
    again = Predictions.read(tmp_path / "p.parquet", Part.TEST)
    assert again.threshold == 0.9
    assert Predictions.read(tmp_path / "p.parquet", Part.VALIDATION).threshold is None
    assert again.labels.sum() < plain.labels.sum()
    assert again.score("accuracy") == again.values_of_pictures("accuracy").mean() != plain.score("accuracy")
    assert again.score("log_loss") == plain.score("log_loss")


@pytest.mark.parametrize("k", [2, 3])
def test_scores_under_weights_are_those_of_repeated_pictures(k):
    from etude.evaluate.scores import default_metrics
    from etude.metrics import METRICS
    from etude.metrics.statistics import resampling_weights

    predictions = drawn(60, k)
    (weights,) = resampling_weights(60, 25, seed=1)
    for metric in default_metrics(k):
        found = predictions.under_weights(metric, weights)
        function = METRICS[metric].function
        np.testing.assert_allclose(
            found, [function(predictions.truth, predictions.probabilities, row) for row in weights], atol=1e-6
        )
