"""Images of a layer's activation by a trained decoder, beside those of an optimisation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ... import world
from ...evaluation import image_error
from ...generators import find_inverter, layers_with_inverter
from ...network import Network
from ...preimage import invert
from ..parts import single
from ..sheet import Cell, Sheet
from .arguments import image_list


def inverters(
    net: Network, images: Any = None, layers: Sequence[str] | None = None, steps: int = 150, progress: bool = True
) -> Sheet:
    """Inversions by a trained decoder and by optimisation, with their errors in pixels and activations."""
    chosen = [net.layers[name].name for name in layers] if layers is not None else layers_with_inverter(net)
    if not chosen:
        find_inverter(net, net.scores.name)  # says which networks have inverters, and how to train one
    pictures = default_images(net) if images is None else image_list(images)
    rows = []
    for image in pictures:
        row = [Cell(net.picture(net.pixels_of(image)), "original")]
        for name in chosen:
            learned = single(invert(net, image, name, method="learned"))
            optimised = single(invert(net, image, name, steps=steps, refine=min(steps, 50), progress=progress))
            for what, found in (("learned", learned), ("optimised", optimised)):
                pixels = image_error(net, image, found)
                row.append(
                    Cell(found.picture, f"{name}, {what}\nimage {pixels:.2f}, Φ {found.error:.2f}", result=found)
                )
        rows.append(row)
    return Sheet(f"Inversions of {net.name}: one pass through a decoder, and optimisation", rows)


def default_images(net: Network) -> list[Any]:
    """Scenes for a network of the world, photographs for any other."""
    if set(net.labels) == set(world.CLASSES):
        scenes = world.dataset(4, world.HELD_OUT_SEED, net.size[0])
        return [scenes.scene(k).image for k in range(3)]
    return image_list(None)[:3]
