"""MaskedPhotograph: a photograph and the part of it to fill, in its own pixels and in those of a network's input."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from ..arguments import plain_number
from ..errors import NetworkError, SettingError, brief_value
from ..network import Network, centre_crop, read_image
from .mask_text import as_mask, is_mask_text, mask_to_text, text_to_mask
from .salient import enlarge, salient_part


class MaskedPhotograph:
    """A photograph with a mask of the part to fill.

    The photograph keeps its own size. Only the part that the network sees can be filled.

    Parameters
    ----------
    net : Network
        The network that fills it.
    image : image
        What `Network.pixels_of` takes, one image of any size.
    mask : array_like, picture, str or (int, int, int, int), optional
        True where to fill, (H, W) as the photograph or as the network's input: an array, a tensor, a picture in which
        white is true (a path, or of PIL), or the text of a mask; or a box (top, left, bottom, right) in the
        photograph's pixels, without its last row and column. Default: the part that the predicted class depends on
        most, `salient_part`.

    Attributes
    ----------
    photograph : np.ndarray
        (H, W, 3) uint8.
    mask : np.ndarray
        (H, W) bool, in the photograph's pixels.
    update_mask : np.ndarray
        (h, w) bool, in the network's pixels.
    part : (int, int, int, int)
        (top, left, bottom, right) of what the network sees.

    Raises
    ------
    NetworkError
        If the network's channels are no colours.
    SettingError
        If the mask is no mask, has another size, or leaves nothing to fill.
    ImageError
        If the image cannot be read.
    """

    def __init__(self, net: Network, image: Any, mask: Any = None):
        if isinstance(image, (list, tuple)):
            raise SettingError("a list of images was given; a completion takes one image and its mask.")
        if net.pixels.order == "channels":
            raise NetworkError(
                f"{net.name} takes {net.pixels.channels} channels; completion needs a grey or RGB network."
            )
        self._rgb = read_image(image)
        rows, columns = self._rgb.shape[1:]
        size = (rows, columns)
        self.photograph = (self._rgb + 0.5).clamp_(0, 255).to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
        self.part = centre_crop(size, net.size)
        self.net, self._python = net, ""
        self.mask = self._inside(salient_part(net, image) if mask is None else self._read(mask, size))
        covered = F.interpolate(torch.from_numpy(self._crop(self.mask)).float()[None, None], net.size, mode="area")
        self.update_mask = (covered[0, 0] >= 0.5).numpy()
        if not self.update_mask.any():
            raise SettingError(
                f"the mask leaves nothing to fill in the part of the image that {net.name} sees (rows {self.part[0]} "
                f"to {self.part[2]}, columns {self.part[1]} to {self.part[3]}); paint there, and more."
            )

    def to_python(self) -> str:
        """The Python of the mask; empty if it is the salient part."""
        return self._python

    def fill(self, x: torch.Tensor) -> np.ndarray:
        """The photograph with the masked pixels of x; all others are unchanged to the bit.

        Parameters
        ----------
        x : torch.Tensor
            (1, C, h, w) in the network's units.

        Returns
        -------
        np.ndarray
            (H, W, 3) uint8.
        """
        return self.paste(self.net.picture(x))

    def paste(self, picture: np.ndarray) -> np.ndarray:
        """The photograph with the masked pixels of a picture of what the network sees.

        Parameters
        ----------
        picture : np.ndarray
            (h, w, 3) uint8.

        Returns
        -------
        np.ndarray
            (H, W, 3) uint8.
        """
        top, left, bottom, right = self.part
        fill = torch.from_numpy(picture).permute(2, 0, 1)[None].float()
        sides = (bottom - top, right - left)
        if tuple(fill.shape[-2:]) != sides:
            fill = F.interpolate(fill, sides, mode="bicubic", antialias=True, align_corners=False)
        patch = fill[0].permute(1, 2, 0).add(0.5).clamp_(0, 255).to(torch.uint8).numpy()
        out, inside = self.photograph.copy(), self._crop(self.mask)
        out[top:bottom, left:right][inside] = patch[inside]
        return out

    def soft_update_mask(self, width: float) -> np.ndarray:
        """The update mask with a soft edge: it grows from 0 at the seam to 1.

        Parameters
        ----------
        width : float
            Width of the edge, as a part of the input's longer side.

        Returns
        -------
        np.ndarray
            (h, w) float32, 0 to 1.
        """
        from scipy.ndimage import distance_transform_edt

        if self.update_mask.all():
            return np.ones(self.update_mask.shape, np.float32)
        inside = distance_transform_edt(self.update_mask)
        return np.clip(inside / max(width * max(self.update_mask.shape), 1), 0, 1).astype(np.float32)

    def inpaint(self) -> torch.Tensor:
        """The network's input with the masked pixels filled smoothly from around them (biharmonic), (1, C, h, w)."""
        from skimage.restoration import inpaint_biharmonic

        x = self.net.pixels_of(self._rgb)
        if self.update_mask.all():
            return torch.zeros_like(x)  # nothing is around it: the mean colour
        known = x[0].permute(1, 2, 0).double().cpu().numpy()
        smooth = inpaint_biharmonic(known, self.update_mask, channel_axis=-1)
        low, high = known[~self.update_mask].min(0), known[~self.update_mask].max(0)
        fill = torch.from_numpy(np.clip(smooth, low, high)).permute(2, 0, 1)[None].to(x)
        return torch.where(torch.from_numpy(self.update_mask).to(x.device), fill, x)

    def _crop(self, array: np.ndarray) -> np.ndarray:
        """The part of an array (H, W) that the network sees."""
        top, left, bottom, right = self.part
        return array[top:bottom, left:right]

    def _inside(self, mask: np.ndarray) -> np.ndarray:
        """A mask without what the network does not see."""
        seen = np.zeros_like(mask)
        self._crop(seen)[:] = self._crop(mask)
        return seen

    def _read(self, mask: Any, size: tuple[int, int]) -> np.ndarray:
        """The mask in the photograph's pixels; keeps its Python."""
        corners = [plain_number(v) for v in mask] if isinstance(mask, (tuple, list)) and len(mask) == 4 else []
        if corners and all(isinstance(v, int) for v in corners):
            return self._box(corners, size)
        if isinstance(mask, str) and is_mask_text(mask):
            array = text_to_mask(mask, "mask")
        elif isinstance(mask, (str, os.PathLike, Image.Image)):
            array = read_image(mask).mean(0).numpy() > 127
        else:
            image = isinstance(mask, (np.ndarray, torch.Tensor)) and mask.dtype in (np.uint8, torch.uint8)
            if image and mask.ndim == 2 and max(mask.shape) <= 100_000 and mask.max() > 1:
                array = np.asarray(mask.cpu() if isinstance(mask, torch.Tensor) else mask) > 127
            else:
                array = as_mask(mask, "mask")
        if array.shape not in (size, self.net.size):
            raise SettingError(
                f"mask has shape {array.shape}; expected that of the image, {size[0]} x {size[1]}, or of the input of "
                f"{self.net.name}, {self.net.size[0]} x {self.net.size[1]}."
            )
        self._python = repr(mask_to_text(array))
        return array if array.shape == size else enlarge(array, self.part, size)

    def _box(self, box: list[Any], size: tuple[int, int]) -> np.ndarray:
        top, left, bottom, right = box
        if not (0 <= top < bottom <= size[0] and 0 <= left < right <= size[1]):
            raise SettingError(
                f"the box {brief_value(tuple(box))} is not within the image; expected (top, left, bottom, right) with "
                f"0 <= top < bottom <= {size[0]} and 0 <= left < right <= {size[1]}."
            )
        mask = np.zeros(size, bool)
        mask[top:bottom, left:right] = True
        self._python = repr(tuple(box))
        return mask
