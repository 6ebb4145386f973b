"""Files of weights as training programs write them: what torch can load is loaded; else the reason is said."""

import argparse
from collections import OrderedDict

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torchvision import models

import cnnexplore as cx
from cnnexplore.zoo.architectures.build import check
from cnnexplore.zoo.architectures.lenet import lenet
from cnnexplore.zoo.architectures.names import matched

pytestmark = pytest.mark.usefixtures("on_cpu")


@pytest.fixture(scope="module")
def state():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return {name: t.clone() for name, t in lenet(10).state_dict().items()}


def prefixed(state, prefix):
    return {prefix + name: value for name, value in state.items()}


def optimizer_of(module):
    for parameter in module.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer = torch.optim.Adam(module.parameters())
    optimizer.step()
    return optimizer.state_dict()


CHECKPOINTS = {
    "plain": lambda s: s,
    "ordered": OrderedDict,
    "parallel": lambda s: prefixed(s, "module."),
    "compiled": lambda s: prefixed(s, "_orig_mod."),
    "compiled and parallel": lambda s: prefixed(s, "_orig_mod.module."),
    "compiled inside": lambda s: {name.replace(".", "._orig_mod.", 1): value for name, value in s.items()},
    "model_state_dict": lambda s: {"model_state_dict": s, "epoch": 3, "loss": 0.5},
    "model": lambda s: {"epoch": 3, "model": s, "optimizer": optimizer_of(lenet(10))},
    "net": lambda s: {"net": s, "acc": 91.5},
    "state": lambda s: {"state": {"state_dict": s}},
    "another name": lambda s: {"my_network": s, "arch": "lenet", "best": torch.tensor(3.0)},
    "averages": lambda s: {"model_ema": prefixed(s, "module."), "optimizer": optimizer_of(lenet(10))},
    "averages beside": lambda s: {"ema": {k: v * 0 for k, v in s.items()}, "model": s},
    "averaged model": lambda s: {**prefixed(s, "module."), "n_averaged": torch.tensor(5)},
    "optimizer first": lambda s: {"optimizer_state_dict": optimizer_of(lenet(10)), "model_state_dict": s},
    "lightning": lambda s: {
        "epoch": 2, "global_step": 9, "pytorch-lightning_version": "2.0", "hyper_parameters": {"lr": 0.1},
        "optimizer_states": [optimizer_of(lenet(10))], "callbacks": {}, "loops": {"fit_loop": {"state_dict": {}}},
        "state_dict": {**prefixed(s, "model."), "loss.weight": torch.ones(10), "accuracy.total": torch.tensor(3)},
    },
    "a part of a larger module": lambda s: {**prefixed(s, "backbone.body."), "head.weight": torch.ones(4, 4)},
    "half precision": lambda s: {name: value.half() for name, value in s.items()},
    "bfloat16": lambda s: {name: value.bfloat16() for name, value in s.items()},
    "doubles": lambda s: {name: value.double() for name, value in s.items()},
    "parameters": lambda s: {name: nn.Parameter(value) for name, value in s.items()},
    "counted operations": lambda s: {**s, "total_ops": torch.zeros(1), "conv1.total_params": torch.zeros(1)},
}  # fmt: skip


@pytest.mark.parametrize("kind", CHECKPOINTS)
def test_checkpoints(kind, state, tmp_path):
    torch.save(CHECKPOINTS[kind](state), tmp_path / "a.pth")
    net = cx.load("lenet", weights=tmp_path / "a.pth", device="cpu")
    precise = {"half precision": torch.float16, "bfloat16": torch.bfloat16}.get(kind, torch.float32)
    for name, value in net.module.state_dict().items():
        assert value.dtype == torch.float32
        assert torch.equal(value, state[name].to(precise).float())


def test_old_files_and_other_suffixes(state, tmp_path):
    for name in ("a.pth", "a.pt", "a.ckpt", "a.bin"):
        torch.save(state, tmp_path / name, _use_new_zipfile_serialization=name != "a.pth")
        net = cx.load("lenet", weights=tmp_path / name, device="cpu")
        assert torch.equal(net.module.conv1.weight, state["conv1.weight"])
    save_file(prefixed(state, "model."), tmp_path / "b.safetensors", {"format": "pt", "step": "3"})
    net = cx.load("lenet", weights=tmp_path / "b.safetensors", device="cpu")
    assert torch.equal(net.module.conv4.bias, state["conv4.bias"])


