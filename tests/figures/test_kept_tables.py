"""A table's log: what is measured goes on for the same network, pictures and settings only."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import cnnexplore as cx
from cnnexplore.figures import table as tables
from cnnexplore.figures.table import Measurement, measure_all, run_settings

DRAW = np.random.default_rng(0)
A, B = DRAW.integers(0, 256, (2, 12, 12, 3), dtype=np.uint8)


class Scaled(nn.Module):
    def __init__(self, scale=1.0, seed=0):
        super().__init__()
        torch.manual_seed(seed)
        self.conv, self.fc, self.scale = nn.Conv2d(3, 4, 3), nn.Linear(4, 3), scale

    def forward(self, x):
        return self.fc((self.conv(x) * self.scale).relu().mean((2, 3)))


@dataclass(frozen=True)
class Measured(Measurement):
    """A table of one column, whose number is a function of the image."""

    function: Callable[[Any], float]

    def measure(self, row, columns, image):
        return [self.function(image)]


def network(**options):
    return cx.Network(Scaled(**options), size=12, name="mine")


@pytest.fixture
def measured():
    return []


def run(log, measured, net, images, values=(1.0,), **settings):
    """A table whose numbers are counted, for images by name."""

    def measure(image):
        measured.extend(name for name, one in images.items() if one is image)
        return float(np.mean(image)) + len(measured)

    jobs = [("row", ("column",), name) for name in images]
    make = lambda: run_settings("some table", {net.name: net}, ["conv"], settings)  # noqa: E731
    return measure_all(jobs, Measured(measure), log, make, "some", images, progress=False)


def test_other_pictures_of_the_same_name_are_measured_anew(tmp_path, measured):
    log, net = tmp_path / "log", network()
    first = run(log, measured, net, {"0": A, "1": B})
    assert run(log, measured, net, {"0": A.copy(), "1": B}) == first
    assert len(measured) == 2
    other = run(log, measured, net, {"0": B, "1": A})
    assert len(measured) == 4
    assert other != first
    more = run(log, measured, net, {"0": A, "1": B, "2": 255 - A})  # one more picture costs one measurement
    assert len(measured) == 5
    assert more["row", "column"][:2] == first["row", "column"]


def test_a_picture_in_a_file_counts_by_its_pixels(tmp_path, measured):
    from PIL import Image

    log, net, path = tmp_path / "log", network(), str(tmp_path / "a.png")
    Image.fromarray(A).save(path)
    run(log, measured, net, {"0": A})
    images = {"0": path}

    def measure(image):
        measured.append(image)
        return 0.0

    make = lambda: run_settings("some table", {net.name: net}, ["conv"], {})  # noqa: E731
    measure_all([("row", ("column",), "0")], Measured(measure), log, make, "some", images, progress=False)
    assert len(measured) == 1
    Image.fromarray(B).save(path)
    measure_all([("row", ("column",), "0")], Measured(measure), log, make, "some", images, progress=False)
    assert len(measured) == 2


def test_another_module_of_the_same_name_is_refused(tmp_path, measured, refused):
    log = tmp_path / "log"
    run(log, measured, network(), {"0": A})
    run(log, measured, network(), {"0": A})  # the same weights in another object
    assert len(measured) == 1
    for other in (network(seed=1), network(scale=5.0)):
        refused(cx.SettingError, lambda net=other: run(log, measured, net, {"0": A}), "other settings")
    mask = np.zeros((500, 500))
    run(tmp_path / "masked", measured, network(), {"0": A}, mask=mask)
    mask = mask.copy()
    mask[250, 250] = 1  # not in the text of the array
    refused(cx.SettingError, lambda: run(tmp_path / "masked", measured, network(), {"0": A}, mask=mask), "other")


def test_damaged_and_foreign_lines_cost_their_measurement(tmp_path, measured):
    log, net = tmp_path / "log", network()
    images = {"0": A, "1": B}
    first = run(log, measured, net, images)
    lines = log.read_text().splitlines()
    for junk in ("", "null", "[1, 2]", '[0, ["row"]]', lines[1][:-3], "\x00", json.dumps([0, [1] * 5])):
        log.write_text("\n".join([lines[0], lines[1], junk]) + "\n")
        measured.clear()
        again = run(log, measured, net, images)
        assert measured == ["1"]
        assert again["row", "column"][0] == first["row", "column"][0]
    log.write_text("")  # killed when it was made
    measured.clear()
    run(log, measured, net, images)
    assert measured == ["0", "1"]


def test_a_log_that_is_whole_need_not_be_writable(tmp_path, measured, monkeypatch, refused):
    log, net = tmp_path / "log", network()
    first = run(log, measured, net, {"0": A})
    real = open

    def no_writing(file, mode="r", *args, **options):
        if str(file) == str(log) and set(mode) & set("wa+x"):
            raise PermissionError(13, "Permission denied")
        return real(file, mode, *args, **options)

    monkeypatch.setattr("builtins.open", no_writing)
    assert run(log, measured, net, {"0": A}) == first
    refused(cx.SettingError, lambda: run(log, measured, net, {"0": A, "1": B}), "cannot be written")


def test_without_a_log_nothing_is_read_for_a_key(measured, monkeypatch):
    monkeypatch.setattr(tables, "run_settings", None)
    run(None, measured, network(), {"0": A})
    assert measured == ["0"]


def test_digit_8_does_not_get_the_error_of_digit_1(tmp_path):
    net, options = cx.load("lenet"), {"layers": ["conv2"], "weights": (1,), "steps": 3, "solvers": ["spectral"]}
    table = lambda digit, log: cx.figure(  # noqa: E731
        "preimage2016.table5", net, [cx.digit(digit)], log=log, progress=False, **options
    )
    one = table(1, tmp_path / "log").mean("conv2", "C = 1, spectral")
    eight = table(8, tmp_path / "log").mean("conv2", "C = 1, spectral")
    assert eight == table(8, None).mean("conv2", "C = 1, spectral") != one
