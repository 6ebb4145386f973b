"""Captured steps: the same numbers as ordinary ones, when a graph is made, replayed, made again, and given up."""

from __future__ import annotations

import copy
import gc
import itertools
import threading
import weakref
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from recorded import Recorded, Recorder, record, without_numbers
from torch import nn
from toy_prior import MeanColour

import cnnexplore as cx
from cnnexplore.network.kept_weights import KeptTensor
from cnnexplore.preimage import Euclidean, InnerProduct, Settings, Values, captures
from cnnexplore.preimage.captures import FIRST, LEAST, MOST, Captures, CudaGraphs, graphs_on

SIDE = 20


@pytest.fixture(autouse=True)
def as_on_a_gpu(monkeypatch):
    """Convolutions take the weights as they are, as on a GPU: kept ones would be part of what is recorded.

    Runs have no first steps of another kind, but where a test asks for them.
    """
    monkeypatch.setattr(KeptTensor, "__call__", lambda kept, weight: kept._make(weight))
    monkeypatch.setattr("cnnexplore.preimage.run.APPROACH", 0)


@pytest.fixture(scope="module")
def net():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = nn.Sequential(
            nn.Conv2d(3, 6, 5, 2), nn.ReLU(inplace=True), nn.Conv2d(6, 8, 3), nn.ReLU(inplace=True), nn.Flatten(),
            nn.Linear(288, 5),
        )  # fmt: skip
    return network(module)


def network(module):
    return cx.Network(
        module, size=SIDE, pixels=cx.Pixels("RGB", (120, 110, 100), (1.5, 0.7, 1.2)), labels=list("abcde")
    )


IMAGES = [np.random.default_rng(k).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8) for k in range(3)]
LONG = {"steps": FIRST + LEAST + 10, "refine": FIRST + LEAST + 5}


def inversion(net, layer="conv2", **options):
    return cx.Inversion(net, IMAGES, layer, **({"C": 20, "jitter": 5, "seed": [4, 5, 6]} | LONG | options))


def maximization(net, layer="fc3", unit=(0, 1, 2), **options):
    return cx.Maximization(net, layer, list(unit), **({"seed": [4, 5, 6], "M": 1.0} | LONG | options))


def alike(run, other, steps, tolerance=2e-4, **changes):
    """Take steps of two runs, and check that pictures and energies are the same to rounding."""
    run.settings.update(**changes)
    other.settings.update(**changes)
    for _ in range(steps):
        frame, its = run.advance(), other.advance()
        assert frame.x.shape == its.x.shape
        scale = float(frame.x.abs().max())
        assert float((frame.x - its.x).abs().max()) <= tolerance * scale, frame.step
        assert torch.allclose(frame.terms, its.terms, rtol=10 * tolerance, atol=1e-6), frame.step


# the numbers


@pytest.mark.parametrize("solver", cx.solvers())
@pytest.mark.parametrize("layer", ["relu1", "conv2", "fc3"])
def test_an_inversion_has_the_same_numbers(net, solver, layer):
    """A batch of three with jitter, settings changed on the way, and the refinement without a border."""
    slow = {"rate": 0.002} if solver == "momentum" else {}  # else rounding grows with each step
    run, other = (inversion(net, layer, solver=solver, **slow) for _ in range(2))
    graphs = record(other)
    alike(run, other, FIRST)
    assert graphs.captures == 0
    alike(run, other, 8)
    assert (graphs.captures, other.captured) == (1, "yes")
    alike(run, other, 8, C=3, alpha=5, beta=2, rate=run.settings.rate / 2)
    assert graphs.captures == 1, "the settings are read from their places"
    alike(run, other, run.steps - run.step)
    alike(run, other, FIRST + 4)
    assert graphs.captures == 2, "the canvas has no border in the refinement"
    assert graphs.replays > 20


def test_steps_are_captured_after_the_quasi_newton_moves(net, monkeypatch):
    monkeypatch.setattr("cnnexplore.preimage.run.APPROACH", 5)
    run, other = (inversion(net) for _ in range(2))
    graphs = record(other)
    alike(run, other, 5)
    assert other.captured == "no: Python computes its quasi-Newton steps."
    alike(run, other, FIRST, tolerance=1e-3)
    assert graphs.captures == 0
    alike(run, other, 4, tolerance=1e-3)
    assert (graphs.captures, other.captured) == (1, "yes")