def test_batch_norms_without_a_counter(tmp_path):
    module = models.resnet18()
    module.bn1.running_mean.fill_(0.5)
    state = {k: v for k, v in module.state_dict().items() if not k.endswith("num_batches_tracked")}
    torch.save({"state_dict": prefixed(state, "module.")}, tmp_path / "old.pth")
    net = cx.load("resnet18", weights=tmp_path / "old.pth", device="cpu")
    image = torch.zeros(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(net.module(image), module.eval()(image))


def test_densenets_old_names():
    expected = models.densenet121().state_dict()
    old = {}
    for name, value in expected.items():
        for kind in ("norm", "conv"):
            for k in "12":
                if "denselayer" in name:
                    name = name.replace(f".{kind}{k}.", f".{kind}.{k}.")
        old[name] = value
    assert set(old) != set(expected)
    assert set(matched(old, expected)) == set(expected)


def test_a_whole_module_is_not_read(tmp_path, refused):
    for content, word in (
        (lenet(10), "torch.nn.modules"), ({"model": lenet(10)}, "torch.nn.modules"),
        ({"state_dict": {}, "args": argparse.Namespace(lr=1)}, "argparse.Namespace"),
    ):  # fmt: skip
        torch.save(content, tmp_path / "whole.pth")
        refused(cx.WeightsError, lambda: cx.load("lenet", weights=tmp_path / "whole.pth"), word, "running code",
                "state_dict()")  # fmt: skip


@pytest.mark.filterwarnings("ignore")
def test_a_script_is_not_read(tmp_path, refused):
    torch.jit.save(torch.jit.script(lenet(10)), tmp_path / "script.pt")
    refused(cx.WeightsError, lambda: cx.load("lenet", weights=tmp_path / "script.pt"), "TorchScript", "torch.jit.load")


def test_another_number_of_classes(tmp_path, refused):
    torch.save(models.resnet18(num_classes=10).state_dict(), tmp_path / "ten.pth")
    refused(cx.WeightsError, lambda: cx.load("resnet18", weights=tmp_path / "ten.pth"), "ten.pth is for 10 classes",
            "1000", "cx.Network(module)")  # fmt: skip


def test_another_architecture(tmp_path, refused):
    torch.save(models.resnet50().state_dict(), tmp_path / "other.pth")
    refused(cx.WeightsError, lambda: cx.load("resnet18", weights=tmp_path / "other.pth"), "other.pth", "expected")
    timm = {"stem.conv.weight": torch.zeros(4, 3, 3, 3), "stages.0.weight": torch.zeros(4), "head.bias": torch.zeros(4)}
    torch.save({**timm, "head.weight": torch.zeros(4, 4)}, tmp_path / "timm.pth")
    sentence = refused(cx.WeightsError, lambda: cx.load("lenet", weights=tmp_path / "timm.pth"), "8 tensors are",
                       "'conv1.weight'", "and 5 more", "'head.bias'", "and 1 more")  # fmt: skip
    assert len(sentence) < 400


def test_numbers_that_are_no_weights(state, tmp_path, refused):
    for value, word in (
        (torch.zeros(20, 1, 5, 5, dtype=torch.complex64), "complex64"),
        (torch.zeros(20, 1, 5, 5, dtype=torch.bool), "bool"),
        (torch.zeros(20, 1, 5, 5, dtype=torch.int8), "int8"),
        (torch.zeros(20, 1, 5, 5).to_sparse(), "sparse"),
        (torch.quantize_per_tensor(torch.zeros(20, 1, 5, 5), 0.1, 0, torch.quint8), "quantised"),
        (torch.zeros(20, 1, 5, 5, device="meta"), "without numbers"),
        (torch.full((20, 1, 5, 5), 1e300, dtype=torch.float64), "not finite"),
        (torch.zeros(1).expand(20, 1, 5, 5), "repeats its numbers"),
    ):
        torch.save({**state, "conv1.weight": value}, tmp_path / "odd.pth")
        refused(cx.WeightsError, lambda: cx.load("lenet", weights=tmp_path / "odd.pth"), "'conv1.weight'", word)


def test_extra_tensors_are_listed(state, refused):
    extra = {**state, **{f"more.{k}": torch.zeros(1) for k in range(5)}}
    refused(cx.WeightsError, lambda: check(state, extra, "a.pth", "lenet"), "'more.0', 'more.1', 'more.2' and 2 more")
