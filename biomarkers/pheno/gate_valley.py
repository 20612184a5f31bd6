"""Whether levels of a marker show two populations: a valley that is no chance, or a gap below a few bright cells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
BINS: Final = 256
_SMALLEST_PEAK: Final = 0.002  # share of cells in the positive population, at least
# and in the negative one: a few cells darker than all others (torn, at the edge) do not make all others positive
_LOWER: Final = 0.02
# how many standard errors of counting a valley lies below the lower of its peaks. Set on the negative-only shapes of
# benchmarks/accuracy_gates.py (development seeds 0-119, 300 to 20,000 cells): at 3.0 the clipped shape gave 5 false
# gates, at 3.5 none of 23 shapes gave one.
LEAST_Z: Final = 3.5
SHALLOW: Final = 0.8  # a valley less deep than this share of the lower of its two peaks is none
_WIDTHS: Final = (1.0, 2.0, 4.0)  # widths of smoothing tried, in the rule of thumb's
# chance of a gap as wide anywhere among the cells of a slide, if spacings went on as they come
GAP_CHANCE: Final = 1e-4
_TAIL: Final = 40  # cells beside a gap that say how spacings go on
_FEWEST_BESIDE: Final = 15
_UPPER: Final = 0.6  # share of cells above a gap, at most, when seen from the brightest


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
    both = (share > _LOWER) & (share < 1 - _SMALLEST_PEAK) & (lower_peak > 0)
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
    """Return the middle of a gap between cells that the spacing of those beside it does not explain; None without one.

    Where a tail falls off exponentially on the scale (a power law in levels), or faster, the distance between its i-th
    and next brightest cell, times i, is exponential with one mean whatever i. The distance at each place is held
    against the mean of the 40 that follow it, from the brightest cells down, and from the darkest up.

    Parameters
    ----------
    scaled
        (n,) levels on the scale, without those in a pile of cut noise.
    least
        Place on the scale below which no gate may lie.

    References
    ----------
    Spacings of exponential samples: Renyi 1953, Acta Math Hung 4:191.
    """
    ordered = np.sort(scaled)
    found = [_gap(-ordered[::-1], first=1, last=_UPPER), _gap(ordered, first=_LOWER, last=1 - _UPPER)]
    places = [(found[0][0], -found[0][1])] if found[0] else []
    places += [found[1]] if found[1] else []
    sure = [(chance, place) for chance, place in places if place >= least]
    return min(sure)[1] if sure else None


def _gap(rising: Floats, *, first: float, last: float) -> tuple[float, float] | None:
    """Chance and middle of the least likely gap after the ``first`` to ``last`` lowest cells (share, or 1 cell)."""
    n = len(rising)
    start = 0 if first == 1 else int(np.ceil(first * n))
    stop = min(int(last * n), n - _FEWEST_BESIDE - 1)
    if stop <= start:
        return None
    rank = np.arange(1, n)
    spacing = rank * np.diff(rising)
    total = np.concatenate([[0.0], np.cumsum(spacing)])
    at = np.arange(start, stop)
    beside = np.minimum(_TAIL, n - 2 - at)
    mean = (total[at + 1 + beside] - total[at + 1]) / beside
    ratio = np.divide(spacing[at], mean, out=np.zeros(len(at)), where=mean > 0)
    chance = (1 + ratio / beside) ** -beside
    best = int(np.argmin(chance))
    if chance[best] * n >= GAP_CHANCE:
        return None
    return float(chance[best]), float((rising[at[best]] + rising[at[best] + 1]) / 2)
