"""Modules of others for the table: torchvision's, timm's, Hugging Face's, graph modules, and odd ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec

import torch
import torch.nn.functional as F
from rare_operations import MODULES as RARE
from torch import nn
from what_torch_can import SCRIPTS

ODD: dict[str, tuple[Callable[[], nn.Module], int]] = {}


def odd(size: int = 24) -> Callable[[type[nn.Module]], type[nn.Module]]:
    def add(kind: type[nn.Module]) -> type[nn.Module]:
        ODD[kind.__name__] = (kind, size)
        return kind

    return add


class Base(nn.Module):
    """Two convolutions and a classifier of five."""

    def __init__(self, channels: int = 3) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(channels, 6, 3, 2, 1), nn.Conv2d(6, 8, 3, padding=1)
        self.fc = nn.Linear(8, 5)

    def maps(self, x):
        return F.relu(self.conv2(F.relu(self.conv1(x))))

    def forward(self, x):
        return self.fc(self.maps(x).mean((2, 3)))


@odd()
class ViewedFlat(nn.Module):
    """Flattens with view, which needs contiguous maps."""

    def __init__(self):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 4, 3, 2), nn.Linear(4 * 11 * 11, 5)

    def forward(self, x):
        return self.fc(F.relu(self.conv(x)).view(x.shape[0], -1))


@odd()
class Prototypes(Base):
    """Ends in a product with class prototypes."""

    def __init__(self):
        super().__init__()
        self.prototypes = nn.Parameter(torch.randn(8, 5))

    def forward(self, x):
        return 10 * F.normalize(self.maps(x).mean((2, 3))) @ F.normalize(self.prototypes, dim=0)


@odd()
class MeanOfMaps(Base):
    """Ends in a mean over the positions of class maps."""

    def __init__(self):
        super().__init__()
        self.last = nn.Conv2d(8, 5, 1)

    def forward(self, x):
        return self.last(self.maps(x)).mean([2, 3])


@odd()
class Squeezed(Base):
    """Drops the axis of a batch of one."""

    def forward(self, x):
        return self.fc(self.maps(x).mean((2, 3)).squeeze())


@odd()
class TwoHeads(Base):
    """Returns a dictionary of two tensors."""

    def __init__(self):
        super().__init__()
        self.age = nn.Linear(8, 1)

    def forward(self, x):
        h = self.maps(x).mean((2, 3))
        return {"class": self.fc(h), "age": self.age(h)}


@odd()
class TupleOfOne(Base):
    """Returns a tuple."""

    def forward(self, x):
        return (super().forward(x),)


@odd()
class Sigmoids(Base):
    """Ends in independent probabilities."""

    def forward(self, x):
        return super().forward(x).sigmoid()


@odd()
class LogProbabilities(Base):
    """Ends in a log-softmax."""

    def forward(self, x):
        return F.log_softmax(super().forward(x) / 2, 1)


@odd()
class MeanOfSoftmaxes(Base):
    """An ensemble: the mean of two softmaxes."""

    def __init__(self):
        super().__init__()
        self.other = nn.Linear(8, 5)

    def forward(self, x):
        h = self.maps(x).mean((2, 3))
        return (self.fc(h).softmax(1) + self.other(h).softmax(1)) / 2


@odd()
class OneLogit(Base):
    """Ends in one score."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 1)


@odd()
class ChannelsLast(Base):
    """Norm and linear layers on maps with channels last."""

    def __init__(self):
        super().__init__()
        self.norm, self.up, self.fc = nn.LayerNorm(8), nn.Linear(8, 12), nn.Linear(12, 5)

    def forward(self, x):
        return self.fc(self.up(self.norm(self.maps(x).permute(0, 2, 3, 1))).relu().mean((1, 2)))


