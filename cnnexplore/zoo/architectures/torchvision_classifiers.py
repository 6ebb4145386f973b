"""torchvision's classifiers by name, with their published weights."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any
from urllib.error import URLError

import torch
from torch import nn

from ...errors import WeightsError, brief
from ...network import Pixels


def names() -> list[str]:
    """The names of torchvision's classification models."""
    with torch.device("cpu"):  # what a first import computes is not for a caller's meta device: PyTorch 2.6 fails there
        from torchvision import models

    return models.list_models(module=models)


def knows(name: str) -> bool:
    """Whether a name is one of torchvision's classification models."""
    return name in names()


def entries() -> list[tuple[str, str, float | None, bool]]:
    """(name, source, megabytes, offline) of every classifier with published weights."""
    from torchvision import models

    rows = []
    for name in names():
        best = models.get_model_weights(name).DEFAULT
        rows.append((name, "torchvision, ImageNet", best.meta.get("_file_size"), _file(best).is_file()))
    return rows


def _file(weights: Any) -> Path:
    """Where torch.hub stores a set of weights."""
    return Path(torch.hub.get_dir()) / "checkpoints" / weights.url.rsplit("/", 1)[-1]


def build(name: str, classes: int = 1000) -> nn.Module:
    """The architecture with random weights."""
    from torchvision import models

    options = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    return models.get_model(name, weights=None, num_classes=classes, **options)


def weight_sets(name: str) -> list[str]:
    """The names of the published sets of weights."""
    from torchvision import models

    return [w.name for w in models.get_model_weights(name)]


def convention(name: str, chosen: str | None = None) -> tuple[int, Pixels, list[str]]:
    """Input size, pixels and labels of a set of published weights (default: the best)."""
    weights = _weights(name, chosen)
    transform = weights.transforms()
    pixels = Pixels("RGB", tuple(255 * m for m in transform.mean), tuple(255 * s for s in transform.std))
    return transform.crop_size[0], pixels, list(weights.meta["categories"])


def published(name: str, chosen: str | None = None) -> nn.Module:
    """The classifier with published weights, downloaded by torchvision on first use, with its progress bar."""
    from torchvision import models

    weights = _weights(name, chosen)
    try:
        with torch.random.fork_rng(devices=[]):
            # torchvision unpickles any file in the folder: first check that it holds nothing but tensors
            torch.hub.load_state_dict_from_url(weights.url, progress=True, check_hash=True, weights_only=True)
            return models.get_model(name, weights=weights)
    except (URLError, TimeoutError, ConnectionError) as error:
        raise WeightsError(
            f"the weights of {name} could not be downloaded ({getattr(error, 'reason', error)}); "
            f"fetch {weights.url} on another machine and put it at {_file(weights)}, "
            f'or use weights="random" for an untrained network.'
        ) from error
    except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise WeightsError(
            f"{_file(weights)} is not the published file of {name} ({brief(error)}); delete it and load again."
        ) from error


def _weights(name: str, chosen: str | None) -> Any:
    """A set of published weights; the best one for None."""
    from torchvision import models

    known = models.get_model_weights(name)
    return known[chosen] if chosen else known.DEFAULT
