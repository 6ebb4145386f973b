"""Names of tensors: a file's names matched with a module's, without the prefixes that training programs add."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import torch

_WRAPPERS = {"module", "_orig_mod", "_forward_module", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}
_COUNTERS = ("num_batches_tracked", "total_ops", "total_params", "n_averaged")  # take no part in the result
# torchvision's DenseNets before 0.3 had names such as norm.1, which torch does not allow any more.
_OLD_DENSENET = re.compile(r"^(.*denselayer\d+\.(?:norm|conv))\.([12]\.\w+)$")


def is_counter(name: str) -> bool:
    """Whether a tensor counts something during training, so that it may be missing or be one too many."""
    return name.rsplit(".", 1)[-1] in _COUNTERS


def matched(tensors: Mapping[str, torch.Tensor], expected: Iterable[str]) -> dict[str, torch.Tensor]:
    """The tensors under a module's own names: without the names of wrappers, and without a prefix that all have.

    Where there is a prefix (as "model." in Lightning's checkpoints), tensors without it are those of other modules and
    are left out. Names that fit no module are returned as they are.
    """
    wanted = {name for name in expected if not is_counter(name)}
    if wanted <= set(tensors):
        return dict(tensors)
    plain = {_unwrapped(name, wanted): value for name, value in tensors.items()}
    if wanted <= set(plain):
        return plain
    first = next((name for name in expected if name in wanted), "")
    prefixes = sorted((name[: -len(first)] for name in plain if first and name.endswith("." + first)), key=len)
    for prefix in prefixes:
        if all(prefix + name in plain for name in wanted):
            return {name[len(prefix) :]: value for name, value in plain.items() if name.startswith(prefix)}
    # the architecture differs: names without the commonest prefix make the difference easier to see
    for prefix in prefixes:
        if sum(prefix + name in plain for name in wanted) > len(wanted) / 2:
            return {name.removeprefix(prefix): value for name, value in plain.items()}
    return plain


def _unwrapped(name: str, wanted: set[str]) -> str:
    if name in wanted:
        return name
    plain = ".".join(part for part in name.split(".") if part not in _WRAPPERS)
    old = _OLD_DENSENET.match(plain)
    return old[1] + old[2] if old else plain
