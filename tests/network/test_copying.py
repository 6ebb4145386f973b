"""Copies: whatever a module keeps, wraps or shares, a pass gives what the module gives, and changes nothing."""

import collections
import copy
import dataclasses
import functools
import threading
import types
import weakref

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrizations, prune, spectral_norm, weight_norm
from what_torch_can import COMPILES

import cnnexplore as cx
from cnnexplore.network.copying import weight_sharing_copy
from cnnexplore.network.observing import only_observes

SIDE = 12
IMAGE = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.bn, self.fc = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 3)
        self.bn.running_mean.uniform_(-1, 1)
        nn.init.constant_(self.bn.bias, 3.0)

    def forward(self, x):
        return self.fc(self.bn(self.conv(x)).relu().mean((2, 3)))


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def state_of(module):
    """Tensors with their versions and gradients, flags, hooks, attributes, and torch's random state."""
    tensors = {
        name: (id(t), t.tolist(), t.requires_grad, t._version if not t.is_inference() else 0, id(t.grad), t.data_ptr())
        for name, t in [*module.named_parameters(), *module.named_buffers()]
    }
    parts = {}
    for path, part in module.named_modules():
        held = {k: [(n, id(v)) for n, v in d.items()] if isinstance(d, dict) else id(d) for k, d in vars(part).items()}
        parts[path] = (id(part), part.training, held)
    return tensors, parts, torch.get_rng_state().tolist()


def truth(module, x):
    """What the module itself gives in evaluation mode, found on a twin where the pass would change it."""
    before, flags = copy.deepcopy(module.state_dict()), [part.training for part in module.modules()]
    module.eval()
    with torch.no_grad():
        out = module(x)
    module.load_state_dict(before)
    for part, flag in zip(module.modules(), flags, strict=True):
        part.training = flag
    return out


def check(module, expected=None):
    """The scores are the expected ones, and the module is as before, to the bit."""
    net = cx.Network(module, size=SIDE)
    x = net.feed(net.pixels_of(IMAGE))
    expected = truth(module, x) if expected is None else expected(x)
    module.train()
    before = state_of(module)
    got = net.activations(IMAGE, net.scores.name)
    assert state_of(module) == before
    assert torch.allclose(got, expected, rtol=1e-4, atol=1e-4)
    return net


# activations that were kept


@dataclasses.dataclass
class Record:
    tensor: torch.Tensor
    more: dict


class Slotted:
    __slots__ = ("tensor",)

    def __init__(self, tensor):
        self.tensor = tensor


def boxed(h):
    found = np.empty(2, dtype=object)
    found[0] = h
    return found


Pair = collections.namedtuple("Pair", "first second")
KEEPERS = {
    "attribute": lambda h: h, "list": lambda h: [h], "dict": lambda h: {"h": h},
    "nested": lambda h: {"a": [(h, {1: h})]},
    "tuple": lambda h: (h, 2), "dataclass": lambda h: Record(h, {"h": [h]}), "slots": Slotted,
    "deque": lambda h: collections.deque([h], 3), "ordered": lambda h: collections.OrderedDict(h=h),
    "default": lambda h: collections.defaultdict(list, h=[h]), "named tuple": lambda h: Pair(h, [h]),
    "array": lambda h: boxed(h), "namespace": lambda h: types.SimpleNamespace(h=h),
    "graph": lambda h: h.grad_fn is not None and [h.sum()], "partial": lambda h: functools.partial(torch.add, h),
    "view": lambda h: h[:, :1], "method": lambda h: h.detach,
}  # fmt: skip


@pytest.mark.parametrize("keep", KEEPERS)
def test_activations_that_a_module_kept(keep):
    module = Net()
    module.kept = None
    forward = Net.forward

    class Keeping(Net):
        def forward(self, x):
            self.kept = KEEPERS[keep](self.conv(x))
            return forward(self, x)

    module.__class__ = Keeping
    module(torch.rand(2, 3, SIDE, SIDE))
    kept = module.kept
    check(module)
    assert module.kept is not kept or keep  # `check` itself runs the module
    module(torch.rand(2, 3, SIDE, SIDE))
    kept = module.kept
    cx.Network(module, size=SIDE).predict(IMAGE)
    assert module.kept is kept


