"""Controls that write into a Settings mailbox, and the words that explain them."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import ipywidgets as w

from ...errors import SettingError
from ...network import Layer
from ...preimage import Settings, Values

HELP = {
    "C": "C: how much the code counts against looking natural",
    "beta": "β: the exponent of total variation; 1 keeps edges but leaves spikes, 2 is smooth",
    "alpha": "α: the exponent of the bounded range; higher only stops the brightest pixels",
    "jitter": "jitter: by how many pixels the image is shifted at random; sharper pictures of deep layers",
    "seed": "seed: which random noise the estimate starts from",
    "steps": "steps: how long a run is",
    "seeds": "how many pictures are looked for at once, each from its own noise",
    "preset": "settings that go well together",
}
_WIDE = w.Layout(width="304px", max_width="100%")
_STYLE = {"description_width": "52px"}


class SettingsControls:
    """Sliders for C, beta, alpha and jitter, and a choice of presets; each acts as soon as it is moved.

    settings: the mailbox. usual: gives the published choice for a layer and an input size. what: the word for what C
    weighs. on_change() is called after each change, from the callback's thread.
    """

    def __init__(self, settings: Settings, usual: Callable[[Layer, tuple[int, int]], Values], what: str = "code"):
        self.settings, self.usual = settings, usual
        self.on_change = lambda: None
        self._layer: Layer | None = None
        self._size = (1, 1)
        v = settings.snapshot()
        self.C = w.FloatLogSlider(v.C, base=10, min=-1, max=4, step=0.01, description="C", readout_format=".2r")
        self.beta = w.FloatSlider(v.beta, min=1, max=3, step=0.1, description="β", readout_format=".1f")
        self.jitter = w.IntSlider(v.jitter, min=0, max=16, description="jitter")
        self.alpha = w.FloatSlider(v.alpha, min=1, max=12, step=0.5, description="α", readout_format=".1f")
        self._presets = {name.format(what): changes for name, changes in _PRESETS.items()}
        self.preset = w.Dropdown(options=["as set", *self._presets], description="preset")
        for name in ("C", "beta", "alpha", "jitter", "preset"):
            control = getattr(self, name)
            control.tooltip = HELP[name].replace("the code", f"the {what}")
            control.layout, control.style.description_width = _WIDE, _STYLE["description_width"]
        for name in ("C", "beta", "alpha", "jitter"):
            getattr(self, name).observe(self._moved, "value")
        self.preset.observe(self._chosen, "value")
        self._quiet = False

    def suit(self, layer: Layer, size: tuple[int, int]) -> None:
        """The layer and input size that the presets are for."""
        self._layer, self._size = layer, size

    def show(self, values: Values) -> None:
        """Moves the controls to where the settings are; call from a callback, never from a loop."""
        self._quiet = True
        try:
            self.C.max = max(4, self.C.max)
            self.C.value, self.beta.value, self.alpha.value = values.C, values.beta, values.alpha
            self.jitter.max = max(16, values.jitter)
            self.jitter.value = values.jitter
        finally:
            self._quiet = False

    def _moved(self, change) -> None:
        if self._quiet:
            return
        name = next(n for n in ("C", "beta", "alpha", "jitter") if getattr(self, n) is change.owner)
        value, now = change.new, getattr(self.settings, name)
        if name == "C":
            if now > 0 and abs(math.log10(value / now)) < 0.008:
                return  # the slider only went to its nearest tick
            value = float(f"{value:.2g}")
        else:
            value = round(value, 3)  # a browser's 6 may be 6.000000000000001
        if value == now:
            return
        self.settings.update(**{name: value})
        self._quiet = True
        self.preset.value = "as set"
        self._quiet = False
        self.on_change()

    def _chosen(self, change) -> None:
        if self._quiet or change.new == "as set" or self._layer is None:
            return
        usual = self.usual(self._layer, self._size)
        published = {n: getattr(usual, n) for n in ("C", "alpha", "beta", "jitter")}
        self.settings.update(**published | self._presets[change.new](usual))
        self.show(self.settings.snapshot())
        self.on_change()


class StartControls:
    """What a run begins with: the seed, for how many pictures at once, and how many steps.

    on_change() is called when one has changed, on_wrong(sentence) when what was typed cannot be; the value then stays.
    Raises SettingError.
    """

    def __init__(self, seed: int, seeds: int, steps: int):
        if not isinstance(seeds, int) or not 1 <= seeds <= _BOUNDS["seeds"][1]:
            raise SettingError(f"seeds is {seeds!r}; expected how many, 1 to {_BOUNDS['seeds'][1]}.")
        self.seed, self.seeds, self.steps = seed, seeds, steps
        self.on_change: Callable[[], None] = lambda: None
        self.on_wrong: Callable[[str], None] = lambda sentence: None
        self.seed_box = w.IntText(seed)
        self.seeds_box = w.Dropdown(options=sorted({1, 2, 4, seeds}), value=seeds)
        self.steps_box = w.IntText(steps)
        for name, width, label in (("seed", 90, 34), ("seeds", 94, 42), ("steps", 107, 38)):
            box = getattr(self, f"{name}_box")
            box.description, box.tooltip = name, HELP[name]
            box.layout.width, box.style.description_width = f"{width}px", f"{label}px"
            box.observe(partial(self._typed, name), "value")

    @property
    def noises(self) -> int | list[int]:
        """The seed, or the seeds of a batch."""
        return self.seed if self.seeds == 1 else list(range(self.seed, self.seed + self.seeds))

    def _typed(self, name: str, change) -> None:
        least, most = _BOUNDS[name]
        if least <= change.new <= most:
            setattr(self, name, change.new)
            self.on_change()
        else:
            wanted = f"expected a whole number from {least} to {most}"
            self.on_wrong(f"{name} is {change.new}; {wanted}, so {getattr(self, name)} stays.")


_BOUNDS = {"seed": (0, 100_000), "seeds": (1, 16), "steps": (1, 100_000)}
_PRESETS = {
    "the paper's for this layer": lambda usual: {},
    "closer to the {} (C × 10)": lambda usual: {"C": 10 * usual.C},
    "smoother (C ÷ 10)": lambda usual: {"C": usual.C / 10},
    "spiky total variation (β = 1)": lambda usual: {"beta": 1.0},
    "no jitter": lambda usual: {"jitter": 0},
}
