"""Components drawn: conversions from baseline to on-treatment, and the chain of each patient."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from biomarkers.change.chain import CONVERSIONS, NEGATIVE, POSITIVE
from biomarkers.change.result import Change
from biomarkers.core import keys
from biomarkers.core.errors import DataError
from biomarkers.plot import style as look
from biomarkers.plot.style import BLUE, ORANGE, PALE, SKY, VERMILION

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS: Final[Mapping[str, str]] = {POSITIVE: BLUE, NEGATIVE: ORANGE, "not evaluable": PALE}
_FLOW_COLOURS: Final = dict(zip(CONVERSIONS, (BLUE, SKY, VERMILION, ORANGE), strict=True))
_ON_DARK: Final = ("stays positive", "becomes negative")
_LABEL_WIDTH: Final = 22


def plot_conversions(change: Change, *, ax: Axes | None = None) -> Axes:
    """Draw, for each component, how many patients stayed or converted.

    Parameters
    ----------
    change
        A result with components.
    ax
        Axes to draw on; made when absent.

    Returns
    -------
    The Axes, one stacked bar a component with its counts, and beside it the exact McNemar p and how many patients are
    not in it since a state is unknown.

    Raises
    ------
    DataError
        The result has no components.

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
    >>> change = bm.measure_change(table, levels=["CD8"], scale="linear", components=["CD8=150"])
    >>> ax = bm.plot_conversions(change)
    >>> len(ax.get_children()) > 10
    True
    """
    _need_components(change)
    table = change.conversions.iloc[::-1].reset_index(drop=True)
    at = np.arange(len(table))
    left = np.zeros(len(table))
    with look.style():
        ax = look.axes(ax, size=_at_least(0.6 * len(table) + 1.5))
        for name in CONVERSIONS:
            counts = table[name].to_numpy(dtype=float)
            ax.barh(at, counts, left=left, color=_FLOW_COLOURS[name], label=name, height=0.68)
            for i in np.flatnonzero(counts).tolist():
                shade = "white" if name in _ON_DARK else "0.15"
                ax.text(left[i] + counts[i] / 2, i, f"{int(counts[i])}", ha="center", va="center", color=shade)
            left += counts
        widest = max(float(left.max()), 1.0)
        for k, (p, unknown) in enumerate(zip(table["p_mcnemar"], table["not_evaluable"], strict=True)):
            text = "not testable" if np.isnan(p) else look.p_words(p)
            text += f"\n{int(unknown)} not evaluable" if unknown else ""
            ax.text(left[k] + 0.015 * widest, k, text, va="center", fontsize=8)
        ax.set_yticks(at, [textwrap.fill(str(name), _LABEL_WIDTH) for name in table["component"]])
        ax.set_xlim(0, widest * 1.3)
        ax.set_xlabel("patients with both states (p: exact McNemar test)")
        ax.legend(ncols=2, loc="lower center", bbox_to_anchor=(0.5, 1.0), columnspacing=1.2, handlelength=1.2)
    return ax


def plot_chain(change: Change, *, ax: Axes | None = None) -> Axes:
    """Draw each patient's components at both time points as tiles, responders on top.

    Parameters
    ----------
    change
        A result with components.
    ax
        Axes to draw on; made when absent.

    Returns
    -------
    The Axes: columns are components in the order of the chain, once for each time point; rows are patients with a
    known state at both time points, or, when there is none, at one.

    Raises
    ------
    DataError
        The result has no components, or no state is known.

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
    >>> change = bm.measure_change(table, levels=["CD8"], scale="linear", components=["CD8=150"])
    >>> ax = bm.plot_chain(change)
    >>> len(ax.get_children()) > 10
    True
    """
    from matplotlib.patches import Patch, Rectangle

    _need_components(change)
    states = change.states
    points = [str(change.settings["baseline"]), str(change.settings["on_treatment"])]
    components = [str(name) for name in dict.fromkeys(states["component"])]
    rows = _patients(change)
    state = states.set_index([keys.PATIENT, keys.TIMEPOINT, "component"])["state"].to_dict()
    shift = len(components) + 0.5
    with look.style():
        ax = look.axes(ax, size=_at_least(0.16 * len(rows) + 1.9, 0.75 * len(components) * 2 + 3.0))
        for y, patient in enumerate(rows["patient"]):
            for k, point in enumerate(points):
                for j, component in enumerate(components):
                    colour = _COLOURS[state[patient, point, component]]
                    corner = (k * shift + j - 0.47, y - 0.43)
                    ax.add_patch(Rectangle(corner, 0.94, 0.86, facecolor=colour, edgecolor="none"))
        centres = [k * shift + j for k in range(2) for j in range(len(components))]
        names = [textwrap.fill(name, 16) for name in components] * 2
        ax.set_xticks(centres, names, rotation=45, ha="right", rotation_mode="anchor", fontsize=8)
        ax.set_yticks(range(len(rows)), rows["label"].tolist(), fontsize=7)
        for k, point in enumerate(points):
            ax.text(k * shift + (len(components) - 1) / 2, -0.75, point, ha="center", va="bottom", weight="bold")
        ax.set_xlim(-0.6, centres[-1] + 0.6)
        ax.set_ylim(len(rows) - 0.4, -1.8)
        handles = [Patch(facecolor=colour, label=name) for name, colour in _COLOURS.items()]
        ax.legend(handles=handles, fontsize=8, ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1.0))
        ax.spines[:].set_visible(False)
        ax.tick_params(length=0)
    return ax


def _at_least(height: float, width: float = 0.0) -> tuple[float, float]:
    """Size of the figures of a change, larger where there is more to show."""
    return max(look.CHANGE_SIZE[0], width), max(look.CHANGE_SIZE[1], height)


def _patients(change: Change) -> pd.DataFrame:
    """Patients to draw with their labels, best response first."""
    known = change.chain.groupby(keys.PATIENT)[keys.TIMEPOINT].nunique()
    if known.empty:
        raise DataError("no component's state is known", where="plot_chain")
    chosen = known.index[known == 2] if (known == 2).any() else known.index
    words = change.states.drop_duplicates(keys.PATIENT).set_index(keys.PATIENT)[keys.RESPONSE]
    order = {word: i for i, word in enumerate(keys.RESPONSES)}
    names = sorted((str(name) for name in chosen), key=lambda name: (order.get(words[name], len(order)), name))
    labels = [f"{name}  {words[name]}" if isinstance(words[name], str) else name for name in names]
    return pd.DataFrame({"patient": names, "label": labels})


def _need_components(change: Change) -> None:
    if not len(change.states):
        raise DataError("the result has no components", hint="Name cut-offs: measure_change(..., components=['X=1']).")
