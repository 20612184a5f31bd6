"""What every vendor's cell table comes to: one intermediate form, then the package's own AnnData."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import pandas as pd

from biomarkers.core.errors import DataError, UsageError
from biomarkers.core.keys import (
    AREA_UM2,
    CELL_CLASS,
    CELL_CLASSES,
    NUCLEUS_AREA_UM2,
    REGION,
    SPATIAL,
    UNKNOWN,
    X_UM,
    Y_UM,
    positive_column,
)
from biomarkers.core.panel import canonical_marker
from biomarkers.io.units import plain_micro

if TYPE_CHECKING:
    import pyarrow as pa
    from anndata import AnnData

COMPARTMENTS = ("cell", "nucleus", "cytoplasm", "membrane")
Unit = Literal["um", "px"]
_ENOUGH_CELLS, _CROWDED = 30, 0.2
MISSING_WORDS: Final = frozenset({"", "#N/A", "NA", "N/A", "nan", "NaN", "None", "<NA>"})


@dataclass(frozen=True)
class CellTable:
    """A vendor's table in our words. Positions are in ``unit``, areas in the square of ``area_unit``; missing is NaN.

    ``intensity`` maps marker -> compartment -> (n,) values in the vendor's own scale; ``positive`` maps marker or
    phenotype -> (n,) bool; ``channels`` maps marker -> the vendor's name of it.
    """

    vendor: str
    slide: pd.Series
    cell_id: pd.Series
    x: np.ndarray
    y: np.ndarray
    unit: Unit
    area_unit: Unit
    cell_area: np.ndarray
    nucleus_area: np.ndarray
    region: pd.Series
    phenotype: pd.Series | None
    intensity: Mapping[str, Mapping[str, np.ndarray]]
    positive: Mapping[str, np.ndarray] = field(default_factory=dict)
    channels: Mapping[str, str] = field(default_factory=dict)


def to_cells(table: CellTable, *, where: Path, mpp: float | None) -> AnnData:
    """Build the AnnData: lengths in um, one row a cell, X the whole-cell mean, one layer a compartment.

    Raises
    ------
    UsageError
        The table is in pixels and ``mpp`` was not given.
    DataError
        A position is missing, or a cell id is there twice within one image.
    """
    import anndata as ad

    _refuse_missing_positions(table, where)
    _refuse_twice(table, where)
    _refuse_crowded(table, where)
    scale = _um_per_unit(table.unit, table.vendor, where, mpp)
    area_scale = _um_per_unit(table.area_unit, table.vendor, where, mpp) ** 2
    markers = list(table.intensity)
    layers = {name: _layer(table, markers, name) for name in COMPARTMENTS}
    index = table.slide.astype(str) + "/" + table.cell_id.astype(str)
    obs = pd.DataFrame(
        {
            "slide": pd.Categorical(table.slide.astype(str)),
            "cell_id": table.cell_id.astype(str).to_numpy(),
            X_UM: table.x * scale,
            Y_UM: table.y * scale,
            AREA_UM2: table.cell_area * area_scale,
            NUCLEUS_AREA_UM2: table.nucleus_area * area_scale,
            CELL_CLASS: pd.Categorical([UNKNOWN] * len(index), categories=list(CELL_CLASSES)),
            REGION: pd.Categorical(table.region.astype(str)),
        },
        index=index.to_numpy(),
    )
    if table.phenotype is not None:
        obs["phenotype"] = pd.Categorical(table.phenotype.astype(str))
    for name, flags in table.positive.items():
        obs[positive_column(name)] = np.asarray(flags, dtype=bool)
    var = pd.DataFrame({"channel": [table.channels.get(marker, marker) for marker in markers]}, index=markers)
    cells = ad.AnnData(layers["cell"], obs=obs, var=var)
    for name in COMPARTMENTS[1:]:
        if markers and not np.isnan(layers[name]).all():
            cells.layers[f"{name}_mean"] = layers[name]
    cells.obsm[SPATIAL] = obs[[X_UM, Y_UM]].to_numpy()
    cells.uns["imported"] = {"vendor": table.vendor, "file": where.name, "unit": table.unit, "um_per_unit": scale}
    return cells


def spelled(name: str) -> str:
    """Spell a header one way: no byte order mark, single blanks, one kind of micro sign; broken ones are mended.

    Examples
    --------
    >>> spelled("Centroid X \u00c2\u00b5m"), spelled("Nucleus: Area (\u03bcm\u00c2\u00b2)"), spelled("Centroid  Y ?m")
    ('Centroid X \u00b5m', 'Nucleus: Area (\u00b5m\u00b2)', 'Centroid Y \u00b5m')
    """
    text = name.replace("\ufeff", "").replace("\u00ef\u00bb\u00bf", "").replace("\u00c2\u00b2", "\u00b2")
    text = re.sub(r"(?<![A-Za-z])um(?![A-Za-z])", "\u00b5m", plain_micro(text)) if plain_micro(text) != text else text
    text = re.sub(r"(?<=[\s(\[])\?m(?=$|[\s)\]^\u00b2])", "\u00b5m", text)
    return re.sub(r"\s+", " ", text).strip()


def plain(name: str) -> str:
    """Reduce a header to what programs, R and data frames agree on: ``Cell.X.Position`` -> ``cellxposition``."""
    return re.sub(r"[^a-z0-9]", "", name.casefold())


def named(columns: Iterable[str], *wanted: str) -> str | None:
    """Find the first of the wanted columns that is there, however it is spelled."""
    there: dict[str, str] = {}
    for name in columns:
        there.setdefault(plain(name), name)
    return next((there[plain(one)] for one in wanted if plain(one) in there), None)


def named_or_refuse(columns: Iterable[str], *wanted: str, where: Path) -> str:
    """Find a column that must be there.

    Raises
    ------
    DataError
        It is not.
    """
    there = list(columns)
    found = named(there, *wanted)
    if found is None:
        raise DataError(f"the table has no column {wanted[0]!r}", where=where, seen=there[:12], allowed=wanted)
    return found


def counted(frame: pd.DataFrame) -> pd.Series:
    """Return 1, 2, ... for cells that have no number of their own."""
    return pd.Series([str(number) for number in range(1, len(frame) + 1)], index=frame.index)


def by_compartment(
    frame: pd.DataFrame, parts: Iterable[tuple[str, str, str]], where: Path, *, dye: re.Pattern[str] | None = None
) -> tuple[dict[str, dict[str, np.ndarray]], dict[str, str]]:
    """Read intensities, by marker and compartment.

    Parameters
    ----------
    frame
        The table, of text.
    parts
        (column, the vendor's name of the channel, compartment).
    where
        The file, for errors.
    dye
        What follows the marker's name in a channel's, and is taken off it.

    Returns
    -------
    Marker -> compartment -> values, and marker -> the vendor's name of it.

    Raises
    ------
    DataError
        Two channels show one marker, or a value is no number.
    """
    intensity: dict[str, dict[str, np.ndarray]] = {}
    channels: dict[str, str] = {}
    for column, channel, compartment in parts:
        marker = canonical_marker(channel if dye is None else dye.sub("", channel))
        if channels.setdefault(marker, channel) != channel:
            raise DataError("two channels show the same marker", where=where, seen=[channels[marker], channel])
        if compartment in intensity.setdefault(marker, {}):
            message = f"two columns hold the {compartment} mean of {channel!r}"
            raise DataError(message, where=where, seen=column)
        intensity[marker][compartment] = numbers(frame[column], column=column, where=where)
    return intensity, channels


def are_numbers(values: pd.Series) -> bool:
    """Tell a measurement from an annotation: at least one of its values reads as a number."""
    if values.dtype.kind in "iuf":
        return bool(values.notna().any())
    text = values.drop_duplicates().astype(str).str.strip().str.replace(",", ".", regex=False)
    return bool(pd.to_numeric(text, errors="coerce").notna().any())


def numbers(values: pd.Series, *, column: str, where: Path) -> np.ndarray:
    """Read a text column as numbers: decimal commas, per cent signs and the vendors' words for "missing" are known.

    Raises
    ------
    DataError
        A cell holds something else; its row (as a spreadsheet counts) and value are named.
    """
    if values.dtype.kind in "iuf":
        return values.to_numpy(dtype=float)
    plain_numbers = as_floats(values)
    if plain_numbers is not None:
        return plain_numbers
    text = values.astype(str).str.replace("%", "", regex=False).str.strip()
    text = text.where(~text.isin(MISSING_WORDS), "nan")
    if text.str.contains(",", regex=False).any() and not text.str.contains(".", regex=False).any():
        text = text.str.replace(",", ".", regex=False)
    found = pd.to_numeric(text, errors="coerce")
    wrong = (found.isna() & (text != "nan")) | np.isinf(found)  # an infinite number is none that was measured
    if wrong.any():
        row = int(np.flatnonzero(wrong.to_numpy())[0])
        what = "text" if np.isnan(found.iloc[row]) else "an infinite number"
        raise DataError(
            f"column {column!r} holds {what} where a number is needed",
            where=f"{where}, row {row + 2}",
            seen=values.iloc[row],
        )
    return found.to_numpy(dtype=float)


def as_floats(values: pd.Series | pa.ChunkedArray | pa.Array) -> np.ndarray | None:
    """Read text that is plain numbers or missing, fast; None where a value is anything else, or infinite."""
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        text = pa.array(values, pa.string(), from_pandas=True) if isinstance(values, pd.Series) else values
        trimmed = pc.utf8_trim_whitespace(text)
        missing = pc.is_in(trimmed, value_set=pa.array(sorted(MISSING_WORDS)))
        found = pc.if_else(missing, pa.scalar(None, pa.string()), trimmed).cast(pa.float64())
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        return None
    numbers = found.to_numpy(zero_copy_only=False) if isinstance(found, pa.Array) else found.to_numpy()
    return None if np.isinf(numbers).any() else np.array(numbers, dtype=float)


def optional_numbers(frame: pd.DataFrame, column: str | None, *, where: Path) -> np.ndarray:
    """Read a column that a table may lack: NaN then."""
    if column is None or column not in frame.columns:
        return np.full(len(frame), np.nan)
    return numbers(frame[column], column=column, where=where)


def optional_text(frame: pd.DataFrame, column: str | None, default: str) -> pd.Series:
    """Read a text column that a table may lack."""
    if column not in frame.columns:
        return pd.Series([default] * len(frame), index=frame.index, dtype=object)
    return frame[column].fillna("").astype(str)


def _layer(table: CellTable, markers: list[str], compartment: str) -> np.ndarray:
    n = len(table.x)
    columns: list[Any] = [table.intensity[marker].get(compartment, np.full(n, np.nan)) for marker in markers]
    return np.column_stack(columns) if columns else np.zeros((n, 0))


def _um_per_unit(unit: Unit, vendor: str, where: Path, mpp: float | None) -> float:
    if unit == "um":
        return 1.0
    if mpp is None:
        raise UsageError(
            f"this {vendor} table is in pixels and holds no pixel size", where=where, hint="Give mpp (um/px)."
        )
    if not 0.05 <= mpp <= 10:
        raise UsageError("mpp is out of range", seen=mpp, allowed="0.05 to 10 um/px")
    return mpp


def _refuse_missing_positions(table: CellTable, where: Path) -> None:
    wrong = ~(np.isfinite(table.x) & np.isfinite(table.y))
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise DataError(
            "a cell has no position", where=f"{where}, row {row + 2}", seen=f"cell {table.cell_id.iloc[row]}"
        )


def _refuse_crowded(table: CellTable, where: Path) -> None:
    """Refuse positions that are closer together than cells can be, or so far apart that they are in another unit.

    The median distance to the nearest cell of an image, in diameters of its cells: 0.7-1.2 where cells touch, up to
    some 20 where they are sparse. Half the cells nearer than a fifth of a diameter lie on one another.
    """
    from scipy.spatial import KDTree

    area = np.where(np.isfinite(table.cell_area), table.cell_area, table.nucleus_area)
    if table.unit != table.area_unit or not np.isfinite(area).any():
        return
    for image in table.slide.unique():
        here = (table.slide == image).to_numpy()
        if int(here.sum()) < _ENOUGH_CELLS:
            continue
        places = np.column_stack([table.x[here], table.y[here]])
        nearest = float(np.median(KDTree(places).query(places, k=2)[0][:, 1]))
        diameter = 2 * math.sqrt(max(float(np.nanmedian(area[here])), 0.0) / math.pi)
        if diameter > 0 and nearest < _CROWDED * diameter:
            raise DataError(
                "the cells lie on one another: positions and areas cannot be in one unit",
                where=where,
                seen=f"half of them within {nearest:.3g} of the next, diameter {diameter:.3g} {table.unit}",
                hint="Were marks between thousands or decimals lost in the positions?",
            )


def _refuse_twice(table: CellTable, where: Path) -> None:
    twice = pd.DataFrame({"slide": table.slide.to_numpy(), "id": table.cell_id.to_numpy()}).duplicated()
    if twice.any():
        row = int(np.flatnonzero(twice)[0])
        raise DataError(
            "one image holds the same cell id twice; are there two images under one name?",
            where=f"{where}, row {row + 2}",
            seen=f"{table.slide.iloc[row]}, cell {table.cell_id.iloc[row]}",
        )