@odd()
class Square(nn.Module):
    """As many channels as rows and columns, with channels last."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.lin, self.fc = (
            nn.Conv2d(3, 12, 2, 2),
            nn.LayerNorm(12),
            nn.Linear(12, 12),
            nn.Linear(12, 5),
        )

    def forward(self, x):
        return self.fc(F.relu(self.lin(self.norm(self.conv(x).permute(0, 2, 3, 1)))).mean((1, 2)))


@odd()
class Tokens(nn.Module):
    """A small vision transformer with a class token."""

    def __init__(self):
        super().__init__()
        self.embed, self.token = nn.Conv2d(3, 16, 4, 4), nn.Parameter(torch.randn(1, 1, 16))
        self.place = nn.Parameter(torch.randn(1, 37, 16))
        self.norm, self.qkv, self.out = nn.LayerNorm(16), nn.Linear(16, 48), nn.Linear(16, 16)
        self.fc = nn.Linear(16, 5)

    def forward(self, x):
        t = self.embed(x).flatten(2).transpose(1, 2)
        t = torch.cat([self.token.expand(len(t), -1, -1), t], 1) + self.place
        q, k, v = self.qkv(self.norm(t)).unflatten(2, (3, 2, 8)).permute(2, 0, 3, 1, 4)
        t = t + self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return self.fc(t[:, 0])


@odd()
class SequenceFirst(nn.Module):
    """Tokens along the first axis, images along the second."""

    def __init__(self):
        super().__init__()
        self.embed, self.lin, self.fc = nn.Conv2d(3, 16, 4, 4), nn.Linear(16, 16), nn.Linear(16, 5)

    def forward(self, x):
        return self.fc(F.relu(self.lin(self.embed(x).flatten(2).permute(2, 0, 1))).mean(0))


@odd()
class NonLocal(Base):
    """A block in which each position sees all others."""

    def __init__(self):
        super().__init__()
        self.q, self.k, self.v = (nn.Conv2d(8, 8, 1) for _ in range(3))

    def maps(self, x):
        x = super().maps(x)
        q, k, v = (f(x).flatten(2) for f in (self.q, self.k, self.v))
        return F.relu(x + (v @ (k.transpose(1, 2) @ q).softmax(1)).reshape(x.shape))


@odd()
class Instance(Base):
    """Instance normalisation: every unit sees everything."""

    def __init__(self):
        super().__init__()
        self.norm = nn.InstanceNorm2d(6, affine=True)

    def maps(self, x):
        return F.relu(self.conv2(F.relu(self.norm(self.conv1(x)))))


@odd()
class Gated(Base):
    """A gate computed from the whole map."""

    def __init__(self):
        super().__init__()
        self.gate = nn.Conv2d(8, 8, 1)

    def maps(self, x):
        x = super().maps(x)
        return x * self.gate(F.adaptive_avg_pool2d(x, 1)).sigmoid()


@odd()
class Circular(Base):
    """Circular padding."""

    def __init__(self):
        super().__init__()
        self.conv2 = nn.Conv2d(6, 8, 3, padding=1, padding_mode="circular")


@odd()
class RolledAndFlipped(Base):
    """A map that is rolled and flipped."""

    def maps(self, x):
        return super().maps(x).roll((2, 1), (2, 3)).flip(3)


@odd()
class Shuffled(nn.Module):
    """Space to depth, and back."""

    def __init__(self):
        super().__init__()
        self.conv, self.up, self.fc = nn.Conv2d(48, 16, 1), nn.Conv2d(4, 4, 1), nn.Linear(4, 5)

    def forward(self, x):
        return self.fc(F.relu(self.up(F.pixel_shuffle(F.relu(self.conv(F.pixel_unshuffle(x, 4))), 2))).mean((2, 3)))


@odd(32)
class UNet(nn.Module):
    """A U-Net that ends in a map of classes."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = (
            nn.Conv2d(3, 4, 3, padding=1),
            nn.Conv2d(4, 6, 3, padding=1),
            nn.Conv2d(10, 3, 3, padding=1),
        )
        self.up = nn.ConvTranspose2d(6, 6, 2, 2)

    def forward(self, x):
        a = F.relu(self.a(x))
        return self.c(torch.cat([a, self.up(F.relu(self.b(F.max_pool2d(a, 2))))], 1))


@odd()
class Frozen(Base):
    """Computes its maps without a gradient."""

    def forward(self, x, frozen=True):
        with torch.set_grad_enabled(not frozen and torch.is_grad_enabled()):
            h = self.maps(x)
        return self.fc(h.mean((2, 3)))


@odd()
class InPlace(Base):
    """Works in place on its maps."""

    def maps(self, x):
        x = self.conv1(x)
        x += 1
        return F.relu_(self.conv2(x.relu_()))


@odd()
class Leaky(Base):
    """Without a relu."""

    def maps(self, x):
        return F.leaky_relu(self.conv2(F.silu(self.conv1(x))))


@odd()
class Identity(Base):
    """An identity shortcut, and an identity after the classifier."""

    def __init__(self):
        super().__init__()
        self.short, self.end, self.conv3 = nn.Identity(), nn.Identity(), nn.Conv2d(8, 8, 3, padding=1)

    def forward(self, x):
        x = self.maps(x)
        return self.end(self.fc(F.relu(self.conv3(x) + self.short(x)).mean((2, 3))))


@odd()
class Dropped(Base):
    """Dropout that is always on."""

    def forward(self, x):
        return self.fc(F.dropout(self.maps(x).mean((2, 3)), 0.5, True))


@odd()
class ByBrightness(Base):
    """Takes another path for a dark image."""

    def forward(self, x):
        return super().forward(x) if x.mean() > -60 else -super().forward(x)


@odd()
class Grey(Base):
    """One channel."""

    def __init__(self):
        super().__init__(1)


@odd()
class Spectral(Base):
    """Four channels."""

    def __init__(self):
        super().__init__(4)


@odd()
class Half(Base):
    """bfloat16 weights."""

    def __init__(self):
        super().__init__()
        self.bfloat16()


