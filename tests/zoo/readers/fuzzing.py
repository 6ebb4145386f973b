"""Reads random changes of files of one kind: python fuzzing.py KIND COUNT FOLDER. Prints what went wrong, as JSON."""

from __future__ import annotations

import io
import json
import random
import struct
import sys
import time
import warnings
import zlib
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import cnnexplore as cx
from cnnexplore.data.journal import Journal
from cnnexplore.network import read_image
from cnnexplore.representations.store import CLASSES, Store
from cnnexplore.zoo.architectures.lenet import lenet
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
            data[at : at + 1] = bytes([chance.randrange(256)])
        elif what == 1:
            data[at : at + 4] = chance.choice((b"\xff" * 4, bytes(4), b"\xff\xff\xff\x7f", b"\0\0\1\0"))
        elif what == 2:
            del data[at : at + chance.randrange(1, 20)]
        elif what == 3:
            data[at:at] = bytes(chance.randrange(256) for _ in range(chance.randrange(1, 12)))
        elif what == 4:
            data[at:at] = data[at : at + chance.randrange(1, 200)]
        else:
            del data[at:]
        if not data:
            break
    return bytes(data)


def annotated(data):
    for name in ("images", "labels"):
        (folder / name).mkdir(exist_ok=True)
    (folder / "images" / "a.png").write_bytes(encoded("PNG"))
    (folder / "classes.txt").write_text("cat\ndog")
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


def with_texts():
    """A PNG with the four kinds of chunks that hold text, and the Python that results write."""
    from PIL.PngImagePlugin import PngInfo

    from cnnexplore.results import png

    about, file = PngInfo(), io.BytesIO()
    about.add_text("a", "some text")
    about.add_text("b", 300 * "long text ", zip=True)
    about.add_itxt("c", "some text", "en", "c")
    about.add_itxt("d", 300 * "long text ", "en", "d", zip=True)
    exif = Image.Exif()
    exif[0x10E], exif[0x112] = "a description", 6
    Image.new("RGB", (20, 30)).save(file, "PNG", pnginfo=about, exif=exif)
    return file.getvalue(), png(np.zeros((30, 20, 3), np.uint8), "cx.maximize(net, 'conv1', 3)")


BOMB = zlib.compress(bytes(5_000_000))  # more than a text may have


def changed_text(data):
    """Other content, or another name, in one of the chunks of text; length and checksum mostly fit again."""
    chunks, at = [], 8
    while at < len(data):
        (size,) = struct.unpack(">I", data[at : at + 4])
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + size]))
        at += 12 + size
    which = chance.choice([k for k, (name, _) in enumerate(chunks) if name in (b"tEXt", b"zTXt", b"iTXt", b"eXIf")])
    name, body = chunks[which]
    if chance.random() < 0.2:
        name = chance.choice((b"tEXt", b"zTXt", b"iTXt", b"eXIf", b"iCCP", b"pHYs", b"tRNS", b"IHDR", b"acTL"))
    body = chance.choice((mutated(body), mutated(body), body[:10] + BOMB, body * 300))
    chunks[which] = name, body
    if chance.random() < 0.2:
        chunks.insert(chance.randrange(len(chunks)), chunks[which])

    def chunk(name, body):
        wrong = chance.random() < 0.05
        return struct.pack(">I", len(body) + wrong) + name + body + struct.pack(">I", zlib.crc32(name + body) ^ wrong)

    return data[:8] + b"".join(chunk(*one) for one in chunks)


SHAPE, BLOCK = (50, 6), 8


def rows(first):
    count = min(BLOCK, SHAPE[0] - first)
    classes = np.zeros(count, CLASSES)
    classes["label"] = np.arange(first, first + count)
    return np.random.default_rng(first).normal(size=(count, SHAPE[1])).astype(np.float16), classes


def filled(where):
    kept = Store(where, {"network": "some"}, SHAPE, "float16", BLOCK)
    for first in kept.missing:
        kept.write(first, *rows(first))
    found = [np.array(one) for one in kept.arrays()]
    kept.close()
    return found


def cache():
    """The files of a store of activations; each is changed alone, and the numbers must be right again."""
    where = folder / "kept"
    expected = filled(where)
    whole = {path.name: path.read_bytes() for path in where.iterdir()}

    def on_bytes(changed):
        def read(data):
            for name, content in (whole | {changed: data}).items():
                (where / name).write_bytes(content)
            for found, right in zip(filled(where), expected, strict=True):
                if not np.array_equal(found, right):
                    raise AssertionError("other numbers")

        return read

    return [(content, on_bytes(name)) for name, content in whole.items()]


def changed_alone(where, read):
    """Cases in which one file of a folder is changed and the others are whole."""
    whole = {path.relative_to(where): path.read_bytes() for path in sorted(where.rglob("*")) if path.is_file()}

    def on_bytes(changed):
        def read_all(data):
            for name, content in (whole | {changed: data}).items():
                (where / name).write_bytes(content)
            return read(where)

        return read_all

    return [(content, on_bytes(name)) for name, content in whole.items() if content]


