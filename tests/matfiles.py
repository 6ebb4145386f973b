"""Writes MatConvNet's .mat files as MATLAB does, and computes its layers slowly, as its manual states them.

Arrays are MatConvNet's: maps H x W x C, filters H x W x C x K; float64 throughout.
"""

import math

import numpy as np
from scipy.io import savemat


def cell(*items):
    """A 1 x n cell array."""
    out = np.empty((1, len(items)), object)
    for k, item in enumerate(items):
        out[0, k] = item
    return out if items else np.empty((0, 0), object)


def structs(rows):
    """A 1 x n struct array."""
    out = np.empty((1, len(rows)), [(name, object) for name in rows[0]])
    for k, row in enumerate(rows):
        out[0, k] = tuple(row.values())
    return out


def row(*values):
    return np.array([values], float)


def meta(size, mean=None, classes=()):
    """net.meta, or what older files have beside the layers."""
    about = {"normalization": {"imageSize": row(*size), "border": row(0, 0), "keepAspect": True}}
    if mean is not None:
        about["normalization"]["averageImage"] = np.asarray(mean, np.float32)
    if classes:
        about["classes"] = {"name": cell(*(f"n{k:08d}" for k, _ in enumerate(classes))), "description": cell(*classes)}
    return about


def write_simplenn(path, layers, about, old=False):
    """layers: dicts with `weights` as a list; old: filters and biases apart, meta at the top."""
    written = []
    for layer in layers:
        layer = dict(layer)
        if "weights" in layer:
            weights = layer.pop("weights")
            layer |= dict(zip(("filters", "biases"), weights, strict=False)) if old else {"weights": cell(*weights)}
        written.append(layer)
    savemat(path, {"layers": cell(*written), **(about if old else {"meta": about})})
    return path


def write_dagnn(path, layers, params, about, name=None):
    """What s = net.saveobj(); save(path, '-struct', 's') writes.

    layers: (name, type, inputs, outputs, params, block); params: name -> value; name: of the struct, if it is one.
    """
    variables = sorted({v for layer in layers for v in (*layer[2], *layer[3])})
    rows = [
        {"name": n, "type": f"dagnn.{kind}", "inputs": cell(*ins), "outputs": cell(*outs), "params": cell(*ps),
         "block": block or {"opts": cell()}}
        for n, kind, ins, outs, ps, block in layers
    ]  # fmt: skip
    values = [{"name": n, "value": v, "learningRate": 1.0, "weightDecay": 1.0} for n, v in params.items()]
    saved = {
        "vars": structs([{"name": v, "precious": False} for v in variables]),
        "layers": structs(rows),
        "meta": about,
        "conserveMemory": True,
    }
    saved |= {"params": structs(values)} if values else {}
    savemat(path, {name: saved} if name else saved)
    return path


# vl_nnconv, vl_nnpool, vl_nnnormalize, from the manual


def extent(size, window, pads, stride):
    return [
        math.floor((size[a] + pads[2 * a] + pads[2 * a + 1] - window[a]) / stride[a]) + 1 for a in (0, 1)
    ]  # fmt: skip


def conv(x, filters, biases, stride=(1, 1), pads=(0, 0, 0, 0), dilate=(1, 1)):
    """y(i, j, k) = b(k) + sum f(u, v, c, k) x(i s + u d - top, j s + v d - left, c): a correlation, zero outside."""
    fh, fw, depth, count = filters.shape
    per_group = count // (x.shape[2] // depth)
    window = [dilate[0] * (fh - 1) + 1, dilate[1] * (fw - 1) + 1]
    y = np.zeros((*extent(x.shape, window, pads, stride), count))
    for i, j, k in np.ndindex(*y.shape):
        total = float(biases[k])
        for u, v, c in np.ndindex(fh, fw, depth):
            r, s = i * stride[0] + u * dilate[0] - pads[0], j * stride[1] + v * dilate[1] - pads[2]
            if 0 <= r < x.shape[0] and 0 <= s < x.shape[1]:
                total += filters[u, v, c, k] * x[r, s, k // per_group * depth + c]
        y[i, j, k] = total
    return y


def pool(x, window, stride=(1, 1), pads=(0, 0, 0, 0), method="max"):
    """The maximum or mean of what a window holds of the image itself."""
    y = np.zeros((*extent(x.shape, window, pads, stride), x.shape[2]))
    for i, j, k in np.ndindex(*y.shape):
        held = []
        for u, v in np.ndindex(*window):
            r, s = i * stride[0] + u - pads[0], j * stride[1] + v - pads[2]
            if 0 <= r < x.shape[0] and 0 <= s < x.shape[1]:
                held.append(x[r, s, k])
        y[i, j, k] = max(held) if method == "max" else sum(held) / len(held)
    return y


def normalize(x, n, kappa, alpha, beta):
    """x(k) / (kappa + alpha sum x(q)^2)^beta with q from k - floor((n - 1) / 2) to k + ceil((n - 1) / 2)."""
    y = np.zeros(x.shape)
    for i, j, k in np.ndindex(*x.shape):
        around = range(max(0, k - math.floor((n - 1) / 2)), min(x.shape[2] - 1, k + math.ceil((n - 1) / 2)) + 1)
        y[i, j, k] = x[i, j, k] / (kappa + alpha * sum(x[i, j, q] ** 2 for q in around)) ** beta
    return y


def softmax(x):
    e = np.exp(x - x.max(2, keepdims=True))
    return e / e.sum(2, keepdims=True)
