"""Gradients through no_grad, checkpoints and weights of inference mode; a reason where none flows."""

import threading
import warnings

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.checkpoint import CheckpointFunction, checkpoint, checkpoint_sequential

import cnnexplore as cx
from cnnexplore.network import input_gradient, unit_gradient

IMAGE = np.random.default_rng(0).integers(0, 256, (24, 24, 3), dtype=np.uint8)


class Base(nn.Module):
    """A body of two convolutions, the first with a stride, and a classifier of its means."""

    def __init__(self):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.body = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, 2, 1), nn.ReLU())
            self.fc = nn.Linear(8, 4)
        self.eval()

    def features(self, x):
        return self.body(x).mean((2, 3))

    def forward(self, x):
        return self.fc(self.features(x))


class NoGrad(Base):
    def forward(self, x):
        with torch.no_grad():
            h = self.body(x)
        return self.fc(h.mean((2, 3)))


class Decorated(Base):
    @torch.no_grad()
    def forward(self, x):
        return super().forward(x)


class SetOff(Base):
    def forward(self, x):
        torch.set_grad_enabled(False)
        try:
            return super().forward(x)
        finally:
            torch.set_grad_enabled(True)


class Inference(Base):
    def forward(self, x):
        with torch.inference_mode():
            return super().forward(x)


class Half(Base):
    """Only a part of the way is computed under no_grad."""

    def forward(self, x):
        with torch.no_grad():
            h = self.body(x)
        return self.fc(0.25 * h.mean((2, 3)) + 0.75 * self.features(x))


class InPlace(Base):
    """Writes under no_grad into a tensor of its own, and into a buffer that the next pass must not derive."""

    def __init__(self):
        super().__init__()
        self.register_buffer("seen", torch.zeros(8))

    def forward(self, x):
        with torch.no_grad():
            h = self.features(x)
            kept = torch.zeros_like(h)
            kept[:, :] = h
            self.seen.mul_(0.5).add_(h.mean(0))
        return self.fc(kept) + 0 * self.seen.sum()


class Reentrant(Base):
    def features(self, x):
        return checkpoint(self.body, x, use_reentrant=True).mean((2, 3))


class NotReentrant(Base):
    def features(self, x):
        return checkpoint(self.body, x, use_reentrant=False).mean((2, 3))


class InParts(Base):
    def features(self, x):
        return checkpoint_sequential(self.body, 2, x, use_reentrant=True).mean((2, 3))


class Both(Base):
    def features(self, x):
        with torch.no_grad():
            h = checkpoint(self.body[:2], x, use_reentrant=False)
        return checkpoint(self.body[2:], h, use_reentrant=True).mean((2, 3))


WHOLE = (NoGrad, Decorated, SetOff, Inference, Half, InPlace, Reentrant, NotReentrant, InParts, Both)


def network(module, **more):
    return cx.Network(module, size=24, pixels=cx.Pixels(), **more)


def same(found, expected):
    found, expected = (one.detach().numpy() if isinstance(one, torch.Tensor) else one for one in (found, expected))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6 * np.abs(expected).max())


@pytest.fixture(autouse=True)
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", DeprecationWarning)  # of old packages on new Pythons
        warnings.filterwarnings("ignore", ".*quantiz.*|.*autograd kernel was not registered.*")
        yield


@pytest.mark.parametrize("kind", WHOLE)
def test_the_gradient_flows(kind):
    plain, net = network(Base()), network(kind())
    for method in ("gradient", "guided_backprop", "deconvnet", "gradcam", "cam", "integrated_gradients", "gradient"):
        expected, more = cx.attribute(plain, IMAGE, 1, method=method).raw, {}
        if "cam" in method and kind is Half:  # the body is called twice; the second call gives 0.75 of the score
            with pytest.raises(cx.LayerError, match="several maps, those of relu2, relu4, and no layer leads to all"):
                cx.attribute(net, IMAGE, 1, method=method)
            if method == "cam":
                continue
            expected, more = 0.75 * expected, {"at": "relu4"}
        same(cx.attribute(net, IMAGE, 1, method=method, **more).raw, expected)
    assert np.abs(cx.attribute(net, IMAGE, 1, method="gradient").map).max() > 0
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("kind", WHOLE)
def test_inside_what_is_not_derived(kind):
    """A unit of a layer inside the part under no_grad or in the checkpoint, and pictures of it."""
    plain, net = network(Base()), network(kind())
    x = net.pixels_of(IMAGE)
    name = next(one for one, layer in net.layers.items() if layer.path == "body.2")
    same(unit_gradient(net, name, x, [3], [(2, 2)]), unit_gradient(plain, "conv2", x, [3], [(2, 2)]))
    for end, expected in ((name, "conv2"), (net.scores.name, plain.scores.name)):
        runs = [cx.Maximization(n, e, 1, steps=3, seed=0, M=1.0) for n, e in ((net, end), (plain, expected))]
        x = torch.randn(1, 3, *runs[0].x.shape[-2:], generator=torch.Generator().manual_seed(0)) * 40
        same(*(run.data_term(x)[1] for run in runs))


