"""The same question within each site, batch or tumour type, and whether the strata agree with the whole."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from biomarkers.relate.binary import Row, group_problem, row
from biomarkers.stats.auc import auc, auc_logit_delong, auc_variance
from biomarkers.stats.results import Estimate, Test


def stratum_rows(
    biomarker: str, endpoint: str, values: np.ndarray, responder: np.ndarray, strata: pd.Series | None
) -> list[Row]:
    """Estimate the AUC in each stratum, pool the strata, and test whether they differ.

    The pooled AUC weighs strata by their numbers of responder-other pairs (van Elteren's weights are close to it); the
    test of heterogeneity is Cochran's Q on the strata with a variance. A stratum without both groups says so.
    """
    if strata is None:
        return []
    rows: list[Row] = []
    parts: list[tuple[float, float, float]] = []
    known = ~np.isnan(values)
    labels = strata.to_numpy()
    for label in np.unique(labels):
        here = known & (labels == label)
        yes, no = values[here & responder], values[here & ~responder]
        problem = group_problem(yes, no)
        name = f"stratum {label}, logit-DeLong 95%"
        if problem is not None:
            rows.append(row(biomarker, endpoint, name, "auc", math.nan, n=int(here.sum()), note=problem))
            continue
        rows.append(row(biomarker, endpoint, name, "auc", auc_logit_delong(yes, no), n=int(here.sum())))
        parts.append((auc(yes, no), auc_variance(yes, no), float(len(yes) * len(no))))
    if len(parts) < 2:
        return rows
    theta, variance, weight = (np.array(column) for column in zip(*parts, strict=True))
    share = weight / weight.sum()
    pooled, sd = float(share @ theta), math.sqrt(float(share**2 @ variance))
    n = int(known.sum())
    low, high = max(0.0, pooled - 1.959964 * sd), min(1.0, pooled + 1.959964 * sd)
    estimate = Estimate(pooled, low, high, 0.95, n, "strata pooled by responder-other pairs")
    whole = auc(values[known & responder], values[known & ~responder])
    rows.append(row(biomarker, endpoint, estimate.method, "auc", estimate, n=n, note=_confounding(whole, pooled, sd)))
    rows += _heterogeneity(biomarker, endpoint, theta, variance, n)
    return rows


def _confounding(whole: float, pooled: float, sd: float) -> str:
    """Warn when taking strata into account moves the estimate by more than its own uncertainty, or across one half."""
    moved = abs(whole - pooled)
    if moved > max(sd, 0.05) or ((whole - 0.5) * (pooled - 0.5) < 0 and moved > 0.05):
        return f"differs from the AUC over all strata, {whole:.3f}: the strata are confounded with response or level"
    return f"AUC over all strata {whole:.3f}"


def _heterogeneity(biomarker: str, endpoint: str, theta: np.ndarray, variance: np.ndarray, n: int) -> list[Row]:
    from scipy.special import chdtrc

    usable = variance > 1e-12
    if usable.sum() < 2:
        return []
    weight = 1 / variance[usable]
    centre = float((weight * theta[usable]).sum() / weight.sum())
    q = float((weight * (theta[usable] - centre) ** 2).sum())
    df = int(usable.sum()) - 1
    test = Test(q, float(chdtrc(df, q)), n, f"Cochran's Q over {df + 1} strata")
    return [row(biomarker, endpoint, test.method, "Q", test, n=n)]
