"""What a level is when nobody said so: told from its values, never from its name, and always said."""

from __future__ import annotations

import numpy as np

from biomarkers.change.scale import Kind

LARGEST_LOG = 25.0  # log2 of 3e7: counts and intensities of a sample end below it
# median over maximum, of 2,000 simulated sets of 20 to 40: lognormal levels of spread 0.7 have .23 to .28 (95% below
# .37 and .47), of spread 1 .12 to .17; log2 levels about 5 of the same spreads .68 to .78 (95% above .59)
LEAST_MIDDLE = 0.45


def told_kind(levels: np.ndarray) -> tuple[Kind, str]:
    """Tell whether levels are linear or log2 from their values, and why.

    A logarithm compresses: its median stands near the middle of its range, while levels themselves crowd at the lower
    end of theirs. Levels below 0 are not told: they are no linear levels, and are asked for. Percentages and fractions
    look like other levels and are never told; they have to be stated.

    Parameters
    ----------
    levels
        All levels of one biomarker, (n,); missing ones are left out.

    Returns
    -------
    ``linear`` or ``log2``, and the reason in words.

    Examples
    --------
    >>> told_kind(np.array([4.2, 5.1, 6.3, 7.7, 8.9]))[0], told_kind(np.array([0.4, 35.0, 812.0]))[0]
    ('log2', 'linear')
    """
    known = np.asarray(levels, dtype=float)
    known = known[np.isfinite(known)]
    if not len(known):
        return "linear", "no level is known"
    low, high, middle = float(known.min()), float(known.max()), float(np.median(known))
    said = f"its values are {low:.4g} to {high:.4g}, median {middle:.4g}"
    if low < 0:
        # logarithms, z-scores or a mistake: as a linear level it is refused, and the message asks
        return "linear", f"{said}: some are below 0"
    if high > LARGEST_LOG:
        return "linear", f"{said}: a log2 level above {LARGEST_LOG:g} does not occur"
    if high <= 1:
        return "linear", f"{said}: none is above 1"
    if bool((known % 1 == 0).all()):
        return "linear", f"{said}: whole numbers"
    if middle >= LEAST_MIDDLE * high:
        return "log2", f"{said}: the median stands near the middle of the range, as of logarithms"
    return "linear", f"{said}: most stand at the lower end of the range, as levels do that are no logarithms"
