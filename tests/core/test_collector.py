"""The garbage collector rests where it is told to, works on afterwards, and loses nothing."""

from __future__ import annotations

import gc
import weakref

import pytest

from biomarkers.core.collector import lasting_objects, loads_when_first_called


class _Ring:
    def __init__(self) -> None:
        self.me = self


def test_it_rests_inside_and_works_on_after_an_error() -> None:
    @lasting_objects()
    def fails() -> None:
        with lasting_objects():
            assert not gc.isenabled()
        assert not gc.isenabled()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    assert gc.isenabled()


def test_what_is_switched_off_stays_off() -> None:
    gc.disable()
    try:
        with lasting_objects():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_garbage_made_inside_is_found_later() -> None:
    with lasting_objects():
        ring = weakref.ref(_Ring())
        assert ring() is not None
    gc.collect()
    assert ring() is None


def test_what_others_froze_stays_frozen() -> None:
    gc.freeze()
    try:
        frozen = gc.get_freeze_count()
        with lasting_objects():
            pass
        assert gc.get_freeze_count() >= frozen - 100  # some may have been freed
    finally:
        gc.unfreeze()


def test_only_the_first_call_is_one_of_lasting_objects() -> None:
    @loads_when_first_called
    def works(number: int) -> tuple[int, bool]:
        """Tell whether the collector works."""
        return number, gc.isenabled()

    assert [works(1), works(number=2)] == [(1, False), (2, True)]
    assert works.__name__ == "works"
