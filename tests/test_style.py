"""The linter is part of the tests, so that there is one command to run."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("what", [["check"], ["format", "--check"]])
def test_ruff_has_nothing_to_say(what):
    done = subprocess.run([sys.executable, "-m", "ruff", *what, "."], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
