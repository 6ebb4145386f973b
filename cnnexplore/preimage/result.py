"""PreImage: what a run leaves behind; an image with its numbers and the code that remakes it."""

from __future__ import annotations

import io
import math
import os
from dataclasses import dataclass, field

import numpy as np
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from ..errors import ImageError
from ..network import Network


def png(picture: np.ndarray, code: str = "", scale: int = 1) -> bytes:
    """A PNG file of an (H, W, 3) uint8 picture, enlarged by a whole factor, with the code that made it inside."""
    info = PngInfo()
    info.add_itxt("Software", "cnnexplore")
    if code:
        info.add_itxt("cnnexplore", code)
    image = Image.fromarray(picture)
    if scale > 1:
        image = image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST)
    file = io.BytesIO()
    image.save(file, "PNG", pnginfo=info)
    return file.getvalue()


def whole_scale(size: tuple[int, int], least: int = 200) -> int:
    """By which whole factor a picture is shown, so that its longer side has at least `least` screen pixels."""
    return max(1, -(-least // max(size)))


@dataclass(frozen=True)
class PreImage:
    """A pre-image. x: (1, C, H, W) in the network's units.

    error: ||Phi(x) - Phi0|| / ||Phi0|| of an inversion; response: <Phi(x), w> / M of a maximisation or caricature; the
    other one is not a number. history: structured array (step, energy, data, alpha, tv, other priors, and error or
    response), one record per step. code: the Python that remakes it. about: what it shows, in words.
    """

    x: torch.Tensor = field(repr=False)
    net: Network = field(repr=False)
    history: np.ndarray = field(repr=False)
    code: str
    layer: str
    error: float = math.nan
    response: float = math.nan
    about: str = ""

    @property
    def image(self) -> np.ndarray:
        """(H, W, 3) uint8."""
        return self.net.picture(self.x)

    def save(self, path: str | os.PathLike) -> None:
        """Writes a PNG with the code inside (text chunk "cnnexplore"), or another format by its suffix.

        Raises ImageError if the suffix is none of an image format.
        """
        if os.fspath(path).lower().endswith(".png"):
            with open(path, "wb") as file:
                file.write(png(self.image, self.code))
        else:
            try:
                Image.fromarray(self.image).save(path)
            except ValueError as error:
                raise ImageError(f"{os.fspath(path)!r} has no suffix of an image format; end it in .png.") from error

    def plot(self):
        """A matplotlib figure: the image beside its energy terms, on a logarithmic scale."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(8, 3.2), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(1, 1.5))
        left.imshow(self.image, interpolation="nearest")
        left.set_axis_off()
        left.set_title(self._title(), fontsize=10)
        steps, names = self.history["step"], self.history.dtype.names[3:-1]
        priors = sum(self.history[name] for name in names)
        responding = math.isnan(self.error)  # whose data term is negative: no logarithm
        lines = {
            "energy": (self.history["energy"], "0.6"),
            "C × data term": (self.history["energy"] - priors, "#c2410c"),
            "total variation": (self.history["tv"], "#2563eb"),
            "bounded range": (self.history["alpha"], "#7aa2f7"),
        }
        more = [name for name in names if name not in ("alpha", "tv")]
        lines |= {name: (self.history[name], "#0d9488") for name in more}
        for label, (values, colour) in lines.items():
            right.plot(steps, values if responding else np.maximum(values, 1e-12), label=label, color=colour, lw=1.6)
        right.set_yscale("symlog" if responding else "log")
        right.set_xlabel("step")
        right.legend(frameon=False, fontsize=8)
        right.spines[["top", "right"]].set_visible(False)
        return figure

    def _title(self) -> str:
        if math.isnan(self.error):
            return f"{self.about}; response {self.response:.2f} M"
        return f"what {self.layer} keeps; relative error {self.error:.3f}"

    def _repr_png_(self) -> bytes:
        return png(self.image, self.code, whole_scale(self.image.shape[:2]))
