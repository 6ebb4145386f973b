"""Files of learned inverters: float16 weights, and metadata that say what they invert; read with all checked."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path

import torch

from ..arguments import checked
from ..arguments import path as a_path
from ..errors import WeightsError, brief, brief_value
from ..network import Pixels
from ..network.tensor_file import read_safetensors, write_safetensors
from .decoder import Decoder, Plan
from .inverter import STATISTICS, Inverter
from .losses import KINDS

KIND = "inverter"
_REQUIRED = ("network", "digest", "layer", "loss", "pixels", "plan", "errors")
_LONGEST = 5000  # letters of a text


def write_inverter(inverter: Inverter, out: Path) -> None:
    """Write an inverter as a float16 file that describes itself; its statistics stay float32.

    Parameters
    ----------
    inverter : Inverter
        The inverter.
    out : Path
        The file; one that is there is replaced when all is written.
    """
    tensors = {name: value.half().contiguous() for name, value in inverter.decoder.state_dict().items()}
    tensors |= {f"statistics.{name}": inverter.statistics[name].float().contiguous() for name in STATISTICS}
    metadata = {
        "kind": KIND,
        "network": inverter.network,
        "digest": inverter.digest,
        "layer": inverter.layer,
        "loss": inverter.loss,
        "pixels": inverter.pixels.to_json(),
        "plan": inverter.decoder.plan.to_json(),
        "errors": json.dumps({name: round(value, 4) for name, value in inverter.errors.items()}),
        "source": inverter.source,
        "license": "MIT",
    }
    write_safetensors({name: value.cpu() for name, value in tensors.items()}, out, metadata)


@checked(path=a_path("the path of a file that cnnexplore train inverter wrote"))
def read_inverter(path: str | os.PathLike[str]) -> Inverter:
    """Read an inverter.

    Parameters
    ----------
    path : str or os.PathLike
        A file that `cnnexplore train inverter` wrote.

    Returns
    -------
    Inverter
        On the CPU, in float32.

    Raises
    ------
    WeightsError
        If the file is missing, damaged or something else.
    """
    path = Path(path)
    if not path.is_file():
        raise WeightsError(f"there is no inverter file {brief_value(str(path))}; check the path.")
    tensors, metadata = read_safetensors(path)
    name = brief_value(path.name)
    check_kind(metadata, path)
    plan = Plan.from_json(metadata["plan"])
    pixels = Pixels.from_json(metadata["pixels"])
    if pixels.channels != plan.image[0] or metadata["loss"] not in KINDS:
        raise WeightsError(f"{name}: the metadata contradict each other; fetch the file again.")
    with torch.device("meta"):  # takes no memory: a small file may name a decoder of any size
        expected = {key: tuple(value.shape) for key, value in Decoder(plan).state_dict().items()}
    expected |= {f"statistics.{key}": (plan.channels,) for key in STATISTICS}
    for key in sorted(expected.keys() ^ tensors.keys()):
        what = "is missing" if key in expected else "is not of an inverter"
        raise WeightsError(f"{name}: tensor {brief_value(key)} {what}; fetch the file again, or train it anew.")
    for key, shape in expected.items():
        value = tensors[key]
        if tuple(value.shape) != shape or not value.is_floating_point():
            raise WeightsError(
                f"{name}: tensor {key!r} is {brief_value(value)}; expected {' x '.join(map(str, shape))} numbers."
            )
        if not bool(value.isfinite().all()):
            raise WeightsError(f"{name}: tensor {key!r} has values that are not finite; fetch the file again.")
    statistics = {key: tensors[f"statistics.{key}"].float() for key in STATISTICS}
    if not bool((statistics["deviation"] > 0).all()) or bool((statistics["upper"] < statistics["lower"]).any()):
        raise WeightsError(f"{name}: the statistics of the units are no deviations and bounds; fetch the file again.")
    decoder = Decoder(plan).eval().requires_grad_(False)
    decoder.load_state_dict({key: value.float() for key, value in tensors.items() if key.startswith("parts.")})
    return Inverter(
        decoder, metadata["network"], metadata["digest"], metadata["layer"], metadata["loss"], pixels, statistics,
        _errors(metadata["errors"], name), metadata.get("source", ""),
    )  # fmt: skip


def check_kind(metadata: Mapping[str, str], path: Path) -> None:
    """Raise WeightsError unless the metadata are those of an inverter."""
    name = brief_value(path.name)
    if metadata.get("kind") != KIND:
        raise WeightsError(
            f"{name} holds no learned inverter; expected a file that cnnexplore train inverter wrote. Weights of a "
            "network are loaded with cx.load."
        )
    missing = [key for key in _REQUIRED if key not in metadata]
    if missing:
        raise WeightsError(f"{name} has no {missing[0]!r} in its metadata; fetch the file again, or train it anew.")
    if any(len(metadata[key]) > _LONGEST or not metadata[key].isprintable() for key in _REQUIRED):
        raise WeightsError(f"{name} has metadata that are no plain text; fetch the file again, or train it anew.")


def _errors(text: str, name: str) -> dict[str, float]:
    try:
        found = {str(key): float(value) for key, value in json.loads(text).items()}
        if len(found) > 100 or not all(math.isfinite(value) for value in found.values()):
            raise ValueError("numbers that are not finite")
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise WeightsError(
            f"{name}: its errors cannot be read ({brief(error)[:100]}); fetch the file again."
        ) from error
    return found
