"""Levels visit by visit, each patient's joined."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from biomarkers.cohort.cube import to_cube
from biomarkers.core import keys
from biomarkers.core.errors import UsageError, did_you_mean
from biomarkers.plot import style as look
from biomarkers.plot.cohort_colours import response_colour, response_legend, response_words
from biomarkers.plot.style import INK

if TYPE_CHECKING:
    from anndata import AnnData
    from matplotlib.axes import Axes


def plot_visits(cohort: AnnData, *, biomarker: str, ax: Axes | None = None) -> Axes:
    """Draw the levels of every time point, each patient's joined, in the unit of the level.

    Parameters
    ----------
    cohort
        As :func:`biomarkers.build_cohort` makes it, with any number of time points.
    biomarker
        One of its columns.
    ax
        Axes to draw on; made when absent.

    Returns
    -------
    The Axes. Lines are coloured by response; hollow points stand at their lower limit; squares are the medians of
    whoever was measured then, so that they may be of different patients.

    Raises
    ------
    UsageError
        There is no such biomarker.

    Examples
    --------
    >>> import pandas as pd
    >>> import biomarkers as bm
    >>> clinical = pd.DataFrame({"patient": ["P1", "P2", "P3"], "response": ["PR", "SD", "PD"]})
    >>> levels = pd.DataFrame(
    ...     {
    ...         "patient": ["P1", "P2"],
    ...         "timepoint": "baseline",
    ...         "sample": ["a", "b"],
    ...         "marker": "CD274",
    ...         "assay": "rna",
    ...         "score": "log2_cpm",
    ...         "value": [5.0, 3.0],
    ...         "unit": "log2 CPM",
    ...         "scale": "log",
    ...         "status": "ok",
    ...         "reason": "",
    ...     }
    ... )
    >>> cohort = bm.build_cohort(levels=[levels], clinical=clinical)
    >>> name = cohort.var_names[0]
    >>> ax = bm.plot_visits(cohort, biomarker=name)
    >>> ax.get_ylabel() != ""
    True
    """
    names = [str(name) for name in cohort.var_names]
    if biomarker not in names:
        raise UsageError("no such biomarker", seen=biomarker, allowed=names, hint=did_you_mean(biomarker, names))
    cube = to_cube(cohort).sel(biomarker=biomarker)
    level, censored = cube["level"].to_numpy(), cube[keys.CENSORED].to_numpy()
    words = response_words(cube[keys.RESPONSE].to_numpy() if keys.RESPONSE in cube.coords else [None] * len(level))
    at = np.arange(level.shape[1])
    jitter = np.linspace(-0.08, 0.08, max(len(level), 2))
    with look.style():
        ax = look.axes(ax, size=(2.2 + 1.5 * len(at), 4.4))
        for values, limits, word, shift in zip(level, censored, words, jitter, strict=False):
            seen = ~np.isnan(values)
            colour = response_colour(word)
            ax.plot(at[seen] + shift, values[seen], color=colour, lw=1.0, alpha=0.7)
            for x in at[seen]:
                face = "white" if limits[x] else colour
                ax.plot(x + shift, values[x], "o", ms=4.5, mfc=face, mec=colour)
        counts = (~np.isnan(level)).sum(axis=0)
        for x in at[counts > 0]:
            ax.plot(x, np.nanmedian(level[:, x]), "s", ms=7, color=INK, zorder=5)
        points = [str(point) for point in cube[keys.TIMEPOINT].to_numpy()]
        ax.set_xticks(at, [f"{point}\nn = {count}" for point, count in zip(points, counts, strict=True)])
        ax.set_xlim(-0.4, len(at) - 0.6)
        unit = str(cube["unit"].item())
        ax.set_ylabel(f"{biomarker} ({unit})" if unit not in ("", "nan") else biomarker)
        response_legend(ax, words)
    return ax
