"""Refusals shared by every statistic: what reaches a formula is finite and of the right shape."""

from __future__ import annotations

from typing import Any

import numpy as np

from biomarkers.core.errors import DataError, UsageError, did_you_mean

Array = np.ndarray[Any, np.dtype[np.float64]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]


_LARGEST = 1e150


def confidence(level: float) -> float:
    """Return the confidence level when it lies inside (0, 1)."""
    if not 0 < level < 1:
        raise UsageError("the confidence level is no proportion", seen=level, allowed="between 0 and 1", hint="0.95")
    return float(level)


def choice(value: str, allowed: tuple[str, ...], *, name: str) -> str:
    """Return an option's word when it is a known one."""
    if value not in allowed:
        raise UsageError(f"unknown {name}", seen=value, allowed=allowed, hint=did_you_mean(str(value), allowed))
    return value


def sample(values: Any, *, name: str = "values", least: int = 1) -> Array:
    """Return one finite 1-d float sample, a copy.

    Raises
    ------
    DataError
        Not numbers, not 1-d, NaN or infinite, or fewer than ``least`` values.
    """
    try:
        array = np.array(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError("values are not numbers", where=name, hint="Give plain floats.") from error
    if array.ndim != 1:
        raise DataError("values are not one-dimensional", where=name, seen=array.shape, allowed="(n,)")
    bad = np.flatnonzero(~np.isfinite(array))
    if bad.size:
        raise DataError(
            f"{bad.size} of {array.size} values are missing or infinite, the first at position {bad[0]}",
            where=name,
            hint="Leave them out and report their number before testing.",
        )
    if array.size and float(np.abs(array).max()) > _LARGEST:
        raise DataError("a value is too large to square", where=name, seen=float(np.abs(array).max()), allowed=_LARGEST)
    if array.size < least:
        raise DataError("too few values", where=name, seen=array.size, allowed=f"at least {least}")
    return array


def same_length(*arrays: np.ndarray, names: tuple[str, ...]) -> None:
    """Refuse columns of different lengths."""
    lengths = [len(array) for array in arrays]
    if len(set(lengths)) > 1:
        raise DataError(
            "columns differ in length", where=", ".join(names), seen=lengths, hint="One value a patient each."
        )


def whole(value: Any, *, name: str, least: int = 0) -> int:
    """Return a count."""
    number = float(value)
    if not np.isfinite(number) or number != int(number) or number < least:
        raise DataError("not a count", where=name, seen=value, allowed=f"a whole number of at least {least}")
    return int(number)


def proportion_counts(k: Any, n: Any, *, name: str = "k of n") -> tuple[int, int]:
    """Return ``(k, n)`` with 0 <= k <= n and n >= 1."""
    events, total = whole(k, name=name), whole(n, name=name)
    if total < 1:
        raise DataError(
            "a proportion of nobody is undefined", where=name, seen=f"{events}/{total}", allowed="n of at least 1"
        )
    if events > total:
        raise DataError("more events than units", where=name, seen=f"{events}/{total}", allowed="k <= n")
    return events, total


def counts_table(table: Any, *, shape: tuple[int, int] | None = None) -> IntArray:
    """Return an r x c table of whole counts (a copy), of the given shape when one is demanded."""
    try:
        array = np.array(table, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError("the table does not hold counts", where="table") from error
    if array.ndim != 2 or (shape is not None and array.shape != shape):
        raise DataError("the table has another shape", where="table", seen=array.shape, allowed=shape or "(r, c)")
    if not np.isfinite(array).all() or (array < 0).any() or (array != np.round(array)).any():
        raise DataError("the table does not hold whole counts", where="table", seen=array.tolist())
    if array.sum() == 0:
        raise DataError("the table is empty", where="table", seen=array.tolist())
    return array.astype(np.int64)


def labels(values: Any, *, name: str = "strata") -> IntArray:
    """Return class numbers 0..k-1 of any labels, in sorted order of the labels."""
    array = np.asarray(values)
    if array.ndim != 1:
        raise DataError("labels are not one-dimensional", where=name, seen=array.shape, allowed="(n,)")
    if array.dtype.kind == "f" and np.isnan(array).any():
        raise DataError("labels are missing", where=name, hint="Name the missing stratum or leave the rows out.")
    return np.unique(array, return_inverse=True)[1].reshape(-1).astype(np.int64)


def binary(values: Any, *, name: str = "group") -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return a boolean array from booleans or 0/1."""
    array = sample(values, name=name)
    odd = np.flatnonzero((array != 0) & (array != 1))
    if odd.size:
        raise DataError("not a yes/no value", where=f"{name}, position {odd[0]}", seen=array[odd[0]], allowed=(0, 1))
    return array == 1


def without_noise(values: Array, digits: int = 12) -> Array:
    """Return values rounded to so many digits of the largest, so that ties of decimal numbers are ties in binary."""
    largest = float(np.abs(values).max(initial=0.0))
    if largest == 0:
        return values
    decimals = digits - int(np.ceil(np.log10(largest)))
    return values if decimals > 290 else np.round(values, decimals)


def times(time: Any, event: Any) -> tuple[Array, np.ndarray[Any, np.dtype[np.bool_]]]:
    """Return checked times and events; times that differ by rounding noise only are one time, as in R."""
    t, seen = sample(time, name="time"), binary(event, name="event")
    same_length(t, seen, names=("time", "event"))
    if (t < 0).any():
        first = int(np.flatnonzero(t < 0)[0])
        raise DataError(
            "a time is negative", where=f"time, position {first}", seen=float(t[first]), allowed="0 or more"
        )
    return without_noise(t), seen
