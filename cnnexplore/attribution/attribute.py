"""attribute: the map over the pixels that explains a class score or a unit's response, by any method."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from tqdm.auto import tqdm

from ..arguments import checked, flag, optional, place, plain_number
from ..errors import SettingError
from ..network import Network
from ..network.arguments import layer_name, network
from ..network.precision import full_precision
from ..results import image_to_python, value_to_python
from .cam import CAM
from .gradcam import GRADCAM, GUIDED_GRADCAM
from .gradients import DECONVNET, GRADIENT, GUIDED_BACKPROP, INPUT_X_GRADIENT
from .integrated_gradients import INTEGRATED_GRADIENTS
from .method import AttributionMethod, Maps, find_method, method_name, register_built_in, with_registrations
from .occlusion import OCCLUSION
from .result import Attribution
from .rise import RISE
from .smoothgrad import SMOOTHGRAD
from .target import Target, is_several, resolve_target

for _method in (
    GRADIENT, INPUT_X_GRADIENT, SMOOTHGRAD, INTEGRATED_GRADIENTS, DECONVNET, GUIDED_BACKPROP, CAM, GRADCAM,
    GUIDED_GRADCAM, OCCLUSION, RISE,
):  # fmt: skip
    register_built_in(_method)


@full_precision()
@torch.inference_mode(False)
@checked(net=network, method=method_name, layer=optional(layer_name), position=optional(place), progress=flag)
def attribute(
    net: Network,
    image: Any,
    target: int | str | Sequence[int | str | None] | None = None,
    method: str = "gradient",
    *,
    layer: str | None = None,
    unit: int | str | Sequence[int | str] | None = None,
    position: tuple[int, int] | None = None,
    progress: bool = True,
    **options: Any,
) -> Attribution | list[Attribution]:
    """Which pixels of an image a class score, or a unit's response, depends on.

    Parameters
    ----------
    net : Network
        The network.
    image : image or list of images
        A path, PIL image, array or tensor; all that `Network.pixels_of` takes.
    target : int, str or sequence, optional
        A class by number or label, or a list of them; by default the predicted class.
    method : str
        One of `attribution_methods()`, which says what the map of each shows.
    layer : str, optional
        With `unit`: the layer of a unit to explain in place of a class.
    unit : int, str or sequence, optional
        The unit of the layer, or several.
    position : tuple of int, optional
        (row, column) of the unit on the layer's map; by default where its response is largest.
    progress : bool
        Whether a method that computes its map in parts, such as "occlusion", shows a progress bar.
    **options : Any
        Settings of the method. "smoothgrad": ``samples=25`` noisy copies, ``noise=0.15`` as a share of the image's
        range, ``seed=0``. "integrated_gradients": ``steps=50`` of the Gauss-Legendre rule, ``baseline=None``, an image
        (None: the mean colour). "gradcam" and "guided_gradcam": ``at=None``, the layer whose map is weighted (None: the
        last one with a map). "occlusion": ``window=None`` and ``stride=None``, pixels or (rows, columns) (None: an
        eighth of the image, and half of that), ``fill="mean"`` or a colour in 0..255, ``batch=32`` windows at once,
        ``approximate=False`` (True: some windows are interpolated, `Attribution.accuracy` says how well), ``seed=0``.
        "rise": ``masks=500`` random ones of ``cells=7`` rows and columns, of which a ``share=0.5`` stays, ``seed=0``,
        ``batch=32`` at once.

    Returns
    -------
    Attribution or list of Attribution
        The map with its picture. A list if images, targets or units were a list: one image goes with all targets, one
        target with all images.

    Raises
    ------
    SettingError
        For an unknown method, option, class, unit or position, or an option outside its range.
    LayerError
        If the network or the layer is none that the method works for.
    LayerNotFound
        If there is no such layer.
    ImageError
        If the image cannot be read.
    NetworkError
        If the network ends in a map and no unit is named.

    Examples
    --------
    >>> net = cx.load("worldnet")
    >>> a = cx.attribute(net, cx.scene(7).image, method="gradcam")
    >>> a.map.shape, a.picture.shape
    ((96, 96), (96, 96, 3))
    >>> cx.attribute(net, cx.scene(7).image, layer="conv4", unit=7, method="guided_backprop").about
    'unit 7 of conv4 at (4, 3)'
    """
    record, options = find_method(method), _plain(options)
    settings = record.settings(options)
    what = resolve_target(net, image, target, layer=layer, unit=unit, position=position)
    if record.streamed:
        with tqdm(total=len(what), desc=method, unit="image", disable=not progress, leave=False) as bar:
            each = [_last(record.function(one, **settings), bar) for one in what.split()]
        maps = Maps(torch.cat([m.raw for m in each]), torch.cat([m.maps for m in each]))
    else:
        maps = Maps(*record.function(what, **settings))
        each = [maps] * len(what)
    what.evaluate()
    _check(record, maps, what)
    results = [
        _result(
            record, what, n, maps._replace(accuracy=each[n].accuracy, bound=each[n].bound), n, layer, options, image
        )
        for n in range(len(what))
    ]
    several = isinstance(image, (list, tuple)) or is_several(target) or is_several(unit) or len(results) > 1
    return results if several else results[0]


@torch.inference_mode(False)
@checked(net=network, method=method_name, layer=optional(layer_name), position=optional(place))
def attribute_stream(
    net: Network,
    image: Any,
    target: int | str | None = None,
    method: str = "gradient",
    *,
    layer: str | None = None,
    unit: int | str | None = None,
    position: tuple[int, int] | None = None,
    **options: Any,
) -> Iterator[tuple[Attribution, float]]:
    """`attribute` of one image as a stream: the attribution so far and the share done.

    Parameters
    ----------
    net : Network
        The network.
    image : image
        A path, PIL image, array or tensor.
    target : int or str, optional
        A class by number or label; by default the predicted class.
    method : str
        One of `attribution_methods()`; only maps of a streamed method, such as "occlusion", grow.
    layer : str, optional
        With `unit`: the layer of a unit to explain in place of a class.
    unit : int or str, optional
        The unit of the layer.
    position : tuple of int, optional
        (row, column) of the unit on the layer's map; by default where its response is largest.
    **options : Any
        Settings of the method.

    Yields
    ------
    Attribution, float
        What is known so far, and the share done; the last one is 1.

    Raises
    ------
    SettingError
        For arguments that `attribute` refuses.
    """
    record, options = find_method(method), _plain(options)
    settings = record.settings(options)
    what = resolve_target(net, image, target, layer=layer, unit=unit, position=position)
    if len(what) != 1:
        raise SettingError(f"{len(what)} images or targets were given; expected one of each.")
    what.evaluate()
    if record.streamed:
        stream = record.function(what, **settings)
    else:
        with full_precision():
            stream = [(record.function(what, **settings), 1.0)]
    for found, share in stream:
        maps = Maps(*found)
        _check(record, maps, what)
        yield _result(record, what, 0, maps, 0, layer, options, image), share


def _plain(options: dict[str, Any]) -> dict[str, Any]:
    """Options with the numbers of numpy and torch as Python's."""
    return {name: value if (number := plain_number(value)) is None else number for name, value in options.items()}


