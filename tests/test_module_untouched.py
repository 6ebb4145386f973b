"""The user's module comes back as it was: one test for every public function, after success and after failure."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import cnnexplore as cx
from cnnexplore.styles.masked_pass import relu_masks

SIDE = 16
IMAGE = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
OTHERS = list(np.random.default_rng(1).integers(0, 256, (4, SIDE, SIDE, 3), dtype=np.uint8))
CONCEPTS = cx.world.dataset(4, 1, SIDE)


# What is done to a module, by public name; net: a Network that is not traced yet, folder: for files.

CALLS = {
    "Network": lambda net, folder: repr(net),
    "Network.activations": lambda net, folder: net.activations(IMAGE, ["relu", "fc"]),
    "Network.to_python": lambda net, folder: net.to_python(),
    "Network.device": lambda net, folder: net.device,
    "Network.dtype": lambda net, folder: net.dtype,
    "Network.memory_format": lambda net, folder: net.memory_format,
    "Network.feed": lambda net, folder: net.feed(net.pixels_of(IMAGE)),
    "Network.layers": lambda net, folder: repr(net.layers),
    "Network.operations": lambda net, folder: net.operations()["conv2"],
    "Network.picture": lambda net, folder: net.picture(net.pixels_of(IMAGE)),
    "Network.pixels_of": lambda net, folder: net.pixels_of([IMAGE, IMAGE]),
    "Network.scores": lambda net, folder: net.scores,
    "Network.output": lambda net, folder: net.output,
    "Network.predict": lambda net, folder: net.predict(IMAGE),
    "Network.probe": lambda net, folder: [net.probe("conv2")(net.pixels_of(IMAGE)) for _ in range(2)],
    "Inversion": lambda net, folder: begin(net),
    "Inversion.advance": lambda net, folder: begin(net).advance(),
    "Inversion.to_python": lambda net, folder: begin(net).to_python(),
    "Inversion.data_term": lambda net, folder: begin(net).data_term(net.pixels_of(IMAGE)),
    "Inversion.errors": lambda net, folder: begin(net).errors,
    "Inversion.canvas": lambda net, folder: begin(net).canvas,
    "Inversion.energy": lambda net, folder: (run := begin(net), run.energy(run.canvas, run.settings.snapshot())),
    "Inversion.finish": lambda net, folder: begin(net).finish(False),
    "Inversion.parameters_for": lambda net, folder: begin(net).parameters_for(),
    "Inversion.term_names": lambda net, folder: begin(net).term_names,
    "Inversion.frames": lambda net, folder: [frame.picture for frame in begin(net).frames()],
    "Inversion.history": lambda net, folder: (run := begin(net), run.advance(), run.history),
    "Inversion.applied": lambda net, folder: (run := begin(net), run.advance(), run.applied),
    "Inversion.captured": lambda net, folder: (run := begin(net), run.advance(), run.captured),
    "Inversion.lengthen": lambda net, folder: (run := begin(net), run.lengthen(4), run.finish(False)),
    "Inversion.pause": lambda net, folder: (run := begin(net), run.pause(), run.advance()),
    "Inversion.paused": lambda net, folder: begin(net).paused,
    "Inversion.records": lambda net, folder: (run := begin(net), run.advance(), run.records()),
    "Inversion.restore": lambda net, folder: (run := begin(net), run.advance(), begin(net).restore(run.state())),
    "Inversion.result": lambda net, folder: (run := begin(net), run.advance(), run.result()),
    "Inversion.resume": lambda net, folder: (run := begin(net), run.resume(), run.advance()),
    "Inversion.state": lambda net, folder: (run := begin(net), run.advance(), run.state()),
    "Inversion.stop": lambda net, folder: (run := begin(net), run.advance(), run.stop()),
    "Inversion.total": lambda net, folder: begin(net).total,
    "Inversion.x": lambda net, folder: begin(net).x,
    "invert": lambda net, folder: cx.invert(net, IMAGE, "conv2", seed=[0, 1], steps=2, refine=1, progress=False),
    "Maximization": lambda net, folder: wish(net),
    "Maximization.about": lambda net, folder: wish(net).about(),
    "Maximization.to_python": lambda net, folder: wish(net).to_python(),
    "Maximization.responses": lambda net, folder: wish(net).responses,
    "ask": lambda net, folder: cx.ask(net, "conv2", 1, OTHERS, k=2, steps=1, progress=False),
    "sanity_check": lambda net, folder: cx.sanity_check(net, OTHERS[:2], ["gradient"], progress=False),
    "maximize": lambda net, folder: cx.maximize(net, "conv2", [0, 1], steps=2, images=[IMAGE], progress=False),
    "Caricature": lambda net, folder: cx.Caricature(net, IMAGE, "conv2", steps=2),
    "Caricature.to_python": lambda net, folder: cx.Caricature(net, IMAGE, "conv2", steps=2).to_python(),
    "Caricature.responses": lambda net, folder: cx.Caricature(net, IMAGE, "conv2", steps=2).responses,
    "caricature": lambda net, folder: cx.caricature(net, IMAGE, "conv2", steps=2, progress=False),
    "PreImage": lambda net, folder: result(net),
    "PreImage.faded": lambda net, folder: result(net).faded,
    "PreImage.picture": lambda net, folder: result(net).picture,
    "PreImage.plot": lambda net, folder: result(net).plot(),
    "PreImage.to_python": lambda net, folder: result(net).to_python(),
    "PreImage.save": lambda net, folder: result(net).save(folder / "a.png"),
    **{
        f"attribute.{method}": lambda net, folder, method=method: cx.attribute(net, IMAGE, 1, method=method)
        for method in cx.attribution_methods()
        if method not in ("cam", "smoothgrad", "integrated_gradients")
    },
    "attribute.unit": lambda net, folder: cx.attribute(net, IMAGE, layer="conv2", unit=1, method="guided_backprop"),
    "attribute.cam": lambda net, folder: without_pooling(net),
    "attribute.smoothgrad": lambda net, folder: cx.attribute(net, IMAGE, 1, method="smoothgrad", samples=2),
    "attribute.integrated_gradients": lambda net, folder: cx.attribute(
        net, IMAGE, 1, method="integrated_gradients", steps=3
    ),
    "Attribution": lambda net, folder: cx.attribute(net, IMAGE),
    "Attribution.box": lambda net, folder: cx.attribute(net, IMAGE).box(),
    "Attribution.in_short": lambda net, folder: cx.attribute(net, IMAGE).in_short,
    "Attribution.overlay": lambda net, folder: cx.attribute(net, IMAGE).overlay(),
    "Attribution.picture": lambda net, folder: cx.attribute(net, IMAGE).picture,
    "Attribution.plot": lambda net, folder: cx.attribute(net, IMAGE).plot(),
    "Attribution.save": lambda net, folder: cx.attribute(net, IMAGE).save(folder / "a.png"),
    "Attribution.to_python": lambda net, folder: cx.attribute(net, IMAGE).to_python(),
    "Attribution.segment": lambda net, folder: cx.attribute(net, IMAGE).segment(),
    "activation_maps": lambda net, folder: cx.activation_maps(net, IMAGE, "conv2"),
    "discrepancy_maps": lambda net, folder: cx.discrepancy_maps(net, IMAGE, "conv", 1, patch=4, stride=4),
    "filters": lambda net, folder: cx.filters(net, "conv2"),
    "minimal_image": lambda net, folder: cx.minimal_image(net, IMAGE, segments=4, progress=False),
    "neighbours": lambda net, folder: cx.neighbours(net, IMAGE, None, [IMAGE, 255 - IMAGE], k=1, progress=False),
    "receptive_field": lambda net, folder: cx.receptive_field(net, "conv", 1, [IMAGE, 255 - IMAGE], progress=False),
    "top_patches": lambda net, folder: cx.top_patches(net, "conv2", None, [IMAGE], progress=False).projections(1),
    "unit_segments": lambda net, folder: cx.unit_segments(net, "conv2", 1, [IMAGE], progress=False),
    "Decoding": lambda net, folder: cx.decode(net, "conv2", unpool="nearest").threshold().plot(),
    "decode": lambda net, folder: cx.decode(net, "conv2"),
    "decode_activation": lambda net, folder: cx.decode_activation(net, "conv2", net.activations(IMAGE, "conv2")),
    "features": lambda net, folder: codes(net, IMAGE, 255 - IMAGE),
    "cone": lambda net, folder: cx.cone(codes(net, IMAGE, IMAGE), pairs=[(0, 1)]),
    "visualize_topic": lambda net, folder: cx.visualize_topic(
        cx.topics(codes(deeper(net), IMAGE, 255 - IMAGE), 1), 0, steps=2, progress=False
    ),
    "retrieve": lambda net, folder: cx.retrieve(cx.topics(codes(net, IMAGE, 255 - IMAGE), 1), IMAGE),
    "Pathway": lambda net, folder: [
        relu_masks(net, IMAGE),
        cx.maximize(net, net.scores.name, 1, M=1.0, steps=2, pathway=cx.Pathway.location(2, 3, 5), progress=False),
    ],
    "PatchDatabase": lambda net, folder: patches(net),
    "PatchDatabase.init": lambda net, folder: patches(net).init(net.pixels_of(IMAGE)),
    "PatchDatabase.neighbours": lambda net, folder: patches(net).neighbours(IMAGE, 2),
    "PatchDatabase.prior": lambda net, folder: [
        cx.invert(net, IMAGE, "conv2", steps=2, patches=patches(net), init="patches", progress=False),
        cx.maximize(net, "fc", 1, M=1.0, steps=2, patches=cx.PatchDatabase(net, OTHERS, size=5), progress=False),
    ],
    "complete": lambda net, folder: fill(net).finish(False),
    "salient_part": lambda net, folder: cx.salient_part(net, IMAGE),
    "Completion": lambda net, folder: fill(net),
    "Completion.to_python": lambda net, folder: fill(net).to_python(),
    "Completion.class_name": lambda net, folder: fill(net).class_name,
    "Completion.probability": lambda net, folder: fill(net).probability(IMAGE),
    "figure": lambda net, folder: [
        cx.figure("preimage2016.1", net, IMAGE, layer="fc", steps=1, progress=False),
        cx.figure("inverting2015.6", net, IMAGE, layers=["fc"], steps=1, progress=False),
    ],
    "dissect": lambda net, folder: cx.dissect(net, "conv2", CONCEPTS, null="rotation", cache=False, progress=False),
    "intervene": lambda net, folder: cx.intervene(net, OTHERS, "conv2", unit=[0, 1], progress=False),
    "gallery": lambda net, folder: cx.gallery(net, "conv2", [0, 1], steps=1, cache=folder, progress=False),
    "facets": lambda net, folder: cx.facets(net, "conv2", 1, OTHERS, k=2, steps=4, progress=False),
    "evolution": lambda net, folder: cx.evolution([net], "conv2", 1, OTHERS, progress=False),
    "finetune": lambda net, folder: cx.finetune(
        net, [(image, k % 2) for k, image in enumerate(OTHERS)], epochs=1, batch=2, progress=False
    ),
    "unit_changes": lambda net, folder: cx.unit_changes(net, net, "conv2", OTHERS, most=1, k=1, progress=False),
    "score": lambda net, folder: (setattr(net, "labels", list(cx.world.CLASSES)), cx.score(net, n=2)),
}  # fmt: skip
PANELS = (
    "InversionPanel", "MaximizePanel", "CaricaturePanel", "DecodingPanel", "AttributionPanel", "StylePanel",
    "PathwayPanel", "CompletionPanel", "UnitPanel", "explore",
)  # fmt: skip
ELSEWHERE = dict.fromkeys(PANELS, "tests/widgets")
TAKE_NO_MODULE = {
    "ExploreError", "ExploreWarning", "LayerNotFound", "LayerError", "ImageError", "SettingError", "NetworkError",
    "WeightsError", "WorkerError",
    "DivergedError", "Layer", "Pixels", "load", "networks", "masks", "solvers", "photograph", "photographs", "digit",
    "scene", "world", "attribution_methods", "annotated", "UnitGrid", "digits", "PatchIndex",
    "Features", "Topic", "Topics", "TopicCurve", "Embedding", "Retrieved", "Completed", "Cone", "topics", "topic_curve",
    "embed", "register_attribution", "ConceptImages", "Dissection", "DissectionComparison", "Evolution", "FacetCurve",
    "Facets", "Finetuning", "Gallery", "Intervention", "SanityCheck",
    "UnitChanges", "UnitReport", "compare_dissections",
    "concept_images", "inverters", "from_picture", "SavedPicture", "Exercise",
}  # fmt: skip
RUN_NOTHING = {"Network.to_python", "Network.dtype", "Network.device", "Network.picture", "Network.pixels_of"}


def without_pooling(net):
    with pytest.raises(cx.LayerError):
        cx.attribute(net, IMAGE, 1, method="cam")


def begin(net):
    return cx.Inversion(net, IMAGE, "conv2", steps=2, refine=1, jitter=2)


def codes(net, *images):
    return cx.features(net, list(images), cache=False, progress=False)


def deeper(net):
    """The module inside another one, which has a relu between two fully-connected layers."""
    with torch.random.fork_rng(devices=[]):
        return cx.Network(nn.Sequential(net.module, nn.ReLU(), nn.Linear(10, 3)), size=SIDE, pixels=net.pixels)


def patches(net):
    return cx.PatchDatabase(net, OTHERS, "conv2", k=2, size=5, cache=False, progress=False)


def wish(net):
    return cx.Maximization(net, "conv2", 1, steps=2, jitter=2, images=[IMAGE])


def fill(net):
    return cx.Completion(net, IMAGE, (4, 4, 12, 12), cx.Pathway.location(2, 3, 5), target=1, steps=2, jitter=2, M=1.0)


def result(net):
    return cx.invert(net, IMAGE, "conv2", steps=2, refine=1, progress=False)


def test_the_table_is_complete():
    """A new public name belongs into one of the lists above, and a new public method into the table."""
    tested = {name.split(".")[0] for name in CALLS}
    assert tested | set(ELSEWHERE) | TAKE_NO_MODULE == set(cx.__all__)
    assert not (tested & TAKE_NO_MODULE)
    assert not (tested & set(ELSEWHERE))
    shared = set(dir(cx.Inversion)) - set(vars(cx.Inversion))  # tested with Inversion
    for kind in (
        cx.Network, cx.Inversion, cx.PreImage, cx.Maximization, cx.Caricature, cx.Completion, cx.Attribution,
    ):  # fmt: skip
        names = set(dir(kind)) - set(getattr(kind, "__dataclass_fields__", ()))
        names -= shared if kind in (cx.Maximization, cx.Caricature, cx.Completion) else set()
        public = {f"{kind.__name__}.{name}" for name in names if not name.startswith("_")}
        assert public == {name for name in CALLS if name.startswith(f"{kind.__name__}.")}


FUSE = {"left": None, "error": None, "calls": 0}  # the copy that cnnexplore runs finds it here as the module does


class Fuse(nn.Module):
    """Fails in the k-th forward pass that comes by."""

    def forward(self, x):
        FUSE["calls"] += 1
        if FUSE["left"] is not None:
            FUSE["left"] -= 1
            if FUSE["left"] < 0:
                raise FUSE["error"]
        return x.mul_(1.0)


class Difficult(nn.Module):
    """In training mode, with all that a careless library would change."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.bn = nn.BatchNorm2d(4)
        self.relu = nn.ReLU(inplace=True)
        self.drop = nn.Dropout(0.5, inplace=True)
        self.frozen = nn.Conv2d(4, 4, 3, padding=1).requires_grad_(False)
        self.norm = nn.BatchNorm2d(4, momentum=None).eval()
        self.fuse = Fuse()
        self.fc = nn.Linear(4 * 14 * 14, 10)
        self.register_buffer("scale", torch.tensor(0.5))
        self.passes, self.kept = 0, []

    def forward(self, x):
        self.passes += 1
        x = self.relu(self.bn(self.conv(x)))
        y = self.norm(self.frozen(x))
        y += x
        y = self.fuse(self.drop(F.relu_(y) * self.scale))
        self.kept.append(self.passes)
        return self.fc(self.relu(y).flatten(1))


