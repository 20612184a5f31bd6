"""The flow of patients drawn: one box a step, what was lost beside it."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pandas as pd

from biomarkers import keys

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BOX_WIDTH, _SIDE_WIDTH, _GAP = 4.6, 3.6, 0.5
_LINE = 0.42


def plot_flow(flow: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw a REMARK flow diagram.

    Parameters
    ----------
    flow
        As :func:`biomarkers.cohort.store.flow_of` returns it. Steps with the same parent stand side by side below the
        chain as one box a biomarker.
    ax
        Axes to draw on; made when absent, with a height that fits.

    Returns
    -------
    The Axes.
    """
    import matplotlib.pyplot as plt

    main = flow[~flow["step"].str.startswith(("analysed", "paired"))]
    leaves = flow[flow["step"].str.startswith(("analysed", "paired"))]
    n_rows = (len(leaves) + 1) // 2
    if ax is None:
        _, ax = plt.subplots(figsize=(9, 0.95 * len(main) + 0.8 * n_rows + 0.6))
    y = 0.0
    for i, row in enumerate(main.to_dict("records")):
        y -= 1.0
        if i:
            ax.annotate("", (0, y + 0.34), (0, y + 0.68), arrowprops={"arrowstyle": "-|>", "color": "0.35"})
            _side_box(ax, y + 0.5, str(row["reason"]), int(row["left_out"]))
        _box(ax, 0, y, f"{row['step']}: {row['n']}", _by_response(row))
    for k, row in enumerate(leaves.to_dict("records")):
        column, line = k % 2, k // 2
        x = -2.6 + column * 5.2
        _box(ax, x, y - 1.15 - line * 0.95, f"{row['step']}: {row['n']}", _by_response(row), small=True)
    ax.set_xlim(-5.4, 6.6)
    ax.set_ylim(y - 0.6 - 0.95 * n_rows, -0.5)
    ax.set_axis_off()
    return ax


def _by_response(row: dict) -> str:
    counts = [f"{word} {row[word]}" for word in (*keys.RESPONSES, "missing") if row[word]]
    return ", ".join(counts)


def _box(ax: Axes, x: float, y: float, title: str, below: str, *, small: bool = False) -> None:
    size = 8.5 if small else 10
    ax.text(
        x,
        y,
        f"{title}\n{below}" if below else title,
        ha="center",
        va="center",
        fontsize=size,
        linespacing=1.35,
        bbox={"boxstyle": "round,pad=0.35", "facecolor": "#eef3f8" if not small else "white", "edgecolor": "0.45"},
    )


def _side_box(ax: Axes, y: float, reason: str, left_out: int) -> None:
    if not left_out:
        return
    text = textwrap.fill(reason or "left out", 46)
    ax.annotate("", (2.15, y), (0, y), arrowprops={"arrowstyle": "-|>", "color": "0.6"})
    ax.text(2.25, y, f"{left_out} left: {text}", ha="left", va="center", fontsize=8.5, color="0.25")
