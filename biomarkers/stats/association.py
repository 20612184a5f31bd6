"""Dependence of any shape, without permutation: Chatterjee's xi and mutual information.

Distance correlation and energy statistics with their permutation tests stand in their own modules.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from biomarkers.errors import UsageError
from biomarkers.stats._checks import binary, same_length, sample
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
