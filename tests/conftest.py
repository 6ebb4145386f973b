"""Fixtures for all tests."""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # before torch: idle OpenMP threads must not spin for long
os.environ.setdefault("GOMP_SPINCOUNT", "1000")
if workers := int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", 0)):  # processes that share the cores
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // workers)))

from pathlib import Path

import pytest
import torch
from hypothesis import settings
from torch import nn

import cnnexplore as cx

# Same examples on every run, so that a failure is the change's and not the dice's.
settings.register_profile("cnnexplore", deadline=None, derandomize=True, database=None, max_examples=40)
settings.load_profile("cnnexplore")


ALONE = ("test_notebooks.py", "test_embedded.py")  # files of long tests that share nothing


@pytest.hookimpl(optionalhook=True)
def pytest_collection_modifyitems(config, items):
    """Tests marked long run only where ``-m`` names them, or where one is asked for by its node id."""
    named = any("::" in argument for argument in config.args)
    if "long" not in config.option.markexpr and not named:
        left = [item for item in items if item.get_closest_marker("long")]
        config.hook.pytest_deselected(items=left)
        items[:] = [item for item in items if not item.get_closest_marker("long")]


def pytest_xdist_make_scheduler(config, log):
    """One process runs all browser tests, which share a server, and all tests of a file, which share fixtures."""
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.split("::", 1)[0]
            return "browser" if "/browser/" in file else nodeid if file.endswith(ALONE) else file

    return Scheduling(config, log)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of test data beside the repository: optional, unless CNNEXPLORE_SHARED=required."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not folder.is_dir():
        sentence = "the folder ../shared with the test data is not there."
        pytest.fail(sentence) if os.environ.get("CNNEXPLORE_SHARED") == "required" else pytest.skip(sentence)
    return folder


@pytest.fixture(scope="session")
def refused():
    """Calls what must be refused by one sentence of the given class; gives the sentence."""

    def check(kind, call, *words: str) -> str:
        assert issubclass(kind, cx.ExploreError)
        with pytest.raises(kind) as caught:
            call()
        sentence = str(caught.value)
        assert "\n" not in sentence
        assert sentence.endswith((".", "?"))
        for word in words:
            assert word in sentence
        return sentence

    return check


@pytest.fixture
def on_cpu(monkeypatch):
    """Networks load as on a computer without accelerators: where what they compute is compared to the bit."""
    monkeypatch.setattr("cnnexplore.zoo.catalogue._device", lambda device: "cpu")


@pytest.fixture(scope="session", params=["RGB", "BGR"])
def uneven_pixels(request) -> cx.Network:
    """A small classifier in float64 whose pixels have another mean and std in each channel, in RGB and in BGR.

    Its layers are conv1, relu1, conv2, pool2, relu2 and the class scores; the input is 12 x 12.
    """
    with torch.random.fork_rng():
        torch.manual_seed(0)
        first, second, scores = nn.Conv2d(3, 6, 3), nn.Conv2d(6, 5, 3), nn.Linear(80, 4)
        layers = first, nn.ReLU(), second, nn.AvgPool2d(2), nn.ReLU(), nn.Flatten(), scores
    pixels = cx.Pixels(request.param, mean=(120.0, 90.0, 60.0), std=(70.0, 35.0, 11.0))
    return cx.Network(
        nn.Sequential(*layers).double(),
        size=(12, 12),
        pixels=pixels,
        labels=["ant", "bee", "cat", "dog"],
        name="uneven",
    )
