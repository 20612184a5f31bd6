"""Dependence of any shape: distances, kernels, multiscale graph correlation, Chatterjee's xi, mutual information.

Permutation tests of the distance covariance stand in `biomarkers.stats.permutation_association`.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from biomarkers.core.errors import DataError, UsageError
from biomarkers.stats._checks import Array, binary, choice, same_length, sample
from biomarkers.stats.results import Test, undefined_test


def chatterjee_xi(x: Any, y: Any) -> Test:
    """Chatterjee's xi: how far y is a function of x (asymmetric; 0 independent, 1 a noiseless function).

    Parameters
    ----------
    x, y
        Values a patient, (n,). Ties of x are broken by the order given, so sort patients by a fixed key first.

    Returns
    -------
    One-sided asymptotic p; weak against smooth alternatives in small samples.

    References
    ----------
    Chatterjee S. J Am Stat Assoc 2021;116:2009-2022.
    """
    from scipy.stats import chatterjeexi

    one, two = sample(x, name="x", least=3), sample(y, name="y")
    same_length(one, two, names=("x", "y"))
    method = "Chatterjee's xi, asymptotic one-sided"
    if np.ptp(one) == 0 or np.ptp(two) == 0:
        return undefined_test(n=one.size, method=method, note="one of the two is constant: nothing can be tested")
    found = chatterjeexi(one, two)
    note = "x has ties: xi depends on the order of tied patients" if np.unique(one).size < one.size else ""
    return Test(float(found.statistic), float(found.pvalue), one.size, method, note)


def mutual_information(level: Any, group: Any, *, neighbours: int = 3, rng: int = 0) -> float:
    """Mutual information of a level and a yes/no group in nats, by nearest neighbours (never below 0).

    Parameters
    ----------
    level
        Levels a patient, (n,).
    group
        Yes/no a patient, (n,).
    neighbours
        Neighbours k.
    rng
        Seed of the jitter of relative size 1e-10 that breaks ties: with many tied levels the estimate depends on it.

    References
    ----------
    Ross BC. PLoS One 2014;9:e87357. Computed by scikit-learn.
    """
    from sklearn.feature_selection import mutual_info_classif

    x, yes = sample(level, name="level"), binary(group)
    same_length(x, yes, names=("level", "group"))
    if min(int(yes.sum()), int((~yes).sum())) <= neighbours:
        raise UsageError("a group is not larger than the number of neighbours", where="neighbours", seen=neighbours)
    found = mutual_info_classif(x[:, None], yes, discrete_features=False, n_neighbors=neighbours, random_state=rng)
    return float(found[0])


def distance_correlation(x: Any, y: Any, *, unbiased: bool = False) -> float:
    """Distance correlation of two columns: 0 for independence only (in the population), whatever the shape.

    Parameters
    ----------
    x, y
        Values a patient, (n,); give mid-ranks to see ranks only.
    unbiased
        The bias-corrected squared version, near 0 (and below) under independence; needs four patients.

    Raises
    ------
    DataError
        When one of the two is constant.

    References
    ----------
    Szekely GJ, Rizzo ML, Bakirov NK. Ann Stat 2007;35:2769-2794.
    Szekely GJ, Rizzo ML. J Multivar Anal 2013;117:193-213.
    """
    one, two = _varying(x, y, least=4 if unbiased else 2)
    centre = _u_centred if unbiased else _centred
    a, b = centre(one), centre(two)
    spread = float((a * a).sum()) * float((b * b).sum())
    if spread <= 0:
        raise DataError("too few patients for the bias-corrected distance correlation", where="x, y", seen=one.size)
    ratio = float((a * b).sum()) / math.sqrt(spread)
    return ratio if unbiased else math.sqrt(max(ratio, 0.0))


def distance_correlation_test(x: Any, y: Any) -> Test:
    """Test of the bias-corrected distance correlation by its t approximation, one-sided; meant for many columns.

    With one column a side it is rough: prefer the permutation test.

    References
    ----------
    Szekely GJ, Rizzo ML. J Multivar Anal 2013;117:193-213.
    """
    from scipy.special import stdtr

    one, two = _varying(x, y, least=4)
    n = one.size
    df = n * (n - 3) / 2 - 1
    r = distance_correlation(one, two, unbiased=True)
    method = f"bias-corrected distance correlation, t approximation one-sided, df {df:g}"
    if r >= 1 - 1e-12:
        return undefined_test(n=n, method=method, note="the two are alike up to scale: t is infinite")
    t = math.sqrt(df) * r / math.sqrt(1 - r * r)
    return Test(t, float(stdtr(df, -t)), n, method)


def hsic(x: Any, y: Any, *, diagonal: str = "zero") -> float:
    """Hilbert-Schmidt independence criterion, bias-corrected and scaled as a correlation, with Gaussian kernels.

    Both kernels have the width of x: the median of its pairwise distances (1 where that is 0).

    Parameters
    ----------
    x, y
        Values a patient, (n,), four at least.
    diagonal
        ``"zero"``: a patient is not compared with himself, so that independence gives about 0. ``"kept"``: the kernels
        are centred with ones on their diagonal, as the test of Python's ``hyppo`` does; larger by a constant before it
        is scaled, with the same permutation p.

    References
    ----------
    Gretton A et al. J Mach Learn Res 2005;6:2075-2129. Song L et al. J Mach Learn Res 2012;13:1393-1434 (unbiased).
    Shen C, Vogelstein JT. AStA Adv Stat Anal 2021;105:385-403 (as a distance correlation).
    """
    choice(diagonal, ("zero", "kept"), name="diagonal")
    a, b = kernels_centred(*_varying(x, y, least=4))
    n = len(a)
    shift = n / (n - 1) if diagonal == "kept" else 0.0  # off the diagonal both sides are lowered by 1 / (n - 1)
    spread = (float((a * a).sum()) + shift) * (float((b * b).sum()) + shift)
    if spread <= 0:
        raise DataError("too few patients for the bias-corrected criterion", where="x, y", seen=n)
    return (float((a * b).sum()) + shift) / math.sqrt(spread)


def kernels_centred(x: Array, y: Array) -> tuple[Array, Array]:
    """Gaussian kernels of both columns, centred without their diagonal, (n, n) each; the width is that of x."""
    apart = np.abs(x[:, None] - x[None, :])
    width = float(np.median(apart[~np.eye(x.size, dtype=bool)])) or 1.0
    return _u_centred_kernel(x, width), _u_centred_kernel(y, width)


def _u_centred_kernel(values: Array, width: float) -> Array:
    gap = 1 - np.exp(-((values[:, None] - values[None, :]) ** 2) / (2 * width**2))
    return -_u_centred_matrix(gap)


def multiscale_graph_correlation(x: Any, y: Any, *, n_permutations: int = 999, rng: int = 0) -> Test:
    """Multiscale graph correlation with its permutation p; slow, computed by scipy.

    References
    ----------
    Vogelstein JT et al. eLife 2019;8:e41690.
    """
    from scipy.stats import multiscale_graphcorr

    one, two = _varying(x, y, least=5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scipy warns below 1,000 permutations; their number stands in the method
        found = multiscale_graphcorr(one[:, None], two[:, None], reps=n_permutations, random_state=rng)
    method = f"multiscale graph correlation, permutation test, B = {n_permutations:,}"
    return Test(float(found.statistic), float(found.pvalue), one.size, method)


def _varying(x: Any, y: Any, *, least: int) -> tuple[Array, Array]:
    one, two = sample(x, name="x", least=least), sample(y, name="y")
    same_length(one, two, names=("x", "y"))
    for name, values in (("x", one), ("y", two)):
        if np.ptp(values) == 0:
            raise DataError("the values are constant: dependence is undefined", where=name, seen=float(values[0]))
    return one, two


def _centred(values: Array) -> Array:
    gap = np.abs(values[:, None] - values[None, :])
    return np.asarray(gap - gap.mean(axis=0) - gap.mean(axis=1)[:, None] + gap.mean(), dtype=np.float64)


def _u_centred(values: Array) -> Array:
    return _u_centred_matrix(np.abs(values[:, None] - values[None, :]))


def _u_centred_matrix(gap: Array) -> Array:
    n = len(gap)
    out = gap - gap.sum(axis=0) / (n - 2) - gap.sum(axis=1)[:, None] / (n - 2) + gap.sum() / ((n - 1) * (n - 2))
    np.fill_diagonal(out, 0.0)
    return np.asarray(out, dtype=np.float64)
