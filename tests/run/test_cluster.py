"""On a dask cluster: the same tables, whoever dies."""

import contextlib
import functools
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from unittest import mock

import psutil
import pytest
from distributed.client import FutureCancelledError
from distributed.comm import CommClosedError

from biomarkers.core.errors import EnvironmentFailure, UsageError
from biomarkers.run import batch, cluster, pool
from biomarkers.run.batch import score_batch
from biomarkers.run.cluster import ClusterSettings, check_address, queued_cluster, score_on_cluster

FAKE = Path(__file__).parent / "fake_worker.py"
ADDRESS = re.compile(r"tcp://127\.0\.0\.1:\d+")


@pytest.fixture
def slides(tmp_path):
    folder = tmp_path / "slides"
    folder.mkdir()
    for number in range(12):
        (folder / f"slow-{number:02d}.png").write_text(str(number))
    return folder


@pytest.fixture
def dask_cluster(tmp_path, monkeypatch):
    """A scheduler and two workers, each a process of its own; on them scoring is the stand-in."""
    (tmp_path / "preload.py").write_text(
        "import functools, sys\n"
        "from biomarkers.run import cluster, pool\n"
        f"cluster.Worker = functools.partial(pool.Worker, command=(sys.executable, {str(FAKE)!r}))\n"
    )
    with contextlib.ExitStack() as stack:
        command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0",
                   "--no-dashboard"]  # fmt: skip
        scheduler = stack.enter_context(_process(command))
        address = _address(scheduler)
        worker = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--nthreads", "1", "--no-dashboard",
                  "--host", "127.0.0.1", "--no-nanny", "--preload", str(tmp_path / "preload.py"),
                  "--local-directory", str(tmp_path / "dask")]  # fmt: skip
        workers = [stack.enter_context(_process(worker)) for _ in range(2)]
        yield address, scheduler, workers


@contextlib.contextmanager
def _process(command):
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def _address(scheduler):
    for line in scheduler.stderr:
        if (found := ADDRESS.search(line)) and "Scheduler at" in line:
            threading.Thread(target=scheduler.stderr.read, daemon=True).start()
            return found.group()
    pytest.fail("the scheduler did not start")


def run(slides, out, **settings):
    return score_batch([slides], out=out, assay="22c3", progress=False, **settings)


@pytest.fixture
def expected(slides, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(batch, "Worker", functools.partial(pool.Worker, command=(sys.executable, str(FAKE))))
        run(slides, tmp_path / "alone")
    return [(tmp_path / "alone" / name).read_bytes() for name in ("slides.csv", "scores.csv")]


def tables(out):
    return [(out / name).read_bytes() for name in ("slides.csv", "scores.csv")]


@pytest.mark.slow
def test_a_killed_worker_costs_nothing_but_time(slides, tmp_path, dask_cluster, expected):
    address, _, workers = dask_cluster
    threading.Timer(2.0, workers[0].kill).start()
    result = run(slides, tmp_path / "out", scheduler=address)
    assert result.n_failed == 0
    assert tables(tmp_path / "out") == expected


@pytest.mark.slow
def test_a_lost_scheduler_ends_with_a_reason_and_the_run_can_go_on(
    slides, tmp_path, dask_cluster, expected, monkeypatch
):
    address, scheduler, _ = dask_cluster
    killer = threading.Timer(2.5, scheduler.kill)
    killer.start()
    started = time.monotonic()
    with pytest.raises(EnvironmentFailure, match=r"scheduler was lost.*run the same command again"):
        run(slides, tmp_path / "out", scheduler=address)
    assert time.monotonic() - started < 32
    monkeypatch.setattr(batch, "Worker", functools.partial(pool.Worker, command=(sys.executable, str(FAKE))))
    run(slides, tmp_path / "out")
    assert tables(tmp_path / "out") == expected


@pytest.mark.parametrize("error", [CommClosedError("reset"), FutureCancelledError("key", "lost"), TimeoutError()])
def test_a_scheduler_lost_while_it_hands_a_result_over(error):
    client = mock.Mock(status="running")
    client.submit.return_value = mock.Mock(status="finished", result=mock.Mock(side_effect=error))
    client.scheduler_comm.comm.closed.return_value = False
    jobs = [{"meaning": "a", "file_stem": "b", "slide": "c"}]
    with pytest.raises(EnvironmentFailure, match="scheduler was lost"):
        list(score_on_cluster(jobs, client=client, timeout_s=1, memory_bytes=None))


@pytest.mark.slow
def test_a_local_cluster_from_a_file_listens_on_loopback_only(tmp_path):
    (tmp_path / "local.toml").write_text('kind = "local"\nworkers = 1\nmemory = "1 GiB"\n')
    with cluster.connected(scheduler=None, cluster=tmp_path / "local.toml") as client:
        me = psutil.Process()
        listening = [
            connection.laddr.ip
            for each in (me, *me.children(recursive=True))
            for connection in each.net_connections(kind="inet")
            if connection.status == psutil.CONN_LISTEN
        ]
        assert client.scheduler.address.startswith("tcp://127.0.0.1")
    assert listening
    assert set(listening) == {"127.0.0.1"}


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "tcp://localhost:1", "tls://10.0.0.1:1"])
def test_local_or_encrypted_schedulers_are_accepted(address):
    check_address(address, insecure=False)


@pytest.mark.parametrize("address", ["tcp://10.0.0.1:8786", "tcp://node1:8786", "tcp://0.0.0.0:8786"])
def test_a_plain_scheduler_elsewhere_needs_insecure(address):
    with pytest.raises(UsageError, match="--insecure"):
        check_address(address, insecure=False)
    check_address(address, insecure=True)


@pytest.mark.parametrize("address", ["node1:8786", "http://x:1", "tcp://", ""])
def test_what_is_no_address_is_refused(address):
    with pytest.raises(UsageError, match="not a scheduler address"):
        check_address(address, insecure=True)


def test_no_scheduler_there_is_an_environment_failure(monkeypatch, tmp_path):
    monkeypatch.setattr(cluster, "_CONNECT_S", 1)
    with (
        pytest.raises(EnvironmentFailure, match="no dask scheduler answers"),
        cluster.connected(scheduler="tcp://127.0.0.1:9", cluster=None),
    ):
        pass


def test_an_unknown_cluster_key_is_refused_before_anything_starts(tmp_path):
    (tmp_path / "c.toml").write_text('kind = "local"\nworker = 1\n')
    with (
        pytest.raises(UsageError, match="Did you mean 'workers'"),
        cluster.connected(scheduler=None, cluster=tmp_path / "c.toml"),
    ):
        pass


@pytest.mark.slow
def test_a_slurm_job_script_asks_for_what_the_file_says(monkeypatch, tmp_path):
    settings = ClusterSettings(
        kind="slurm", workers=1, cores=2, memory="4 GiB", walltime="01:00:00", options={"queue": "short"}
    )
    monkeypatch.setattr("dask_jobqueue.SLURMCluster.scale", lambda self, n: None)
    with queued_cluster(settings, shared=tmp_path) as started:
        script = started.job_script()
        assert str(tmp_path) in script, "the keys lie where the run's owner said"
        assert not [path for path in tmp_path.iterdir() if path.stat().st_mode & 0o077], "and only the owner reads them"
        assert "#SBATCH -p short" in script
        assert "#SBATCH --mem=4G" in script
        assert "tls://" in started.scheduler_address


def test_signal_is_named():
    assert "SIGKILL" in pool._death(-signal.SIGKILL)
    assert os.name == "posix"
