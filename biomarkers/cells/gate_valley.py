"""Whether levels of a marker show two populations: a valley that is no chance, or a gap below a few bright cells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
BINS: Final = 256
_SMALLEST_PEAK: Final = 0.002  # share of cells in the lesser population, at least
# how many standard errors of counting a valley lies below the lower of its peaks. Set on the negative-only shapes of
# benchmarks/accuracy_gates.py (development seeds 0-199, 200 to 20,000 cells).
LEAST_Z: Final = 4.5
SHALLOW: Final = 0.8  # a valley less deep than this share of the lower of its two peaks is none
_WIDTHS: Final = (1.0, 2.0, 4.0)  # widths of smoothing tried, in the rule of thumb's
# chance of a gap as wide as the one below the brightest cells, if the tail went on as it comes
GAP_CHANCE: Final = 1e-6
_TAIL: Final = 40  # cells below a gap that say how tails go on
_FEW: Final = 0.01  # share of cells above a gap, at most


@dataclass(frozen=True)
class Histogram:
    """Cells on the scale, in equal bins. ``width`` is that of the smoothing, in bins."""

    counts: Floats
    middle: Floats
    width: float

    @classmethod
    def of(cls, scaled: Floats) -> Histogram:
        """Sort cells into bins, and choose the width by the narrower bulk, not by the whole range."""
        edges = np.linspace(scaled.min(), scaled.max(), BINS + 1)
        counts = np.histogram(scaled, edges)[0].astype(float)
        q1, q3 = np.quantile(scaled, (0.25, 0.75))
        spread = min(float(scaled.std()), float(q3 - q1) / 1.34) or float(scaled.std())
        width = max(1.5, 0.9 * spread * len(scaled) ** -0.2 / (edges[1] - edges[0]))
        return cls(counts, (edges[1:] + edges[:-1]) / 2, width)

    def with_counts(self, counts: Floats) -> Histogram:
        """Return the same bins with other cells in them."""
        return Histogram(counts, self.middle, self.width)


@dataclass(frozen=True)
class Valley:
    """A place between two populations, how sure it is (``z``), and the width of smoothing it was seen at, in bins."""

    place: float
    z: float
    width: float


def find_valley(
    histogram: Histogram,
    *,
    least: float,
    widths: tuple[float, ...] | None = None,
    least_z: float = LEAST_Z,
    shallow: float = SHALLOW,
) -> Valley | None:
    """Return the surest valley at or above ``least`` that has a population on both sides; None when there is none.

    Parameters
    ----------
    histogram
        Cells on the scale.
    least
        Place on the scale below which no gate may lie.
    widths
        Widths of smoothing to look at, in bins; 1, 2 and 4 times the rule of thumb's when absent.
    least_z
        How many standard errors the valley must lie below the lower of its two peaks.
    shallow
        Share of the lower peak's height that the valley may reach.
    """
    tried = [histogram.width * times for times in _WIDTHS] if widths is None else list(widths)
    found = [_valley(histogram, width, least, least_z, shallow) for width in tried]
    sure = [one for one in found if one is not None]
    return max(sure, key=lambda one: one.z) if sure else None


def _valley(histogram: Histogram, width: float, least: float, least_z: float, shallow: float) -> Valley | None:
    from scipy import ndimage

    counts, middle = histogram.counts, histogram.middle
    density = ndimage.gaussian_filter1d(counts, width, mode="constant", truncate=5.0)
    from_left, from_right = np.maximum.accumulate(density), np.maximum.accumulate(density[::-1])[::-1]
    lower_peak = np.minimum(from_left, from_right)
    share = np.cumsum(counts) / counts.sum()
    both = (share > _SMALLEST_PEAK) & (share < 1 - _SMALLEST_PEAK) & (lower_peak > 0)
    error = np.sqrt(np.maximum(lower_peak + density, 1e-12) / (2 * np.sqrt(np.pi) * width))
    z = (lower_peak - density) / error
    beside = np.pad(density, 1, mode="edge")
    floor = (density <= beside[:-2]) & (density <= beside[2:])  # not the flank of a valley that lies below ``least``
    deep = both & (density <= shallow * lower_peak) & (z >= least_z) & (middle >= least)
    candidates = deep & floor
    if not candidates.any():
        return None
    score = np.where(candidates, (lower_peak - density) * np.minimum(share, 1 - share) ** 0.25, -np.inf)
    best = int(np.argmax(score))
    flat = np.flatnonzero(deep & (density <= density[best] + 0.02 * lower_peak[best]))
    around = flat[np.abs(flat - best) <= _run(flat, best)]
    return Valley(float(middle[around].mean()), float(z[best]), width)


def _run(flat: NDArray[np.intp], best: int) -> int:
    """Reach of the flat stretch around the best bin (an empty gap between two populations is one)."""
    at = int(np.searchsorted(flat, best))
    left = right = at
    while left > 0 and flat[left] - flat[left - 1] == 1:
        left -= 1
    while right < len(flat) - 1 and flat[right + 1] - flat[right] == 1:
        right += 1
    return int(max(best - flat[left], flat[right] - best))


def find_gap(scaled: Floats, *, least: float) -> float | None:
    """Return the middle of a gap below a few bright cells that the tail of the others does not explain.

    Where a tail falls off exponentially on the scale (a power law in levels), or faster, the distance between its i-th
    and next brightest cell, times i, is exponential with one mean whatever i. The distance below the brightest cells is
    held against the mean of those that follow it.

    Parameters
    ----------
    scaled
        (n,) levels on the scale.
    least
        Place on the scale below which no gate may lie.

    References
    ----------
    Spacings of exponential samples: Renyi 1953, Acta Math Hung 4:191.
    """
    most = max(1, int(_FEW * len(scaled)))
    if len(scaled) < most + _TAIL + 1:
        return None
    n = most + _TAIL + 1
    top = -np.sort(-np.partition(scaled, len(scaled) - n)[-n:])
    rank = np.arange(1, len(top))
    spacing = rank * (top[:-1] - top[1:])
    total = np.concatenate([[0.0], np.cumsum(spacing)])
    best: tuple[float, float] | None = None
    for i in range(most):
        mean = (total[i + 1 + _TAIL] - total[i + 1]) / _TAIL
        middle = (top[i] + top[i + 1]) / 2
        if mean <= 0 or middle < least:
            continue
        chance = float((1 + spacing[i] / (_TAIL * mean)) ** -_TAIL)
        if chance < GAP_CHANCE and (best is None or chance < best[0]):
            best = (chance, float(middle))
    return None if best is None else best[1]
