"""Which cell carries how much of which marker: the truth that is planted before anything is rendered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import pandas as pd

from biomarkers.core.keys import LYMPHOCYTE, MACROPHAGE, TUMOR, bin_column

# peak optical density of DAB on the stained outline, by intensity bin (low, high)
MEMBRANE_OD: Final = {1: (0.24, 0.36), 2: (0.52, 0.72), 3: (0.95, 1.35)}
# share of the outline that is stained
_COMPLETENESS: Final = {1: (0.45, 0.95), 2: (0.65, 1.0), 3: (0.85, 1.0)}
_PD_L1, _PD_1 = "PD-L1", "PD-1"
# markers of identity, for multiplex images: marker -> class -> share of the class that carries it
_IDENTITY: Final[Mapping[str, Mapping[str, float]]] = {
    "CK": {TUMOR: 1.0},
    "CD68": {MACROPHAGE: 1.0},
    "CD3": {LYMPHOCYTE: 0.85},
}
_OF_T_CELLS: Final = {"CD8": 0.5, "FOXP3": 0.12}
MARKERS: Final = (_PD_L1, _PD_1, "CK", "CD68", "CD3", "CD8", "FOXP3")


def completeness_column(marker: str) -> str:
    """Name of the truth column with the stained share of a cell's outline (0-1)."""
    return f"{marker}_completeness"


def plant(
    rng: np.random.Generator,
    cells: pd.DataFrame,
    *,
    tps: float,
    strength: float,
    macrophage_share: float,
    pd1_share: float,
    cytoplasm_only: bool,
) -> pd.DataFrame:
    """Add the truth of every marker to the table of cells.

    Adds ``<marker>_bin`` (0-3), ``<marker>_completeness`` (0-1), ``<marker>_membrane_od`` and
    ``<marker>_cytoplasm_od`` (peak DAB optical density, log10) for PD-L1 and PD-1, and ``<marker>`` (bool) for the
    markers of identity. Exactly ``round(tps% of tumour cells)`` tumour cells are PD-L1 positive.
    """
    kind = cells["cell_class"].to_numpy()
    planted = cells.copy()
    chosen = _exactly(rng, kind == TUMOR, tps / 100)
    chosen |= _exactly(rng, kind == MACROPHAGE, macrophage_share)
    planted = _stained(rng, planted, _PD_L1, np.zeros_like(chosen) if cytoplasm_only else chosen, strength)
    _add_blush(rng, planted, kind, chosen, cytoplasm_only=cytoplasm_only)
    planted = _stained(rng, planted, _PD_1, _exactly(rng, kind == LYMPHOCYTE, pd1_share), 0.6)
    planted[f"{_PD_1}_cytoplasm_od"] = 0.35 * planted[f"{_PD_1}_membrane_od"]
    return _with_identity(rng, planted, kind)


def _exactly(rng: np.random.Generator, eligible: np.ndarray, share: float) -> np.ndarray:
    members = np.flatnonzero(eligible)
    chosen = np.zeros(len(eligible), dtype=bool)
    chosen[rng.permutation(members)[: round(share * len(members))]] = True
    return chosen


def _stained(
    rng: np.random.Generator, cells: pd.DataFrame, marker: str, chosen: np.ndarray, strength: float
) -> pd.DataFrame:
    """Give chosen cells a bin (the mean rises with ``strength``, 0-1) and a peak density and completeness within it."""
    n = len(cells)
    bins = np.where(chosen, 1 + rng.binomial(2, strength, n), 0)
    place = rng.random(n), rng.random(n)
    for name, ranges, share in (("membrane_od", MEMBRANE_OD, place[0]), ("completeness", _COMPLETENESS, place[1])):
        low = np.array([0.0, *(ranges[i][0] for i in (1, 2, 3))])[bins]
        high = np.array([0.0, *(ranges[i][1] for i in (1, 2, 3))])[bins]
        cells[f"{marker}_{name}"] = low + (high - low) * share
    cells[bin_column(marker)] = bins
    return cells


def _add_blush(
    rng: np.random.Generator, cells: pd.DataFrame, kind: np.ndarray, chosen: np.ndarray, *, cytoplasm_only: bool
) -> None:
    """Positive cells have a cytoplasmic blush below their membrane; on a cytoplasm-only tile, blush is all there is."""
    n = len(cells)
    blush = 0.22 * cells[f"{_PD_L1}_membrane_od"].to_numpy() * rng.uniform(0.4, 1.2, n)
    if cytoplasm_only:
        blush = np.where(chosen & (kind == TUMOR), rng.uniform(0.15, 0.45, n), 0.0)
    cells[f"{_PD_L1}_cytoplasm_od"] = blush + np.where(kind == TUMOR, rng.uniform(0, 0.025, n), 0.0)


def _with_identity(rng: np.random.Generator, cells: pd.DataFrame, kind: np.ndarray) -> pd.DataFrame:
    for marker, shares in _IDENTITY.items():
        share = np.array([shares.get(name, 0.0) for name in kind])
        cells[marker] = rng.random(len(cells)) < share
    draw = rng.random(len(cells))
    t_cell = cells["CD3"].to_numpy()
    cells["CD8"] = t_cell & (draw < _OF_T_CELLS["CD8"])
    cells["FOXP3"] = t_cell & (draw >= 1 - _OF_T_CELLS["FOXP3"])
    return cells
