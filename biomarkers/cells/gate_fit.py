"""Where negative cells end and positive ones begin, from the levels of one marker alone; and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
METHODS: Final = ("valley", "mixture")
_BINS: Final = 256
_FEWEST: Final = 50  # cells
_SHALLOW: Final = 0.8  # a valley less deep than this share of the lower of its two peaks is none
_SMALLEST_PEAK: Final = 0.002  # share of cells in the lesser population, at least
_FLOOR_SD: Final = 3.0  # no gate lies nearer to the negatives than this
_NOISE_SD: Final = 5.0  # where the gate lies when there is nothing but noise
_LEAST_SNR: Final = 4.0
_SMALL_SHARE: Final = 0.05
_LEAST_OF_BRIGHT: Final = 0.1  # of the level of the brightest 0.5%: below this bleed-through and haze make populations
_RESAMPLES: Final = 60


@dataclass(frozen=True)
class GateFit:
    """A gate: a cell at or above ``gate`` is positive.

    ``low`` and ``high`` hold 95% of the gates of resampled cells. ``negative`` and ``spread`` are the median and the
    standard deviation of the negative cells, ``snr`` how many of these the positive cells' median lies higher.
    ``flags`` say what is doubtful; ``low signal`` means that the gate separates nothing that could be seen.
    """

    gate: float
    low: float
    high: float
    method: str
    negative: float
    spread: float
    snr: float
    flags: tuple[str, ...]


def fit_gate(values: Floats, *, method: str = "valley", rng: np.random.Generator | int = 0) -> GateFit:
    """Find the gate of one marker.

    Parameters
    ----------
    values
        (n,) levels above background, one a cell; NaN is left out.
    method
        ``valley``: the least density between the two populations. ``mixture``: where two normal distributions are
        equally likely. Both on the scale asinh(level / noise), which is linear near 0 and logarithmic above.
    rng
        Generator or seed of the resampling.

    Returns
    -------
    GateFit. Where no two populations can be seen, the gate lies 5 standard deviations above the negatives and is
    flagged ``low signal``: it is never placed inside noise without saying so.

    References
    ----------
    Levels on asinh scales and gates at valleys: Finak 2010, BMC Bioinformatics 11:546.
    """
    known = values[np.isfinite(values)]
    flags = [f"{len(known)} cells, at least {_FEWEST} wanted"] if len(known) < _FEWEST else []
    if len(known) < 3 or np.ptp(known) == 0:
        level = float(known.max()) if len(known) else 0.0
        flags.append("low signal: cells do not differ")
        return GateFit(np.nextafter(level, np.inf), np.nan, np.nan, "none", level, 0.0, 0.0, tuple(flags))
    unit = _noise(known)
    scaled = np.arcsinh(known / unit)
    edges = np.linspace(scaled.min(), scaled.max(), _BINS + 1)
    counts = np.histogram(scaled, edges)[0].astype(float)
    middle = (edges[1:] + edges[:-1]) / 2
    width = _bandwidth(scaled, edges[1] - edges[0])
    least = float(np.arcsinh(_LEAST_OF_BRIGHT * np.quantile(known, 0.995) / unit))
    place = _place(counts, middle, width, least, method)
    if place is None:
        return _without_valley(known, flags)
    draws = np.random.default_rng(rng).multinomial(int(counts.sum()), counts / counts.sum(), size=_RESAMPLES)
    others = [
        other for draw in draws if (other := _place(draw.astype(float), middle, width, least, method)) is not None
    ]
    gate = float(np.sinh(place) * unit)
    below, above = known[known < gate], known[known >= gate]
    negative, spread = float(np.median(below)), max(_left_spread(below), 1e-3 * gate)
    floor = negative + _FLOOR_SD * spread
    if gate < floor:
        gate, above = floor, known[known >= floor]
    snr = float((np.median(above) - negative) / spread) if len(above) else 0.0
    if snr < _LEAST_SNR:
        flags.append(f"low signal: positive cells stand only {snr:.1f} standard deviations above negative ones")
    if len(others) < 0.8 * _RESAMPLES:
        flags.append("the valley is not there in every resample")
    low, high = np.sinh(np.quantile(others, (0.025, 0.975))) * unit if others else (np.nan, np.nan)
    return GateFit(gate, min(float(low), gate), max(float(high), gate), method, negative, spread, snr, tuple(flags))


def _without_valley(known: Floats, flags: list[str]) -> GateFit:
    """Tell a single population: the gate stands above all noise, and the flag says that it separates nothing."""
    negative, spread = _mode(known), max(_left_spread(known), 1e-12)
    gate = max(negative + _NOISE_SD * spread, _LEAST_OF_BRIGHT * float(np.quantile(known, 0.995)))
    flags.append("low signal: one population only; give a gate, or gate the batch together")
    return GateFit(gate, np.nan, np.nan, "noise", negative, spread, 0.0, tuple(flags))


def _noise(values: Floats) -> float:
    """Return the unit of the asinh scale: the spread of negative cells, or a twentieth of what bright cells reach.

    Below that, differences among negative cells (tissue, not marker) must not look like populations.
    """
    return max(_left_spread(values), _SMALL_SHARE * float(np.quantile(values, 0.995)), 1e-12)


def _mode(values: Floats) -> float:
    """Most frequent level: the middle of the shortest interval with a third of the cells."""
    ordered = np.sort(values)
    n = max(1, len(ordered) // 3)
    start = int(np.argmin(ordered[n:] - ordered[:-n])) if len(ordered) > n else 0
    return float(np.median(ordered[start : start + n + 1]))


def _left_spread(values: Floats) -> float:
    """Return the spread of the main population's left half, mirrored: positive cells do not enter it."""
    if not len(values):
        return 0.0
    mode = _mode(values)
    left = mode - values[values <= mode]
    return float(1.4826 * np.median(left)) if len(left) else 0.0


