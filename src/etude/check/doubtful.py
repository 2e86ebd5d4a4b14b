"""Likely label errors, by confident learning over answers to pictures that the answering model had not seen.

Northcutt, Jiang and Chuang 2021 (Confident Learning, JAIR 70): a picture is suspected where a class that is not its own
is answered with more confidence than that class has on average. cleanlab counts and ranks.

Legend: N pictures, K classes, D features.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from etude.check.alike import EMBED_PX, embed_items
from etude.check.quality import MOST_FILES
from etude.check.records import Finding
from etude.core.counting import how_many
from etude.core.errors import DataError, MissingPartError, sentence
from etude.core.extras import install
from etude.data.prepared import prepare_items
from etude.data.source import Source
from etude.models.embedding import Embedder
from etude.pictures.prepare_config import Prepare

FOLDS: Final = 5
_LEAST_OF_CLASS: Final = FOLDS
_SEED: Final = 0
_C: Final = 1e-3
"""Inverse strength of the penalty on the linear model's weights, for features of deviation 1."""
_PLAIN_PX: Final = 16
_LARGE_PX, _LARGE_UNTIL = 192, 5_000
"""Up to so many pictures the network sees them larger, which tells classes apart better."""

Probabilities = npt.NDArray[np.float64]


def find_doubtful(
    source: Source, indices: npt.NDArray[np.int64], probabilities_NK: Probabilities, origin: str
) -> Finding | None:
    """Return the pictures whose label is likely wrong, the most doubtful first; none where there are none.

    Args:
        source: the pictures.
        indices: (N,) positions in its items.
        probabilities_NK: out-of-fold probabilities of the classes.
        origin: whose answers they are, for the sentence.
    """
    from cleanlab.filter import find_label_issues

    labels = source.items.labels[indices].astype(np.int64)
    ranked = find_label_issues(
        labels, probabilities_NK, filter_by="both", return_indices_ranked_by="self_confidence", n_jobs=1
    )  # fmt: skip
    if not len(ranked):
        return None
    likelier = probabilities_NK[ranked].argmax(1)
    first = ranked[0]
    such = (
        f"The most doubtful: {source.items.ids[indices[first]]}, labelled {source.classes[labels[first]]}, answered "
        f"{source.classes[likelier[0]]} ({probabilities_NK[first, likelier[0]]:.0%})."
    )
    return Finding(
        kind="label-errors",
        severity="warning",
        sentence=f"{how_many(len(ranked), 'picture')} of {len(indices):,} ({len(ranked) / len(indices):.1%}) "
        f"{'is' if len(ranked) == 1 else 'are'} suspected of a "
        f"wrong label, by {origin}. {such}",
        count=len(ranked),
        files=tuple(str(name) for name in source.items.ids[indices[ranked[:MOST_FILES]]]),
    )


def suspect_labels(
    source: Source,
    indices: npt.NDArray[np.int64],
    *,
    answers: Path | None = None,
    embedder: Embedder | None = None,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Finding | None:
    """Look for wrong labels, by the answers of a study with folds or by a quick linear model.

    Args:
        source: the pictures; those without a label are passed over.
        indices: positions of readable pictures.
        answers: a file of out-of-fold answers; without it a logistic regression is trained on features.
        embedder: the network that gives the features; without it they are the colours of small thumbnails.
        workers: threads.
        progress: called with (done, all) pictures that the network has seen.

    Raises:
        DataError: if there are too few pictures of a class, or the answers are of other pictures.
    """
    if answers is not None:
        indices, probabilities = read_answers(answers, source)
        return find_doubtful(source, indices, probabilities, f"the answers in {answers.name}")
    indices = indices[source.items.labels[indices] >= 0]
    labels_N = source.items.labels[indices].astype(np.int64)
    if embedder is None:
        small = prepare_items(source, indices, Prepare(size_px=_PLAIN_PX), workers=workers, keep=False).pictures_NHWC
        features, seen = small.reshape(len(small), -1).astype(np.float32), f"{_PLAIN_PX} px thumbnails"
    else:
        size_px = _LARGE_PX if len(indices) <= _LARGE_UNTIL else EMBED_PX
        features = embed_items(source, indices, embedder, size_px=size_px, workers=workers, progress=progress)
        seen = f"features of {embedder.name}"
    probabilities = answer_linearly(features, labels_N, len(source.classes))
    accuracy = float((probabilities.argmax(1) == labels_N).mean())
    origin = f"a linear model on {seen}, right on {accuracy:.0%} of pictures it had not seen"
    return find_doubtful(source, indices, probabilities, origin)


def answer_linearly(
    features_ND: npt.NDArray[np.float32], labels_N: npt.NDArray[np.int64], n_classes: int
) -> Probabilities:
    """Return the out-of-fold probabilities (N, K) of a logistic regression on features.

    Raises:
        DataError: if a class has fewer pictures than there are folds.
        MissingPartError: if scikit-learn is not installed.
    """
    try:
        from sklearn.linear_model import LogisticRegression
        from sklearn.model_selection import StratifiedKFold, cross_val_predict
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
    except ImportError as error:
        raise MissingPartError(f"etude data check: --labels needs scikit-learn. {install('train')}") from error
    counts = np.bincount(labels_N, minlength=n_classes)
    if counts.min() < _LEAST_OF_CLASS:
        rule = f"at least {_LEAST_OF_CLASS} pictures of each class"
        few = f"{counts.min()} of one"
        raise DataError(sentence("etude data check", "--labels", rule, few, "Leave that class out."))
    model = make_pipeline(StandardScaler(), LogisticRegression(C=_C, max_iter=200))
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=_SEED)
    answers: Probabilities = cross_val_predict(model, features_ND, labels_N, cv=folds, method="predict_proba")
    return answers


def read_answers(path: Path, source: Source) -> tuple[npt.NDArray[np.int64], Probabilities]:
    """Return the positions of pictures and the mean answers that a study with folds kept of them (`oof/NAME.parquet`).

    Raises:
        DataError: if the file is no such table, or is of other pictures.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    rule, remedy = "a file of out-of-fold answers, oof/CANDIDATE.parquet of a study with folds", "Give its path."
    try:
        table = pq.read_table(path, columns=["item", "probabilities"])
    except (OSError, pa.ArrowInvalid, KeyError) as error:
        raise DataError(sentence("etude data check", "--answers", rule, str(path), remedy)) from error
    places = {str(name): place for place, name in enumerate(source.items.ids)}
    rows = [places.get(name, -1) for name in table.column("item").to_pylist()]
    probabilities = np.asarray(table.column("probabilities").to_pylist(), np.float64)
    known = np.asarray(rows) >= 0
    if not known.any() or probabilities.shape[1] != len(source.classes):
        found = f"{path}, of other pictures or classes"
        raise DataError(sentence("etude data check", "--answers", rule, found, "Give those of this source."))
    indices, inverse = np.unique(np.asarray(rows)[known], return_inverse=True)
    sums = np.zeros((len(indices), probabilities.shape[1]))
    np.add.at(sums, inverse, probabilities[known])
    return indices.astype(np.int64), sums / sums.sum(axis=1, keepdims=True)
