"""The sensitivity panel as a forest: one line for each other choice, coloured by its verdict."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from biomarkers.core.errors import UsageError, did_you_mean
from biomarkers.plot import style as look
from biomarkers.plot.style import GREY, INK, PALE, VERDICT_COLOURS, VERDICT_WORDS
from biomarkers.relate.sensitivity import on_one_scale

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from biomarkers.relate.sensitivity import Sensitivity


def plot_sensitivity(sensitivity: Sensitivity, biomarker: str, *, ax: Axes | None = None) -> Axes:
    """AUC with its 95% interval under every choice, the answer as asked on top.

    Parameters
    ----------
    sensitivity
        The result of :func:`biomarkers.sensitivity`.
    biomarker
        One of its levels.
    ax
        Where to draw; a new figure when None.

    Raises
    ------
    UsageError
        There is no such biomarker in the panel.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> import biomarkers as bm
    >>> table = pd.DataFrame({"CD274": np.arange(20.0), "BOR": ["PD", "SD"] * 5 + ["PR", "SD"] * 5})
    >>> relation = bm.relate(table, levels=["CD274"], response="BOR", n_permutations=999)
    >>> panel = bm.sensitivity(table, levels=["CD274"], response="BOR", n_permutations=199)
    >>> ax = bm.plot_sensitivity(panel, "CD274")
    >>> ax.get_xlabel() != ""
    True
    """
    verdicts = sensitivity.base.verdicts
    names = list(verdicts["biomarker"])
    if biomarker not in names:
        raise UsageError("no such biomarker", seen=biomarker, allowed=names, hint=did_you_mean(biomarker, names))
    first = {**on_one_scale(verdicts[verdicts["biomarker"] == biomarker].iloc[0].to_dict()), "choice": "as asked"}
    first["setting"] = ""
    binary = not math.isnan(first["margin"])
    part = sensitivity.table[sensitivity.table["biomarker"] == biomarker]
    rows: list[dict[Any, Any]] = [first, *part.to_dict("records")]
    margin = float(sensitivity.base.settings["margin"])
    with look.style():
        ax = look.axes(ax, size=(8.6, 1.3 + 0.34 * len(rows)))
        if binary:
            ax.axvspan(0.5 - margin, 0.5 + margin, color=PALE, zorder=0)
        ax.axvline(0.5, color=GREY, lw=1, zorder=1)
        for at, row in enumerate(rows):
            _line(ax, at, row)
        ax.set_yticks(range(len(rows)), [_name(row) for row in rows])
        ax.get_yticklabels()[0].set_fontweight("bold")
        ax.axhline(0.5, color=GREY, lw=0.6)
        ax.set_ylim(len(rows) - 0.4, -0.6)
        ax.set_xlim(0, 1)
        ax.tick_params(axis="y", length=0)
        ax.set_xlabel("AUC, 95% interval (missing levels: bounds)" if binary else "concordance, 95% interval")
        shaded = f" Margin {margin:g} shaded" if binary else ""
        ax.set_title(f"{biomarker}: does the verdict survive other choices?{shaded}", fontsize=9.5)
        return look.mark_simulated(ax) if sensitivity.base.simulated else ax


def _name(row: dict[Any, Any]) -> str:
    return f"{row['choice']}: {row['setting']}" if row["setting"] else str(row["choice"])


def _line(ax: Axes, at: int, row: dict[Any, Any]) -> None:
    if row["setting"] == "tipping point":
        ax.text(0.5, at, str(row["note"]), ha="center", va="center", fontsize=7.5, color=INK)
        return
    colour = VERDICT_COLOURS[row["verdict"]]
    bounds = row["setting"] == "worst and best case"
    if math.isnan(row["auc_low95"]):
        words = "not testable" if math.isnan(row["auc"]) else "no interval"
        ax.text(0.5, at, words, ha="center", va="center", fontsize=8, color=GREY)
        return
    ax.plot([row["auc_low95"], row["auc_high95"]], [at, at], color=GREY if bounds else colour, lw=2 if bounds else 1.6,
            ls=(0, (2, 1.5)) if bounds else "-", zorder=2)  # fmt: skip
    if not math.isnan(row["auc"]):
        ax.plot(row["auc"], at, "o", ms=6, mfc="white", mec=colour, mew=1.8, zorder=3)
    if not bounds:
        words = VERDICT_WORDS[row["verdict"]]
        weight = "bold" if row.get("changed") is True else "normal"
        ax.text(1.02, at, words, transform=ax.get_yaxis_transform(), va="center", fontsize=9, color=INK, weight=weight)
