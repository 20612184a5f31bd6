"""One line on standard error when kernels have to be compiled, which happens once on a machine."""

from __future__ import annotations

import sys
from typing import Any, TextIO

from numba import config
from numba.core import event

from biomarkers.core.kernel_cache import forget_stale_kernels

_EVENT = "numba:compile"
_LISTENING: list[Notice] = []


class Notice(event.Listener):
    """Speaks at the first compilation of a kernel of this package, then is silent."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self.spoken = False
        self._stream = stream

    def on_start(self, event: event.Event) -> None:
        """Say that compiling takes a moment."""
        data: Any = event.data
        module = getattr(getattr(data.get("dispatcher"), "py_func", None), "__module__", "") or ""
        if not self.spoken and module.startswith("biomarkers."):
            self.spoken = True
            stream = sys.stderr if self._stream is None else self._stream
            stream.write("biomarkers: compiling kernels, once on this machine (half a minute at most)\n")
            stream.flush()

    def on_end(self, event: event.Event) -> None:
        """Nothing to do."""


def announce_compilation(stream: TextIO | None = None) -> None:
    """Begin to listen, once a process; every module with kernels asks for it. Stale kernels are forgotten first.

    ``stream`` is spoken to in place of standard error: a worker's leads into the log of its slide, where nobody looks.
    """
    if not _LISTENING:
        forget_stale_kernels(cache=config.CACHE_DIR)
        _LISTENING.append(Notice(stream))
        event.register(_EVENT, _LISTENING[0])