def build():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = Difficult().train()
        module.norm.eval()
        module.handles = [
            module.conv.register_forward_hook(lambda m, args, out: None),
            module.fc.register_full_backward_hook(lambda m, before, after: None),
            module.register_forward_pre_hook(lambda m, args: None),
            module.relu.register_forward_hook(lambda m, args, out: out),
        ]
        module(torch.rand(2, 3, SIDE, SIDE)).sum().backward()  # there are gradients, and statistics of one batch
    return module


def state_of(module):
    """Everything about a module that could change, in a form that can be compared."""
    parts = {}
    for path, part in module.named_modules():
        entries = {}
        for key, value in vars(part).items():
            if isinstance(value, dict):  # hooks, parameters, buffers, submodules: the same things in the same order
                entries[key] = [(name, id(v)) for name, v in value.items()]
            elif isinstance(value, list):
                entries[key] = [id(v) for v in value]
            else:
                entries[key] = value  # training, inplace, p, momentum, counters
        parts[path] = (type(part), id(part), entries)
    tensors = {}
    for name, t in [*module.named_parameters(), *module.named_buffers()]:
        grad = None if t.grad is None else (id(t.grad), t.grad.tolist())
        tensors[name] = (id(t), t.data_ptr(), t.device, t.dtype, t.requires_grad, t._version, t.tolist(), grad)
    around = (
        torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.get_rng_state().tolist(),
        torch.get_default_dtype(), torch._C._len_torch_function_stack(), torch._C._len_torch_dispatch_stack(),
    )  # fmt: skip
    return {"parts": parts, "tensors": tensors, "around": around}


