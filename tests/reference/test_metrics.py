"""Scores against scikit-learn and torchmetrics."""

import numpy as np
import pytest

from etude.metrics import METRICS, SEGMENTATION_METRICS
from etude.metrics import classification as scores
from etude.metrics.confusion import confusion_matrix, f1_per_class, iou_per_class, precision_per_class, recall_per_class
from etude.metrics.curves import pr_curve, roc_curve
from etude.metrics.segmentation import pixel_confusion

sklearn = pytest.importorskip("sklearn.metrics")


def drawn(n, k, seed, present=None, ties=False):
    """Labels and probabilities with some skill; `present` leaves out classes."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(present if present is not None else k, n)
    logits = rng.normal(size=(n, k)) + 1.5 * np.eye(k)[truth] * rng.random((n, 1))
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    if ties:
        probabilities = np.round(probabilities, 1) + 1e-9
        probabilities /= probabilities.sum(1, keepdims=True)
    return truth, probabilities, rng.integers(0, 4, n).astype(float)


CASES = [(500, 10, 0, None), (300, 3, 1, None), (200, 6, 2, [0, 2, 5]), (50, 120, 3, None), (400, 2, 4, None)]


@pytest.mark.parametrize(("n", "k", "seed", "present"), CASES)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::RuntimeWarning")
def test_scores_of_labels(n, k, seed, present, weighted):
    truth, probabilities, weights = drawn(n, k, seed, present)
    w = weights if weighted else None
    predicted = probabilities.argmax(1)
    assert scores.accuracy(truth, probabilities, w) == pytest.approx(
        sklearn.accuracy_score(truth, predicted, sample_weight=w)
    )
    assert scores.balanced_accuracy(truth, probabilities, w) == pytest.approx(
        sklearn.balanced_accuracy_score(truth, predicted, sample_weight=w)
    )
    counted = predicted if w is None else predicted[w > 0]
    there = np.union1d(truth if w is None else truth[w > 0], counted)
    assert scores.f1_macro(truth, probabilities, w) == pytest.approx(
        sklearn.f1_score(truth, predicted, labels=there, average="macro", sample_weight=w, zero_division=0)
    )
    ours = confusion_matrix(truth, predicted, k, w)
    np.testing.assert_allclose(ours, sklearn.confusion_matrix(truth, predicted, labels=range(k), sample_weight=w))


@pytest.mark.parametrize(("n", "k", "seed", "present"), CASES)
def test_scores_of_each_class(n, k, seed, present):
    truth, probabilities, _ = drawn(n, k, seed, present)
    predicted = probabilities.argmax(1)
    matrix = confusion_matrix(truth, predicted, k)
    precision, recall, f1, _ = sklearn.precision_recall_fscore_support(
        truth, predicted, labels=range(k), zero_division=np.nan
    )
    theirs_iou = sklearn.jaccard_score(truth, predicted, labels=range(k), average=None, zero_division=0)
    present_or_predicted = np.isin(np.arange(k), np.union1d(truth, predicted))
    np.testing.assert_allclose(recall_per_class(matrix), recall)
    np.testing.assert_allclose(np.nan_to_num(precision_per_class(matrix)), np.nan_to_num(precision))
    np.testing.assert_allclose(f1_per_class(matrix)[present_or_predicted], f1[present_or_predicted])
    np.testing.assert_allclose(iou_per_class(matrix)[present_or_predicted], theirs_iou[present_or_predicted])


@pytest.mark.parametrize(("n", "k", "seed", "present"), CASES)
@pytest.mark.parametrize("weighted", [False, True])
def test_scores_of_probabilities(n, k, seed, present, weighted):
    truth, probabilities, weights = drawn(n, k, seed, present)
    w = weights if weighted else None
    labels = range(k)
    assert scores.log_loss(truth, probabilities, w) == pytest.approx(
        sklearn.log_loss(truth, probabilities, labels=labels, sample_weight=w)
    )
    assert scores.brier(truth, probabilities, w) == pytest.approx(
        sklearn.brier_score_loss(truth, probabilities, labels=labels, sample_weight=w, scale_by_half=False)
    )
    if k > 2:
        kept = slice(None) if w is None else w > 0  # scikit-learn's ties in ranks see no weights
        assert scores.top_k(truth, probabilities, w, k=2) == pytest.approx(
            sklearn.top_k_accuracy_score(
                truth[kept], probabilities[kept], k=2, labels=labels, sample_weight=None if w is None else w[kept]
            )
        )


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_detector_areas_and_curves(ties, weighted):
    truth, probabilities, weights = drawn(700, 2, 5, ties=ties)
    w = weights if weighted else None
    positive, score = truth == 1, probabilities[:, 1]
    assert scores.roc_auc(truth, probabilities, w) == pytest.approx(
        sklearn.roc_auc_score(truth, score, sample_weight=w)
    )
    assert scores.average_precision(truth, probabilities, w) == pytest.approx(
        sklearn.average_precision_score(truth, score, sample_weight=w)
    )
    roc = roc_curve(positive, score, w)
    fpr, tpr, thresholds = sklearn.roc_curve(truth, score, sample_weight=w, drop_intermediate=False)
    theirs = {t: (a, b) for t, a, b in zip(thresholds, fpr, tpr, strict=True)}
    ours = {t: (a, b) for t, a, b in zip(roc.threshold, roc.false_positive_rate, roc.true_positive_rate, strict=True)}
    shared = sorted(set(ours) & set(theirs))
    assert len(shared) >= len(theirs) - 1
    np.testing.assert_allclose([ours[t] for t in shared], [theirs[t] for t in shared], atol=1e-12)
    curve = pr_curve(positive, score, w)
    precision, recall, thresholds = sklearn.precision_recall_curve(truth, score, sample_weight=w)
    at = np.searchsorted(-curve.threshold, -thresholds)
    np.testing.assert_allclose(curve.threshold[at], thresholds)
    np.testing.assert_allclose(curve.recall[at], recall[:-1], atol=1e-12)
    np.testing.assert_allclose(curve.precision[at], precision[:-1], atol=1e-12)


@pytest.mark.parametrize("k", [2, 10])
def test_ece_against_torchmetrics(k):
    torch = pytest.importorskip("torch")
    functional = pytest.importorskip("torchmetrics.functional.classification")
    truth, probabilities, _ = drawn(1000, k, 6)
    theirs = functional.multiclass_calibration_error(
        torch.tensor(probabilities), torch.tensor(truth), num_classes=k, n_bins=15, norm="l1"
    )
    assert METRICS["ece"].function(truth, probabilities) == pytest.approx(float(theirs), abs=1e-6)


def test_segmentation_against_torchmetrics():
    torch = pytest.importorskip("torch")
    functional = pytest.importorskip("torchmetrics.functional.classification")
    rng = np.random.default_rng(7)
    k = 6
    truth = rng.choice([0, 1, 3, 4, 255], (3, 32, 48)).astype(np.uint8)
    predicted = np.where(rng.random(truth.shape) < 0.6, truth % 255, rng.choice([0, 1, 3], truth.shape))
    matrix = pixel_confusion(truth, predicted, k)
    t, p = torch.tensor(truth.astype(np.int64)), torch.tensor(predicted.astype(np.int64))
    theirs = functional.multiclass_confusion_matrix(p, t, num_classes=k, ignore_index=255)
    assert (matrix == theirs.numpy()).all()
    # Classes 2 and 5 are neither there nor predicted: torchmetrics' macro average leaves them out as well.
    for name, function in (("miou", functional.multiclass_jaccard_index), ("dice", functional.multiclass_f1_score)):
        expected = function(p, t, num_classes=k, ignore_index=255, average="macro")
        assert float(SEGMENTATION_METRICS[name].from_confusion(matrix)) == pytest.approx(float(expected), abs=1e-6)
    assert float(SEGMENTATION_METRICS["pixel_accuracy"].from_confusion(matrix)) == pytest.approx(
        float((truth == predicted)[truth != 255].mean())
    )
