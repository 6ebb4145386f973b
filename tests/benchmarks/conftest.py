"""Both sides of every ratio are measured in one run, in turn; the table is printed at the end."""

from __future__ import annotations

import os
import statistics
import sys
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # as `cnnexplore lab` sets them; before torch
os.environ.setdefault("GOMP_SPINCOUNT", "1000")
sys.path.insert(0, str(Path(__file__).parents[1] / "browser"))

import pytest

ROWS: list[tuple[str, str, float, str, bool]] = []


@pytest.fixture
def report():
    """Adds a row to the table: what, how it was measured, the figure, the bar, whether it holds."""

    def add(what: str, how: str, figure: float, bar: str) -> None:
        sign, limit = bar.split()[:2]
        holds = figure <= float(limit) if sign == "<=" else figure >= float(limit)
        ROWS.append((what, how, figure, bar, holds))

    return add


@pytest.fixture(scope="session")
def squeezenet(shared):
    import cnnexplore as cx

    return cx.load(shared / "weights" / "squeezenet1_0-imagenet.safetensors", device="cpu")


@pytest.fixture(scope="session")
def alexnet(shared):
    import cnnexplore as cx

    return cx.load(shared / "weights" / "alexnet-imagenette.safetensors", device="cpu")


@pytest.fixture(scope="session")
def fox(shared) -> Path:
    return next((shared / "data" / "imagenet-sample").glob("0277_*.jpg"))


@pytest.fixture
def in_turn(benchmark):
    """Times two functions in turn and returns their median seconds; pytest-benchmark shows the first."""
    import time

    def measure(ours, other, rounds: int = 40) -> tuple[float, float]:
        others = []

        def before():
            begin = time.perf_counter()
            other()
            others.append(time.perf_counter() - begin)

        for _ in range(3):
            ours(), other()
        benchmark.pedantic(ours, setup=before, rounds=rounds)
        return benchmark.stats.stats.median, statistics.median(others)

    return measure


def pytest_terminal_summary(terminalreporter):
    if not ROWS:
        return
    terminalreporter.section("ratios")
    width = max(len(what) for what, *_ in ROWS)
    for what, how, figure, bar, holds in ROWS:
        terminalreporter.write_line(f"{what:<{width}}  {figure:8.2f}   {bar:<10} {'' if holds else 'SHORT'}  {how}")
