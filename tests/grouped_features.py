"""Features made of numbers alone, in groups that are known."""

import numpy as np

import cnnexplore as cx


class NumbersOnly(cx.Features):
    """Features without a network: what needs only numbers."""

    def __init__(self, activations):
        given = {"activations": activations, "numbers": np.arange(len(activations)), "net": None, "layer": None}
        for name, value in given.items():
            object.__setattr__(self, name, value)

    def __repr__(self):
        return "features"


def groups(counts=(30, 20, 10), width=12, noise=0.05, seed=0):
    """Activations in disjoint groups of channels, and which group each is in."""
    random = np.random.default_rng(seed)
    truth = np.repeat(np.arange(len(counts)), counts)
    basis = np.zeros((len(counts), width), np.float32)
    for k in range(len(counts)):
        basis[k, 4 * k : 4 * k + 4] = random.uniform(0.5, 1, 4)
    rows = basis[truth] * random.uniform(1, 2, (len(truth), 1)) + noise * random.random((len(truth), width))
    return rows.astype(np.float32), truth, basis
