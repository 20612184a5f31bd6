"""One line on standard error when kernels have to be compiled, which happens once on a machine."""

from __future__ import annotations

import sys
from typing import Any

from numba.core import event

_EVENT = "numba:compile"


class _Notice(event.Listener):
    """Speaks at the first compilation of a kernel of this package, then is silent."""

    def __init__(self) -> None:
        self.spoken = False

    def on_start(self, event: event.Event) -> None:
        """Say that compiling takes a moment."""
        data: Any = event.data
        module = getattr(getattr(data.get("dispatcher"), "py_func", None), "__module__", "") or ""
        if not self.spoken and module.startswith("biomarkers."):
            self.spoken = True
            sys.stderr.write("biomarkers: compiling kernels, once on this machine (about a quarter of a minute)\n")

    def on_end(self, event: event.Event) -> None:
        """Nothing to do."""


def announce_compilation() -> None:
    """Begin to listen."""
    event.register(_EVENT, _Notice())