def _last(stream: Iterator[tuple[Any, float]], bar: Any) -> Maps:
    """The last maps of a stream; the bar grows by 1, a part at a time."""
    maps, before = None, bar.n
    for maps, share in stream:  # noqa: B007 (the last one is used)
        bar.update(before + share - bar.n)
    if maps is None:
        raise SettingError("a streamed attribution method yielded nothing; it must yield (maps, share done).")
    return Maps(*maps)


def _check(record: AttributionMethod, maps: Maps, target: Target) -> None:
    expected = (len(target), *target.x.shape[-2:])
    if tuple(maps.maps.shape) != expected or len(maps.raw) != len(target):
        raise SettingError(
            f"attribution method {record.name!r} returned maps of shape {tuple(maps.maps.shape)} and raw of shape "
            f"{tuple(maps.raw.shape)}; expected (N, H, W) = {expected} and (N, C, h, w)."
        )


def _result(
    record: AttributionMethod,
    target: Target,
    n: int,
    maps: Maps,
    k: int,
    layer: str | None,
    options: dict[str, Any],
    image: Any,
) -> Attribution:
    return Attribution(
        map=_array(maps.maps[k]),
        raw=_array(maps.raw[k]),
        target=target.units[n],
        method=record.name,
        about=target.name(n),
        score=float(target.evaluate()[n]),
        signed=record.signed,
        image=target.net.picture(target.x[n : n + 1]),
        net=target.net,
        bias=0.0 if maps.bias is None else float(maps.bias[k]),
        accuracy=maps.accuracy,
        bound=maps.bound,
        python=_python(record, target, n, layer, options, image),
    )


def _array(values: torch.Tensor) -> np.ndarray:
    values = values.detach().cpu()
    return (values if values.dtype == torch.float64 else values.float()).numpy()


def _python(
    record: AttributionMethod, target: Target, n: int, layer: str | None, options: dict[str, Any], image: Any
) -> str:
    words = [target.net.to_python(), image_to_python(image)]
    if layer is None:
        words.append(repr(target.units[n]))
    words.append(f"method={record.name!r}")
    if layer is not None:
        words += [f"layer={layer!r}", f"unit={target.units[n]}", f"position={target.positions[n]}"]
    # The Python of an approximate map is that of the exact one.
    words += [f"{name}={value_to_python(value)}" for name, value in options.items() if name != "approximate"]
    return with_registrations(f"cx.attribute({', '.join(words)})", [record.name])
