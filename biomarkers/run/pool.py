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
from collections.abc import Iterator, Sequence
from typing import Any, Final

import psutil

from biomarkers.errors import EnvironmentFailure
from biomarkers.run.worker import Job, Outcome, failed_part

_WATCH_EVERY_S: Final = 0.2
_WORKER: Final = (sys.executable, "-m", "biomarkers.run.worker")
_ONE_THREAD: Final = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"
)


class Worker:
    """One child process; started when first needed, and again after it died."""

    def __init__(self, *, timeout_s: float, memory_bytes: float, command: Sequence[str] = _WORKER) -> None:
        self._command = tuple(command)
        self._timeout_s, self._memory_bytes = timeout_s, memory_bytes
        self._process: subprocess.Popen[str] | None = None

    def ask(self, job: Job) -> Outcome:
        """Have one slide scored; what ends the process ends up as this slide's reason."""
        process = self._running()
        assert process.stdin is not None
        assert process.stdout is not None
        watch = _Watch(process, self._timeout_s, self._memory_bytes)
        watch.start()
        try:
            process.stdin.write(json.dumps(job) + "\n")
            process.stdin.flush()
            reply = process.stdout.readline()
        except BrokenPipeError:
            reply = ""
        finally:
            watch.done.set()
        if reply.endswith("\n"):
            outcome: Outcome = json.loads(reply)
            return outcome
        code = self._buried(process)
        return failed_part(job, watch.reason or _death(code))

    def stop(self) -> None:
        """End the process now; a file that it was writing stays under its temporary name until the next run."""
        if self._process is not None:
            self._process.kill()
            self._buried(self._process)

    def _buried(self, process: subprocess.Popen[str]) -> int:
        self._process = None
        code = process.wait()
        for pipe in (process.stdin, process.stdout):
            with contextlib.suppress(OSError):  # what was left unwritten to a dead process has nowhere to go
                if pipe is not None:
                    pipe.close()
        return code

    def _running(self) -> subprocess.Popen[str]:
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
    """Share jobs among workers and yield each with its outcome, in order of completion.

    Raises
    ------
    EnvironmentFailure
        A worker met a full disk or the like; all of them are stopped.
    """
    waiting: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
    outcomes: queue.SimpleQueue[tuple[Job, Any]] = queue.SimpleQueue()
    for job in (*jobs, *(None for _ in workers)):
        waiting.put(job)

    def serve(worker: Worker) -> None:
        while (job := waiting.get()) is not None:
            try:
                outcomes.put((job, worker.ask(job)))
            except Exception as error:  # noqa: BLE001  (handed on to the main thread below, whatever it is)
                outcomes.put((job, error))

    threads = [threading.Thread(target=serve, args=(worker,), daemon=True) for worker in workers]
    for thread in threads:
        thread.start()
    try:
        for _ in jobs:
            job, outcome = outcomes.get()
            if isinstance(outcome, Exception):
                raise outcome
            if "environment" in outcome:
                raise EnvironmentFailure(outcome["environment"])
            yield job, outcome
    finally:
        for worker in workers:
            worker.stop()


def default_memory_bytes(workers: int) -> float:
    """Share 80% of the memory that is free now among the workers."""
    return 0.8 * psutil.virtual_memory().available / workers


def _death(code: int) -> str:
    if code < 0:
        import signal

        name = signal.Signals(-code).name if -code in {s.value for s in signal.Signals} else f"signal {-code}"
        return f"the process that decoded this slide was ended by {name}; the file may be damaged"
    return f"the process that decoded this slide ended with code {code}"
