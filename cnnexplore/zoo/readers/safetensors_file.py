"""Reading weights that describe themselves; nothing in a file is executed, and every tensor is checked."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from ...errors import NetworkError, WeightsError
from ...network import Network, Pixels
from ..architectures import torchvision_classifiers as vision
from ..architectures.alexnet import caffe_alexnet, caffenet, photo_alexnet, world_alexnet
from ..architectures.vgg import vgg_m, vgg_vd_16
from ..training.lenet import lenet
from . import matconvnet

# Builders take the number of classes and, where widths vary, the tensors of the file.
_ARCHITECTURES: dict[str, Callable[[int, dict], nn.Module]] = {
    "lenet": lambda classes, tensors: lenet(classes),
    "alexnet-caffe": lambda classes, tensors: caffe_alexnet(classes, _hidden(tensors)),
    "caffenet": lambda classes, tensors: caffenet(classes, _hidden(tensors)),
    "vgg-m": lambda classes, tensors: vgg_m(classes, _hidden(tensors)),
    "vgg-vd-16": lambda classes, tensors: vgg_vd_16(classes, _hidden(tensors)),
    "photonet": lambda classes, tensors: photo_alexnet(classes),
    "worldnet": lambda classes, tensors: _as_deep(world_alexnet(classes), tensors),
}


def _hidden(tensors: dict) -> int:
    return tensors["fc6.bias"].numel() if "fc6.bias" in tensors else 4096


def _as_deep(module: nn.Sequential, tensors: dict) -> nn.Sequential:
    """The convolutional part alone, if the file holds no more: what is kept of a training's checkpoints."""
    cut = bool(tensors) and "fc6.weight" not in tensors
    return module[: list(dict(module.named_children())).index("pool5") + 1] if cut else module


def build(architecture: str, classes: int, tensors: dict | None = None) -> nn.Module:
    """A module of the named architecture with random weights, always the same; torch's random state is left alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        if architecture in _ARCHITECTURES:
            return _ARCHITECTURES[architecture](classes, tensors or {})
        if vision.knows(architecture):
            return vision.build(architecture, classes)
    known = ", ".join(_ARCHITECTURES)
    raise NetworkError(f"architecture {architecture!r} is unknown; expected {known} or a torchvision name.")


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a .safetensors, .mat or .pth file as float32. Raises WeightsError; never unpickles code."""
    if not path.is_file():
        raise WeightsError(f"there is no weights file {str(path)!r}; check the path.")
    if path.suffix == ".safetensors":
        return _read_safetensors(path)[0]
    if path.suffix.lower() == ".mat":
        return matconvnet.read_network(path, path.stem).module.state_dict()
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise WeightsError(
            f"{path.name!r} is not a plain state dict that can be read without running code; "
            "save it with torch.save(module.state_dict(), ...)."
        ) from error
    state = state.get("state_dict", state) if isinstance(state, dict) else None
    if not state or not all(isinstance(v, torch.Tensor) for v in state.values()):
        raise WeightsError(f"{path.name!r} holds no state dict; expected names and tensors.")
    return _float(state)


def _read_safetensors(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    try:
        with safe_open(path, "pt") as file:
            return _float({name: file.get_tensor(name) for name in file.keys()}), file.metadata() or {}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise WeightsError(
            f"{path.name!r} is not a whole safetensors file ({error}); fetch or save it again."
        ) from error


def _float(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: t.float() if t.is_floating_point() else t for name, t in tensors.items()}


def fill(module: nn.Module, tensors: dict[str, torch.Tensor], source: str) -> nn.Module:
    """The module with the tensors in place. Raises WeightsError that names the first tensor that does not fit."""
    expected = module.state_dict()
    for name, value in expected.items():
        if name not in tensors:
            raise WeightsError(f"{source}: tensor {name!r} is missing; expected shape {tuple(value.shape)}.")
        if tensors[name].shape != value.shape:
            found = tuple(tensors[name].shape)
            raise WeightsError(f"{source}: tensor {name!r} has shape {found}; expected {tuple(value.shape)}.")
        if tensors[name].is_floating_point() and not tensors[name].isfinite().all():
            raise WeightsError(f"{source}: tensor {name!r} has values that are not finite; fetch the file again.")
    extra = sorted(set(tensors) - set(expected))
    if extra:
        raise WeightsError(f"{source}: tensor {extra[0]!r} belongs nowhere in {type(module).__name__}.")
    module.load_state_dict(tensors)
    return module


def architecture(path: Path) -> str | None:
    """What a .safetensors file says it is; None for a file that does not say."""
    return _read_safetensors(path)[1].get("architecture") if path.suffix == ".safetensors" and path.is_file() else None


def read_network(path: Path, name: str) -> Network:
    """The network of a MatConvNet .mat, or of a .safetensors file with architecture, pixels, input_size and labels."""
    if not path.is_file():
        raise WeightsError(f"there is no weights file {str(path)!r}; check the path.")
    if path.suffix.lower() == ".mat":
        return matconvnet.read_network(path, name)
    if path.suffix != ".safetensors":
        raise WeightsError(
            f"{path.name!r} does not say which network it is for; give cx.load(name, weights={str(path)!r})."
        )
    return _described(*_read_safetensors(path), path, name)


def read_part(path: Path, part: str, name: str) -> Network:
    """One of several networks in a file whose tensors are named part/tensor. Raises WeightsError."""
    tensors, metadata = _read_safetensors(path)
    chosen = {key.split("/", 1)[1]: value for key, value in tensors.items() if key.startswith(part + "/")}
    return _described(chosen, metadata, path, name)


def _described(tensors: dict[str, torch.Tensor], metadata: dict[str, str], path: Path, name: str) -> Network:
    missing = [key for key in ("architecture", "pixels", "input_size", "labels") if key not in metadata]
    if missing:
        raise WeightsError(
            f"{path.name!r} has no {missing[0]!r} in its metadata, so it does not say what it is; "
            f"give cx.load(name, weights={str(path)!r})."
        )
    try:
        labels = [str(label) for label in json.loads(metadata["labels"])]
        size = int(metadata["input_size"])
        if not 0 < size <= 4096:
            raise ValueError(f"input_size {size}")
    except (TypeError, ValueError) as error:
        raise WeightsError(
            f"{path.name!r}: labels or input_size cannot be read ({error}); expected a JSON list and a number."
        ) from error
    module = build(metadata["architecture"], len(labels), tensors)
    fill(module, tensors, path.name)
    return Network(module, size, Pixels.from_json(metadata["pixels"]), labels, name)
