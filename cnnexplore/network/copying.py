"""Copying: a copy of a module in eval mode that shares its weights, and reaches nothing else of the user's."""

from __future__ import annotations

import copy
import functools
import threading
import types
import weakref
from typing import Any

import torch
from torch import fx, nn

from ..errors import ExploreError, NetworkError, brief
from .observing import only_observes
from .rebinding import Rebinding, is_library_code, reachable, referred

_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
_LOCKS = (type(threading.Lock()), type(threading.RLock()))
_WRAPPERS = {  # modules that run another one on several devices, or compiled: the name of the other one
    "torch.nn.parallel.data_parallel.DataParallel": "module",
    "torch.nn.parallel.distributed.DistributedDataParallel": "module",
    "torch._dynamo.eval_frame.OptimizedModule": "_orig_mod",
}


class Unwrapped(nn.Module):
    """Stands in a copy for a wrapper such as nn.DataParallel: runs the module inside, here and as it is written.

    Parameters
    ----------
    inside : str
        The name of the module inside.
    """

    def __init__(self, inside: str):
        super().__init__()
        self.inside = inside

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module inside returns.

        Parameters
        ----------
        *args, **kwargs
            Its arguments.

        Returns
        -------
        object
            Its result.
        """
        return self.get_submodule(self.inside)(*args, **kwargs)


@torch.inference_mode(False)
def weight_sharing_copy(module: nn.Module) -> nn.Module:
    """A copy of a module in eval mode that shares its weights.

    The copy's parameters are views without gradient: the module can be trained meanwhile, and the copy follows. Its
    buffers are copies, because a forward pass may write into them, and so is all else that the module reaches:
    attributes, activations that it kept, objects, and what its functions and hooks close over. Nothing that the copy
    does is seen by the user's module, lists or objects.

    Hooks that change what a module computes stay. A hook is left out if its source shows that it returns None and
    writes only into what the module does not read (`only_observes`). Where the source does not tell, the hook stays
    and works on copies of what it refers to. Modules that are not registered, such as those in a plain list, are
    copied too and keep their training flag, as they do when `module.eval()` is called.

    Parameters
    ----------
    module : nn.Module
        The module; it is unchanged.

    Returns
    -------
    nn.Module
        The copy.

    Raises
    ------
    NetworkError
        If the module cannot be copied.
    """
    copier = _Copier(module)
    try:
        return copier.copy()
    except ExploreError:
        raise
    except Exception as error:
        where = copier.culprit()
        raise NetworkError(
            f"{type(module).__name__} cannot be copied ({where or brief(error)}), and cnnexplore works on a copy that "
            "shares the weights; keep that outside of the module, give its class a __deepcopy__, or wrap only the part "
            "that computes."
        ) from error


class _Copier:
    def __init__(self, module: nn.Module):
        self.module = module
        self.memo: dict[int, Any] = {}
        self.originals = {id(part): part for part in module.modules()}
        self.reached: dict[int, Any] = {}  # all that a deep copy enters
        self.functions: list[Any] = []
        self.unwrapped: list[tuple[Unwrapped, nn.Module]] = []
        self.hooks: list[tuple[dict, dict]] = []

    def copy(self) -> nn.Module:
        for part in self.originals.values():
            for name in _HOOKS:
                hooks = vars(part).get(name)
                if hooks:
                    self.memo[id(hooks)] = kept = type(hooks)()
                    self.hooks.append((hooks, kept))
        self.prepare([self.module])
        for hooks, kept in self.hooks:
            kept.update({key: hook for key, hook in hooks.items() if not self._is_left_out(hook)})
            self.prepare(list(kept.values()))
        copied = copy.deepcopy(self.module, self.memo)
        for stand_in, inside in self.unwrapped:
            stand_in.add_module(stand_in.inside, copy.deepcopy(inside, self.memo))
        for _, kept in self.hooks:
            for key, hook in kept.items():
                kept[key] = copy.deepcopy(hook, self.memo)
        self._complete_graph_modules()
        if self.functions:
            rebinding = Rebinding(self.memo, self.prepare, self.originals, self.reached, self.names_of_classes)
            if any(map(rebinding.concerns, self.functions)):
                copied = rebinding.replaced(copied)
        for part in copied.modules():
            if id(part) in self.originals:
                raise NetworkError(
                    f"{type(self.module).__name__} cannot be copied: the copy that {type(part).__name__} makes of "
                    "itself is no copy, and cnnexplore does not run the module itself; mend its __deepcopy__."
                )
        evaluate(copied)
        return copied

    def prepare(self, roots: list[Any]) -> None:
        """Adds to the memo what a deep copy of the roots must not copy, or cannot."""
        for value in reachable(roots, self.memo, seen=self.reached):
            if type(value) in (dict, list, tuple):
                continue
            if isinstance(value, nn.Module):
                self._share(value)
            elif isinstance(value, torch.Tensor):
                if id(value) not in self.memo and (not value.is_leaf or value.is_inference()):
                    self.memo[id(value)] = value.detach().clone()  # kept from a pass of the user's
            elif isinstance(value, (types.FunctionType, types.BuiltinMethodType, weakref.ref)) or type(value) is _CACHE:
                self.functions.append(value)
            elif isinstance(value, _LOCKS):
                self.memo[id(value)] = type(value)() if type(value) is _LOCKS[1] else threading.Lock()
            elif isinstance(value, threading.Condition):
                self.memo[id(value)] = threading.Condition()
            elif isinstance(value, torch.Generator):
                self.memo[id(value)] = torch.Generator(value.device).set_state(value.get_state())
            elif isinstance(value, (torch.Stream, torch.jit.ScriptFunction)):
                self.memo[id(value)] = value  # they hold nothing that a pass changes

    def _share(self, part: nn.Module) -> None:
        tensors = [v for v in vars(part).values() if isinstance(v, torch.Tensor)]
        for tensor in [*vars(part).get("_parameters", {}).values(), *vars(part).get("_buffers", {}).values(), *tensors]:
            if tensor is not None and id(tensor) not in self.memo:
                self.memo[id(tensor)] = _shared(tensor)
        kind = type(part)
        inside = _WRAPPERS.get(f"{kind.__module__}.{kind.__qualname__}")
        if inside is not None and id(part) not in self.memo:
            self.memo[id(part)] = stand_in = Unwrapped(inside)
            self.unwrapped.append((stand_in, getattr(part, inside)))
            self.prepare([getattr(part, inside)])

    def _is_left_out(self, hook: Any) -> bool:
        """Whether a hook only observes, and the module does not use what it writes."""
        if not only_observes(hook):
            return False
        own = [v for v in reachable([hook], self.originals, True) if not isinstance(v, types.FunctionType)]
        return not any(id(v) in self.reached or id(v) in self.names_of_classes for v in own)

    @functools.cached_property
    def names_of_classes(self) -> dict[int, Any]:
        """By id, what the methods of the module's classes use of their files: they use it also in the copy."""
        found: dict[int, Any] = {}
        kinds = {base for part in self.originals.values() for base in type(part).__mro__}
        waiting: list[Any] = [function for kind in kinds for function in vars(kind).values()]
        while waiting:
            value = waiting.pop()
            if isinstance(value, types.FunctionType) and not is_library_code(value) and id(value) not in found:
                waiting += [v for v in referred(value) if not isinstance(v, nn.Module)]
            found[id(value)] = value
        return found

    def _complete_graph_modules(self) -> None:
        """A graph module copies only what its graph names: its hooks and a forward of its own come here."""
        for part in self.originals.values():
            twin = self.memo.get(id(part))
            if isinstance(part, fx.GraphModule) and isinstance(twin, nn.Module):
                for name, value in vars(part).items():
                    if (
                        name in _HOOKS
                        or name.startswith(("_forward_hooks_", "_forward_pre_hooks_"))
                        or name not in vars(twin)
                    ):
                        vars(twin)[name] = copy.deepcopy(value, self.memo)

    def culprit(self) -> str:
        """Which attribute cannot be copied, in words; nothing if none alone fails."""
        for path, part in self.module.named_modules():
            for name, value in vars(part).items():
                if name in ("_modules", "_parameters", "_buffers", *_HOOKS):
                    continue
                try:
                    copy.deepcopy(value, dict(self.memo))
                except Exception as error:
                    where = f"{path}.{name}" if path else name
                    return f"its attribute {where!r} holds a {type(value).__name__}: {brief(error)}"
        return ""


_CACHE = type(functools.lru_cache(lambda: None))


def _shared(tensor: torch.Tensor) -> torch.Tensor:
    """What the copy has for a tensor of a module: a parameter of the same numbers, or a copy of a buffer."""
    if not isinstance(tensor, nn.Parameter):
        return tensor.detach().clone()
    data = tensor.data.clone() if tensor.is_inference() else tensor.data
    if type(tensor) is nn.Parameter or not issubclass(type(tensor), nn.Parameter):
        shared = nn.Parameter(data, False)
    else:
        shared = torch.Tensor._make_subclass(type(tensor), data, False)
    vars(shared).update({name: value for name, value in vars(tensor).items() if name not in vars(shared)})
    return shared


def evaluate(copied: nn.Module) -> None:
    """Set a copy to evaluation mode, also one whose `eval` raises, as those of torch.export do.

    Parameters
    ----------
    copied : nn.Module
        The copy; it is changed.
    """
    try:
        copied.eval()  # its return value is not used: a module's own train() may forget to return itself
    except Exception:
        for part in copied.modules():
            part.training = False
