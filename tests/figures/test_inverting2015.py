"""The figures and the trade-off of inverting2015 on a small network: cells and tables hold the runs' results."""

import numpy as np
import pytest
import torch
from torch import nn

import cnnexplore as cx
from cnnexplore.figures import inverting2015

IMAGE = np.random.default_rng(0).integers(0, 256, (24, 24, 3), dtype=np.uint8)
QUICK = {"steps": 8, "progress": False}


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU(), nn.Conv2d(4, 6, 3, 1, 1))
    return cx.Network(module, size=24, pixels=cx.Pixels("RGB", (), (50.0, 50.0, 50.0)), name="tiny")


@pytest.mark.parametrize("number", ["6", "9"])
def test_a_figure_shows_its_runs(net, number):
    sheet = cx.figure(f"inverting2015.{number}", net, IMAGE, **QUICK)
    assert len(sheet.results) == 3
    shown = [cell for row in sheet.rows for cell in row if cell.result is not None]
    for cell in shown:
        assert np.array_equal(cell.picture, cell.result.picture)
        assert f"{cell.result.error:.2f}" in cell.title
        assert "variant='inverting2015" in cell.result.to_python()
    assert [cell.box for cell in shown] == ([None] * 3 if number == "6" else [(5, 5, 15, 15)] * 2 + [(3, 3, 17, 17)])
    again = eval(shown[-1].result.to_python(), {"cx": cx, "net": net, "image": IMAGE})
    assert np.array_equal(again.picture, shown[-1].picture)
    assert [axis.get_title() for axis in sheet.plot().axes] == [cell.title for row in sheet.rows for cell in row]


def test_errors_of_the_trade_off_are_in_units_of_the_distance_between_images(net):
    images = [IMAGE, 255 - IMAGE, np.full_like(IMAGE, 40)]
    table = cx.figure("inverting2015.table3", net, images, layers=["conv2"], **QUICK)
    activations = [net.activations(image, "conv2").double().numpy().ravel() for image in images]
    apart = np.mean([np.linalg.norm(activations[i] - activations[j]) for i, j in ((0, 1), (0, 2), (1, 2))])
    for weight in (1, 10, 100):
        for k, image in enumerate(images):
            alone = inverting2015.inverted(net, image, "conv2", weight, **QUICK)
            expected = alone.error * np.linalg.norm(activations[k]) / apart
            assert table.values[f"TV {weight}", "conv2"][k] == pytest.approx(expected, rel=1e-4)
    assert table.columns == ["conv2"]
    assert not table.published


def test_the_published_numbers_stand_beside_those_of_caffes_networks(net):
    named = nn.Module()
    named.conv1, named.norm1 = nn.Conv2d(3, 96, 3, 2, 1), nn.LocalResponseNorm(5)
    named.forward = lambda x: named.norm1(named.conv1(x))
    caffe = cx.Network(named, size=24, pixels=cx.Pixels("RGB", (), (50.0,) * 3))
    table = cx.figure("inverting2015.table3", caffe, [IMAGE, 255 - IMAGE], layers=["conv1"], steps=1, progress=False)
    assert [table.published[f"TV {w}", "conv1"] for w in (1, 10, 100)] == [10.0, 20.2, 40.8]
    assert "(40.8)" in str(table)


def test_it_goes_on_where_it_was_stopped(net, tmp_path):
    kept, images = tmp_path / "t.jsonl", [IMAGE, 255 - IMAGE]
    first = inverting2015.table3(net, images, ["conv1"], (1,), log=kept, **QUICK)
    lines = kept.read_text().splitlines(keepends=True)
    kept.write_text("".join(lines[:2]))
    assert inverting2015.table3(net, images, ["conv1"], (1,), log=kept, **QUICK).values == first.values
    assert kept.read_text() == "".join(lines)


def test_fewer_steps_have_their_falls_of_the_rate_too():
    for steps, falls in ((8, (4, 6)), (100, (50, 75)), (200, (100, 150)), (300, (100, 225)), (400, (100, 300))):
        changes, rate = inverting2015._shortened(steps, 0.05), 0.05
        for step in range(steps):
            rate = changes.get(step, {}).get("rate", rate)
            by_itself = 0.1 ** ((step >= 100) + (step >= 300))  # what the variant does at any rate
            assert rate * by_itself == pytest.approx(0.05 * 0.1 ** sum(step >= fall for fall in falls))
    assert inverting2015._shortened(800, 0.05) == {}


def test_a_steep_network_gets_a_smaller_rate(net, monkeypatch):
    invert, tried = inverting2015.invert, []

    def steep(*args, rate, **options):
        tried.append(rate)
        if rate > 0.01:
            raise cx.DivergedError("the energy is no longer finite.")
        return invert(*args, rate=rate, **options)

    monkeypatch.setattr(inverting2015, "invert", steep)
    assert "rate=0.003125" in inverting2015.inverted(net, IMAGE, "conv2", **QUICK).to_python()
    assert tried == [0.05, 0.0125, 0.003125]


def test_what_cannot_be_gets_a_sentence(net, refused):
    table = lambda images: inverting2015.table3(net, images, ["conv1"], **QUICK)  # noqa: E731
    refused(cx.SettingError, lambda: table([IMAGE]), "two images")
    refused(cx.SettingError, lambda: table([IMAGE, IMAGE]), "same activation")
    for wrong in ("inverting2015:", "inverting2015:-1", "inverting2015:x", "preimage2016:1", "inverting2015:nan"):
        refused(cx.SettingError, lambda wrong=wrong: cx.invert(net, IMAGE, "conv1", variant=wrong), "inverting2015:10")
