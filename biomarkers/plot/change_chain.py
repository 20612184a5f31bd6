"""Components drawn: conversions from baseline to on-treatment, and the chain of each patient."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from biomarkers import keys
from biomarkers.change.chain import CONVERSIONS, NEGATIVE, POSITIVE
from biomarkers.change.result import Change
from biomarkers.errors import DataError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS = {POSITIVE: "#0072B2", NEGATIVE: "#E69F00", "not evaluable": "#EEEEEE"}
_FLOW_COLOURS = {
    "stays positive": "#0072B2",
    "becomes positive": "#56B4E9",
    "becomes negative": "#D55E00",
    "stays negative": "#E69F00",
}


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
    The Axes, one stacked bar a component with its counts and the exact McNemar p.

    Raises
    ------
    DataError
        The result has no components.
    """
    import matplotlib.pyplot as plt

    _need_components(change)
    table = change.conversions.iloc[::-1].reset_index(drop=True)
    if ax is None:
        _, ax = plt.subplots(figsize=(8, 0.65 * len(table) + 1.4))
    left = np.zeros(len(table))
    names = (*CONVERSIONS, "not_evaluable")
    for name in names:
        counts = table[name].to_numpy(dtype=float)
        colour = _FLOW_COLOURS.get(name, "#EEEEEE")
        ax.barh(np.arange(len(table)), counts, left=left, color=colour, label=name.replace("_", " "), height=0.7)
        for i, count in enumerate(counts):
            if count:
                shade = "white" if name in ("stays positive", "becomes negative") else "0.15"
                ax.text(left[i] + count / 2, i, f"{int(count)}", ha="center", va="center", fontsize=9, color=shade)
        left += counts
    for i, p in enumerate(table["p_mcnemar"]):
        text = "not testable" if np.isnan(p) else f"p = {p:.2g}"
        ax.text(left[i] + 0.02 * left.max(), i, text, va="center", fontsize=8, color="0.3")
    ax.set_yticks(np.arange(len(table)), table["component"])
    ax.set_xlim(0, left.max() * 1.16)
    ax.set_xlabel("patients (p: exact McNemar test of the conversions)")
    ax.legend(frameon=False, fontsize=8, ncols=5, loc="lower center", bbox_to_anchor=(0.45, 1.0), columnspacing=1)
    ax.spines[["top", "right"]].set_visible(False)
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
    The Axes: columns are components in the order of the chain, once for each time point; rows are patients with any
    state known at both or at one time point.

    Raises
    ------
    DataError
        The result has no components.
    """
    import matplotlib.pyplot as plt
    from matplotlib.patches import Patch, Rectangle

    _need_components(change)
    states = change.states
    points = [str(change.settings["baseline"]), str(change.settings["on_treatment"])]
    components = list(dict.fromkeys(states["component"]))
    paired = change.chain.groupby(keys.PATIENT)[keys.TIMEPOINT].nunique()
    words = states.drop_duplicates(keys.PATIENT).set_index(keys.PATIENT)[keys.RESPONSE]
    order = {word: i for i, word in enumerate(keys.RESPONSES)}
    patients = sorted(
        (str(name) for name in paired.index[paired == 2]), key=lambda name: (order.get(words[name], 9), name)
    )
    if not patients:
        raise DataError("no patient has components at both time points", where="plot_chain")
    state = states.set_index([keys.PATIENT, keys.TIMEPOINT, "component"])["state"].to_dict()
    if ax is None:
        _, ax = plt.subplots(figsize=(1.1 * len(components) * 2 + 2.4, 0.24 * len(patients) + 2.2))
    for y, patient in enumerate(patients):
        for k, point in enumerate(points):
            for j, component in enumerate(components):
                x = k * (len(components) + 0.6) + j
                colour = _COLOURS[state[patient, point, component]]
                ax.add_patch(Rectangle((x - 0.46, y - 0.42), 0.92, 0.84, facecolor=colour, edgecolor="none"))
    centres = [k * (len(components) + 0.6) + j for k in range(2) for j in range(len(components))]
    ax.set_xticks(centres, components * 2, rotation=40, ha="right", fontsize=8)
    ax.set_yticks(range(len(patients)), [f"{name}  {words[name]}" for name in patients], fontsize=7)
    for k, point in enumerate(points):
        middle = k * (len(components) + 0.6) + (len(components) - 1) / 2
        ax.text(middle, -1.1, point, ha="center", va="bottom", fontsize=10)
    ax.set_xlim(-0.7, centres[-1] + 0.7)
    ax.set_ylim(len(patients) - 0.4, -1.2)
    handles = [Patch(facecolor=colour, label=name) for name, colour in _COLOURS.items()]
    ax.legend(handles=handles, frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    return ax


def _need_components(change: Change) -> None:
    if not len(change.states):
        raise DataError("the result has no components", hint="Name cut-offs: measure_change(..., components=['X=1']).")
