"""Where negative cells end and positive ones begin, from the levels of one marker alone; and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from biomarkers.core.words import plural
from biomarkers.pheno.gate_mixture import equally_likely
from biomarkers.pheno.gate_scale import BRIGHT_QUANTILE, Scale, left_spread, mode_of, piled, scale_of, without_steps
from biomarkers.pheno.gate_valley import BINS, SHALLOW, Histogram, Valley, find_gap, find_valley

Floats = NDArray[np.float64]
METHODS: Final = ("valley", "mixture")
NO_GATE: Final = "low signal: one population only; give a gate, or gate the batch together"
_FEWEST: Final = 50  # cells
_FLOOR_SD: Final = 3.0  # no gate lies nearer to the negatives than this
_LEAST_SNR: Final = 4.0
_LEAST_OF_BRIGHT: Final = 0.1  # of the level of the brightest 0.5%: below this bleed-through and haze make populations
_LEAST_IF_NONE: Final = 0.2  # of that, where no valley lies above it: positive cells may differ by more than tenfold
_BARE: Final = 0.1  # how high a valley above a pile of cut noise may reach
_FEWEST_USED: Final = 20  # cells that are not in the pile
_RESAMPLES: Final = 60
_LASTING_Z: Final = 2.5  # a shape, not a chance, is asked for: the valley was told from chance already
_RESAMPLE_Z: Final = 2.0  # a resample of a real valley may show it this much less surely
_SEEN: Final = 0.8  # share of resamples that show the valley, below which the gate is in doubt
_FEWEST_TILES: Final = 9  # tiles are resampled whole from this many on
_MANY: Final = 200_000  # cells that a gate is found from, at most: more change nothing that can be seen


@dataclass(frozen=True)
class GateFit:
    """A gate: a cell at or above ``gate`` is positive. NaN: no two populations can be told, so no cell is called.

    ``low`` and ``high`` hold 95% of the gates of resampled cells and tiles. ``negative`` and ``spread`` are the median
    and the standard deviation of the negative cells, ``snr`` how many of these the positive cells' median lies higher.
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


def fit_gate(
    values: Floats,
    *,
    method: str = "valley",
    tiles: NDArray[np.integer] | None = None,
    step: float = 0.0,
    rng: np.random.Generator | int = 0,
) -> GateFit:
    """Find the gate of one marker, where two populations can be told.

    Parameters
    ----------
    values
        (n,) levels above background, one a cell; NaN is left out.
    method
        ``valley``: the least density between the two populations. ``mixture``: where two normal distributions are
        equally likely. Both on the scale asinh(level / noise), which is linear near 0 and logarithmic above, and both
        only where a valley (or a gap below a few bright cells) stands out of chance.
    tiles
        (n,) number of the tile of the image that each cell lies in, so that the gate's range says how it differs from
        place to place, not only from cell to cell.
    step
        The camera's step in the unit of the levels, where known: populations less than that apart are not told.
    rng
        Generator or seed of the resampling.

    Returns
    -------
    GateFit. ``gate`` is NaN where no two populations can be told (all cells negative, all positive, or a continuum):
    noise is never parted into negative and positive cells.

    References
    ----------
    Levels on asinh scales and gates at valleys: Finak 2010, BMC Bioinformatics 11:546.

    Examples
    --------
    >>> noise = np.random.default_rng(1).normal(0, 20, 2000)
    >>> bool(np.isnan(fit_gate(noise).gate))
    True
    >>> gate = fit_gate(np.r_[noise, np.random.default_rng(2).normal(800, 100, 500)]).gate
    >>> 100 < gate < 600
    True
    """
    there = np.isfinite(values)
    known = values[there]
    flags = [f"{plural(len(known), 'cell')}, at least {_FEWEST} wanted"] if len(known) < _FEWEST else []
    if len(known) < 3 or np.ptp(known) == 0:
        level = float(known.max()) if len(known) else np.nan
        flags.append("low signal: cells do not differ")
        return GateFit(np.nan, np.nan, np.nan, "none", level, 0.0, 0.0, tuple(flags))
    generator = np.random.default_rng(rng)
    places = None if tiles is None else np.asarray(tiles)[there]
    if len(known) > _MANY:
        taken = np.sort(generator.choice(len(known), _MANY, replace=False))
        known, places = known[taken], None if places is None else places[taken]
    found = _populations(known, step, method=method, tiles=places, generator=generator)
    if found is None:
        return GateFit(
            np.nan, np.nan, np.nan, "none", mode_of(known), left_spread(known), 0.0, (*flags, NO_GATE)
        )  # fmt: skip
    gate, gates, share = found
    return _described(known, gate, gates, share, method, flags)


