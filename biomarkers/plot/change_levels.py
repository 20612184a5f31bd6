"""Levels by time point with the pairs joined, and each patient's change against the technical noise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from biomarkers import keys
from biomarkers.change.pairs import BIOMARKER
from biomarkers.change.result import Change
from biomarkers.errors import UsageError, did_you_mean
from biomarkers.plot.cohort_response import RESPONSE_COLOURS

if TYPE_CHECKING:
    from matplotlib.axes import Axes


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
    The Axes. Lines are coloured by response; hollow points stand at their lower limit; points without a line have no
    partner; the black line joins the medians of the pairs.

    Raises
    ------
    UsageError
        There is no such biomarker.
    """
    import matplotlib.pyplot as plt

    rows = _rows(change, biomarker)
    if ax is None:
        _, ax = plt.subplots(figsize=(4.6, 4.4))
    colours = [RESPONSE_COLOURS[word] for word in _words(rows)]
    paired = (rows["reason"] == "").to_numpy()
    values = rows[["baseline_scaled", "on_treatment_scaled"]].to_numpy(dtype=float)
    limits = rows[["baseline_censored", "on_treatment_censored"]].to_numpy(dtype=bool)
    jitter = np.linspace(-0.06, 0.06, max(len(rows), 2))[: len(rows)]
    for i, colour in enumerate(colours):
        if paired[i]:
            ax.plot([jitter[i], 1 + jitter[i]], values[i], color=colour, linewidth=0.9, alpha=0.8)
        for side in (0, 1):
            face = "white" if limits[i, side] else colour
            ax.plot(side + jitter[i], values[i, side], "o", markersize=4, markerfacecolor=face, markeredgecolor=colour)
    if paired.any():
        ax.plot([0, 1], np.median(values[paired], axis=0), color="black", linewidth=2, marker="s", markersize=5)
    ax.set_xticks([0, 1], [str(change.settings["baseline"]), str(change.settings["on_treatment"])])
    ax.set_xlim(-0.35, 1.35)
    ax.set_ylabel(_axis_label(change.settings["scale"][biomarker]))
    summary = change.table.set_index(BIOMARKER)
    n, p = int(summary["n_pairs"][biomarker]), float(summary["p"][biomarker])
    below = "not testable" if np.isnan(p) else f"exact signed-rank p = {p:.3g}"
    ax.set_title(f"{biomarker}: {n} pairs, {below}", fontsize=10)
    _legend(ax, _words(rows))
    ax.spines[["top", "right"]].set_visible(False)
    return ax


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
    The Axes. Bars are coloured by response, hatched where the change is a bound.
    """
    import matplotlib.pyplot as plt

    rows = _rows(change, biomarker)
    rows = rows[rows["reason"] == ""].sort_values("change", ascending=False, kind="stable")
    if ax is None:
        _, ax = plt.subplots(figsize=(6.4, 3.8))
    gate = float(change.table.set_index(BIOMARKER)["gate"][biomarker])
    if not np.isnan(gate):
        ax.axhspan(-gate, gate, color="0.9", zorder=0, label=f"within technical noise (gate {gate:.2g})")
    bars = ax.bar(
        np.arange(len(rows)), rows["change"], color=[RESPONSE_COLOURS[word] for word in _words(rows)], width=0.85
    )
    for bar, bound in zip(bars, rows["bound"], strict=True):
        if bound:
            bar.set_hatch("///")
            bar.set_edgecolor("0.3")
    ax.axhline(0, color="0.2", linewidth=0.8)
    ax.set_xticks([])
    ax.set_xlabel(
        f"patients with a pair (n = {len(rows)})" + ("; hatched: bound" if (rows["bound"] != "").any() else "")
    )
    ax.set_ylabel(_axis_label(change.settings["scale"][biomarker]))
    ax.set_title(biomarker if not np.isnan(gate) else f"{biomarker} (technical noise unknown)", fontsize=10)
    _legend(ax, _words(rows), keep=not np.isnan(gate))
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def _rows(change: Change, biomarker: str) -> pd.DataFrame:
    have = [str(name) for name in change.table[BIOMARKER]]
    if biomarker not in have:
        raise UsageError("no such biomarker", seen=biomarker, allowed=have, hint=did_you_mean(biomarker, have))
    return change.pairs[change.pairs[BIOMARKER] == biomarker]


def _words(rows: pd.DataFrame) -> list[str]:
    return [word if isinstance(word, str) and word in RESPONSE_COLOURS else "missing" for word in rows[keys.RESPONSE]]


def _axis_label(label: str) -> str:
    return label.replace("difference of log2 levels as given", "log2 level").replace("log2 ratio, ", "")


def _legend(ax: Axes, words: list[str], *, keep: bool = False) -> None:
    from matplotlib.patches import Patch

    order = [word for word in RESPONSE_COLOURS if word in words]
    if order == ["missing"]:
        order = []
    handles: list = [Patch(color=RESPONSE_COLOURS[word], label=word) for word in order]
    if keep:
        handles += ax.get_legend_handles_labels()[0]
    if handles:
        ax.legend(handles=handles, frameon=False, fontsize=8, loc="best")
