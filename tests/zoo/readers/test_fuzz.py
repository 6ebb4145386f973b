"""Readers under 2,000 random changes of whole files: a result or one sentence, within a second and little memory."""

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest

FUZZING = str(Path(__file__).with_name("fuzzing.py"))
COUNTS = {"dissection": "400"}  # each is a pass
LIMIT = 6 * 2**30  # bytes of address space; the libraries alone take half of it


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind",
    [
        "safetensors",
        "pth",
        "mat",
        "images",
        "annotations",
        "pixels",
        "journal",
        "png text",
        "cache",
        "inverter",
        "concept folders",
        "dissection",
    ],
)
def test_changed_files(kind, tmp_path):
    done = subprocess.run(
        [sys.executable, FUZZING, kind, COUNTS.get(kind, "2000"), str(tmp_path)],
        capture_output=True, text=True, timeout=500,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (LIMIT, LIMIT)),
    )  # fmt: skip
    assert not done.returncode, done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert not found["wrong"], found
    assert found["slowest"] < 5  # one second on an idle machine