def test_a_loss_that_was_kept_can_still_be_used():
    module = Net()
    module.losses = [module(torch.rand(2, 3, SIDE, SIDE)).sum()]
    cx.Network(module, size=SIDE).predict(IMAGE)
    module.losses[0].backward()
    assert module.conv.weight.grad is not None


# hooks of the user


class Watcher:
    def __init__(self, module):
        self.out, self.calls, self.module = None, 0, module
        self.handle = module.conv.register_forward_hook(self.look)

    def look(self, module, args, output):
        self.out = output
        self.calls += 1


SEEN = []


def note(module, args, output):
    SEEN.append(output.shape)
    print("a hook of the user's")


def observing(module):
    """Every usual way to look at activations; what was seen is counted by the function returned."""
    seen, counts, named_ones, file = [], {"n": 0}, {}, collections.Counter()
    watcher = Watcher(module)

    class Called:
        def __init__(self):
            self.seen = []

        def __call__(self, m, i, o):
            self.seen.append(o.detach().cpu().numpy())

    called = Called()

    @torch.no_grad()
    def under_no_grad(m, i, o):
        named_ones["mean"] = o.mean().item()

    def count(m, i, o):
        counts["n"] += 1

    def unclear(m, i, o):
        file.update([type(m).__name__])
        return None if len(o) else o

    module.conv.register_forward_hook(lambda m, i, o: seen.append(o))
    module.conv.register_forward_hook(note)
    module.conv.register_forward_hook(called)
    module.bn.register_forward_hook(under_no_grad)
    module.bn.register_forward_hook(count)
    module.bn.register_forward_hook(unclear)
    module.fc.register_forward_pre_hook(lambda m, i: seen.extend(i))
    module.fc.register_forward_pre_hook(functools.partial(lambda store, m, i: store.append(1), seen))
    module.fc.register_full_backward_hook(lambda m, i, o: seen.append(o))
    return lambda: (
        len(seen), dict(counts), dict(named_ones), dict(file), watcher.calls, watcher.out, len(called.seen), len(SEEN)
    )  # fmt: skip


def test_observing_hooks_see_nothing(capsys):
    module = Net()
    seen = observing(module)
    before = seen()
    net = cx.Network(module, size=SIDE)
    net.predict(IMAGE)
    cx.attribute(net, IMAGE, 1)
    assert seen() == before
    assert "a hook" not in capsys.readouterr().out
    module(torch.rand(2, 3, SIDE, SIDE))  # the user's own pass
    assert seen() != before
    assert "a hook" in capsys.readouterr().out


def doubled(module, args, output):
    return output * 2


def zeroed(module, args, output):
    output[:, 1] = 0


def scaled_in_place(module, args, output):
    output.mul_(3)


def through_data(module, args, output):
    kept = output.data
    kept[:, 0].zero_()


def helped(module, args, output):
    scaled_in_place(module, args, output)


class Ablation:
    def __init__(self):
        self.unit, self.calls = 2, 0

    def __call__(self, module, args, output):
        self.calls += 1
        output[:, self.unit] = 0


CHANGING = {
    "returns": doubled, "in place": zeroed, "method": scaled_in_place, "data": through_data, "helper": helped,
    "object": Ablation(), "lambda": lambda m, i, o: o.add_(1), "bound": Ablation().__call__,
    "partial": functools.partial(lambda k, m, i, o: o * k, 5), "no grad": torch.no_grad()(zeroed),
    "loop": lambda m, i, o: [t.mul_(2) for t in o] and None,
}  # fmt: skip


@pytest.mark.parametrize("kind", CHANGING)
def test_hooks_that_change_outputs_stay(kind):
    module = Net()
    plain = truth(module, torch.ones(1, 3, SIDE, SIDE))
    module.conv.register_forward_hook(CHANGING[kind])
    assert not torch.allclose(truth(module, torch.ones(1, 3, SIDE, SIDE)), plain)
    calls = getattr(CHANGING[kind], "calls", None)
    check(module, lambda x: truth(module, x))
    if calls is not None:
        calls = CHANGING[kind].calls
        cx.Network(module, size=SIDE).predict(IMAGE)
        assert CHANGING[kind].calls == calls  # the object in the copy counts


