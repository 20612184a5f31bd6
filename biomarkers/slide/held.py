"""Decoded tiles and strips, held while neighbouring regions may want them again."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

HELD_BYTES = 32_000_000


class Held:
    """What was decoded last, up to a number of bytes (but always the last one); many threads may ask."""

    def __init__(self, limit_bytes: int = HELD_BYTES) -> None:
        self._limit, self._bytes = limit_bytes, 0
        self._lock = threading.Lock()
        self._items: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], tuple[Any, int]]) -> Any:
        """Return what is held under a key; otherwise make it (with its bytes) outside the lock, and hold it."""
        with self._lock:
            found = self._items.get(key)
            if found is not None:
                self._items.move_to_end(key)
                return found[0]
        made, size = make()
        with self._lock:
            if key not in self._items:
                self._items[key] = made, size
                self._bytes += size
            while self._bytes > self._limit and len(self._items) > 1:
                self._bytes -= self._items.popitem(last=False)[1][1]
        return made

    def clear(self) -> None:
        """Let go of everything."""
        with self._lock:
            self._items.clear()
            self._bytes = 0