def test_the_module_keeps_no_graph():
    module = InPlace()
    net = network(module)
    for _ in range(3):
        cx.attribute(net, IMAGE, 1)
    assert not module.seen.any()
    assert not module.seen.requires_grad


@pytest.mark.parametrize("method", ["gradient", "gradcam", "guided_backprop", "integrated_gradients"])
def test_weights_and_images_of_inference_mode(method):
    plain = network(Base())
    with torch.inference_mode():
        net = network(Base())
        image = torch.from_numpy(IMAGE.copy()).permute(2, 0, 1)
        inside = cx.attribute(net, image, 1, method=method).raw
    expected = cx.attribute(plain, IMAGE, 1, method=method).raw
    same(inside, expected)
    same(cx.attribute(net, image, 1, method=method).raw, expected)


class Straight(torch.autograd.Function):
    """Rounds, and hands the gradient straight back."""

    @staticmethod
    def forward(ctx, x):
        return (x * 8).round() / 8

    @staticmethod
    def backward(ctx, slope):
        return slope


class Rounded(Base):
    def __init__(self, off):
        super().__init__()
        self.off = off

    def features(self, x):
        with torch.set_grad_enabled(not self.off):
            return Straight.apply(self.body(x)).mean((2, 3))


def test_a_function_keeps_its_own_backward_pass():
    module = Rounded(False)
    x = network(module).pixels_of(IMAGE).requires_grad_()
    (expected,) = torch.autograd.grad(module(x)[0, 1], x)
    for off in (False, True):
        same(cx.attribute(network(Rounded(off)), IMAGE, 1).raw, expected[0])


def test_checkpoints_of_other_threads_stay():
    """While passes run without checkpoints here, a thread that trains has its own."""
    original = CheckpointFunction.apply
    inside, counted = threading.Event(), []

    class Waits(Reentrant):
        def features(self, x):
            if x.requires_grad:
                worker.start()
                worker.join()
            return super().features(x)

    def train():
        x = torch.randn(1, 3, 24, 24, requires_grad=True)
        out = checkpoint(lambda v: counted.append(1) or v * 2, x, use_reentrant=True)
        out.sum().backward()
        inside.set()

    worker = threading.Thread(target=train)
    cx.attribute(network(Waits()), IMAGE, 1)
    assert inside.is_set()
    assert len(counted) == 2  # once forwards, once again backwards
    assert CheckpointFunction.apply == original
    assert "apply" not in vars(CheckpointFunction)


# Where no gradient flows


class Detached(Base):
    def forward(self, x):
        return self.fc(self.features(x).detach())


class Data(Base):
    def forward(self, x):
        return self.fc(self.features(x).data)


class Numbers(Base):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(8, 4)

    def forward(self, x):
        return self.table(self.features(x).argmax(1))


class Bytes(Base):
    def forward(self, x):
        return super().forward(x.to(torch.uint8).float())