def test_a_hook_that_changes_outputs_writes_into_a_copy_of_the_users_list():
    module, kept = Net(), []

    def hook(m, i, o):
        kept.append(o)
        return o * 2

    module.conv.register_forward_hook(hook)
    net = cx.Network(module, size=SIDE)
    x = net.feed(net.pixels_of(IMAGE))
    expected = truth(module, x)
    kept.clear()
    assert torch.allclose(net.activations(IMAGE, "fc2"), expected, rtol=1e-4, atol=1e-4)
    assert kept == []


def test_hooks_that_the_forward_pass_needs_stay():
    class Reads(nn.Module):
        """A decoder that finds the maps of the encoder where a hook left them."""

        def __init__(self):
            super().__init__()
            self.a, self.b, self.fc = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3), nn.Linear(8, 2)
            self.maps = {}
            for name in ("a", "b"):
                getattr(self, name).register_forward_hook(self.keep(name))

        def keep(self, name):
            maps = self.maps

            def hook(m, i, o):
                maps[name] = o

            return hook

        def forward(self, x):
            self.b(self.a(x))
            return self.fc(torch.cat([self.maps[k].mean((2, 3)) for k in "ab"], 1))

    module = Reads()
    module(torch.rand(1, 3, SIDE, SIDE))
    kept = dict(module.maps)
    net = cx.Network(module, size=SIDE)
    x = net.feed(net.pixels_of(IMAGE))
    with torch.no_grad():
        a = module.a(x)
        expected = module.fc(torch.cat([a.mean((2, 3)), module.b(a).mean((2, 3))], 1))
    module.maps.clear()
    module.maps.update(kept)
    assert torch.allclose(net.activations(IMAGE, net.scores.name), expected, rtol=1e-4, atol=1e-4)
    assert all(module.maps[k] is kept[k] for k in kept)


def test_what_counts_as_observing():
    store, table = [], {}
    module = Net()

    def conditional(m, i, o):
        if o.ndim == 4:
            return o * 2

    def attribute(m, i, o):
        m.last = o

    def weights(m, i, o):
        module.fc.weight.data[0] = 0

    def alias(m, i, o):
        first = o[0]
        first -= 1

    def walrus(m, i, o):
        if (t := o.view(-1)) is not None:
            t[0] = 1

    yes = [
        lambda m, i, o: store.append(o), lambda m, i, o: print(o.shape), lambda m, i, o: table.update(x=o.detach()),
        lambda *a: None, note, store.append, Watcher(module).look, functools.partial(print, "x"),
    ]  # fmt: skip
    no = [
        lambda m, i, o: o, lambda m, i, o: o.mul_(2), conditional, attribute, weights, alias, walrus, zeroed,
        lambda m, i, o: store.pop(), lambda m, i, o: F.relu(o, True), eval("lambda m, i, o: None"),
        Ablation(), lambda m, i, o: table.setdefault("x", o), through_data, helped,
    ]  # fmt: skip
    for hook in yes:
        assert only_observes(hook), hook
    for hook in no:
        assert not only_observes(hook), hook


# a forward that was wrapped


def by_closure(module):
    inner = module.bn.forward
    module.bn.forward = lambda *args: inner(*args)


def by_default(module):
    def forward(x, inner=module.bn.forward):
        return inner(x)

    module.bn.forward = forward


def by_keyword_default(module):
    def forward(x, *, inner=module.bn):
        return nn.BatchNorm2d.forward(inner, x)

    module.bn.forward = forward


def by_partial(module):
    module.bn.forward = functools.partial(nn.BatchNorm2d.forward, module.bn)


def by_method(module):
    def forward(self, x):
        return old(x)

    old = module.bn.forward
    module.bn.forward = types.MethodType(forward, module.bn)


def as_accelerate_does(module):
    def new_forward(part, *args, **kwargs):
        return part._old_forward(*args, **kwargs)

    module.bn._old_forward = module.bn.forward
    module.bn.forward = functools.update_wrapper(functools.partial(new_forward, module.bn), module.bn.forward)


def by_wraps(module):
    old = module.bn.forward

    @functools.wraps(old)
    def forward(*args):
        with torch.enable_grad():
            return old(*args)

    module.bn.forward = forward


def by_list(module):
    steps = [lambda x: module.conv(x), module.bn, torch.relu]
    module.steps = steps
    module.forward = lambda x: module.fc(functools.reduce(lambda v, f: f(v), module.steps, x).mean((2, 3)))


