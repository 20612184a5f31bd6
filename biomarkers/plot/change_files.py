"""All figures of a change as PNG files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from biomarkers.plot.change_chain import plot_chain, plot_conversions
from biomarkers.plot.change_levels import plot_changes, plot_pairs
from biomarkers.plot.style import file_stem, mark_simulated, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from biomarkers.change.result import Change

_MOST = 12  # biomarkers that get figures of their own


def save_change_figures(change: Change, folder: Path, *, simulated: bool = False) -> list[Path]:
    """Write, for each of the first twelve biomarkers, its pairs and changes; with components, conversions and chain.

    Parameters
    ----------
    change
        The result of :func:`biomarkers.measure_change`.
    folder
        Where the PNG files go; names begin with a number, so that they sort as they should be read.
    simulated
        Write SIMULATED across each.

    Returns
    -------
    The files. A biomarker without any complete pair has none.

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
    >>> change = bm.measure_change(table, levels=["CD8"], scale="linear")
    >>> from pathlib import Path
    >>> paths = bm.save_change_figures(change, Path("figures"))
    >>> all(path.is_file() for path in paths)
    True
    """
    made: list[Path] = []

    def keep(ax: Axes, name: str) -> None:
        made.append(save(mark_simulated(ax) if simulated else ax, folder / f"{name}.png"))

    measured = change.table[change.table["n_pairs"] > 0]["biomarker"]
    for at, name in enumerate(measured[:_MOST], start=1):
        stem = f"{at:02d}_{file_stem(name)}"
        keep(plot_pairs(change, biomarker=name), f"{stem}_pairs")
        keep(plot_changes(change, biomarker=name), f"{stem}_change_per_patient")
    if len(change.states):
        keep(plot_conversions(change), "98_conversions")
    if len(change.chain):
        keep(plot_chain(change), "99_chain")
    return made
