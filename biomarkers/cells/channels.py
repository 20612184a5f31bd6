"""Cells of a multiplex image, measured: one row a cell, one column a marker, the schema of the brightfield path."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from biomarkers import keys
from biomarkers.cells import channel_kernels as kernels
from biomarkers.errors import DataError, UsageError
from biomarkers.slide.label_maps import LabelMaps, Map

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
    """Where cells are: labels 1..n in both maps, and each pixel's slot."""

    nuclei: Map
    cells: Map
    ids: NDArray[np.int64]
    middle: NDArray[np.float64]
    slots: Map
    sizes: NDArray[np.int64]  # (n, SLOTS) pixels of each slot


def measure_channels(
    tile: xr.DataArray, labels: LabelMaps, *, raw: xr.DataArray | None = None, threads: int = _THREADS
) -> ad.AnnData:
    """Measure every channel in every cell.

    Parameters
    ----------
    tile
        Channels (c, y, x) with ``mpp``; see :func:`biomarkers.slide.channels.read_channels`.
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
    """
    pixels = tile.to_numpy()
    geometry = _geometry(labels, shape=pixels.shape[1:], mpp=float(tile.attrs[keys.MPP]))
    with ThreadPoolExecutor(max_workers=max(1, threads)) as pool:
        parts = list(pool.map(lambda plane: _measured(plane, geometry), pixels))
    values = {name: np.stack([part[name] for part in parts], axis=1) for name in ("mean", *LAYERS)}
    if labels.cytoplasm is not None or labels.membrane is not None:
        _replace_given(values, pixels, labels, geometry)
    cells = _table(tile, geometry, values)
    if raw is not None:
        cells.layers[RAW_MEAN] = _raw_means(raw.sel(c=tile.coords["c"]).to_numpy(), geometry)
    return cells


def _geometry(labels: LabelMaps, *, shape: Sequence[int], mpp: float) -> _Geometry:
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
    count = int(max(nuclei.max(initial=0), cells.max(initial=0)))
    present = np.bincount(nuclei.ravel(), minlength=count + 1) + np.bincount(cells.ravel(), minlength=count + 1) > 0
    present[0] = False
    ids = np.flatnonzero(present)
    if len(ids) != count:
        new = np.zeros(count + 1, np.int32)
        new[ids] = np.arange(1, len(ids) + 1)
        nuclei, cells = new[nuclei], new[cells]
    cells = np.where((cells == 0) & (nuclei > 0), nuclei, cells).astype(np.int32, copy=False)
    middle, where = _middle_and_slots(nuclei, cells, len(ids), mpp)
    sizes = np.zeros((len(ids) + 1) * kernels.SLOTS, np.int64)
    kernels.count_slots(where, sizes)
    return _Geometry(nuclei, cells, ids.astype(np.int64), middle, where, sizes.reshape(-1, kernels.SLOTS)[1:])


def _middle_and_slots(nuclei: Map, cells: Map, count: int, mpp: float) -> tuple[NDArray[np.float64], Map]:
    own, whole = kernels.centroids(nuclei, count), kernels.centroids(cells, count)
    use = np.where(own[:, 2:] > 0, own, whole)  # a cell without a nucleus stands at its own centroid
    middle = use[:, :2] / np.maximum(use[:, 2:], 1)
    out = np.empty(cells.shape, np.int32)
    cuts = np.linspace(0, cells.shape[0], _THREADS + 1).astype(int)
    rim = max(1, int(_RIM_UM / mpp + 1e-6) + 1)
    with ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(lambda k: kernels.slots(nuclei, cells, middle, rim, cuts[k], cuts[k + 1], out), range(_THREADS)))
    return middle, out


def _measured(plane: NDArray, geometry: _Geometry) -> dict[str, NDArray[np.float64]]:
    """Measure one channel; each value (n,)."""
    count = len(geometry.ids)
    sums = np.zeros((count + 1) * kernels.SLOTS)
    highest = np.full((count + 1) * kernels.SLOTS, -np.inf)
    largest = np.full(count + 1, -np.inf)
    kernels.measure(np.ascontiguousarray(plane), geometry.slots, sums, highest, largest)
    total = sums.reshape(count + 1, kernels.SLOTS)[1:]
    size = geometry.sizes
    stretch = highest.reshape(count + 1, kernels.SLOTS)[1:, : kernels.SECTORS]
    inner = slice(0, kernels.SECTORS)
    return {
        "mean": _ratio(total.sum(axis=1), size.sum(axis=1)),
        keys.NUCLEUS_MEAN: _ratio(total[:, kernels.NUCLEUS], size[:, kernels.NUCLEUS]),
        keys.CYTOPLASM_MEAN: _ratio(total[:, inner].sum(axis=1), size[:, inner].sum(axis=1)),
        keys.MEMBRANE_MEAN: _mean_of_present(stretch),
        MEMBRANE_UPPER: upper_stretch(stretch),
        keys.CELL_MAX: largest[1:],
    }


def _raw_means(pixels: NDArray, geometry: _Geometry) -> NDArray[np.float32]:
    count = len(geometry.ids)
    means = np.zeros((count, len(pixels)), np.float32)
    size = geometry.sizes.sum(axis=1)

    def mean(channel: int) -> None:
        sums = np.zeros(count + 1)
        kernels.add_up(np.ascontiguousarray(pixels[channel]), geometry.slots, sums)
        means[:, channel] = _ratio(sums[1:], size)

    with ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(mean, range(len(pixels))))
    return means


def upper_stretch(stretches: NDArray[np.float64]) -> NDArray[np.float64]:
    """Level that 6 of 16 stretches reach (the same share of those that are there), (n,); NaN without any.

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


def _mean_of_present(stretches: NDArray[np.float64]) -> NDArray[np.float64]:
    there = np.isfinite(stretches)
    return _ratio(np.where(there, stretches, 0).sum(axis=1), there.sum(axis=1))


def _replace_given(
    values: dict[str, NDArray[np.float64]], pixels: NDArray, labels: LabelMaps, geometry: _Geometry
) -> None:
    """Read cytoplasm and membrane from maps made for them; a membrane pixel belongs to the cell it lies in.

    Membrane pixels outside every cell, where inForm draws a border between two, go to the nearest cell within 2 px.
    """
    from biomarkers.cells.grow import expand

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


def _table(tile: xr.DataArray, geometry: _Geometry, values: dict[str, NDArray[np.float64]]) -> ad.AnnData:
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
            keys.NUCLEUS_AREA_UM2: size[:, kernels.NUCLEUS] * mpp**2,
            keys.CELL_CLASS: pd.Categorical([keys.UNKNOWN] * count, categories=list(keys.CELL_CLASSES)),
            keys.REGION: pd.Categorical([""] * count),
        },
        index=pd.Index([str(label) for label in geometry.ids], dtype=str),
    )
    names = [str(name) for name in tile.coords["c"].to_numpy()]
    cells = ad.AnnData(
        X=values["mean"].astype(np.float32),
        obs=obs,
        var=pd.DataFrame({"unit": ["intensity"] * len(names)}, index=pd.Index(names, dtype=str)),
    )
    for name in LAYERS:
        cells.layers[name] = values[name].astype(np.float32)
    cells.obsm[keys.SPATIAL] = place
    return cells


def _ratio(total: NDArray, size: NDArray) -> NDArray[np.float64]:
    return np.where(size > 0, total / np.maximum(size, 1), np.nan)
