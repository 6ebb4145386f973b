"""Attributions beside captum, and the streams of the units room beside naive loops; networks of ../shared."""

from __future__ import annotations

import copy
import time
from collections import OrderedDict

import numpy as np
import pytest
import torch
from torch import nn

import cnnexplore as cx
from cnnexplore.units import top_stream


@pytest.fixture(scope="module")
def alexnet(shared):
    return cx.load(shared / "weights" / "alexnet-imagenette.safetensors", device="cpu")


@pytest.fixture(params=["squeezenet", "alexnet"])
def pair(request):
    """A network, and captum's side of it: the scores as a module, rectifiers not in place."""
    net = request.getfixturevalue(request.param)
    module = copy.deepcopy(net.module).eval()
    children = list(module.named_children())
    if children[-1][0] == "prob":
        module = nn.Sequential(OrderedDict(children[:-1]))
    for part in module.modules():
        if isinstance(part, nn.ReLU):
            part.inplace = False
    return request.param, net, module


def explain(net, image, method, **options):
    return cx.attribute(net, image, 3, method=method, **options)


METHODS = {
    "gradient": (lambda p, m: lambda x: p.Saliency(m).attribute(x, 3), {}),
    "input_x_gradient": (lambda p, m: lambda x: p.InputXGradient(m).attribute(x, 3), {}),
    "deconvnet": (lambda p, m: lambda x: p.Deconvolution(m).attribute(x, 3), {}),
    "guided_backprop": (lambda p, m: lambda x: p.GuidedBackprop(m).attribute(x, 3), {}),
    "integrated_gradients": (
        lambda p, m: (
            lambda x: p.IntegratedGradients(m).attribute(
                x, target=3, n_steps=16, method="gausslegendre", internal_batch_size=8
            )
        ),
        {"steps": 16},
    ),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("method", METHODS)
def test_gradient_type_methods_beside_captum(method, pair, fox, in_turn, report):
    import captum.attr as peers

    name, net, module = pair
    theirs, options = METHODS[method]
    image = net.picture(net.pixels_of(fox))
    x = net.pixels_of(image)
    call = theirs(peers, module)
    ours, other = in_turn(
        lambda: explain(net, image, method, **options),
        lambda: call(x.clone().requires_grad_()),
        rounds=3 if "integrated" in method else 12,
    )
    how = f"{1e3 * ours:.0f} ms over {1e3 * other:.0f} ms"
    report(f"{method} / captum, {name}", how, ours / other, "<= 1.1")


@pytest.mark.parametrize("window", [(32, 16)])
def test_occlusion_beside_captum(window, pair, fox, benchmark, report):
    import captum.attr as peers

    name, net, module = pair
    image = net.picture(net.pixels_of(fox))
    x = net.pixels_of(image)
    side, stride = window
    times = {}
    for count in (1, 8, 32):
        with torch.no_grad():
            begin = time.perf_counter()
            theirs = peers.Occlusion(module).attribute(
                x, (3, side, side), (3, stride, stride), target=3, perturbations_per_eval=count
            )
            times[count] = time.perf_counter() - begin
    best = min(times, key=times.get)
    options = {"window": side, "stride": stride}
    ours = benchmark.pedantic(lambda: explain(net, image, "occlusion", **options), rounds=2)
    seconds = benchmark.stats.stats.min
    assert np.abs(ours.map - theirs[0, 0].numpy()).max() <= 1e-3 * theirs.abs().max()
    how = f"{seconds:.2f} s over {times[best]:.2f} s, {best} windows at a time"
    report(f"occlusion / captum, {name}", how, seconds / times[best], "<= 0.5")


@pytest.mark.parametrize("stride", [14, 7])
def test_approximate_beside_exact_occlusion(stride, pair, fox, in_turn, report):
    name, net, _ = pair
    found = {}

    def run(approximate):
        found[approximate] = explain(net, fox, "occlusion", window=28, stride=stride, approximate=approximate)

    short, whole = in_turn(lambda: run(True), lambda: run(False), rounds=1)
    off = np.abs(found[True].raw - found[False].raw)
    between = off > 1e-4 * np.abs(found[False].raw).max()
    how = f"{short:.1f} s over {whole:.1f} s; {found[True].accuracy}"
    report(f"approximate / exact occlusion, {name}, stride {stride}", how, short / whole, "<= 0.6")
    how = f"of {between.sum()} windows, {off.max():.2g} at most"
    report("... farther off than the bound", how, float(np.mean(off[between] > found[True].bound)), "<= 0.15")


@pytest.mark.parametrize("layer", ["conv1", "conv2", "conv3", "conv4", "conv5", "pool5"])
def test_discrepancy_maps_beside_the_naive_loop(layer, alexnet, fox, benchmark, report):
    """All units; the naive side puts one patch at a time on the image and runs the network up to the layer."""
    x = alexnet.pixels_of(fox)
    rows = len(range(0, 227, 3))
    probe = alexnet.probe(layer)
    places = np.random.default_rng(0).integers(0, 216, (60, 2))
    noise = torch.randn(60, 3, 11, 11)
    begin = time.perf_counter()
    with torch.no_grad():
        base = probe(alexnet.feed(x))[layer]
        for (row, column), patch in zip(places, noise, strict=True):
            covered = x.clone()
            covered[0, :, row : row + 11, column : column + 11] = patch
            (probe(alexnet.feed(covered))[layer] - base).abs()
    naive = (time.perf_counter() - begin) / 60 * rows * rows
    stride = 9  # a ninth of the 5776 windows, spread over the image
    benchmark.pedantic(lambda: cx.discrepancy_maps(alexnet, fox, layer, stride=stride), rounds=1)
    seconds = benchmark.stats.stats.min * (rows / len(range(0, 227, stride))) ** 2
    how = f"{rows * rows} windows: {naive:.0f} s over {seconds:.1f} s"
    report(f"naive loop / discrepancy maps, {layer}", how, naive / seconds, ">= 3")


def test_top_patches_beside_bare_passes(alexnet, shared, benchmark, report):
    """All 256 units of conv5 over all photographs; both sides read the same files, one after the other, twice."""
    import psutil

    paths = sorted((shared / "data" / "imagenet-sample").glob("*.jpg"))
    probe, process, memory = alexnet.probe("conv5"), psutil.Process(), []

    def bare():
        begin = time.perf_counter()
        for k in range(0, len(paths), 16):
            with torch.no_grad():
                probe(alexnet.feed(alexnet.pixels_of(paths[k : k + 16])))
        return time.perf_counter() - begin

    def ours():
        memory.clear()
        memory.extend(process.memory_info().rss / 2**20 for _ in top_stream(alexnet, "conv5", None, paths, k=9))
        assert len(memory) == -(-len(paths) // 16)

    others = []
    benchmark.pedantic(ours, setup=lambda: others.append(bare()), rounds=2)
    seconds, other = benchmark.stats.stats.min, min(others)
    how = f"{len(paths)} photographs, {seconds:.1f} s over {other:.1f} s"
    report("top-9 patches / bare passes", how, seconds / other, "<= 1.3")
    few, many = max(memory[: len(memory) // 4]), max(memory)
    report("... memory over its first quarter's", f"{many:.0f} MB over {few:.0f} MB", many / few, "<= 1.05")
