"""The flow of patients drawn: one box a step, what was lost beside it."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from biomarkers import keys
from biomarkers.plot import style as look
from biomarkers.plot.style import GREY, PALE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LEAVES: Final = ("analysed", "paired")
_MOST_LEAVES: Final = 12
_COLUMNS: Final = 3
_STEP, _LEAF = 1.0, 0.92
_WRAP: Final = 27


def plot_flow(flow: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw a REMARK flow diagram.

    Parameters
    ----------
    flow
        As :func:`biomarkers.cohort.store.flow_of` returns it. Steps with the same parent (what was analysed, the
        pairs) stand side by side below the chain; beyond twelve they are counted, and the table holds them.
    ax
        Axes to draw on; made when absent, with a height that fits.

    Returns
    -------
    The Axes.
    """
    leaf = flow["step"].str.startswith(_LEAVES)
    main, leaves, beyond = flow[~leaf], *_chosen(flow[leaf])
    n_lines = -(-len(leaves) // _COLUMNS)
    bottom = -len(main) * _STEP
    with look.style():
        ax = look.axes(ax, size=(8.6, 0.72 * len(main) + 0.74 * n_lines + 0.5))
        for i, row in enumerate(main.to_dict("records")):
            y = -(i + 1) * _STEP
            if i:
                _arrow(ax, (0, y + 0.72), (0, y + 0.28))
                _side(ax, y + 0.5, row)
            _box(ax, 0, y, f"{row['step']}: {row['n']}", _by_response(row))
        for k, row in enumerate(leaves.to_dict("records")):
            x, y = (k % _COLUMNS - 1) * 3.5, bottom - 1.05 - (k // _COLUMNS) * _LEAF
            below = f"n = {row['n']}: {_by_response(row)}".removesuffix(": ")
            _box(ax, x, y, textwrap.fill(str(row["step"]), _WRAP), textwrap.fill(below, _WRAP + 5), small=True)
        if len(leaves):
            _arrow(ax, (0, bottom - 0.28), (0, bottom - 0.6))
        low = bottom - 0.6 - _LEAF * n_lines
        if beyond:
            ax.text(0, low + 0.02, f"and {beyond} more biomarkers (flow.csv)", ha="center", va="top", fontsize=8.5)
        ax.set_xlim(-5.3, 5.3)
        ax.set_ylim(low - (0.4 if beyond else 0.0), -0.45)
        ax.set_axis_off()
    return ax


def _chosen(leaves: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Leave out biomarkers beyond the first dozen; pairs always stand."""
    pairs = leaves[leaves["step"].str.startswith("paired")]
    analysed = leaves[leaves["step"].str.startswith("analysed")]
    room = max(_MOST_LEAVES - len(pairs), 0)
    return pd.concat([analysed.head(room), pairs]), max(len(analysed) - room, 0)


def _by_response(row: Mapping[Any, Any]) -> str:
    return ", ".join(f"{word} {row[word]}" for word in (*keys.RESPONSES, "missing") if row[word])


def _box(ax: Axes, x: float, y: float, title: str, below: str, *, small: bool = False) -> None:
    face = "white" if small else PALE
    ax.text(
        x,
        y,
        f"{title}\n{below}" if below else title,
        ha="center",
        va="center",
        fontsize=8 if small else 9.5,
        linespacing=1.3,
        bbox={"boxstyle": "round,pad=0.4", "facecolor": face, "edgecolor": GREY},
    )


def _arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    ax.annotate("", end, start, arrowprops={"arrowstyle": "-|>", "color": GREY, "shrinkA": 0, "shrinkB": 0})


def _side(ax: Axes, y: float, row: Mapping[Any, Any]) -> None:
    """Write beside the arrow how many left there, and why."""
    left_out, reason = int(row["left_out"]), str(row["reason"])
    if not left_out:
        return
    _arrow(ax, (0, y), (1.9, y))
    text = reason if reason and reason[0].isdigit() else f"{left_out} {reason or 'left out'}"
    ax.text(2.0, y, textwrap.fill(text, 44), ha="left", va="center", fontsize=8)