def _bandwidth(scaled: Floats, step: float) -> float:
    """Width of the smoothing in bins: that of the narrower bulk, not of the whole range."""
    q1, q3 = np.quantile(scaled, (0.25, 0.75))
    spread = min(float(scaled.std()), float(q3 - q1) / 1.34) or float(scaled.std())
    return max(1.5, 0.9 * spread * len(scaled) ** -0.2 / step)


def _place(counts: Floats, middle: Floats, width: float, least: float, method: str) -> float | None:
    return _mixture(counts, middle, least) if method == "mixture" else _valley(counts, middle, width, least)


def _valley(counts: Floats, middle: Floats, width: float, least: float) -> float | None:
    """Return the deepest valley of the smoothed density at or above ``least`` that has a population on both sides."""
    from scipy import ndimage

    density = ndimage.gaussian_filter1d(counts, width, mode="constant")
    total = counts.sum()
    from_left, from_right = np.maximum.accumulate(density), np.maximum.accumulate(density[::-1])[::-1]
    lower_peak = np.minimum(from_left, from_right)
    share = np.cumsum(counts) / total
    both = (share > _SMALLEST_PEAK) & (share < 1 - _SMALLEST_PEAK) & (lower_peak > 0)
    depth = np.where(both, 1 - density / np.maximum(lower_peak, 1e-12), 0)
    # a peak that a few cells make is chance: the lesser one must stand out of counting noise
    solid = lower_peak - density > 2 * np.sqrt(np.maximum(lower_peak, 1e-12) / (2 * np.sqrt(np.pi) * width))
    candidates = (depth >= 1 - _SHALLOW) & solid & (middle >= least)
    if not candidates.any():
        return None
    score = np.where(candidates, (lower_peak - density) * np.minimum(share, 1 - share) ** 0.25, -np.inf)
    best = int(np.argmax(score))
    flat = np.flatnonzero(candidates & (density <= density[best] + 0.02 * lower_peak[best]))
    around = flat[np.abs(flat - best) <= _run(flat, best)]
    return float(middle[around].mean())


def _run(flat: NDArray[np.intp], best: int) -> int:
    """Reach of the flat stretch around the best bin (an empty gap between two populations is one)."""
    at = int(np.searchsorted(flat, best))
    left = right = at
    while left > 0 and flat[left] - flat[left - 1] == 1:
        left -= 1
    while right < len(flat) - 1 and flat[right + 1] - flat[right] == 1:
        right += 1
    return int(max(best - flat[left], flat[right] - best))


def _mixture(counts: Floats, middle: Floats, least: float) -> float | None:
    """Return where two normal distributions are equally likely; None when one of them is no population of its own."""
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
    if apart < 2 or not _SMALLEST_PEAK < weight < 1 - _SMALLEST_PEAK:
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
