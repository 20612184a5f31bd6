"""Reliability: the share of a level's variance that is not measurement error, and how well it is known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from biomarkers.core.errors import DataError, UsageError
from biomarkers.stats._checks import Array, confidence, labels, same_length, sample

_NODES: Final = 2001  # equally probable values that stand for an uncertain reliability: limits move by less than 1e-4
_UNKNOWN_SHARE: Final = 1e-9
_COPIES: Final = 1e-12  # of the whole variance: replicates that differ by less are copies


@dataclass(frozen=True, slots=True)
class ReliabilityEstimate:
    """A reliability and what is known of it.

    Attributes
    ----------
    value
        0 to 1; 0 where the estimate stands at the boundary.
    low, high
        Its interval; the value itself twice where it is known.
    level
        Confidence level of the interval.
    n
        Patients behind it; 0 where it was given.
    method
        How it was found.
    nodes
        (m,) equally probable values of its confidence distribution, ascending; values below 0 stand for 0.
    """

    value: float
    low: float
    high: float
    level: float
    n: int
    method: str
    nodes: Array = field(repr=False, compare=False)

    @property
    def is_known(self) -> bool:
        """Whether it is a number without uncertainty."""
        return self.low == self.value == self.high

    @classmethod
    def known(cls, value: float) -> ReliabilityEstimate:
        """Take a number as it is.

        Raises
        ------
        UsageError
            It is not above 0 and at most 1.
        """
        check_reliability(value)
        return cls(float(value), float(value), float(value), 1.0, 0, "given", np.array([float(value)]))

    @classmethod
    def with_interval(cls, value: float, low: float, high: float, *, level: float = 0.95) -> ReliabilityEstimate:
        """Take a number with its interval: two half-normal distributions on Fisher's z scale that meet the limits.

        Raises
        ------
        UsageError
            A number is out of range, or the value lies outside its interval.

        Examples
        --------
        >>> found = ReliabilityEstimate.with_interval(0.6, 0.45, 0.75)
        >>> round(float((found.nodes < 0.45).mean()), 3)
        0.025
        """
        from scipy.special import ndtri

        check_reliability(value)
        for name, limit in (("lower", low), ("upper", high)):
            if not 0 <= limit <= 1:
                raise UsageError(f"the {name} limit of a reliability is out of range", seen=limit, allowed="0 to 1")
        if not low <= value <= high:
            raise UsageError(
                "a reliability lies outside its interval", seen=f"{value:g} in {low:g} to {high:g}",
                allowed="the value, the lower and the upper limit: 0.6:0.45:0.75",
            )  # fmt: skip
        if low == high:
            return cls.known(value)
        z = ndtri(equal_probabilities())
        centre, below, above = (math.atanh(min(at, 1 - _UNKNOWN_SHARE)) for at in (value, low, high))
        reach = float(ndtri(0.5 + confidence(level) / 2))
        nodes = np.tanh(centre + z * np.where(z < 0, centre - below, above - centre) / reach)
        return cls(float(value), float(low), float(high), level, 0, "given with an interval", nodes)

    def of_mean(self, k: float) -> ReliabilityEstimate:
        """Reliability of the mean of ``k`` measurements (Spearman-Brown).

        Examples
        --------
        >>> round(ReliabilityEstimate.known(0.6).of_mean(2).value, 3)
        0.75
        """
        value, low, high = (spearman_brown(at, k) for at in (self.value, self.low, self.high))
        nodes = np.array([spearman_brown(at, k) for at in np.maximum(self.nodes, 0.0)])
        return ReliabilityEstimate(value, low, high, self.level, self.n, f"{self.method}, mean of {k:g}", nodes)


def spearman_brown(reliability: float, k: float) -> float:
    """Reliability of the mean of ``k`` independent measurements of which one has this reliability.

    References
    ----------
    Spearman C. Br J Psychol 1910;3:271-295. Brown W. Br J Psychol 1910;3:296-322.
    """
    if not k > 0:
        raise UsageError("the number of measurements is not positive", seen=k, allowed="above 0")
    return k * reliability / (1 + (k - 1) * reliability)


def check_reliability(value: float) -> float:
    """Refuse a reliability outside (0, 1].

    Raises
    ------
    UsageError
        It is outside.
    """
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise UsageError("a reliability is no number", seen=value, allowed="above 0, at most 1") from error
    if not 0 < number <= 1:
        hint = f"In per cent? Write {number / 100:g}." if 1 < number <= 100 else None
        raise UsageError("a reliability is out of range", seen=value, allowed="above 0, at most 1", hint=hint)
    return number


def one_way_reliability(
    replicates: Sequence[Any], *, groups: Any = None, level: float = 0.95, scale: str = ""
) -> ReliabilityEstimate:
    """Reliability of one measurement from patients of whom some were measured more than once.

    Mean squares of a one-way random model. The variance between patients is that within ``groups``, the mean of the
    groups' variances, which is what :func:`~biomarkers.stats.measurement_error.corrected_auc` needs. With equal
    numbers of replicates and one group the interval is the exact F interval of ICC(1); otherwise that of Thomas and
    Hultquist (unweighted means, harmonic number of replicates; Satterthwaite's degrees of freedom over groups). An
    estimate at the boundary has the interval of one just there, from 0: the F interval itself would shrink to nothing.

    Parameters
    ----------
    replicates
        One sequence of measurements a patient, on the scale where error is even; numbers may differ, patients measured
        once count for the variance between patients.
    groups
        (n,) label a patient; one group when None. A group of one patient is left out.
    level
        Confidence level.
    scale
        Name of the scale, for the method.

    Raises
    ------
    DataError
        Nobody or one patient only was measured twice, the replicates are copies of each other, or no group has two
        patients.

    References
    ----------
    Shrout PE, Fleiss JL. Psychol Bull 1979;86:420-428. Thomas JD, Hultquist RA. Ann Stat 1978;6:582-587.

    Examples
    --------
    >>> found = one_way_reliability([[1.0, 1.2], [2.0, 1.9], [3.1, 2.9], [4.0, 4.4]])
    >>> f"{found.value:.3f} ({found.low:.3f} to {found.high:.3f})"
    '0.983 (0.840 to 0.999)'
    """
    from scipy.special import fdtri

    values = [sample(one, name=f"patient {i}", least=1) for i, one in enumerate(replicates)]
    sizes = np.array([one.size for one in values])
    means = np.array([one.mean() for one in values])
    squares = float(sum(((one - one.mean()) ** 2).sum() for one in values))
    df_error = int((sizes - 1).sum())
    measured_twice = int((sizes > 1).sum())
    _check_replicates(values, measured_twice, squares)
    codes = np.zeros(len(values), dtype=np.int64) if groups is None else labels(groups, name="groups")
    between, df_between, harmonic = _between(means, sizes, codes)
    error = squares / df_error
    f = harmonic * between / error
    value = max((f - 1) / (f + harmonic - 1), 0.0)
    tail = (1 - confidence(level)) / 2

    def at(p: Any) -> Any:
        """Reliability that a share ``p`` of the confidence distribution lies below."""
        quotient = max(f, 1.0) / fdtri(df_between, df_error, 1 - np.asarray(p))
        return (quotient - 1) / (quotient + harmonic - 1)

    low, high = (max(float(at(p)), 0.0) for p in (tail, 1 - tail))
    exact = groups is None and np.unique(sizes).size == 1
    method = f"one-way mean squares, {'exact F' if exact else 'Thomas-Hultquist F'} interval{scale and ', ' + scale}"
    return ReliabilityEstimate(
        value, min(low, value), max(high, value), level, measured_twice, method, np.asarray(at(equal_probabilities()))
    )


def _between(means: Array, sizes: Any, codes: Any) -> tuple[float, float, float]:
    """Mean of the groups' variances of patient means, its degrees of freedom, harmonic number of replicates."""
    variances, dfs, inverse = [], [], []
    for code in np.unique(codes):
        here = codes == code
        if here.sum() < 2:
            continue
        variances.append(float(means[here].var(ddof=1)))
        dfs.append(int(here.sum()) - 1)
        inverse.append(float((1 / sizes[here]).mean()))
    if not variances:
        raise DataError("no group holds two patients", where="replicates", hint="The patients' variance needs two.")
    total = sum(variances)
    spread = sum(v * v / df for v, df in zip(variances, dfs, strict=True))
    df_between = total * total / spread if spread > 0 else float(sum(dfs))
    return total / len(variances), df_between, 1 / (sum(inverse) / len(inverse))


def _check_replicates(values: Sequence[Array], measured_twice: int, squares: float) -> None:
    if measured_twice == 0:
        raise DataError(
            "nobody was measured twice", where="replicates", seen=f"{len(values)} patients with one measurement each",
            hint="A reliability needs two measurements of some patients: give a published one instead.",
        )  # fmt: skip
    if measured_twice == 1:
        raise DataError(
            "replicates of one patient only", where="replicates", seen=f"1 of {len(values)} patients measured twice",
            allowed="two patients or more", hint="Ten or more give a usable interval.",
        )  # fmt: skip
    everything = np.concatenate(values)
    if squares <= _COPIES * max(float(((everything - everything.mean()) ** 2).sum()), 1e-300):
        raise DataError(
            "the replicates are copies of each other", where="replicates",
            seen=f"no difference within any of {measured_twice} patients",
            hint="Give measurements that were made independently, each from its own slide, core or reading.",
        )  # fmt: skip


def equal_probabilities() -> Array:
    """Probabilities of the nodes that stand for an uncertain reliability, (m,), ascending."""
    found: Array = (np.arange(_NODES) + 0.5) / _NODES
    return found


def error_reliability(levels: Any, errors: Any, *, groups: Any = None, level: float = 0.95) -> ReliabilityEstimate:
    """Reliability of levels of which each has a standard error of its own (a counting error, say).

    One less the mean error variance over the variance within ``groups``; the errors are taken as known, the interval
    carries the uncertainty of the variance alone (chi-square).

    Parameters
    ----------
    levels, errors
        (n,) levels and their standard errors, on one scale.
    groups
        (n,) label a patient; one group when None.
    level
        Confidence level.

    Raises
    ------
    DataError
        A standard error is negative, all are 0, or no group has two patients.

    Examples
    --------
    >>> round(error_reliability([1.0, 2.0, 3.0, 4.0], [0.5, 0.5, 0.5, 0.5]).value, 3)
    0.85
    """
    from scipy.special import chdtri

    x, se = sample(levels, name="levels", least=2), sample(errors, name="errors")
    same_length(x, se, names=("levels", "errors"))
    bad = np.flatnonzero(se < 0)
    if bad.size:
        raise DataError(
            "a standard error is negative", where=f"errors, position {bad[0]}", seen=float(se[bad[0]]), allowed=">= 0"
        )
    if not se.any():
        raise DataError("all standard errors are 0", where="errors", hint="Leave them out where they are not known.")
    codes = np.zeros(x.size, dtype=np.int64) if groups is None else labels(groups, name="groups")
    between, df, _ = _between(x, np.ones(x.size, dtype=np.int64), codes)
    ratio = float((se**2).mean()) / between if between > 0 else math.inf
    p = equal_probabilities()
    nodes = 1 - ratio * np.asarray(chdtri(df, p)) / df if math.isfinite(ratio) else np.full(p.size, -1.0)
    nodes = np.sort(nodes)
    tail = (1 - confidence(level)) / 2
    value = max(1 - ratio, 0.0)
    low, high = (max(float(np.quantile(nodes, at)), 0.0) for at in (tail, 1 - tail))
    return ReliabilityEstimate(
        value, min(low, value), max(high, value), level, x.size, "standard errors of the levels, chi-square interval",
        nodes,
    )  # fmt: skip


__all__ = [
    "ReliabilityEstimate", "check_reliability", "equal_probabilities", "error_reliability", "one_way_reliability",
    "spearman_brown",
]  # fmt: skip
