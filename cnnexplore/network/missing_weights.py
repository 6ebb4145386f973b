"""Missing weights: modules whose weights are lazy, on the meta device or spread over processes are refused."""

from __future__ import annotations

from torch import nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

from ..errors import NetworkError


def refuse_what_holds_no_weights(module: nn.Module) -> None:
    """Refuse a module whose weights are not here: lazy, on the meta device, or spread over processes.

    Parameters
    ----------
    module : nn.Module
        The module; it is unchanged.

    Raises
    ------
    NetworkError
        If it is such a module.
    """
    for path, part in module.named_modules():
        held = {**vars(part).get("_parameters", {}), **vars(part).get("_buffers", {})}
        for name, tensor in held.items():
            if tensor is None:
                continue
            where = f"{type(module).__name__}'s {path + '.' if path else ''}{name}"
            if isinstance(tensor, (UninitializedParameter, UninitializedBuffer)):
                raise NetworkError(
                    f"{where} has no shape yet ({type(part).__name__} is a lazy module): run the module once on an "
                    "input of the right shape, then give it to cx.Network."
                )
            if tensor.device.type == "meta":
                raise NetworkError(
                    f"{where} is on the meta device, which holds no numbers: load the weights first, for instance with "
                    "module.to_empty(device='cpu') and module.load_state_dict(...)."
                )
            if type(tensor).__name__ in ("DTensor", "ShardedTensor", "FlatParameter"):
                raise NetworkError(
                    f"{where} is spread over several processes ({type(tensor).__name__}): gather the whole state_dict "
                    "and load it into a module of one process."
                )
