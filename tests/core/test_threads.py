"""Threads that work on one slide: order, errors, urgency, and how they end."""

from __future__ import annotations

import threading
import time

import pytest

from biomarkers.core.threads import SERIAL, ThreadPool


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_results_come_in_order_and_few_wait(threads: int) -> None:
    begun: list[int] = []
    lock = threading.Lock()

    def work(item: int) -> int:
        with lock:
            begun.append(item)
        time.sleep(0.002 * (item % 3))
        return item * item

    with ThreadPool(threads) as pool:
        results = pool.imap(work, range(60))
        assert next(results) == 0
        time.sleep(0.1)
        assert len(begun) <= 8 * threads + 1
        assert list(results) == [item * item for item in range(1, 60)]


@pytest.mark.parametrize("threads", [1, 2])
def test_an_error_stands_where_its_result_would(threads: int) -> None:
    def work(item: int) -> int:
        if item == 3:
            raise ValueError(item)
        return item

    with ThreadPool(threads) as pool:
        results = pool.imap(work, range(9))
        assert [next(results) for _ in range(3)] == [0, 1, 2]
        with pytest.raises(ValueError, match="3"):
            next(results)


@pytest.mark.parametrize(("threads", "beside"), [(1, False), (2, True)])
def test_work_is_begun_beside_the_caller_where_there_is_a_thread_for_it(threads: int, beside: bool) -> None:
    started, by = threading.Event(), []

    def work() -> str:
        by.append(threading.get_ident())
        started.set()
        return "done"

    with ThreadPool(threads) as pool:
        result = pool.submit(work)
        assert started.wait(5 if beside else 0.05) == beside
        assert result() == "done"
    assert (by[0] != threading.get_ident()) == beside


def test_what_fails_beside_is_told_where_its_result_is_asked_for() -> None:
    def work() -> None:
        raise ValueError("beside")

    with ThreadPool(2) as pool:
        result = pool.submit(work)
        with pytest.raises(ValueError, match="beside"):
            result()
        assert pool.submit(lambda: "alive")() == "alive"  # the thread goes on


def test_urgent_work_is_done_first_and_in_its_own_order() -> None:
    go, done = threading.Event(), []
    with ThreadPool(2) as pool:
        held = [pool.submit(lambda: go.wait(5)) for _ in range(2)]
        plain = pool.imap(done.append, ["a", "b"])
        urgent = pool.imap(done.append, [1, 2], urgent=True)
        go.set()
        assert all(result() for result in held)
        assert len([*plain, *urgent]) == 4
    assert set(done[:2]) == {1, 2}


def test_leaving_drops_what_waits_and_waits_for_what_is_at_work() -> None:
    started, done = threading.Event(), []

    def work(item: int) -> None:
        started.set()
        time.sleep(0.05)
        done.append(item)

    def leave() -> None:
        with ThreadPool(2) as pool:
            pool.imap(work, range(100))
            started.wait(5)
            raise KeyError("left")

    before = threading.active_count()
    with pytest.raises(KeyError, match="left"):
        leave()
    assert 1 <= len(done) <= 4
    assert threading.active_count() == before


def test_one_thread_is_the_callers_own() -> None:
    me = threading.get_ident()
    assert list(SERIAL.imap(lambda _: threading.get_ident(), range(3))) == [me] * 3