@odd()
class Normed(Base):
    """Weight normalisation."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.utils.parametrizations.weight_norm(self.conv1)


def _traced() -> nn.Module:
    return torch.jit.trace(Base().eval(), torch.zeros(2, 3, 24, 24))


ODD["torch.fx"] = (lambda: torch.fx.symbolic_trace(Base().eval()), 24)
ODD["torch.export"] = (lambda: torch.export.export(Base().eval(), (torch.zeros(1, 3, 24, 24),)).module(), 24)
ODD["torch.jit.trace"] = (_traced, 24)
if SCRIPTS:
    ODD["torch.jit.script"] = (lambda: torch.jit.script(Base().eval()), 24)

ODD |= {module.__name__: (module, 24) for module in RARE}

# One of each family; all of them with `python tests/conformance/conformance_table.py --all`.
TORCHVISION = {
    "alexnet": 64, "vgg11": 32, "squeezenet1_1": 64, "resnet18": 64, "densenet121": 64, "googlenet": 64,
    "inception_v3": 128, "mobilenet_v2": 32, "mobilenet_v3_small": 32, "shufflenet_v2_x0_5": 32, "efficientnet_b0": 32,
    "efficientnet_v2_s": 64, "mnasnet0_5": 32, "regnet_x_400mf": 64, "regnet_y_400mf": 64, "resnext50_32x4d": 64,
    "wide_resnet50_2": 64, "convnext_tiny": 32, "vit_b_32": 224, "swin_t": 64, "swin_v2_t": 64, "maxvit_t": 224,
    "fcn_resnet50": 64, "lraspp_mobilenet_v3_large": 64, "deeplabv3_mobilenet_v3_large": 64,
    "fasterrcnn_mobilenet_v3_large_320_fpn": 64, "ssdlite320_mobilenet_v3_large": 64, "fcos_resnet50_fpn": 64,
    "retinanet_resnet50_fpn": 64, "ssd300_vgg16": 64, "maskrcnn_resnet50_fpn": 64, "keypointrcnn_resnet50_fpn": 64,
}  # fmt: skip
TIMM = {
    "resnet10t": 64, "regnetx_002": 64, "vit_tiny_patch16_224": 224, "swin_tiny_patch4_window7_224": 224,
    "mixer_s32_224": 224, "convnext_atto": 64, "efficientvit_b0": 64, "levit_128s": 224,
    "deit_tiny_distilled_patch16_224": 224, "mobilenetv4_conv_small": 64, "ghostnet_050": 64, "nf_resnet26": 64,
    "maxvit_rmlp_pico_rw_256": 256, "xcit_nano_12_p16_224": 224, "poolformer_s12": 64, "visformer_tiny": 224,
    "crossvit_9_240": 240,
}  # fmt: skip
_SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
HUGGING_FACE = {
    "ResNet": ({"hidden_sizes": [16, 32], "depths": [2, 2], "embedding_size": 16}, 64),
    "ViT": ({**_SMALL, "image_size": 64, "patch_size": 16}, 64),
    "DeiT": ({**_SMALL, "image_size": 64, "patch_size": 16}, 64),
    "Swin": ({"image_size": 64, "embed_dim": 16, "depths": [2, 2], "num_heads": [2, 2], "window_size": 4}, 64),
    "ConvNext": ({"hidden_sizes": [16, 32], "depths": [2, 2], "num_stages": 2}, 64),
    "MobileNetV2": ({}, 64),
}  # fmt: skip
_NO_IMAGES = ("quantized", "raft", "r3d", "mc3", "r2plus1d", "s3d", "mvit", "swin3d")


@dataclass
class Case:
    """A module of the table.

    Attributes
    ----------
    name : str
        Its row.
    make : callable
        Builds it.
    size : int
        The side of its input.
    """

    name: str
    make: Callable[[], nn.Module]
    size: int


def cases(everything: bool = False) -> list[Case]:
    """The rows of the table, with random weights."""
    import torchvision

    found = [Case(f"odd: {name}", make, size) for name, (make, size) in ODD.items()]
    names = dict(TORCHVISION)
    if everything:
        more = [n for n in torchvision.models.list_models() if n not in names and not n.startswith(_NO_IMAGES)]
        names |= {name: 224 if name.startswith(("vit_", "maxvit")) else 64 for name in more}
    found += [Case(f"torchvision: {name}", partial(_of_torchvision, name), size) for name, size in names.items()]
    if find_spec("timm"):
        found += [Case(f"timm: {name}", partial(_of_timm, name), size) for name, size in TIMM.items()]
    if find_spec("transformers"):
        rows = [(name, size) for name, (_, size) in HUGGING_FACE.items()]
        found += [Case(f"transformers: {name}", partial(_of_transformers, name), size) for name, size in rows]
    return found


def _of_timm(name: str) -> nn.Module:
    import timm

    return timm.create_model(name)


def _of_transformers(name: str) -> nn.Module:
    import transformers

    config = getattr(transformers, f"{name}Config")(**HUGGING_FACE[name][0])
    return getattr(transformers, f"{name}ForImageClassification")(config)


def _of_torchvision(name: str) -> nn.Module:
    import torchvision

    options: dict[str, object] = {"weights": None}
    if name not in torchvision.models.list_models(torchvision.models):  # segmentation and detection
        options["weights_backbone"] = None
    if name.endswith(("_fpn", "_fpn_v2")):
        options |= {"min_size": 96, "max_size": 160}  # to which the detector resizes the image: 800 by default
    if name in ("googlenet", "inception_v3"):
        options["init_weights"] = False
    return torchvision.models.get_model(name, **options)