def by_object(module):
    class Wrapper:
        def __init__(self, inner):
            self.inner = inner

        def __call__(self, x):
            return self.inner(x)

    module.bn.forward = Wrapper(module.bn.forward)


def by_weak_reference(module):
    module.bn.parent = weakref.ref(module)
    module.bn.forward = lambda x, part=module.bn: F.batch_norm(
        x, part.parent().bn.running_mean, part.parent().bn.running_var, part.weight, part.bias, part.training
    )


def by_weak_method(module):
    module.old = weakref.WeakMethod(module.bn.forward)
    module.bn.forward = lambda x: module.old()(x)


def by_weak_values(module):
    module.parts = weakref.WeakValueDictionary(bn=module.bn)
    module.forward = lambda x: module.fc(module.parts["bn"](module.conv(x)).relu().mean((2, 3)))


def by_class_instance(module):
    holder = types.SimpleNamespace(part=module.bn)
    module.bn.forward = lambda x: nn.BatchNorm2d.forward(holder.part, x)


def by_counter(module):
    calls = 0
    old = module.bn.forward

    def forward(x):
        nonlocal calls
        calls += 1
        module.total = calls
        return old(x)

    module.bn.forward = forward


def by_functions_of_functions(module):
    old = module.bn.forward

    def inner(x):
        return old(x)

    def outer(x, depth=0):
        return inner(x) if depth else outer(x, 1)

    module.bn.forward = outer


def by_twice(module):
    for _ in range(3):
        by_wraps(module)


KEPT = {}


def by_global(module):
    KEPT["inner"] = module.bn.forward
    module.bn.forward = lambda x: KEPT["inner"](x)


def by_global_function(module):
    KEPT["inner"] = module.bn.forward
    module.bn.forward = through_global


def through_global(x):
    return again_through_global(x)


def again_through_global(x):
    return KEPT["inner"](x)


WRAPPED = [
    by_closure, by_default, by_keyword_default, by_partial, by_method, as_accelerate_does, by_wraps, by_list, by_object,
    by_weak_reference, by_weak_method, by_weak_values, by_class_instance, by_counter, by_functions_of_functions,
    by_twice, by_global, by_global_function,
]  # fmt: skip


@pytest.mark.parametrize("wrap", WRAPPED)
def test_a_wrapped_forward_runs_the_copy(wrap):
    module = Net()
    plain = copy.deepcopy(module)
    wrap(module)
    net = check(module, lambda x: truth(plain, x))
    with torch.no_grad():
        module.conv.weight.mul_(2)
        plain.conv.weight.mul_(2)
    x = net.feed(net.pixels_of(IMAGE))
    got = net.activations(IMAGE, net.scores.name)
    assert torch.allclose(got, truth(plain, x), rtol=1e-4, atol=1e-4)  # and follows the weights


@pytest.mark.skipif(not COMPILES, reason="this torch cannot compile on this Python")
def test_a_compiled_module_and_function():
    module = Net()
    plain = copy.deepcopy(module)
    module.bn = torch.compile(module.bn, backend="eager")
    check(module, lambda x: truth(plain, x))
    module = Net()
    plain = copy.deepcopy(module)
    module.bn.forward = torch.compile(module.bn.forward, backend="eager")
    check(module, lambda x: truth(plain, x))
    check(torch.compile(copy.deepcopy(plain), backend="eager"), lambda x: truth(plain, x))


OUTSIDE = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3))


class UsesOutside(Net):
    def forward(self, x):
        return super().forward(OUTSIDE(x))


def test_a_module_outside_of_the_module_is_not_changed(refused):
    before = state_of(OUTSIDE.train())[:2]
    refused(cx.NetworkError, lambda: cx.Network(UsesOutside(), size=SIDE).layers, "UsesOutside", "training mode")
    assert state_of(OUTSIDE)[:2] == before
    OUTSIDE.eval()
    net = cx.Network(UsesOutside().eval(), size=SIDE)
    x = net.feed(net.pixels_of(IMAGE))
    assert torch.allclose(net.activations(IMAGE, net.scores.name), truth(net.module, x), rtol=1e-4, atol=1e-4)


# what is not registered, tied, computed or written


