"""Work on several threads whose results come in order, while the caller goes on with those that came before."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

_In = TypeVar("_In")
_Out = TypeVar("_Out")
_AHEAD = 8  # results of a thread that may wait: enough to bridge what the caller does with them, few in memory


def in_order(work: Callable[[_In], _Out], items: Iterable[_In], *, threads: int, ahead: int = _AHEAD) -> Iterator[_Out]:
    """Yield ``work`` of every item in order.

    With several threads they work ahead, so that they have something to do while the caller is busy; no more than
    ``ahead`` results of each wait. With one, the caller's own thread works. An error is raised where its result would
    stand.
    """
    if threads <= 1:
        yield from map(work, items)
        return
    remaining = iter(items)
    waiting: deque[Future[_Out]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            waiting.extend(pool.submit(work, item) for item in islice(remaining, ahead * threads))
            while waiting:
                result = waiting.popleft().result()
                waiting.extend(pool.submit(work, item) for item in islice(remaining, 1))
                yield result
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def begun(work: Callable[[], _Out], *, threads: int) -> Callable[[], _Out]:
    """Begin ``work`` beside what the caller does next, where there are several threads; calling the result waits."""
    if threads <= 1:
        return work
    pool = ThreadPoolExecutor(1)
    future = pool.submit(work)
    pool.shutdown(wait=False)
    return future.result
