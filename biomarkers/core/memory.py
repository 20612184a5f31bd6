"""The allocator is asked to keep what was let go of, for the next tile.

A tile takes and lets go of some thirty arrays of megabytes. The C library hands such arrays back to the system at once
and gets them again page by page, filled with zeros, which costs a tenth of the time of a slide and makes threads wait
for each other; and it gives each thread a heap of its own, so that what one let go of is of no use to the other.

Whoever finds cells is helped in a way that leaves the process as it is; whole slides ask for more.
"""

from __future__ import annotations

import ctypes
from functools import lru_cache
from typing import Any

import numpy as np

# options of mallopt(3), and bytes
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -2, -3, -8
_LARGEST_KEPT, _NEVER, _STEP = 1 << 25, 1 << 30, 1 << 24
_LARGEST_LEARNT = _LARGEST_KEPT - (1 << 16)  # with what the library adds; of a larger one it learns nothing


def keep_some_freed_memory() -> None:
    """Have arrays of up to 32 MB come from memory that the process has.

    The C library of Linux asks the system for each large array until it has seen one of that size freed; from then on
    it keeps at most twice as much. Elsewhere this does nothing.
    """
    np.empty(_LARGEST_LEARNT, np.uint8)


@lru_cache(maxsize=1)
def keep_freed_memory() -> None:
    """Keep freed arrays within the process, in one heap for all threads; nothing is done where this cannot be asked."""
    library = _glibc()
    if library is not None:
        library.mallopt(_MMAP_THRESHOLD, _LARGEST_KEPT)
        library.mallopt(_TRIM_THRESHOLD, _NEVER)
        library.mallopt(_TOP_PAD, _STEP)
        library.mallopt(_ARENA_MAX, 1)


def give_back_memory() -> None:
    """Hand what is kept, and no longer needed, to the system."""
    library = _glibc()
    if library is not None:
        library.malloc_trim(0)


def _glibc() -> Any:
    try:
        library = ctypes.CDLL(None)
    except (OSError, TypeError):  # Windows has no library without a name
        return None
    return library if hasattr(library, "mallopt") and hasattr(library, "malloc_trim") else None
