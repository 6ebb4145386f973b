"""Fine-tuning: a classifier is trained further on labelled images; early layers may stay as they are."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from tqdm.auto import tqdm

from ... import drawing
from ...arguments import checked, flag, number, optional, path, small_seed, whole
from ...data.images import Images
from ...errors import DivergedError, SettingError, brief_value
from ...network import Network
from ...network.arguments import network
from ...network.precision import full_precision
from ...results import Result, images_to_python, value_to_python
from .recipe import mixed, read_checkpoint, save_checkpoint
from .trainable import (
    Scores,
    classes_of,
    copied,
    given_labels,
    labels_of,
    like,
    trained_layers,
    trained_parameters,
    with_classes,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_HELD_OUT = 0.2  # of the images, where no others are given to measure the accuracy with
_MEMORY = 256 * 2**20  # bytes of images that are kept for the next epoch


@dataclass(frozen=True, eq=False)
class Finetuning(Result):
    """A network that was trained further, with its accuracy after each epoch.

    Attributes
    ----------
    net : Network
        The fine-tuned network: a copy of the module with other weights.
    before : Network
        The network as it was given, or with the new layer of class scores as it started.
    losses : np.ndarray
        (epochs,), the mean cross-entropy of each epoch.
    accuracies : np.ndarray
        (epochs + 1,), the accuracy on the held-out images before the training and after each epoch, 0 to 1.
    held_out : int
        How many images these are; none of them was trained on.
    trained : list of str
        The layers whose weights were trained.
    new_scores : bool
        Whether the layer of the class scores was replaced by one for the data set's classes.
    weights : list of dict
        The trained weights after each epoch, by name; all others are those of `before`.
    python : str
        The call that makes this result again.
    """

    net: Network
    before: Network = field(repr=False)
    losses: np.ndarray = field(repr=False)
    accuracies: np.ndarray
    held_out: int
    trained: list[str]
    new_scores: bool
    weights: list[dict[str, torch.Tensor]] = field(repr=False)
    python: str = field(default="", repr=False)

    @property
    def checkpoints(self) -> dict[str, Network]:
        """The network before the training and after each epoch, by name, as `evolution` takes them."""
        found = {"before": self.before}
        for k, weights in enumerate(self.weights, 1):
            found[f"epoch {k}"] = _with(self.before, weights, f"{self.net.name}, epoch {k}")
        return found

    def plot(self) -> Figure:
        """A matplotlib figure of the loss and the accuracy."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(5, 2.8), layout="constrained", dpi=110)
        left = figure.subplots()
        right = left.twinx()
        left.plot(np.arange(1, len(self.losses) + 1), self.losses, "o-", color="tab:blue")
        right.plot(np.arange(len(self.accuracies)), self.accuracies, "s--", color="tab:orange")
        left.set_xlabel("epoch")
        left.set_ylabel("mean loss of the epoch", color="tab:blue")
        left.set_ylim(0, None)
        right.set_ylabel(f"accuracy on {self.held_out} held-out images", color="tab:orange")
        right.set_ylim(0, 1.02)
        left.set_xticks(np.arange(len(self.accuracies)))
        title = f"{self.before.name}: {', '.join(self.trained[:6])}{', ...' * (len(self.trained) > 6)} trained"
        left.set_title(drawing.printable(title), fontsize=9, parse_math=False)
        return figure


def _layers(name: str, value: Any) -> Any:
    """The name of a layer, or a list of names."""
    names = [value] if isinstance(value, str) else value
    if (
        isinstance(names, (list, tuple))
        and names
        and all(isinstance(one, str) and 0 < len(one) <= 200 for one in names)
    ):
        return value if isinstance(value, str) else list(names)
    raise SettingError(f"{name} is {brief_value(value)}; expected the name of a layer, or a list of names.")