def test_modules_in_a_plain_list_keep_their_mode():
    module = Net()
    module.hidden = [nn.BatchNorm2d(3).eval(), nn.Dropout(0.5).eval()]
    module.hidden[0].running_mean.add_(5)
    module.forward = types.MethodType(lambda self, x: Net.forward(self, self.hidden[1](self.hidden[0](x))), module)
    net = check(module)
    hidden = state_of(module.hidden[0])
    with torch.no_grad():
        module.hidden[0].weight.mul_(3)
    x = net.feed(net.pixels_of(IMAGE))
    assert torch.allclose(net.activations(IMAGE, net.scores.name), truth(module, x), rtol=1e-4, atol=1e-4)
    assert state_of(module.hidden[0])[1] == hidden[1]


def test_tied_weights_stay_tied():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.fc = nn.Conv2d(3, 3, 3), nn.Conv2d(3, 3, 3), nn.Linear(3, 2)
            self.b.weight = self.a.weight

        def forward(self, x):
            return self.fc(self.b(self.a(x)).mean((2, 3)))

    module = Tied()
    copied = weight_sharing_copy(module)
    assert copied.a.weight is copied.b.weight
    assert copied.a.weight.data_ptr() == module.a.weight.data_ptr()
    assert copied.a.weight is not module.a.weight
    assert not copied.a.weight.requires_grad
    check(module)


def parametrised(kind):
    module = Net()
    if kind == "prune":
        prune.l1_unstructured(module.conv, "weight", 0.5)
    elif kind == "custom prune":
        prune.custom_from_mask(module.fc, "weight", torch.tensor([[1.0, 0, 1, 0]] * 3))
    else:
        part = module.fc if "linear" in kind else module.conv
        {
            "weight norm": weight_norm, "spectral norm": spectral_norm, "new weight norm": parametrizations.weight_norm,
            "new spectral norm": parametrizations.spectral_norm, "orthogonal linear": parametrizations.orthogonal,
        }[kind](part)  # fmt: skip
    return module


@pytest.mark.parametrize(
    "kind",
    [
        "weight norm",
        "spectral norm",
        "new weight norm",
        "new spectral norm",
        "orthogonal linear",
        "prune",
        "custom prune",
    ],
)
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_parametrised_and_pruned_modules(kind):
    module = parametrised(kind)
    module(torch.rand(2, 3, SIDE, SIDE)).sum().backward()  # the computed weight is no leaf
    check(module)


class Writes(Net):
    """Writes into buffers, attributes and, in place, into its own weights."""

    def __init__(self, weights):
        super().__init__()
        self.register_buffer("passes", torch.zeros(()))
        self.mean, self.weights, self.log = torch.zeros(4), weights, []

    def forward(self, x):
        self.passes += 1
        self.log.append(1)
        if self.weights == "data":
            self.conv.weight.data.clamp_(-0.05, 0.05)
        elif self.weights == "no_grad":
            with torch.no_grad():
                self.fc.weight /= self.fc.weight.norm()
        elif self.weights == "view":
            self.conv.weight.detach()[0].zero_()
        h = self.conv(x)
        self.mean.mul_(0.9).add_(h.detach().mean((0, 2, 3)), alpha=0.1)
        return self.fc(self.bn(h).relu().mean((2, 3)))


@pytest.mark.parametrize("weights", ["", "data", "no_grad", "view"])
def test_a_forward_that_writes(weights):
    module = Writes(weights)
    twin = copy.deepcopy(module)
    before, mean = state_of(module), module.mean.clone()
    net = cx.Network(module, size=SIDE)
    x = net.feed(net.pixels_of(IMAGE))
    got = net.activations(IMAGE, net.scores.name)
    assert state_of(module) == before
    assert torch.equal(module.mean, mean)
    assert torch.allclose(got, truth(twin, x), rtol=1e-4, atol=1e-4)
    run = cx.Inversion(net, IMAGE, net.scores.name, steps=2, refine=0)
    run.advance()
    assert state_of(module) == before


def test_weights_of_inference_mode():
    with torch.inference_mode():
        module = Net().eval()
    net = cx.Network(module, size=SIDE)
    x = net.feed(net.pixels_of(IMAGE))
    with torch.inference_mode():
        expected = module(x)
    assert torch.allclose(net.activations(IMAGE, net.scores.name), expected, rtol=1e-4, atol=1e-4)
    assert np.abs(cx.attribute(net, IMAGE, 1).map).max() > 0  # a gradient flows


# awkward things


class Counting(torch.nn.Parameter):
    pass


