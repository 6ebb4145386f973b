"""Hole: the part of a photograph that is to be filled, in the photograph's own pixels and in those a network sees."""

from __future__ import annotations

import os

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from ..errors import SettingError
from ..network import Network, read_image, seen_part
from .packed import binary, is_packed, packed, unpacked
from .salient import salient_part


class Hole:
    """A photograph with a mask over it.

    image: what `Network.pixels_of` takes, one image. mask: true where it is to be filled: (H, W) as the photograph or
    as the network's input, an array, a picture (white is true; a path, or of PIL) or what `code` says; or a box (top,
    left, bottom, right) in the photograph's pixels, half open; None: the part that the predicted class depends on most
    (`salient_part`). What lies outside the part of the photograph that the network sees stays as it is.
    photograph: (H, W, 3) uint8. mask: (H, W) bool. free: the same in the network's pixels. code: the Python of the
    mask, empty where it was found. Raises SettingError, ImageError, NetworkError.
    """

    def __init__(self, net: Network, image, mask):
        if isinstance(image, (list, tuple)):
            raise SettingError("a list of images was given; a completion takes one image and its mask.")
        self._rgb = read_image(image)
        size = tuple(self._rgb.shape[1:])
        self.photograph = (self._rgb + 0.5).clamp_(0, 255).to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
        self.part = seen_part(size, net.size)
        self.net, self.code = net, ""
        self.mask = self._seen(salient_part(net, image) if mask is None else self._mask(mask, size))
        covered = F.interpolate(torch.from_numpy(self._cut(self.mask)).float()[None, None], net.size, mode="area")[0, 0]
        self.free = (covered >= 0.5).numpy()
        if not self.free.any():
            raise SettingError(
                f"the mask leaves nothing to fill in the part of the image that {net.name} sees (rows {self.part[0]} "
                f"to {self.part[2]}, columns {self.part[1]} to {self.part[3]}); paint there, and more."
            )

    def filled(self, x: torch.Tensor) -> np.ndarray:
        """The photograph with the masked pixels of x, (1, C, H, W); all others as they were, to the bit."""
        return self.pasted(self.net.picture(x))

    def pasted(self, picture: np.ndarray) -> np.ndarray:
        """The photograph with the masked pixels of a picture of what the network sees, (H, W, 3) uint8."""
        top, left, bottom, right = self.part
        fill = torch.from_numpy(picture).permute(2, 0, 1)[None].float()
        sides = (bottom - top, right - left)
        if tuple(fill.shape[-2:]) != sides:
            fill = F.interpolate(fill, sides, mode="bicubic", antialias=True, align_corners=False)
        patch = fill[0].permute(1, 2, 0).add(0.5).clamp_(0, 255).to(torch.uint8).numpy()
        out, inside = self.photograph.copy(), self._cut(self.mask)
        out[top:bottom, left:right][inside] = patch[inside]
        return out

    def eased(self, width: float) -> np.ndarray:
        """How free each of the network's pixels is, (H, W), growing from the seam inwards over a part of the side."""
        from scipy.ndimage import distance_transform_edt

        if self.free.all():
            return np.ones(self.free.shape, np.float32)
        inside = distance_transform_edt(self.free)
        return np.clip(inside / max(width * max(self.free.shape), 1), 0, 1).astype(np.float32)

    def surroundings(self) -> torch.Tensor:
        """x with what is free filled smoothly from around it (biharmonic), (1, C, H, W)."""
        from skimage.restoration import inpaint_biharmonic

        x = self.net.pixels_of(self._rgb)
        if self.free.all():
            return torch.zeros_like(x)  # nothing is around it: the mean colour
        known = x[0].permute(1, 2, 0).double().cpu().numpy()
        smooth = inpaint_biharmonic(known, self.free, channel_axis=-1)
        low, high = known[~self.free].min(0), known[~self.free].max(0)
        fill = torch.from_numpy(np.clip(smooth, low, high)).permute(2, 0, 1)[None].to(x)
        return torch.where(torch.from_numpy(self.free).to(x.device), fill, x)

    def _cut(self, plane: np.ndarray) -> np.ndarray:
        top, left, bottom, right = self.part
        return plane[top:bottom, left:right]

    def _seen(self, mask: np.ndarray) -> np.ndarray:
        seen = np.zeros_like(mask)
        self._cut(seen)[:] = self._cut(mask)
        return seen

    def _mask(self, mask, size: tuple[int, int]) -> np.ndarray:
        """The mask in the photograph's pixels; notes the Python of it."""
        if isinstance(mask, (tuple, list)) and len(mask) == 4 and all(isinstance(v, (int, np.integer)) for v in mask):
            return self._box(tuple(int(v) for v in mask), size)
        if isinstance(mask, str) and is_packed(mask):
            array = unpacked(mask, "mask")
        elif isinstance(mask, (str, os.PathLike, Image.Image)):
            array = read_image(mask).mean(0).numpy() > 127
        else:
            array = np.asarray(mask.detach().cpu() if isinstance(mask, torch.Tensor) else mask)
            array = array > 127 if array.dtype == np.uint8 and array.max(initial=0) > 1 else binary(array, "mask")
        if array.shape not in (size, self.net.size):
            raise SettingError(
                f"mask has shape {array.shape}; expected that of the image, {size[0]} x {size[1]}, or of the input of "
                f"{self.net.name}, {self.net.size[0]} x {self.net.size[1]}."
            )
        self.code = repr(packed(array))
        if array.shape == size:
            return array
        top, left, bottom, right = self.part
        rows = np.arange(bottom - top) * array.shape[0] // (bottom - top)
        columns = np.arange(right - left) * array.shape[1] // (right - left)
        whole = np.zeros(size, bool)
        whole[top:bottom, left:right] = array[rows][:, columns]
        return whole

    def _box(self, box: tuple[int, int, int, int], size: tuple[int, int]) -> np.ndarray:
        top, left, bottom, right = box
        if not (0 <= top < bottom <= size[0] and 0 <= left < right <= size[1]):
            raise SettingError(
                f"the box {box} is not within the image; expected (top, left, bottom, right) with 0 <= top < bottom "
                f"<= {size[0]} and 0 <= left < right <= {size[1]}."
            )
        mask = np.zeros(size, bool)
        mask[top:bottom, left:right] = True
        self.code = repr(box)
        return mask
