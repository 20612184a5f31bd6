"""Whether an image fits the gates that it shares with a batch: its own gate, where it shows one, must agree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from biomarkers.pheno.gate_fit import fit_gate
from biomarkers.pheno.gate_scale import left_spread, mode_of
from biomarkers.pheno.gates import BATCH, camera_step, counted_by_gates, gate_values

if TYPE_CHECKING:
    from anndata import AnnData

_POINTS: Final = 0.02  # share of cells that the two gates call differently, from which on it is told
_PART: Final = 0.1  # and at least this part of the positive cells
_FLOOR_SD: Final = 3.0
_CELLS: Final = 20_000


def shift_notes(cells: AnnData) -> list[str]:
    """Say of which markers the image's own cells disagree with the shared gate.

    Parameters
    ----------
    cells
        Called cells of one image, with ``uns["gates"]``; rows of a batch (``*``) are looked at.

    Returns
    -------
    One line a marker whose own gate would change the positive share by more than 2 points and a tenth of it, or whose
    single population stands at or above the shared gate.
    """
    notes = []
    for row in cells.uns["gates"].to_dict("records"):
        gate, marker = float(row["gate"]), str(row["marker"])
        if str(row["slide"]) != BATCH or not np.isfinite(gate):
            continue
        values = gate_values(cells, marker=marker, compartment=row["compartment"])[counted_by_gates(cells)]
        values = values[np.isfinite(values)]
        if len(values) > _CELLS:
            values = values[:: len(values) // _CELLS + 1]
        if len(values) < 3:
            continue
        own = fit_gate(values, step=camera_step(cells, marker)).gate
        shared = float((values >= gate).mean())
        if np.isfinite(own):
            alone = float((values >= own).mean())
            if abs(alone - shared) > max(_POINTS, _PART * max(alone, shared)):
                notes.append(
                    f"{marker}: this image's own gate, {own:.4g}, calls {alone:.1%} positive, the shared one, "
                    f"{gate:.4g}, {shared:.1%}: was it stained and exposed like the others?"
                )
        elif shared > 0.5 and mode_of(values) + _FLOOR_SD * left_spread(values) >= gate:
            notes.append(
                f"{marker}: one population only, and it reaches the shared gate, {gate:.4g}: all positive, or shifted?"
            )
    return notes
