"""The factorisation of activations against scikit-learn's from its own start, and against hand-made factors."""

import numpy as np
import pytest
from sklearn.decomposition import NMF

from cnnexplore.styles import factorization


@pytest.mark.filterwarnings("ignore:Maximum number of iterations")
@pytest.mark.parametrize("shape", [(4, 6), (6, 4), (30, 12), (12, 30), (5, 5), (1, 7), (7, 1)])
def test_as_scikit_learn_from_its_own_start(shape):
    activations = np.random.default_rng(0).gamma(0.5, size=shape).astype(np.float32)
    for k in {1, min(2, *shape), min(4, *shape)}:
        weights, components, error = factorization.factorize(activations, k, 0)
        solver = NMF(k, init="nndsvd", random_state=0, max_iter=500)
        try:
            expected = solver.fit_transform(activations)
        except ValueError as refused:
            if "C-contiguous" not in str(refused):  # scikit-learn's own fault on some versions
                raise
            continue
        np.testing.assert_allclose(weights @ components, expected @ solver.components_, atol=2e-3)
        assert error == pytest.approx(solver.reconstruction_err_ / np.linalg.norm(activations), abs=2e-4)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("k", [1, 2, 3])
def test_factors_of_disjoint_units_are_found(k, order):
    rng = np.random.default_rng(1)
    weights, components = rng.uniform(1, 2, (9, k)), np.zeros((k, 12))
    for j in range(k):
        components[j, 4 * j : 4 * j + 4] = rng.uniform(1, 2, 4)
    weights[:k] = np.diag(rng.uniform(1, 2, k))  # an image of each topic alone: the factors are the only ones
    found, parts, error = factorization.factorize(np.asarray(weights @ components, np.float32, order=order), k, 0)
    assert error < 1e-3
    assert (found >= 0).all()
    assert (parts >= 0).all()
    for mine in parts:
        assert np.corrcoef(components, mine)[-1, :-1].max() > 0.999


def test_more_topics_than_there_are_directions():
    activations = np.outer([1, 2, 3, 0], [0, 1, 2, 3, 4]).astype(np.float32)
    weights, components, error = factorization.factorize(activations, 3, 0)
    assert error < 1e-3
    assert np.isfinite(weights).all()
    assert np.isfinite(components).all()
