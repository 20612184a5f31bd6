"""One set of colours for overlays and for QuPath: what kind of cell, and how strongly stained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from biomarkers import keys
from biomarkers.score.tally import EXCLUDED

if TYPE_CHECKING:
    from anndata import AnnData

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
_BIN_NAMES = ("Negative", "1+", "2+", "3+")


def kinds(cells: AnnData, *, marker: str) -> tuple[list[Kind], np.ndarray]:
    """Sort cells into the kinds that are shown.

    Returns
    -------
    The kinds that occur, in the legend's order, and each cell's index among them, (n_cells,).
    """
    classes = cells.obs[keys.CELL_CLASS].astype(str).to_numpy()
    bins = cells.obs[keys.bin_column(marker)].to_numpy(dtype=np.int64)
    left_out = cells.obs[EXCLUDED].to_numpy(dtype=bool) if EXCLUDED in cells.obs else np.zeros(cells.n_obs, dtype=bool)
    found: dict[Kind, int] = {}
    keys_in_order = sorted({(bool(out), *pair) for out, *pair in zip(left_out, classes, bins, strict=True)}, key=_rank)
    of_key = {key: found.setdefault(_kind(*key), len(found)) for key in keys_in_order}
    index = [of_key[bool(out), name, level] for out, name, level in zip(left_out, classes, bins, strict=True)]
    return list(found), np.array(index, dtype=np.int64)


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


def _rank(key: tuple[bool, str, int]) -> tuple[bool, int, int]:
    left_out, name, level = key
    order = (keys.TUMOR, keys.UNKNOWN, keys.LYMPHOCYTE, keys.MACROPHAGE, keys.STROMA, keys.OTHER)
    return left_out, order.index(name), int(level)
