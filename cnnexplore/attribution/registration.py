"""register_attribution: a method of the user, of captum, zennit or pytorch-grad-cam beside those of the package."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from ..arguments import checked, flag
from ..errors import SettingError, brief_value
from .adapters import adapted, named
from .method import AttributionMethod, Option, add_method, remove_method


def _name(name: str, value: Any) -> Any:
    """The check of an argument that names a new method, or is its record."""
    if isinstance(value, AttributionMethod) or (isinstance(value, str) and value.isidentifier()):
        return value
    raise SettingError(
        f"{name} is {brief_value(value)}; expected a Python identifier, such as 'deeplift', or an AttributionMethod."
    )


def _sentence(name: str, value: Any) -> str:
    if isinstance(value, str) and len(value) <= 500 and "\n" not in value:
        return value
    raise SettingError(f"{name} is {brief_value(value)}; expected one sentence on what the map shows, or nothing.")


def _options(name: str, value: Any) -> tuple[Option, ...]:
    if isinstance(value, (list, tuple)) and all(isinstance(one, Option) for one in value):
        return tuple(value)
    raise SettingError(
        f"{name} is {brief_value(value)}; expected a list of settings, such as [Option('steps', 50, 'how many steps')]."
    )


@checked(name=_name, signed=flag, summary=_sentence, options=_options, streamed=flag)
def register_attribution(
    name: str | AttributionMethod,
    function: Callable[..., Any] | None = None,
    *,
    signed: bool = False,
    summary: str = "",
    options: Sequence[Option] = (),
    streamed: bool = False,
) -> None:
    """Add an attribution method to `attribute`, `attribution_methods`, the panel, the explorer and the score card.

    The function is given a copy of the module, with weights of its own and in eval mode, that maps (N, C, H, W) to
    (N, K): class scores before a softmax, or the units of a layer. Whatever it does to the copy, the user's module
    stays as it is. It is called for one image at a time.

    Parameters
    ----------
    name : str or AttributionMethod
        What `attribute` takes as ``method``; or the whole record of a method that works with a `Target`.
    function : callable, class or composite, optional
        One of: a function ``(module, input, target)`` with an input (1, C, H, W) in the module's own units (the mean is
        0), which requires gradients, and the number of a unit; it returns a map (H, W) or values by channel (C, H, W),
        also with an axis for the image in front. Keywords after these are settings; one named ``at`` is given the
        module of a layer. A class of ``captum.attr``, such as ``captum.attr.DeepLift``; the keywords of its `attribute`
        are settings. A composite of zennit, such as ``zennit.composites.EpsilonPlusFlat()``, whose relevance is 1 at
        the target; or a class of ``zennit.attribution``. A class of ``pytorch_grad_cam``. Arguments for making a class
        go into a `functools.partial`.
    signed : bool
        Whether negative values speak against the target. Values by channel are summed if so; else the largest absolute
        value is taken.
    summary : str
        One sentence on what the map shows, without a full stop (default: the function's name).
    options : sequence of Option
        Settings that get a slider, another default or a description; by name those of the function.
    streamed : bool
        Whether the function is a generator of (map, share done), with 1 as the last share, whose maps are drawn as they
        come.

    Raises
    ------
    SettingError
        If the name is none or that of a method of the package, or the function is of no kind that is known. One that
        was registered before is replaced.

    See Also
    --------
    cnnexplore.attribution.unregister_attribution : removes it.

    Examples
    --------
    >>> from cnnexplore.attribution import unregister_attribution
    >>> def absolute(module, input, target):
    ...     module(input)[0, target].backward()
    ...     return input.grad.abs().sum(1)
    >>> cx.register_attribution("absolute", absolute, summary="the sum of absolute derivatives over channels")
    >>> cx.attribute(cx.load("lenet"), cx.digit(3), method="absolute").map.shape
    (28, 28)
    >>> unregister_attribution("absolute")
    """
    if isinstance(name, AttributionMethod):
        if function is not None or signed or summary or options or streamed:
            raise SettingError(
                f"the record of {name.name!r} was given with more; it holds its function, sign and settings itself."
            )
        python = f"cx.register_attribution(AttributionMethod({name.name!r}, {named(name.function)}, ...))"
        add_method(replace(name, registration=name.registration or python))
    elif function is None:
        raise SettingError(
            f"{name!r} was given without a function; expected register_attribution({name!r}, function), or an "
            "AttributionMethod."
        )
    else:
        add_method(adapted(name, function, summary, signed, options, streamed))


def unregister_attribution(name: str) -> None:
    """Remove a method that `register_attribution` added.

    Parameters
    ----------
    name : str
        The method's name.

    Raises
    ------
    SettingError
        If no such method was registered.
    """
    remove_method(name)
