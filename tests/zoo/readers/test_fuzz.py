"""Readers under 2,000 random changes of whole files: a result or one sentence, within a second and little memory."""

import resource
import subprocess
import sys

import pytest

LIMIT = 6 * 2**30  # bytes of address space; the libraries alone take half of it

READ = """
import io, json, os, random, sys, time, warnings
from pathlib import Path
import numpy as np, torch
from PIL import Image
import cnnexplore as cx
from cnnexplore.data.journal import Journal
from cnnexplore.network import read_image
from cnnexplore.zoo.architectures.lenet import lenet
from cnnexplore.zoo.readers import matlab
from cnnexplore.zoo.readers.weights_file import read_tensors
from cnnexplore.zoo.training.lenet import PIXELS

warnings.simplefilter("ignore")
kind, count, folder = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
chance = random.Random(kind)
small = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2)).state_dict()

def encoded(format, mode="RGB"):
    file = io.BytesIO()
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)).convert(mode)
    image.save(file, format)
    return file.getvalue()

def mutated(data):
    data = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 4, 16))):
        at = chance.randrange(len(data) or 1) if chance.random() < 0.6 else chance.randrange(min(len(data), 300) or 1)
        what = chance.randrange(6)
        if what == 0:
            data[at:at + 1] = bytes([chance.randrange(256)])
        elif what == 1:
            data[at:at + 4] = chance.choice((b"\\xff" * 4, bytes(4), b"\\xff\\xff\\xff\\x7f", b"\\0\\0\\1\\0"))
        elif what == 2:
            del data[at:at + chance.randrange(1, 20)]
        elif what == 3:
            data[at:at] = bytes(chance.randrange(256) for _ in range(chance.randrange(1, 12)))
        elif what == 4:
            data[at:at] = data[at:at + chance.randrange(1, 200)]
        else:
            del data[at:]
        if not data:
            break
    return bytes(data)

def annotated(data):
    for name in ("images", "labels"):
        (folder / name).mkdir(exist_ok=True)
    (folder / "images" / "a.png").write_bytes(encoded("PNG"))
    (folder / "classes.txt").write_text("cat\\ndog")
    (folder / "labels" / "a.txt").write_bytes(data)
    return list(cx.annotated(folder))

def file(name, read):
    def on_bytes(data):
        (folder / name).write_bytes(data)
        return read(folder / name)
    return on_bytes

def described():
    torch.manual_seed(0)
    about = {"architecture": "lenet", "pixels": PIXELS.to_json(), "input_size": "28"}
    about["labels"] = json.dumps(list("0123456789"))
    from safetensors.torch import save
    return save(dict(lenet(10).state_dict()), about)

def saved(content, **more):
    out = io.BytesIO()
    torch.save(content, out, **more)
    return out.getvalue()

def mat(compress):
    from scipy.io import savemat
    cells, weights = np.empty((1, 1), object), np.empty((1, 2), object)
    weights[0, 0], weights[0, 1] = np.ones((3, 3, 3, 4), "f4"), np.zeros((4, 1))
    cells[0, 0] = {"type": "conv", "name": "c", "weights": weights, "pad": 1.0}
    out = io.BytesIO()
    about = {"normalization": {"imageSize": np.array([[24.0, 24.0, 3.0]])}, "classes": {"name": "x"}}
    savemat(out, {"layers": cells, "meta": about}, do_compression=compress)
    return out.getvalue()

def journal(data):
    return Journal(folder / "run.jsonl", {"seed": 1}).records

def lines():
    path = folder / "whole.jsonl"
    one = Journal(path, {"seed": 1})
    for k in range(5):
        one.append([k, "text"])
    return path.read_bytes()

KINDS = {
    "safetensors": [(described(), file("a.safetensors", lambda p: cx.load(p, device="cpu")))],
    "pth": [(saved(small), file("a.pth", read_tensors)),
            (saved({"state_dict": small}, _use_new_zipfile_serialization=False), file("b.pth", read_tensors))],
    "mat": [(mat(False), file("a.mat", lambda p: cx.load(p, device="cpu"))),
            (mat(True), file("b.mat", lambda p: cx.load(p, device="cpu")))],
    "images": [(encoded(f, m), read_image) for f, m in (("PNG", "RGB"), ("PNG", "P"), ("JPEG", "RGB"), ("GIF", "P"),
               ("BMP", "RGB"), ("TIFF", "RGB"), ("WEBP", "RGB"), ("PPM", "RGB"), ("TGA", "RGB"), ("PNG", "I;16"),
               ("JPEG2000", "RGB"), ("ICO", "RGB"), ("JPEG", "CMYK"))],
    "annotations": [(b"0 0.1 0.1 0.5 0.1 0.5 0.5\\n1 0.2 0.2 0.9 0.2 0.4 0.8\\n", annotated)],
    "pixels": [(PIXELS.to_json().encode(), lambda data: cx.Pixels.from_json(data.decode("utf-8", "replace")))],
    "journal": [(lines(), file("run.jsonl", journal))],
}
for whole, read in KINDS[kind]:
    read(whole)  # what is imported late is imported now
slowest, wrong = 0.0, []
for k in range(count):
    whole, read = chance.choice(KINDS[kind])
    data = mutated(whole)
    start = time.monotonic()
    try:
        read(data)
    except cx.ExploreError as error:
        if "\\n" in str(error) or len(str(error)) > 700:
            wrong.append((k, "long", str(error)[:900]))
    except Exception as error:
        wrong.append((k, type(error).__name__, str(error)[:200]))
    slowest = max(slowest, time.monotonic() - start)
print(json.dumps({"wrong": wrong[:10], "count": len(wrong), "slowest": slowest}))
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["safetensors", "pth", "mat", "images", "annotations", "pixels", "journal"])
def test_changed_files(kind, tmp_path):
    import json

    done = subprocess.run(
        [sys.executable, "-c", READ, kind, "2000", str(tmp_path)], capture_output=True, text=True, timeout=500,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (LIMIT, LIMIT)),
    )  # fmt: skip
    assert not done.returncode, done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert not found["wrong"], found
    assert found["slowest"] < 5  # one second on an idle machine
