"""The same slides on a dask cluster: each is read and scored where a worker runs, in a child process of its own.

Workers need the package, the input paths and the output folder on a file system they share with the caller, as clusters
under SLURM, PBS or LSF have. Rows and scores come back as tables; per-cell files are written where they are made.
"""

from __future__ import annotations

import contextlib
import ipaddress
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import Field

from biomarkers.core.config import Settings, parse
from biomarkers.core.errors import EnvironmentFailure, UsageError
from biomarkers.core.files import read_toml
from biomarkers.run.pool import Worker
from biomarkers.run.worker import Job, Outcome, failed_part

if TYPE_CHECKING:
    from distributed import Client

_CONNECT_S: Final = 15
_LOST_AFTER_S: Final = 10.0
_POLL_S: Final = 0.5
_own = threading.local()


class ClusterSettings(Settings):
    """A cluster to start: ``"slurm"``, ``"pbs"`` and ``"lsf"`` queue for workers, ``"local"`` starts them here.

    ``options`` goes as it stands to dask-jobqueue's cluster class (``queue``, ``account``, ``job_extra_directives``).
    """

    kind: Literal["slurm", "pbs", "lsf", "local"]
    workers: Annotated[int, Field(ge=1)]
    cores: Annotated[int, Field(ge=1)] = 1
    memory: str = "8 GiB"
    walltime: str = "12:00:00"
    options: dict[str, Any] = Field(default_factory=dict)


@contextlib.contextmanager
def connected(
    *, scheduler: str | None, cluster: Path | None, insecure: bool = False, shared: Path | None = None
) -> Iterator[Client]:
    """Connect to a running scheduler, or start the cluster that a TOML file describes and stop it afterwards.

    Parameters
    ----------
    scheduler, cluster
        The address of a scheduler, or the TOML file.
    insecure
        Allow plain TCP to another machine.
    shared
        A folder that workers see too, for the keys of a cluster that is started.

    Raises
    ------
    UsageError
        The address is not local, not TLS and ``insecure`` is not said; or the settings file is wrong.
    EnvironmentFailure
        There is no scheduler at the address.
    """
    if scheduler is not None:
        check_address(scheduler, insecure=insecure)
    try:
        from distributed import Client
    except ImportError as error:
        raise UsageError(
            "dask.distributed is not installed", hint="Install the extra: pip install 'biomarkers[cluster]'."
        ) from error
    with contextlib.ExitStack() as stack:
        target: Any = scheduler
        if cluster is not None:
            settings = parse(ClusterSettings, read_toml(cluster), where=str(cluster))
            target = stack.enter_context(_started(settings, shared))
        try:
            client = stack.enter_context(Client(target, timeout=_CONNECT_S, set_as_default=False))
        except (OSError, TimeoutError) as error:
            raise EnvironmentFailure(
                "no dask scheduler answers there", where=scheduler, hint="Start one with 'dask scheduler'."
            ) from error
        yield client


def check_address(address: str, *, insecure: bool) -> None:
    """Refuse a plain TCP scheduler on another machine: whoever reaches such a port can run code on every worker.

    Raises
    ------
    UsageError
        The address is malformed, or not local, not TLS and ``insecure`` is not said.
    """
    parts = urlsplit(address)
    if parts.scheme not in ("tcp", "tls", "inproc") or not parts.hostname:
        raise UsageError("not a scheduler address", seen=address, allowed="tcp://HOST:PORT, tls://HOST:PORT")
    if parts.scheme == "tcp" and not _is_loopback(parts.hostname) and not insecure:
        raise UsageError(
            "a tcp scheduler on another machine lets anyone who reaches its port run code on the workers",
            seen=address,
            hint="Use tls:// (certificates in dask's configuration), or say --insecure for a closed network.",
        )


