"""Pathways: the gradient is that of equation 4, literally; the masks fit, say what is wrong, and remake themselves."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import cnnexplore as cx
from cnnexplore.preimage import largest_responses
from cnnexplore.styles.classifier_head import classifier_head

SIDE = 16
RNG = np.random.default_rng(0)
IMAGE = RNG.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)


class Base(nn.Module):
    """conv -> relu -> pool (6 @ 4 x 4) -> 12 -> 10 -> 5, written in one of several ways."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3, padding=1)
        self.a, self.b, self.c = nn.Linear(6 * 16, 12), nn.Linear(12, 10), nn.Linear(10, 5)

    def phi(self, x):
        return F.max_pool2d(F.relu(self.conv(x)), 4)

    def weights(self):
        return [one.weight for one in (self.a, self.b, self.c)], [one.bias for one in (self.a, self.b, self.c)]


class Functional(Base):
    def forward(self, x):
        x = F.relu(self.a(self.phi(x).flatten(1)))
        return self.c(F.relu(self.b(x)))


class InPlace(Base):
    """The results of the in-place calls are thrown away, as some do."""

    def forward(self, x):
        x = self.conv(x)
        x.clamp_(min=0)
        x = self.a(F.max_pool2d(x, 4).flatten(1))
        F.relu_(x)
        x = self.b(x)
        torch.clamp_min_(x, 0)
        return self.c(x)


class Reused(Base):
    """One in-place relu for all, dropout on both sides of the layers."""

    def __init__(self):
        super().__init__()
        self.relu, self.drop = nn.ReLU(inplace=True), nn.Dropout(0.5, inplace=True)

    def forward(self, x):
        x = F.max_pool2d(self.relu(self.conv(x)), 4)
        x = self.relu(self.drop(self.a(self.drop(x.flatten(1)))))
        return self.c(self.drop(self.relu(self.b(x))))


class LastFirst(Base):
    """Flattened with the channels last, and multiplied by hand; ends in a softmax."""

    def forward(self, x):
        x = self.phi(x).permute(0, 2, 3, 1).reshape(len(x), -1)
        x = torch.relu(torch.addmm(self.a.bias, x, self.a.weight.T))
        x = (x @ self.b.weight.T + self.b.bias).relu()
        return torch.softmax(self.c(x), 1)

    def weights(self):
        weights, biases = super().weights()
        first = weights[0].view(12, 4, 4, 6).permute(0, 3, 1, 2).reshape(12, -1)
        return [first, *weights[1:]], biases


class Convolutions(Base):
    """Fully connected layers as convolutions that see everything, as Caffe's converted networks have them."""

    def forward(self, x):
        x = F.relu(F.conv2d(self.phi(x), self.a.weight.view(12, 6, 4, 4), self.a.bias))
        x = F.relu(F.conv2d(x, self.b.weight[:, :, None, None], self.b.bias))
        return F.conv2d(x, weight=self.c.weight[:, :, None, None], bias=self.c.bias).flatten(1)


KINDS = (Functional, InPlace, Reused, LastFirst, Convolutions)


def network(kind) -> cx.Network:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = kind()
    return cx.Network(module, size=SIDE, pixels=cx.Pixels("RGB", (110, 100, 90), (50, 60, 70)), name=kind.__name__)


def literal(phi, weights, biases, x, unit, m5, m6, m7, relu=False):
    """fc8_t and its gradient by equation 4, every product written out in float64; x is what the module is given."""
    x = x.double().requires_grad_()
    pool = phi(x)
    W6, W7, W8 = (w.detach().double().numpy() for w in weights)
    b6, b7, b8 = (b.detach().double().numpy() for b in biases)
    ones = np.ones(pool.shape[1:])
    m5 = ones if m5 is None else m5 * ones
    a = W6 @ (m5 * pool[0].detach().numpy()).ravel() + b6
    m6 = a > 0 if m6 is None else m6 * (a > 0) if relu else m6
    b = W7 @ (m6 * a) + b7
    m7 = b > 0 if m7 is None else m7 * (b > 0) if relu else m7
    score = W8[unit] @ (m7 * b) + b8[unit]
    D = np.diag
    flow = W8[unit] @ D(m7 * 1.0) @ W7 @ D(m6 * 1.0) @ W6 @ D(m5.ravel())
    pool.backward(torch.from_numpy(flow).view_as(pool))
    return score, x.grad


def check(net, phi, weights, biases, unit, m5, m6, m7, relu):
    x = net.pixels_of(IMAGE)
    run = cx.Maximization(
        net, net.scores.name, unit, M=1.0, pathway=cx.Pathway(m5, m6, m7, relu=relu), jitter=1, steps=1
    )
    data, gradient = run.data_term(x)
    fed = net.feed(x)
    score, slope = literal(phi, weights, biases, fed, unit, m5, m6, m7, relu)
    assert -float(data) == pytest.approx(score, rel=1e-4, abs=1e-4)
    expected = -net.pixels.feed(slope)
    assert float((gradient - expected).norm()) <= 1e-4 * float(expected.norm())
    return expected


