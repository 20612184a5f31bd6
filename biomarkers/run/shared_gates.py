"""Gates shared by the images of a batch: measured once, gated together, scored with one gate a marker."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from biomarkers.core.files import write_csv

FIRST: Final = "first"  # folder of the run that only measures


def shared_gate_table(out: Path, *, panel: str) -> Path | None:
    """Fit one gate a marker to the cells of the first run, and write ``gates.csv`` and ``gates.html``.

    Returns
    -------
    The table; None where fewer than two images have cells, or no gate could be told from all of them. Markers whose
    gate the batch does not show are left out: they are fitted to each image, which is told.
    """
    from biomarkers.run.gate_tables import fit_run_gates

    first = out / FIRST
    if len(list((first / "cells").glob("*.parquet"))) < 2:
        return None
    path = out / "gates.csv"
    table = fit_run_gates([first], panel=Path(panel), out=path)
    told = table[table["gate"].notna()]
    if told.empty:
        return None
    write_csv(told, path)
    return path


def score_with_shared_gates(
    run: Callable[[Path, Mapping[str, Any]], Any], *, out: Path, settings: Mapping[str, Any]
) -> Any:
    """Score a batch twice: to measure its cells, then with the gates that all of them share.

    Parameters
    ----------
    run
        Scores the batch into a folder with some settings.
    out
        The folder for the results; the first run's stand in ``first/``.
    settings
        Those of the batch, without gates.
    """
    run(out / FIRST, {**settings, "gates": None, "overlays": False})
    table = shared_gate_table(out, panel=str(settings["panel"]))
    return run(out, {**settings, "gates": None if table is None else str(table)})
