"""Levels that are independent of response, or tied to it by a given AUC."""

from __future__ import annotations

import numpy as np

from biomarkers.core.errors import UsageError

_TRIES = 4000


def auc(level: np.ndarray, responder: np.ndarray) -> float:
    """Probability that a responder's level exceeds a non-responder's, ties counted half."""
    above = level[responder][:, None] - level[~responder][None, :]
    return float((np.sign(above).mean() + 1) / 2)


def assign(rng: np.random.Generator, levels: np.ndarray, responder: np.ndarray, *, target_auc: float) -> np.ndarray:
    """Deal given levels out to patients so that the sample's AUC is the target, and nothing else is planted.

    Parameters
    ----------
    rng
        Generator.
    levels
        (n,) the levels to deal out; their distribution stays exactly as it is.
    responder
        (n,) bool.
    target_auc
        AUC aimed at, 0 to 1; .5 is independence.

    Returns
    -------
    (n,) the levels in patient order. Among thousands of random deals (tilted towards responders as far as the target
    asks), the one nearest to the target.

    Raises
    ------
    UsageError
        The target is out of range, or one of the two groups is empty.
    """
    if not 0 <= target_auc <= 1:
        raise UsageError("an AUC is out of range", seen=target_auc, allowed="0 to 1")
    if responder.all() or not responder.any():
        raise UsageError("planting an AUC needs responders and non-responders", seen=f"{responder.sum()} responders")
    order = np.argsort(levels, kind="stable")
    best, best_gap = levels, np.inf
    for _ in range(_TRIES):
        # ranks of a latent normal, shifted for responders, give each deal an AUC near the target
        latent = rng.standard_normal(len(levels)) + responder * _shift(target_auc)
        dealt = np.empty_like(levels)
        dealt[np.argsort(latent, kind="stable")] = levels[order]
        gap = abs(auc(dealt, responder) - target_auc)
        if gap < best_gap:
            best, best_gap = dealt, gap
        if best_gap < 0.003:
            break
    return best


def _shift(target: float) -> float:
    from scipy.special import ndtri

    return float(np.sqrt(2) * ndtri(np.clip(target, 1e-4, 1 - 1e-4)))
