"""RISE: how the score follows what random masks leave of the image."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from ..arguments import number, whole
from ..arguments import seed as any_seed
from .method import AttributionMethod, Maps, Option, Stream
from .target import Target


def rise_masks(count: int, cells: int, share: float, size: tuple[int, int], generator: torch.Generator) -> torch.Tensor:
    """Smooth random masks: grids of cells that are 1 with a probability, enlarged bilinearly, at random shifts.

    Parameters
    ----------
    count : int
        How many.
    cells : int
        Rows and columns of cells over the image.
    share : float
        The probability that a cell stays.
    size : tuple of int
        (H, W) of the image.
    generator : torch.Generator
        Of the masks: first the cells of a mask, then its shift by rows and by columns.

    Returns
    -------
    torch.Tensor
        (count, 1, H, W) float32 in 0..1.
    """
    cell = tuple(-(-side // cells) for side in size)
    masks = torch.empty(count, 1, *size)
    for k in range(count):
        grid = (torch.rand(cells, cells, generator=generator, dtype=torch.float32) < share).float()
        large = F.interpolate(grid[None, None], [(cells + 1) * c for c in cell], mode="bilinear", align_corners=False)
        row, column = (int(torch.randint(c, (1,), generator=generator)) for c in cell)
        masks[k] = large[0, :, row : row + size[0], column : column + size[1]]
    return masks


def rise(target: Target, masks: int, cells: int, share: float, seed: int, batch: int) -> Stream:
    """The mean mask, weighted by how far the masked image's score is above the mean of all masks, over the share.

    The image is multiplied by each mask, so that the mean colour stands where it is 0. Subtracting the mean score moves
    the map of the paper by a constant in expectation, and takes away the noise that the constant brings.

    References
    ----------
    Petsiuk et al., RISE: randomized input sampling for explanation of black-box models, 2018, equation 6, section 3.2.
    """
    masks = whole(2, 1_000_000, "how many random masks")("masks", masks)
    cells = whole(1, 1000, "rows and columns of cells of a mask")("cells", cells)
    share = number(0, 1, "the share of the image that stays", above=True)("share", share)
    batch = whole(1, 10_000, "how many masks are computed at once")("batch", batch)
    generator = torch.Generator().manual_seed(any_seed("seed", seed))
    target.evaluate()
    size = (int(target.x.shape[2]), int(target.x.shape[3]))
    total, weighted, scores = torch.zeros(size, dtype=torch.float64), torch.zeros(size, dtype=torch.float64), 0.0
    for first in range(0, masks, batch):
        count = min(batch, masks - first)
        shown = rise_masks(count, cells, share, size, generator)
        with torch.no_grad():
            activations = target.probe(target.net.feed(target.x * shown.to(target.x)))[target.layer.name]
        found = target.response(activations, 0).double().cpu()
        weighted += torch.einsum("n,nhw->hw", found, shown[:, 0].double())
        total += shown[:, 0].double().sum(0)
        scores += float(found.sum())
        done = first + count
        one = ((weighted - scores / done * total) / (done * share)).to(target.x)
        yield Maps(one[None, None], one[None]), done / masks


RISE = AttributionMethod(
    "rise",
    rise,
    "How the score follows what random masks leave of the image: the mean mask, weighted by the score above its mean",
    signed=True,
    streamed=True,
    options=(
        Option("masks", 500, "how many random masks", slider=(50, 4000), whole=True, initial=100),
        Option("cells", 7, "rows and columns of cells of a mask", slider=(3, 16), whole=True),
        Option("share", 0.5, "the share of cells that stay", slider=(0.1, 0.9)),
        Option("seed", 0, "seed of the masks"),
        Option("batch", 32, "how many masks are computed at once"),
    ),
)
