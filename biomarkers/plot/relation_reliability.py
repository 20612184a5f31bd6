"""Figures of measurement error: the corrected interval against reliability, and where the variance comes from."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from biomarkers.core.errors import UsageError, did_you_mean
from biomarkers.plot import style as look
from biomarkers.plot.style import GREY, INK, PALE, VERDICT_COLOURS
from biomarkers.stats.measurement_error import true_auc

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from biomarkers.relate import Relation
    from biomarkers.relate.reliability import Reliability

_GRID: Final = np.linspace(0.15, 1.0, 86)
_MIDDLE: Final = 0.55  # of the axis: labels stand on the roomier side


def plot_reliability(relation: Relation, biomarker: str, *, ax: Axes | None = None) -> Axes:
    """AUC of the level in the tumour with its 90% interval, against the reliability of the measurement.

    The margin is shaded, the least reliability at which a claim of independence stands is a dotted line, and what is
    known of the reliability stands at the foot, with its interval.

    Parameters
    ----------
    relation
        The result of :func:`biomarkers.relate`.
    biomarker
        One of its levels, with an AUC.
    ax
        Where to draw; a new figure when None.

    Raises
    ------
    UsageError
        There is no such biomarker, or it has no AUC.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> import biomarkers as bm
    >>> table = pd.DataFrame({"CD274": np.arange(20.0), "BOR": ["PD", "SD"] * 5 + ["PR", "SD"] * 5})
    >>> relation = bm.relate(table, levels=["CD274"], response="BOR", n_permutations=199)
    >>> bm.plot_reliability(relation, "CD274").get_xlabel() != ""
    True
    """
    names = list(dict.fromkeys(relation.verdicts["biomarker"]))
    if biomarker not in names:
        raise UsageError("no such biomarker", seen=biomarker, allowed=names, hint=did_you_mean(biomarker, names))
    rows = relation.verdicts[(relation.verdicts["biomarker"] == biomarker) & relation.verdicts["auc_low90"].notna()]
    if rows.empty:
        raise UsageError("this biomarker has no AUC to correct", seen=biomarker)
    row: dict[Any, Any] = rows.iloc[0].to_dict()
    margin, least = float(row["margin"]), float(row["smallest_reliability"])
    curves = {name: [true_auc(row[name], reliability=float(r)) for r in _GRID] for name in ("auc", "auc_low90",
                                                                                            "auc_high90")}  # fmt: skip
    colour = VERDICT_COLOURS[row["verdict"]]
    with look.style():
        ax = look.axes(ax, size=(6.4, 4.4))
        ax.axhspan(0.5 - margin, 0.5 + margin, color=PALE, zorder=0)
        ax.axhline(0.5, color=GREY, lw=0.8)
        ax.fill_between(_GRID, curves["auc_low90"], curves["auc_high90"], color=colour, alpha=0.22, lw=0)
        ax.plot(_GRID, curves["auc"], color=colour)
        if _GRID[0] < least <= 1:
            ax.axvline(least, color=INK, lw=0.9, ls=":")
            words = f"at least {math.ceil(least * 100) / 100:.2f}"
            side, shift = ("left", 4) if least < _MIDDLE else ("right", -4)
            ax.annotate(words, (least, 0.97), xytext=(shift, 0), textcoords="offset points", ha=side, va="top",
                        xycoords=ax.get_xaxis_transform(), fontsize=8)  # fmt: skip
        _known(ax, relation.settings.get("reliability", {}).get(f"{biomarker} ({row['endpoint']})", []))
        ax.set(xlim=(_GRID[0], 1.0), ylim=(0, 1), xlabel="reliability of the measurement",
               ylabel="AUC of the level in the tumour, 90% interval")  # fmt: skip
        ax.set_title(f"{biomarker} ({row['endpoint']}): margin {margin:g} shaded", fontsize=9.5)
        return look.mark_simulated(ax) if relation.simulated else ax


def _known(ax: Axes, sources: list[dict[str, Any]]) -> None:
    """Draw what is known of the reliability, one line each from the foot up."""
    for at, source in enumerate(one for one in sources if "value" in one):
        y = 0.05 + 0.06 * at
        ax.plot([source["low"], source["high"]], [y, y], color=INK, lw=1.4)
        ax.plot(source["value"], y, "o", ms=5, mfc="white", mec=INK)
        right = source["value"] < _MIDDLE
        ax.annotate(source["source"].partition(" (")[0], (source["high"] if right else source["low"], y),
                    xytext=(5 if right else -5, 0), textcoords="offset points", va="center",
                    ha="left" if right else "right", fontsize=7.5)  # fmt: skip


def plot_components(found: Reliability, *, ax: Axes | None = None) -> Axes:
    """Share of each source in the variance of one measurement, the patients' own first.

    Parameters
    ----------
    found
        The result of :func:`biomarkers.reliability`.
    ax
        Where to draw; a new figure when None.

    Examples
    --------
    >>> import pandas as pd
    >>> import biomarkers as bm
    >>> cores = pd.DataFrame({"patient": list("aabbccdd"), "tps": [1, 3, 20, 30, 60, 70, 90, 80]})
    >>> found = bm.reliability(cores, level="tps", scale="percent")
    >>> len(bm.plot_components(found).patches) > 0
    True
    """
    shares = found.components["share"].to_numpy(dtype=float)
    names = [str(name) for name in found.components["component"]]
    with look.style():
        ax = look.axes(ax, size=(6.4, 1.4 + 0.4 * len(names)))
        ax.barh(range(len(names)), shares, color=[VERDICT_COLOURS["independent_within_margin"], *[GREY] * len(names)],
                height=0.6)  # fmt: skip
        for at, share in enumerate(shares):
            ax.text(share + 0.01, at, f"{100 * share:.0f}%", va="center", fontsize=9)
        ax.set_yticks(range(len(names)), names)
        ax.set_ylim(len(names) - 0.5, -0.5)
        ax.set(xlim=(0, 1.08), xlabel="share of the variance of one measurement")
        e = found.estimate
        ax.set_title(
            f"{found.level}: reliability {e.value:.2f} ({100 * e.level:g}% interval {e.low:.2f}-{e.high:.2f})",
            fontsize=9.5,
        )
        return ax
