"""Do two scorers, scanners or programs agree? Concordance, limits of agreement, kappa, ICC, repeatability."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from biomarkers.core.errors import DataError
from biomarkers.stats._checks import Array, choice, confidence, same_length, sample
from biomarkers.stats.results import Estimate, undefined_estimate


@dataclass(frozen=True, slots=True)
class BlandAltman:
    """Mean difference and limits of agreement, each with its interval."""

    bias: Estimate
    lower: Estimate
    upper: Estimate


def concordance_correlation(x: Any, y: Any, *, level: float = 0.95) -> Estimate:
    """Lin's concordance correlation coefficient with the interval on Fisher's z scale.

    Parameters
    ----------
    x, y
        Two readings a specimen, (n,), in the same unit.
    level
        Confidence level.

    References
    ----------
    Lin LI. Biometrics 1989;45:255-268; corrected 2000;56:324-325.
    """
    from scipy.special import ndtri

    one, two = _pair(x, y, least=3)
    n = one.size
    method = "Lin's concordance correlation, z-transform interval"
    var_x, var_y = one.var(), two.var()
    cov = float(((one - one.mean()) * (two - two.mean())).mean())
    gap = float(one.mean() - two.mean())
    if var_x + var_y + gap**2 == 0:
        note = "all readings are one and the same value: agreement cannot be told from no variation"
        return undefined_estimate(level=level, n=n, method=method, note=note)
    ccc = 2 * cov / float(var_x + var_y + gap**2)
    if var_x == 0 or var_y == 0:
        return Estimate(ccc, -1.0, 1.0, level, n, method, "one reader gave one value only: no interval")
    r = cov / math.sqrt(float(var_x * var_y))
    if abs(ccc) >= 1 - 1e-12:
        return Estimate(ccc, ccc, ccc, level, n, method, "perfect agreement: the interval has no width")
    if abs(r) < 1e-12:
        return Estimate(ccc, -1.0, 1.0, level, n, method, "the readings are uncorrelated: no interval on this scale")
    u2 = gap**2 / math.sqrt(float(var_x * var_y))
    inside = (1 - r**2) * ccc**2 / ((1 - ccc**2) * r**2)
    inside += 2 * ccc**3 * (1 - ccc) * u2 / (r * (1 - ccc**2) ** 2)
    inside -= ccc**4 * u2**2 / (2 * r**2 * (1 - ccc**2) ** 2)
    half = float(ndtri(0.5 + confidence(level) / 2)) * math.sqrt(max(inside, 0.0) / (n - 2))
    centre = math.atanh(ccc)
    return Estimate(ccc, math.tanh(centre - half), math.tanh(centre + half), level, n, method)


def bland_altman(x: Any, y: Any, *, level: float = 0.95, coverage: float = 0.95) -> BlandAltman:
    """Mean difference x - y and the limits that hold ``coverage`` of differences, each with a t interval.

    References
    ----------
    Bland JM, Altman DG. Lancet 1986;327:307-310.
    """
    from scipy.special import ndtri, stdtrit

    one, two = _pair(x, y, least=3)
    d = one - two
    n, mean, spread = d.size, float(d.mean()), float(d.std(ddof=1))
    t = float(stdtrit(n - 1, 0.5 + confidence(level) / 2))
    z = float(ndtri(0.5 + confidence(coverage) / 2))
    note = "all differences are equal: the intervals have no width" if spread == 0 else ""
    half_bias = t * spread / math.sqrt(n)
    half_limit = t * spread * math.sqrt(1 / n + z * z / (2 * (n - 1)))
    low, high = mean - z * spread, mean + z * spread
    limit = f"{100 * coverage:g}% limit of agreement"
    return BlandAltman(
        Estimate(mean, mean - half_bias, mean + half_bias, level, n, "mean difference, t interval", note),
        Estimate(low, low - half_limit, low + half_limit, level, n, f"lower {limit}, t interval", note),
        Estimate(high, high - half_limit, high + half_limit, level, n, f"upper {limit}, t interval", note),
    )


def kappa(x: Any, y: Any, *, weights: str = "none", level: float = 0.95) -> Estimate:
    """Cohen's kappa of two category readings with its large-sample interval.

    Parameters
    ----------
    x, y
        Category numbers a specimen, (n,); for weights their distances count.
    weights
        ``"none"``, ``"linear"`` or ``"quadratic"``.
    level
        Confidence level.

    References
    ----------
    Cohen J. Psychol Bull 1968;70:213-220. Fleiss JL, Cohen J, Everitt BS. Psychol Bull 1969;72:323-327.
    """
    from scipy.special import ndtri

    choice(weights, ("none", "linear", "quadratic"), name="weights")
    one, two = _pair(x, y, least=2)
    n = one.size
    method = "Cohen's kappa" if weights == "none" else f"Cohen's kappa, {weights} weights"
    values, coded = np.unique(np.concatenate([one, two]), return_inverse=True)
    coded = coded.reshape(-1)
    k = values.size
    if k == 1:
        note = "both readers used one category only: kappa is undefined"
        return undefined_estimate(level=level, n=n, method=method, note=note)
    shares = np.zeros((k, k))
    np.add.at(shares, (coded[:n], coded[n:]), 1 / n)
    rows, columns = shares.sum(axis=1), shares.sum(axis=0)
    apart = np.abs(values[:, None] - values[None, :]) / (values[-1] - values[0])
    w = {"none": np.eye(k), "linear": 1 - apart, "quadratic": 1 - apart**2}[weights]
    seen, chance = float((w * shares).sum()), float(rows @ w @ columns)
    value = min((seen - chance) / (1 - chance), 1.0)
    row_mean, column_mean = w @ columns, rows @ w
    spread = float((shares * (w - (row_mean[:, None] + column_mean[None, :]) * (1 - value)) ** 2).sum())
    spread -= (value - chance * (1 - value)) ** 2
    half = float(ndtri(0.5 + confidence(level) / 2)) * math.sqrt(max(spread, 0.0) / n) / (1 - chance)
    if np.unique(one).size == 1 or np.unique(two).size == 1:  # kappa is then 0 and its variance too, whatever they saw
        return Estimate(value, -1.0, 1.0, level, n, method, "one reader used one category only: no interval")
    note = "perfect agreement: the interval has no width" if half == 0 else ""
    return Estimate(
        value, max(-1.0, value - half), min(1.0, value + half), level, n, f"{method}, normal interval", note
    )


def intraclass_correlation(readings: Any, *, level: float = 0.95) -> Estimate:
    """ICC for absolute agreement of single readings, two-way random: ICC(A,1), with its F interval.

    Parameters
    ----------
    readings
        Specimens x readers, (n, k), no gaps.

    References
    ----------
    McGraw KO, Wong SP. Psychol Methods 1996;1:30-46.
    """
    from scipy.special import fdtri

    table = np.array(readings, dtype=np.float64)
    if table.ndim != 2 or min(table.shape) < 2:
        raise DataError("readings have another shape", where="readings", seen=table.shape, allowed="(n >= 2, k >= 2)")
    if not np.isfinite(table).all():
        raise DataError("readings are missing", where="readings", hint="Leave incomplete specimens out and count them.")
    n, k = table.shape
    method = "ICC(A,1), two-way random, absolute agreement, F interval"
    grand = table.mean()
    ms_rows = k * float(((table.mean(axis=1) - grand) ** 2).sum()) / (n - 1)
    ms_columns = n * float(((table.mean(axis=0) - grand) ** 2).sum()) / (k - 1)
    rest = table - table.mean(axis=1, keepdims=True) - table.mean(axis=0, keepdims=True) + grand
    ms_error = float((rest**2).sum()) / ((n - 1) * (k - 1))
    below = ms_rows + (k - 1) * ms_error + k / n * (ms_columns - ms_error)
    if below <= 1e-300:
        note = "all readings are equal: agreement cannot be told from no variation"
        return undefined_estimate(level=level, n=n, method=method, note=note)
    icc = (ms_rows - ms_error) / below
    tail = (1 - confidence(level)) / 2
    if ms_error <= 1e-14 * max(ms_rows, ms_columns) or icc >= 1 - 1e-12:
        return Estimate(
            icc, min(icc, 0.0), 1.0, level, n, method, "readers differ by a constant at most: no F interval"
        )
    a = k * icc / (n * (1 - icc))
    b = 1 + k * icc * (n - 1) / (n * (1 - icc))
    top = (a * ms_columns + b * ms_error) ** 2
    df = top / ((a * ms_columns) ** 2 / (k - 1) + (b * ms_error) ** 2 / ((n - 1) * (k - 1)))
    f_low, f_high = float(fdtri(n - 1, df, 1 - tail)), float(fdtri(df, n - 1, 1 - tail))
    mix = k * ms_columns + (k * n - k - n) * ms_error
    low = n * (ms_rows - f_low * ms_error) / (f_low * mix + n * ms_rows)
    high = n * (f_high * ms_rows - ms_error) / (mix + n * f_high * ms_rows)
    return Estimate(icc, min(low, icc), max(high, icc), level, n, method)


def repeatability(readings: Any, *, level: float = 0.95) -> Estimate:
    """Repeatability coefficient: 95% of two readings of one specimen lie within it, 1.96 sqrt(2) = 2.77 SDw.

    Parameters
    ----------
    readings
        One sequence of replicate readings a specimen (their numbers may differ); specimens with one reading say nothing
        about the technical spread and are left out, with a note.
    level
        Confidence level of the chi-square interval.

    References
    ----------
    Bland JM, Altman DG. Stat Methods Med Res 1999;8:135-160.
    """
    from scipy.special import chdtri, ndtri

    groups = [sample(values, name=f"specimen {i}") for i, values in enumerate(readings)]
    used = [values for values in groups if values.size > 1]
    method = "repeatability coefficient 2.77 SDw, chi-square interval"
    if not used:
        note = "no specimen was read twice: the technical spread is unknown"
        return undefined_estimate(level=level, n=len(groups), method=method, note=note)
    df = sum(values.size - 1 for values in used)
    squares = sum(float(((values - values.mean()) ** 2).sum()) for values in used)
    factor = float(ndtri(0.975)) * math.sqrt(2)
    tail = (1 - confidence(level)) / 2
    left_out = len(groups) - len(used)
    notes = [f"{left_out} specimen(s) read once: left out"] if left_out else []
    if squares == 0:
        notes.append("all replicates are equal: the technical spread is below the resolution of the readings")
    low, high = (
        factor * math.sqrt(squares / float(chdtri(df, tail))),
        factor * math.sqrt(squares / float(chdtri(df, 1 - tail))),
    )
    return Estimate(factor * math.sqrt(squares / df), low, high, level, len(used), method, "; ".join(notes))


def _pair(x: Any, y: Any, *, least: int) -> tuple[Array, Array]:
    one, two = sample(x, name="x", least=least), sample(y, name="y")
    same_length(one, two, names=("x", "y"))
    return one, two
