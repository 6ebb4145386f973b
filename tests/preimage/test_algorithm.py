"""Algorithm 1 of preimage2016 against a version that works on one number at a time, in float64."""

import math

import numpy as np
import pytest
import torch
from torch import nn

import cnnexplore as cx

SIDE, INNER, OUTER = 8, 2, 3


def build(channels):
    """conv 3x3 padded, relu, conv 3x3 stride 2: small enough for loops, with everything a step has to cross."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return nn.Sequential(
            nn.Conv2d(channels, INNER, 3, padding=1), nn.ReLU(inplace=True), nn.Conv2d(INNER, OUTER, 3, 2)
        )


class Scalar:
    """The network and Algorithm 1 by loops; every number a Python float."""

    def __init__(self, module, std, B):
        self.w1, self.b1, self.w2, self.b2 = (p.detach().double().numpy() for p in module.parameters())
        self.std, self.B, self.N = std, B, SIDE * SIDE

    def forward(self, x):
        """x: [channel][row][column]. Returns the hidden map before its relu, and the code."""
        channels = len(self.std)
        hidden, side = np.zeros((INNER, SIDE, SIDE)), (SIDE - 3) // 2 + 1
        for o, i, j in np.ndindex(INNER, SIDE, SIDE):
            total = self.b1[o]
            for c, a, b in np.ndindex(channels, 3, 3):
                row, column = i + a - 1, j + b - 1
                if 0 <= row < SIDE and 0 <= column < SIDE:
                    total += self.w1[o, c, a, b] * x[c, row, column] / self.std[c]
            hidden[o, i, j] = total
        code = np.zeros((OUTER, side, side))
        for o, i, j in np.ndindex(*code.shape):
            total = self.b2[o]
            for c, a, b in np.ndindex(INNER, 3, 3):
                total += self.w2[o, c, a, b] * max(hidden[c, 2 * i + a, 2 * j + b], 0.0)
            code[o, i, j] = total
        return hidden, code

    def data(self, x, target):
        """Equation 2 and its gradient with respect to x."""
        hidden, code = self.forward(x)
        norm2 = sum(float(t) ** 2 for t in target.flat)
        loss = sum(float(c - t) ** 2 for c, t in zip(code.flat, target.flat, strict=True)) / norm2
        back = np.zeros_like(hidden)
        for o, i, j in np.ndindex(*code.shape):
            slope = 2 * (code[o, i, j] - target[o, i, j]) / norm2
            for c, a, b in np.ndindex(INNER, 3, 3):
                if hidden[c, 2 * i + a, 2 * j + b] > 0:
                    back[c, 2 * i + a, 2 * j + b] += slope * self.w2[o, c, a, b]
        gradient = np.zeros_like(x)
        for o, i, j in np.ndindex(*hidden.shape):
            for c, a, b in np.ndindex(len(self.std), 3, 3):
                row, column = i + a - 1, j + b - 1
                if 0 <= row < SIDE and 0 <= column < SIDE:
                    gradient[c, row, column] += back[o, i, j] * self.w1[o, c, a, b] / self.std[c]
        return loss, gradient

    def range(self, x, alpha):
        value, gradient = 0.0, np.zeros_like(x)
        for i, j in np.ndindex(*x.shape[1:]):
            length = math.sqrt(sum(float(v) ** 2 for v in x[:, i, j]))
            value += length**alpha / (self.N * self.B**alpha)
            for c in range(len(x)):
                gradient[c, i, j] = alpha * length ** (alpha - 2) * x[c, i, j] / (self.N * self.B**alpha)
        return value, gradient

    def variation(self, x, beta):
        value, gradient = 0.0, np.zeros_like(x)
        unit = 1 / (self.N * (self.B / 6.5) ** beta)
        for c, i, j in np.ndindex(*x.shape):
            down = x[c, i + 1, j] - x[c, i, j] if i + 1 < x.shape[1] else 0.0
            right = x[c, i, j + 1] - x[c, i, j] if j + 1 < x.shape[2] else 0.0
            square = down**2 + right**2
            if square == 0:
                continue
            value += square ** (beta / 2) * unit
            slope = beta * square ** (beta / 2 - 1) * unit
            gradient[c, i, j] -= slope * (down + right)
            if i + 1 < x.shape[1]:
                gradient[c, i + 1, j] += slope * down
            if j + 1 < x.shape[2]:
                gradient[c, i, j + 1] += slope * right
        return value, gradient

    def run(self, image, seed, C, alpha, beta, T, steps, refine, rate=0.05):
        """Algorithm 1. Returns the canvases after each step, and rows of energy, data, alpha, tv."""
        channels = len(self.std)
        target = self.forward(image)[1]
        generator = torch.Generator().manual_seed(seed)
        x = (torch.rand((channels, SIDE + T - 1, SIDE + T - 1), generator=generator) * 2 - 1).double().numpy()
        percentile = sorted(float(v) for v in x.flat)[math.ceil(0.95 * x.size) - 1]
        for place in np.ndindex(*x.shape):
            x[place] *= self.B / math.sqrt(channels) / percentile
        G, mu = np.zeros_like(x), np.zeros_like(x)
        canvases, rows = [], []
        for step in range(steps + refine):
            if step == steps:  # refinement: no jitter, a tenth of the rate, nothing remembered
                first, T = (T - 1) // 2, 1
                x = x[:, first : first + SIDE, first : first + SIDE].copy()
                G, mu, rate = np.zeros_like(x), np.zeros_like(x), rate / 10
            eta = self.N * rate * self.B**2 / alpha
            top, left = torch.randint(0, T, (2,), generator=generator).tolist()
            loss, seen = self.data(x[:, top : top + SIDE, left : left + SIDE], target)
            value_range, g = self.range(x, alpha)
            value_tv, slope = self.variation(x, beta)
            g = g + slope
            for c, i, j in np.ndindex(*seen.shape):
                g[c, top + i, left + j] += C * seen[c, i, j]
            for place in np.ndindex(*x.shape):
                G[place] = 0.9 * G[place] + g[place] ** 2
                mu[place] = 0.9 * mu[place] - g[place] / (1 / eta + math.sqrt(G[place]))
                x[place] += mu[place]
            for i, j in np.ndindex(*x.shape[1:]):
                length = math.sqrt(sum(float(v) ** 2 for v in x[:, i, j]))
                if length > 2 * self.B:
                    x[:, i, j] *= 2 * self.B / length
            canvases.append(x.copy())
            rows.append((C * loss + value_range + value_tv, loss, value_range, value_tv))
        return canvases, rows


CASES = {
    "the paper's, with jitter": {"C": 100, "alpha": 6, "beta": 2, "T": 3},
    "no jitter": {"C": 20, "alpha": 6, "beta": 2, "T": 1},
    "even jitter, another beta": {"C": 300, "alpha": 4, "beta": 1.5, "T": 4},
    "alpha 1, beta 1": {"C": 1, "alpha": 1, "beta": 1, "T": 2},
    "a B so small that the bound acts": {"C": 1000, "alpha": 2, "beta": 3, "T": 2, "rate": 5.0, "B": 2.0},
}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", CASES)
def test_algorithm_1(name, channels):
    case = {"rate": 0.05, "B": 80.0 if channels == 3 else 128.0} | CASES[name]
    module = build(channels)
    if channels == 3:
        pixels = cx.Pixels("BGR", (104, 117, 123), (50, 60, 70), case["B"])
    else:
        pixels = cx.Pixels("grey", (33,), (78,), case["B"])
    net = cx.Network(module, size=SIDE, pixels=pixels)
    image = np.random.default_rng(1).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    steps, refine, seed = 12, 4, 11
    run = cx.Inversion(
        net, image, "conv2", C=case["C"], alpha=case["alpha"], beta=case["beta"], jitter=case["T"], steps=steps,
        seed=seed, rate=case["rate"], refine=refine, solver="adagrad",
    )  # fmt: skip
    scalar = Scalar(module, pixels.std, case["B"])
    x0 = net.pixels_of(image)[0].double().numpy()
    canvases, rows = scalar.run(x0, seed, C=case["C"], alpha=case["alpha"], beta=case["beta"], T=case["T"],
                                steps=steps, refine=refine, rate=case["rate"])  # fmt: skip
    for step, (frame, expected) in enumerate(zip(run.frames(), canvases, strict=True), 1):
        assert frame.step == step
        found = run.canvas[0].double().numpy()
        assert found.shape == expected.shape
        assert np.linalg.norm(found - expected) <= 1e-4 * np.linalg.norm(expected)
        first = (expected.shape[-1] - SIDE) // 2
        centre = expected[:, first : first + SIDE, first : first + SIDE]
        assert np.linalg.norm(frame.x[0].double().numpy() - centre) <= 1e-4 * np.linalg.norm(centre)
    for k, term in enumerate(("energy", "data", "alpha", "tv")):
        np.testing.assert_allclose(run.history[term], [row[k] for row in rows], rtol=1e-4, atol=1e-7)
    if "bound" in name:  # the case would say nothing if it never came so far
        assert max(np.sqrt((c**2).sum(0)).max() for c in canvases) == pytest.approx(2 * scalar.B)
    else:
        assert np.abs(canvases[-1]).max() > 1
    # what is reported is measured on the result, without jitter
    code, target = scalar.forward(canvases[-1])[1], scalar.forward(x0)[1]
    assert run.result().error == pytest.approx(np.linalg.norm(code - target) / np.linalg.norm(target), rel=1e-4)


def test_without_the_factor_N_nothing_moves():
    """The printed rate is relative to the sum over pixels: the step must not depend on the canvas's size."""
    moved = []
    for side in (8, 32):
        net = cx.Network(build(3), size=side, pixels=cx.Pixels("RGB", (120, 110, 100), (1.5, 0.7, 1.2)))
        image = np.random.default_rng(1).integers(0, 256, (side, side, 3), dtype=np.uint8)
        run = cx.Inversion(net, image, "conv1", C=0, alpha=2, beta=2, jitter=1, rate=1e-6, steps=1, refine=0)
        before = run.canvas.clone()
        run.advance()
        moved.append(float((run.canvas - before).norm() / before.norm()))
    assert moved[0] == pytest.approx(moved[1], rel=0.3)
    assert moved[0] > 1e-7
