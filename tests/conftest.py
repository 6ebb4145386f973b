"""Fixtures for all tests."""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # before torch: idle OpenMP threads must not spin for long
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

from pathlib import Path

import pytest
from hypothesis import settings

import cnnexplore as cx

# Same examples on every run, so that a failure is the change's and not the dice's.
settings.register_profile("cnnexplore", deadline=None, derandomize=True, database=None, max_examples=40)
settings.load_profile("cnnexplore")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The optional folder of test data beside the repository."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not folder.is_dir():
        sentence = "the folder ../shared with the test data is not there."
        if os.environ.get("CI") == "true":
            pytest.fail(sentence)
        pytest.skip(sentence)
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
    monkeypatch.setattr("cnnexplore.zoo._device", lambda device: "cpu")
