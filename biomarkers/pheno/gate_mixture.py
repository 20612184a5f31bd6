"""Two normal distributions fitted to binned levels, and where they are equally likely."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_SMALLEST_SHARE: Final = 0.002
_APART_SD: Final = 2.0


def equally_likely(counts: Floats, middle: Floats, *, least: float) -> float | None:
    """Return where two normal distributions are equally likely; None when one of them is no population of its own.

    Parameters
    ----------
    counts, middle
        Cells in bins of the scale, and the bins' middles.
    least
        Place on the scale below which no gate may lie.
    """
    best: tuple[float, tuple[float, ...]] | None = None
    share = np.cumsum(counts) / counts.sum()
    for start in (0.3, 0.5, 0.7, 0.9, 0.97, 0.99):
        fit = _em(counts, middle, float(middle[np.searchsorted(share, start)]))
        if fit is not None and (best is None or fit[0] > best[0]):
            best = fit
    if best is None:
        return None
    weight, mean1, sd1, mean2, sd2 = best[1]
    apart = abs(mean2 - mean1) / np.sqrt((sd1**2 + sd2**2) / 2)
    if apart < _APART_SD or not _SMALLEST_SHARE < weight < 1 - _SMALLEST_SHARE:
        return None
    grid = np.linspace(mean1, mean2, 400)
    lower = np.log(weight) - np.log(sd1) - (grid - mean1) ** 2 / (2 * sd1**2)
    upper = np.log(1 - weight) - np.log(sd2) - (grid - mean2) ** 2 / (2 * sd2**2)
    crossed = np.flatnonzero(upper >= lower)
    return max(float(grid[crossed[0]]), least) if len(crossed) else None


def _em(counts: Floats, x: Floats, cut: float) -> tuple[float, tuple[float, ...]] | None:
    """Fit two normal distributions to binned values by expectation and maximisation, from a first cut."""
    upper = (x >= cut).astype(float)
    n, step = counts.sum(), x[1] - x[0]
    for _ in range(200):
        heavy = counts * upper
        w2 = heavy.sum() / n
        if not 1e-4 < w2 < 1 - 1e-4:
            return None
        light = counts - heavy
        m1, m2 = (light * x).sum() / light.sum(), (heavy * x).sum() / heavy.sum()
        s1 = max(np.sqrt((light * (x - m1) ** 2).sum() / light.sum()), step)
        s2 = max(np.sqrt((heavy * (x - m2) ** 2).sum() / heavy.sum()), step)
        p1 = (1 - w2) / s1 * np.exp(-((x - m1) ** 2) / (2 * s1**2))
        p2 = w2 / s2 * np.exp(-((x - m2) ** 2) / (2 * s2**2))
        total = np.maximum(p1 + p2, 1e-300)
        renewed = np.where(x < m1, 0.0, p2 / total)
        if np.abs(renewed - upper).max() < 1e-6:
            break
        upper = renewed
    return float((counts * np.log(total)).sum()), (float(1 - w2), float(m1), float(s1), float(m2), float(s2))
