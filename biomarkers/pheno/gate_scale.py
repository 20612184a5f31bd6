"""The scale on which levels of a marker are looked at: linear within noise, logarithmic above it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
BRIGHT_QUANTILE: Final = 0.995
_SMALL_SHARE: Final = 0.05
_PILED: Final = 0.02  # share of cells at the very lowest level from which on noise was cut there
_FEW_VALUES: Final = 0.2  # distinct values per cell below which levels may be counts
_MOST_STEPS: Final = 4096  # a scale with more steps than this is as good as continuous


@dataclass(frozen=True)
class Scale:
    """asinh(level / unit). ``unit`` is in the unit of the levels; the scale is linear below it, logarithmic above."""

    unit: float

    def of(self, level: Floats) -> Floats:
        """Levels on the scale."""
        return np.asarray(np.arcsinh(level / self.unit))

    def level(self, place: float) -> float:
        """Level that stands at a place of the scale."""
        return float(np.sinh(place) * self.unit)


def scale_of(values: Floats, *, step: float = 0.0) -> Scale:
    """Choose the unit: the spread of the negative cells, and at least a twentieth of what bright cells reach.

    Below that, differences among negative cells (tissue, not marker) must not look like populations; ``step`` is the
    camera's, and differences below it were not seen. Where noise was cut at its lower end, cells pile up there and say
    nothing of its width: the median of the others above the pile is the unit then, so that the rest of the noise falls
    off from the pile as it does on a linear scale.
    """
    bright = float(np.quantile(values, BRIGHT_QUANTILE))
    unit = max(left_spread(values), _SMALL_SHARE * bright, count_step(values), step, 1e-12)
    above = values[~piled(values)]
    if 0 < len(above) < len(values):
        unit = max(unit, float(np.median(above)) - max(float(values.min()), 0.0))
    return Scale(unit)


def piled(values: Floats) -> NDArray[np.bool_]:
    """Which cells stand at the very lowest level, where noise was cut; none where fewer than 2% do."""
    lowest: NDArray[np.bool_] = values <= values.min()
    return lowest if lowest.mean() > _PILED else np.zeros(len(values), dtype=bool)


def mode_of(values: Floats) -> float:
    """Most frequent level: the middle of the shortest interval with a third of the cells."""
    ordered = np.sort(values)
    n = max(1, len(ordered) // 3)
    start = int(np.argmin(ordered[n:] - ordered[:-n])) if len(ordered) > n else 0
    return float(np.median(ordered[start : start + n + 1]))


def left_spread(values: Floats) -> float:
    """Robust standard deviation of the cells below the mode; positive cells do not enter it."""
    if not len(values):
        return 0.0
    mode = mode_of(values)
    left = mode - values[values <= mode]
    return float(1.4826 * np.median(left)) if len(left) else 0.0


def count_step(values: Floats) -> float:
    """Step of a scale of whole steps (photon counts, grey levels); 0 where levels are continuous.

    Examples
    --------
    >>> count_step(np.repeat([0.0, 2.0, 4.0, 8.0], 30))
    2.0
    """
    distinct = np.unique(values)
    if len(distinct) < 2 or len(distinct) > _FEW_VALUES * len(values):
        return 0.0
    step = float(np.diff(distinct).min())
    steps = (distinct - distinct[0]) / step
    whole = np.abs(steps - np.round(steps)).max() < 1e-3 and steps[-1] <= _MOST_STEPS
    return step if whole else 0.0


def without_steps(values: Floats, *, step: float = 0.0) -> Floats:
    """Spread cells over the steps of the scale on which they were counted; continuous levels are returned as they are.

    The gaps between steps are the camera's, and must not look like gaps between populations. Each step becomes a
    triangle that ends at the next one, so that counts which fall off step by step stay a density that only falls.

    Parameters
    ----------
    values
        (n,) levels.
    step
        The camera's step, where levels are means of whole steps; levels on whole steps tell it themselves.
    """
    step = max(step, count_step(values))
    if step == 0:
        return values
    order = np.argsort(values, kind="stable")
    share = np.empty(len(values))
    # evenly spread among cells of one level, and among neighbours: multiples of the golden section
    share[order] = ((np.arange(len(values)) + 0.5) * 0.6180339887498949) % 1.0
    triangle = np.where(share < 0.5, np.sqrt(2 * share) - 1, 1 - np.sqrt(2 * (1 - share)))
    return np.asarray(values + step * triangle)