@torch.inference_mode(False)
@checked(
    net=network,
    layers=optional(_layers),
    epochs=whole(1, 10_000, "how many passes over the images"),
    rate=number(0, 10, "the largest length of a step", above=True),
    decay=number(0, 1, "the weight decay"),
    batch=whole(1, 10_000, "how many images a step is taken on"),
    folder=optional(path("a folder for the state of the training")),
    seed=small_seed,
    progress=flag,
)
def finetune(
    net: Network,
    dataset: Any,
    *,
    layers: str | Sequence[str] | None = None,
    epochs: int = 5,
    rate: float = 0.01,
    decay: float = 5e-4,
    batch: int = 32,
    test: Any = None,
    folder: str | os.PathLike[str] | None = None,
    seed: int = 0,
    progress: bool = True,
) -> Finetuning:
    """Train a classifier further on labelled images; the module that was given stays as it is.

    Stochastic gradient descent with momentum 0.9 on the cross-entropy; the rate rises and falls once. Batch
    normalisations of layers that are not trained keep their statistics. Images are not changed at random.

    Parameters
    ----------
    net : Network
        A classifier.
    dataset : str, os.PathLike, list, torch data set or Images
        Labelled images: a folder whose subfolders are the classes, a list of (image, label), or a data set. If its
        classes are not all among the network's, the layer of the class scores is replaced by one for them.
    layers : str or list of str, optional
        What is trained: the layer of this name and all that are computed after it, or the layers of a list. A new layer
        of class scores is trained in any case. None: all weights.
    epochs : int
        How many passes over the images.
    rate : float
        The largest length of a step.
    decay : float
        The weight decay.
    batch : int
        How many images a step is taken on.
    test : str, os.PathLike, list, torch data set or Images, optional
        Labelled images that the accuracy is measured on. None: a fifth of the data set, which is not trained on.
    folder : str or os.PathLike, optional
        Where the state is written after each epoch. If a training with the same settings was interrupted there, it goes
        on, with the same result to the bit.
    seed : int
        Of the order of the images, of dropout, and of new weights.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    Finetuning
        The network, accuracies before and after, and a checkpoint of each epoch.

    Raises
    ------
    LayerNotFound
        If the network has no such layer.
    LayerError
        If no layer that is trained has weights, or the class scores need another layer that cannot be replaced.
    NetworkError
        If the network is no classifier, or cannot be copied.
    SettingError
        If the images have no labels, or there are too few of them.
    WeightsError
        If the folder holds the state of another training.
    DivergedError
        If the loss is no longer finite.
    ImageError
        If an image cannot be read.

    Examples
    --------
    >>> boats = cx.world.dataset(30, 1, 96, ["boat", "fish"])
    >>> found = cx.finetune(cx.load("worldnet"), boats, layers="fc7", epochs=1, progress=False)
    >>> found.trained, found.accuracies.shape
    (['fc7', 'fc8'], (2,))
    """
    source, others = Images(dataset), None if test is None else Images(test)
    for one in (source, others):
        if one is not None:
            net.pixels_of(one[0])  # what is no image is refused before all labels are read
    numbers = given_labels(source)
    classes = classes_of(net, source, numbers)
    labels = labels_of(source, numbers, classes)
    started = with_classes(net, classes, seed)
    new_scores = started is not net
    module = copied(started).float()
    now = like(started, module, f"{net.name}, fine-tuned")
    chosen = trained_layers(started, layers, new_scores)
    parameters = trained_parameters(module, started, chosen, layers is None)
    order = np.random.default_rng(seed).permutation(np.flatnonzero(labels >= 0))
    kept = len(order) if others is not None else len(order) - max(1, round(_HELD_OUT * len(order)))
    if kept < 1:
        raise SettingError(f"the data set has {len(order)} images with a label; expected at least two.")
    read, answers, which = _Reader(now, source), labels, order[kept:]
    asked = read
    if others is not None:
        asked, answers = _Reader(now, others), labels_of(others, given_labels(others), classes)
        which = np.flatnonzero(answers >= 0)
    scores = Scores(now)

    def accuracy() -> float:
        return _accuracy(scores, asked, answers, which, batch)

    steps = -(-kept // batch)
    optimizer = torch.optim.SGD(
        [
            {"params": [p for p in parameters.values() if p.dim() > 1], "weight_decay": decay},
            {"params": [p for p in parameters.values() if p.dim() <= 1], "weight_decay": 0.0},
        ],
        lr=rate, momentum=0.9, nesterov=True,
    )  # fmt: skip
    settings = _settings(started, chosen, labels, order[:kept], epochs, rate, decay, batch, seed)
    if folder is not None and any(one.is_file() for one in (Path(folder), *Path(folder).parents)):
        raise SettingError(f"{brief_value(str(folder))} is a file, or lies below one; expected a folder.")
    state = Path(folder) / "finetune.checkpoint" if folder is not None else None
    parts = {"module": module, "optimizer": optimizer}
    done = read_checkpoint(state, settings, parts) if state else {}
    losses, accuracies = list(done.get("losses", [])), list(done.get("accuracies", []))
    weights = list(done.get("weights", []))
    if not accuracies:
        accuracies.append(accuracy())
    changing = _changing(module, parameters)
    total = {"total": epochs * steps, "initial": len(losses) * steps, "unit": "step", "disable": not progress}
    with tqdm(desc=f"fine-tuning {net.name}", **total) as bar, full_precision():
        for epoch in range(len(losses), epochs):
            batches = read.batches(np.random.default_rng(mixed(seed, epoch)).permutation(order[:kept]), batch)
            rates = [rate * _cycle((epoch * steps + k + 1) / (epochs * steps)) for k in range(steps)]
            with torch.random.fork_rng(), torch.enable_grad():
                torch.manual_seed(mixed(seed, epoch, 1))
                losses.append(_epoch(scores, batches, labels, parameters, optimizer, rates, bar) / kept)
            accuracies.append(accuracy())
            weights.append({name: value.detach().cpu().clone() for name, value in changing.items()})
            bar.set_postfix(loss=f"{losses[-1]:.3f}", accuracy=f"{accuracies[-1]:.3f}")
            if state:
                save_checkpoint(
                    state, settings, parts, {"losses": losses, "accuracies": accuracies, "weights": weights}
                )
    for parameter in module.parameters():
        parameter.requires_grad_(parameter.is_floating_point())
    usual = {"layers": None, "epochs": 5, "rate": 0.01, "decay": 5e-4, "batch": 32, "seed": 0}
    options = {"layers": layers, "epochs": epochs, "rate": rate, "decay": decay, "batch": batch, "seed": seed}
    words = [f"{name}={value_to_python(value)}" for name, value in options.items() if value != usual[name]]
    words += ["test=test"] if test is not None else []
    given = images_to_python(dataset).removeprefix(", ").replace("images", "dataset")
    python = f"cx.finetune({', '.join([net.to_python(), given, *words])})"
    return Finetuning(
        now, started, np.array(losses), np.array(accuracies), len(which), chosen, new_scores, weights, python
    )


def _epoch(
    scores: Scores, batches: Iterator[tuple[np.ndarray, torch.Tensor]], labels: np.ndarray,
    parameters: Mapping[str, nn.Parameter], optimizer: torch.optim.Optimizer, rates: Sequence[float], bar: Any,
) -> float:  # fmt: skip
    """One pass over the images; the sum of their losses."""
    total = 0.0
    for rate, (which, x) in zip(rates, batches, strict=True):
        _train_mode(scores.net.module, parameters)
        optimizer.zero_grad()
        answer = scores(x)
        loss = F.cross_entropy(answer.float(), torch.from_numpy(labels[which]).long().to(answer.device))
        if not bool(torch.isfinite(loss)):
            raise DivergedError("the loss is no longer finite; lower the rate.")
        loss.backward()
        nn.utils.clip_grad_norm_(parameters.values(), 5.0)
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()
        total += float(loss.detach()) * len(which)
        bar.update()
    scores.net.module.eval()
    return total


def _cycle(t: float) -> float:
    """The share of the largest rate at the time t, 0 to 1: it rises in the first fifth, then falls to 0 as a cosine."""
    rising = 0.2
    return t / rising if t < rising else (1 + math.cos(math.pi * (t - rising) / (1 - rising))) / 2


def _train_mode(module: nn.Module, parameters: Mapping[str, nn.Parameter]) -> None:
    """Training mode where something is trained; what is frozen computes as in evaluation."""
    module.eval()
    trained = {name.rpartition(".")[0] for name in parameters}
    for name, part in module.named_modules():
        own = list(part.parameters(recurse=False))
        part.training = name in trained or (not own and not list(part.children()) and bool(trained))


def _accuracy(scores: Scores, read: _Reader, labels: np.ndarray, which: np.ndarray, batch: int) -> float:
    """The share of some images that the network takes for their class."""
    scores.net.module.eval()
    right = 0
    for numbers, x in read.batches(which, batch):
        with torch.no_grad():
            found = scores(x).argmax(1).cpu().numpy()
        right += int((found == labels[numbers]).sum())
    return right / len(which)


class _Reader:
    """Images by number, in batches of the network's input; small sets are read once.

    Parameters
    ----------
    net : Network
        Whose input they become.
    images : Images
        The images.
    """

    def __init__(self, net: Network, images: Images):
        self.net, self.images = net, images
        size = 4 * len(images) * net.pixels.channels * net.size[0] * net.size[1]
        self._known: dict[int, torch.Tensor] | None = {} if size <= _MEMORY else None

    def batches(self, numbers: np.ndarray, batch: int) -> Iterator[tuple[np.ndarray, torch.Tensor]]:
        """Yield (numbers, x) of each batch; the next one is read while one is used."""
        parts = [numbers[first : first + batch] for first in range(0, len(numbers), batch)]
        with ThreadPoolExecutor(1) as ahead:
            pending = ahead.submit(self._read, parts[0])
            for k, part in enumerate(parts):
                x = pending.result()
                if k + 1 < len(parts):
                    pending = ahead.submit(self._read, parts[k + 1])
                yield part, x

    def _read(self, numbers: np.ndarray) -> torch.Tensor:
        found = []
        for number_ in numbers.tolist():
            x = None if self._known is None else self._known.get(number_)
            if x is None:
                x = self.net.pixels_of(self.images[number_])
                if self._known is not None:
                    self._known[number_] = x
            found.append(x)
        return torch.cat(found)


def _with(before: Network, weights: Mapping[str, torch.Tensor], name: str) -> Network:
    module = copied(before).float()
    module.load_state_dict(weights, strict=False)
    return like(before, module, name)


def _changing(module: nn.Module, parameters: Mapping[str, nn.Parameter]) -> dict[str, torch.Tensor]:
    """The tensors that a training changes: the trained weights, and the statistics beside them."""
    places = {name.rpartition(".")[0] for name in parameters}
    return {name: value for name, value in module.state_dict().items() if name.rpartition(".")[0] in places}


def _settings(
    net: Network, chosen: list[str], labels: np.ndarray, order: np.ndarray, epochs: int, rate: float, decay: float,
    batch: int, seed: int,
) -> str:  # fmt: skip
    """What a training must have to be resumed, in one line."""
    digest = hashlib.blake2b(digest_size=12)
    for name, value in net.module.state_dict().items():
        digest.update(name.encode() + value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    digest.update(labels.tobytes() + order.tobytes())
    numbers = f"epochs {epochs}, rate {rate:g}, decay {decay:g}, batch {batch}, seed {seed}"
    return f"{', '.join(chosen)} of {net.name} and its images ({digest.hexdigest()}), {numbers}"
