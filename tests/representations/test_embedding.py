"""Places on a plane: deterministic, near where activations are near."""

import numpy as np
import pytest
from grouped_features import NumbersOnly, groups
from PIL import Image

import cnnexplore as cx
from cnnexplore.representations import embedding


@pytest.mark.parametrize("method", ["tsne", "pca"])
def test_groups_stay_together_and_the_same_each_time(method):
    rows, truth, _ = groups((40, 30, 20), noise=0.2)
    found = cx.embed(NumbersOnly(rows), method=method, steps=300, progress=False)
    assert found.points.shape == (90, 2)
    assert np.isfinite(found.points).all()
    middle = np.stack([found.points[truth == k].mean(0) for k in range(3)])
    nearest = np.linalg.norm(found.points[:, None] - middle[None], axis=2).argmin(1)
    assert (nearest == truth).mean() > (0.97 if method == "tsne" else 0.9)
    assert np.array_equal(found.points, cx.embed(NumbersOnly(rows), method=method, steps=300, progress=False).points)
    if method == "tsne":
        assert not np.array_equal(
            found.points, cx.embed(NumbersOnly(rows), method=method, steps=300, seed=1, progress=False).points
        )


def test_it_can_be_watched():
    rows = groups()[0]
    seen = list(embedding.embed_stream(NumbersOnly(rows), steps=110))
    assert [step for step, _ in seen] == [0, 25, 50, 55, 80, 105, 110]
    assert np.array_equal(seen[0][1].points, cx.embed(NumbersOnly(rows), method="pca").points)
    assert np.array_equal(seen[-1][1].points, cx.embed(NumbersOnly(rows), steps=110, progress=False).points)
    assert not np.array_equal(seen[2][1].points, seen[-1][1].points)


@pytest.mark.parametrize("chunk", [10_000, 100])
def test_principal_components_are_those_of_the_covariance(monkeypatch, chunk):
    """Of all images at once, and of a chunk of them at a time."""
    monkeypatch.setattr(embedding, "_CHUNK", chunk)
    rows = groups((150, 100, 60), noise=0.5)[0]
    found = cx.embed(NumbersOnly(rows), method="pca").points
    centred = rows.astype(np.float64) - rows.mean(0)
    _, axes = np.linalg.eigh(centred.T @ centred)
    for points, axis in zip(found.T, axes.T[::-1], strict=False):
        expected = centred @ axis
        assert abs(np.corrcoef(points, expected)[0, 1]) > 0.999
        assert points[np.abs(points).argmax()] > 0


def test_a_plot_shows_the_points_in_colours(tmp_path):
    features = cx.features(cx.load("lenet"), [cx.digit(k) for k in range(6)], cache=False, progress=False)
    found = cx.embed(features, method="pca")
    python = f"cx.embed({features.to_python()}, method='pca')"
    assert found.to_python() == python
    (dots,) = found.plot().axes[0].collections
    assert np.allclose(dots.get_offsets(), found.points)
    assert dots.get_array().tolist() == features.predicted.tolist()
    (dots,) = found.plot(range(6)).axes[0].collections
    assert dots.get_array().tolist() == list(range(6))
    found.save(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        assert image.text["cnnexplore"] == python
        assert np.array_equal(np.asarray(image), found.picture)


def test_few_images_and_wrong_settings(refused):
    rows = groups()[0]
    assert cx.embed(NumbersOnly(rows[:3]), steps=20, progress=False).points.shape == (3, 2)
    assert cx.embed(NumbersOnly(rows[:5, :1]), method="pca").points.shape == (5, 2)
    refused(cx.SettingError, lambda: cx.embed(NumbersOnly(rows), method="umap"), "'tsne'")
    refused(cx.SettingError, lambda: cx.embed(NumbersOnly(rows[:2])), "3 images")
    refused(cx.SettingError, lambda: cx.embed(NumbersOnly(rows), perplexity=0), "perplexity")
