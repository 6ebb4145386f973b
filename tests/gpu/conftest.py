"""The device that is compared with the CPU."""

import os

import pytest
import torch


@pytest.fixture(scope="session")
def gpu() -> str:
    """The GPU; CNNEXPLORE_GPU_DEVICE=cpu tries the tests themselves where there is none."""
    named = os.environ.get("CNNEXPLORE_GPU_DEVICE")
    if named:
        return named
    if not torch.cuda.is_available():
        pytest.skip("there is no CUDA device here.")
    return "cuda"
