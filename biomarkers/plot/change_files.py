"""All figures of a change as PNG files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from biomarkers.plot.change_chain import plot_chain, plot_conversions
from biomarkers.plot.change_levels import plot_changes, plot_pairs
from biomarkers.plot.style import file_stem, save

if TYPE_CHECKING:
    from biomarkers.change.result import Change

_MOST = 12  # biomarkers that get figures of their own


def save_change_figures(change: Change, folder: Path) -> list[Path]:
    """Write, for each of the first twelve biomarkers, its pairs and changes; with components, conversions and chain.

    Parameters
    ----------
    change
        The result of :func:`biomarkers.measure_change`.
    folder
        Where the PNG files go; names begin with a number, so that they sort as they should be read.

    Returns
    -------
    The files. A biomarker without any complete pair has none.
    """
    made = []
    measured = change.table[change.table["n_pairs"] > 0]["biomarker"]
    for at, name in enumerate(measured[:_MOST], start=1):
        stem = f"{at:02d}_{file_stem(name)}"
        made.append(save(plot_pairs(change, biomarker=name), folder / f"{stem}_pairs.png"))
        made.append(save(plot_changes(change, biomarker=name), folder / f"{stem}_change_per_patient.png"))
    if len(change.states):
        made.append(save(plot_conversions(change), folder / "98_conversions.png"))
        made.append(save(plot_chain(change), folder / "99_chain.png"))
    return made
