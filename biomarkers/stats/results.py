"""What every statistic of this room returns: an estimate with its interval, or a test with its p-value."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

_SMALLEST_P = 2.2250738585072014e-308  # the smallest normal double: p is never printed as 0
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Estimate:
    """A point estimate with its interval.

    Attributes
    ----------
    value
        The estimate; NaN only together with a note that says why it is undefined.
    low, high
        The interval; infinite where the data set no bound (the note says so).
    level
        Confidence level, for example 0.95.
    n
        Independent units behind it (patients, never cells).
    method
        Name of the estimator and of the interval.
    note
        What a reader must know; empty when nothing.
    """

    value: float
    low: float
    high: float
    level: float
    n: int
    method: str
    note: str = ""

    def __post_init__(self) -> None:
        for name in ("value", "low", "high"):
            object.__setattr__(self, name, float(getattr(self, name)))
        undefined = any(math.isnan(bound) for bound in (self.value, self.low, self.high))
        if undefined and not self.note:
            msg = f"{self.method}: an undefined estimate needs a note that says why"
            raise ValueError(msg)
        if self.low > self.high:
            msg = f"{self.method}: the interval {self.low} to {self.high} is upside down"
            raise ValueError(msg)

    def __str__(self) -> str:
        text = f"{self.value:.4g} ({100 * self.level:g}% CI {self.low:.4g} to {self.high:.4g})"
        return f"{text}, {self.note}" if self.note else text


@dataclass(frozen=True, slots=True)
class Test:
    """A test: its statistic and p-value.

    Attributes
    ----------
    statistic
        The value named by ``method``.
    p
        In (0, 1]; NaN only together with a note that says why the test is undefined.
    n
        Independent units behind it.
    method
        Name of the test, its sides and its reference distribution.
    note
        What a reader must know; empty when nothing.
    """

    __test__: ClassVar[bool] = False  # pytest: this is no test case

    statistic: float
    p: float
    n: int
    method: str
    note: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "statistic", float(self.statistic))
        p = float(self.p)
        if math.isnan(p):
            if not self.note:
                msg = f"{self.method}: an undefined test needs a note that says why"
                raise ValueError(msg)
        elif not -_ROUNDING <= p <= 1 + _ROUNDING:
            msg = f"{self.method}: p = {p} is no probability"
            raise ValueError(msg)
        else:
            p = min(max(p, _SMALLEST_P), 1.0)
        object.__setattr__(self, "p", p)

    def __str__(self) -> str:
        text = f"statistic {self.statistic:.4g}, p = {self.p:.4g}"
        return f"{text}, {self.note}" if self.note else text


def undefined_test(*, n: int, method: str, note: str) -> Test:
    """Return a test that the data leave undefined, with the reason."""
    return Test(math.nan, math.nan, n, method, note)


def undefined_estimate(*, level: float, n: int, method: str, note: str) -> Estimate:
    """Return an estimate that the data leave undefined, with the reason."""
    return Estimate(math.nan, math.nan, math.nan, level, n, method, note)
