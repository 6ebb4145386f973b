"""SettingsControls: sliders that write into the settings of a run, and what a run begins with."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial

import ipywidgets as w

from ...arguments import checked
from ...network import Layer
from ...preimage import Parameter, Settings, Values
from ..elements import sentence
from .arguments import MOST_SEEDS, MOST_STEPS, START

# The step size, and what is beside a switch: of patches, of a generator, of the image that a run begins with.
_UNSHOWN = ("rate", "gamma", "code_rate", "decay", "bound", "closeness")
HELP = {
    "seed": "seed: the random noise that the estimate starts from",
    "steps": "steps: the length of a run",
    "seeds": "how many pictures grow side by side, each from its own noise",
}

_OWN = "settings of one's own"


class SettingsControls:
    """A slider for each declared parameter, and presets; each acts as soon as it is moved.

    Parameters
    ----------
    settings : Settings
        What the sliders write into and the loop reads; it declares the parameters.
    usual : callable
        The published settings for a layer and an input size.
    weighed : str
        The word for what C weighs.
    methods : dict of str, optional
        The names of the methods that can be chosen, each a preset of its own, with a sentence that says what it does;
        else there is the paper's.

    Attributes
    ----------
    method : str
        The chosen method; "" where there is one only.
    on_method : callable
        Called when another one is chosen, before its settings are taken.
    about : ipywidgets.HTML or None
        The sentence of the chosen method, where there are several.
    """

    def __init__(
        self,
        settings: Settings,
        usual: Callable[[Layer, tuple[int, int]], Values],
        weighed: str = "activation",
        methods: Mapping[str, str] | None = None,
    ):
        self.settings, self.usual = settings, usual
        self.on_change: Callable[[], None] = lambda: None
        self._layer: Layer | None = None
        self._size = (1, 1)
        self._quiet = self._of_preset = False
        now = settings.snapshot()
        shown = [p for p in settings.parameters if p.name not in _UNSHOWN]
        self.sliders = {p.name: slider_of(p, now[p.name]) for p in shown}
        for p in shown:
            self.sliders[p.name].observe(partial(self._moved, p), "value")
        methods = methods or {}
        self._methods = dict(methods)
        self.method = next(iter(methods), "")
        # none that no panel shows: only what is shown is closed with a panel
        self.about = w.HTML(sentence(methods[self.method]), layout=_wide()) if methods else None
        self.on_method: Callable[[], None] = lambda: None
        usual_ones = dict.fromkeys(methods or (_PAPERS,), _unchanged)
        self._presets = usual_ones | {name.format(weighed): changes for name, changes in _PRESETS.items()}
        self.preset = w.Dropdown(options=[_OWN, *self._presets], description="preset", layout=_wide())
        self.preset.tooltip, self.preset.style.description_width = "settings that go well together", _LABEL
        self.preset.observe(self._chosen, "value")

    def set_layer(self, layer: Layer, size: tuple[int, int]) -> None:
        """The layer and the input size that the presets are for."""
        self._layer, self._size = layer, size
        self._name_preset()

    @property
    def of_preset(self) -> bool:
        """Whether the settings are those of a preset that was chosen; one that they happen to be does not count."""
        return self._of_preset

    def lock(self, name: str) -> None:
        """Have a setting moved by presets only.

        Parameters
        ----------
        name : str
            Of the setting; one that has no slider is left out.
        """
        if name in self.sliders:
            self.sliders[name].disabled = True
            self.sliders[name].tooltip = f"{name} is fixed in this exercise"

    def show(self, values: Values) -> None:
        """Move the sliders to where settings are."""
        self._quiet = True
        try:
            for name, slider in self.sliders.items():
                value = values[name]
                if not isinstance(slider, w.FloatLogSlider):
                    slider.max = max(slider.max, value)
                slider.value = value
        finally:
            self._quiet = False
        self._name_preset()

    def _name_preset(self) -> None:
        """Name the preset that the settings are; the chosen one if several are the same."""
        if self._layer is None:
            return
        usual, now = self.usual(self._layer, self._size), self.settings.snapshot()
        published = {name: usual[name] for name in self.sliders}
        same = [
            name
            for name, changes in self._presets.items()
            if (name == self.method or name not in self._methods)
            and all(now[k] == value for k, value in (published | changes(usual)).items())
        ]
        self._quiet = True
        try:
            self.preset.value = self.preset.value if self.preset.value in same else next(iter(same), _OWN)
        finally:
            self._quiet = False

    def _moved(self, parameter: Parameter, change: dict) -> None:
        if self._quiet:
            return
        value, now = change["new"], self.settings.snapshot()[parameter.name]
        if parameter.scale == "log":
            if now > 0 and abs(math.log10(value / now)) < 0.008:
                return  # the slider only went to its nearest tick
            value = float(f"{value:.2g}")
        else:
            value = round(value, 3)  # a browser's 6 may be 6.000000000000001
            if not parameter.whole and abs(value - now) < self.sliders[parameter.name].step / 2:
                return  # the slider only went to its nearest tick
        if value == now:
            return
        self.settings.update(**{parameter.name: value})
        self._of_preset = False
        self._name_preset()
        self.on_change()

    def _chosen(self, change: dict) -> None:
        if self._quiet or change["new"] == _OWN or self._layer is None:
            return
        self._of_preset = True
        if change["new"] in self._methods:
            self.method = change["new"]
            if self.about is not None:
                self.about.value = sentence(self._methods[self.method])
            self.on_method()
        usual = self.usual(self._layer, self._size)
        published = {name: usual[name] for name in self.sliders}
        self.settings.update(**published | self._presets[change["new"]](usual))
        self.show(self.settings.snapshot())
        self.on_change()


class StartControls:
    """What a run begins with: the seed, the number of pictures, and the number of steps.

    Parameters
    ----------
    seed, seeds, steps : int

    Attributes
    ----------
    on_change : callable
        Called when one has changed.
    on_wrong : callable
        Called with a sentence when a number is refused, the value then stays; with "" when one is taken.

    Raises
    ------
    SettingError
    """

    @checked(**START)
    def __init__(self, seed: int, seeds: int, steps: int):
        self.seed, self.seeds, self.steps = seed, seeds, steps
        self.on_change: Callable[[], None] = lambda: None
        self.on_wrong: Callable[[str], None] = lambda sentence: None
        self.seed_box = w.FloatText(seed)  # an IntText makes 125 of 12.5 and 19 of 1e9
        self.seeds_box = w.Dropdown(options=sorted({1, 2, 4, seeds}), value=seeds)
        self.steps_box = w.FloatText(steps)
        for name, width, label in (("seed", 90, 34), ("seeds", 94, 42), ("steps", 107, 38)):
            box = getattr(self, f"{name}_box")
            box.description, box.tooltip = name, HELP[name]
            box.layout.width, box.style.description_width = f"{width}px", f"{label}px"
            box.observe(partial(self._typed, name), "value")

    @property
    def seed_or_seeds(self) -> int | list[int]:
        """The seed, or the seeds of a batch."""
        return self.seed if self.seeds == 1 else list(range(self.seed, self.seed + self.seeds))

    def take(self, **numbers: int) -> None:
        """Show and use other numbers, which are within their bounds; nothing is begun.

        Parameters
        ----------
        **numbers : int
            Any of seed, seeds and steps.
        """
        for name, number in numbers.items():
            setattr(self, name, number)
            box = getattr(self, f"{name}_box")
            if name == "seeds":
                box.options = sorted({*box.options, number})
            box.value = number

    def _typed(self, name: str, change: dict) -> None:
        (least, most), value, now = _BOUNDS[name], change["new"], getattr(self, name)
        if value == now:
            return
        if least <= value <= most and value == int(value):
            setattr(self, name, int(value))
            self.on_wrong("")
            self.on_change()
        else:
            wanted = f"expected a whole number from {least} to {most}"
            self.on_wrong(f"{name} is {value:g}; {wanted}, so {now} stays.")
            getattr(self, f"{name}_box").value = now


def _unchanged(usual: Values) -> dict[str, float]:
    return {}


def slider_of(parameter: Parameter, value: float) -> w.Widget:
    """A slider of a parameter, at a value."""
    p, (low, high) = parameter, parameter.slider
    common = {"description": p.label, "tooltip": p.description, "layout": _wide()}
    if p.scale == "log":
        made = w.FloatLogSlider(
            value, base=10, min=math.log10(low), max=math.log10(high), step=0.01, readout_format=".2r", **common
        )
    elif p.whole:
        made = w.IntSlider(int(value), min=int(low), max=max(int(high), int(value)), **common)
    else:
        step = 0.01 if high - low <= 1 else 0.1 if high - low <= 4 else 0.5
        digits = ".2f" if step == 0.01 else ".1f"
        made = w.FloatSlider(value, min=low, max=max(high, value), step=step, readout_format=digits, **common)
    made.style.description_width = _LABEL
    return made


def _wide() -> w.Layout:
    return w.Layout(width="304px", max_width="100%")


_LABEL = "52px"
_BOUNDS = {"seed": (0, 100_000), "seeds": (1, MOST_SEEDS), "steps": (1, MOST_STEPS)}
_PAPERS = "the paper's for this layer"
_PRESETS: dict[str, Callable[[Values], dict[str, float]]] = {
    "closer to the {} (C × 10)": lambda usual: {"C": 10 * usual.C},
    "smoother (C ÷ 10)": lambda usual: {"C": usual.C / 10},
    "spiky total variation (β = 1)": lambda usual: {"beta": 1.0},
    "no jitter": lambda usual: {"jitter": 0},
}
