"""Methods of captum, zennit and pytorch-grad-cam, and plain functions, give the maps that they give on their own."""

from __future__ import annotations

import copy
from functools import partial

import captum.attr as captum
import numpy as np
import pytest
import torch
from torch import nn

import cnnexplore as cx
from cnnexplore.attribution import Option, attribute_stream, unregister_attribution

PIXELS = cx.Pixels("RGB", mean=(120.0, 110.0, 100.0), std=(60.0, 50.0, 40.0))
SIZE = (21, 17)
IMAGE = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
QUIET = ["ignore:.*backward hooks.*", "ignore:.*required_grads.*", "ignore:.*Setting.*", "ignore:.*full backward.*"]
pytestmark = [pytest.mark.filterwarnings(one) for one in QUIET]


def chain(in_place: bool = True, end: bool = True) -> nn.Sequential:
    """A chain of layers that all peers know, with rectifiers that work in place and a softmax at its end."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        parts = [
            nn.Conv2d(3, 6, 3), nn.ReLU(in_place), nn.MaxPool2d(2), nn.Conv2d(6, 8, 3), nn.ReLU(in_place),
            nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Dropout(0.5), nn.Linear(32, 5),
        ]  # fmt: skip
    return nn.Sequential(*parts, *([nn.Softmax(1)] if end else [])).train()


class Branched(nn.Module):
    """A module that is no chain, and returns several tensors."""

    def __init__(self):
        super().__init__()
        self.stem, self.act, self.pool = chain(False)[0], nn.ReLU(), nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(6, 4)

    def forward(self, x):
        maps = self.act(self.stem(x))
        return {"scores": self.head(self.pool(maps).flatten(1)), "maps": maps}


@pytest.fixture
def net():
    return cx.Network(chain(), size=SIZE, pixels=PIXELS, name="chain")


@pytest.fixture
def register():
    """Registers, and takes all back."""
    names = []

    def call(name, *args, **kwargs):
        cx.register_attribution(name, *args, **kwargs)
        names.append(name)

    yield call
    for name in set(names):
        unregister_attribution(name)


def alone(net, end=False):
    """What a peer is given without cnnexplore: a module without softmax and work in place, and its input."""
    module = chain(False, end).eval()
    module.load_state_dict(net.module.state_dict())
    return module, net.pixels.feed(net.pixels_of(IMAGE)).requires_grad_()


def near(ours, theirs, share=1e-5):
    theirs = np.asarray(theirs.detach() if isinstance(theirs, torch.Tensor) else theirs)
    assert ours.shape == theirs.shape
    assert np.abs(theirs).max() > 0
    assert np.abs(ours - theirs).max() <= share * np.abs(theirs).max()


CAPTUM = {
    "DeepLift": ({}, True), "Saliency": ({"abs": False}, False), "IntegratedGradients": ({}, True),
    "InputXGradient": ({}, True), "GuidedBackprop": ({}, False), "FeatureAblation": ({}, True),
}  # fmt: skip


@pytest.mark.parametrize("name", CAPTUM)
def test_captum(net, register, name):
    settings, signed = CAPTUM[name]
    register("peer", getattr(captum, name), signed=signed)
    module, x = alone(net)
    theirs = getattr(captum, name)(module).attribute(x, target=2, **settings)[0]
    before = {key: value.clone() for key, value in net.module.state_dict().items()}
    a = cx.attribute(net, IMAGE, 2, method="peer", **settings)
    near(a.raw, theirs)
    near(a.map, theirs.sum(0) if signed else theirs.abs().amax(0))
    assert a.signed == signed
    assert a.map.shape == SIZE
    assert a.score == pytest.approx(float(module(x)[0, 2].detach()), rel=1e-5)
    assert f"cx.register_attribution('peer', captum.attr.{name}, signed={signed})" in a.to_python()
    again = eval(a.to_python(), {"cx": cx, "net": net, "image": IMAGE})
    assert np.array_equal(again.map, a.map)
    assert net.module.training  # and all else as it was
    assert all(torch.equal(before[key], value) for key, value in net.module.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in net.module.parameters())
    assert not any(hooks for part in net.module.modules() for hooks in (part._forward_hooks, part._backward_hooks))
    assert net.module[1].inplace


class Flat(nn.Module):
    """A module without layers that captum's LRP has no rule for."""

    def __init__(self, end: bool = True):
        super().__init__()
        parts = chain(True, False)
        self.maps, self.head = parts[:6], nn.Sequential(parts[8])
        self.end = end

    def forward(self, x):
        scores = self.head(self.maps(x).flatten(1))
        return scores.softmax(1) if self.end else scores


