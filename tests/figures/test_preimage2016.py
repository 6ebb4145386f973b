"""The figures and tables of preimage2016 on a small network: cells and tables hold the runs' results."""

import json

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from torch import nn

import cnnexplore as cx
from cnnexplore import figures
from cnnexplore.cli import cli
from cnnexplore.data.journal import Journal
from cnnexplore.figures import preimage2016
from cnnexplore.zoo.architectures.hog import hog

IMAGE = np.random.default_rng(0).integers(0, 256, (24, 24, 3), dtype=np.uint8)
QUICK = {"steps": 3, "progress": False}


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU(), nn.Conv2d(4, 6, 3, 1, 1), nn.ReLU(), nn.Dropout(),
        nn.Flatten(), nn.Linear(6 * 144, 5), nn.Softmax(1),
    )  # fmt: skip
    return cx.Network(module, size=24, labels=list("abcde"), name="tiny")


MADE = {
    "1": ([5], 4), "2": ([5, 5], 8), "3": ([5], 5), "5": ([6], 5), "6": ([4], 3), "8": ([5, 5, 5], 12), "9": ([5], 4),
    "10": ([3, 3], 4), "11": ([4, 6], 10), "13": ([5], 5), "14": ([4], 3),
}  # fmt: skip


@pytest.mark.parametrize("number", MADE)
def test_a_figure_shows_its_runs(net, number, tmp_path):
    needs_image = number not in ("3", "11", "13")
    sheet = cx.figure(f"preimage2016.{number}", net, IMAGE if needs_image else None, **QUICK)
    rows, runs = MADE[number]
    assert [len(row) for row in sheet.rows] == rows
    assert len(sheet.results) == runs
    shown = [cell for row in sheet.rows for cell in row if cell.result is not None]
    for cell in shown:
        assert np.array_equal(cell.picture, cell.result.picture)
        expected = cell.result.error if cell.result.error == cell.result.error else cell.result.response
        assert f"{expected:.{2 if 'error' in cell.title else 1}f}" in cell.title
    space = {"cx": cx, "net": net, "image": IMAGE}
    assert np.array_equal(eval(shown[-1].result.to_python(), space).picture, shown[-1].picture)
    sheet.save(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as saved:
        assert saved.text["cnnexplore"] == sheet.to_python()
        assert np.array_equal(np.asarray(saved), sheet.picture)
    image = ", image" if needs_image else ""
    assert sheet.to_python() == f"cx.figure('preimage2016.{number}', net{image}, steps=3, progress=False)"
    drawn = [axis for axis in sheet.plot().axes if axis.images]
    assert [axis.get_title() for axis in drawn] == [cell.title for row in sheet.rows for cell in row]
    for axis, cell in zip(drawn, (cell for row in sheet.rows for cell in row), strict=True):
        assert np.array_equal(axis.images[0].get_array(), cell.picture)


def test_figure4_shows_each_descriptor_above_what_it_keeps(tmp_path):
    sheet = cx.figure("preimage2016.4", image=cx.photograph("cat"), steps=2, refine=0, progress=False)
    described, inverted = sheet.rows
    assert [len(described), len(inverted)] == [4, 4]
    assert [r.net.name for r in sheet.results] == ["hog", "hog-bilinear", "dsift"]
    for cell in inverted[1:]:
        assert f"{cell.result.error:.2f}" in cell.title
        low, high = np.quantile(cell.picture, (0.005, 0.995))
        assert (low, high) == (0, 255)
        # the contrast is stretched, nothing else
        assert np.corrcoef(cell.picture.ravel(), cell.result.picture.ravel())[0, 1] > 0.9
    own = cx.Network(hog(cell=4), size=32, pixels=cx.Pixels("grey"))
    mine = preimage2016.figure4(own, IMAGE, steps=2, progress=False)
    assert [r.net for r in mine.results] == [own]
    sheet.save(tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 10_000


def test_the_box_is_what_the_window_sees(net):
    sheet = preimage2016.figure9(net, IMAGE, ["conv1"], window=2, **QUICK)
    # units 5 and 6 of 12, stride 2, field 3: pixels 2 * 5 - 1 to 2 * 6 + 1
    assert sheet.rows[0][1].box == (9, 9, 13, 13)
    x = net.pixels_of(IMAGE).requires_grad_()
    activation = net.module[0](net.pixels.feed(x))[..., 5:7, 5:7]
    seen = torch.autograd.grad(activation.square().sum(), x)[0][0].abs().sum(0).nonzero()
    assert seen.min(0).values.tolist() + seen.max(0).values.tolist() == [9, 9, 13, 13]


def test_table5_measures_and_goes_on(net, tmp_path):
    kept = tmp_path / "t.jsonl"
    settings = {"layers": ["conv1", "relu2"], "weights": (1, 100), "log": kept, **QUICK}
    images = [IMAGE, 255 - IMAGE]
    table = preimage2016.table5(net, images, **settings)
    assert table.rows == ["conv1", "relu2"]
    assert table.columns == ["C = 1", "C = 100", "C = 1, spectral", "C = 100, spectral"]
    for column, solver in (("C = 100", "adagrad"), ("C = 100, spectral", "spectral")):
        alone = cx.invert(net, images[1], "relu2", C=100, solver=solver, **QUICK).error
        assert table.values["relu2", column][1] == pytest.approx(alone)
    mean = np.mean(table.values["relu2", "C = 100"])
    assert table.mean("relu2", "C = 100") == pytest.approx(100 * mean)
    assert f"{100 * mean:.1f} ± " in str(table)
    lines = kept.read_text().splitlines(keepends=True)
    assert len(lines) == 1 + 16
    # killed in the middle of a line: what was measured is kept, the torn line is measured again
    (_, run), (_, (*job, _)) = map(json.loads, lines[:2])
    kept.unlink()
    Journal(kept, run).append([*job, 0.123])
    kept.write_text(kept.read_text() + "".join(lines[2:5]) + lines[5][:7])
    again = preimage2016.table5(net, images, **settings)
    assert again.values["conv1", "C = 1"][0] == 0.123
    assert again.values["relu2", "C = 100"] == table.values["relu2", "C = 100"]
    assert len(Journal(kept, run).records) == 16


def test_published_numbers_stand_beside_the_papers_algorithm(monkeypatch):
    named = nn.Module()
    named.conv1, named.norm1 = nn.Conv2d(3, 96, 3, 2, 1), nn.LocalResponseNorm(5)
    named.forward = lambda x: named.norm1(named.conv1(x))
    alexnet = cx.Network(named, size=24)
    solvers = []
    invert = preimage2016.invert
    monkeypatch.setattr(preimage2016, "invert", lambda *a, **run: solvers.append(run["solver"]) or invert(*a, **run))
    table = cx.figure("preimage2016.table5", alexnet, [IMAGE], layers=["conv1"], weights=(300,), **QUICK)
    assert table.published["conv1", "C = 300"] == 14.2
    assert ("conv1", "C = 300, spectral") not in table.published
    assert table.cells()[1][1].endswith("(14.2)")
    assert not table.cells()[1][2].endswith(")")
    assert solvers == ["adagrad", "spectral"]


def test_table4_is_of_the_descriptors(refused):
    table = cx.figure("preimage2016.table4", image=[cx.photograph("cat")], names=["hog"], steps=1, refine=0)
    assert (table.rows, table.columns) == (["hog"], ["error", "error, spectral"])
    assert table.published["hog", "error"] == 36.6
    alone = cx.invert(cx.load("hog"), cx.photograph("cat"), "descriptor", steps=1, refine=0, solver="adagrad")
    assert table.mean("hog", "error") == pytest.approx(100 * alone.error, rel=1e-5)
    refused(cx.SettingError, lambda: cx.figure("preimage2016.table4", solver="spectral"), "solvers=")


def test_a_table_is_a_result(net, tmp_path):
    table = cx.figure("preimage2016.table5", net, [IMAGE, IMAGE], layers=["conv1"], weights=(1,), **QUICK)
    assert table.to_python().startswith("cx.figure('preimage2016.table5', net, image, layers=['conv1'], weights=[1]")
    again = eval(table.to_python(), {"cx": cx, "net": net, "image": [IMAGE, IMAGE]})
    assert again.values == table.values
    table.save(tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text(encoding="utf-8").splitlines()[1].startswith("conv1,")
    table.save(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        assert image.text["cnnexplore"] == table.to_python()
    drawn = {cell.get_text().get_text() for cell in table.plot().axes[0].tables[0].get_celld().values()}
    assert {cell for row in table.cells() for cell in row} == drawn


def test_a_file_of_other_settings_is_refused(net, tmp_path, refused):
    kept = tmp_path / "t.jsonl"
    preimage2016.table5(net, [IMAGE], ["conv1"], (1,), log=kept, **QUICK)
    before = kept.read_text()
    call = lambda: preimage2016.table5(net, [IMAGE], ["conv1"], (1,), log=kept, steps=4, progress=False)  # noqa: E731
    refused(cx.SettingError, call, "other settings")
    kept.write_text("nonsense\n")
    refused(cx.SettingError, call, "not a journal")
    assert before


def test_names(net, refused):
    names = figures.names()
    assert {"preimage2016.5", "preimage2016.table5", "inverting2015.6", "inverting2015.table3"} <= set(names)
    assert {name: text for name, text in names.items() if not text or len(text) >= 110} == {}
    refused(cx.SettingError, lambda: cx.figure("preimage2016.55", net), "did you mean", "preimage2016.5")
    refused(cx.SettingError, lambda: cx.figure("nothing.1", net), "no figure")
    refused(cx.SettingError, lambda: preimage2016.table5(net, []), "list of images")


def test_the_command(tmp_path):
    run = CliRunner().invoke
    listed = run(cli, ["figure"])
    assert "preimage2016.14" in listed.output
    out = tmp_path / "seeds.png"
    made = run(cli, ["figure", "preimage2016.1", "--net", "lenet", "--out", str(out), "--steps", "2"])
    assert made.exit_code == 0, made.output
    assert out.stat().st_size > 1000
