"""What a cohort could show, as curves: chance of each verdict over the true AUC."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from biomarkers.core.errors import UsageError
from biomarkers.plot import style as look
from biomarkers.plot.style import GREY, INK, PALE, VERDICT_COLOURS, VERDICT_WORDS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from biomarkers.relate.power import Power


def plot_power(power: Power, *, ax: Axes | None = None, margin: float | None = None) -> Axes:
    """Share of simulated cohorts with each verdict over the true AUC, for one margin.

    Parameters
    ----------
    power
        The result of :func:`biomarkers.power`.
    ax
        Where to draw; a new figure when None.
    margin
        One of the simulated margins; the middle one by default.

    Raises
    ------
    UsageError
        The margin was not simulated.

    Examples
    --------
    >>> import biomarkers as bm
    >>> found = bm.power(52, n_responders=19, n_simulations=100, n_permutations=99)
    >>> ax = bm.plot_power(found)
    >>> ax.get_xlabel() != ""
    True
    """
    margins = list(power.settings["margins"])
    chosen = margins[len(margins) // 2] if margin is None else margin
    if chosen not in margins:
        raise UsageError("this margin was not simulated", seen=chosen, allowed=margins)
    rows = power.characteristics[np.isclose(power.characteristics["margin"], chosen)].sort_values("theta")
    theta = rows["theta"].to_numpy(dtype=float)
    error = 1.96 * np.sqrt(0.25 / power.settings["n_simulations"])
    with look.style():
        ax = look.axes(ax, size=(6.4, 4.2))
        ax.axvspan(0.5 - chosen, 0.5 + chosen, color=PALE, zorder=0)
        ax.axhline(power.settings["alpha"], color=GREY, lw=0.8, ls=(0, (4, 3)))
        ax.axhline(0.8, color=GREY, lw=0.8, ls=(0, (4, 3)))
        for name in ("dependent", "independent_within_margin", "inconclusive", "dependent_within_margin"):
            share = rows[name].to_numpy(dtype=float)
            if name == "dependent_within_margin" and share.max() < 2 * error:
                continue
            ax.plot(theta, share, "o-", ms=4, color=VERDICT_COLOURS[name], label=VERDICT_WORDS[name])
        if not np.isnan(power.min_detectable_auc):
            ax.axvline(power.min_detectable_auc, color=INK, lw=0.9, ls=":")
            ax.text(
                power.min_detectable_auc,
                1.03,
                f"80%: {power.min_detectable_auc:.2f}",
                ha="center",
                fontsize=8,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
            )
        ax.set(xlabel="true AUC", ylabel="share of simulated cohorts", ylim=(0, 1.09))
        ax.set_xlim(min(theta.min(), 0.5 - 0.02), theta.max() + 0.02)
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=4)  # beside the curves, which may run anywhere
        n, k = power.settings["n_evaluable"], power.settings["responders_evaluable"]
        ax.set_title(f"{n} patients, {k} responders; margin {chosen:g} shaded", fontsize=9.5)
        return ax