def score_on_cluster(
    jobs: Sequence[Job], *, client: Client, timeout_s: float, memory_bytes: float | None
) -> Iterator[tuple[Job, Outcome]]:
    """Score jobs on the cluster's workers and yield each with its outcome, in order of completion.

    Raises
    ------
    EnvironmentFailure
        The scheduler was lost, or a worker met a full disk.
    """
    from distributed import KilledWorker
    from distributed.client import FutureCancelledError
    from distributed.comm import CommClosedError

    futures: dict[Any, Job] = {}
    regions: dict[str, list[Any]] = {}
    for job in jobs:
        name = f"{job['meaning']}-{job['file_stem']}"
        if "region" in job:
            key = f"region-{name}-{job['region'][0]}"
            future = client.submit(_remote, job, timeout_s, memory_bytes, key=key, pure=False)
            regions.setdefault(job["slide"], []).append(future)
        else:  # given to a worker when its regions are found
            after = regions.pop(job["slide"], [])
            future = client.submit(_remote, job, timeout_s, memory_bytes, after, key=f"score-{name}", pure=False)
            futures[future] = job
    try:
        for future in _completed(client, list(futures)):
            job = futures[future]
            try:
                outcome = future.result(timeout=_CONNECT_S)
            except KilledWorker as error:
                outcome = failed_part(job, f"workers died while they scored this slide ({error.last_worker.address})")
            except (CommClosedError, FutureCancelledError, TimeoutError) as error:  # lost just as it handed this over
                raise _lost() from error
            if "environment" in outcome:
                raise EnvironmentFailure(outcome["environment"])
            yield job, outcome
            future.release()
    finally:
        with contextlib.suppress(Exception):
            client.cancel(list(futures))


def _completed(client: Client, futures: list[Any]) -> Iterator[Any]:
    """Yield futures as they finish; notice a lost scheduler, which dask itself would wait for."""
    waiting = dict.fromkeys(futures)
    lost_since: float | None = None
    while waiting:
        if client.status == "running" and client.scheduler_comm is not None and not client.scheduler_comm.comm.closed():
            lost_since = None
            done = [future for future in waiting if future.status in ("finished", "error")]
            for future in done:
                del waiting[future]
                yield future
            if not done:
                time.sleep(_POLL_S / 10)
            continue
        lost_since = time.monotonic() if lost_since is None else lost_since
        if time.monotonic() - lost_since > _LOST_AFTER_S:
            raise _lost()
        time.sleep(_POLL_S)


def _lost() -> EnvironmentFailure:
    return EnvironmentFailure(
        "the connection to the dask scheduler was lost",
        hint="Finished slides are kept: run the same command again to go on.",
    )


def _remote(job: Job, timeout_s: float, memory_bytes: float | None, after: Sequence[Outcome] = ()) -> Outcome:
    """Run on the cluster: one child process a dask thread, kept for the next slide."""
    for region in after:
        if "environment" in region:
            return region
    worker = getattr(_own, "worker", None)
    if worker is None:
        limit = float("inf") if memory_bytes is None else memory_bytes
        worker = _own.worker = Worker(timeout_s=timeout_s, memory_bytes=limit)
    outcome: Outcome = worker.ask(job)
    return outcome


@contextlib.contextmanager
def _started(settings: ClusterSettings, shared: Path | None) -> Iterator[Any]:
    with _local(settings) if settings.kind == "local" else queued_cluster(settings, shared=shared) as cluster:
        yield cluster


def _local(settings: ClusterSettings) -> Any:
    from distributed import LocalCluster

    return LocalCluster(
        n_workers=settings.workers,
        threads_per_worker=1,
        memory_limit=settings.memory,
        host="127.0.0.1",
        dashboard_address=None,
        **settings.options,
    )


def queued_cluster(settings: ClusterSettings, *, shared: Path | None = None) -> Any:
    """Ask a batch system for workers; all talk is encrypted with certificates made for this run.

    The keys reach the workers through ``shared``, a folder on the common file system that only this user may read.
    """
    import dask_jobqueue

    kinds = {"slurm": "SLURMCluster", "pbs": "PBSCluster", "lsf": "LSFCluster"}
    cluster = getattr(dask_jobqueue, kinds[settings.kind])(
        cores=settings.cores,
        processes=settings.cores,  # one slide a process
        memory=settings.memory,
        walltime=settings.walltime,
        security=True,  # certificates made for this run; implies tls://
        shared_temp_directory=None if shared is None else str(shared),
        scheduler_options={"dashboard_address": "127.0.0.1:0"},
        **settings.options,
    )
    cluster.scale(settings.workers)
    return cluster


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
