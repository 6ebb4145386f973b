"""The learned metric: near activations have similar patches where the plain distance fails."""

import numpy as np
from scipy.ndimage import gaussian_filter

from cnnexplore.styles.patch_metric import PatchMetric, coarse


def test_the_fitted_metric_finds_patches_that_look_alike():
    """Few units depend on the patch and many are noise: the distance of activations finds wrong patches."""
    rng = np.random.default_rng(0)
    looks = gaussian_filter(rng.normal(size=(260, 6, 6, 1)), (0, 1, 1, 0)) * 60 + 128
    patches = np.repeat(np.repeat(looks.reshape(260, 36, 1, 1, 1), 8, 2), 8, 3)
    codes = np.concatenate([looks.transpose(0, 3, 1, 2) / 60, 2 * rng.normal(size=(260, 5, 6, 6))], 1)
    metric = PatchMetric(codes[:200], lambda numbers: patches[:200][numbers], dims=4)
    assert metric.known.shape == (200, 36, 4)
    new = metric(codes[200:])
    target, known = looks[200:].reshape(-1), looks[:200].reshape(-1)

    def miss(queries, database):
        distance = ((queries[:, None] - database[None]) ** 2).sum(-1)
        return np.abs(known[distance.argmin(1)] - target[: len(queries)]).mean()

    plain = codes.transpose(0, 2, 3, 1).reshape(-1, 6)
    fitted = miss(new.reshape(-1, 4)[:400], metric.known.reshape(-1, 4))
    assert fitted < 0.5 * miss(plain[200 * 36 :][:400], plain[: 200 * 36])
    again = PatchMetric(codes[:200], lambda numbers: patches[:200][numbers], dims=4)
    assert np.array_equal(again(codes[200:]), new)


def test_coarse_is_the_mean_of_blocks():
    patch = np.random.default_rng(0).integers(0, 256, (1, 2, 16, 16, 3)).astype(np.uint8)
    blocks = patch[0].reshape(2, 8, 2, 8, 2, 3).mean((2, 4)).transpose(0, 3, 1, 2).reshape(2, -1)
    assert np.allclose(coarse(patch).numpy(), blocks, atol=1e-3)