@pytest.mark.parametrize("branch", [{"beta": 1.5}, {"beta": 2.5}, {"alpha": 1.5}, {"jitter": 2}])
def test_a_setting_that_changes_the_branch_or_the_border(net, branch):
    run, other = (inversion(net, steps=200) for _ in range(2))
    graphs = record(other)
    alike(run, other, FIRST + 3)
    alike(run, other, FIRST, **branch)
    assert (graphs.captures, other.captured[:3]) == (1, "no:")
    alike(run, other, 3)
    assert (graphs.captures, other.captured) == (2, "yes")
    wider = "jitter" in branch
    alike(run, other, 3 + wider * FIRST, **{name: {"alpha": 6, "beta": 2, "jitter": 5}[name] for name in branch})
    assert (graphs.captures, other.captured) == (2 + wider, "yes"), "a graph is kept, as long as the memory is"


@pytest.mark.parametrize("preset", ["natural", "paper2016", "lucid", "maco"])
def test_a_maximisation_has_the_same_numbers(net, preset):
    run, other = (maximization(net, preset=preset) for _ in range(2))
    graphs = record(other)
    alike(run, other, FIRST + 6)
    alike(run, other, 6, C=run.settings.C * 2, rate=run.settings.rate / 2)
    assert (graphs.captures, other.captured) == (1, "yes")
    if preset == "maco":
        assert np.allclose(run.importance, other.importance, rtol=1e-4)


@pytest.mark.parametrize("unit", [(0, 3, 5), (7,)])
@pytest.mark.parametrize("layer", ["conv1", "relu2"])
def test_units_of_a_map(net, unit, layer):
    unit = [one % 6 for one in unit]
    run, other = (maximization(net, layer, unit, seed=list(range(len(unit)))) for _ in range(2))
    record(other)
    alike(run, other, FIRST + 10)
    assert other.captured == "yes"


def filled(net, mask):
    """A run that changes only some pixels, half of them by half of the gradient."""
    loss = InnerProduct(torch.eye(5)[[2]], 1.0)
    values = Values(cx.preimage.Run.parameters_for(), C=10, jitter=4)
    start = net.pixels_of(IMAGES[0])
    return cx.preimage.Run(net, "fc3", loss, Settings(values), seeds=[0], init=start, update_mask=mask, **LONG)


def test_the_other_kinds_of_runs_terms_and_masks(net):
    mask = np.zeros((SIDE, SIDE))
    mask[3:12, 2:18], mask[3:7] = 1, 0.5
    makes = [
        lambda: cx.Caricature(net, IMAGES, "conv2", seed=[1, 2, 3], **LONG),
        lambda: inversion(net, variant="inverting2015", rate=0.005),
        lambda: inversion(net, mask=cx.masks.central(2), init=IMAGES[0]),
        lambda: maximization(net, init=IMAGES[0], keep="conv2"),
        lambda: filled(net, mask),
    ]
    for make in makes:
        run, other = make(), make()
        record(other)
        alike(run, other, FIRST + 5)
        assert other.captured == "yes"
        alike(run, other, 3, C=run.settings.C / 2)


def test_a_unit_that_falls_silent_is_followed(net):
    """A unit behind a rectifier without a response gets the gradient of what goes into it, in a graph of its own."""
    run = maximization(net, "relu2", [2], seed=0)
    graphs = record(run)
    for _ in range(FIRST + 3):
        run.advance()
    assert (graphs.captures, run.captured) == (1, "yes")
    weights = run._energy.loss.weights
    response = run.responses
    shift = net.module[2].bias.data.clone()
    net.module[2].bias.data -= 10 * float(response * weights.max() ** -1) + 50  # the unit is silent from now on
    try:
        run.advance()
        before = run.x.clone()
        run.advance()
        assert graphs.captures == 2
        assert run.captured == "yes"
        assert float((run.x - before).abs().max()) > 0.1
        silent = torch.zeros_like(run.responses)
        assert torch.equal(run.responses, silent)
        ordinary = cx.Maximization(net, "relu2", [2], seed=0, M=1.0, **LONG)
        _, gradient = ordinary.data_term(run.x)
        assert gradient.abs().max() > 0
    finally:
        net.module[2].bias.data.copy_(shift)


# the machinery


@pytest.mark.parametrize("kind", ["inversion", "natural", "lucid", "maco"])
def test_the_number_of_operations_does_not_grow_with_the_batch(net, kind):
    counts = {}
    for batch in (1, 8, 64):
        seeds = list(range(batch))
        if kind == "inversion":
            run = cx.Inversion(net, IMAGES[0], "conv2", seed=seeds, jitter=5, C=20, steps=9)
        else:
            run = cx.Maximization(net, "fc3", 0, seed=seeds, preset=kind, M=1.0, steps=9)
        run.advance()
        compute = without_numbers(run)
        with Recorder() as recorder:
            compute()
        counts[batch] = len(recorder.operations)
    assert counts[8] == counts[64]
    assert abs(counts[1] - counts[8]) <= 2
    assert counts[64] < 700