def _populations(
    known: Floats, step: float, *, method: str, tiles: NDArray[np.integer] | None, generator: np.random.Generator
) -> tuple[float, Floats, float] | None:
    """Gate, gates of the resamples, and the share of them that showed one; None where no two populations are told."""
    scale, even, cut = scale_of(known, step=step), without_steps(known, step=step), piled(known)
    scaled = scale.of(even)
    bright = _LEAST_OF_BRIGHT * float(np.quantile(even, BRIGHT_QUANTILE))
    # a pile at the lowest level is noise that was cut: what lies above it is looked at alone, and the pile is a
    # population of its own only where next to nothing lies just above it
    looks = [(~cut, SHALLOW), (np.ones(len(cut), bool), _BARE)] if cut.any() else [(~cut, SHALLOW)]
    lowest_place = float(scale.of(np.array(_LEAST_IF_NONE * bright)))
    for lowest in (bright, _LEAST_IF_NONE * bright):
        least = float(scale.of(np.array(lowest)))
        for used, shallow in looks:
            if used.sum() < _FEWEST_USED:
                continue
            histogram = Histogram.of(scaled[used])
            valley = find_valley(histogram, least=least, shallow=shallow)
            if valley is None or not _lasts(even[used], scale.level(valley.place), shallow):
                continue
            look = _Look(scaled[used], histogram, valley, lowest_place, shallow, method)
            gates = np.array(
                [scale.level(place) for place in look.resampled(tiles if tiles is None else tiles[used], generator)]
            )
            gate = float(np.median(gates)) if len(gates) else scale.level(valley.place)
            return gate, gates, len(gates) / _RESAMPLES
    gap = find_gap(scaled[~cut], least=lowest_place)
    return None if gap is None else (scale.level(gap), _edges(even, scale.level(gap)), 1.0)


def _lasts(even: Floats, gate: float, shallow: float) -> bool:
    """Tell whether two populations stand apart on a scale that is linear up to the gate, too.

    A logarithm makes a hollow between levels near zero and the rest of a single, skewed population; there it is none.
    """
    scale = Scale(max(gate, 1e-12))
    least = float(scale.of(np.array(gate / 2)))
    histogram = Histogram.of(scale.of(even))
    return find_valley(histogram, least=least, least_z=_LASTING_Z, shallow=shallow) is not None


@dataclass(frozen=True)
class _Look:
    """A valley and what it was found in, to be found again in resamples."""

    scaled: Floats
    histogram: Histogram
    valley: Valley
    least: float
    shallow: float
    method: str

    def resampled(self, tiles: NDArray[np.integer] | None, generator: np.random.Generator) -> list[float]:
        """Places of the gate where tiles (whole), then cells, are drawn again."""
        counts, found = self.histogram.counts, []
        by_tile = self._by_tile(tiles)
        for _ in range(_RESAMPLES):
            shares = counts
            if by_tile is not None:
                shares = generator.multinomial(len(by_tile), np.full(len(by_tile), 1 / len(by_tile))) @ by_tile
            if shares.sum() == 0:
                continue
            drawn = generator.multinomial(int(counts.sum()), shares / shares.sum()).astype(float)
            place = self._again(self.histogram.with_counts(drawn))
            found += [] if place is None else [place]
        return found

    def _again(self, drawn: Histogram) -> float | None:
        widths = (self.valley.width,)
        other = find_valley(drawn, least=self.least, widths=widths, least_z=_RESAMPLE_Z, shallow=self.shallow)
        if other is None or self.method != "mixture":
            return None if other is None else other.place
        return equally_likely(drawn.counts, drawn.middle, least=self.least) or other.place

    def _by_tile(self, tiles: NDArray[np.integer] | None) -> Floats | None:
        """Cells of each tile by bin, (tiles, bins); None where there are too few tiles to resample."""
        if tiles is None:
            return None
        names, which = np.unique(tiles, return_inverse=True)
        if len(names) < _FEWEST_TILES:
            return None
        middle = self.histogram.middle
        at = np.clip(((self.scaled - middle[0]) / (middle[1] - middle[0]) + 0.5).astype(np.int64), 0, BINS - 1)
        counts = np.bincount(which * BINS + at, minlength=len(names) * BINS)
        return counts.reshape(len(names), BINS).astype(float)


def _edges(even: Floats, gate: float) -> Floats:
    """Both ends of the gap that a gate lies in."""
    below, above = even[even < gate], even[even >= gate]
    return np.array([(float(below.max()) + gate) / 2, (float(above.min()) + gate) / 2])


def _described(known: Floats, gate: float, gates: Floats, share: float, method: str, flags: list[str]) -> GateFit:
    below, above = known[known < gate], known[known >= gate]
    negative = float(np.median(below)) if len(below) else 0.0
    spread = max(left_spread(below), 1e-3 * gate)
    floor = negative + _FLOOR_SD * spread
    if gate < floor:
        gate, above = floor, known[known >= floor]
    snr = float((np.median(above) - negative) / spread) if len(above) else 0.0
    if snr < _LEAST_SNR:
        near = f"low signal: positive cells would stand only {snr:.1f} standard deviations above negative ones"
        return GateFit(np.nan, np.nan, np.nan, "none", mode_of(known), left_spread(known), 0.0, (*flags, near))
    if share < _SEEN:
        flags.append("the valley is not there in every resample")
    low, high = np.quantile(gates, (0.025, 0.975)) if len(gates) else (np.nan, np.nan)
    fit = GateFit(gate, float(low), float(high), method, negative, spread, snr, tuple(flags))
    return replace(fit, low=min(fit.low, gate), high=max(fit.high, gate)) if len(gates) else fit
