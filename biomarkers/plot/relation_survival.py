"""Times by level: Kaplan-Meier curves with the numbers at risk below."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from biomarkers.core.errors import UsageError
from biomarkers.plot import style as look
from biomarkers.plot.relation import level_groups, marked, order_of
from biomarkers.plot.style import GREY, PALETTE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from biomarkers.relate import Relation
    from biomarkers.stats.survival import KaplanMeier


def plot_survival(relation: Relation, biomarker: str, *, ax: Axes | None = None) -> Axes:
    """Kaplan-Meier curves by level, with 95% bands, censoring ticks and numbers at risk.

    Groups are the cut-offs fixed beforehand where there are any, else below and above the median, which is for
    looking only: the test in the result uses the whole level.

    Raises
    ------
    UsageError
        The result has no such biomarker, or no times.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> import biomarkers as bm
    >>> table = pd.DataFrame({"CD274": np.arange(30.0), "pfs": np.tile([3.0, 5.0, 9.0], 10), "event": 1})
    >>> relation = bm.relate(
    ...     table, levels=["CD274"], endpoint="pfs", time="pfs", event="event", n_permutations=199
    ... )
    >>> ax = bm.plot_survival(relation, "CD274")
    >>> ax.get_ylabel() != ""
    True
    """
    from biomarkers.stats.survival import kaplan_meier

    data = relation.data
    if "time" not in data:
        raise UsageError("this result holds no times", hint="Relate with time=... and event=... first.")
    if biomarker not in data:
        raise UsageError("no such biomarker", seen=biomarker, allowed=list(relation.settings["levels"]))
    cuts = relation.settings.get("cutoffs", {}).get(biomarker, ())
    level = relation.levels_at_cuts(biomarker, cuts)
    known = ~np.isnan(level) & (data["time"].notna() & data["event"].notna()).to_numpy()
    part, level = data[known], level[known]
    groups, names, how = level_groups(
        level, cuts if len(cuts) else [float(np.median(level))], order_of(relation, biomarker)
    )
    how = how if len(cuts) else "cut at the median, for looking only"
    time, event = part["time"].to_numpy(dtype=float), part["event"].to_numpy(dtype=float)
    with look.style():
        ax = look.axes(ax, size=(6.0, 4.8))
        located = ax.get_xaxis().get_major_locator().tick_values(0, float(time.max()))
        ticks = [tick for tick in located if 0 <= tick <= time.max()]
        below = -0.22
        for at, (name, colour) in enumerate(zip(names, PALETTE, strict=False)):
            here = groups == at
            if not here.any():
                continue
            curve = kaplan_meier(time[here], event[here])
            _draw(ax, curve, f"{name} (n = {int(here.sum())})", colour)
            for tick in ticks:
                left = int((time[here] >= tick).sum())
                place = below - 0.065 * at
                ax.text(
                    tick, place, str(left), transform=ax.get_xaxis_transform(), ha="center", fontsize=8, color=colour
                )
        ax.text(0, below + 0.06, "at risk", transform=ax.get_xaxis_transform(), ha="left", fontsize=8, color=GREY)
        ax.set_xticks(ticks)
        ax.set_xlim(0, float(time.max()) * 1.03)
        ax.set_ylim(0, 1.02)
        ax.set_ylabel("event-free share")
        named = relation.settings.get("time")
        ax.set_xlabel(named if isinstance(named, str) else "time")
        ax.legend(title=f"{biomarker} ({how})", loc="best")
        return marked(relation, ax)


def _draw(ax: Axes, curve: KaplanMeier, label: str, colour: str) -> None:
    time = np.concatenate([[0.0], curve.time])
    ax.step(time, np.concatenate([[1.0], curve.survival]), where="post", color=colour, label=label)
    low, high = (np.concatenate([[1.0], np.nan_to_num(bound)]) for bound in (curve.low, curve.high))
    ax.fill_between(time, low, high, step="post", color=colour, alpha=0.12, lw=0)
    left = curve.censored > 0
    ax.plot(curve.time[left], curve.survival[left], "|", color=colour, ms=6, mew=1)