def test_lrp_of_captum(register):
    net = cx.Network(Flat(), size=SIZE, pixels=PIXELS)
    register("lrp", captum.LRP, signed=True)
    module = Flat(end=False)
    for part in module.modules():
        if isinstance(part, nn.ReLU):
            part.inplace = False
    theirs = captum.LRP(module).attribute(net.pixels.feed(net.pixels_of(IMAGE)).requires_grad_(), target=2)[0]
    a = cx.attribute(net, IMAGE, 2, method="lrp")
    near(a.raw, theirs)
    near(a.map, theirs.sum(0))


def test_settings_of_captum(net, register):
    register("ig", captum.IntegratedGradients, signed=True, options=[Option("n_steps", 7, "steps", slider=(2, 50))])
    module, x = alone(net)
    for steps in (7, 20):
        given = {} if steps == 7 else {"n_steps": steps}
        theirs = captum.IntegratedGradients(module).attribute(x, target=1, n_steps=steps)[0]
        near(cx.attribute(net, IMAGE, 1, method="ig", **given).raw, theirs)
    register("ig", partial(captum.IntegratedGradients, multiply_by_inputs=False), signed=True)
    theirs = captum.IntegratedGradients(module, multiply_by_inputs=False).attribute(x, target=1)[0]
    near(cx.attribute(net, IMAGE, 1, method="ig").raw, theirs)
    window = {"sliding_window_shapes": (3, 4, 4)}
    register("occluded", captum.Occlusion, signed=True, options=[Option(*one, "window") for one in window.items()])
    near(
        cx.attribute(net, IMAGE, 1, method="occluded").raw, captum.Occlusion(module).attribute(x, target=1, **window)[0]
    )


def test_captum_at_a_layer(net, register):
    options = [Option("relu_attributions", True, "whether only the positive part is kept")]
    register("layer_gradcam", captum.LayerGradCam, options=options)
    module, x = alone(net)
    for at, index in (("conv1", 0), ("relu2", 4)):
        if at == "relu2":  # where the target is seen, else all is 0
            module[8].weight.data.abs_()
            net.module[8].weight.data.abs_()
        a = cx.attribute(net, IMAGE, 2, method="layer_gradcam", at=at)
        near(a.raw, captum.LayerGradCam(module, module[index]).attribute(x, target=2, relu_attributions=True)[0])
        near(a.map, cx.attribute(net, IMAGE, 2, method="gradcam", at=at).map, 1e-4)
    last = cx.attribute(net, IMAGE, 2, method="layer_gradcam")
    near(last.map, cx.attribute(net, IMAGE, 2, method="gradcam").map, 1e-4)


@pytest.mark.parametrize("given", ["class", "instance"])
def test_zennit(net, register, given):
    composites, attributors = (pytest.importorskip(f"zennit.{one}") for one in ("composites", "attribution"))
    kind = composites.EpsilonPlusFlat
    register("lrp", kind if given == "class" else kind(epsilon=0.1), signed=True)
    module, x = alone(net)
    with attributors.Gradient(model=module, composite=kind() if given == "class" else kind(epsilon=0.1)) as attributor:
        theirs = attributor(x, torch.eye(5)[[2]])[1][0]
    a = cx.attribute(net, IMAGE, 2, method="lrp")
    near(a.raw, theirs)
    near(a.map, theirs.sum(0))
    assert "zennit.composites.EpsilonPlusFlat" in a.to_python()


def test_attributors_of_zennit(net, register):
    attribution = pytest.importorskip("zennit.attribution")
    register("path", partial(attribution.IntegratedGradients, n_iter=9), signed=True)
    module, x = alone(net)
    theirs = attribution.IntegratedGradients(module, n_iter=9)(x.detach(), torch.eye(5)[[2]])[1][0]
    near(cx.attribute(net, IMAGE, 2, method="path").raw, theirs)


def test_pytorch_grad_cam(net, register):
    peers = pytest.importorskip("pytorch_grad_cam")
    targets = pytest.importorskip("pytorch_grad_cam.utils.model_targets")
    module, x = alone(net)
    for kind in (peers.GradCAM, peers.EigenGradCAM):
        register("their_cam", kind)
        theirs = kind(module, [module[4]])(x, [targets.ClassifierOutputTarget(2)])[0]
        a = cx.attribute(net, IMAGE, 2, method="their_cam", at="relu2")
        near(a.map, theirs)
        assert a.map.min() >= 0