def with_lock(module):
    module.lock, module.again = threading.Lock(), threading.RLock()
    module.condition, module.event = threading.Condition(), threading.Event()
    module.forward = types.MethodType(locked, module)
    module.lock.acquire()  # the copy has one of its own, which is free


def locked(self, x):
    with self.lock if not self.training else self.again, self.again, self.condition:
        return Net.forward(self, x)


def with_generator(module):
    module.generator = torch.Generator().manual_seed(3)
    module.forward = types.MethodType(noisy, module)


def noisy(self, x):
    return Net.forward(self, x * torch.rand((), generator=self.generator))


def test_locks_are_copied_free():
    module = Net()
    with_lock(module)
    net = cx.Network(module, size=SIDE)
    x = net.feed(net.pixels_of(IMAGE))
    got = net.activations(IMAGE, net.scores.name)
    assert module.lock.locked()
    module.lock.release()
    assert torch.allclose(got, truth(module, x), rtol=1e-4, atol=1e-4)


def test_a_random_generator_is_copied():
    module = Net()
    with_generator(module)
    state = module.generator.get_state()
    net = cx.Network(module, size=SIDE)
    x = net.feed(net.pixels_of(IMAGE))
    got = net.activations(IMAGE, net.scores.name)
    assert torch.equal(module.generator.get_state(), state)
    assert torch.allclose(got, truth(module, x), rtol=1e-4, atol=1e-4)


def test_what_cannot_be_copied_is_named(refused, tmp_path):
    for make in (lambda: (k for k in range(3)), lambda: (tmp_path / "log").open("w"), lambda: memoryview(b"a")):
        module = Net()
        module.bn.odd = make()
        sentence = refused(cx.NetworkError, lambda module=module: cx.Network(module, size=SIDE).layers, "'bn.odd'")
        assert "cannot be copied" in sentence
        if hasattr(module.bn.odd, "close"):
            module.bn.odd.close()


def test_classes_with_their_own_ways():
    class ReturnsItself(Net):
        def __deepcopy__(self, memo):
            return self

    class Forwarding(nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def __getattr__(self, name):
            try:
                return super().__getattr__(name)
            except AttributeError:
                return getattr(super().__getattr__("inner"), name)

        def forward(self, x):
            return self.fc(self.bn(self.conv(x)).relu().mean((2, 3)))

    class Slots(Net):
        __slots__ = ("scale",)

        def __init__(self):
            super().__init__()
            self.scale = 3.0

        def forward(self, x):
            return super().forward(x * self.scale)

    check(Forwarding(Net()))
    check(Slots())
    check(ReturnsItself())
    check(nn.Sequential(ReturnsItself(), nn.Linear(3, 2)))


def test_subclasses_of_parameter():
    module = Net()
    module.fc.weight = Counting(module.fc.weight.detach().clone())
    module.fc.weight.note = "kept"
    check(module)
    copied = weight_sharing_copy(module)
    assert type(copied.fc.weight) is Counting
    assert copied.fc.weight.note == "kept"


def test_wrappers_of_several_devices():
    module = Net()
    plain = copy.deepcopy(module)
    net = check(nn.DataParallel(module), lambda x: truth(plain, x))
    assert "module.conv" in [layer.path for layer in net.layers.values()]


# training goes on


def test_a_probe_follows_the_module():
    module = Net()
    net = cx.Network(module, size=SIDE)
    x = net.feed(net.pixels_of(IMAGE))
    probe = net.probe(net.scores.name)
    optimizer = torch.optim.SGD(module.parameters(), 0.1)

    def same():
        with torch.no_grad():
            return torch.allclose(probe(x)[net.scores.name], truth(module, x), rtol=1e-4, atol=1e-4)

    assert same()
    module.train()(torch.rand(4, 3, SIDE, SIDE)).square().sum().backward()
    optimizer.step()  # weights, and the statistics of the normalisation
    assert same()
    module.load_state_dict({k: v * 0.5 if v.is_floating_point() else v for k, v in module.state_dict().items()})
    assert same()
    module.fc.weight.data = torch.rand(3, 4)
    assert same()
    module.bn.running_mean = torch.rand(4)  # another buffer in its place
    assert same()
    module.fc.weight = nn.Parameter(torch.rand(3, 4))
    assert same()
    module.double().float()  # each tensor has other memory
    assert same()