@pytest.mark.parametrize("watching", ["always", "never"])
@pytest.mark.parametrize("solver", cx.solvers())
def test_a_step_is_wholly_on_its_device(net, solver, watching):
    """No tensor of the CPU takes part in it, and no number is read; on a device where both would raise."""
    mask = np.zeros((SIDE, SIDE))
    mask[3:12, 2:18] = 1
    makes = [
        inversion(net, solver=solver, beta=1.5, alpha=1.5, mask=cx.masks.central(2)),
        inversion(net, solver=solver, variant="inverting2015"),
        maximization(net, "relu2", solver=solver, init=IMAGES[0], keep="conv1"),
        maximization(net, "relu2", solver=solver, beta=2.5),
    ]
    makes += [maximization(net, preset=preset) for preset in ("lucid", "maco") if solver == "nadam"]
    for run in makes:
        run.advance()
        following, terms = without_numbers(run, watching)()
        assert {t.device.type for t in (*following, terms)} == {"meta"}
        assert terms.shape == (len(run.term_names), 3)


def test_a_short_run_and_a_cpu_are_not_captured(net):
    run = inversion(net, steps=FIRST + 5, refine=0)
    assert run.captured == "no: the network is not on a CUDA device."
    assert graphs_on(torch.device("cpu")) == "the network is not on a CUDA device."
    graphs = record(run)
    assert run.captured == "no: no step was taken yet."
    list(run.frames())
    assert graphs.captures == 0
    assert f"at least {LEAST} follow" in run.captured


def test_nothing_is_captured_where_the_environment_says_so(monkeypatch):
    monkeypatch.setattr(captures.torch.version, "cuda", "12.0")
    assert isinstance(graphs_on(torch.device("cuda", 0)), CudaGraphs)
    monkeypatch.setenv("CNNEXPLORE_GRAPHS", "0")
    assert Captures(graphs_on(torch.device("cuda", 0))).why == "no: CNNEXPLORE_GRAPHS is 0."


class Waits(nn.Module):
    def forward(self, x):
        return x * 2 if float(x.detach().sum()) > 0 else x


class Copies(nn.Module):
    def forward(self, x):
        return x * torch.tensor([[[[1.0]], [[2.0]], [[1.0]], [[1.0]], [[1.0]], [[1.0]]]])


class Counts(nn.Module):
    calls = 0

    def forward(self, x):
        self.calls += 1
        return x * (1 + 0.1 * self.calls)


@pytest.mark.filterwarnings("ignore:the answers of Sequential differ")
@pytest.mark.parametrize(
    ("part", "why"), [(Waits, "_local_scalar_dense"), (Copies, "numbers of the CPU"), (Counts, "gives other numbers")]
)
def test_a_module_that_cannot_be_captured_runs_as_usual(part, why):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = nn.Sequential(nn.Conv2d(3, 6, 5, 2), part(), nn.Conv2d(6, 8, 3)).eval()
    run, other = (cx.Inversion(network(module), IMAGES[0], "conv2", jitter=3, **LONG) for _ in range(2))
    graphs = record(other)
    for _ in range(FIRST + 5):
        run.advance()
        other.advance()
        if part is not Counts:
            assert torch.equal(run.x, other.x)
    assert other.captured.startswith("no: ")
    assert why in other.captured
    assert other.captured.endswith(".")
    assert graphs.captures == (part is Counts), "and no second try"


def test_a_capture_that_fails_leaves_the_run_as_it_was(net, monkeypatch):
    for error in (RuntimeError("operation not permitted when stream is capturing"), torch.OutOfMemoryError("no")):
        run, other = (inversion(net) for _ in range(2))
        graphs = record(other)

        def fails(function, error=error, other=other):
            for tensor in other._step_of_now().memory():
                tensor.fill_(7)
            raise error

        monkeypatch.setattr(graphs, "capture", fails)
        for _ in range(FIRST + 4):
            assert torch.equal(run.advance().x, other.advance().x)
        assert other.captured.startswith("no: ")
        assert ("memory" if isinstance(error, torch.OutOfMemoryError) else "not permitted") in other.captured


