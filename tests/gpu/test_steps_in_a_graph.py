"""Steps in a CUDA graph: the numbers of ordinary steps, also after a slider moved, and nothing left behind."""

import gc

import pytest
import torch

import cnnexplore as cx
from cnnexplore.preimage.captures import FIRST, LEAST, Captures

pytestmark = pytest.mark.gpu
STEPS = {"steps": FIRST + LEAST + 20, "refine": FIRST + LEAST}


@pytest.fixture(scope="module")
def net(gpu):
    return cx.load("worldnet", device=gpu)


def runs(net, kind):
    image = cx.scene(7).image
    for _ in range(2):
        if kind in cx.solvers():
            yield cx.Inversion(net, [image, image], "conv4", jitter=4, seed=[0, 1], solver=kind, **STEPS)
        else:
            yield cx.Maximization(net, "relu4", [1, 2, 3], preset=kind, M=1.0, seed=[0, 1, 2], **STEPS)


def alike(run, other, steps):
    for _ in range(steps):
        frame, its = run.advance(), other.advance()
    assert float((frame.x - its.x).norm() / frame.x.norm()) < 0.02
    assert torch.allclose(frame.terms, its.terms, rtol=0.02, atol=1e-3)


@pytest.mark.parametrize("kind", [*cx.solvers(), "natural", "paper2016", "lucid", "maco"])
def test_a_captured_run_has_the_numbers_of_an_ordinary_one(net, gpu, kind):
    run, other = runs(net, kind)
    other._captures = Captures("it is compared with.")
    alike(run, other, FIRST + 4)
    assert run.captured == ("no: the network is not on a CUDA device." if gpu == "cpu" else "yes")
    for one in (run, other):
        one.settings.update(C=one.settings.C / 2, rate=one.settings.rate / 2)
    alike(run, other, 4)
    for _ in range(run.steps - run.step):
        run.advance()
        other.advance()
    frame = [run.advance() for _ in range(FIRST + 4)][-1]
    assert run.captured == ("no: the network is not on a CUDA device." if gpu == "cpu" else "yes")
    assert torch.isfinite(frame.x).all()


def test_the_memory_of_a_graph_is_freed(net, gpu):
    if gpu == "cpu":
        pytest.skip("there are no graphs.")

    def allocated():
        gc.collect()
        torch.cuda.synchronize()
        return torch.cuda.memory_allocated()

    def once():
        run, _ = runs(net, "spectral")
        list(run.frames())
        return run

    once()
    before = allocated()
    kept = once()
    assert allocated() - before < 4 * kept.canvas.numel() * 4 * (kept.total + 10)
