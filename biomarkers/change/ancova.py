"""Does the change differ by response? ANCOVA: on-treatment level ~ baseline level + response."""

from __future__ import annotations

import numpy as np

from biomarkers.core.words import both_groups
from biomarkers.stats.results import Estimate, Test, undefined_estimate, undefined_test

_METHOD = "ANCOVA on-treatment ~ baseline + response, t interval"


def response_effect(
    baseline: np.ndarray, on_treatment: np.ndarray, responder: np.ndarray, *, level: float = 0.95
) -> tuple[Estimate, Test]:
    """Difference of on-treatment levels between responders and others, at equal baseline.

    Parameters
    ----------
    baseline, on_treatment
        Levels on the scale of change, (n,).
    responder
        Who responded, (n,) bool.
    level
        Confidence level.

    Returns
    -------
    The difference (responders minus others) with its interval, and the t test that it is 0. Both are undefined, with
    a note, when a group has fewer than two patients or nothing is left over to estimate the variance.

    References
    ----------
    Vickers AJ, Altman DG. BMJ 2001;323:1123-1124.

    Examples
    --------
    >>> estimate, test = response_effect(
    ...     np.array([1.0, 2.0, 3.0, 1.5, 2.5, 3.5]), np.array([2.1, 3.0, 4.1, 1.6, 2.4, 3.6]), np.arange(6) < 3
    ... )
    >>> round(estimate.value, 3)
    1.033
    """
    from scipy.special import stdtr, stdtrit

    yes = np.asarray(responder, dtype=bool)
    before, after = np.asarray(baseline, dtype=float), np.asarray(on_treatment, dtype=float)
    n = len(yes)
    if min(yes.sum(), (~yes).sum()) < 2 or n < 4:
        note = f"{both_groups(int(yes.sum()), int((~yes).sum()))} with a pair: at least two of each needed"
        return undefined_estimate(level=level, n=n, method=_METHOD, note=note), undefined_test(
            n=n, method=_METHOD, note=note
        )
    design = np.column_stack([np.ones(n), before - before.mean(), yes])
    if np.linalg.matrix_rank(design) < design.shape[1]:
        # equal baselines carry no information: compare the groups without them
        design = design[:, [0, 2]]
    solution, *_ = np.linalg.lstsq(design, after, rcond=None)
    left = after - design @ solution
    df = n - design.shape[1]
    variance = float(left @ left) / df
    if variance <= 1e-24:
        note = "no variation is left over: the interval is undefined"
        return undefined_estimate(level=level, n=n, method=_METHOD, note=note), undefined_test(
            n=n, method=_METHOD, note=note
        )
    effect = float(solution[-1])
    error = float(np.sqrt(variance * np.linalg.inv(design.T @ design)[-1, -1]))
    half = float(stdtrit(df, 0.5 + level / 2)) * error
    t = effect / error
    p = 2 * float(stdtr(df, -abs(t)))
    return Estimate(effect, effect - half, effect + half, level, n, _METHOD), Test(t, p, n, _METHOD)
