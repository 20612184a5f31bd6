"""Paired change, baseline to on-treatment: signed ranks, sign flips, Hodges-Lehmann pseudomedian, conversions.

All take differences (on-treatment minus baseline, on the scale that was chosen, log2 for levels); nothing is
transformed here.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from biomarkers.core.words import plural
from biomarkers.stats._checks import Array, choice, confidence, counts_table, sample, without_noise
from biomarkers.stats.exact import TooLargeError, sign_distribution
from biomarkers.stats.inversion import Steps
from biomarkers.stats.linear import midranks, normal_p
from biomarkers.stats.proportions import clopper_pearson, wilson_limits
from biomarkers.stats.results import Estimate, Test, undefined_estimate, undefined_test

_EXACT_PAIRS = 500  # more pairs: the normal quantiles differ by less than the readings resolve
_ALL_ZERO = "every difference is zero: nothing can be tested"


def signed_rank(
    differences: Any,
    *,
    zeros: str = "drop",
    method: str = "auto",
    continuity: bool = False,
    digits: int | None = 12,
) -> Test:
    """Wilcoxon signed-rank test with the exact distribution of the tied ranks.

    Parameters
    ----------
    differences
        One difference a patient, (n,).
    zeros
        ``"drop"`` (Wilcoxon: zeros leave the sample) or ``"pratt"`` (zeros are ranked, then their ranks dropped).
    method
        ``"exact"``, ``"asymptotic"`` (normal, tie-corrected) or ``"auto"``: exact unless too large (see note).
    continuity
        Continuity correction of the asymptotic p.
    digits
        Absolute differences that agree to this many digits of the largest one are ties: 41.5 - 61.6 and 20.1 differ in
        binary. None compares the doubles as they are, as R's coin does.

    Returns
    -------
    The statistic is V, the sum of the ranks of positive differences.

    References
    ----------
    Wilcoxon F. Biometrics Bull 1945;1:80-83. Pratt JW. J Am Stat Assoc 1959;54:655-667.
    """
    choice(zeros, ("drop", "pratt"), name="treatment of zeros")
    choice(method, ("auto", "exact", "asymptotic"), name="method")
    d = sample(differences, name="differences")
    ranks, positive = signed_ranks(d, zeros=zeros, digits=digits)
    n_zero = int((d == 0).sum())
    label = "Wilcoxon signed-rank test" if zeros == "drop" else "Wilcoxon-Pratt signed-rank test"
    if ranks.size == 0:
        return undefined_test(n=d.size, method=label, note=_ALL_ZERO)
    handled = "left out" if zeros == "drop" else "ranked (Pratt)"
    note = f"{n_zero} of {d.size} differences are zero: {handled}" if n_zero else ""
    v = float(ranks[positive].sum())
    if method != "asymptotic":
        try:
            p = sign_distribution(ranks).two_sided(v, how="doubled")
        except TooLargeError:
            if method == "exact":
                raise
            note = "; ".join(part for part in (note, "exact distribution too large: normal approximation") if part)
        else:
            return Test(v, p, d.size, f"{label}, exact two-sided", note)
    z = signed_rank_z(d, zeros=zeros, continuity=continuity, digits=digits)
    corrected = ", continuity correction" if continuity else ""
    return Test(v, normal_p(z), d.size, f"{label}, asymptotic two-sided{corrected}", note)


def signed_rank_z(differences: Any, *, zeros: str = "drop", continuity: bool = False, digits: int | None = 12) -> float:
    """Standardised signed-rank statistic, positive when levels rose (NaN when every difference is zero)."""
    ranks, positive = signed_ranks(sample(differences, name="differences"), zeros=zeros, digits=digits)
    if ranks.size == 0:
        return math.nan
    gap = float(ranks[positive].sum() - ranks.sum() / 2)
    if continuity:
        gap = math.copysign(max(abs(gap) - 0.5, 0.0), gap)
    return gap / math.sqrt(float((ranks**2).sum()) / 4)


def signed_ranks(differences: Array, *, zeros: str, digits: int | None = 12) -> tuple[Array, np.ndarray]:
    """Ranks of the absolute non-zero differences, and which are positive."""
    size = _noiseless(np.abs(differences), digits)
    used = differences != 0
    if not used.any():
        return np.empty(0), np.empty(0, dtype=bool)
    ranks = midranks(size[used]) if zeros == "drop" else midranks(size)[used]
    return ranks, differences[used] > 0


def sign_test(differences: Any) -> Test:
    """Exact sign test: did more patients rise than fall? The statistic is the number that rose."""
    d = sample(differences, name="differences")
    up, down = int((d > 0).sum()), int((d < 0).sum())
    if up + down == 0:
        return undefined_test(n=d.size, method="sign test, exact two-sided", note=_ALL_ZERO)
    note = f"{d.size - up - down} of {d.size} differences are zero: left out" if up + down < d.size else ""
    return Test(up, _binomial_half(up, down), d.size, "sign test, exact two-sided", note)


def sign_flip(differences: Any, *, decimals: int = 3) -> Test:
    """Exact permutation test of the mean change: every difference may have had the other sign.

    Parameters
    ----------
    differences
        One difference a patient, (n,).
    decimals
        Differences are rounded to this many decimals, so that the exact distribution can be counted.

    Returns
    -------
    The statistic is the sum of the positive differences, in units of the last decimal.

    References
    ----------
    Fisher RA. The Design of Experiments, 1935, section 21.
    """
    d = sample(differences, name="differences")
    units = np.round(d * 10.0**decimals)
    method = f"sign-flip permutation test of the mean, exact two-sided, differences to {decimals} decimals"
    if not units.any():
        return undefined_test(n=d.size, method=method, note=_ALL_ZERO)
    total = float(units[units > 0].sum())
    return Test(total, sign_distribution(np.abs(units)).two_sided(total, how="doubled"), d.size, method)


def paired_t(differences: Any, *, level: float = 0.95) -> tuple[Estimate, Test]:
    """Mean change with its t interval, and the t test that it is 0.

    Returns
    -------
    Estimate and test, both undefined with a note for one pair or without spread.

    Examples
    --------
    >>> estimate, test = paired_t([1.0, 2.0, 3.0, 2.0])
    >>> round(estimate.value, 3), round(test.p, 4)
    (2.0, 0.0163)
    """
    from scipy.special import stdtr, stdtrit

    d = sample(differences, name="differences")
    name, n = "paired t", d.size
    spread = float(d.std(ddof=1)) if n > 1 else 0.0
    if spread <= 1e-14 * float(np.abs(d).max(initial=0.0)):
        note = "one pair has no spread" if n == 1 else "all differences are equal: their spread is zero and t undefined"
        return undefined_estimate(level=level, n=n, method=name, note=note), undefined_test(n=n, method=name, note=note)
    mean, error = float(d.mean()), spread / math.sqrt(n)
    half = float(stdtrit(n - 1, 0.5 + confidence(level) / 2)) * error
    test = Test(mean / error, 2 * float(stdtr(n - 1, -abs(mean / error))), n, "paired t test, two-sided")
    return Estimate(mean, mean - half, mean + half, level, n, "mean change, paired t interval"), test


def hodges_lehmann_paired(
    differences: Any,
    *,
    level: float = 0.95,
    method: str = "auto",
    estimate: str = "median",
    zeros: str = "keep",
    continuity: bool = False,
    digits: int | None = 12,
) -> Estimate:
    """Pseudomedian of the change: median of all pairwise means, with the interval that inverts the signed-rank test.

    Parameters
    ----------
    differences
        One difference a patient, (n,).
    level
        Two-sided confidence level.
    method
        ``"exact"`` (quantiles of the exact distribution), ``"asymptotic"`` or ``"auto"``: exact up to 500 pairs.
    estimate
        ``"median"`` of the Walsh averages, or ``"centre"``: where the signed-rank sum crosses its mean, as R's
        ``wilcox.exact`` reports.
    zeros
        ``"keep"``: a patient without change is evidence of no change; ``"drop"``: left out, as R does.
    continuity
        Continuity correction of the asymptotic interval, as R's ``correct = TRUE``.
    digits
        As for :func:`signed_rank`: when two changes of unlike sign are of one size.

    References
    ----------
    Hodges JL, Lehmann EL. Ann Math Stat 1963;34:598-611. Bauer DF. J Am Stat Assoc 1972;67:687-690.
    """
    choice(method, ("auto", "exact", "asymptotic"), name="method")
    choice(estimate, ("median", "centre"), name="estimate")
    choice(zeros, ("keep", "drop"), name="treatment of zeros")
    tail = (1 - confidence(level)) / 2
    d = sample(differences, name="differences")
    n_zero = int((d == 0).sum()) if zeros == "drop" else 0
    d = d[d != 0] if 0 < n_zero < d.size else d
    name = "Hodges-Lehmann pseudomedian" + ("" if estimate == "median" else ", centre of the signed ranks")
    steps, walsh = _walsh_steps(d, digits)
    unbounded = 0.5**d.size > tail
    if steps.points.size == 1 and not unbounded:
        note = "all differences are equal: the interval has no width and says nothing about uncertainty"
        return Estimate(float(walsh[0]), float(walsh[0]), float(walsh[0]), level, d.size, name, note)
    ranks = midranks(_noiseless(np.abs(d), digits))
    tied = np.unique(ranks).size < ranks.size
    exact = method == "exact" or (method == "auto" and d.size <= _EXACT_PAIRS)
    if exact:
        null = sign_distribution(ranks)
        low, high = steps.exact_limits(null.quantile(tail), null.quantile(1 - tail), tied=tied)
    else:
        low, high = steps.normal_limits(*_normal_quantiles(_noiseless(d, digits), tail, half=0.5 * continuity))
    notes = [f"{n_zero} differences are zero: left out"] if n_zero else []
    if unbounded:
        low, high = -math.inf, math.inf
    if math.isinf(low) or math.isinf(high):
        notes.append(f"{plural(d.size, 'pair')} cannot bound the change at {100 * level:g}% confidence")
    value = float(np.median(walsh)) if estimate == "median" else steps.centre(float(ranks.sum()) / 2, tied=tied)
    if low == high:
        notes.append("almost all differences are equal: the interval has no width")
    kind = "exact interval" if exact else "asymptotic interval"
    method_name = f"{name}, {kind}"
    return Estimate(value, min(low, value), max(high, value), level, d.size, method_name, "; ".join(notes))


def _noiseless(values: Array, digits: int | None) -> Array:
    return values if digits is None else without_noise(values, digits)


def _walsh_steps(d: Array, digits: int | None = 12) -> tuple[Steps, Array]:
    """Signed-rank sum as a function of the shift, and the pairwise means at which it jumps."""
    first, second = np.triu_indices(d.size)
    walsh = _noiseless((d[first] + d[second]) / 2, digits)
    points, inverse, counts = np.unique(walsh, return_inverse=True, return_counts=True)
    # at a pairwise mean its two patients have opposite signs and share their ranks: half of the jump is made; a patient
    # whose own difference is the shift has no sign
    unlike = np.bincount(inverse.reshape(-1), weights=d[first] != d[second], minlength=points.size)
    return Steps.of(counts.astype(np.float64), points, half=unlike / 2), walsh


def mcnemar_exact(table: Any, *, midp: bool = False) -> Test:
    """Exact McNemar test of conversion: of the patients who changed, were both directions equally likely?

    Parameters
    ----------
    table
        2 x 2 counts of patients, rows baseline (positive, negative), columns on-treatment (positive, negative).
    midp
        Mid-p version: less conservative.

    Returns
    -------
    The statistic is the number converted from negative to positive.

    References
    ----------
    McNemar Q. Psychometrika 1947;12:153-157. Fagerland MW et al. BMC Med Res Methodol 2013;13:91 (mid-p).
    """
    counts = counts_table(table, shape=(2, 2))
    lost, gained = int(counts[0, 1]), int(counts[1, 0])
    method = "McNemar test, exact two-sided" + (", mid-p" if midp else "")
    n = int(counts.sum())
    if lost + gained == 0:
        return undefined_test(
            n=n, method=method, note="no patient converted in either direction: nothing can be tested"
        )
    p = _binomial_half(gained, lost)
    if midp:
        at = math.exp(math.lgamma(lost + gained + 1) - math.lgamma(lost + 1) - math.lgamma(gained + 1))
        p = 1.0 if lost == gained else p - at * 0.5 ** (lost + gained)
    return Test(gained, p, n, method)


def conversion_odds(table: Any, *, level: float = 0.95) -> Estimate:
    """Conditional odds ratio of conversion (negative to positive over positive to negative), exact interval."""
    counts = counts_table(table, shape=(2, 2))
    lost, gained = int(counts[0, 1]), int(counts[1, 0])
    name = "odds ratio of conversion, exact conditional interval"
    if lost + gained == 0:
        note = "no patient converted in either direction: the odds ratio is undefined"
        return undefined_estimate(level=level, n=int(counts.sum()), method=name, note=note)
    share = clopper_pearson(gained, lost + gained, level=level)

    def odds(p: float) -> float:
        return math.inf if p >= 1 else p / (1 - p)

    note = "" if lost and gained else "patients converted in one direction only: one finite bound"
    return Estimate(odds(share.value), odds(share.low), odds(share.high), level, int(counts.sum()), name, note)


def paired_difference(table: Any, *, level: float = 0.95) -> Estimate:
    """Change of the positive share, on-treatment minus baseline, with Newcombe's interval for paired proportions.

    References
    ----------
    Newcombe RG. Stat Med 1998;17:2635-2650 (his method 10).
    """
    from scipy.special import ndtri

    counts = counts_table(table, shape=(2, 2))
    (a, b), (c, d) = (tuple(int(v) for v in row) for row in counts)
    n = a + b + c + d
    z = float(ndtri(0.5 + confidence(level) / 2))
    after, before = (a + c) / n, (a + b) / n
    (l1, u1), (l2, u2) = wilson_limits(after, n, z=z), wilson_limits(before, n, z=z)
    product = (a + b) * (c + d) * (a + c) * (b + d)
    cross = a * d - b * c
    if product == 0:
        phi = 0.0
    elif cross > 0:
        phi = max(cross - n / 2, 0.0) / math.sqrt(product)
    else:
        phi = cross / math.sqrt(product)
    value = after - before
    low = value - math.sqrt(max((after - l1) ** 2 - 2 * phi * (after - l1) * (u2 - before) + (u2 - before) ** 2, 0.0))
    high = value + math.sqrt(max((u1 - after) ** 2 - 2 * phi * (u1 - after) * (before - l2) + (before - l2) ** 2, 0.0))
    return Estimate(value, low, high, level, n, "change of the positive share, Newcombe paired method 10")


def _binomial_half(one: int, two: int) -> float:
    from scipy.special import bdtr

    return min(1.0, 2 * float(bdtr(min(one, two), one + two, 0.5)))


def _normal_quantiles(d: Array, tail: float, *, half: float) -> tuple[float, float]:
    """Give normal quantiles of the signed-rank sum at a shift: there only equal differences are still of one size."""
    from scipy.special import ndtri

    n = d.size
    counts = np.unique(d, return_counts=True)[1].astype(float)
    variance = n * (n + 1) * (2 * n + 1) / 24 - float((counts**3 - counts).sum()) / 48
    reach = float(ndtri(1 - tail)) * math.sqrt(variance) + half
    return n * (n + 1) / 4 - reach, n * (n + 1) / 4 + reach
