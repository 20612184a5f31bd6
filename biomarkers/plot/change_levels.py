"""Levels by time point with the pairs joined, and each patient's change against the technical noise."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from biomarkers.change.pairs import BIOMARKER
from biomarkers.change.result import Change, signed_rank_words
from biomarkers.core import keys
from biomarkers.core.errors import UsageError, did_you_mean
from biomarkers.plot import style as look
from biomarkers.plot.cohort_colours import response_colour, response_legend, response_words
from biomarkers.plot.style import INK, PALE

if TYPE_CHECKING:
    from matplotlib.axes import Axes


_LABEL_WIDTH = 46  # characters below the axes of a figure of this size


def plot_pairs(change: Change, *, biomarker: str, ax: Axes | None = None) -> Axes:
    """Draw baseline and on-treatment levels on the scale of change, each patient's two joined.

    Parameters
    ----------
    change
        The result.
    biomarker
        Which one.
    ax
        Axes to draw on; made when absent.

    Returns
    -------
    The Axes. Lines are coloured by response; hollow points stand at their lower limit; faint points have no
    partner; the black line starts at the median baseline level of the pairs and rises by the Hodges-Lehmann change that
    is stated, with its 95% interval at its end.

    Raises
    ------
    UsageError
        There is no such biomarker.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> import biomarkers as bm
    >>> table = pd.DataFrame(
    ...     {
    ...         "patient": list("abcdefgh") * 2,
    ...         "timepoint": ["baseline"] * 8 + ["on_treatment"] * 8,
    ...         "CD8": [100.0] * 8 + [200.0, 150, 300, 120, 400, 250, 180, 500],
    ...     }
    ... )
    >>> change = bm.measure_change(table, levels=["CD8"], scale="linear")
    >>> ax = bm.plot_pairs(change, biomarker="CD8")
    >>> len(ax.get_children()) > 10
    True
    """
    rows = _rows(change, biomarker)
    words = response_words(rows[keys.RESPONSE])
    paired = (rows["reason"] == "").to_numpy()
    values = rows[["baseline_scaled", "on_treatment_scaled"]].to_numpy(dtype=float)
    limits = rows[["baseline_censored", "on_treatment_censored"]].to_numpy(dtype=bool)
    jitter = np.linspace(-0.08, 0.08, max(len(rows), 2))[: len(rows)]
    with look.style():
        ax = look.axes(ax, size=look.CHANGE_SIZE)
        for i, word in enumerate(words):
            colour, shade = response_colour(word), 0.85 if paired[i] else 0.3
            if paired[i]:
                ax.plot([jitter[i], 1 + jitter[i]], values[i], color=colour, lw=1.0, alpha=0.75)
            for side in (0, 1):
                face = "white" if limits[i, side] else colour
                ax.plot(side + jitter[i], values[i, side], "o", ms=4.5, mfc=face, mec=colour, alpha=shade)
        if paired.any():
            _summary_line(ax, change, biomarker, start=float(np.median(values[paired, 0])))
        points = (str(change.settings["baseline"]), str(change.settings["on_treatment"]))
        ax.set_xticks([0, 1], [f"{point}\nn = {n}" for point, n in zip(points, _counts(values), strict=True)])
        ax.set_xlim(-0.3, 1.3)
        ax.set_ylabel(_level_label(change.settings["scale"][biomarker]))
        ax.set_title(_titled(biomarker, _verdict(change, biomarker)), fontsize=9)
        response_legend(ax, words, more=ax.get_legend_handles_labels()[0])
    return ax


def _summary_line(ax: Axes, change: Change, biomarker: str, *, start: float) -> None:
    """Draw the stated change from the median baseline level, with its interval."""
    value, low, high = _hodges_lehmann(change, biomarker)
    ax.plot(
        [0, 1], [start, start + value], color=INK, lw=2.4, marker="s", ms=6, zorder=5, label=_stated(value, low, high)
    )
    if np.isfinite([low, high]).all():
        ax.plot([1.14, 1.14], [start + low, start + high], color=INK, lw=2.4, zorder=5, solid_capstyle="butt")


def _titled(biomarker: str, said: str) -> str:
    """Put a biomarker's name before what is said of it, in lines that fit."""
    first, newline, rest = said.partition("\n")
    return textwrap.fill(f"{biomarker}: {first}", _LABEL_WIDTH) + newline + rest


def _hodges_lehmann(change: Change, biomarker: str) -> tuple[float, float, float]:
    """Give the stated estimate with its interval."""
    table = change.table.set_index(BIOMARKER)
    value, low, high = (float(table[name][biomarker]) for name in ("hl_change", "ci_low", "ci_high"))
    return value, low, high


