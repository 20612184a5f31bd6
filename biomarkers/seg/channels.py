"""Cells of a multiplex image, measured: one row a cell, one column a marker, the schema of the brightfield path."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from biomarkers.core import keys
from biomarkers.core.errors import DataError, UsageError
from biomarkers.io.label_maps import LabelMaps, Map
from biomarkers.seg import channel_kernels as kernels

if TYPE_CHECKING:
    import anndata as ad
    import xarray as xr

# what at least 6 of the 16 stretches of an outline exceed: staining of 35% of the outline is enough to count
MEMBRANE_UPPER = "membrane_upper"
RAW_MEAN = "raw_mean"  # mean over the whole cell before anything was taken off
LAYERS = (keys.NUCLEUS_MEAN, keys.CYTOPLASM_MEAN, keys.MEMBRANE_MEAN, MEMBRANE_UPPER, keys.CELL_MAX)
_STRETCHES = 6
_RIM_UM = 0.5  # so far a neighbour's membrane shines into a cell
_THREADS = 2


@dataclass(frozen=True)
class _Geometry:
    """Where cells are: labels 1..n, what each of their pixels is, and how many there are of each kind."""

    cells: Map
    ids: NDArray[np.int64]
    middle: NDArray[np.float64]  # (n + 1, 2) x and y
    where: NDArray[np.uint8]
    sizes: NDArray[np.int64]  # (n, PARTS)


def measure_channels(
    tile: xr.DataArray, labels: LabelMaps, *, raw: xr.DataArray | None = None, threads: int = _THREADS
) -> ad.AnnData:
    """Measure every channel in every cell.

    Parameters
    ----------
    tile
        Channels (c, y, x) with ``mpp``; see :func:`biomarkers.io.channels.read_channels`.
    labels
        Nuclei and cells; where only one of both is there, it stands for the other. Where maps of cytoplasm and
        membrane were given (inForm's), these compartments are read from them.
    raw
        The image before it was cleaned: the mean of each cell is kept as layer ``raw_mean``.
    threads
        Channels measured at once; results do not depend on it.

    Returns
    -------
    AnnData: obs = ``label``, ``x_um``, ``y_um`` (centroid of the nucleus), ``area_um2``, ``nucleus_area_um2``,
    ``cell_class`` (unknown), ``region`` (empty); var = markers; X = mean over the whole cell; layers ``nucleus_mean``,
    ``cytoplasm_mean`` (between the nucleus and the cell's rim), ``membrane_mean`` (mean over the 16 stretches of the
    outline of the highest level in each, smoothed by 1-2-1), ``membrane_upper`` (the level that at least 6 of the 16
    stretches reach) and ``cell_max``. NaN where a cell has no such pixels. The outermost 0.5 um of a cell count
    towards no outline: a neighbour's membrane shows there.

    Raises
    ------
    DataError
        Labels and image differ in size.

    Examples
    --------
    >>> import numpy as np
    >>> import biomarkers as bm
    >>> y, x = np.mgrid[:128, :128]
    >>> nuclei = sum(2000.0 * np.exp(-((y - a) ** 2 + (x - b) ** 2) / 50) for a in (32, 96) for b in (32, 96))
    >>> tile = bm.io.make_channels(
    ...     np.stack([nuclei + 100, nuclei + 100]).astype(np.uint16), names=["DAPI", "CD8"], mpp=0.5
    ... )
    >>> cells = bm.measure_channels(tile, bm.segment_dapi(tile))
    >>> cells.shape
    (4, 2)
    """
    pixels = kernels.ready(tile.to_numpy())
    geometry = _geometry(labels, shape=pixels.shape[1:], mpp=float(tile.attrs[keys.MPP]), threads=threads)
    before = pixels[:0] if raw is None else kernels.ready(_same_channels(raw, tile))
    values = _measured(pixels, before, geometry, threads=threads)
    if labels.cytoplasm is not None or labels.membrane is not None:
        _replace_given(values, pixels, labels, geometry)
    cells = _table(tile, geometry, values)
    if raw is not None:
        cells.layers[RAW_MEAN] = values[RAW_MEAN]
    return cells


def _same_channels(raw: xr.DataArray, tile: xr.DataArray) -> NDArray:
    """Raw planes of the tile's channels; a view where they stand in one row, as they mostly do."""
    there = [str(name) for name in raw.coords["c"].to_numpy()]
    wanted = [there.index(str(name)) for name in tile.coords["c"].to_numpy()]
    if wanted == list(range(wanted[0], wanted[0] + len(wanted))):
        return raw.to_numpy()[wanted[0] : wanted[0] + len(wanted)]
    return raw.to_numpy()[wanted]


def _geometry(labels: LabelMaps, *, shape: Sequence[int], mpp: float, threads: int) -> _Geometry:
    nuclei = labels.nuclei if labels.nuclei is not None else labels.cells
    cells = labels.cells if labels.cells is not None else labels.nuclei
    if nuclei is None or cells is None:
        raise UsageError("neither nuclei nor cells were given")
    for one in (nuclei, cells):
        if one.shape != tuple(shape):
            raise DataError(
                "the labels are of another size than the image", where=labels.source or None,
                seen=f"{one.shape[1]} x {one.shape[0]}", allowed=f"{shape[1]} x {shape[0]}",
            )  # fmt: skip
    nuclei, cells = (np.ascontiguousarray(one, dtype=np.int32) for one in (nuclei, cells))
    count = int(max(nuclei.max(initial=0), cells.max(initial=0)))
    own, whole = (np.zeros((count + 1, 3), np.int64) for _ in range(2))
    missing = kernels.survey(nuclei, cells, own, whole)
    ids = np.flatnonzero(whole[:, 2])
    if len(ids) != count:
        new = np.zeros(count + 1, np.int32)
        new[ids] = np.arange(1, len(ids) + 1)
        nuclei, cells = new[nuclei], new[cells]
        own, whole = (one[np.concatenate([[0], ids])] for one in (own, whole))
    if missing:
        cells = np.where((cells == 0) & (nuclei > 0), nuclei, cells)
    use = np.where(own[:, 2:] > 0, own, whole)  # a cell without a nucleus stands at its own centroid
    middle = use[:, :2] / np.maximum(use[:, 2:], 1)
    where, sizes = _kinds(nuclei, cells, middle, mpp=mpp, threads=threads)
    return _Geometry(cells, ids.astype(np.int64), middle, where, sizes[1:])


def _kinds(
    nuclei: Map, cells: Map, middle: NDArray[np.float64], *, mpp: float, threads: int
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    where = np.empty(cells.shape, np.uint8)
    bands = max(1, min(threads, cells.shape[0]))
    cuts = np.linspace(0, cells.shape[0], bands + 1).astype(int)
    rim = max(1, int(_RIM_UM / mpp + 1e-6) + 1)
    sizes = [np.zeros((len(middle), kernels.PARTS), np.int64) for _ in range(bands)]

    def look(k: int) -> None:
        kernels.kinds(nuclei, cells, middle, rim, cuts[k], cuts[k + 1], where, sizes[k])

    with ThreadPoolExecutor(bands) as pool:
        list(pool.map(look, range(bands)))
    return where, np.sum(sizes, axis=0)


def _measured(pixels: NDArray, raw: NDArray, geometry: _Geometry, *, threads: int) -> dict[str, NDArray]:
    """Measure all channels; each value (n, channels).

    Threads share the channels out among themselves, so that sums are made in one order whatever their number.
    """
    groups = [group for group in np.array_split(np.arange(len(pixels)), max(1, threads)) if len(group)]
    with ThreadPoolExecutor(max(1, len(groups))) as pool:
        parts = list(pool.map(lambda group: _some_channels(pixels, raw, geometry, group), groups))
    return {name: np.concatenate([part[name] for part in parts], axis=1) for name in parts[0]}


def _some_channels(pixels: NDArray, raw: NDArray, geometry: _Geometry, group: NDArray[np.int64]) -> dict[str, NDArray]:
    count, number = len(geometry.ids), len(group)
    sums = np.zeros((count + 1, kernels.PARTS, number))
    highest = np.full((count + 1, kernels.SECTORS, number), -np.inf, np.float32)
    largest = np.full((count + 1, number), -np.inf, np.float32)
    raw_sums = np.zeros((count + 1, number))
    first = int(group[0])
    kernels.measure(pixels, raw, geometry.cells, geometry.where, first, sums, highest, largest, raw_sums)
    mean, upper = (np.empty((count, number), np.float32) for _ in range(2))
    kernels.outline(highest[1:], _STRETCHES, mean, upper)
    size = geometry.sizes[:, :, None]
    whole = size.sum(axis=1)
    return {
        "mean": _ratio(sums[1:].sum(axis=1), whole),
        keys.NUCLEUS_MEAN: _ratio(sums[1:, 1], size[:, 1]),
        keys.CYTOPLASM_MEAN: _ratio(sums[1:, 0], size[:, 0]),
        keys.MEMBRANE_MEAN: mean,
        MEMBRANE_UPPER: upper,
        keys.CELL_MAX: largest[1:],
        RAW_MEAN: _ratio(raw_sums[1:], whole),
    }


def upper_stretch(stretches: NDArray[np.float64]) -> NDArray[np.float64]:
    """Level that 6 of 16 stretches reach (the same share of those that are there), (n,); NaN without any.

    This is the definition; :func:`biomarkers.seg.channel_kernels.outline` is what runs.

    Parameters
    ----------
    stretches
        (n, 16) highest level in each stretch, -inf where a stretch has no pixels.
    """
    ordered = np.sort(stretches, axis=1)[:, ::-1]
    there = np.isfinite(stretches).sum(axis=1)
    rank = np.maximum(1, -(-there * _STRETCHES // stretches.shape[1]))
    level: NDArray[np.float64] = ordered[np.arange(len(ordered)), rank - 1]
    return np.where(there > 0, level, np.nan)


def _replace_given(values: dict[str, NDArray], pixels: NDArray, labels: LabelMaps, geometry: _Geometry) -> None:
    """Read cytoplasm and membrane from maps made for them; a membrane pixel belongs to the cell it lies in.

    Membrane pixels outside every cell, where inForm draws a border between two, go to the nearest cell within 2 px.
    """
    from biomarkers.seg.grow import expand

    count = len(geometry.ids)
    new = np.zeros(int(geometry.ids.max(initial=0)) + 1, np.int32)
    new[geometry.ids] = np.arange(1, count + 1)
    compartments = {}
    if labels.cytoplasm is not None:
        compartments[keys.CYTOPLASM_MEAN] = new[labels.cytoplasm]
    if labels.membrane is not None:
        nearest = expand(geometry.cells, steps=2)
        compartments[keys.MEMBRANE_MEAN] = np.where(labels.membrane, nearest, 0)
    for name, owner in compartments.items():
        for channel, plane in enumerate(pixels):
            size = np.bincount(owner.ravel(), minlength=count + 1)[1:]
            total = np.bincount(owner.ravel(), weights=plane.ravel().astype(float), minlength=count + 1)[1:]
            values[name][:, channel] = _ratio(total, size)


def _table(tile: xr.DataArray, geometry: _Geometry, values: dict[str, NDArray]) -> ad.AnnData:
    import anndata as ad
    import pandas as pd

    mpp, count = float(tile.attrs[keys.MPP]), len(geometry.ids)
    size = geometry.sizes
    place = (geometry.middle[1:] + np.asarray(tile.attrs[keys.ORIGIN], float) + 0.5) * mpp
    obs = pd.DataFrame(
        {
            "label": geometry.ids,
            keys.X_UM: place[:, 0],
            keys.Y_UM: place[:, 1],
            keys.AREA_UM2: size.sum(axis=1) * mpp**2,
            keys.NUCLEUS_AREA_UM2: size[:, 1] * mpp**2,
            keys.CELL_CLASS: pd.Categorical([keys.UNKNOWN] * count, categories=list(keys.CELL_CLASSES)),
            keys.REGION: pd.Categorical([""] * count),
        },
        index=pd.Index([str(label) for label in geometry.ids], dtype=str),
    )
    names = [str(name) for name in tile.coords["c"].to_numpy()]
    cells = ad.AnnData(
        X=values["mean"],
        obs=obs,
        var=pd.DataFrame({"unit": ["intensity"] * len(names)}, index=pd.Index(names, dtype=str)),
    )
    for name in LAYERS:
        cells.layers[name] = values[name]
    cells.obsm[keys.SPATIAL] = place
    return cells


def _ratio(total: NDArray, size: NDArray) -> NDArray[np.float32]:
    return np.where(size > 0, total / np.maximum(size, 1), np.nan).astype(np.float32)
