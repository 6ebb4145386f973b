"""Copying: a copy of a module in eval mode that shares its weights, and reaches nothing else of the user's."""

from __future__ import annotations

import copy
import functools
import threading
import types
import weakref
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn

from ..errors import ExploreError, NetworkError, brief, brief_value
from .guard import guard, writes_weights
from .kept_weights import FOLLOWED
from .missing_weights import refuse_what_holds_no_weights
from .observing import only_observes
from .rebinding import Rebinding, is_library_code, is_of_library, reachable, referred, slots, vars_of

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


class Scripted(nn.Module):
    """Stands in a copy for a scripted or traced module, which takes no hooks: its result is a layer, its parts are not.

    Parameters
    ----------
    script : torch.jit.ScriptModule
        The scripted module.
    """

    script: nn.Module

    def __init__(self, script: nn.Module):
        super().__init__()
        vars(self)["script"] = script  # not registered: nobody looks for layers inside

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the scripted module returns.

        Parameters
        ----------
        *args, **kwargs
            Its arguments.

        Returns
        -------
        object
            Its result.
        """
        return self.script(*args, **kwargs)


@torch.inference_mode(False)
def weight_sharing_copy(module: nn.Module, own_weights: bool = False) -> nn.Module:
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
    own_weights : bool
        Whether the copy has weights of its own, for code that may write into them; else it shares them.

    Returns
    -------
    nn.Module
        The copy.

    Raises
    ------
    NetworkError
        If the module cannot be copied.
    """
    refuse_what_holds_no_weights(module)
    copier = _Copier(module, own_weights)
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
    def __init__(self, module: nn.Module, own_weights: bool):
        self.module = module
        self.own_weights = own_weights or writes_weights(module)
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
        by_hand = [part for part in self.originals.values() if not self._copies_itself(part)]
        for part in by_hand:
            self.memo[id(part)] = type(part).__new__(type(part))
        for part in by_hand:
            vars(self.memo[id(part)]).update(copy.deepcopy(vars(part), self.memo))
        copied = copy.deepcopy(self.module, self.memo)
        for stand_in, inside in self.unwrapped:
            stand_in.add_module(stand_in.inside, copy.deepcopy(inside, self.memo))
        for _, kept in self.hooks:
            for key, hook in kept.items():
                kept[key] = copy.deepcopy(hook, self.memo)
        self._complete()
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
        copied = self._wrap_scripted(copied)
        outside = [v for v in self.names_of_classes.values() if isinstance(v, nn.Module)]
        guard(copied, self.module, outside, not self.own_weights)
        return copied

    def _wrap_scripted(self, copied: nn.Module) -> nn.Module:
        """The copy of a scripted module has weights of its own, here made those of the module; it takes no hook."""
        originals = dict(self.module.named_modules())
        outermost: list[tuple[str, nn.Module]] = []
        for path, twin in copied.named_modules():
            if isinstance(twin, torch.jit.ScriptModule) and path in originals:
                for name, parameter in originals[path].named_parameters(recurse=False):
                    twin._c.setattr(name, _shared(parameter, self.own_weights))
                if not any(not above or path.startswith(f"{above}.") for above, _ in outermost):
                    outermost.append((path, twin))
        for path, twin in outermost:
            if not path:
                return Scripted(twin)
            parent, _, name = path.rpartition(".")
            copied.get_submodule(parent)._modules[name] = Scripted(twin)
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
                if isinstance(value, weakref.ref):
                    self.memo[id(value)] = value  # a deep copy takes the plain kind only
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
                self.memo[id(tensor)] = _shared(tensor, self.own_weights)
        kind = type(part)
        inside = _WRAPPERS.get(f"{kind.__module__}.{kind.__qualname__}")
        if inside is not None and id(part) not in self.memo:
            self.memo[id(part)] = stand_in = Unwrapped(inside)
            self.unwrapped.append((stand_in, getattr(part, inside)))
            self.prepare([getattr(part, inside)])

    def _copies_itself(self, part: nn.Module) -> bool:
        """Whether a module with a `__deepcopy__` of the user's gives a copy; some give themselves."""
        own = vars_of(type(part), "__deepcopy__")
        if not isinstance(own, types.FunctionType) or is_library_code(own) or id(part) in self.memo:
            return True
        try:
            twin = copy.deepcopy(part, dict(self.memo))
        except Exception:
            return False
        return isinstance(twin, nn.Module) and not any(id(p) in self.originals for p in twin.modules())

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
        kinds = {base for part in self.originals.values() for base in type(part).__mro__ if not is_of_library(base)}
        waiting: list[Any] = [function for kind in kinds for function in vars(kind).values()]
        while waiting:
            value = waiting.pop()
            if isinstance(value, types.FunctionType) and not is_library_code(value) and id(value) not in found:
                waiting += referred(value)
            if id(value) not in self.originals:
                found[id(value)] = value
        return found

    def _complete(self) -> None:
        """What the copies that modules make of themselves lack: a graph module's hooks and other attributes, slots."""
        for part in self.originals.values():
            twin = self.memo.get(id(part))
            if not isinstance(twin, nn.Module) or isinstance(twin, Unwrapped):
                continue
            if isinstance(part, fx.GraphModule):
                for name, value in vars(part).items():
                    hooks = name in _HOOKS or name.startswith(("_forward_hooks_", "_forward_pre_hooks_"))
                    if hooks or name not in vars(twin):
                        vars(twin)[name] = copy.deepcopy(value, self.memo)
            for name in slots(type(part)):
                if hasattr(part, name) and not hasattr(twin, name):
                    object.__setattr__(twin, name, copy.deepcopy(getattr(part, name), self.memo))

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
                    return f"its attribute {brief_value(where)} holds a {type(value).__name__}: {brief(error)}"
        return ""


