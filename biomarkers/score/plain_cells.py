"""The parts of an AnnData that calls and counts read, as plain arrays: an AnnData checks itself at every look.

Cells are called and counted at a dozen cuts for one sensitivity curve; what stays the same between cuts is taken over
once. Slides are scored by nothing else; the AnnData of a tile is made when somebody asks for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from biomarkers.core import keys
from biomarkers.seg.table import Rows, cell_columns, table_of

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

_NUMBERS = (keys.AREA_UM2, keys.X_UM, keys.Y_UM, keys.EXCLUDED)
_NAMES = (keys.CELL_CLASS, keys.REGION)


class Column:
    """One column as an array; it answers what calls and counts ask of a pandas one."""

    def __init__(self, values: np.ndarray) -> None:
        self._values = values

    def astype(self, kind: type) -> Column:
        """Return the column as another type; names are names already."""
        same = kind is str and self._values.dtype.kind == "U"
        return self if same else Column(self._values.astype(kind))

    @property
    def dtype(self) -> np.dtype:
        """Type of the values."""
        return self._values.dtype

    def to_numpy(self, dtype: Any = None) -> np.ndarray:
        """Return the values, not to be written to."""
        return self._values if dtype is None else self._values.astype(dtype, copy=False)


class CellColumns:
    """Columns by name."""

    def __init__(self, values: Mapping[str, np.ndarray]) -> None:
        self._values = dict(values)

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        return list(self._values)

    def __contains__(self, name: object) -> bool:
        return name in self._values

    def __getitem__(self, name: str) -> Column:
        return Column(self._values[name])

    def __setitem__(self, name: str, values: np.ndarray) -> None:
        self._values[name] = np.asarray(values)

    def copy(self) -> CellColumns:
        """Copy the names, not the arrays."""
        return CellColumns(self._values)

    def frame(self) -> pd.DataFrame:
        """Return the columns as a table."""
        import pandas as pd

        return pd.DataFrame(self._values)

    def subset(self, which: slice) -> CellColumns:
        """Return the columns of some cells."""
        return CellColumns({name: values[which] for name, values in self._values.items()})


@dataclass
class PlainCells:
    """Cells as plain arrays; see :class:`anndata.AnnData` for the names.

    ``once`` keeps what is told by the cells alone, whatever the cut.
    """

    X: np.ndarray
    layers: Mapping[str, np.ndarray]
    obs: CellColumns
    uns: dict[str, Any]
    var_names: Sequence[str]
    n_obs: int
    once: dict[Any, np.ndarray] = field(default_factory=dict)

    @classmethod
    def of(cls, cells: AnnData | PlainCells) -> PlainCells:
        """Take over what is read; plain cells are returned as they are."""
        if isinstance(cells, PlainCells):
            return cells
        table = cells.obs
        held = {name: table[name].to_numpy() for name in _NUMBERS if name in table}
        held |= {name: _names(table[name]) for name in _NAMES if name in table}
        layers = {name: _dense(values) for name, values in cells.layers.items() if name is not None}
        return cls(_dense(cells.X), layers, CellColumns(held), dict(cells.uns), list(cells.var_names), len(table))

    @classmethod
    def of_rows(cls, rows: Rows, *, mpp: float, marker: str, origin: tuple[int, int] = (0, 0)) -> PlainCells:
        """Lay out measured cells, with the columns and the precision of :func:`biomarkers.seg.table.cell_table`."""
        obs = CellColumns(cell_columns(rows, mpp=mpp, origin=origin))
        rounded = rows.rounded()
        return cls(rounded.mean, rounded.layers, obs, {}, [marker, keys.HEMATOXYLIN], rows.count)

    @property
    def obs_names(self) -> list[str]:
        """Name of each cell in the AnnData."""
        return [str(number + 1) for number in range(self.n_obs)]

    def table(self) -> AnnData:
        """Make the AnnData of measured cells and all that was told of them since."""
        columns = {name: self.obs[name].to_numpy() for name in self.obs.columns}
        cells = table_of(columns, mean=self.X, layers=self.layers, channels=self.var_names)
        cells.uns.update(self.uns)
        return cells

    def subset(self, which: slice) -> PlainCells:
        """Return cells that lie behind each other; what was told of each with the others around it stays with it."""
        layers = {name: values[which] for name, values in self.layers.items()}
        once = {key: values[which] for key, values in self.once.items()}
        count = len(range(*which.indices(self.n_obs)))
        return PlainCells(self.X[which], layers, self.obs.subset(which), dict(self.uns), self.var_names, count, once)

    def copy(self) -> PlainCells:
        """Copy what a call writes to."""
        return replace(self, obs=self.obs.copy(), uns=dict(self.uns))


def _dense(values: Any) -> np.ndarray:
    return np.asarray(values.toarray() if hasattr(values, "toarray") else values, dtype=np.float64)


def _names(column: Any) -> np.ndarray:
    """Return names as fixed-width text, which compares fast; a category is turned once, not cell by cell."""
    if hasattr(column, "cat"):
        names = np.asarray(column.cat.categories.astype(str), dtype=str)
        found: np.ndarray = np.append(names, "nan")[column.cat.codes.to_numpy()]
        return found
    return column.astype(str).to_numpy().astype(str)
