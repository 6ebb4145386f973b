"""ask: each part is what the function of its own gives, arrives when it is made, and says why where it cannot be."""

import numpy as np
import pytest
import torch
from PIL import Image

import cnnexplore as cx
from cnnexplore.reports import PARTS, ask_stream


@pytest.fixture(autouse=True, scope="module")
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CNNEXPLORE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


DIGITS = [cx.digit(value, which) for value in range(6) for which in range(2)]


@pytest.fixture(scope="module")
def report():
    return cx.ask(cx.load("lenet"), "conv2", 7, DIGITS, k=4, steps=10, progress=False)


def test_each_part_is_what_its_own_function_gives(report):
    net = report.net
    assert list(report.parts) == list(PARTS)
    assert all(part.done == 1 for part in report.parts.values())
    assert [name for name, part in report.parts.items() if part.why] == ["word", "generator", "evolution"]
    assert "concepts=" in report["word"].why
    assert "generator" in report["generator"].why
    assert "checkpoints" in report["evolution"].why
    top = cx.top_patches(net, "conv2", 7, DIGITS, k=4, progress=False)
    assert np.array_equal(np.stack(report["top patches"].pictures), top.patches())
    assert np.array_equal(np.stack(report["projections"].pictures), top.projections())
    assert np.array_equal(report["decoded filter"].pictures[0], cx.decode(net, "conv2", 7).pictures()[0])
    assert np.array_equal(report["filter"].value.weights, cx.filters(net, "conv2", 7).weights)
    field = cx.receptive_field(net, "conv2", 7, top, k=3, progress=False)
    assert np.array_equal(report["receptive field"].value.map, field.map)
    again = cx.maximize(net, "conv2", 7, steps=10, progress=False)
    assert np.array_equal(report["maximisation"].pictures[0], again.picture)
    facets = cx.facets(net, "conv2", 7, DIGITS, steps=10, progress=False)
    assert np.array_equal(report["facets"].value.x, facets.x)
    assert len(report["facets"].pictures) == len(facets)


def test_the_effect_is_what_plain_torch_computes(report):
    """LeNet without the unit, by hand: its weights of conv2 set to zero."""
    net = report.net
    top = report["top patches"].value
    x = net.pixels_of([DIGITS[k] for k in top.indices[0]])
    with torch.no_grad():
        before = net.activations([DIGITS[k] for k in top.indices[0]], net.scores.name).flatten(1)
        conv = net.module.get_submodule(net.layers["conv2"].path)
        kept = conv.weight[7].clone(), conv.bias[7].clone()
        try:
            conv.weight[7] = 0
            conv.bias[7] = 0
            after = net.probe(net.scores.name)(net.feed(x))[net.scores.name].flatten(1)
        finally:
            conv.weight[7], conv.bias[7] = kept
    np.testing.assert_allclose(report["effect"].value, (after - before).mean(0).numpy(), atol=1e-4)
    most = report["effect"].bars[0]
    assert abs(most.value) == pytest.approx(np.abs(report["effect"].value).max())
    assert most.label == net.labels[int(np.abs(report["effect"].value).argmax())]
    assert most.reference is not None


def test_the_word_is_that_of_dissection_beside_the_best_random_direction():
    net, scenes = cx.load("worldnet"), cx.world.dataset(16, 4)
    report = cx.ask(net, "conv3", 20, scenes, concepts=scenes, parts=["word"], progress=False)
    found = cx.dissect(net, "conv3", scenes, null="rotation", cache=False, progress=False)
    bars = report["word"].bars
    assert bars[0].label == found.words[20].concept
    assert [bar.value for bar in bars] == sorted(found.iou[20], reverse=True)[:5]
    assert bars[0].reference == found.null.iou[:, found.null.concepts.index(bars[0].label)].max()
    known = cx.ask(net, "conv3", 20, scenes, concepts=found, parts=["word"], progress=False)
    assert known["word"].bars == bars
    other = cx.ask(net, "conv2", 20, scenes, concepts=found, parts=["word"], progress=False)
    assert "conv3" in other["word"].why


def test_generator_and_evolution_are_those_of_their_functions():
    net, scenes = cx.load("worldnet"), [cx.scene(seed).image for seed in range(4)]
    two = ["worldnet@0", "worldnet"]
    wanted = ["generator", "evolution"]
    report = cx.ask(net, "conv2", 5, scenes, checkpoints=two, parts=wanted, steps=4, progress=False)
    again = cx.maximize(net, "conv2", 5, prior="generator", steps=4, progress=False)
    assert np.array_equal(report["generator"].pictures[0], again.picture)
    found = cx.evolution(two, "conv2", 5, scenes, progress=False)
    assert np.array_equal(report["evolution"].value.values, found.values)
    assert len(report["evolution"].pictures) == 2
    assert report["evolution"].captions[0].startswith("worldnet@0: ")
    assert "checkpoints=['worldnet@0', 'worldnet'], parts=['generator', 'evolution'], steps=4" in report.to_python()


def test_parts_arrive_one_by_one_the_cheap_ones_first_and_long_ones_grow():
    seen = [
        (list(report.parts)[-1], report.parts[list(report.parts)[-1]].done)
        for report in ask_stream(cx.load("lenet"), "conv1", 2, DIGITS[:4], k=2, steps=30)
    ]
    names = list(dict.fromkeys(name for name, _ in seen))
    assert names == list(PARTS)
    assert names.index("filter") < names.index("top patches") < names.index("facets")
    shares = [done for name, done in seen if name == "maximisation"]
    assert shares == [10 / 30, 20 / 30, 1]


def test_what_cannot_be_made_says_why_in_its_place():
    net = cx.load("lenet")
    report = cx.ask(net, "pool2", 3, DIGITS[:3], k=2, parts=["filter", "top patches"], progress=False)
    assert "conv" in report["filter"].why
    assert not report["filter"].pictures
    assert report["top patches"].pictures
    words = [text.get_text() for text in report.plot().texts]
    assert report["filter"].why.split()[0] in " ".join(words)
    scores = cx.ask(net, net.scores.name, "3", DIGITS[:3], parts=["effect", "receptive field"], progress=False)
    assert "class scores" in scores["effect"].why
    assert "no map" in scores["receptive field"].why


def test_the_page_is_a_picture_with_its_python(report, tmp_path):
    assert report.picture.shape[1] == 1180
    report.save(tmp_path / "unit.png")
    assert Image.open(tmp_path / "unit.png").text["cnnexplore"] == report.to_python()
    assert report.to_python() == "cx.ask(cx.load('lenet'), 'conv2', 7, images, k=4, steps=10)"
    some = cx.ask(report.net, "conv2", 7, DIGITS, parts=["maximisation"], steps=10, seed=1, progress=False)
    assert some.to_python() == "cx.ask(cx.load('lenet'), 'conv2', 7, images, parts=['maximisation'], steps=10, seed=1)"
    again = eval(some.to_python(), {"cx": cx, "images": DIGITS})
    assert np.array_equal(again["maximisation"].pictures[0], some["maximisation"].pictures[0])


def test_what_is_wrong_gets_a_sentence(refused):
    net = cx.load("lenet")
    refused(cx.SettingError, lambda: cx.ask(net, "conv2", 900), "900")
    refused(cx.SettingError, lambda: cx.ask(net, "conv2", 1, parts=["filters"]), "filters")
    refused(cx.LayerNotFound, lambda: cx.ask(net, "conv9", 1), "conv9")
    report = cx.ask(net, "conv2", 1, parts=["filter"], progress=False)
    refused(cx.SettingError, lambda: report["word"], "word")
