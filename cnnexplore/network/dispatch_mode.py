"""DispatchMode: a mode that sees every tensor operation of a pass, without PyTorch's compiler being imported for it."""

from __future__ import annotations

import sys
from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode


class DispatchMode(TorchDispatchMode):
    """A `TorchDispatchMode` whose first use does not import PyTorch's compiler.

    PyTorch keeps its compiler out of `__torch_dispatch__` by a wrapper that imports it, which takes more than a second.
    As long as nothing else has imported it, there is nothing to be kept out.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        wrapped = vars(cls).get("__torch_dispatch__")
        plain = getattr(wrapped, "__wrapped__", None)
        if wrapped is None or plain is None:
            return

        def dispatch(self: Any, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            return (wrapped if "torch._dynamo" in sys.modules else plain)(self, func, types, args, kwargs)

        cls.__torch_dispatch__ = dispatch  # type: ignore[method-assign]
