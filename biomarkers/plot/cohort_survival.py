"""Kaplan-Meier curves with numbers at risk."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from biomarkers.cohort.endpoints import endpoint_arrays
from biomarkers.errors import DataError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00")


def plot_survival(
    patients: pd.DataFrame,
    *,
    endpoint: str,
    group: str | None = None,
    transform: str = "log-log",
    ax: Axes | None = None,
) -> Axes:
    """Draw Kaplan-Meier curves with pointwise bands, censoring ticks and numbers at risk.

    Parameters
    ----------
    patients
        One row a patient, with ``<endpoint>_months`` and ``<endpoint>_event``.
    endpoint
        Its name, e.g. ``pfs``.
    group
        Column that splits the patients; nothing is tested here (groups known only later need a landmark).
    transform
        Scale of the bands and of the median's interval.
    ax
        Axes to draw on; made when absent.

    Returns
    -------
    The Axes; the legend holds numbers, events and medians with their 95% intervals.

    Raises
    ------
    DataError
        Nobody has a time.
    """
    import matplotlib.pyplot as plt

    from biomarkers.stats.survival import kaplan_meier

    if ax is None:
        _, ax = plt.subplots(figsize=(7.5, 5))
    groups = _groups(patients, group)
    last = 0.0
    curves = []
    for i, (name, mine) in enumerate(groups.items()):
        time, event = endpoint_arrays(mine, endpoint)
        if not len(time):
            continue
        curve = kaplan_meier(time, event, transform=transform)
        median = curve.quantile(0.5)
        label = f"{name}: n = {len(time)}, {int(event.sum())} events, median {_months(median.value)}"
        label += f" ({_months(median.low)} to {_months(median.high)})"
        colour = _COLOURS[i % len(_COLOURS)]
        x, y = np.r_[0, curve.time], np.r_[1, curve.survival]
        ax.step(x, y, where="post", color=colour, label=label)
        low, high = (np.r_[1, np.where(np.isnan(edge), 0, edge)] for edge in (curve.low, curve.high))
        ax.fill_between(x, low, high, step="post", color=colour, alpha=0.12, linewidth=0)
        gone = curve.censored > 0
        ax.plot(curve.time[gone], curve.survival[gone], linestyle="", marker="|", markersize=6, color=colour)
        last = max(last, float(curve.time.max()))
        curves.append((name, colour, time))
    if not curves:
        raise DataError("nobody has a time", where=endpoint)
    _at_risk(ax, curves, last)
    ax.set_ylim(0, 1.02)
    ax.set_ylabel(f"{endpoint.upper()} (share of patients)")
    ax.legend(frameon=False, fontsize=8, loc="upper right")
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def _groups(patients: pd.DataFrame, group: str | None) -> Mapping[str, pd.DataFrame]:
    if group is None:
        return {"all": patients}
    return {str(name): mine for name, mine in patients.groupby(group, sort=True, observed=True)}


def _months(value: float) -> str:
    return "not reached" if not np.isfinite(value) else f"{value:.1f}"


def _at_risk(ax: Axes, curves: list[tuple[str, str, np.ndarray]], last: float) -> None:
    """Write how many are still at risk below each tick of the time axis."""
    step = next(width for width in (1, 2, 3, 6, 12, 24, 48, 96) if last / width <= 9 or width == 96)
    ticks = np.arange(0, last + step, step)
    ax.set_xticks(ticks)
    ax.set_xlim(0, ticks[-1])
    ax.set_xlabel("months")
    below = ax.get_xaxis_transform()
    ax.text(0, -0.17, "at risk", transform=below, fontsize=8, ha="left", va="top", color="0.3")
    for row, (_, colour, time) in enumerate(curves):
        for tick in ticks:
            count = int((time >= tick).sum())
            ax.text(
                tick, -0.225 - 0.05 * row, str(count), transform=below, fontsize=8, ha="center", va="top", color=colour
            )
