"""The script that measures a GPU runs through, tried on a CPU."""

import importlib.util
import sys
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).parent / "benchmarks" / "gpu.py"


@pytest.fixture
def script(monkeypatch):
    spec = importlib.util.spec_from_file_location("gpu_script", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "gpu_script", module)  # a dataclass looks for its module
    spec.loader.exec_module(module)
    return module


def test_the_script_runs_through_without_a_gpu(script, monkeypatch, capsys):
    monkeypatch.setenv("CNNEXPLORE_GPU_DEVICE", "cpu")
    monkeypatch.setattr("sys.argv", [str(SCRIPT), "--no-tests", "--seconds", "0.01"])
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    assert script.main() == 0
    printed = capsys.readouterr().out
    for part in ("fire9", "live steps per second", "units of", "bfloat16, channels last", "maco"):
        assert part in printed
    assert "nan" not in printed
    assert (torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32) == before


def test_without_a_device_the_script_says_what_to_do(script, monkeypatch, capsys):
    monkeypatch.delenv("CNNEXPLORE_GPU_DEVICE", raising=False)
    monkeypatch.setattr(script.torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr("sys.argv", [str(SCRIPT)])
    assert script.main() == 1
    assert "CNNEXPLORE_GPU_DEVICE=cpu" in capsys.readouterr().out
