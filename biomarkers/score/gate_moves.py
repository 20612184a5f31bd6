"""What a gate's uncertainty does to scores: cells whose call changes when the gate moves within its range."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from biomarkers.core import keys
from biomarkers.pheno.gates import NO_GATES, gate_values
from biomarkers.pheno.phenotype import PHENOTYPE, assign_phenotypes

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

    from biomarkers.core.panel import Panel

IMPORTED_PHENOTYPE = "phenotype_imported"  # obs: what another program called a cell, where the panel names it anew
_BIN_STEPS = (1.0, 2.0, 4.0)  # lower edges of 1+, 2+, 3+ move by so many times as much as the gate


@dataclass(frozen=True)
class GateMove:
    """Cells whose call changes at one end of a gate's range; ``problem`` where there is no gate at all.

    ``members`` (m,) are their numbers among all cells; ``cells`` are the same m cells with the other call.
    """

    marker: str
    members: NDArray[np.intp]
    cells: AnnData
    problem: str = ""


def gate_moves(cells: AnnData, *, panel: Panel) -> Iterator[GateMove]:
    """Go through the gates in force: both ends of each gate's range; every cell where a marker has no gate.

    Parameters
    ----------
    cells
        Called and phenotyped cells with ``uns["gates"]``; cells that were called elsewhere have none, and no moves.
    panel
        Whose phenotypes are named again with the moved calls.
    """
    gates: pd.DataFrame | None = cells.uns.get("gates")
    missing: Mapping[str, str] = cells.uns.get(NO_GATES, {})
    for marker, why in missing.items():
        everyone = np.arange(cells.n_obs)
        yield GateMove(marker, everyone, _recalled(cells, everyone, marker, np.ones(cells.n_obs, int), panel), why)
    for marker in [] if gates is None else gates["marker"].astype(str):
        for members, bins in _moved_bins(cells, marker):
            yield GateMove(marker, members, _recalled(cells, members, marker, bins, panel))


def call_moves(cells: AnnData, marker: str) -> Iterator[tuple[NDArray[np.intp], NDArray[np.bool_]]]:
    """Go through both ends of one gate's range: the cells whose call changes, and whether they are positive then."""
    for members, bins in _moved_bins(cells, marker):
        yield members, bins > 0


def _moved_bins(cells: AnnData, marker: str) -> Iterator[tuple[NDArray[np.intp], NDArray[np.int64]]]:
    """Cells whose intensity bin changes at each end of a gate's range, and their bins there."""
    gates: pd.DataFrame | None = cells.uns.get("gates")
    rows = [] if gates is None else gates[gates["marker"] == marker].to_dict("records")
    for row in rows:
        gate = float(row["gate"])
        ends = [float(row.get(name, np.nan)) for name in ("gate_low", "gate_high")]
        if not ends[0] <= gate <= ends[1]:  # no gate, no range, or the range of another gate than the one written in
            continue
        values = gate_values(cells, marker=marker, compartment=row["compartment"])
        bins = cells.obs[keys.bin_column(marker)].to_numpy(dtype=int)
        for end in ends:
            moved = _bins(values, row, end - gate)
            members = np.flatnonzero(moved != bins)
            if len(members):
                yield members, moved[members]


def _bins(values: NDArray[np.float64], row: Mapping[Any, Any], shift: float) -> NDArray[np.int64]:
    bins = np.zeros(len(values), dtype=np.int64)
    for name, step in zip(("gate", "gate_2", "gate_3"), _BIN_STEPS, strict=True):
        edge = float(row.get(name, np.nan))
        if np.isfinite(edge):
            bins += np.nan_to_num(values, nan=-np.inf) >= edge + step * shift
    return bins


def _recalled(cells: AnnData, members: NDArray[np.intp], marker: str, bins: NDArray[np.int64], panel: Panel) -> AnnData:
    import anndata as ad

    obs = cells.obs.iloc[members].copy()
    obs[keys.positive_column(marker)] = bins > 0
    obs[keys.bin_column(marker)] = bins
    if IMPORTED_PHENOTYPE in obs:
        obs[PHENOTYPE] = obs[IMPORTED_PHENOTYPE]
    levels = cells.X if len(members) == cells.n_obs else cells.X[members]
    part = ad.AnnData(levels, obs=obs, var=cells.var)
    for name, layer in cells.layers.items():
        if name is not None:  # anndata 0.13 lists X as None
            part.layers[name] = layer if len(members) == cells.n_obs else layer[members]
    part.uns.update({name: value for name, value in cells.uns.items() if name in ("imported", "phenotypes")})
    return assign_phenotypes(part, panel.phenotypes) if panel.phenotypes else part


def widened(
    value: float, interval: tuple[float, float], moved: Mapping[str, Iterable[float]], *, most: float = math.inf
) -> tuple[float, float]:
    """Join the interval of counting with how far the value moves with each marker's gate.

    Independent sources of error: distances from the value below and above it are squared and added (Zou and Donner
    2008, Stat Med 27:1693, as for sums of counts).

    Parameters
    ----------
    value, interval
        A score and the 95% interval of its counts.
    moved
        Marker -> the score at the ends of its gate's range.
    most
        The largest value that the score can have.

    Examples
    --------
    >>> widened(10.0, (7.0, 14.0), {"CD8": (6.0, 13.0)})
    (5.0, 15.0)
    """
    low, high = (value - interval[0]) ** 2, (interval[1] - value) ** 2
    for others in moved.values():
        known = [other for other in others if math.isfinite(other)]
        low += max(0.0, value - min(known, default=value)) ** 2
        high += max(0.0, max(known, default=value) - value) ** 2
    return max(0.0, value - math.sqrt(low)), min(most, value + math.sqrt(high))
