"""Worker processes that outlive their slides and die alone: each slide's crash, hang or hunger is its own failure."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, TypeVar

import psutil

from biomarkers.core.errors import EnvironmentFailure
from biomarkers.run.worker import Job, Outcome, failed_part

_WATCH_EVERY_S: Final = 0.2
_LOOK_S: Final = 60.0  # allowed for reading a header
_WORKER: Final = (sys.executable, "-m", "biomarkers.run.worker")
_In = TypeVar("_In")
_Out = TypeVar("_Out")
_ONE_THREAD: Final = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"
)


class Worker:
    """One child process; started when first needed, and again after it died."""

    def __init__(self, *, timeout_s: float, memory_bytes: float, command: Sequence[str] = _WORKER) -> None:
        self._command = tuple(command)
        self._timeout_s, self._memory_bytes = timeout_s, memory_bytes
        self._process: subprocess.Popen[str] | None = None
        self._closed = False
        self._starting = threading.Lock()  # between a thread that asks and the one that closes

    def ask(self, job: Job) -> Outcome:
        """Have one slide scored; what ends the process ends up as this slide's reason."""
        reply, reason = self._answer(job, self._timeout_s)
        return failed_part(job, reason) if reply is None else reply

    def look(self, path: str) -> list[int]:
        """Return the pixels of each image of a file; ``[0]`` for a file that cannot be opened, or ends the process."""
        reply, _ = self._answer({"look": path}, min(self._timeout_s, _LOOK_S))
        return [0] if reply is None else reply["pixels"]

    def _answer(self, message: Any, timeout_s: float) -> tuple[Any, str]:
        """Return the process's answer, or None and what ended the process."""
        process = self._running()
        if process is None:
            return None, "the run was stopped"
        assert process.stdin is not None
        assert process.stdout is not None
        watch = _Watch(process, timeout_s, self._memory_bytes)
        watch.start()
        try:
            process.stdin.write(json.dumps(message) + "\n")
            process.stdin.flush()
            reply = process.stdout.readline()
        except BrokenPipeError:
            reply = ""
        finally:
            watch.done.set()
        if reply.endswith("\n"):
            return json.loads(reply), ""
        code = self._buried(process)
        return None, watch.reason or _death(code)

    def close(self) -> None:
        """End the process now, for good; a file that it was writing stays under its temporary name."""
        with self._starting:
            self._closed, process = True, self._process
        if process is not None:
            process.kill()
            self._buried(process)

    def _buried(self, process: subprocess.Popen[str]) -> int:
        self._process = None
        code = process.wait()
        for pipe in (process.stdin, process.stdout):
            with contextlib.suppress(OSError):  # what was left unwritten to a dead process has nowhere to go
                if pipe is not None:
                    pipe.close()
        return code

    def _running(self) -> subprocess.Popen[str] | None:
        """Return the process, started when need be; None when this worker was closed."""
        with self._starting:
            if self._closed:
                return None
            if self._process is None or self._process.poll() is not None:
                self._process = subprocess.Popen(  # noqa: S603  (our own module, no shell)
                    self._command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                    encoding="utf-8",
                    env={**os.environ, **_ONE_THREAD},
                )
            return self._process


class _Watch(threading.Thread):
    """Kills a worker that takes too long or too much memory, and remembers which it was."""

    def __init__(self, process: subprocess.Popen[str], timeout_s: float, memory_bytes: float) -> None:
        super().__init__(daemon=True)
        self.done = threading.Event()
        self.reason: str | None = None
        self._process, self._timeout_s, self._memory_bytes = process, timeout_s, memory_bytes

    def run(self) -> None:
        end = time.monotonic() + self._timeout_s
        while not self.done.wait(_WATCH_EVERY_S):
            try:
                resident = psutil.Process(self._process.pid).memory_info().rss
            except psutil.Error:
                return
            if resident > self._memory_bytes:
                self.reason = (
                    f"took more than {self._memory_bytes / 1e9:.1f} GB of memory; "
                    "allow more with --memory-gb, or use fewer workers"
                )
            elif time.monotonic() > end:
                self.reason = f"took longer than {self._timeout_s:g} s; allow more with --timeout"
            if self.reason is not None:
                self._process.kill()
                return


def score_jobs(jobs: Sequence[Job], *, workers: Sequence[Worker]) -> Iterator[tuple[Job, Outcome]]:
    """Share jobs among workers and yield each slide's with its outcome, in order of completion.

    Raises
    ------
    EnvironmentFailure
        A worker met a full disk or the like; all of them are stopped.
    """
    regions = _Countdown(jobs)
    outcomes = _shared(jobs, workers, regions.ask)
    import pandas as pd  # noqa: F401  (half a second of imports, while the first slides are scored)

    for job, outcome in outcomes:
        if "environment" in outcome:
            raise EnvironmentFailure(outcome["environment"])
        if "region" not in job:
            yield job, outcome


class _Countdown:
    """Holds a slide back until the last of its regions is found; regions come before their slide in the queue."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._left = Counter(job["slide"] for job in jobs if "region" in job)
        self._changed = threading.Condition()

    def ask(self, worker: Worker, job: Job) -> Outcome:
        slide = job["slide"]
        if "region" in job:
            try:
                return worker.ask(job)
            finally:
                with self._changed:
                    self._left[slide] -= 1
                    self._changed.notify_all()
        with self._changed:
            self._changed.wait_for(lambda: self._left[slide] <= 0)
        return worker.ask(job)


def look_at_all(paths: Sequence[str], *, workers: Sequence[Worker]) -> dict[str, list[int]]:
    """Return the pixels of each image of each file, read by the workers: a header may end a process too."""
    return dict(_shared(paths, workers, Worker.look))


def _shared(
    items: Sequence[_In], workers: Sequence[Worker], work: Callable[[Worker, _In], _Out]
) -> Iterator[tuple[_In, _Out]]:
    """Start to work on items, each worker in a thread; return an iterator over what comes of them."""
    waiting: queue.SimpleQueue[_In | None] = queue.SimpleQueue()
    done: queue.SimpleQueue[tuple[_In, _Out | Exception]] = queue.SimpleQueue()
    for item in (*items, *(None for _ in workers)):
        waiting.put(item)

    def serve(worker: Worker) -> None:
        while (item := waiting.get()) is not None:
            try:
                done.put((item, work(worker, item)))
            except Exception as error:  # noqa: BLE001  (handed on to the main thread below, whatever it is)
                done.put((item, error))

    for worker in workers:
        threading.Thread(target=serve, args=(worker,), daemon=True).start()

    def results() -> Iterator[tuple[_In, _Out]]:
        for _ in items:
            item, result = done.get()
            if isinstance(result, Exception):
                raise result
            yield item, result

    return results()


def default_memory_bytes(workers: int) -> float:
    """Share 80% of the memory that is free now among the workers."""
    return 0.8 * psutil.virtual_memory().available / workers


def _death(code: int) -> str:
    if code < 0:
        import signal

        name = signal.Signals(-code).name if -code in {s.value for s in signal.Signals} else f"signal {-code}"
        return f"the process that decoded this slide was ended by {name}; the file may be damaged"
    return f"the process that decoded this slide ended with code {code}"
