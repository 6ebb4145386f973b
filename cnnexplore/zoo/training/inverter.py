"""Learned inverters: decoders from a layer of a network to its images, by pixels, features and a discriminator."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm.auto import tqdm

from ... import world
from ...data import Images
from ...errors import SettingError, brief, brief_value
from ...generators.decoder import Decoder, Plan, folded, plan_for
from ...generators.inverter import Inverter, shape_of, weights_digest
from ...generators.inverter_file import write_inverter
from ...generators.losses import FAKE, REAL, Balance, Loss, cross_entropy, discriminator
from ...network import Layer, Network, as_maps, last_map_layer
from .precision import mixed_precision
from .recipe import mixed, read_checkpoint, save_checkpoint

HELD_OUT = 256  # images that the errors are measured on
SCENES = 8192
FIRST_SEED = 20_170  # of the scenes of seed 0; no embedded network was trained on these
PAUSE = 60.0  # seconds between checkpoints
UNIT = 64.0  # of 0..255: what the discriminator's input is divided by
# The part of the steps from which each term counts: the discriminator meets a decoder that makes images already.
BEGINS = {"feature": 0.4, "adversarial": 0.6}
CHUNK = 64  # images of a pass without gradients


@dataclass(frozen=True)
class Recipe:
    """Settings of one training.

    Attributes
    ----------
    loss : {"pixel", "feature", "adversarial"}
        What is minimised, as in `Loss`.
    steps : int
        How many batches.
    batch : int
        Images of a batch.
    rate : float
        The highest rate of Adam for the decoder; it rises for a twentieth of the steps and falls along a cosine.
    judge : float
        The rate of Adam for the discriminator.
    width, hidden, smoothed : int
        As in `Plan`.
    against : float
        What the published weight of the adversarial term is multiplied by. More than 1 suits short trainings: the
        discriminator has little time to find what the features of a small encoder do not see.
    resolution : int
        As in `plan_for`.
    seed : int
        Of the weights and of the order of the images.
    """

    loss: str = "pixel"
    steps: int = 3000
    batch: int = 16
    rate: float = 2e-3
    judge: float = 2e-4
    width: int = 32
    hidden: int = 256
    smoothed: int = 0
    against: float = 1.0
    resolution: int = 96
    seed: int = 0

    def text(self) -> str:
        """All settings in one line, as the file's metadata state them."""
        return ", ".join(f"{name} {value:g}" if name != "loss" else value for name, value in asdict(self).items())