def test_zennit_at_a_unit(net, register):
    """The rule of the layer that is explained takes part, also where the module is no chain that can be cut."""
    composites, attributors = (pytest.importorskip(f"zennit.{one}") for one in ("composites", "attribution"))
    register("lrp", composites.EpsilonPlus, signed=True)
    a = cx.attribute(net, IMAGE, method="lrp", layer="conv2", unit=3, position=(2, 1))
    whole = cx.Network(Flat(), size=SIZE, pixels=PIXELS)
    b = cx.attribute(whole, IMAGE, method="lrp", layer="conv2", unit=3, position=(2, 1))
    module, x = alone(net)
    start = torch.zeros(1, 8, 7, 5)
    start[0, 3, 2, 1] = 1
    with attributors.Gradient(model=module[:4], composite=composites.EpsilonPlus()) as attributor:
        theirs = attributor(x, start)[1][0]
    near(a.raw, theirs)
    near(b.raw, theirs)


def test_units_of_a_layer_and_several_targets(net, register):
    register("deeplift", captum.DeepLift, signed=True)
    module, x = alone(net)
    a = cx.attribute(net, IMAGE, method="deeplift", layer="conv2", unit=3, position=(2, 1))
    theirs = captum.DeepLift(module[:4]).attribute(x, target=(3, 2, 1))[0]
    near(a.raw, theirs)
    several = cx.attribute(net, IMAGE, [0, 4], method="deeplift")
    for one, target in zip(several, (0, 4), strict=True):
        near(one.raw, captum.DeepLift(module).attribute(x, target=target)[0])


def test_a_module_that_is_no_chain_and_returns_several_tensors(register):
    module = Branched().eval()
    net = cx.Network(module, size=SIZE, pixels=PIXELS, output="scores")
    register("deeplift", captum.DeepLift, signed=True)
    whole = nn.Sequential(module.stem, module.act, module.pool, nn.Flatten(), module.head)
    x = net.pixels.feed(net.pixels_of(IMAGE)).requires_grad_()
    near(cx.attribute(net, IMAGE, 3, method="deeplift").raw, captum.DeepLift(whole).attribute(x, target=3)[0])


def by_hand(module, x, target, power=1):
    """The gradient by hand, with a hook that stays and weights that are overwritten."""
    module[0].register_forward_hook(lambda *_: None)
    module(x)[0, target].backward()
    found = x.grad.clone()
    with torch.no_grad():
        for p in module.parameters():
            p.zero_()
    module.train()
    torch.set_grad_enabled(False)
    return found**power


def test_a_function_may_do_what_it_likes_to_the_copy(net, register):
    register("mine", by_hand)
    before = copy.deepcopy(net.module.state_dict())
    std = np.array(PIXELS.std).reshape(3, 1, 1)
    ours = cx.attribute(net, IMAGE, 1).raw * std  # the derivative with respect to what the module takes
    for _ in range(2):
        near(cx.attribute(net, IMAGE, 1, method="mine").raw, ours, 1e-4)
    assert torch.is_grad_enabled()
    near(cx.attribute(net, IMAGE, 1, method="mine", power=2).raw, ours**2, 1e-4)
    assert all(torch.equal(before[key], value) for key, value in net.module.state_dict().items())
    assert net.module[8].training
    assert not net.module[0]._forward_hooks
    a = cx.attribute(net, IMAGE, 1, method="mine", power=2)
    assert a.to_python().startswith("cx.attribute(net, image, 1, method='mine', power=2)  # after cx.register_attr")


def test_streamed_functions_grow(net, register):
    def growing(module, x, target):
        for k in (1, 2, 4):
            yield torch.full(SIZE, float(k)), k / 4

    register("growing", growing, streamed=True)
    found = [(float(a.map.mean()), share) for a, share in attribute_stream(net, IMAGE, method="growing")]
    assert found == [(1.0, 0.25), (2.0, 0.5), (4.0, 1.0)]
    assert cx.attribute(net, IMAGE, method="growing", progress=False).map.mean() == 4


def raising(module, x, target):
    raise KeyError("no such thing")


