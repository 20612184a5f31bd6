"""Kaplan-Meier curves with numbers at risk, from the start or from a landmark."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from biomarkers.cohort.endpoints import endpoint_arrays, landmark_groups
from biomarkers.core.errors import DataError
from biomarkers.plot import style as look
from biomarkers.plot.style import GREY, PALETTE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from biomarkers.stats.survival import KaplanMeier

_STEPS: Final = (1, 2, 3, 6, 12, 24, 48, 96)
_MOST_TICKS: Final = 9


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
    from biomarkers.stats.survival import kaplan_meier

    groups = _groups(patients, group)
    last = 0.0
    with look.style():
        ax = look.axes(ax, size=(7.0, 4.6 + 0.2 * len(groups)))
        curves: list[tuple[str, np.ndarray]] = []
        for (name, mine), colour in zip(groups.items(), PALETTE, strict=False):
            time, event = endpoint_arrays(mine, endpoint)
            if not len(time):
                continue
            curve = kaplan_meier(time, event, transform=transform)
            median = curve.quantile(0.5)
            label = f"{name}: n = {len(time)}, {int(event.sum())} events\nmedian {_months(median.value)}"
            label += f" (95% CI {_months(median.low)} to {_months(median.high)})"
            _draw(ax, curve, label, colour)
            last = max(last, float(curve.time.max()))
            curves.append((colour, time))
        if not curves:
            raise DataError("nobody has a time", where=endpoint)
        _at_risk(ax, curves, last)
        ax.set_ylim(0, 1.02)
        ax.set_ylabel(f"{endpoint.upper()} (share of patients)")
        ax.legend(fontsize=8, loc="best")
    return ax


def plot_landmark(
    patients: pd.DataFrame,
    *,
    endpoint: str,
    at: float,
    response_months: str | None = None,
    transform: str = "log-log",
    ax: Axes | None = None,
) -> Axes:
    """Draw times after a landmark, of patients who had responded by then and of those who had not.

    Parameters
    ----------
    patients, endpoint, transform, ax
        As for :func:`plot_survival`.
    at
        The landmark in months; who had an event or was lost before is left out.
    response_months
        Column of the month of the response; by default as for :func:`biomarkers.survival_by_response`.

    Returns
    -------
    The Axes; months count from the landmark.

    Examples
    --------
    >>> import pandas as pd
    >>> import biomarkers as bm
    >>> patients = bm.read_patients(bm.sample_trial().clinical)
    >>> table = patients.table.assign(ttr_months=patients.table["response"].map({"CR": 1.0, "PR": 2.0}))
    >>> ax = bm.plot_landmark(table, endpoint="os", at=3.0, response_months="ttr_months")
    >>> ax.get_ylabel() != ""
    True
    """
    left = landmark_groups(patients, endpoint=endpoint, response_months=response_months, at=at)
    ax = plot_survival(left, endpoint=endpoint, group="group", transform=transform, ax=ax)
    ax.set_xlabel(f"months since the landmark (month {at:g})")
    return ax


def _groups(patients: pd.DataFrame, group: str | None) -> Mapping[str, pd.DataFrame]:
    if group is None:
        return {"all patients": patients}
    return {str(name): mine for name, mine in patients.groupby(group, sort=True, observed=True)}


def _months(value: float) -> str:
    return "not reached" if not np.isfinite(value) else f"{value:.1f}"


def _draw(ax: Axes, curve: KaplanMeier, label: str, colour: str) -> None:
    x = np.r_[0, curve.time]
    ax.step(x, np.r_[1, curve.survival], where="post", color=colour, label=label)
    # where the curve has reached 0 its band is undefined and ends
    ax.fill_between(x, np.r_[1, curve.low], np.r_[1, curve.high], step="post", color=colour, alpha=0.12, lw=0)
    gone = curve.censored > 0
    ax.plot(curve.time[gone], curve.survival[gone], ls="", marker="|", ms=6, mew=1, color=colour)


def _at_risk(ax: Axes, curves: list[tuple[str, np.ndarray]], last: float) -> None:
    """Write how many are still at risk below each tick of the time axis."""
    step = next((width for width in _STEPS if last / width <= _MOST_TICKS), _STEPS[-1])
    ticks = np.arange(0, last + 1e-9, step)
    ax.set_xticks(ticks)
    ax.set_xlim(0, last * 1.03 if last > 0 else 1)
    ax.set_xlabel("months since start")
    below = ax.get_xaxis_transform()
    ax.text(0, -0.18, "at risk", transform=below, fontsize=8, ha="left", va="top", color=GREY)
    for row, (colour, time) in enumerate(curves):
        for tick in ticks:
            count = int((time >= tick).sum())
            y = -0.235 - 0.05 * row
            ax.text(tick, y, str(count), transform=below, fontsize=8, ha="center", va="top", color=colour)
