"""One set of colours for overlays and for QuPath: what kind of cell, and how strongly stained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from biomarkers.core import keys

if TYPE_CHECKING:
    from anndata import AnnData

    from biomarkers.score.plain_cells import PlainCells

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Kind:
    """One kind of cell as it is shown: its name in QuPath (``Tumor: 2+``), its legend and its colour."""

    name: str
    legend: str
    colour: Colour


# scored cells by bin, safe for colour-blind eyes on brown and blue
_BINS: tuple[Colour, ...] = ((40, 110, 210), (255, 215, 0), (255, 130, 0), (215, 20, 40))
_IMMUNE: tuple[Colour, ...] = ((0, 150, 90), (190, 0, 190))
_OTHER: Colour = (120, 120, 120)
_LEFT_OUT: Colour = (205, 205, 205)
_ORDER = (keys.TUMOR, keys.UNKNOWN, keys.LYMPHOCYTE, keys.MACROPHAGE, keys.STROMA, keys.OTHER)
_BIN_NAMES = ("Negative", "1+", "2+", "3+")


def kinds(cells: AnnData | PlainCells, *, marker: str) -> tuple[list[Kind], np.ndarray]:
    """Sort cells into the kinds that are shown.

    Returns
    -------
    The kinds that occur, in the legend's order, and each cell's index among them, (n_cells,).
    """
    classes = cells.obs[keys.CELL_CLASS].astype(str).to_numpy()
    bins = cells.obs[keys.bin_column(marker)].to_numpy(dtype=np.int64)
    left_out = (
        cells.obs[keys.EXCLUDED].to_numpy(dtype=bool)
        if keys.EXCLUDED in cells.obs
        else np.zeros(cells.n_obs, dtype=bool)
    )
    rank = np.select([classes == name for name in _ORDER], range(len(_ORDER)), default=_ORDER.index(keys.OTHER))
    code = (left_out * len(_ORDER) + rank) * len(_BINS) + bins
    found: dict[Kind, int] = {}
    of_code = np.zeros(2 * len(_ORDER) * len(_BINS), np.int64)
    for one in np.flatnonzero(np.bincount(code, minlength=of_code.size)).tolist():
        others, level = divmod(one, len(_BINS))
        out, name = divmod(others, len(_ORDER))
        of_code[one] = found.setdefault(_kind(bool(out), _ORDER[name], level), len(found))
    return list(found), of_code[code]


def _kind(left_out: bool, name: str, level: int) -> Kind:  # noqa: FBT001  (a key, not a switch)
    if left_out:
        return Kind("Ignore*", "left out", _LEFT_OUT)
    title = {"unknown": "Cell", "lymphocyte": "Immune cells", "macrophage": "Immune cells"}.get(name, name.capitalize())
    if title == "Immune cells":
        stained = min(int(level), 1)
        return Kind(f"{title}: {'Positive' if stained else 'Negative'}", _legend(title, stained), _IMMUNE[stained])
    if name in (keys.TUMOR, keys.UNKNOWN):
        return Kind(f"{title}: {_BIN_NAMES[level]}", f"{title.lower()} {_BIN_NAMES[level].lower()}", _BINS[level])
    return Kind(title, title.lower(), _OTHER)


def _legend(title: str, stained: int) -> str:
    return f"{title.lower()} {'positive' if stained else 'negative'}"