class OneWay(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2


class NoBackward(Base):
    def forward(self, x):
        return self.fc(OneWay.apply(self.features(x)))


class Flagged(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        y = x * 2
        ctx.mark_non_differentiable(y)
        return y


class NotDifferentiable(Base):
    def forward(self, x):
        return self.fc(Flagged.apply(self.features(x)))


def quantised():
    return torch.ao.quantization.quantize_dynamic(Base(), {nn.Linear}, dtype=torch.qint8)


NONE = {
    "detach": (Detached, ("Detached.forward", "detach()")),
    "data": (Data, ("Data.forward", ".data")),
    "argmax": (Numbers, ("whole numbers", "argmax", "Numbers.forward")),
    "bytes": (Bytes, ("whole numbers", "Bytes.forward")),
    "no backward": (NoBackward, ("backward",)),
    "not differentiable": (NotDifferentiable, ("NotDifferentiable.forward",)),
    "quantised": (quantised, ("quantized.linear_dynamic",)),
}
GRADIENTS = (
    "gradient", "input_x_gradient", "smoothgrad", "integrated_gradients", "deconvnet", "guided_backprop", "gradcam",
    "guided_gradcam",
)  # fmt: skip


@pytest.mark.parametrize("name", NONE)
def test_one_sentence_where_none_flows(name, refused):
    make, words = NONE[name]
    net = network(make())
    inside = ("gradcam", "guided_gradcam") if name == "bytes" else ()  # whose gradient flows to the last map
    for method in GRADIENTS:
        if method not in inside:
            call = lambda m=method: cx.attribute(net, IMAGE, 1, method=m)  # noqa: E731
            for _ in range(2):
                refused(cx.LayerError, call, "no gradient flows", "occlusion", *words)
    same_words = "no gradient flows", *words
    refused(cx.LayerError, lambda: cx.invert(net, IMAGE, net.scores.name, steps=2, progress=False), *same_words)
    refused(cx.LayerError, lambda: cx.maximize(net, net.scores.name, 1, steps=2, M=1.0, progress=False), *same_words)
    refused(cx.LayerError, lambda: unit_gradient(net, net.scores.name, net.pixels_of(IMAGE)), *same_words)
    assert np.isfinite(cx.attribute(net, IMAGE, 1, method="occlusion").map).all()


class PartlyDetached(Base):
    def forward(self, x):
        h = self.features(x)
        return self.fc(h * h.mean(1, keepdim=True).detach())


class PartlyQuantised(Base):
    def __init__(self):
        super().__init__()
        self.side = torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Linear(8, 8)), {nn.Linear})

    def forward(self, x):
        h = self.features(x)
        return self.fc(h + self.side(h))


@pytest.mark.parametrize(("kind", "word"), [(PartlyDetached, "detach()"), (PartlyQuantised, "quantized")])
def test_what_leaves_a_part_out_says_so_once(kind, word):
    module = kind()
    net = network(module)
    x = net.pixels_of(IMAGE).requires_grad_()
    (expected,) = torch.autograd.grad(module(x)[0, 1], x)
    with pytest.warns(cx.ExploreWarning, match="leaves out") as caught:
        same(cx.attribute(net, IMAGE, 1).raw, expected[0])
    (said,) = [one for one in caught if one.category is cx.ExploreWarning]
    assert word in str(said.message)
    assert "forward" in str(said.message)
    same(cx.attribute(net, IMAGE, 1).raw, expected[0])


class Masked(Base):
    """Comparisons, signs, shapes and constants on the way: no part of the derivative is missing."""

    def forward(self, x):
        h = self.features(x)
        h = h * (h > 0) + torch.zeros_like(h.detach()) + h.detach().new_ones(1, 8).type_as(h.detach())
        return self.fc(h + torch.where(h.argmax(1, keepdim=True) > 3, 1.0, 0.0))


def test_masks_and_shapes_leave_nothing_out():
    module = Masked()
    net = network(module)
    x = net.pixels_of(IMAGE).requires_grad_()
    (expected,) = torch.autograd.grad(module(x)[0, 1], x)
    same(cx.attribute(net, IMAGE, 1).raw, expected[0])


def test_zero_is_an_answer():
    """A unit behind a closed rectifier has a gradient: zero."""
    module = Base()
    with torch.no_grad():
        module.body[3] = nn.ReLU()
        module.body[2].bias.fill_(-1e6)
    a = cx.attribute(network(module), IMAGE, 1)
    assert a.map.shape == (24, 24)
    assert not a.map.any()


def test_a_number_that_is_no_function_of_the_layer(refused):
    net = network(Base())
    x = net.pixels_of(IMAGE)
    refused(cx.LayerError, lambda: input_gradient(net, "fc3", x, lambda a: torch.ones(())), "does not depend")
    refused(cx.LayerError, lambda: input_gradient(net, "fc3", x, lambda a: a.detach().sum()), "does not depend")
    other = torch.ones((), requires_grad=True)
    refused(cx.LayerError, lambda: input_gradient(net, "fc3", x, lambda a: other * 2), "does not depend")
