"""The flow of patients drawn: one box a step, what was lost beside it."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pandas as pd

from biomarkers.core import keys
from biomarkers.plot import style as look
from biomarkers.plot.style import GREY, PALE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LEAVES: Final = ("analysed", "paired")
_NAMED: Final = 4  # biomarkers that a box names
_COLUMNS: Final = 3
_STEP: Final = 1.0
_WRAP: Final = 27


def plot_flow(flow: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw a REMARK flow diagram.

    Parameters
    ----------
    flow
        As :func:`biomarkers.cohort.store.flow_of` returns it. What was analysed and the pairs stand side by side below
        the chain; biomarkers that lost the same patients for the same reasons share a box.
    ax
        Axes to draw on; made when absent, with a height that fits.

    Returns
    -------
    The Axes.

    Examples
    --------
    >>> import pandas as pd
    >>> import biomarkers as bm
    >>> clinical = pd.DataFrame({"patient": ["P1", "P2", "P3"], "response": ["PR", "SD", "PD"]})
    >>> levels = pd.DataFrame(
    ...     {
    ...         "patient": ["P1", "P2"],
    ...         "timepoint": "baseline",
    ...         "sample": ["a", "b"],
    ...         "marker": "CD274",
    ...         "assay": "rna",
    ...         "score": "log2_cpm",
    ...         "value": [5.0, 3.0],
    ...         "unit": "log2 CPM",
    ...         "scale": "log",
    ...         "status": "ok",
    ...         "reason": "",
    ...     }
    ... )
    >>> cohort = bm.build_cohort(levels=[levels], clinical=clinical)
    >>> ax = bm.plot_flow(bm.flow_of(cohort))
    >>> len(ax.texts) > 0
    True
    """
    leaf = flow["step"].str.startswith(_LEAVES)
    main, leaves = flow[~leaf], _boxes(flow[leaf])
    heights = [max(box.height for box in leaves[i : i + _COLUMNS]) for i in range(0, len(leaves), _COLUMNS)]
    rail = -(len(main) + 0.5) * _STEP
    with look.style():
        ax = look.axes(ax, size=(8.6, 0.72 * (len(main) + 0.3 + sum(heights))))
        for i, row in enumerate(main.to_dict("records")):
            y = -(i + 1) * _STEP
            if i:
                _arrow(ax, (0, y + 0.72), (0, y + 0.28))
                _side(ax, y + 0.5, row)
            _box(ax, 0, y, f"{row['step']}: {row['n']}", _by_response(row))
        top = rail - 0.25
        for line, height in enumerate(heights):
            boxes = leaves[line * _COLUMNS : (line + 1) * _COLUMNS]
            places = [(k - (min(len(leaves), _COLUMNS) - 1) / 2) * 3.5 for k in range(len(boxes))]
            for x, box in zip(places, boxes, strict=True):
                middle = top - box.height / 2 + 0.1
                # the line runs behind the boxes above it
                ax.plot([0, x, x], [rail, rail, middle], color=GREY, lw=1, zorder=0)
                _box(ax, x, middle, box.title, box.below, small=True)
            top -= height
        if leaves:
            ax.plot([0, 0], [rail + 0.22, rail], color=GREY, lw=1, zorder=0)
        ax.set_xlim(-5.3, 5.3)
        ax.set_ylim(top if leaves else rail, -0.45)
        ax.set_axis_off()
    return ax


class _Leaf(NamedTuple):
    """A box below the chain and its height in steps."""

    title: str
    below: str
    height: float


def _boxes(leaves: pd.DataFrame) -> list[_Leaf]:
    """One box for all biomarkers that lost the same patients for the same reasons, one for each set of pairs."""
    groups: dict[tuple[object, ...], list[str]] = {}
    rows: dict[tuple[object, ...], Mapping[Any, Any]] = {}
    for row in leaves.to_dict("records"):
        kind, _, name = str(row["step"]).partition(": ")
        key: tuple[object, ...] = (kind, _by_response(row), row["reason"])
        groups.setdefault(key, []).append(name)
        rows.setdefault(key, row)
    made = []
    for key, names in groups.items():
        cells, title = rows[key], str(key[0])
        if names != [""]:
            more = [f"and {len(names) - _NAMED} more"] if len(names) > _NAMED else []
            title = "\n".join([f"{title}:", *names[:_NAMED], *more])
        below = f"n = {cells['n']}: {_by_response(cells)}".removesuffix(": ")
        lost = int(cells["left_out"])
        why = f"\nwithout: {textwrap.fill(str(cells['reason']), _WRAP + 5)}" if lost and cells["reason"] else ""
        title = "\n".join(textwrap.fill(line, _WRAP) for line in title.split("\n"))
        below = textwrap.fill(below, _WRAP + 5) + why
        made.append(_Leaf(title, below, 0.22 * (title.count("\n") + below.count("\n") + 2) + 0.42))
    return made


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
