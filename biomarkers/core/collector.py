"""Python's cyclic garbage collector, told when there is nothing for it to find."""

from __future__ import annotations

import functools
import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

_P = ParamSpec("_P")
_R = TypeVar("_R")


@contextmanager
def lasting_objects() -> Iterator[None]:
    """Let the collector rest while many objects are made that stay; they count as old ones afterwards.

    As their number grows it walks all objects of the process again and again: a quarter of the time in which libraries
    and compiled code are loaded, three quarters of that in which outlines become lists. What nothing refers to is freed
    inside as ever; only cycles wait for the next full collection.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        if gc.get_freeze_count() == 0:  # what somebody else froze stays so
            gc.freeze()
            gc.unfreeze()  # into the oldest generation, without a look at them
        gc.enable()


def loads_when_first_called(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Make a function's first call one of :func:`lasting_objects`: it loads two thousand modules and many kernels."""
    called = False

    @functools.wraps(function)
    def call(*arguments: _P.args, **options: _P.kwargs) -> _R:
        nonlocal called
        if called:
            return function(*arguments, **options)
        called = True
        with lasting_objects():
            return function(*arguments, **options)

    return call
