"""The training of the embedded AlexNets: normal or against L2 attacks, resumable, reproducible from its seed."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tempfile
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval
from tqdm.auto import tqdm

from ...errors import WeightsError, brief, brief_value
from ...network import Pixels
from ...network.tensor_file import write_safetensors
from ...results import writing
from ..architectures.build import build
from .precision import mixed_precision

Batches = Callable[[int], Iterable[tuple[torch.Tensor, torch.Tensor]]]


@dataclass(frozen=True)
class Recipe:
    """Settings of one training. eps: radius of the L2 ball of attacks on an image in 0..1 units, 0 for none."""

    epochs: int
    steps: int  # batches per epoch
    rate: float = 0.05
    decay: float = 5e-4
    smoothing: float = 0.1
    eps: float = 0.0
    attacks: int = 2  # gradient steps of an attack; one in the first half of the epochs
    seed: int = 0

    def text(self) -> str:
        """All settings in one line, as the file's metadata state them."""
        return ", ".join(f"{name} {value:g}" for name, value in asdict(self).items())


def trainee(plain: nn.Sequential) -> nn.Sequential:
    """The network with batch normalisation after all layers with weights but the last, and without its softmax.

    This cuts the number of epochs to a third; `folded` removes the normalisation again. The first filters start at a
    tenth of their size, which the normalisation cancels, so that the learned part soon exceeds the initial noise.
    """
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    named = {name: part for name, part in plain.named_children() if not isinstance(part, nn.Softmax)}
    last = list(named)[-1]
    for name, part in named.items():
        parts[name] = part
        if isinstance(part, nn.Conv2d):
            parts[f"bn_{name}"] = nn.BatchNorm2d(part.out_channels)
        elif isinstance(part, nn.Linear) and name != last:
            parts[f"bn_{name}"] = nn.BatchNorm1d(part.out_features)
    first = next(part for part in parts.values() if isinstance(part, nn.Conv2d))
    with torch.no_grad():
        first.weight.mul_(0.1)
    return nn.Sequential(parts)


def folded(trained: nn.Sequential) -> dict[str, torch.Tensor]:
    """The weights for the network without normalisation: each one is absorbed by the layer before it."""
    parts = dict(trained.eval().named_children())
    weights = {}
    for name, part in parts.items():
        normalisation = parts.get(f"bn_{name}")
        if isinstance(part, nn.Conv2d) and isinstance(normalisation, nn.BatchNorm2d):
            part = fuse_conv_bn_eval(part, normalisation)
        if isinstance(part, nn.Linear) and isinstance(normalisation, nn.BatchNorm1d):
            part = fuse_linear_bn_eval(part, normalisation)
        if isinstance(part, (nn.Conv2d, nn.Linear)) and part.bias is not None:
            weights[f"{name}.weight"], weights[f"{name}.bias"] = part.weight.detach(), part.bias.detach()
    return {name: value.float().contiguous() for name, value in weights.items()}


def attack(
    module: nn.Module,
    x: torch.Tensor,
    labels: torch.Tensor,
    eps: float,
    steps: int,
    generator: torch.Generator,
    bounds: tuple[torch.Tensor, torch.Tensor],
) -> torch.Tensor:
    """Adversarial inputs: projected gradient ascent of the loss in an L2 ball, from a random start.

    x: (N, C, H, W), inputs of the network; eps: the radius in the same units; bounds: the lowest and highest input,
    (C, 1, 1) each. The module is left in evaluation mode, without gradients.
    """
    module.eval()
    step = 1.5 * eps / steps
    moved = torch.randn(x.shape, generator=generator).to(x.device)
    moved *= eps * torch.rand(len(x), 1, 1, 1, generator=generator).to(x.device) / _norm(moved)
    for _ in range(steps):
        at = (x + moved).clamp_(*bounds).requires_grad_()
        with mixed_precision(x.device):
            loss = F.cross_entropy(module(at).float(), labels, reduction="sum")
        (slope,) = torch.autograd.grad(loss, at)
        moved = at.detach() - x + slope * (step / _norm(slope))
        moved *= (eps / _norm(moved)).clamp_(max=1)
    return (x + moved).clamp_(*bounds)


def _norm(x: torch.Tensor) -> torch.Tensor:
    """The L2 norm of each input, (N, 1, 1, 1)."""
    return torch.linalg.vector_norm(x.flatten(1), dim=1)[:, None, None, None].clamp_min(1e-12)


