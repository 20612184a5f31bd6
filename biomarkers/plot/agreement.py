"""Two readers side by side: their values against each other, and the differences with limits of agreement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from biomarkers.plot.style import BLUE, GREY, INK, VERMILION, axes, style
from biomarkers.stats.agreement import bland_altman

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_bland_altman(
    x: Any, y: Any, *, names: tuple[str, str] = ("reader 1", "reader 2"), unit: str = "", ax: Axes | None = None
) -> Axes:
    """Draw the difference of two readings against their mean, with the limits of agreement and their intervals.

    Parameters
    ----------
    x, y
        Two readings a slide, (n,), n at least 3.
    names
        Who read.
    unit
        Unit of both.
    ax
        Axes to draw on; made when absent.

    Returns
    -------
    The Axes.

    References
    ----------
    Bland JM, Altman DG. Lancet 1986;327:307-310.

    Examples
    --------
    >>> import biomarkers as bm
    >>> ax = bm.plot_bland_altman([1, 5, 20, 60], [2, 4, 25, 55], unit="%")
    >>> ax.get_ylabel() != ""
    True
    """
    one, two = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    limits = bland_altman(one, two)
    ax = axes(ax, size=(5.0, 3.8))
    with style():
        for found, colour in ((limits.bias, INK), (limits.lower, VERMILION), (limits.upper, VERMILION)):
            ax.axhspan(found.low, found.high, color=colour, alpha=0.10, linewidth=0)
            ax.axhline(found.value, color=colour, linewidth=1.2)
            text = f"{found.value:.3g}"
            ax.annotate(text, (1.0, found.value), xycoords=("axes fraction", "data"), ha="right", va="bottom", size=8)
        ax.scatter((one + two) / 2, one - two, s=20, color=BLUE, alpha=0.75, linewidths=0)
        ax.set_xlabel(f"mean of {names[0]} and {names[1]}{_in(unit)}")
        ax.set_ylabel(f"{names[0]} minus {names[1]}")
        ax.set_title(f"Mean difference and 95% limits of agreement, n = {one.size}")
    return ax


def plot_readings(
    x: Any, y: Any, *, names: tuple[str, str] = ("reader 1", "reader 2"), cutoffs: Sequence[float] = (), unit: str = "",
    ax: Axes | None = None,
) -> Axes:  # fmt: skip
    """Draw two readings of each slide against each other, with the line of identity and the cut-offs of both.

    Parameters
    ----------
    x, y
        Two readings a slide, (n,).
    names
        Who read.
    cutoffs
        Cut-offs, drawn on both axes.
    unit
        Unit of both.
    ax
        Axes to draw on; made when absent.

    Returns
    -------
    The Axes.
    """
    one, two = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    ax = axes(ax, size=(4.2, 3.8))
    with style():
        top = float(max(one.max(initial=0.0), two.max(initial=0.0), 1e-9)) * 1.05
        ax.plot([0, top], [0, top], color=GREY, linewidth=1)
        for cut in cutoffs:
            if cut < top:
                ax.axvline(cut, color=GREY, linewidth=0.7, linestyle=":")
                ax.axhline(cut, color=GREY, linewidth=0.7, linestyle=":")
        ax.scatter(one, two, s=20, color=BLUE, alpha=0.75, linewidths=0)
        ax.set_xlim(-0.02 * top, top)
        ax.set_ylim(-0.02 * top, top)
        ax.set_xlabel(f"{names[0]}{_in(unit)}")
        ax.set_ylabel(f"{names[1]}{_in(unit)}")
        ax.set_title("Readings, line of identity, cut-offs")
    return ax


def _in(unit: str) -> str:
    return f" ({unit})" if unit else ""
