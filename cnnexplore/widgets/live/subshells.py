"""Whether messages of the browser are handled while a cell runs: in a subshell of the kernel, if JupyterLab made one.

A kernel without subshells, and a front end that does not use them, leave all messages to the main thread, where they
wait for the cell that runs.
"""

from __future__ import annotations

import functools
import os
import threading
from typing import Any

from .post import running_kernel

_ENOUGH = 2  # messages in a row on the main thread: the first one may come before a subshell is ready
_on_main = 0


@functools.cache
def keep_messages_in_their_subshell() -> None:
    """Have the kernel handle a message of the browser in the subshell that the browser names.

    ipykernel 7.4 handles it where the widget was last used from, which is the main thread after every cell that changes
    it: the next move of a slider then waits for the running cell. Answers to numbered requests are routed as before.
    Other versions have nothing of the kind and are left alone.
    """
    try:
        from ipykernel.comm.comm import BaseComm
    except ImportError:
        return
    comms: Any = BaseComm
    if hasattr(comms, "_reply_subshell_for"):
        comms._reply_subshell_id = _Nowhere()


class _Nowhere:
    """An attribute that takes no value and that an instance does not have."""

    def __get__(self, instance: object, owner: type) -> object:
        raise AttributeError("_reply_subshell_id")

    def __set__(self, instance: object, value: object) -> None:
        pass


def note_message() -> None:
    """Note in which thread a message of the browser is handled; views call it for each message."""
    global _on_main
    _on_main = _on_main + 1 if threading.current_thread() is threading.main_thread() else 0


def why_controls_wait() -> str:
    """A sentence where controls act only after the running cell, with what would help; else empty."""
    kernel = running_kernel()
    if kernel is None or os.environ.get("SERVER_SOFTWARE", "").startswith("voila"):  # no cells are run there
        return ""
    if not getattr(kernel, "_supports_kernel_subshells", False):
        return "While a cell runs, the controls wait for it; with ipykernel 7.1 or newer they act at once."
    if _on_main >= _ENOUGH:
        return (
            "While a cell runs, the controls wait for it, because the front end uses no subshells; JupyterLab 4.4 or "
            'newer does, unless the setting "Kernel Comms over subshells" is disabled.'
        )
    return ""