def concept_folders():
    """Broden's layout, and masks of class numbers."""
    broden, masks = folder / "broden", folder / "masked"
    for parent in (broden / "images", masks / "images", masks / "masks"):
        parent.mkdir(parents=True)
    numbers = np.arange(64, dtype=np.uint8).reshape(8, 8) % 3
    Image.fromarray(np.stack([numbers, 0 * numbers, 0 * numbers], -1)).save(broden / "images" / "m.png")
    Image.fromarray(numbers).save(masks / "masks" / "a.png")
    for parent in (broden, masks):
        (parent / "images" / "a.png").write_bytes(encoded("PNG"))
    table = "image,split,ih,iw,sh,sw,object,scene\na.png,train,20,30,8,8,m.png;m.png,2\na.png,val,20,30,8,8,,1;0\n"
    (broden / "index.csv").write_text(table)
    (broden / "label.csv").write_text("number,name,category\n0,-,\n1,car,object(1);scene(2)\n2,street,scene(3)\n")
    (broden / "c_object.csv").write_text("code,number,name,coverage\n1,1,car,0.5\n2,2,street,7\n")
    (masks / "classes.txt").write_text("sky\ncar\nvoid\n")

    def read(where):
        data = cx.concept_images(where)
        return [data.concepts(k) for k in range(len(data))], data.digest(), data.to_python()

    return changed_alone(broden, read) + changed_alone(masks, read)


def inverter():
    from cnnexplore.generators import Decoder, Inverter, plan_for, weights_digest
    from cnnexplore.generators.inverter_file import read_inverter, write_inverter

    net = cx.load("lenet", device="cpu")
    decoder = Decoder(plan_for(10, (1, 1), (1, 28, 28), width=2, hidden=3, slope=0.3)).eval()
    statistics = {name: torch.ones(10) * k for k, name in enumerate(("lower", "mean", "deviation", "upper"))}
    made = Inverter(decoder, net.name, weights_digest(net), "conv4", "adversarial", net.pixels, statistics)
    write_inverter(made, folder / "whole.safetensors")
    return [((folder / "whole.safetensors").read_bytes(), file("a.safetensors", read_inverter))]


def dissection():
    """What a pass of dissection keeps; the numbers must be right again, whichever file is changed."""
    scenes, net = cx.world.dataset(4, 1, 28), cx.load("lenet", device="cpu")

    def numbers(where):
        return cx.dissect(net, "conv1", scenes, cache=where, batch=2, progress=False).intersection

    expected = numbers(folder / "kept")

    def read(where):
        if not np.array_equal(numbers(where), expected):
            raise AssertionError("other numbers")

    return changed_alone(folder / "kept", read)


def journal(data):
    return Journal(folder / "run.jsonl", {"seed": 1}).records


def lines():
    path = folder / "whole.jsonl"
    one = Journal(path, {"seed": 1})
    for k in range(5):
        one.append([k, "text"])
    return path.read_bytes()


KINDS = {
    "png text": lambda: [(one, read_image) for one in with_texts()],
    "cache": cache,
    "safetensors": lambda: [(described(), file("a.safetensors", lambda p: cx.load(p, device="cpu")))],
    "pth": lambda: [
        (saved(small), file("a.pth", read_tensors)),
        (saved({"state_dict": small}, _use_new_zipfile_serialization=False), file("b.pth", read_tensors)),
    ],
    "mat": lambda: [
        (mat(False), file("a.mat", lambda p: cx.load(p, device="cpu"))),
        (mat(True), file("b.mat", lambda p: cx.load(p, device="cpu"))),
    ],
    "images": lambda: [
        (encoded(f, m), read_image)
        for f, m in (
            ("PNG", "RGB"),
            ("PNG", "P"),
            ("JPEG", "RGB"),
            ("GIF", "P"),
            ("BMP", "RGB"),
            ("TIFF", "RGB"),
            ("WEBP", "RGB"),
            ("PPM", "RGB"),
            ("TGA", "RGB"),
            ("PNG", "I;16"),
            ("JPEG2000", "RGB"),
            ("ICO", "RGB"),
            ("JPEG", "CMYK"),
        )
    ],
    "concept folders": concept_folders,
    "inverter": inverter,
    "dissection": dissection,
    "annotations": lambda: [(b"0 0.1 0.1 0.5 0.1 0.5 0.5\n1 0.2 0.2 0.9 0.2 0.4 0.8\n", annotated)],
    "pixels": lambda: [(PIXELS.to_json().encode(), lambda data: cx.Pixels.from_json(data.decode("utf-8", "replace")))],
    "journal": lambda: [(lines(), file("run.jsonl", journal))],
}
cases, change = KINDS[kind](), changed_text if kind == "png text" else mutated
for whole, read in cases:
    read(whole)  # what is imported late is imported now
slowest, wrong = 0.0, []
for k in range(count):
    whole, read = chance.choice(cases)
    data = change(whole)
    start = time.monotonic()
    try:
        read(data)
    except cx.ExploreError as error:
        if "\n" in str(error) or len(str(error)) > 700:
            wrong.append((k, "long", str(error)[:900]))
    except Exception as error:
        wrong.append((k, type(error).__name__, str(error)[:200]))
    slowest = max(slowest, time.monotonic() - start)
print(json.dumps({"wrong": wrong[:10], "count": len(wrong), "slowest": slowest}))
