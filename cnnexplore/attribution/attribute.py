"""The one verb for all methods: which pixels make the network say this?"""

from __future__ import annotations

import difflib
import inspect
import os
from collections.abc import Iterator

import torch

from ..errors import SettingError
from ..network import Network
from .cam import cam
from .gradcam import gradcam, guided_gradcam
from .gradients import deconvnet, gradient, guided_backprop, input_x_gradient
from .integrated_gradients import integrated_gradients
from .occlusion import occlusion, occlusions
from .result import Attribution
from .smoothgrad import smoothgrad
from .subject import Subject, subject_of

_METHODS = {
    method.__name__: method
    for method in (
        gradient, input_x_gradient, smoothgrad, integrated_gradients, deconvnet, guided_backprop, cam, gradcam,
        guided_gradcam, occlusion,
    )
}  # fmt: skip
SIGNED = {"input_x_gradient", "integrated_gradients", "cam", "occlusion"}


def attribution_methods() -> dict[str, str]:
    """The names that `attribute` takes as a method, each with one line on what its map says."""
    return {name: inspect.getdoc(method).split("\n")[0].rstrip(".") for name, method in _METHODS.items()}


def options_of(method: str) -> dict[str, object]:
    """A method's own settings with their defaults. Raises SettingError for an unknown method."""
    if method not in _METHODS:
        close = difflib.get_close_matches(str(method), _METHODS, 1, 0.5)
        hint = f"did you mean {close[0]!r}?" if close else f"expected one of {', '.join(_METHODS)}."
        raise SettingError(f"there is no attribution method {method!r}; {hint}")
    parameters = list(inspect.signature(_METHODS[method]).parameters.values())[1:]
    return {p.name: p.default for p in parameters}


@torch.inference_mode(False)
def attribute(
    net: Network,
    image,
    target: int | str | list | None = None,
    method: str = "gradient",
    layer: str | None = None,
    unit: int | list | None = None,
    position: tuple[int, int] | None = None,
    **options,
) -> Attribution | list[Attribution]:
    """Which pixels of an image make the network say the target, by one of `attribution_methods()`.

    image: what `Network.pixels_of` takes. target: a class's number or label (default: the predicted one); or, with
    layer and unit, a channel of any layer, at position (row, column) of its map (default: where it responds most).
    options: the method's own, such as samples= of smoothgrad, at= (a layer) of gradcam, window= and stride= of
    occlusion. Lists of images, targets or units run as one batch and give a list.
    Raises SettingError, LayerError, LayerNotFound, ImageError, NetworkError.
    """
    known = options_of(method)
    for name in options:
        if name not in known:
            takes = ", ".join(known) or "no settings of its own"
            raise SettingError(f"{method} has no setting {name!r}; it takes {takes}.")
    subject = subject_of(net, image, target, layer, unit, position)
    raw, maps = _METHODS[method](subject, **options)
    several = isinstance(image, (list, tuple)) or isinstance(target, (list, tuple)) or isinstance(unit, (list, tuple))
    results = [_result(subject, n, method, raw[n], maps[n], layer, options, image) for n in range(len(maps))]
    return results if several else results[0]


@torch.inference_mode(False)
def attributions(net: Network, image, method: str, **asked) -> Iterator[tuple[Attribution, float]]:
    """`attribute` as a stream for one image: (what is known so far, share done); only occlusion grows."""
    if method != "occlusion":
        yield attribute(net, image, method=method, **asked), 1.0
        return
    what = {name: asked.pop(name, None) for name in ("target", "layer", "unit", "position")}
    subject = subject_of(net, image, **what)
    for raw, found, done in occlusions(subject, **asked):
        yield _result(subject, 0, method, raw, found, what["layer"], asked, image), done


def _result(subject: Subject, n: int, method: str, raw, found, layer, options, image) -> Attribution:
    score = float(subject.scores[n])
    return Attribution(
        map=_array(found),
        raw=_array(raw),
        target=subject.units[n],
        method=method,
        about=subject.about(n),
        score=score,
        signed=method in SIGNED,
        x=subject.x[n : n + 1],
        net=subject.net,
        bias=score - float(raw.double().mean()) if method == "cam" else 0.0,
        code=_code(subject, n, method, layer, options, image),
    )


def _array(values: torch.Tensor):
    values = values.detach().cpu()
    return (values if values.dtype == torch.float64 else values.float()).numpy()


def _code(subject: Subject, n: int, method: str, layer, options, image) -> str:
    said = [subject.net.to_python(), repr(os.fspath(image)) if isinstance(image, (str, os.PathLike)) else "image"]
    if layer is None:
        said.append(repr(subject.units[n]))
    said.append(f"method={method!r}")
    if layer is not None:
        said += [f"layer={layer!r}", f"unit={subject.units[n]}", f"position={subject.positions[n]}"]
    said += [f"{name}={value!r}" for name, value in options.items()]
    return f"cx.attribute({', '.join(said)})"
