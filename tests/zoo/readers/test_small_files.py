"""Small files that stand for gigabytes: refused before memory is taken, in a process that has little."""

import json
import resource
import struct
import subprocess
import sys
import zipfile
import zlib

import numpy as np
import torch
from safetensors.torch import save_file
from scipy.io import savemat

from cnnexplore.zoo.architectures.lenet import lenet
from cnnexplore.zoo.training.lenet import PIXELS

LIMIT = 6 * 2**30  # bytes of address space; the libraries alone take half of it

READ = """
import json, resource, sys, time
import cnnexplore as cx
def memory():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
answers = {}
for path in json.load(sys.stdin):
    before, start = memory(), time.process_time()
    try:
        net = cx.load("lenet", weights=path, device="cpu") if path.endswith("pth") else cx.load(path, device="cpu")
        sentence = "loaded"
    except cx.ExploreError as error:
        sentence = str(error)
    answers[path] = sentence, memory() - before, time.process_time() - start
print(json.dumps(answers))
"""


def described(path, change=None, tensors=None):
    about = {
        "architecture": "lenet",
        "pixels": PIXELS.to_json(),
        "input_size": "28",
        "labels": json.dumps(list("0123456789")),
    }
    save_file(tensors or dict(lenet(10).state_dict()), path, {**about, **(change or {})})
    return path


DESCRIPTIONS = [
    ({"labels": json.dumps(["x"] * 3_000_000)}, "labels"),
    ({"labels": json.dumps(["x"] * 40_000), "architecture": "vgg-vd-16"}, "missing"),
    ({"labels": '"0123456789"'}, "JSON list"),
    ({"labels": "[" * 200_000}, "JSON list"),
    ({"labels": '["' + "x" * 100_000 + '"]'}, "JSON list"),
    ({"labels": "[[1], {}]"}, "JSON list"),
    ({"input_size": "4096"}, "input_size 4096"),
    ({"input_size": "9" * 10_000}, "input_size"),
    ({"architecture": "vit_h_14"}, "missing"),
    ({"architecture": "photonet", "input_size": "1024"}, "missing"),
    ({"pixels": '{"order": "grey", "mean": [1e300]}'}, "mean"),
    ({"pixels": '{"a":' * 100_000}, "pixels"),
    ({"pixels": '{"order": "channels", "mean": [' + "1," * 300_000 + "1]}"}, "mean"),
    ({"pixels": '{"order": {}, "mean": [1]}'}, "order"),
    ({"input_size": "4"}, "does not take images"),
    ({"pixels": '{"order": "RGB", "mean": [1, 2, 3]}'}, "does not take images"),
]


def element(kind, data):
    return struct.pack("<II", kind, len(data)) + data + bytes(-len(data) % 8)


def array(name, kind, shape, data, stored):
    return element(14, element(6, struct.pack("<II", kind, 0)) + element(5, struct.pack(f"<{len(shape)}i", *shape))
                   + element(1, name) + element(stored, data))  # fmt: skip


def compressed(data):
    packed = zlib.compress(data, 9)
    return struct.pack("<II", 15, len(packed)) + packed


def mat(path, *elements):
    path.write_bytes(b"MATLAB 5.0".ljust(124) + b"\0\1IM" + b"".join(elements))
    return path


def layer(path, **fields):
    """A .mat file of one convolution."""
    cells, weights = np.empty((1, 1), object), np.empty((1, 2), object)
    weights[0, 0], weights[0, 1] = np.zeros((3, 3, 3, 4), "f4"), np.zeros((4, 1))
    cells[0, 0] = {"type": "conv", "name": "c", "weights": weights, **fields}
    savemat(path, {"layers": cells, "meta": {"normalization": {"imageSize": np.array([[224.0, 224.0, 3.0]])}}})
    return path


def files(folder):
    """The files, each with words of the sentence that it must get."""
    for k, (change, words) in enumerate(DESCRIPTIONS):
        yield described(folder / f"{k}.safetensors", change), words
    wide = {"fc6.bias": torch.zeros(300_000), "fc7.bias": torch.zeros(300_000)}
    yield described(folder / "bias.safetensors", {"architecture": "vgg-vd-16", "input_size": "224"}, wide), "missing"
    state = dict(lenet(10).state_dict())
    torch.save({**state, "conv3.weight": torch.zeros(1).expand(100_000, 100_000)}, folder / "repeated.pth")
    yield folder / "repeated.pth", "repeats its numbers"
    torch.save({f"{k}.w": state["conv3.weight"] for k in range(1000)}, folder / "shared.pth")
    yield folder / "shared.pth", "repeats its numbers"
    torch.save(state, folder / "whole.pth")
    with zipfile.ZipFile(folder / "whole.pth") as whole, zipfile.ZipFile(folder / "packed.pth", "w") as packed:
        for name in whole.namelist():
            data = bytes(2**29) if name.endswith("data/0") else whole.read(name)
            packed.writestr(name, data, zipfile.ZIP_DEFLATED)
    yield folder / "packed.pth", "compressed archive"
    doubles = array(b"layers", 6, (20_000, 20_000), bytes(400_000_000), 2)
    yield mat(folder / "doubles.mat", compressed(doubles)), "more than the file holds"
    yield mat(folder / "bytes.mat", array(b"layers", 6, (5000, 2000), bytes(10_000_000), 2)), "no MatConvNet network"
    cell = element(14, element(6, struct.pack("<II", 1, 0)) + element(5, struct.pack("<2i", 1, 4_000_000))
                   + element(1, b"layers") + element(14, b"") * 4_000_000)  # fmt: skip
    yield mat(folder / "empty.mat", compressed(cell)), "more than the file holds"
    yield layer(folder / "pad.mat", pad=4096.0), "'c'"
    yield layer(folder / "stride.mat", pad=4095.0, stride=64.0), "'c'"
    yield layer(folder / "dilate.mat", pad=4096.0, dilate=4000.0), "'c'"
    yield layer(folder / "fine.mat", pad=1.0), "loaded"


def test_small_files(tmp_path):
    wanted = {str(path): words for path, words in files(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", READ], input=json.dumps(list(wanted)), capture_output=True, text=True, timeout=300,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (LIMIT, LIMIT)),
    )  # fmt: skip
    assert not done.returncode, done.stderr[-2000:]
    for path, (sentence, megabytes, seconds) in json.loads(done.stdout).items():
        assert wanted[path] in sentence, (path, sentence)
        assert len(sentence) < 600
        assert megabytes < 500, path
        assert seconds < 20, path
