"""Places on a plane: deterministic, near where activations are near."""

import numpy as np
import pytest
from grouped_features import NumbersOnly, groups

import cnnexplore as cx
from cnnexplore.representations import embedding


@pytest.mark.parametrize("method", ["tsne", "pca"])
def test_groups_stay_together_and_the_same_each_time(method):
    codes, truth, _ = groups((40, 30, 20), noise=0.2)
    found = cx.embed(NumbersOnly(codes), method, steps=300, progress=False)
    assert found.points.shape == (90, 2)
    assert np.isfinite(found.points).all()
    middle = np.stack([found.points[truth == k].mean(0) for k in range(3)])
    nearest = np.linalg.norm(found.points[:, None] - middle[None], axis=2).argmin(1)
    assert (nearest == truth).mean() > (0.97 if method == "tsne" else 0.9)
    assert np.array_equal(found.points, cx.embed(NumbersOnly(codes), method, steps=300, progress=False).points)
    if method == "tsne":
        assert not np.array_equal(
            found.points, cx.embed(NumbersOnly(codes), method, steps=300, seed=1, progress=False).points
        )


def test_it_can_be_watched():
    codes = groups()[0]
    seen = list(embedding.embed_stream(NumbersOnly(codes), steps=110))
    assert [step for step, _ in seen] == [0, 25, 50, 55, 80, 105, 110]
    assert np.array_equal(seen[0][1].points, cx.embed(NumbersOnly(codes), "pca").points)
    assert np.array_equal(seen[-1][1].points, cx.embed(NumbersOnly(codes), steps=110, progress=False).points)
    assert not np.array_equal(seen[2][1].points, seen[-1][1].points)


def test_components_of_many_images_are_those_of_all_at_once(monkeypatch):
    codes = groups((150, 100, 60), noise=0.5)[0]
    once = embedding.principal(NumbersOnly(codes), 3, 0)
    monkeypatch.setattr(embedding, "_CHUNK", 100)
    parts = embedding.principal(NumbersOnly(codes), 3, 0)
    assert parts.shape == once.shape
    for a, b in zip(once.T[:2], parts.T[:2], strict=True):
        assert np.corrcoef(a, b)[0, 1] > 0.999


def test_few_images_and_wrong_settings(refused):
    codes = groups()[0]
    assert cx.embed(NumbersOnly(codes[:3]), steps=20, progress=False).points.shape == (3, 2)
    assert cx.embed(NumbersOnly(codes[:5, :1]), "pca").points.shape == (5, 2)
    refused(cx.SettingError, lambda: cx.embed(NumbersOnly(codes), "umap"), "'tsne'")
    refused(cx.SettingError, lambda: cx.embed(NumbersOnly(codes[:2])), "3 images")
    refused(cx.SettingError, lambda: cx.embed(NumbersOnly(codes), perplexity=0), "perplexity")
