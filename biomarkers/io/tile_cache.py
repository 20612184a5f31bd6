"""Decoded tiles and strips, held while neighbouring regions may want them again."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

HELD_BYTES, PROMISED_BYTES = 10_000_000, 20_000_000


class TileCache:
    """What was decoded last, up to a number of bytes (but always the last one); many threads may ask.

    What the next row of regions will ask for is held apart, up to a number of bytes too: by then so much else was
    decoded that it would no longer be among the last.
    """

    def __init__(self, limit_bytes: int = HELD_BYTES, promised_bytes: int = PROMISED_BYTES) -> None:
        self._limit, self._bytes = limit_bytes, 0
        self._lock = threading.Lock()
        self._items: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._promised_limit, self._promised_bytes = promised_bytes, 0
        self._promised: dict[Hashable, tuple[Any, int, int]] = {}
        self._rows = (-1, -1)  # the last two rows of regions that something was promised to

    def get(self, key: Hashable, make: Callable[[], tuple[Any, int]], *, pinned: int | None = None) -> Any:
        """Return what is held under a key; otherwise make it (with its bytes) outside the lock, and hold it.

        ``promised`` says that a later row of regions will ask again, and which: a number that grows.
        """
        with self._lock:
            found = self._found(key)
        if found is None:
            found = make()
        with self._lock:
            if pinned is None or not self._promise(key, found, pinned):
                self._hold(key, found)
        return found[0]

    def clear(self) -> None:
        """Let go of everything."""
        with self._lock:
            self._items.clear()
            self._promised.clear()
            self._bytes = self._promised_bytes = 0

    def _found(self, key: Hashable) -> tuple[Any, int] | None:
        found = self._promised.get(key)
        return self._items.get(key) if found is None else found[:2]

    def _promise(self, key: Hashable, found: tuple[Any, int], row: int) -> bool:
        """Hold for a later row, unless there is no room."""
        if key in self._promised:
            return True
        if row > self._rows[1]:
            self._rows = self._rows[1], row
            for old in [one for one, (*_, of) in self._promised.items() if of not in self._rows]:
                self._promised_bytes -= self._promised.pop(old)[1]
        if row not in self._rows or self._promised_bytes + found[1] > self._promised_limit:
            return False
        self._promised[key] = *found, row
        self._promised_bytes += found[1]
        if key in self._items:
            self._bytes -= self._items.pop(key)[1]
        return True

    def _hold(self, key: Hashable, found: tuple[Any, int]) -> None:
        """Hold among the last; what was promised to this row has been asked for."""
        if key in self._promised:
            self._promised_bytes -= self._promised.pop(key)[1]
        if key not in self._items:
            self._items[key] = found
            self._bytes += found[1]
        self._items.move_to_end(key)
        while self._bytes > self._limit and len(self._items) > 1:
            self._bytes -= self._items.popitem(last=False)[1][1]
