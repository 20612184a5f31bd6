"""The arithmetic of every score, on plain counts: no cells, no tables, no files."""

from __future__ import annotations

import math

from biomarkers.score.intervals import poisson, wilson

H_SCORE_MAX = 300.0
# upper edges of Allred's proportion score 1, 2, 3 (exclusive) and 4 (inclusive)
_ALLRED_EDGES = (1 / 100, 1 / 10, 1 / 3)
_ALLRED_LAST = 2 / 3
_UC_TC, _UC_IC, _UC_LEAST_ICP = 25.0, 25.0, 0.5


def percent(numerator: float, denominator: float) -> float:
    """100 * numerator / denominator.

    Examples
    --------
    >>> percent(1, 200)
    0.5
    """
    return 100.0 * numerator / denominator


def combined_positive(numerator: float, denominator: float) -> float:
    """CPS: stained tumour and immune cells per 100 tumour cells, never above 100.

    Examples
    --------
    60 stained tumour cells and 60 stained immune cells among 100 tumour cells:

    >>> combined_positive(120, 100)
    100.0
    """
    return min(100.0, percent(numerator, denominator))


def allred(n_positive: float, n: float, weighted: float) -> float:
    """Allred score: proportion score 0-5 plus the rounded mean intensity (1-3) of the positive cells.

    Parameters
    ----------
    n_positive, n
        Positive cells, and all cells (above 0).
    weighted
        Sum of the intensity bins over the cells.

    Examples
    --------
    >>> allred(0, 500, 0), allred(40, 100, 80)
    (0.0, 6.0)
    """
    if n_positive == 0:
        return 0.0
    share = n_positive / n
    proportion = 1 + sum(share >= edge for edge in _ALLRED_EDGES) + (share > _ALLRED_LAST)
    return float(proportion + mean_intensity(n_positive, weighted))


def irs(n_positive: float, n: float, weighted: float) -> float:
    """Immunoreactive score of Remmele and Stegner: share of positive cells 0-4 times mean intensity 0-3.

    The shares are 0; above 0 and below 10; 10 to 50; above 50 to 80; above 80 percent.

    Examples
    --------
    >>> irs(90, 100, 270), irs(5, 100, 5), irs(0, 100, 0)
    (12.0, 1.0, 0.0)
    """
    if n_positive == 0:
        return 0.0
    # in whole cells, so that 8 of 10 is exactly 80 percent
    points = 1 + (10 * n_positive >= n) + (2 * n_positive > n) + (10 * n_positive > 8 * n)
    return float(points * mean_intensity(n_positive, weighted))


def urothelial_high(tc: float, icp: float, ic_positive: float) -> bool:
    """SP263's urothelial rule: is PD-L1 high?

    Parameters
    ----------
    tc
        Stained tumour cells, % of all tumour cells.
    icp
        Tumour area that immune cells of any kind occupy, %.
    ic_positive
        Stained share of that immune-cell area, %; 0 where there is none.

    Returns
    -------
    True where ``tc`` is at least 25, or ``icp`` above 1 and ``ic_positive`` at least 25, or ``icp`` 1 and
    ``ic_positive`` 100. The guide's 1 is a reading in whole per cent: here 0.5 up to 1.

    Examples
    --------
    >>> urothelial_high(25, 0, 0), urothelial_high(24, 5, 25), urothelial_high(24, 1, 99), urothelial_high(24, 1, 100)
    (True, True, False, True)
    """
    return tc >= _UC_TC or (icp > 1 and ic_positive >= _UC_IC) or (_UC_LEAST_ICP <= icp <= 1 and ic_positive >= 100)


def mean_intensity(n_positive: float, weighted: float) -> int:
    """Mean intensity bin of the positive cells, rounded half up, 1-3."""
    return math.floor(weighted / n_positive + 0.5)


def percent_interval(numerator: float, denominator: float) -> tuple[float, float]:
    """Wilson interval of a share, in percent."""
    low, high = wilson(numerator, denominator)
    return 100 * low, 100 * high


def h_score_interval(numerator: float, denominator: float) -> tuple[float, float]:
    """Interval of an H-score: Wilson's for H / 300 at the number of cells.

    The bins of cells, divided by 3, lie between 0 and 1, and no such variable spreads more than a proportion of
    the same mean: the interval is never too narrow, and it needs nothing but the sum of bins.
    """
    low, high = wilson(numerator / 3, denominator)
    return H_SCORE_MAX * low, H_SCORE_MAX * high


def density_interval(numerator: float, denominator: float) -> tuple[float, float]:
    """Exact Poisson interval of cells per area; no cell on 1 mm2 gives 0 to 3.69."""
    low, high = poisson(numerator)
    return low / denominator, high / denominator