def test_an_interrupted_capture_can_be_taken_again(net, monkeypatch):
    run, other = (inversion(net) for _ in range(2))
    graphs = record(other)
    alike(run, other, FIRST, 0)

    def interrupted(function):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(graphs, "capture", interrupted)
        with pytest.raises(KeyboardInterrupt):
            other.advance()
    random = [g.get_state() for g in other._generators]
    for generator, its in zip(run._generators, random, strict=True):
        generator.set_state(its)  # the interrupted step had drawn its shifts
    alike(run, other, 4)
    assert other.captured == "yes"


def test_what_python_computes_in_each_step_is_named(net):
    for options, why in [
        ({"priors": [MeanColour()]}, "'mean_colour'"),
        ({"pathway": Doubling()}, "pathway"),
    ]:
        run = inversion(net, **options)
        graphs = record(run)
        for _ in range(FIRST + 2):
            run.advance()
        assert graphs.captures == 0
        assert why in run.captured


class Doubling:
    def pass_context(self, net, layer, pathways):
        from contextlib import nullcontext

        return nullcontext

    def to_python(self):
        return "Doubling()"


class Kept(MeanColour):
    """A prior of the user's that says that it can be captured."""

    def __call__(self, x, values, scale, gradient):
        away = x.mean((2, 3), keepdim=True) - values.mean_level
        unit = values.mean_weight / scale.B**2
        gradient.add_(away * (2 * unit / x[0, 0].numel()))
        return away.square().flatten(1).sum(1) * unit

    def branch(self, values):
        return ()


def test_a_prior_of_the_users_that_allows_it(net):
    run, other = (inversion(net, priors=[Kept()]) for _ in range(2))
    record(other)
    alike(run, other, FIRST + 4)
    alike(run, other, 4, mean_weight=50, mean_level=30)
    assert other.captured == "yes"


def test_a_sum_of_losses(net):
    target = net.activations(IMAGES[0], "conv2")
    both = Euclidean(target) + 0.5 * InnerProduct(torch.ones_like(target), 10.0)
    assert both.branch(None) is not None

    class Own(Euclidean):
        def branch(self, values):
            return None

    assert (Own(target) + Euclidean(target)).branch(None) is None


def test_weights_that_are_replaced_or_trained_are_followed(net):
    module = copy.deepcopy(net.module)
    runs = [inversion(network(module)) for _ in range(2)]
    graphs = record(runs[1])
    alike(*runs, FIRST + 3)
    with torch.no_grad():
        module[0].weight.mul_(1.1)
    alike(*runs, 3)
    assert graphs.captures == 1, "weights are shared"
    module[0].weight = nn.Parameter(module[0].weight.detach() * 0.8)
    alike(*runs, 3)
    assert runs[1].captured[:3] == "no:"
    alike(*runs, FIRST)
    assert (graphs.captures, runs[1].captured) == (2, "yes")


def test_what_changes_the_state_from_outside(net):
    """A state that is restored, a reset of the solver, and more steps."""
    run, other = (inversion(net) for _ in range(2))
    graphs = record(other)
    state = run.state()
    alike(run, other, FIRST + 3)
    run.restore(state)
    other.restore(state)
    alike(run, other, 3)
    assert graphs.captures == 2, "its memory is in other tensors"
    run.solver.reset()
    other.solver.reset()
    alike(run, other, 3)
    assert (graphs.captures, other.captured) == (2, "yes")
    list(run.frames())
    list(other.frames())
    run.lengthen(LEAST + FIRST)
    other.lengthen(LEAST + FIRST)
    alike(run, other, FIRST + 1, 1e-3)
    assert other.captured == "yes"


def test_frames_stay_as_they_were(net):
    run = inversion(net)
    record(run)
    frames = [run.advance() for _ in range(run.steps + FIRST + 4)]
    assert run.captured == "yes"
    kept = [frame.x.clone() for frame in frames[-3:]]
    run.advance()
    assert all(torch.equal(frame.x, known) for frame, known in zip(frames[-3:], kept, strict=True))
    assert not torch.equal(kept[0], kept[1])
    assert len({tuple(row.flatten().tolist()) for row in run._rows[-3:]}) == 3


def test_a_divergence_is_found_and_the_run_goes_on(net):
    run = inversion(net, steps=200, C=1)
    record(run)
    for _ in range(FIRST + 2):
        run.advance()
    good = run.x.clone()
    run._canvas.x[:] = torch.inf
    with pytest.raises(cx.DivergedError):
        run.advance()
    assert torch.isfinite(run.x).all()
    assert run.x.shape == good.shape
    for _ in range(2 * FIRST):
        run.advance()
    assert torch.isfinite(run.x).all()


