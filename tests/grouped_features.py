"""Features made of numbers alone, in groups that are known."""

import numpy as np

import cnnexplore as cx


class Codes(cx.Features):
    """Features without a network: what needs only numbers."""

    def __init__(self, codes):
        for name, value in {"codes": codes, "numbers": np.arange(len(codes)), "net": None, "layer": None}.items():
            object.__setattr__(self, name, value)

    def __repr__(self):
        return "codes"


def groups(counts=(30, 20, 10), width=12, noise=0.05, seed=0):
    """Codes in disjoint groups of channels, and which group each is in."""
    random = np.random.default_rng(seed)
    truth = np.repeat(np.arange(len(counts)), counts)
    basis = np.zeros((len(counts), width), np.float32)
    for k in range(len(counts)):
        basis[k, 4 * k : 4 * k + 4] = random.uniform(0.5, 1, 4)
    codes = basis[truth] * random.uniform(1, 2, (len(truth), 1)) + noise * random.random((len(truth), width))
    return codes.astype(np.float32), truth, basis
