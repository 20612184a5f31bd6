"""Tumour response drawn: waterfall of best changes, spider of all visits, swimmer of time on study."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from biomarkers.cohort.columns import DAYS_PER_MONTH
from biomarkers.cohort.endpoints import event_numbers
from biomarkers.cohort.tables import require_columns
from biomarkers.core import keys
from biomarkers.plot import style as look
from biomarkers.plot.cohort_colours import MISSING, response_colour, response_legend, response_words
from biomarkers.plot.style import GREY, INK

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LIMITS: Final = {-30: "-30%", 20: "+20%"}  # of baseline: PR by RECIST 1.1; the 20% of PD counts from the nadir
_TOP: Final = 100


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
    The Axes. Patients without a change are counted below the bars; a change above +100% is cut and its value written;
    a change of 0 is a dot.

    Raises
    ------
    UsageError
        A column is absent.

    Examples
    --------
    >>> import pandas as pd
    >>> import biomarkers as bm
    >>> patients = bm.read_patients(bm.sample_trial().clinical)
    >>> ax = bm.plot_waterfall(patients.table)
    >>> ax.get_ylabel() != ""
    True
    """
    require_columns(patients, [change, response], where="patients")
    known = patients[patients[change].notna()].sort_values(change, ascending=False, kind="stable")
    values, words = known[change].to_numpy(dtype=float), response_words(known[response])
    with look.style():
        ax = look.axes(ax, size=(8.6, 4.2))
        ax.bar(
            np.arange(len(values)),
            np.clip(values, None, _TOP),
            color=[response_colour(word) for word in words],
            width=0.85,
        )
        still = np.flatnonzero(values == 0)
        ax.plot(still, np.zeros(len(still)), "o", ms=3.5, color=INK)
        for i in np.flatnonzero(values > _TOP):
            ax.text(float(i), _TOP + 1, f"{values[i]:+.0f}", ha="center", va="bottom", fontsize=7)
        _limits(ax)
        without = len(patients) - len(known)
        more = f"; {without} without a measurement after baseline" if without else ""
        ax.set_xlabel(f"patients (n = {len(known)}{more})")
        ax.set_ylabel("best change of the sum of diameters (%)")
        ax.set_xticks([])
        ax.margins(x=0.01)
        response_legend(ax, words)
    return ax


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

    Examples
    --------
    >>> import pandas as pd
    >>> import biomarkers as bm
    >>> sums = pd.DataFrame(
    ...     {"patient": ["P1"] * 4, "day": [0, 56, 84, 168], "sum_mm": [100.0, 60.0, 55.0, 90.0]}
    ... )
    >>> visits = bm.derive_responses(sums)
    >>> ax = bm.plot_spider(visits)
    >>> ax.get_ylabel() != ""
    True
    """
    from matplotlib.lines import Line2D

    words: list[str] = []
    with look.style():
        ax = look.axes(ax, size=(8.6, 4.6))
        for patient, rows in visits.groupby(keys.PATIENT, sort=False, observed=True):
            word = response_words([(responses or {}).get(str(patient))])[0]
            words.append(word)
            colour = response_colour(word) if responses is not None else GREY
            months = rows["day"].to_numpy(dtype=float) / DAYS_PER_MONTH
            change = rows["change_percent"].to_numpy(dtype=float)
            new = rows["new_lesion"].to_numpy(dtype=bool)
            ax.plot(months, change, color=colour, lw=1.1, alpha=0.8)
            ax.plot(months[new], change[new], ls="", marker="o", ms=4.5, color=colour, mec="white", mew=0.4)
        _limits(ax)
        ax.set_xlabel("months since start")
        ax.set_ylabel("change of the sum of diameters (%)")
        ax.margins(x=0.01)
        dot = [Line2D([], [], ls="", marker="o", ms=4.5, color=INK, label="new lesion")]
        response_legend(ax, words, more=dot if bool(visits["new_lesion"].any()) else [])
    return ax


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

    Raises
    ------
    UsageError
        A column is absent.

    Examples
    --------
    >>> import pandas as pd
    >>> import biomarkers as bm
    >>> patients = bm.read_patients(bm.sample_trial().clinical)
    >>> ax = bm.plot_swimmer(patients.table)
    >>> ax.get_xlabel() != ""
    True
    """
    needed = [months, event] + ([response] if response in patients or response != keys.RESPONSE else [])
    require_columns(patients, needed, where="patients")
    known = patients[patients[months].notna()].sort_values(months, kind="stable")
    words = response_words(known[response]) if response in known else [MISSING] * len(known)
    length, y = known[months].to_numpy(dtype=float), np.arange(len(known))
    ended = event_numbers(known[event]) == 1
    with look.style():
        ax = look.axes(ax, size=(8.6, max(2.4, 0.15 * len(known) + 0.9)))
        ax.barh(y, length, color=[response_colour(word) for word in words], height=0.72)
        marks = [
            ax.plot(length[ended], y[ended], ls="", marker="x", color=INK, ms=4.5, label="event")[0],
            ax.plot(length[~ended], y[~ended], ls="", marker=">", color=INK, ms=5, label="followed on")[0],
        ]
        if response_at is not None and response_at in known:
            when = known[response_at].to_numpy(dtype=float)
            marks += ax.plot(when, y, ls="", marker="^", color="white", mec=INK, ms=5, label="response")
        ax.set_yticks(y, [str(name) for name in known.index], fontsize=6)
        ax.set_ylim(-0.8, len(known) - 0.2)
        ax.set_xlim(0, max(float(length.max(initial=1.0)) * 1.02, 1.0))
        ax.set_xlabel(f"{months.removesuffix('_months').upper()}, months since start (n = {len(known)})")
        response_legend(
            ax, words, more=[mark for mark in marks if np.isfinite(np.asarray(mark.get_xdata(), dtype=float)).any()]
        )
    return ax


def _limits(ax: Axes) -> None:
    for limit, text in _LIMITS.items():
        ax.axhline(limit, color=GREY, lw=0.8, ls="--", zorder=0)
        # rises stand left in a waterfall and falls right: each limit is written where no bar reaches
        x, side = (0.0, "left") if limit < 0 else (1.0, "right")
        ax.text(x, limit, text, transform=ax.get_yaxis_transform(), ha=side, va="bottom", fontsize=7, color=GREY)
    ax.axhline(0, color=INK, lw=0.8)
