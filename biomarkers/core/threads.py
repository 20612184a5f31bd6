"""Threads that work on one slide, with results in order, while the caller goes on with those that came before."""

from __future__ import annotations

import contextlib
import functools
import itertools
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from itertools import islice
from types import TracebackType
from typing import Any, Self, TypeVar

_In = TypeVar("_In")
_Out = TypeVar("_Out")
_Job = tuple[Future[Any], Callable[[], Any]]
_AHEAD = 8  # results of a thread that may wait: enough to bridge what the caller does with them, few in memory
_URGENT, _PLAIN = range(2)


class ThreadPool:
    """Some threads for everything that is done with a slide; with one, the caller's own thread does it when asked.

    On leaving, work that has not begun is dropped, and what is being worked on is waited for: nothing reads a slide
    after it was closed.
    """

    def __init__(self, threads: int = 1) -> None:
        self._jobs: queue.PriorityQueue[tuple[int, int, _Job | None]] = queue.PriorityQueue()
        self._number = itertools.count()  # of equally urgent work the first is done first
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(threads if threads > 1 else 0)]
        for thread in self._threads:
            thread.start()

    def submit(self, work: Callable[[], _Out], *, urgent: bool = False) -> Callable[[], _Out]:
        """Begin ``work`` beside what the caller does next; calling the result waits, and raises what went wrong.

        ``urgent`` work is done before work of this pool that has not begun.
        """
        if not self._threads:
            return work
        future: Future[_Out] = Future()
        self._jobs.put((_URGENT if urgent else _PLAIN, next(self._number), (future, work)))
        return future.result

    def imap(
        self, work: Callable[[_In], _Out], items: Iterable[_In], *, ahead: int = _AHEAD, urgent: bool = False
    ) -> Iterator[_Out]:
        """Yield ``work`` of every item in order; an error is raised where its result would stand.

        The threads begin at once and work ahead, so that they have something to do while the caller is busy; no more
        than ``ahead`` results of each wait.
        """
        if not self._threads:
            return map(work, items)
        remaining = iter(items)

        def begin(count: int) -> list[Callable[[], _Out]]:
            return [self.submit(functools.partial(work, item), urgent=urgent) for item in islice(remaining, count)]

        waiting = deque(begin(ahead * len(self._threads)))

        def results() -> Iterator[_Out]:
            while waiting:
                result = waiting.popleft()()
                waiting.extend(begin(1))
                yield result

        return results()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                self._jobs.get_nowait()
        for _thread in self._threads:
            self._jobs.put((_PLAIN, next(self._number), None))
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while True:
            _, _, job = self._jobs.get()
            if job is None:
                return
            future, work = job
            try:
                future.set_result(work())
            except BaseException as error:  # noqa: BLE001  (it is told where the result is asked for)
                future.set_exception(error)
            del job, future, work  # nothing is kept while waiting for more


SERIAL = ThreadPool()
