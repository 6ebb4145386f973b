"""The figures of decoding2015: their cells and the numbers behind them."""

from __future__ import annotations

import numpy as np
import pytest
from click.testing import CliRunner

import cnnexplore as cx
from cnnexplore.cli import cli
from cnnexplore.decoding import compare, decode
from cnnexplore.figures import decoding2015
from cnnexplore.zoo.architectures.characters import PARTS


@pytest.fixture(scope="module")
def lenet():
    return cx.load("lenet", device="cpu")


@pytest.fixture(scope="module")
def some():
    """Twenty digits of each class."""
    images, labels = cx.digits()
    chosen = np.concatenate([np.flatnonzero(labels == k)[:20] for k in range(10)])
    return list(images[chosen]), labels[chosen].tolist()


@pytest.fixture(scope="module")
def characters():
    return cx.load("characters", device="cpu")


def test_figure1_frames_the_class_that_answers_most(lenet, some):
    sheet = cx.figure("decoding2015.1", lenet, some)
    assert [len(row) for row in sheet.rows] == [12] * 10
    found = compare(lenet, "conv4", None, some[0])
    peaks = found.filters[:, :, 0, 0]
    for unit, row in enumerate(sheet.rows):
        largest = [float(peaks[20 * k : 20 * k + 20, unit].max()) for k in range(10)]
        assert [cell.framed for cell in row[2:]] == [v == max(largest) for v in largest]
        best = 20 * 4 + int(peaks[80:100, unit].argmax())
        assert np.array_equal(row[2 + 4].picture, lenet.picture(lenet.pixels_of(some[0][best])))
        assert row[2 + 4].title == f"{largest[4] / max(map(abs, largest)):.2f}"
        assert row[1].title == str(unit)
    means = np.array([peaks[20 * k : 20 * k + 20].mean(0) for k in range(10)])
    assert np.allclose(sheet.data["means"], means, rtol=1e-4)


def test_figure3_shows_both_responses(lenet):
    sheet = decoding2015.figure3(lenet, cx.digit(3), columns=4)
    assert [len(row) for row in sheet.rows] == [1, 8, 2, 2]
    assert set(sheet.data) == {"conv2", "conv3", "conv4"}
    found = compare(lenet, "conv2", None, [cx.digit(3)])
    assert f"{float(found.errors[0]):.4f}" in sheet.rows[1][1].title
    assert np.array_equal(found.filters, sheet.data["conv2"].filters)


def test_figure4_shows_filters_of_a_class_and_their_images(lenet, some):
    sheet = decoding2015.figure4(lenet, some, about=5)
    units = sheet.data["units"]
    assert sorted(units["conv1"]) == list(range(20))
    assert units["conv4"] == list(range(10))
    responses = sheet.data["comparisons"]["conv3"].network[:, :, 0, 0]
    means = np.stack([responses[20 * k : 20 * k + 20].mean(0) for k in range(10)])
    assert all(int(means[:, unit].argmax()) == 5 for unit in units["conv3"])
    assert len(units["conv3"]) > 1
    width = [len(row) for row in sheet.rows]
    assert width == [10] * 2 + [10] * 5 + [len(units["conv3"])] * 4 + [10] * 7


def test_figure5_shows_the_family(characters):
    sheet = cx.figure("decoding2015.5", characters)
    assert [len(row) for row in sheet.rows] == [4, 8, 8, 6, 6, 8, 8]  # wider, and titles could not be read
    assert [cell.title for cell in sheet.rows[1] + sheet.rows[3]] == [f"conv2\nunit {unit}" for unit in range(14)]
    assert np.array_equal(sheet.rows[5][2].picture, decode(characters, "conv3").pictures()[2])
    assert [cell.title for cell in sheet.rows[5]] == [f"conv3\n{name}" for name in "CDLNOUXZ"]
    assert sheet.rows[6][0].picture.shape == (4 * 4 - 1, 4 * 4 - 1, 3)  # 14 channels of 3 x 3 with lines between
    assert [cell.title for cell in sheet.rows[6]] == ["its filter"] * 8