def network(module):
    return cx.Network(module, size=SIDE, pixels=cx.Pixels("RGB", (), (50, 60, 70)))


@pytest.fixture
def fuse():
    FUSE.update(left=None, error=None, calls=0)
    yield FUSE
    FUSE.update(left=None, error=None, calls=0)


@pytest.mark.parametrize("name", CALLS)
def test_after_success(name, fuse, tmp_path):
    module = build()
    fuse["calls"] = 0
    before = state_of(module)
    CALLS[name](network(module), tmp_path)
    assert state_of(module) == before
    assert (fuse["calls"] == 0) == (name in RUN_NOTHING)  # else the failures below would be none


@pytest.mark.parametrize("after", [0, 1, 2, 3])
@pytest.mark.parametrize("kind", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("name", [name for name in CALLS if name not in RUN_NOTHING])
def test_after_a_failure_inside_the_forward_pass(name, kind, after, fuse, tmp_path):
    module = build()
    before = state_of(module)
    fuse.update(left=after, error=kind("a fuse blew"))
    caught = None
    try:
        CALLS[name](network(module), tmp_path)
    except (kind, cx.ExploreError) as error:
        caught = error
    tried = kind is RuntimeError and after > 0  # a batch, or a crop, is a trial that a module may refuse
    assert (caught is None) == (fuse["left"] >= 0) or tried  # no other error is lost
    assert caught is None or "a fuse blew" in str(caught)
    assert caught is None or kind is not KeyboardInterrupt or type(caught) is kind  # nor made into another
    assert after or fuse["left"] < 0
    assert state_of(module) == before
    fuse.update(left=None)
    CALLS[name](network(module), tmp_path)  # and works again
    assert state_of(module) == before


def test_the_comparison_sees_what_changes():
    """Each of the things that a careless library does is noticed."""
    for change in (
        lambda m: m.eval(), lambda m: m.norm.train(), lambda m: setattr(m.relu, "inplace", False),
        lambda m: m.zero_grad(), lambda m: m.frozen.requires_grad_(True), lambda m: m.conv.weight.data.add_(1e-6),
        lambda m: m.bn.running_mean.add_(1e-6), lambda m: m.bn.num_batches_tracked.add_(1),
        lambda m: m.register_forward_hook(lambda *a: None), lambda m: m.handles[0].remove(),
        lambda m: m.conv.register_full_backward_hook(lambda *a: None), lambda m: m.drop.__setattr__("p", 0.1),
        lambda m: setattr(m, "relu", nn.ReLU(inplace=True)), lambda m: m.kept.append(1), lambda m: m.double(),
        lambda m: setattr(m, "note", 1), lambda m: m.conv.weight.grad.mul_(2), lambda m: setattr(m, "passes", 7),
        lambda m: torch.rand(1), lambda m: m.conv.weight.add_(0),
    ):  # fmt: skip
        module = build()
        before = state_of(module)
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            change(module)
            assert state_of(module) != before


def test_training_goes_on_between_steps(fuse):
    """A module that is probed while it is trained learns what it would have learned alone; and probes see it learn."""
    batches = [torch.rand(4, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(k)) for k in range(4)]

    def train(module, between):
        optimizer = torch.optim.SGD(module.parameters(), lr=0.05, momentum=0.9)
        torch.manual_seed(1)  # dropout
        for batch in batches:
            loss = module(batch).square().mean()
            between()  # after the forward pass: what autograd has kept must not be touched either
            optimizer.zero_grad()
            loss.backward()
            between()
            optimizer.step()
            between()
        return module

    alone = train(build(), lambda: None)
    module = build()
    net = network(module)
    run = cx.Inversion(net, IMAGE, "conv", steps=100, refine=0)
    codes = []

    def look():
        run.advance()
        codes.append(net.activations(IMAGE, "conv"))
        cx.invert(net, IMAGE, "fc", steps=1, refine=0, progress=False)

    train(module, look)
    for (name, a), b in zip(module.state_dict().items(), alone.state_dict().values(), strict=True):
        assert torch.equal(a, b), name
    assert torch.equal(codes[0], codes[1])  # no step between them
    assert not torch.equal(codes[1], codes[2])
    with torch.no_grad():
        expected = F.conv2d(net.pixels.feed(net.pixels_of(IMAGE)), module.conv.weight, module.conv.bias)
    assert torch.allclose(codes[-1], expected, rtol=1e-4, atol=1e-4)
    with torch.no_grad():  # a run under way sees the weights as they are now
        x = F.conv2d(net.pixels.feed(run.x), module.conv.weight, module.conv.bias)
    reference = run.loss.reference
    assert float(run.errors) == pytest.approx(float((x - reference).norm() / reference.norm()), rel=1e-4)


def test_a_network_trains_as_the_module_it_wraps():
    """Wrapping takes no part: the very same object is trained afterwards."""
    module = build()
    net = network(module)
    assert net.module is module
    net.activations(IMAGE, "fc")
    module(torch.rand(2, 3, SIDE, SIDE)).sum().backward()
    assert module.conv.weight.grad is not None


def test_moving_the_module_moves_the_network():
    module = build()
    net = network(module)
    assert net.device == torch.device("cpu")
    meta = build().to("meta")
    assert network(meta).device == torch.device("meta")
