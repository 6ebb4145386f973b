"""The table of what each public function gives for modules of others: the right value, or a true sentence.

``python tests/conformance/conformance_table.py [--all] [--write] [words]`` prints it; words choose rows, ``--all``
takes every torchvision model, ``--write`` keeps the rows in table.txt beside the others.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import plain_torch
import torch

sys.path.append(str(Path(__file__).parents[1]))  # of what the tests share, when it runs as a script

from foreign_modules import Case, cases

import cnnexplore as cx
from cnnexplore.network import as_maps


def hooks(module: torch.nn.Module) -> list[int]:
    """How many hooks each part of a module has."""
    return [len(part._forward_hooks) + len(part._forward_pre_hooks) for part in module.modules()]


class Subject:
    """A module, the network made of it, and what plain torch says of it."""

    def __init__(self, case: Case) -> None:
        self.case = case
        torch.manual_seed(0)
        self.module = case.make()
        if "exported" not in type(self.module).__name__ and not case.name.endswith("torch.export"):
            self.module.eval()
        self.state = {name: value.clone() for name, value in self.module.state_dict().items()}
        self.hooks = hooks(self.module)
        self.net = cx.Network(self.module, size=case.size)
        channels = self.net.pixels.channels
        rng = np.random.default_rng(0)
        smooth = [
            np.kron(rng.uniform(40, 215, (4, 4, channels)), np.ones((case.size // 4,) * 2 + (1,))) for _ in range(2)
        ]
        noisy = [np.clip(s + rng.normal(0, 20, s.shape), 0, 255).astype(np.uint8) for s in smooth]
        self.images = [one[..., 0] if channels == 1 else one for one in noisy]
        self.x = self.net.pixels_of(self.images)
        self.fed = self.net.pixels.feed(self.x).to(self.net.dtype)
        self.dtype, self.layout = self.net.dtype, torch.contiguous_format

    def run(self, x: torch.Tensor):
        return self.module(x)

    def hooked(self, path: str, call: int) -> list[torch.Tensor]:
        """The outputs of one call of a module of the user's, by plain torch, image by image."""
        found: list[torch.Tensor] = []
        part = self.module.get_submodule(path)
        handle = part.register_forward_hook(lambda module, args, out: found.append(out.detach().clone()))
        try:
            with torch.no_grad():
                for k in range(2):
                    self.run(self.fed[k : k + 1].clone())
        finally:
            handle.remove()
        return found[call :: len(found) // 2]

    def picks(self) -> list[cx.Layer]:
        """Some layers that are modules, called once, from first to last."""
        layers = [one for one in self.net.layers.values() if one.site[0] == "module" and one.site[1]]
        scripted = isinstance(self.module, torch.jit.ScriptModule)
        once = [one for one in layers if ":" not in one.path and not scripted]
        return [once[k] for k in sorted({0, len(once) // 3, 2 * len(once) // 3, len(once) - 1})] if once else []

    def map_layer(self) -> cx.Layer:
        maps = [one for one in self.picks() if one.has_map] or [one for one in self.net.layers.values() if one.has_map]
        if not maps:
            raise cx.LayerError("the module has no layer with a map.")
        return maps[len(maps) // 2]

    def score(self, x: torch.Tensor) -> torch.Tensor:
        """The scores of an image, before a final softmax or sigmoid, (K,)."""
        if type(self.module).__name__ == "Frozen":
            return self.module(x, frozen=False).flatten()
        scores = self.net.scores  # refuses where there are none
        if scores.has_map:
            raise cx.NetworkError("the module ends in a map.")
        ending = self.net._output.ending
        if ending in ("none", "probabilities"):
            return plain_torch.tensors(self.run(x))[0].flatten()
        if ending == "sigmoid":
            return plain_torch.tensors(self.run(x))[0].flatten().logit()
        return self.net.probe(scores.name)(x)[scores.name].flatten()

    def slope(self, x: torch.Tensor) -> torch.Tensor:
        """The derivative of the first score by x (C, H, W), the image in 0..255, by plain torch."""
        fed = self.net.pixels.feed(x[None]).to(self.dtype).contiguous(memory_format=self.layout)
        slope = plain_torch.gradient(lambda fed: self.score(fed)[0], fed)[0]
        return slope.double() / torch.tensor(self.net.pixels.std, dtype=torch.float64).view(-1, 1, 1)

    @contextmanager
    def in_double(self) -> Iterator[None]:
        """In which plain torch computes in float64, with the same weights."""
        module, dtype = self.module, self.dtype
        torch.manual_seed(0)
        self.module, self.dtype = self.case.make().eval().double(), torch.float64
        self.module.load_state_dict(self.state)
        try:
            yield
        finally:
            self.module, self.dtype = module, dtype

    def agree(self, found: Callable[[cx.Network], np.ndarray], expected: Callable[[], torch.Tensor]) -> None:
        """Whether numbers are what plain torch computes; both in float64 where the module magnifies rounding."""
        raw = found(self.net)
        # torch's gradient of a batch norm of one image before tokens is wrong in the first layout
        self.layout = torch.contiguous_format
        single = expected()
        if not is_close(raw, single, self.tolerance) and self.net._traced.channels_last:
            self.layout = torch.channels_last
            single = expected()
        if not is_close(raw, single, self.tolerance) and self.dtype == torch.float32 and self.ends_in_scores:
            with self.in_double():
                double = expected()
                if not is_close(single, double, 0.1 * self.tolerance):
                    raw, single = found(cx.Network(self.module, size=self.net.size)), double
        close(raw, single, self.tolerance)

    @property
    def ends_in_scores(self) -> bool:
        return self.net._output.ending in ("none", "probabilities")

    @property
    def tolerance(self) -> float:
        return 0.05 if self.net.dtype != torch.float32 else 2e-3


def close(a, b, tolerance: float = 1e-3) -> None:
    a, b = (np.asarray(v.detach().float() if isinstance(v, torch.Tensor) else v, np.float64) for v in (a, b))
    assert a.shape == b.shape, f"shapes {a.shape} and {b.shape}"
    far = np.abs(a - b).max(initial=0)
    assert far <= tolerance * max(np.abs(b).max(initial=0), 1e-6), f"off by {far:.2g} of {np.abs(b).max():.2g}"


def is_close(a, b, tolerance: float) -> bool:
    try:
        close(a, b, tolerance)
    except AssertionError:
        return False
    return True


def layers(s: Subject) -> None:
    assert len(s.net.layers)
    for layer in s.net.layers.values():
        for axis in (0, 1):
            assert np.isfinite(layer.centres(axis)).all(), layer
        assert all(np.isfinite(layer.rf_size)), layer


def activations(s: Subject) -> None:
    tolerance = 0.05 if s.net.dtype != torch.float32 else 1e-3
    for layer in s.picks():
        found = s.net.activations(s.images, layer.name)
        assert len(found) == 2
        for mine, theirs in zip(found, s.hooked(*layer.site[1:]), strict=True):
            close(np.sort(mine.float().flatten().numpy()), np.sort(theirs.float().flatten().numpy()), tolerance)
            maps = as_maps(mine[None], layer)
            assert tuple(maps.shape[1:]) == (layer.channels, *layer.size)


def fields(s: Subject) -> None:
    layer = s.map_layer()
    if not s.fed.is_floating_point():
        return
    row, column = layer.size[0] // 2, layer.size[1] // 3
    fed = s.fed[:1].float().clone().requires_grad_() if s.net.dtype == torch.float32 else None
    if fed is None:
        return
    out = as_maps(s.net.probe(layer.name)(fed)[layer.name], layer)
    if not out.requires_grad:
        raise cx.LayerError("no gradient flows.")
    (slope,) = torch.autograd.grad(out[0, :, row, column].sum(), fed)
    mask = slope[0].abs().sum(0) > 0
    if mask.any():
        rows, columns = mask.any(1).nonzero().flatten(), mask.any(0).nonzero().flatten()
        top, left, bottom, right = layer.rf_box(row, column)
        assert rows[0] >= top, f"{layer.name} sees row {int(rows[0])}, above {top}"
        assert columns[0] >= left
        assert rows[-1] <= bottom
        assert columns[-1] <= right


def predict(s: Subject) -> None:
    label, value = s.net.predict(s.images[0], 1)[0]
    with torch.no_grad():
        out = s.run(s.fed[:1].clone())
    row = plain_torch.tensors(out)[0].float().flatten()
    best = float(row[int(label.split()[-1])])
    assert best >= float(row.max()) - 1e-5 * (1 + float(row.abs().max())), "another class scores more"
    assert 0 <= value <= 1
    ending = s.net._output.ending
    expected = {"none": row.softmax(0) if len(row) > 1 else row.sigmoid(), "log_softmax": row.exp()}.get(ending, row)
    close(value, expected.max(), 0.02)


def invert(s: Subject) -> None:
    layer = s.map_layer()
    r = cx.invert(s.net, s.images[0], layer.name, steps=2, refine=0, progress=False)
    target = s.net.activations(s.images[0], layer.name).float()
    with torch.no_grad():
        mine = s.net.probe(layer.name)(s.net.feed(r.x))[layer.name].float()
    close(r.error, (mine - target).norm() / target.norm(), 0.02)


def maximize(s: Subject) -> None:
    layer = s.map_layer()
    unit = layer.channels // 2
    run = cx.Maximization(s.net, layer.name, unit, steps=2, M=1.0)
    for _ in range(2):
        run.advance()
    with torch.no_grad():
        maps = as_maps(s.net.probe(layer.name)(s.net.feed(run.x))[layer.name], layer)
    centre = [np.abs(layer.centres(a, maps.shape[2 + a]) - (run.size[a] - 1) / 2).min() for a in (0, 1)]
    rows, columns = (
        (np.abs(layer.centres(a, maps.shape[2 + a]) - (run.size[a] - 1) / 2) <= centre[a] + 1e-6).nonzero()[0]
        for a in (0, 1)
    )
    values = [float(maps[0, unit, r, c]) for r in rows for c in columns]
    assert min(abs(float(run.responses[0]) - v) for v in values) <= 0.02 * max(map(abs, values)) + 1e-6


def attributed(s: Subject, method: str, **options) -> Callable[[cx.Network], np.ndarray]:
    return lambda net: cx.attribute(net, s.images[0], 0, method=method, **options).raw


def gradient(s: Subject) -> None:
    s.agree(attributed(s, "gradient"), lambda: s.slope(s.x[0]))


def input_x_gradient(s: Subject) -> None:
    s.agree(attributed(s, "input_x_gradient"), lambda: s.x[0] * s.slope(s.x[0]))


def smoothgrad(s: Subject) -> None:
    def expected() -> torch.Tensor:
        generator, x = torch.Generator().manual_seed(3), s.x[0]
        noisy = [x + 0.1 * (x.max() - x.min()) * torch.randn(x.shape, generator=generator) for _ in range(2)]
        return sum(map(s.slope, noisy)) / 2

    s.agree(attributed(s, "smoothgrad", samples=2, noise=0.1, seed=3), expected)


def integrated_gradients(s: Subject) -> None:
    def expected() -> torch.Tensor:
        return s.x[0] * sum(weight * s.slope(place * s.x[0]) for place, weight in plain_torch.legendre(3))

    s.agree(attributed(s, "integrated_gradients", steps=3), expected)


def _by_rule(s: Subject, rule: str) -> None:
    def expected() -> torch.Tensor:
        with plain_torch.Rectifiers(guided=rule == "guided_backprop"):
            return s.slope(s.x[0])

    if isinstance(s.module, (torch.jit.ScriptModule, torch.fx.GraphModule)):  # the mode does not reach in there
        assert np.isfinite(attributed(s, rule)(s.net)).all()
    else:
        s.agree(attributed(s, rule), expected)


def guided_backprop(s: Subject) -> None:
    _by_rule(s, "guided_backprop")


def deconvnet(s: Subject) -> None:
    _by_rule(s, "deconvnet")


def occlusion(s: Subject) -> None:
    side = max(s.net.size[0] // 4, 1)
    a = cx.attribute(s.net, s.images[0], 0, method="occlusion", window=side, stride=side, progress=False)
    raw = a.raw[0]
    with torch.no_grad():
        base = s.score(s.fed[:1].clone())[0].double()
        falls = []
        for r, c in ((0, 0), (1, 2), (3, 3)):
            fed = s.fed[:1].clone()
            fed[:, :, r * side : (r + 1) * side, c * side : (c + 1) * side] = 0
            falls.append(float(base - s.score(fed)[0].double()))
    scale = max(np.abs(raw).max(), 1e-6)
    rounding = 3e-6 * abs(float(base)) if s.net.dtype == torch.float32 else 0.05 * abs(float(base))
    for (r, c), fall in zip(((0, 0), (1, 2), (3, 3)), falls, strict=True):
        assert abs(raw[r, c] - fall) <= 0.02 * scale + rounding, f"{raw[r, c]:.3g} for {fall:.3g}"


def _weighted(s: Subject) -> tuple[str, torch.Tensor] | None:
    """The last layer with a map that a hook reaches, and the sum of its channels weighted by their mean slopes."""
    found = None
    for layer in s.picks():
        if not layer.has_map or layer.layout.image is None:
            continue
        try:
            values, slope = plain_torch.layer_gradient(s.module, layer.site[1], lambda x: s.score(x)[0], s.fed[:1])
        except (RuntimeError, AssertionError):  # the score does not depend on it, or it is called twice
            continue
        values, slope = (as_maps(layer.layout.image.first(one, 1).float(), layer) for one in (values, slope))
        found = layer.name, (slope.mean((2, 3), keepdim=True) * values).sum(1)
    return found


def gradcam(s: Subject) -> None:
    a = cx.attribute(s.net, s.images[0], 0, method="gradcam")
    assert np.isfinite(a.map).all()
    assert a.map.shape == s.net.size
    assert (a.map >= 0).all()
    if found := _weighted(s):
        close(cx.attribute(s.net, s.images[0], 0, method="gradcam", at=found[0]).raw, found[1], s.tolerance)


def cam(s: Subject) -> None:
    a = cx.attribute(s.net, s.images[0], 0, method="cam")
    with torch.no_grad():
        score = float(s.score(s.fed[:1].clone())[0])
    close(a.raw.mean() + a.bias, score, s.tolerance)
    close(a.score, score, s.tolerance)


def decode(s: Subject) -> None:
    s.map_layer()
    first = next(one for one in s.net.layers.values() if one.has_map)
    found = cx.decode(s.net, first.name, 0, progress=False)
    assert np.isfinite(np.asarray(found.picture)).all()
    part = s.module.get_submodule(first.site[1]) if first.site[0] == "module" else None
    if isinstance(part, torch.nn.Conv2d) and part.in_channels == s.net.pixels.channels:
        close(found.filters[0], part.weight[0].float(), s.tolerance)  # over what the module takes, x / std


def top_patches(s: Subject) -> None:
    layer = s.map_layer()
    found = cx.top_patches(s.net, layer.name, [0], s.images, k=2, progress=False)
    best = as_maps(s.net.activations(s.images, layer.name).float(), layer)[:, 0].flatten(1).amax(1)
    close(np.sort(found.values[0]), np.sort(best.numpy()), 0.02)


def features(s: Subject) -> None:
    layer = s.picks()[-1] if s.picks() else s.net.scores
    found = np.asarray(cx.features(s.net, s.images, layer.name, cache=False, progress=False), np.float64)
    close(found, s.net.activations(s.images, layer.name).flatten(1), 0.02)


def unchanged(s: Subject) -> None:
    for name, value in s.module.state_dict().items():
        assert torch.equal(value, s.state[name]), f"{name} has changed"
    assert not any(p.grad is not None for p in s.module.parameters())
    assert hooks(s.module) == s.hooks, "a hook has come or gone"


CHECKS: tuple[Callable[[Subject], None], ...] = (
    layers, activations, fields, predict, invert, maximize, gradient, input_x_gradient, smoothgrad,
    integrated_gradients, guided_backprop, deconvnet, gradcam, cam, occlusion, decode, top_patches, features, unchanged,
)  # fmt: skip
RIGHT = "right"
VARIES = "answers vary, and a warning says so"
KINDS = ("right", "said", "WRONG")


def _varies(told: list[warnings.WarningMessage]) -> bool:
    """Whether a warning said that the module gives another answer each time."""
    return any(isinstance(one.message, cx.ExploreWarning) and "differ" in str(one.message) for one in told)


def row(case: Case) -> dict[str, str]:
    """What the checks give for a module: "right", a sentence, or "WRONG: ..."."""
    found: dict[str, str] = {}
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            subject = Subject(case)
        except cx.ExploreError as error:
            return {check.__name__: str(error) for check in CHECKS}
        for check in CHECKS:
            try:
                try:
                    check(subject)
                except AssertionError:
                    if not _varies(told):
                        raise
                    found[check.__name__] = VARIES
                    continue
                found[check.__name__] = RIGHT
            except cx.ExploreError as error:
                sentence = str(error)
                one = "\n" not in sentence and len(sentence) < 600
                found[check.__name__] = sentence if one else f"WRONG: not one sentence: {sentence[:200]}"
            except Exception as error:
                found[check.__name__] = f"WRONG: {type(error).__name__}: {' '.join(str(error).split())[:200]}"
    return found


WIDTH = 52
TABLE = Path(__file__).with_name("table.txt")


def heading() -> str:
    """The first lines of the table: versions and columns."""
    packages = [name for name in ("torch", "torchvision", "timm", "transformers") if find_spec(name)]
    about = ", ".join(f"{name} {version(name).split('+')[0]}" for name in packages)
    return (
        "What each function gives for modules of others: the right value, or a sentence, which stands below the row.\n"
        f"Made by conformance_table.py --write with {about}; random weights.\n"
        f"{'':{WIDTH}s}" + " ".join(f"{check.__name__[:8]:8s}" for check in CHECKS).rstrip()
    )


def cells(found: dict[str, str]) -> list[str]:
    return ["right" if v == RIGHT else "WRONG" if v.startswith("WRONG") else "said" for v in found.values()]


def block(name: str, found: dict[str, str]) -> str:
    """A row with the sentences below it."""
    lines = [f"{name:{WIDTH}s}" + " ".join(f"{one:8s}" for one in cells(found)).rstrip()]
    sentences: dict[str, list[str]] = {}
    for check, value in found.items():
        if value != RIGHT:
            sentences.setdefault(value, []).append(check)
    return "\n".join(lines + [f"      {', '.join(names)}: {value}" for value, names in sentences.items()])


def kept() -> dict[str, str]:
    """The rows of table.txt, by name."""
    rows: dict[str, str] = {}
    name = ""
    for line in TABLE.read_text(encoding="utf-8").splitlines()[3:] if TABLE.exists() else ():
        if line.startswith(" "):
            rows[name] += "\n" + line
        elif line and not line.startswith("Cells"):
            name = line[:WIDTH].strip()
            rows[name] = line
    return rows


def write(rows: dict[str, str]) -> None:
    """Keep rows in table.txt, in the order of the cases; rows of modules that are no more are dropped."""
    rows = {**kept(), **rows}
    names = [case.name for case in cases(True) if case.name in rows]
    counts = [sum(rows[name].split("\n")[0][WIDTH:].split().count(kind) for name in names) for kind in KINDS]
    total = "Cells: " + ", ".join(f"{count} {kind}" for count, kind in zip(counts, KINDS, strict=True))
    TABLE.write_text("\n".join([heading(), *(rows[name] for name in names), total, ""]), encoding="utf-8")


def main(words: list[str], everything: bool, keep: bool) -> int:
    wrong = 0
    print(heading())
    for case in cases(everything):
        if words and not any(word in case.name for word in words):
            continue
        begun = time.time()
        found = row(case)
        shown = block(case.name, found)
        print(f"{shown}\n      ({time.time() - begun:.0f} s)", flush=True)
        wrong += cells(found).count("WRONG")
        if keep:
            write({case.name: shown})
    print(f"{wrong} wrong")
    return wrong


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.exit(
        bool(main([a for a in sys.argv[1:] if not a.startswith("--")], "--all" in sys.argv, "--write" in sys.argv))
    )