def bounds(pixels: Pixels, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Black and white as inputs of the network."""
    mean = torch.tensor(pixels.mean).view(-1, 1, 1)
    low, high = pixels.feed(torch.stack([-mean, 255 - mean])).to(device)
    return low, high


def fit(
    plain: nn.Sequential,
    batches: Batches,
    pixels: Pixels,
    recipe: Recipe,
    checkpoint: Path | None = None,
    after_step: Callable[[int, nn.Sequential], None] | None = None,
    label: str = "training",
) -> tuple[dict[str, torch.Tensor], list[float]]:
    """Train on batches(epoch) of inputs and labels. Returns the folded weights and each epoch's mean loss.

    checkpoint: written after every epoch; an existing one is resumed. The random numbers of an epoch depend on the seed
    and the epoch only, so that a resumed training has the same result. after_step(step, module) is called before the
    first step and after each. Raises WeightsError for a checkpoint of another recipe.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    module = trainee(plain).to(device).to(memory_format=torch.channels_last)
    weights, others = _split(module)
    optimizer = torch.optim.SGD(
        [{"params": weights, "weight_decay": recipe.decay}, {"params": others, "weight_decay": 0.0}],
        lr=recipe.rate,
        momentum=0.9,
        nesterov=True,
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.rate, total_steps=recipe.epochs * recipe.steps, pct_start=0.2, final_div_factor=1e3
    )
    parts = {"module": module, "optimizer": optimizer, "schedule": schedule}
    losses: list[float] = read_checkpoint(checkpoint, recipe.text(), parts).get("losses", []) if checkpoint else []
    limits = bounds(pixels, device)
    radius = recipe.eps * 255 / pixels.std[0]
    if after_step and not losses:
        after_step(0, module)
    with tqdm(total=recipe.epochs * recipe.steps, initial=len(losses) * recipe.steps, desc=label, unit="step") as bar:
        for epoch in range(len(losses), recipe.epochs):
            total = 0.0
            with torch.random.fork_rng():
                torch.manual_seed(mixed(recipe.seed, epoch))
                generator = torch.Generator().manual_seed(mixed(recipe.seed, epoch, 1))
                for k, (x, labels) in enumerate(_first(batches(epoch), recipe.steps, device)):
                    if recipe.eps:
                        steps = recipe.attacks if epoch >= recipe.epochs // 2 else 1
                        x = attack(module, x, labels, radius, steps, generator, limits)
                    module.train()
                    with mixed_precision(device):
                        answer = module(x)
                    loss = F.cross_entropy(answer.float(), labels, label_smoothing=recipe.smoothing)
                    optimizer.zero_grad()
                    loss.backward()
                    nn.utils.clip_grad_norm_(module.parameters(), 5.0)
                    optimizer.step()
                    schedule.step()
                    total += loss.item()
                    bar.update()
                    if after_step:
                        after_step(epoch * recipe.steps + k + 1, module)
            losses.append(total / recipe.steps)
            bar.set_postfix(loss=f"{losses[-1]:.4f}")
            if checkpoint:
                save_checkpoint(checkpoint, recipe.text(), parts, {"losses": losses})
    return folded(module.cpu()), losses


def mixed(*numbers: int) -> int:
    """One seed from several numbers, the same on every machine."""
    return int.from_bytes(hashlib.sha256(repr(numbers).encode()).digest()[:4], "little")


def _first(
    batches: Iterable[tuple[torch.Tensor, torch.Tensor]], steps: int, device: torch.device
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """The first batches, on the device."""
    for _, (x, labels) in zip(range(steps), batches, strict=False):
        yield x.to(device, memory_format=torch.channels_last), labels.to(device)


def _split(module: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """The weights, which decay, and all other parameters, which do not."""
    named = [p for p in module.parameters() if p.requires_grad]
    return [p for p in named if p.dim() > 1], [p for p in named if p.dim() <= 1]


def save_checkpoint(path: Path, settings: str, parts: Mapping[str, Any], done: Mapping[str, Any]) -> None:
    """Write the state of a training; one that is there is replaced when all is written.

    settings: what the training must have to be resumed; parts: what has a state_dict; done: other tensors and numbers.
    Raises SettingError, such as on a full disk.
    """
    state = io.BytesIO()  # torch hides why a file cannot be written
    torch.save({"recipe": settings, **{name: one.state_dict() for name, one in parts.items()}, **done}, state)
    with writing(path):
        handle, part = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")  # a killed write leaves the old one
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(state.getbuffer())
            os.replace(part, path)
        except BaseException:
            os.unlink(part)
            raise


def read_checkpoint(path: Path, settings: str, parts: Mapping[str, Any]) -> dict[str, Any]:
    """Load a checkpoint into its parts; returns all of it, or an empty dict if there is none.

    Raises WeightsError for one that is damaged or of another training, and SettingError, now rather than after an
    epoch, if none can be written.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=path.parent).close()
    if not path.exists():
        return {}
    try:
        if not path.is_file():
            raise ValueError("it is no file")  # a pipe would be waited for
        with zipfile.ZipFile(path) as file:  # torch does not look at the checksums that it has written
            if file.testzip() is not None:
                raise ValueError("it is damaged")
        saved = torch.load(path, map_location="cpu", weights_only=True)
        if saved["recipe"] != settings:
            raise ValueError(f"it was made with {saved['recipe']}")
        for name, one in parts.items():
            one.load_state_dict(saved[name])
        return dict(saved)
    except Exception as error:
        raise WeightsError(
            f"{brief_value(str(path))} is no checkpoint of this training ({brief(error)}); remove it to start again, "
            "or give the same settings."
        ) from error


def write(
    weights: dict[str, torch.Tensor],
    out: Path,
    architecture: str,
    pixels: Pixels,
    size: int,
    labels: Sequence[str],
    measure: Callable[[nn.Module], str],
) -> str:
    """Write the weights as a self-describing float16 file; returns its `source` line.

    measure: takes the network with the rounded weights and returns the `source` line, which states its accuracy.
    """
    rounded = {name: value.half().contiguous() for name, value in weights.items()}
    module = build(architecture, len(labels), rounded).eval()
    module.load_state_dict({name: value.float() for name, value in rounded.items()})
    source = measure(module)
    metadata = {
        "architecture": architecture,
        "pixels": pixels.to_json(),
        "input_size": str(size),
        "labels": json.dumps(list(labels)),
        "source": source,
        "license": "MIT",
    }
    write_safetensors(rounded, out, metadata)
    return source
