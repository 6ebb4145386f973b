"""The digest of a network changes with all that decides its activations, and with nothing else."""

import argparse
import functools
import importlib
import logging
import os
import subprocess
import sys
import threading
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

import cnnexplore as cx
from cnnexplore.representations.network_digest import network_digest

FACTOR = 1.0
IMAGES = [np.random.default_rng(k).integers(0, 256, (16, 16, 3), dtype=np.uint8) for k in range(5)]


def helper(x):
    return x * 1.0


class Scaled(nn.Module):
    def __init__(self, **attributes):
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.conv, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(4, 3)
        for name, value in attributes.items():
            object.__setattr__(self, name, value)
        self.lock, self.log, self.kinds = threading.Lock, logging.getLogger("some"), {"a", "b", "c"}

    def forward(self, x):
        maps = self.conv(x).relu() * getattr(self, "scale", 1)
        maps = maps + sum(t.mean() for t in getattr(self, "shifts", ()))
        f = getattr(self, "f", None)
        return self.fc(helper(maps if f is None else f(maps)).mean((2, 3)) * FACTOR)


class Halved(Scaled):
    def forward(self, x):
        return super().forward(x) / 2.00001


def digest(module):
    return network_digest(cx.Network(module, size=16), ("conv",))


def times(factor):
    return lambda x: x * factor


CHANGED = {
    "a number": lambda: Scaled(scale=5),
    "a number by a little": lambda: Scaled(scale=1.0000001),
    "a tensor in a list": lambda: Scaled(shifts=[torch.ones(2)]),
    "another tensor in a list": lambda: Scaled(shifts=[torch.ones(2), torch.zeros(1)]),
    "a nested setting": lambda: Scaled(settings={"a": (1, [2, {"b": "c"}])}),
    "a namespace": lambda: Scaled(settings=argparse.Namespace(gain=2)),
    "a lambda": lambda: Scaled(f=lambda x: x * 2),
    "a constant of a lambda": lambda: Scaled(f=lambda x: x * 2.0000001),
    "a value in a closure": lambda: Scaled(f=times(3.0)),
    "another value in a closure": lambda: Scaled(f=times(3.0000001)),
    "a partial": lambda: Scaled(f=functools.partial(torch.mul, other=2.0)),
    "a module outside the tree": lambda: Scaled(f=[nn.PReLU(init=0.5)][0].forward),
    "the forward of a class": Halved,
    "an array": lambda: Scaled(scale=np.float32(5)),
}


def test_whatever_forward_uses_is_in_the_digest():
    found = {name: digest(make()) for name, make in CHANGED.items()}
    again = {name: digest(make()) for name, make in CHANGED.items()}
    assert found == again
    assert len({digest(Scaled()), *found.values()}) == len(found) + 1


def test_hooks_replaced_forwards_globals_and_buffers(monkeypatch):
    module = Scaled()
    plain = digest(module)
    hook = module.conv.register_forward_hook(lambda part, args, out: out * 1.01)
    assert digest(module) != plain
    hook.remove()
    hook = module.conv.register_forward_hook(lambda part, args, out: None)  # it only watches
    assert digest(module) == plain
    hook.remove()
    module.forward = types.MethodType(lambda self, x: self.fc(self.conv(x).mean((2, 3))), module)
    assert digest(module) != plain
    del module.forward
    assert digest(module) == plain
    monkeypatch.setattr(sys.modules[__name__], "FACTOR", 1.5)
    assert digest(module) != plain
    monkeypatch.undo()
    monkeypatch.setattr(sys.modules[__name__], "helper", lambda x: x * 1.0000001)
    assert digest(module) != plain
    monkeypatch.undo()
    module.register_buffer("unsaved", torch.ones(3), persistent=False)
    with_buffer = digest(module)
    module.unsaved += 1e-6
    assert len({plain, with_buffer, digest(module)}) == 3
    module.train()
    assert cx.Network(module, size=16).module.training
    one = digest(module)
    assert digest(module.eval()) == one  # the mode is not the network's: it always runs in eval mode


def test_what_the_network_computed_before_does_not_count():
    module = nn.Sequential(parametrizations.spectral_norm(nn.Conv2d(3, 4, 3)), nn.Flatten(), nn.Linear(4 * 14 * 14, 3))
    module.eval()
    first = network_digest(cx.Network(module, size=16), ("conv1",))
    net = cx.Network(module, size=16)
    net.predict(IMAGES[0])
    assert network_digest(net, ("conv1",)) == first


def test_a_network_that_draws_at_random_has_a_digest():
    class Random(Scaled):
        def forward(self, x):
            return self.fc(nn.functional.dropout(self.conv(x), 0.5, True).mean((2, 3)))

    net = cx.Network(Random(), size=16)
    assert network_digest(net, (net.scores.name,)) == network_digest(net, (net.scores.name,))


@pytest.mark.parametrize("seed", ["2"])
def test_another_process_finds_the_same(seed):
    """With other hash seeds and other numbers of threads."""
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import torch; "
        f"torch.set_num_threads({seed}); import test_network_digest as here; "
        "print(here.digest(here.Scaled(f=here.times(2), settings={'a': {1, 2}})))"
    )
    sys_path = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONHASHSEED": seed}
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=sys_path, check=True)
    sys.path.insert(0, str(Path(__file__).parent))
    try:
        here = importlib.import_module("test_network_digest")  # under the name that the other process gives it
    finally:
        sys.path.pop(0)
    assert answer.stdout.strip() == here.digest(here.Scaled(f=here.times(2), settings={"a": {1, 2}}))


def test_features_of_two_scales_are_two(tmp_path):
    kept = {}
    for scale in (1, 5):
        net = cx.Network(Scaled(scale=scale), size=16)
        found = cx.features(net, IMAGES, "conv", cache=tmp_path, progress=False, dtype="float32")
        expected = net.activations(IMAGES, "conv").flatten(1).numpy()
        assert np.allclose(np.asarray(found), expected, atol=1e-3, rtol=1e-5)
        last = cx.features(net, IMAGES, list(net.layers)[-1], cache=tmp_path, progress=False, dtype="float32")
        kept[scale] = last.folder
        assert np.allclose(np.asarray(last), net.activations(IMAGES, last.layer.name).flatten(1), atol=1e-3)
    assert kept[1] != kept[5]
