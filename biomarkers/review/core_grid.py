"""Tissue microarray cores from where cells lie: pieces of tissue on a lattice, rotated as it may be."""

from __future__ import annotations

import string
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from biomarkers.core.errors import DataError

_BIN_UM: Final = 40.0  # cells nearer than this belong to one piece of tissue
_LEAST_SHARE: Final = 0.2  # of the median core's extent: smaller pieces are debris
_OFF_LATTICE: Final = 0.35  # of a step: a core farther from its place than this is in doubt


@dataclass(frozen=True)
class Core:
    """One core: its name on the map (row letter, column number), and which cells are its own, (n,) bool."""

    name: str
    cells: NDArray[np.bool_]
    missing: bool = False
    reason: str = ""


def core_name(row: int, column: int) -> str:
    """Name a place on the array as QuPath does: rows by letters from the top, columns by numbers from the left.

    Examples
    --------
    >>> core_name(0, 0), core_name(2, 11), core_name(26, 0)
    ('A-1', 'C-12', 'AA-1')
    """
    letters = ""
    row += 1
    while row:
        row, rest = divmod(row - 1, 26)
        letters = string.ascii_uppercase[rest] + letters
    return f"{letters}-{column + 1}"


def cores_on_grid(xy_um: NDArray[np.float64]) -> list[Core]:
    """Find the cores of an array by the places of its cells.

    Pieces of tissue are told apart by gaps of 40 um; fragments of less than a fifth of the median core's extent belong
    to the nearest core within half a step, or to none. The lattice's angle (up to 45 degrees either way) and steps are
    those of neighbouring cores. A place inside the lattice without tissue is a missing core.

    Parameters
    ----------
    xy_um
        Centres of the cells, (n, 2), um.

    Returns
    -------
    Row by row, every place of the lattice.

    Raises
    ------
    DataError
        Fewer than four cores, or pieces that lie on no lattice.
    """
    piece = _pieces(xy_um)
    count = int(piece.max(initial=-1)) + 1
    low = np.array([xy_um[piece == k].min(axis=0) for k in range(count)]).reshape(-1, 2)
    high = np.array([xy_um[piece == k].max(axis=0) for k in range(count)]).reshape(-1, 2)
    centres, extent = (low + high) / 2, (high - low).max(axis=1, initial=0.0)
    large = extent >= _LEAST_SHARE * np.median(extent[extent >= np.median(extent)]) if count else extent > 0
    if large.sum() < 4:
        raise DataError("no array of cores was found", seen=f"{int(large.sum())} pieces of tissue", allowed="4 or more")
    turn, step = _lattice(centres[large])
    place = centres @ turn
    rows, columns = (_indices(place[:, axis], place[large][:, axis], step) for axis in (1, 0))
    off = np.hypot(rows[1], columns[1])
    if np.median(off[large]) > _OFF_LATTICE:
        raise DataError(
            "the pieces of tissue lie on no lattice",
            seen=f"{np.median(off[large]):.2f} steps off",
            allowed=_OFF_LATTICE,
        )
    return _named(piece, large, off, rows[0], columns[0])


def _named(
    piece: NDArray[np.int64], large: NDArray[np.bool_], off: NDArray[np.float64], rows: NDArray, columns: NDArray
) -> list[Core]:
    made = []
    used = large | (off <= _OFF_LATTICE)
    for row in range(int(rows[large].max()) + 1):
        for column in range(int(columns[large].max()) + 1):
            here = np.flatnonzero((rows == row) & (columns == column) & used)
            if not large[here].any():
                made.append(Core(core_name(row, column), np.zeros(len(piece), dtype=bool), missing=True))
                continue
            several, far = int(large[here].sum()) > 1, float(off[here][large[here]].max()) > _OFF_LATTICE
            said = ["two pieces of tissue at one place of the array"] if several else []
            said += ["the core lies far from its place on the array"] if far else []
            made.append(Core(core_name(row, column), np.isin(piece, here), reason="; ".join(said)))
    return made


def _pieces(xy: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the number of each cell's connected piece of tissue, from 0."""
    from scipy import ndimage

    if not len(xy):
        return np.zeros(0, dtype=np.int64)
    at = ((xy - xy.min(axis=0)) / _BIN_UM).astype(np.int64)
    grid = np.zeros(at.max(axis=0) + 1, dtype=bool)
    grid[at[:, 0], at[:, 1]] = True
    labels, _ = ndimage.label(grid, structure=np.ones((3, 3)))
    return np.asarray(labels[at[:, 0], at[:, 1]], dtype=np.int64) - 1


def _lattice(centres: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Return the rotation that lays the lattice along the axes, and its step, from vectors between neighbours."""
    from scipy.spatial import KDTree

    away, other = KDTree(centres).query(centres, k=min(5, len(centres)))
    nearest = np.median(away[:, 1])
    first, second = np.nonzero((away > 0) & (away < 1.25 * nearest))
    vectors = centres[other[first, second]] - centres[first]
    # four directions of a lattice are one: the angle times four
    angle = np.angle(np.mean(np.exp(4j * np.arctan2(vectors[:, 1], vectors[:, 0])))) / 4
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.array([[cosine, -sine], [sine, cosine]]), float(np.median(np.hypot(*vectors.T)))


def _indices(
    values: NDArray[np.float64], of_cores: NDArray[np.float64], step: float
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the place of each value along one axis of the lattice, from 0, and how far off it lies, in steps."""
    phase = np.angle(np.mean(np.exp(2j * np.pi * of_cores / step))) / (2 * np.pi) * step
    index = np.rint((values - phase) / step).astype(np.int64)
    off = np.abs(values - phase - index * step) / step
    first = int(np.rint((of_cores - phase) / step).min())
    return index - first, off
