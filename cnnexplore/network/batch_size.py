"""The number of images that a GPU's free memory holds at once."""

from __future__ import annotations

from collections.abc import Callable

import torch

from .network import Network

_TRIED = 4  # images of the pass that is measured
_MOST = 1024  # images: more are no faster, and a pass that is stopped loses more
_SHARE = 0.6  # of the free memory; the rest is for fragments and for the algorithms that a larger batch chooses


def fitting_batch(
    device: torch.device,
    one_pass: Callable[[int], object],
    usual: int,
    workers: int = 1,
    begun: Callable[[int], bool] = lambda batch: False,
) -> int:
    """How many images to compute at a time: `usual` on a CPU; on a GPU a power of two that its free memory holds.

    The memory of an image is measured in a pass of a few.

    Parameters
    ----------
    device : torch.device
        Where the network is.
    one_pass : callable
        Computes a number of images; what it returns is in memory until it is measured.
    usual : int
        What is taken on a CPU.
    workers : int
        How many processes or threads compute at once, and share the memory.
    begun : callable
        Whether a sweep with that batch is kept: it is gone on with, although the free memory may be another now.

    Returns
    -------
    int
        1 to 1024, or `usual`.

    Examples
    --------
    >>> fitting_batch(torch.device("cpu"), lambda count: None, 32)
    32
    """
    if not _on_gpu(device):
        return usual
    sizes = [1 << k for k in range(_MOST.bit_length())]
    needed = _memory_of(device, one_pass) / _TRIED
    room = _SHARE * _free_memory(device) / workers
    fitting = [size for size in sizes if size * needed <= room] or [1]
    return next((size for size in reversed(fitting) if begun(size)), fitting[-1])


def random_images(net: Network, count: int) -> torch.Tensor:
    """Images of noise in the units of `Network.pixels_of`, (count, C, H, W): of zeros a network may need less."""
    shape = (count, net.pixels.channels, *net.size)
    generator = torch.Generator().manual_seed(0)
    return (255 * torch.rand(shape, generator=generator, dtype=torch.float32) - 127.5).to(net.device)


def _on_gpu(device: torch.device) -> bool:
    """Whether torch can tell the memory of a device."""
    return device.type == "cuda"


def _free_memory(device: torch.device) -> int:
    """Bytes that can be allocated: those that are free on the GPU, and those that torch holds without use."""
    free, _ = torch.cuda.mem_get_info(device)
    return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)


def _memory_of(device: torch.device, one_pass: Callable[[int], object]) -> int:
    """Bytes that a pass of a few images needs beyond what is allocated now; at least 1."""
    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    kept = one_pass(_TRIED)
    torch.cuda.synchronize(device)
    peak = torch.cuda.max_memory_allocated(device)
    del kept
    return max(1, peak - before)
