"""Tumour response drawn: waterfall of best changes, spider of all visits, swimmer of time on study."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from biomarkers import keys
from biomarkers.cohort.columns import DAYS_PER_MONTH
from biomarkers.cohort.tables import require_columns

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# colour-blind safe (Okabe and Ito), best to worst
RESPONSE_COLOURS: Mapping[str, str] = {
    keys.CR: "#0072B2",
    keys.PR: "#56B4E9",
    keys.SD: "#999999",
    keys.PD: "#D55E00",
    keys.NE: "#F0E442",
    "missing": "#DDDDDD",
}
_PR_LIMIT, _PD_LIMIT = -30, 20


def plot_waterfall(
    patients: pd.DataFrame,
    *,
    change: str = "best_change_percent",
    response: str = keys.RESPONSE,
    ax: Axes | None = None,
) -> Axes:
    """Draw the best change of each patient's sum of diameters, worst first.

    Parameters
    ----------
    patients
        One row a patient.
    change, response
        Columns of the best change from baseline (per cent) and the response that colours the bar.
    ax
        Axes to draw on; made when absent.

    Returns
    -------
    The Axes. Patients without a change are counted below the bars; a change above +100% is cut and its value written.

    Raises
    ------
    UsageError
        A column is absent.
    """
    import matplotlib.pyplot as plt

    require_columns(patients, [change, response], where="patients")
    if ax is None:
        _, ax = plt.subplots(figsize=(9, 4.2))
    known = patients[patients[change].notna()].sort_values(change, ascending=False, kind="stable")
    values = known[change].to_numpy(dtype=float)
    words = known[response].astype(object).where(known[response].notna(), "missing")
    shown = np.clip(values, None, 100)
    ax.bar(np.arange(len(values)), shown, color=[RESPONSE_COLOURS.get(str(w), "#DDDDDD") for w in words], width=0.85)
    for i in np.flatnonzero(values > 100):
        ax.text(float(i), 101, f"{values[i]:+.0f}", ha="center", va="bottom", fontsize=7)
    for limit in (_PR_LIMIT, _PD_LIMIT):
        ax.axhline(limit, color="0.4", linewidth=0.8, linestyle="--")
    ax.axhline(0, color="0.2", linewidth=0.8)
    without = len(patients) - len(known)
    ax.set_xlabel(
        f"patients (n = {len(known)}" + (f"; {without} without a measurement after baseline)" if without else ")")
    )
    ax.set_ylabel("best change of the sum of diameters (%)")
    ax.set_xticks([])
    _legend(ax, list(dict.fromkeys(map(str, words))))
    return _clean(ax)


def plot_spider(visits: pd.DataFrame, *, responses: Mapping[str, str] | None = None, ax: Axes | None = None) -> Axes:
    """Draw each patient's change from baseline over time.

    Parameters
    ----------
    visits
        As :func:`biomarkers.derive_responses` makes it.
    responses
        Best overall response by patient, which colours the lines.
    ax
        Axes to draw on; made when absent.

    Returns
    -------
    The Axes. A filled marker is a visit with a new lesion.
    """
    import matplotlib.pyplot as plt

    if ax is None:
        _, ax = plt.subplots(figsize=(9, 4.6))
    seen: list[str] = []
    for patient, rows in visits.groupby(keys.PATIENT, sort=False):
        word = str((responses or {}).get(str(patient), "missing"))
        seen.append(word)
        months = rows["day"].to_numpy(dtype=float) / DAYS_PER_MONTH
        colour = RESPONSE_COLOURS.get(word, "#DDDDDD")
        change = rows["change_percent"].to_numpy(dtype=float)
        ax.plot(months, change, color=colour, linewidth=1.1, alpha=0.85)
        new = rows["new_lesion"].to_numpy(dtype=bool)
        ax.plot(months[new], change[new], linestyle="", marker="o", markersize=4, color=colour)
    for limit in (_PR_LIMIT, _PD_LIMIT):
        ax.axhline(limit, color="0.4", linewidth=0.8, linestyle="--")
    ax.axhline(0, color="0.2", linewidth=0.8)
    ax.set_xlabel("months since start")
    ax.set_ylabel("change of the sum of diameters (%)")
    if responses is not None:
        _legend(ax, list(dict.fromkeys(seen)))
    return _clean(ax)


def plot_swimmer(
    patients: pd.DataFrame,
    *,
    months: str = "pfs_months",
    event: str = "pfs_event",
    response_at: str | None = "ttr_months",
    response: str = keys.RESPONSE,
    ax: Axes | None = None,
) -> Axes:
    """Draw each patient's time on study as a bar, longest on top.

    Parameters
    ----------
    patients
        One row a patient (index = patient).
    months, event
        Columns of the time and of what ended it (1 event, 0 still going on).
    response_at
        Column of the month of the response; None draws none.
    response
        Column of the response that colours the bar.
    ax
        Axes to draw on; made when absent.

    Returns
    -------
    The Axes. A triangle marks the start of the response, a cross an event, an arrow a patient still followed.
    """
    import matplotlib.pyplot as plt

    require_columns(patients, [months, event, response], where="patients")
    known = patients[patients[months].notna()].sort_values(months, kind="stable")
    if ax is None:
        _, ax = plt.subplots(figsize=(9, max(3.0, 0.17 * len(known) + 1)))
    y = np.arange(len(known))
    words = known[response].astype(object).where(known[response].notna(), "missing")
    length = known[months].to_numpy(dtype=float)
    ended = known[event].astype(object).map(float, na_action="ignore").to_numpy(dtype=float) == 1
    ax.barh(y, length, color=[RESPONSE_COLOURS.get(str(word), "#DDDDDD") for word in words], height=0.72)
    ax.plot(length[ended], y[ended], linestyle="", marker="x", color="0.1", markersize=5, label="event")
    ax.plot(length[~ended] + 0.25, y[~ended], linestyle="", marker=">", color="0.35", markersize=5, label="followed on")
    if response_at is not None and response_at in known:
        when = known[response_at].to_numpy(dtype=float)
        ax.plot(when, y, linestyle="", marker="^", color="0.1", markersize=5, label="response")
    ax.set_yticks(y, [str(name) for name in known.index], fontsize=6)
    ax.set_ylim(-0.8, len(known) - 0.2)
    ax.set_xlim(left=0)
    ax.set_xlabel("months since start")
    _legend(ax, list(dict.fromkeys(map(str, words[::-1]))), keep=True)
    return _clean(ax)


def _legend(ax: Axes, words: list[str], *, keep: bool = False) -> None:
    from matplotlib.patches import Patch

    order = [word for word in RESPONSE_COLOURS if word in words]
    handles: list = [Patch(color=RESPONSE_COLOURS[word], label=word) for word in order]
    if keep:
        handles += ax.get_legend_handles_labels()[0]
    ax.legend(handles=handles, frameon=False, fontsize=8, loc="best")


def _clean(ax: Axes) -> Axes:
    ax.spines[["top", "right"]].set_visible(False)
    return ax