def _stored(data: str) -> np.ndarray:
    """The array of a .npy file. Raises SettingError."""
    try:
        if not Path(data).is_file():  # a pipe would be waited for
            raise OSError("no file")
        return np.load(data, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise SettingError(
            f"{brief_value(data)} cannot be read ({brief(error)}); expected a folder with images or a .npy file of "
            "them."
        ) from error


def training_images(net: Network, data: str | None, images: int, seed: int, mirror: bool | None = None) -> np.ndarray:
    """The images that a decoder is trained and measured on, the last `HELD_OUT` for the measurement.

    Parameters
    ----------
    net : Network
        The network.
    data : str, optional
        A folder with images, or a .npy file of them, (N, C, H, W) uint8; None for scenes of the procedural world.
    images : int
        How many, at most.
    seed : int
        Of the scenes and of the choice of the images.
    mirror : bool, optional
        Whether each image is also taken as in a mirror; None for photographs, not for scenes.

    Returns
    -------
    np.ndarray
        (N, C, H, W) uint8 of the network's input size; the channels are those that `Pixels.encode` takes.

    Raises
    ------
    SettingError
        If there are too few images, or the file holds none.
    """
    scenes: Any
    if data is not None and data.endswith(".npy"):
        stored = _stored(data)
        if stored.dtype != np.uint8 or stored.ndim != 4:
            raise SettingError(f"{data} holds {stored.dtype} of {stored.shape}; expected N x C x H x W of uint8.")
        scenes, mirror = [torch.from_numpy(np.array(one)) for one in stored[:images]], bool(mirror)
    elif data is None:
        if set(net.labels) - set(world.CLASSES) or not net.labels:
            raise SettingError(f"{net.name} does not know the procedural world; give --data FOLDER with its images.")
        scenes, mirror = Images(world.dataset(images, FIRST_SEED + seed, max(16, *net.size))), bool(mirror)
    else:
        scenes, mirror = Images(data), mirror is not False
    order = np.random.default_rng(seed).permutation(len(scenes))[:images] if data is not None else range(len(scenes))
    if len(order) < 2 * HELD_OUT:
        raise SettingError(f"there are {len(order)} images; a decoder needs at least {2 * HELD_OUT}.")
    found = np.empty((len(order), net.pixels.image_channels, *net.size), np.uint8)
    mean = torch.tensor(net.pixels.mean).view(1, -1, 1, 1)
    for k, number in enumerate(tqdm(order, desc="images", unit="image", leave=False)):
        x = net.pixels_of(scenes[int(number)]).cpu()
        picture = (x + mean).round().clamp(0, 255)[0]
        if net.pixels.order == "BGR":
            picture = picture.flip(0)
        found[k] = picture.expand(found.shape[1:]).numpy()
    if mirror:
        kept = found[-HELD_OUT:]
        found = np.concatenate([found[:-HELD_OUT], found[:-HELD_OUT, ..., ::-1], kept])
    return found


def train(
    net: Network,
    layer: str,
    out: Path,
    recipe: Recipe,
    images: np.ndarray,
    command: str = "",
    progress: bool = True,
) -> Inverter:
    """Train a decoder of a layer and write it; returns it as it was written.

    A checkpoint is written beside `out` every minute and at the end; an interrupted training is resumed from it, and
    gives the same file. The activations of the images are computed once and kept as float16.

    Parameters
    ----------
    net : Network
        The network.
    layer : str
        The layer.
    out : Path
        The file.
    recipe : Recipe
        The settings.
    images : np.ndarray
        What `training_images` gives.
    command : str
        The command, for the file's `source`.
    progress : bool
        Whether a progress bar is shown.
    """
    training = _Training(net, net.layers[layer], recipe, images, progress)
    checkpoint = out.with_suffix(".checkpoint")
    training.resume(checkpoint)
    with tqdm(total=recipe.steps, initial=training.step, desc=out.stem, unit="step", disable=not progress) as bar:
        saved = time.monotonic()
        while training.step < recipe.steps:
            training.advance()
            bar.update()
            if time.monotonic() - saved > PAUSE:
                training.save(checkpoint)
                saved = time.monotonic()
                bar.set_postfix({name: f"{value:.3f}" for name, value in training.means().items()})
    training.save(checkpoint)
    inverter = replace(training.inverter(), source=f"{command} ({recipe.text()})".strip())
    write_inverter(inverter, out)
    return inverter


class _Training:
    """The state of a training: decoder, discriminator, optimisers, and the activations of the images."""

    def __init__(self, net: Network, layer: Layer, recipe: Recipe, images: np.ndarray, progress: bool):
        self.net, self.layer, self.recipe, self.images = net, layer, recipe, images
        self.count = len(images) - HELD_OUT
        self.step = 0
        self.recent: dict[str, list[float]] = {}
        slope = 0.3 if recipe.loss == "adversarial" else 0.2
        channels, size, shape = shape_of(net, layer)
        self.plan: Plan = plan_for(
            channels, size, shape, resolution=recipe.resolution, width=recipe.width, hidden=recipe.hidden,
            slope=slope, smoothed=recipe.smoothed,
        )  # fmt: skip
        self.deep = None
        if recipe.loss != "pixel":  # the last map before the class scores: where the feature term compares images
            self.deep = last_map_layer(net, net.scores, "the feature loss")
            self.deep_probe = net.probe(self.deep.name)
        self._measure_activations(progress)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.seed)
            self.decoder = Decoder(self.plan, normalised=True)
            self.judge = discriminator(net.pixels.channels)
        device = net.device
        self.decoder.to(device).to(memory_format=torch.channels_last)
        self.judge.to(device).to(memory_format=torch.channels_last)
        self.optimizer = torch.optim.Adam(self.decoder.parameters(), lr=recipe.rate, betas=(0.9, 0.999))
        self.judge_optimizer = torch.optim.Adam(
            self.judge.parameters(), lr=recipe.judge, betas=(0.9, 0.999), weight_decay=4e-4
        )
        self.balance = Balance()
        self.parts = {
            "decoder": self.decoder, "judge": self.judge, "optimizer": self.optimizer,
            "judge_optimizer": self.judge_optimizer,
        }  # fmt: skip
        self.settings = f"{net.name} {weights_digest(net)} {layer.name} {len(images)} images, {recipe.text()}"

    def _measure_activations(self, progress: bool) -> None:
        """The activations of all images, the statistics of the units, and the usual size of images and features."""
        names = dict.fromkeys(one.name for one in (self.layer, self.deep) if one is not None)
        probe = self.net.probe(*names)
        rows: dict[str, torch.Tensor] = {}
        totals = torch.zeros(2, self.plan.channels, dtype=torch.float64)
        lowest = torch.full((self.plan.channels,), float("inf"))
        pixels = feature = 0.0
        starts = range(0, len(self.images), CHUNK)
        for first in tqdm(starts, desc="activations", unit="batch", leave=False, disable=not progress):
            x = self._x(np.arange(first, min(first + CHUNK, len(self.images))))
            with torch.no_grad():
                found = probe(self.net.feed(x))
            for name in names:
                maps = as_maps(found[name], self.net.layers[name]).float().cpu()
                if name not in rows:
                    rows[name] = torch.empty(len(self.images), *maps.shape[1:], dtype=torch.float16)
                rows[name][first : first + len(maps)] = maps.clamp(-65_000, 65_000).half()
            known = max(0, min(len(x), self.count - first))  # the others are held out
            maps = as_maps(found[self.layer.name], self.layer).float().cpu()[:known]
            if known:
                totals[0] += maps.double().sum((0, 2, 3))
                totals[1] += maps.double().square().sum((0, 2, 3))
                lowest = torch.minimum(lowest, maps.amin((0, 2, 3)))
                pixels += float(x[:known].square().sum())
                if self.deep is not None:
                    feature += float(found[self.deep.name][:known].float().square().sum())
        cells = self.count * self.plan.map[0] * self.plan.map[1]
        mean = totals[0] / cells
        deviation = (totals[1] / cells - mean.square()).clamp_min(0).sqrt()
        usual = float(deviation.mean()) or 1.0
        lower = torch.where(lowest >= 0, torch.zeros_like(mean), mean - 3 * deviation)
        self.statistics = {
            "mean": mean.float(),
            "deviation": deviation.clamp_min(1e-3 * usual).float(),  # of a unit that never changes
            "lower": lower.float(),
            "upper": (mean + 3 * deviation).float(),
        }
        self.rows = rows
        usual_feature = max(feature / self.count, 1e-12)
        self.loss = Loss(self.recipe.loss, pixels / self.count, usual_feature, self.recipe.against)

    def _x(self, chosen: np.ndarray) -> torch.Tensor:
        """Images in the network's units, (N, C, H, W)."""
        rgb = torch.from_numpy(self.images[np.sort(chosen)][np.argsort(np.argsort(chosen))]).float()
        return self.net.pixels.encode(rgb).to(self.net.device)

    # steps

    def _chosen(self) -> np.ndarray:
        """The images of the step: each once in an epoch, in an order that depends on the seed and the epoch."""
        batches = self.count // self.recipe.batch
        epoch, k = divmod(self.step, batches)
        order = np.random.default_rng(mixed(self.recipe.seed, epoch, 5)).permutation(self.count)
        return order[k * self.recipe.batch : (k + 1) * self.recipe.batch]

    def advance(self) -> None:
        """One step of the decoder and, once it counts, of the discriminator."""
        recipe, chosen = self.recipe, self._chosen()
        part = self.step / recipe.steps
        for group in self.optimizer.param_groups:
            group["lr"] = recipe.rate * min(1.0, 20 * part + 1e-2) * (0.01 + 0.99 * (1 + math.cos(math.pi * part)) / 2)
        target = self._x(chosen)
        maps = self.rows[self.layer.name][torch.from_numpy(chosen)].to(target.device).float()
        mean, deviation = (self.statistics[k].view(1, -1, 1, 1).to(target.device) for k in ("mean", "deviation"))
        deep = self.deep is not None and part >= BEGINS["feature"]
        against = recipe.loss == "adversarial" and part >= BEGINS["adversarial"]
        with torch.random.fork_rng():
            torch.manual_seed(mixed(recipe.seed, self.step, 6))
            self.decoder.train()
            self.judge.train()
            with mixed_precision(target.device):
                image = self.decoder((maps - mean) / deviation)
            terms = dict(self._feature_terms(image, chosen)) if deep else {}
            if against:
                self._judge_step(target, image, terms)
            loss = self.loss(image, target, **terms)
            if not against or self.balance.generator:
                self.optimizer.zero_grad()
                loss.backward()
                self.optimizer.step()
        self._note("loss", float(loss.detach()))
        self._note("image", float((image.detach() - target).square().sum() / target.square().sum()) ** 0.5)
        if deep:
            wanted = terms["wanted"].float()
            self._note("feature", float((terms["features"].detach() - wanted).norm() / wanted.norm()))
        self.step += 1

    def _feature_terms(self, image: torch.Tensor, chosen: np.ndarray) -> Iterator[tuple[str, torch.Tensor]]:
        """The deep layer's activations of the decoder's images, and those that are wanted."""
        assert self.deep is not None
        found = self.deep_probe(self.net.pixels.feed(image).to(self.net.dtype))[self.deep.name]
        yield "features", as_maps(found, self.deep).float()
        yield "wanted", self.rows[self.deep.name][torch.from_numpy(chosen)].to(image.device).float()

    def _judge_step(self, target: torch.Tensor, image: torch.Tensor, terms: dict[str, torch.Tensor]) -> None:
        """The discriminator's step on photographs and images, and its verdict for the decoder's loss."""
        made = image.detach()
        with mixed_precision(image.device):
            real, fake = self.judge(target / UNIT), self.judge(made / UNIT)
        loss_real, loss_fake = cross_entropy(real, REAL), cross_entropy(fake, FAKE)
        if self.balance.discriminator:
            self.judge_optimizer.zero_grad()
            (loss_real + loss_fake).backward()
            self.judge_optimizer.step()
        told = float(loss_real.detach()), float(loss_fake.detach())
        self.judge.requires_grad_(False)
        with mixed_precision(image.device):
            terms["verdict"] = self.judge(image / UNIT)
        self.judge.requires_grad_(True)
        fooled = float(cross_entropy(terms["verdict"].detach(), REAL))
        self.balance.update(*told, fooled)
        self._note("judge", sum(told) / 2)
        self._note("fooled", fooled)

    def _note(self, name: str, value: float) -> None:
        self.recent.setdefault(name, []).append(value)

    def means(self) -> dict[str, float]:
        """The terms of the steps since the last call, means."""
        recent, self.recent = self.recent, {}
        return {name: float(np.mean(values)) for name, values in recent.items()}

    # checkpoints and results

    def resume(self, checkpoint: Path) -> None:
        """Continue from a checkpoint, if there is one."""
        saved = read_checkpoint(checkpoint, self.settings, self.parts)
        if saved:
            self.step = int(saved["step"])
            self.balance = Balance(bool(saved["balance"][0]), bool(saved["balance"][1]))

    def save(self, checkpoint: Path) -> None:
        """Write a checkpoint."""
        done = {"step": self.step, "balance": [self.balance.discriminator, self.balance.generator]}
        save_checkpoint(checkpoint, self.settings, self.parts, done)

    def inverter(self) -> Inverter:
        """The decoder with its weights rounded to float16, and its errors on the images that were left out."""
        decoder = folded(self.decoder.cpu())
        rounded = Decoder(self.plan).eval().requires_grad_(False)
        rounded.load_state_dict({name: value.half().float() for name, value in decoder.state_dict().items()})
        net, layer = self.net, self.layer.name
        inverter = Inverter(
            rounded, net.name, weights_digest(net), layer, self.recipe.loss, net.pixels, self.statistics
        )
        return replace(inverter, errors=errors(net, inverter, self._x(np.arange(self.count, len(self.images)))))


def errors(net: Network, inverter: Inverter, x: torch.Tensor) -> dict[str, float]:
    """The relative errors of the images of an inverter, means over images (N, C, H, W) in the network's units."""
    probe = net.probe(inverter.layer)
    total = {"image": 0.0, "activation": 0.0}
    with torch.no_grad():
        for some in x.split(CHUNK):
            wanted = probe(net.feed(some))[net.layers[inverter.layer].name]
            made = inverter.images(net, wanted)
            found = probe(net.feed(made))[net.layers[inverter.layer].name]
            for name, (a, b) in {"image": (made, some), "activation": (found, wanted)}.items():
                difference, norm = ((v.flatten(1).float().norm(dim=1)) for v in (a - b, b))
                total[name] += float((difference / norm.clamp_min(1e-12)).sum())
    return {name: value / len(x) for name, value in total.items()}