def drawn(seed):
    rng = np.random.default_rng(seed)
    return rng.random((4, 4)) < 0.5, rng.random(12) < 0.5, rng.random(10) < 0.5


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_the_gradient_is_equation_4(kind, relu):
    net = network(kind)
    module = net.module.double()
    twin = kind().double()
    twin.load_state_dict(module.state_dict())
    net = cx.Network(module.float(), size=SIDE, pixels=net.pixels, name=kind.__name__)
    m5, m6, m7 = drawn(1)
    seen = []
    for chosen in ((None, None, m7), (None, m6, None), (None, m6, m7), (m5, None, None), (m5, m6, m7)):
        seen.append(check(net, twin.phi, *twin.weights(), 2, *chosen, relu))
    assert not torch.allclose(seen[0], seen[2])  # the masks matter


@given(seed=st.integers(0, 10**6), kind=st.sampled_from(KINDS), unit=st.integers(0, 4))
def test_any_masks(seed, kind, unit):
    net = network(kind)
    twin = network(kind).module.double()
    m5, m6, m7 = drawn(seed)
    m5[0, 0] = m6[0] = m7[0] = True
    check(net, twin.phi, *twin.weights(), unit, np.broadcast_to(m5, (6, 4, 4)) if seed % 2 else m5, m6, m7, False)