_CACHE = type(functools.lru_cache(lambda: None))


def _shared(tensor: torch.Tensor, own: bool) -> torch.Tensor:
    """What the copy has for a tensor of a module: a parameter of the same numbers, or a copy of a buffer."""
    if not isinstance(tensor, nn.Parameter):
        return tensor.detach().clone()
    data = tensor.data.clone() if own or tensor.is_inference() else tensor.data
    if type(tensor) is nn.Parameter or not issubclass(type(tensor), nn.Parameter):
        shared = nn.Parameter(data, False)
    else:
        shared = torch.Tensor._make_subclass(type(tensor), data, False)
    vars(shared).update({name: value for name, value in vars(tensor).items() if name not in vars(shared)})
    return shared


@dataclass
class Followed:
    """A tensor of a copy that follows one of the user's module.

    Attributes
    ----------
    held : dict
        The parameters or buffers of one of the module's parts.
    name : str
        The name of the tensor there.
    twin : torch.Tensor
        The copy's tensor.
    is_buffer : bool
        Whether it has memory of its own.
    seen : tuple
        What tells whether the module's tensor was changed.
    """

    held: dict[str, torch.Tensor | None]
    name: str
    twin: torch.Tensor
    is_buffer: bool
    seen: tuple[int, int] = (0, 0)

    def update(self) -> bool:
        """Bring the copy's tensor to what the module has now; whether it was another one."""
        tensor = self.held.get(self.name)
        if tensor is not None:
            if not self.is_buffer and getattr(self.twin, FOLLOWED, 0) != tensor._version:
                setattr(self.twin, FOLLOWED, tensor._version)  # changed in place: the memory is shared
            now = (tensor.data_ptr(), tensor._version if self.is_buffer else 0)
            if now != self.seen:
                self.seen = now
                self.twin.data = tensor.data.clone() if self.is_buffer else tensor.data
                return True
        return False


def followed_tensors(module: nn.Module, copied: nn.Module) -> list[Followed]:
    """The tensors of a copy that follow the module's: buffers, and parameters in whose place others are put.

    Parameters
    ----------
    module : nn.Module
        The user's module.
    copied : nn.Module
        A copy that `weight_sharing_copy` made of it.

    Returns
    -------
    list of Followed
        Their `update` is to be called before a pass.
    """
    parts = dict(copied.named_modules())
    found: list[Followed] = []
    if writes_weights(module):
        return found
    for path, part in module.named_modules():
        for kind in ("_parameters", "_buffers"):
            twins = vars(parts[path]).get(kind, {}) if path in parts else {}
            held = vars(part).get(kind, {})
            for name, twin in twins.items():
                tensor = held.get(name)
                if tensor is not None and twin is not None and not tensor.is_inference():
                    one = Followed(held, name, twin, kind == "_buffers")
                    with suppress(RuntimeError):  # a tensor without memory of its own
                        one.seen = (tensor.data_ptr(), tensor._version if one.is_buffer else 0)
                        found.append(one)
    return found


def evaluate(copied: nn.Module) -> None:
    """Set a copy to evaluation mode, also one whose `eval` raises, as those of torch.export do.

    Parameters
    ----------
    copied : nn.Module
        The copy; it is changed.
    """
    for part in copied.modules():
        if isinstance(part, fx.GraphModule):
            _evaluate_graph(part)
    try:
        copied.eval()  # its return value is not used: a module's own train() may forget to return itself
    except Exception:
        for part in copied.modules():
            part.training = False


def _evaluate_graph(part: fx.GraphModule) -> None:
    """Turns the training mode that was written into a graph when it was made: that of dropout and normalisation."""
    changed = False
    for node in part.graph.nodes:
        schema = getattr(node.target, "_schema", None)
        names = [a.name for a in schema.arguments] if schema is not None else []
        for name in {"training", "train"} & {*node.kwargs, *names}:
            k = names.index(name) if name in names else -1
            if node.kwargs.get(name) is True:
                node.update_kwarg(name, False)
                changed = True
            elif 0 <= k < len(node.args) and node.args[k] is True:
                node.update_arg(k, False)
                changed = True
    if changed:
        part.recompile()