def test_figure6_is_the_papers(characters, tmp_path):
    """C is made of parts 1, 4, 9 and 11; part 1 of bars 3 and 4; C and D share parts."""
    diagram = cx.figure("decoding2015.6", characters)
    assert diagram.layers == ["conv1", "conv2", "conv3"]
    below = {above: set() for above in ((e.above) for e in diagram.edges)}
    for edge in diagram.edges:
        below[edge.above].add(edge.below[1] + 1)
    assert below["conv3", 0] == {1, 4, 9, 11}
    assert below["conv2", 0] == {3, 4}
    assert below["conv3", 0] & below["conv3", 1] == {1, 4}
    shown = {(node.layer, node.unit) for node in diagram.nodes}
    assert shown == {place for edge in diagram.edges for place in (edge.above, edge.below)}
    diagram.save(tmp_path / "6.svg")
    assert (tmp_path / "6.svg").read_text(encoding="utf-8").startswith("<?xml")
    assert diagram.to_python() == "cx.figure('decoding2015.6', cx.load('characters'))"
    drawn = diagram.plot()
    assert [axis.get_title() for axis in drawn.axes] == [node.title for node in diagram.nodes]
    assert len(drawn.artists) == len(diagram.edges)


def test_figure7_the_characters_own_unit_answers_most(characters):
    for unit in range(8):
        sheet = decoding2015.figure7(characters, unit=unit)
        (framed,) = [k for k, cell in enumerate(sheet.rows[-1]) if cell.framed]
        assert framed == unit
        assert int(sheet.data["conv3"].argmax()) == unit
    assert [len(row) for row in sheet.rows] == [1, 4, 4, 8, 8, len(PARTS) - 8, len(PARTS) - 8, 8, 8]


def test_figures_of_other_networks(some, refused):
    world = cx.load("worldnet", device="cpu")
    assert len(decoding2015.figure5(world, layers=["conv1", "conv3"], columns=4).rows) == 3
    assert len(decoding2015.figure7(world, layer="conv2", unit=3, columns=4).rows) == 5
    assert len(decoding2015.figure3(world, layers=["conv2"], columns=2).rows) == 2
    photo = cx.load("photonet", device="cpu")
    refused(cx.SettingError, lambda: decoding2015.figure1(photo), "images and their classes")
    refused(cx.SettingError, lambda: decoding2015.figure1(photo, (some[0], some[1][:3])), "same length")


def test_table1_is_equation_3(lenet, some):
    table = cx.figure("decoding2015.table1", lenet, some[0], unpools=("nearest", "bilinear"), progress=False)
    assert table.rows == ["conv2", "conv3", "conv4"]
    for layer in table.rows:
        errors = compare(lenet, layer, None, some[0], unpool="nearest").errors
        assert np.allclose(table.values[layer, "nearest"], errors, rtol=1e-3, atol=1e-6)
    assert "(1.20)" in str(table)
    assert f"{table.mean('conv3', 'bilinear'):.2f} ± " in str(table)


def test_table1_of_another_network_has_nothing_to_compare_with(characters):
    table = decoding2015.table1(characters, [cx.digit(3)], progress=False)
    assert table.published == {}
    assert table.rows == ["conv2", "conv3"]


def test_the_command(tmp_path, shared):
    out = tmp_path / "t.csv"
    made = CliRunner().invoke(
        cli, ["figure", "decoding2015.7", "--net", "characters", "--out", str(tmp_path / "7.png")]
    )
    assert made.exit_code == 0, made.output
    made = CliRunner().invoke(
        cli, ["figure", "decoding2015.table1", "--net", "characters", "--image", str(shared / "data" / "MNIST"),
              "--out", str(out)]
    )  # fmt: skip
    assert made.exit_code != 0  # the folder MNIST is in is wanted, not MNIST's own
    assert "MNIST was not found" in str(made.exception)