def test_a_response_of_1_is_the_largest_through_the_pathway():
    net, twin = network(Functional), network(Functional).module.double()
    images = [IMAGE, 255 - IMAGE, IMAGE[::-1].copy(), IMAGE[:, ::-1] // 2]
    (m5, m6, m7), unit = drawn(4), 1
    scores = [
        literal(twin.phi, *twin.weights(), net.feed(net.pixels_of(image)), unit, m5, m6, m7)[0] for image in images
    ]
    whole = largest_responses(net, net.scores.name, images)[unit]
    way = cx.Pathway(m5, m6, m7)
    run = cx.Maximization(net, net.scores.name, unit, images=images, pathway=[way, None], steps=1)
    found = 1 / run.loss.weights[:, unit]
    assert float(found[0]) == pytest.approx(max(max(scores), float(whole) / 10), rel=1e-4)
    assert float(found[1]) == pytest.approx(float(whole), rel=1e-6)
    other = cx.Maximization(net, net.scores.name, [0, 1], images=images, pathway=way, steps=1)
    assert float(other.loss.weights[1, 1]) == pytest.approx(float(run.loss.weights[0, 1]), rel=1e-6)


def sequential(net):
    """phi, weights and biases of an AlexNet of the zoo, in float64."""
    import copy

    module = copy.deepcopy(net.module).double().eval()
    names = list(dict(module.named_children()))
    phi = module[: names.index("pool5") + 1]
    layers = [getattr(module, name) for name in ("fc6", "fc7", "fc8")]
    return phi, [one.weight for one in layers], [one.bias for one in layers]


def big(net, seed):
    rng = np.random.default_rng(seed)
    head = classifier_head(net)
    return rng.random(head.grid) < 0.4, rng.random(head.relu("m6")[1]) < 0.5, rng.random(head.relu("m7")[1]) < 0.5


@pytest.mark.parametrize("relu", [False, True])
def test_worldnet_has_the_gradient_of_equation_4(relu, on_cpu):
    net = cx.load("worldnet")
    check(net, *sequential(net), 3, *big(net, 0), relu)


def test_alexnet_has_the_gradient_of_equation_4(shared, on_cpu):
    net = cx.load(shared / "weights" / "alexnet-imagenette.safetensors")
    check(net, *sequential(net), 14, *big(net, 0), False)


def test_the_code_of_an_image_gives_back_its_own_scores(on_cpu):
    """Through the masks that an image itself opens nothing changes for that image."""
    net = cx.load("worldnet")
    image = cx.scene(3).image
    plain = net.activations(image, "fc8")
    for depth in (1, 2, 3):
        run = cx.Inversion(net, image, "fc8", pathway=cx.Pathway.of(image, depth), steps=1)
        assert float(run.data_term(run.target)[0]) < 1e-10
        masks = cx.Pathway.of(image, depth).masks(net)
        assert masks.names == {"m7", "m6", "m5"} - ({"m6", "m5"} if depth == 1 else {"m5"} if depth == 2 else set())
    assert torch.equal(masks.m7, net.activations(image, "relu7")[0] > 0)
    assert torch.equal(masks.m6, net.activations(image, "relu6")[0] > 0)
    assert torch.equal(masks.m5, net.activations(image, "pool5")[0] > 0)
    assert torch.equal(plain, net.activations(image, "fc8"))


@pytest.mark.parametrize("kind", KINDS)
def test_all_open_with_the_relus_in_force_is_the_network_itself(kind):
    net = network(kind)
    x = net.pixels_of(IMAGE)
    layer = net.scores.name
    plain = cx.Maximization(net, layer, 1, M=1.0, steps=1).data_term(x)
    open_ = cx.Pathway(np.ones((4, 4)), np.ones(12), np.ones(10), relu=True)
    through = cx.Maximization(net, layer, 1, M=1.0, steps=1, pathway=open_).data_term(x)
    assert torch.equal(plain[0], through[0])
    assert torch.equal(plain[1], through[1])


def test_a_batch_of_pathways_is_each_of_them_alone():
    net = network(Reused)
    ways = [cx.Pathway(m7="1100110011"), cx.Pathway.ensemble(3, relu=True), cx.Pathway.location(1, 1, 2)]
    x = net.pixels_of(IMAGE)
    together = cx.Maximization(net, "c", 1, M=1.0, steps=1, pathway=ways).data_term(x.expand(3, -1, -1, -1))
    for k, way in enumerate(ways):
        alone = cx.Maximization(net, "c", 1, M=1.0, steps=1, pathway=way).data_term(x)
        assert torch.allclose(together[0][k], alone[0][0], rtol=1e-5)
        assert torch.allclose(together[1][k], alone[1][0], rtol=1e-4, atol=1e-7)


def test_joined_pathways_pass_what_both_pass():
    net = network(Functional)
    a, b = cx.Pathway.ensemble(0), cx.Pathway.ensemble(1) & cx.Pathway.location(0, 1, 3)
    both, one, two = (a & b).masks(net), a.masks(net), b.masks(net)
    assert torch.equal(both.m6, one.m6 & two.m6)
    assert torch.equal(both.m7, one.m7 & two.m7)
    assert torch.equal(both.m5, two.m5)
    with pytest.raises(cx.SettingError, match="cannot be joined"):
        a & cx.Pathway.ensemble(1, relu=True)
    (cx.Pathway.location(0, 0, 1) & cx.Pathway.ensemble(1, relu=True)).masks(net)


def test_random_halves_are_halves_and_differ():
    net = network(Functional)
    masks = [cx.Pathway.ensemble(seed).masks(net) for seed in range(4)]
    assert {int(m.m6.sum()) for m in masks} == {6}
    assert {int(m.m7.sum()) for m in masks} == {5}
    assert len({tuple(m.m7.tolist()) for m in masks}) == 4
    assert torch.equal(cx.Pathway.ensemble(2).masks(net).m6, masks[2].m6)


@pytest.mark.parametrize(
    "way",
    [
        cx.Pathway(m5="1100 0110 0011 1001"),
        cx.Pathway(m5=RNG.random((6, 4, 4)) < 0.5, m6=RNG.random(12) < 0.5, m7=RNG.random(10) < 0.5, relu=True),
        cx.Pathway.location(1, 0, 2) & cx.Pathway.ensemble(5, keep=0.25),
        cx.Pathway.ensemble(1, relu=True),
        (cx.Pathway.ensemble(1) & cx.Pathway.location(0, 0, 2)).with_relu(),
        cx.Pathway(m5=cx.masks.channels(1, 3)),
        cx.Pathway(m7=torch.ones(10)),
    ],
)
def test_the_code_remakes_the_pathway_and_the_picture(way):
    net = network(Functional)
    again = eval(way.to_python())
    for name in ("m5", "m6", "m7"):
        a, b = getattr(way.masks(net), name), getattr(again.masks(net), name)
        assert (a is None) == (b is None)
        assert a is None or torch.equal(a, b)
    made = cx.maximize(net, "c", [1, 2], M=1.0, steps=3, pathway=way, progress=False)[1]
    remade = eval(made.to_python().replace(net.to_python(), "net", 1) if net.source else made.to_python())
    assert np.array_equal(made.picture, remade.picture)
    inverted = cx.invert(net, IMAGE, "c", steps=2, refine=1, pathway=[way], progress=False)[0]
    image = IMAGE
    assert image is not None
    assert np.array_equal(inverted.picture, eval(inverted.to_python()).picture)


def test_numbers_of_numpy_are_numbers():
    one, two = np.arange(1, 3)
    assert cx.Pathway.location(one, two, two).to_python() == "cx.Pathway.location(1, 2, 2)"
    assert cx.Pathway.ensemble(two, keep=np.float64(0.25)).to_python() == "cx.Pathway.ensemble(2, keep=0.25)"
    assert cx.Pathway.of("scene.png", two).to_python() == "cx.Pathway.of('scene.png', 2)"
    assert cx.Pathway.location(one, two, two).masks(network(Functional)).m5.sum() == 6 * 4


def test_a_long_mask_is_compressed_text():
    for count in (145, 1024, 4096):
        mask = np.random.default_rng(count).random(count) < 0.5
        text = eval(cx.Pathway(m7=mask).to_python().removeprefix("cx.Pathway(m7=").removesuffix(")"))
        assert len(text) < 30 + count / 6
        assert eval(cx.Pathway(m7=text).to_python()) is not None
        assert cx.Pathway(m7=text).to_python() == cx.Pathway(m7=mask).to_python()


def test_nothing_stays_behind_in_the_thread():
    net = network(InPlace)
    before = torch._C._len_torch_function_stack()
    run = cx.Maximization(net, "c", 1, M=1.0, steps=2, pathway=cx.Pathway.ensemble(0))
    list(run.frames())
    with pytest.raises(cx.SettingError):
        cx.Maximization(net, "c", 1, pathway=cx.Pathway(m7=[1, 0]))
    assert torch._C._len_torch_function_stack() == before


class NoHead(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 5, 3)

    def forward(self, x):
        return F.relu(self.conv(x)).mean((2, 3))


class OneLayer(Base):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(6, 5)

    def forward(self, x):
        return self.fc(self.phi(x).mean((2, 3)))


class Smooth(Base):
    def forward(self, x):
        return self.c(torch.tanh(self.b(torch.tanh(self.a(self.phi(x).flatten(1))))))


def test_what_cannot_be_gets_a_sentence(refused):
    net = network(Functional)

    def wish(pathway, of=net, layer=None):
        return lambda: cx.Maximization(of, layer or of.scores.name, 0, M=1.0, pathway=pathway)

    refused(cx.SettingError, wish(cx.Pathway(m7=np.ones(9))), "m7", "9", "10")
    refused(cx.SettingError, wish(cx.Pathway(m7=[True])), "m7", "1", "10")
    refused(cx.SettingError, wish(cx.Pathway(m5=np.ones((3, 3)))), "m5", "3 x 3", "4 x 4", "6 x 4 x 4")
    refused(cx.SettingError, wish(cx.Pathway.location(2, 2, 3)), "rows 2 to 4", "4 x 4")
    refused(cx.SettingError, lambda: cx.Pathway(m7=[0.5, 1]), "m7", "true and false")
    refused(cx.SettingError, lambda: cx.Pathway(m7="10 012"), "m7")
    refused(cx.SettingError, lambda: cx.Pathway(m7="1024:zzz"), "m7")
    refused(cx.SettingError, lambda: cx.Pathway(m6=[]), "m6")
    refused(cx.SettingError, lambda: cx.Pathway.ensemble(-1), "seed")
    refused(cx.SettingError, lambda: cx.Pathway.ensemble(1, keep=0), "keep")
    refused(cx.SettingError, lambda: cx.Pathway.of(IMAGE, 4), "depth", "4")
    refused(cx.SettingError, wish(cx.Pathway.of([IMAGE, IMAGE], 1)), "several images")
    refused(cx.SettingError, wish("m7"), "str", "Pathway")
    refused(cx.SettingError, wish([]), "empty")
    refused(cx.LayerError, wish(cx.Pathway.ensemble(0), layer="conv"), "m6 and m7", "'conv1'", "deeper")
    refused(cx.LayerError, wish(cx.Pathway(m7=np.ones(10)), layer="a"), "m7", "'fc2'")
    refused(cx.NetworkError, wish(cx.Pathway.ensemble(0), network(NoHead)), "NoHead", "fully-connected")
    refused(cx.NetworkError, wish(cx.Pathway(m7=np.ones(6)), network(OneLayer)), "m7", "only 1 ", "OneLayer")
    refused(cx.NetworkError, wish(cx.Pathway.location(0, 0, 1), network(OneLayer)), "OneLayer", "locations")
    refused(cx.NetworkError, wish(cx.Pathway(m7=np.ones(10)), network(Smooth)), "no relu", "m7")
    refused(
        cx.SettingError,
        lambda: cx.Maximization(net, "c", [0, 1, 2], M=1.0, pathway=[cx.Pathway.ensemble(0)] * 2),
        "3 units and 2 pathways",
    )
    wish(cx.Pathway.location(1, 1, 2), network(Smooth))()  # which needs no relu


def test_a_network_with_one_hidden_layer_has_m7(on_cpu):
    net = cx.load("lenet")
    assert classifier_head(net).shape == (50, 4, 4)
    made = cx.maximize(net, "conv4", 3, steps=2, M=1.0, pathway=cx.Pathway(m7=np.arange(500) % 2), progress=False)
    assert np.array_equal(made.picture, eval(made.to_python()).picture)
