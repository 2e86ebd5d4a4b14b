"""Measures of generated pictures against scipy, scikit-learn and torchmetrics' formulas."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import linalg
from scipy.spatial.distance import cdist, pdist
from sklearn.metrics.pairwise import polynomial_kernel
from sklearn.neighbors import NearestNeighbors

from etude.metrics.generation import (
    coverage,
    coverage_under,
    density,
    density_under,
    distances,
    diversity,
    fid,
    kid,
    kid_under,
)


@pytest.fixture
def features():
    rng = np.random.default_rng(3)
    return rng.normal(0.3, 1.2, (40, 8)), rng.normal(0.0, 1.0, (30, 8))


def test_kid_is_the_unbiased_mmd_of_its_kernel(features):
    from torchmetrics.image.kid import poly_mmd

    generated, real = features
    same = poly_mmd(torch.from_numpy(generated[:30]), torch.from_numpy(real)).item()
    assert kid(generated[:30], real) == pytest.approx(same, rel=1e-10)
    within = [polynomial_kernel(x, degree=3, coef0=1) for x in (generated, real)]
    means = [(k.sum() - np.trace(k)) / (len(k) * (len(k) - 1)) for k in within]
    across = polynomial_kernel(generated, real, degree=3, coef0=1).mean()
    assert kid(generated, real) == pytest.approx(sum(means) - 2 * across, rel=1e-10)


def test_kid_under_whole_weights_leaves_pairs_of_one_picture_out(features):
    generated, real = features
    weights = np.random.default_rng(0).multinomial(len(real), np.full(len(real), 1 / len(real)), size=3).astype(float)
    for row, found in zip(weights, kid_under(generated, real, weights), strict=True):
        at = np.repeat(np.arange(len(real)), row.astype(int))
        kernel = polynomial_kernel(real[at], degree=3, coef0=1)
        different = at[:, None] != at[None]
        k = polynomial_kernel(generated, degree=3, coef0=1)
        within = (k.sum() - np.trace(k)) / (40 * 39) + kernel[different].mean()
        across = polynomial_kernel(generated, real[at], degree=3, coef0=1).mean()
        assert found == pytest.approx(within - 2 * across, rel=1e-10)


@pytest.mark.parametrize("width", [8, 50])  # fewer and more features than pictures
def test_fid_is_the_distance_with_the_root_of_a_matrix(width):
    rng = np.random.default_rng(5)
    generated, real = rng.normal(0.2, 1.1, (40, width)), rng.normal(0, 1, (30, width))
    covariances = [np.cov(x, rowvar=False) for x in (generated, real)]
    eps = np.eye(width) * (1e-9 if width > 30 else 0)
    root = linalg.sqrtm((covariances[0] + eps) @ (covariances[1] + eps)).real
    expected = ((generated.mean(0) - real.mean(0)) ** 2).sum() + np.trace(sum(covariances) - 2 * root)
    assert fid(generated, real) == pytest.approx(expected, rel=1e-3 if width > 30 else 1e-8)


def test_fid_under_weights_is_that_of_the_drawn_pictures(features):
    generated, real = features
    weights = np.random.default_rng(1).multinomial(len(real), np.full(len(real), 1 / len(real))).astype(float)
    drawn = np.repeat(real, weights.astype(int), axis=0)
    assert fid(generated, real, weights) == pytest.approx(fid(generated, drawn), rel=1e-8)


def test_density_and_coverage_by_the_papers_neighbourhoods(features):
    generated, real = features
    radii = NearestNeighbors(n_neighbors=6).fit(real).kneighbors(real)[0][:, 5]
    inside = cdist(generated, real) < radii
    assert density(generated, real) == pytest.approx(inside.sum() / (5 * len(generated)))
    assert coverage(generated, real) == pytest.approx(inside.any(0).mean())


@pytest.mark.parametrize("looked_at", [2, 8, 64])
def test_density_and_coverage_under_weights_are_those_of_the_drawn_pictures(features, looked_at, monkeypatch):
    generated, real = features
    weights = np.random.default_rng(1).multinomial(len(real), np.full(len(real), 1 / len(real)), size=4).astype(float)
    monkeypatch.setattr("etude.metrics.generation._LOOKED_AT", looked_at)
    for row in weights:
        drawn = np.repeat(real, row.astype(int), axis=0)
        for under, of in ((density_under, density), (coverage_under, coverage)):
            assert under(generated, real, row[None])[0] == pytest.approx(of(generated, drawn))


def test_distances(features):
    generated, real = features
    np.testing.assert_allclose(distances(generated + 1e4, real + 1e4), cdist(generated, real), rtol=1e-6)
    assert diversity(generated) == pytest.approx(pdist(generated).mean())