def _stated(value: float, low: float, high: float) -> str:
    interval = f"({low:+.2f} to {high:+.2f})" if np.isfinite([low, high]).all() else "(no interval)"
    return f"Hodges-Lehmann\n{value:+.2f}\n{interval}"


def plot_changes(change: Change, *, biomarker: str, ax: Axes | None = None) -> Axes:
    """Draw each patient's change, sorted, with the gate of technical noise as a grey band where it is known.

    Parameters
    ----------
    change
        The result.
    biomarker
        Which one.
    ax
        Axes to draw on; made when absent.

    Returns
    -------
    The Axes. Bars are coloured by response, hatched where the change is a bound; a change of 0 is a dot; the dashed
    line is the Hodges-Lehmann change that is stated.

    Raises
    ------
    UsageError
        There is no such biomarker.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> import biomarkers as bm
    >>> table = pd.DataFrame(
    ...     {
    ...         "patient": list("abcdefgh") * 2,
    ...         "timepoint": ["baseline"] * 8 + ["on_treatment"] * 8,
    ...         "CD8": [100.0] * 8 + [200.0, 150, 300, 120, 400, 250, 180, 500],
    ...     }
    ... )
    >>> change = bm.measure_change(table, levels=["CD8"], scale="linear")
    >>> ax = bm.plot_changes(change, biomarker="CD8")
    >>> len(ax.get_children()) > 10
    True
    """
    rows = _rows(change, biomarker)
    rows = rows[rows["reason"] == ""].sort_values("change", ascending=False, kind="stable")
    words, values = response_words(rows[keys.RESPONSE]), rows["change"].to_numpy(dtype=float)
    gate = float(change.table.set_index(BIOMARKER)["gate"][biomarker])
    known = not np.isnan(gate)
    with look.style():
        ax = look.axes(ax, size=look.CHANGE_SIZE)
        if known:
            ax.axhspan(-gate, gate, color=PALE, zorder=0, label=f"within technical noise\n(gate {gate:.2g})")
        bars = ax.bar(np.arange(len(rows)), values, color=[response_colour(word) for word in words], width=0.85)
        for bar, bound in zip(bars, rows["bound"], strict=True):
            if bound:
                bar.set_hatch("///")
                bar.set_edgecolor("white")
        still = np.flatnonzero(values == 0)
        ax.plot(still, np.zeros(len(still)), "o", ms=4, color=INK)
        ax.axhline(0, color=INK, lw=0.8)
        value, low, high = _hodges_lehmann(change, biomarker)
        if len(rows):
            ax.axhline(value, color=INK, lw=1.4, ls="--", label=_stated(value, low, high))
        ax.set_xticks([])
        below = "" if known else "; technical noise unknown, so no patient is called"
        hatched = "; hatched: a bound" if (rows["bound"] != "").any() else ""
        ax.set_xlabel(textwrap.fill(f"patients with a pair (n = {len(rows)}{hatched}{below})", _LABEL_WIDTH))
        ax.set_ylabel(_change_label(change.settings["scale"][biomarker]))
        ax.set_title(_titled(biomarker, "change per patient"), fontsize=9)
        response_legend(ax, words, more=ax.get_legend_handles_labels()[0])
    return ax


def _rows(change: Change, biomarker: str) -> pd.DataFrame:
    have = [str(name) for name in change.table[BIOMARKER]]
    if biomarker not in have:
        raise UsageError("no such biomarker", seen=biomarker, allowed=have, hint=did_you_mean(biomarker, have))
    return change.pairs[change.pairs[BIOMARKER] == biomarker]


def _counts(values: np.ndarray) -> list[int]:
    return [int((~np.isnan(column)).sum()) for column in values.T]


def _verdict(change: Change, biomarker: str) -> str:
    row: dict[Any, Any] = change.table.set_index(BIOMARKER).loc[biomarker].to_dict()
    p = float(row["p"])
    if row["verdict"] == keys.NOT_TESTABLE or np.isnan(p):
        return f"not testable\n{textwrap.fill(str(row['reason']), 50)}"
    return f"{row['verdict']}\n{int(row['n_pairs'])} pairs, {signed_rank_words(row['test'])} {look.p_words(p)}"


def _level_label(label: str) -> str:
    """Turn the scale of change into the scale of a level: what stands on the axis before a difference is taken."""
    if label.startswith("difference of log2"):
        return "log2 level"
    if label.startswith("difference of logits"):
        return f"logit of the share\n({label.partition(', ')[2]})"
    return label.partition(", ")[2]


def _change_label(label: str) -> str:
    return label.partition(", ")[0].removesuffix(" as given")