HOSTILE = {
    "shape": (lambda m, x, t: torch.zeros(5, 5), cx.SettingError, ["5 x 5", "21 x 17"]),
    "channels": (lambda m, x, t: torch.zeros(2, *SIZE), cx.SettingError, ["2 x 21 x 17", "3 x 21 x 17"]),
    "batch": (lambda m, x, t: torch.zeros(2, 3, *SIZE), cx.SettingError, ["2 x 3 x 21 x 17"]),
    "nan": (lambda m, x, t: x.detach() * float("nan"), cx.SettingError, ["finite"]),
    "nothing": (lambda m, x, t: None, cx.SettingError, ["None", "21 x 17"]),
    "text": (lambda m, x, t: "a map", cx.SettingError, ["'a map'"]),
    "complex": (lambda m, x, t: torch.zeros(SIZE, dtype=torch.complex64), cx.SettingError, ["complex"]),
    "negative": (lambda m, x, t: -torch.ones(SIZE), cx.SettingError, ["-1", "signed=True"]),
    "raising": (raising, cx.NetworkError, ["hostile", "KeyError", "no such thing"]),
    "gradient": (lambda m, x, t: torch.autograd.grad(m(x)[0, 99], x), cx.NetworkError, ["IndexError"]),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_what_a_function_does_wrong_is_said(net, register, refused, case):
    function, kind, words = HOSTILE[case]
    register("hostile", function)
    before = copy.deepcopy(net.module.state_dict())
    refused(kind, lambda: cx.attribute(net, IMAGE, 1, method="hostile"), "hostile", *words)
    assert all(torch.equal(before[key], value) for key, value in net.module.state_dict().items())
    assert np.isfinite(cx.attribute(net, IMAGE, 1).map).all()


def test_what_cannot_be_registered(net, refused):
    register, kind = cx.register_attribution, cx.SettingError
    refused(kind, lambda: register("mine", 3), "captum")
    refused(kind, lambda: register("mine", lambda module, x: x), "module, x", "(module, input, target)")
    refused(kind, lambda: register("mine", captum.DeepLift(chain(False))), "captum.attr.DeepLift")
    refused(kind, lambda: register("mine", captum.Occlusion), "sliding_window_shapes", "Option")
    refused(kind, lambda: register("mine", nn.ReLU), "torch.nn.ReLU")
    refused(kind, lambda: register("gradcam", by_hand), "another name")
    refused(kind, lambda: register("my method", by_hand), "identifier")
    refused(kind, lambda: register("mine", by_hand, options=[3]), "Option")
    refused(kind, lambda: register("mine", by_hand, options=[Option("other", 1, "")]), "other")
    assert "mine" not in cx.attribution_methods()
    refused(kind, lambda: unregister_attribution("mine"), "mine")


def test_layers_that_are_no_modules_are_refused(register, refused):
    class Functional(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.act, self.head = nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Linear(4, 2)

        def forward(self, x):
            x = self.act(self.act(self.conv(x)) - 0.1)
            return self.head(torch.nn.functional.avg_pool2d(x, 2).mean((2, 3)))

    net = cx.Network(Functional().eval(), size=SIZE, pixels=PIXELS)
    register("layer_gradcam", captum.LayerGradCam, signed=True)
    used = [name for name, layer in net.layers.items() if layer.site[1] == "act"]
    refused(cx.LayerError, lambda: cx.attribute(net, IMAGE, method="layer_gradcam", at=used[0]), "used once")
    called = next(name for name, layer in net.layers.items() if layer.site[0] == "function")
    refused(cx.LayerError, lambda: cx.attribute(net, IMAGE, method="layer_gradcam", at=called), "a function")
    register("lrp", captum.LRP, signed=True)
    register("deeplift", captum.DeepLift, signed=True)  # which needs modules that are used once
    refused(cx.NetworkError, lambda: cx.attribute(net, IMAGE, method="deeplift"), "deeplift")


def test_the_panel_draws_them_and_says_what_fails(register):
    register("deeplift", captum.DeepLift, signed=True, options=[])
    register("hostile", raising)
    panel = cx.AttributionPanel(cx.Network(chain(), size=SIZE, pixels=PIXELS), IMAGE, method="deeplift")
    try:
        assert panel.wait(60)
        assert panel.attribution.method == "deeplift"
        assert "captum.attr.DeepLift" in panel.to_python()
        assert "KeyError" in panel.failed["hostile"]
        unregister_attribution("hostile")
        panel.target.value = "1"
        assert panel.wait(60)
        assert "no attribution method 'hostile'" in panel.failed["hostile"]
        cx.register_attribution("hostile", raising)
    finally:
        panel.close()