def test_another_thread_goes_on(net):
    run, other = (inversion(net) for _ in range(2))
    record(other)
    alike(run, other, FIRST + 2)
    raised = []

    def go_on():
        try:
            alike(run, other, 4)
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=go_on)
    thread.start()
    thread.join()
    assert not raised
    assert other.captured == "yes"


def test_a_copy_captures_anew(net):
    run = inversion(net)
    graphs = record(run)
    for _ in range(FIRST + 2):
        run.advance()
    again = copy.deepcopy(run)
    copied = again._captures._graphs
    assert isinstance(copied, Recorded)
    assert not again._captures._made
    copied._run = again
    alike(run, again, FIRST + 3)
    assert (graphs.captures, copied.captures - graphs.captures) == (1, 1)


def test_a_copy_of_a_run_on_a_cpu_goes_on(net):
    run = inversion(net)
    run.advance()
    again = copy.deepcopy(run)
    alike(run, again, 2, 0)
    assert again.captured == run.captured


def test_few_graphs_are_kept_and_all_are_freed(net):
    run = inversion(net, steps=300)
    record(run)
    held = []
    for beta in (2, 1.5, 2.5):
        run.settings.update(beta=beta)
        for _ in range(FIRST + 1):
            run.advance()
        held += [weakref.ref(made) for made in run._captures._made.values()]
        assert len(run._captures._made) <= MOST
    gc.collect()
    assert len({id(one()) for one in held if one() is not None}) == MOST
    run.steps, run.refine = run.step + 1, 0
    list(run.frames())
    gc.collect()
    assert not any(one() is not None for one in held), "the run is at its end"


def test_a_run_that_is_stopped_holds_no_graph(net):
    run = inversion(net)
    record(run)
    for frame in run.frames():
        if frame.step == FIRST + 2:
            assert len(run._captures._made) == 1
            run.stop()
    assert not run._captures._made
    assert run.step == FIRST + 2


def test_a_step_calls_nothing_that_waits(net):
    """The step itself, on every kind of input, without a graph around it."""
    for run in (inversion(net), maximization(net), maximization(net, preset="maco"), maximization(net, preset="lucid")):
        run.advance()
        record(run)
        for watching in ("always", "never"):
            inputs = run._inputs(run.settings.snapshot(), False, run.solver.numbers(0.1))
            held = captures._Captured(None, run._step_of_now(), captures.replace(inputs, watching=watching))
            held.fill(run._step_of_now(), inputs)
            with captures._RefuseWaits():
                held.compute()


def test_numbers_of_python_that_wait_are_refused():
    for wait in (lambda x: float(x.sum()), lambda x: x.nonzero(), lambda x: x[x > 0], lambda x: torch.tensor([1.0])):
        with pytest.raises(captures.NotCapturedError), captures._RefuseWaits():
            wait(torch.ones(3))


def test_cuda_graphs_are_made_on_a_stream_of_their_own(monkeypatch):
    """The order of the calls of torch.cuda, which is not here."""
    calls, number = [], itertools.count(1)

    class Stream:
        def __init__(self, name=None):
            self.name = name or f"stream {next(number)}"

        def wait_stream(self, other):
            calls.append(f"{self.name} waits for {other.name}")

    here = Stream("here")

    @contextmanager
    def entered(what, **options):
        calls.append(
            f"enter {getattr(what, 'name', what)}" + "".join(f" {v}" for v in options.values() if v is not None)
        )
        yield
        calls.append("leave")

    class Graph:
        name = "graph"

        def replay(self):
            calls.append("replay")

    def graph(what, stream, capture_error_mode):
        return entered(what, stream=stream.name, mode=capture_error_mode)

    fake = SimpleNamespace(
        device=entered, Stream=Stream, current_stream=lambda: here, stream=entered, CUDAGraph=Graph, graph=graph,
    )  # fmt: skip
    monkeypatch.setattr(captures.torch, "cuda", fake)
    graphs = CudaGraphs(torch.device("cuda", 0))
    result = ((torch.ones(1),), torch.ones(1))
    assert graphs.aside(lambda: result) is result
    assert calls == [
        "enter cuda:0", "stream 1 waits for here", "enter stream 1", "leave", "here waits for stream 1", "leave",
    ]  # fmt: skip
    calls.clear()
    replay, found = graphs.capture(lambda: result)
    assert found is result
    replay()
    assert calls == ["enter cuda:0", "enter graph stream 1 thread_local", "leave", "leave", "replay"]
    assert copy.deepcopy(Captures(graphs))._graphs._stream is None
