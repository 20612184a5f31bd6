"""Rows of measured cells, and the AnnData they become."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from biomarkers.core import keys

if TYPE_CHECKING:
    import anndata as ad
    import pandas as pd

MEMBRANE_STAINED_MEAN = "membrane_stained_mean"  # mean over the stained part of the outline, NaN without any
MEMBRANE_PARTIAL = "membrane_partial"  # level that two fifths of the outline reach
MEMBRANE_HALF = "membrane_half"  # level that half of the outline reaches, up to the border that neighbours share
MEMBRANE_LINE = "membrane_line"  # how much of that is a thin line
DARK_SHARE = "dark_share"  # share of the whole cell's area that is stained darkly, as granules are (0-1)
SHAPES = (
    "nucleus_contrast_od",
    "nucleus_elongation",
    "nucleus_eccentricity",
    "nucleus_ellipse_fit",
    "nucleus_circularity",
    "nucleus_hematoxylin_sd",
)
LAYERS = (
    keys.NUCLEUS_MEAN,
    keys.CYTOPLASM_MEAN,
    keys.MEMBRANE_MEAN,
    keys.CELL_MAX,
    keys.MEMBRANE_COMPLETENESS,
    MEMBRANE_STAINED_MEAN,
    MEMBRANE_PARTIAL,
    MEMBRANE_HALF,
    MEMBRANE_LINE,
    DARK_SHARE,
)


_FIRST_SHAPE, _FIRST_MEAN = 4, 4 + len(SHAPES)  # columns of ``Rows.numbers``
_FIRST_LAYER = _FIRST_MEAN + 2
COLUMNS = _FIRST_LAYER + 2 * len(LAYERS)


@dataclass(frozen=True)
class Rows:
    """Measured cells as one table of numbers, so that taking, joining and sorting them is one step.

    Attributes
    ----------
    numbers
        (n, ``COLUMNS``): x and y of the nucleus, areas of the cell and of its nucleus in whole pixels, ``SHAPES``, mean
        marker and mean hematoxylin, and marker and hematoxylin of each of ``LAYERS``; intensities in optical density.
    """

    numbers: NDArray[np.float64]

    @classmethod
    def of(
        cls,
        *,
        middle: NDArray[np.float64],
        area: NDArray[Any],
        nucleus_area: NDArray[Any],
        shape: Mapping[str, NDArray[np.float64]],
        mean: NDArray[np.float64],
        layers: Mapping[str, NDArray[np.float64]],
    ) -> Rows:
        """Lay columns out; see the properties of these names."""
        shapes, compartments = (shape[name] for name in SHAPES), (layers[name] for name in LAYERS)
        columns = [middle, area, nucleus_area, *shapes, mean, *compartments]
        return cls(np.column_stack(columns).astype(np.float64, copy=False))

    @property
    def count(self) -> int:
        """Number of cells."""
        return self.numbers.shape[0]

    @property
    def middle(self) -> NDArray[np.float64]:
        """(x, y) of each nucleus in pixels, (n, 2); NaN where a label has no pixel."""
        return self.numbers[:, :2]

    @property
    def area(self) -> NDArray[np.float64]:
        """Area of each cell in whole pixels."""
        return self.numbers[:, 2]

    @property
    def nucleus_area(self) -> NDArray[np.float64]:
        """Area of each nucleus in whole pixels."""
        return self.numbers[:, 3]

    @property
    def shape(self) -> Mapping[str, NDArray[np.float64]]:
        """Shape and texture of the nuclei by name."""
        return {name: self.numbers[:, _FIRST_SHAPE + number] for number, name in enumerate(SHAPES)}

    @property
    def mean(self) -> NDArray[np.float64]:
        """Mean marker and hematoxylin over the cell, (n, 2)."""
        return self.numbers[:, _FIRST_MEAN:_FIRST_LAYER]

    @property
    def layers(self) -> Mapping[str, NDArray[np.float64]]:
        """Marker and hematoxylin by compartment, (n, 2) each."""
        at = {name: _FIRST_LAYER + 2 * number for number, name in enumerate(LAYERS)}
        return {name: self.numbers[:, first : first + 2] for name, first in at.items()}

    @property
    def contrast_od(self) -> NDArray[np.float64]:
        """By how much each nucleus stands out of its surroundings."""
        return self.numbers[:, _FIRST_SHAPE]

    def shifted(self, *, x: int, y: int) -> Rows:
        """Return the same cells, moved by whole pixels.

        The sums of coordinates are moved, not their quotients: the last digit then does not tell where a window began.
        """
        area = np.maximum(self.nucleus_area, 1)[:, None]
        values = self.numbers.copy()
        values[:, :2] = (np.rint(self.middle * area) + area * np.array([x, y], float)) / area
        return Rows(values)

    def subset(self, order: NDArray[np.intp] | slice) -> Rows:
        """Return the cells in another order, or some of them; a slice copies nothing."""
        return Rows(self.numbers[order])

    def copied(self) -> Rows:
        """Return the same cells in memory of their own."""
        return Rows(self.numbers.copy())

    def rounded(self) -> Rows:
        """Return the same cells with numbers of the precision that tables keep: what is called then is what is kept."""
        # column by column, as calls and counts read them
        return Rows(self.numbers.astype(np.float32, order="F").astype(np.float64))


def join_rows(parts: Sequence[Rows]) -> Rows:
    """Put blocks under each other."""
    return Rows(np.concatenate([part.numbers for part in parts]) if parts else np.zeros((0, COLUMNS)))


def in_reading_order(rows: Rows, *, keep: NDArray[np.bool_]) -> tuple[Rows, NDArray[np.int32]]:
    """Sort the cells that are kept by y, then x; return with them the new number of each old label (0: none)."""
    order = np.lexsort((rows.middle[:, 0], rows.middle[:, 1]))
    order = order[keep[order]]
    new = np.zeros(rows.count + 1, np.int32)
    new[order + 1] = np.arange(1, order.size + 1)
    return rows.subset(order), new


def cell_table(rows: Rows, *, mpp: float, origin: tuple[int, int], marker: str) -> ad.AnnData:
    """Make the AnnData that every score reads; see docs for its columns.

    Parameters
    ----------
    rows
        Measured cells.
    mpp
        Micrometres per pixel.
    origin
        (x, y) of the tile's first pixel on the slide, level-0 px.
    marker
        Name of the DAB marker.
    """
    columns = cell_columns(rows, mpp=mpp, origin=origin)
    return table_of(columns, mean=rows.mean, layers=rows.layers, channels=(marker, keys.HEMATOXYLIN))


def table_of(
    columns: Mapping[str, NDArray[Any]],
    *,
    mean: NDArray[np.float64],
    layers: Mapping[str, NDArray[np.float64]],
    channels: Sequence[str],
) -> ad.AnnData:
    """Make an AnnData of plain arrays.

    Parameters
    ----------
    columns
        By name, (n,) each; those of :func:`cell_columns` among them.
    mean, layers
        Intensities over the cell and over its compartments, (n, channels) each.
    channels
        Their names.
    """
    import anndata as ad
    import pandas as pd

    count = mean.shape[0]
    held: dict[str, object] = dict(columns)
    for name, value, of in ((keys.CELL_CLASS, keys.UNKNOWN, keys.CELL_CLASSES), (keys.REGION, "", ("",))):
        if (columns[name] == value).all():
            held[name] = _all(value, count, of=of)
    names = [str(number + 1) for number in range(count)]
    obs = pd.DataFrame(held, index=pd.Index(names, dtype=str))
    var = pd.DataFrame({"unit": ["OD"] * len(channels)}, index=pd.Index(list(channels), dtype=str))
    cells = ad.AnnData(X=mean.astype(np.float32), obs=obs, var=var)
    for name, values in layers.items():
        cells.layers[name] = values.astype(np.float32)
    cells.obsm[keys.SPATIAL] = np.stack([columns[keys.X_UM], columns[keys.Y_UM]], axis=1)
    return cells


def cell_columns(rows: Rows, *, mpp: float, origin: tuple[int, int]) -> dict[str, NDArray]:
    """Lay out what is known of each cell but its intensities; arguments as for :func:`cell_table`."""
    place = (rows.middle + np.asarray(origin, float) + 0.5) * mpp
    return {
        "label": np.arange(1, rows.count + 1, dtype=np.int64),
        keys.X_UM: place[:, 0],
        keys.Y_UM: place[:, 1],
        keys.AREA_UM2: rows.area * mpp**2,
        keys.NUCLEUS_AREA_UM2: rows.nucleus_area * mpp**2,
        **rows.shape,
        keys.CELL_CLASS: np.full(rows.count, keys.UNKNOWN),
        keys.REGION: np.full(rows.count, ""),
    }


def _all(value: str, count: int, *, of: tuple[str, ...]) -> pd.Categorical:
    """Give all cells one category; from codes, since nothing need be looked up cell by cell."""
    import pandas as pd

    return pd.Categorical.from_codes(np.full(count, of.index(value), np.int8), dtype=_categories(of))


@lru_cache(maxsize=8)
def _categories(names: tuple[str, ...]) -> pd.CategoricalDtype:
    import pandas as pd

    return pd.CategoricalDtype(list(names))
