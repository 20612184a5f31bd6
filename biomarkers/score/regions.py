"""Where tumour, stroma and the margin between them lie in a multiplex image, and how large they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from biomarkers.core import keys
from biomarkers.core.words import plural
from biomarkers.score.tissue_cells import tissue_around_cells

if TYPE_CHECKING:
    from anndata import AnnData

ALL, MARGIN = "all", "margin"
GRID_UM: Final = 4.0  # regions are drawn on squares of this size
_NEST_UM = 14.0  # over so much tissue the share of tumour cells is judged
_TUMOR_SHARE = 0.5
# cells per mm2 of tissue: fewer is glass or fat taken for tissue, more is a wrong pixel size. Lymphoid tissue, the
# densest, holds 10,000 to 15,000 in sections of 4 um.
PLAUSIBLE_PER_MM2: Final = (100, 20_000)
_FEWEST_JUDGED = 20  # cells
_AREA_WITHIN: Final = 0.05  # half of the 95% interval of an area, up to which nothing is said
_FINE_PX = 4_000_000  # masks up to this have their distances measured from every pixel
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class TissueRegions:
    """Masks on a grid of ``grid_um``: ``all`` (tissue), ``tumor``, ``stroma``, and ``margin``, which overlaps both.

    ``origin_um`` is the place of the grid's first corner. ``source`` says what the tumour was told by, ``area_source``
    what the tissue was: ``picture``, ``cells``, ``annotations`` or ``tissue map``. ``area_error`` is the standard error
    of the areas as a share of them, where cells alone tell them (0 elsewhere); ``notes`` say what is to be known of
    the regions.
    """

    masks: Mapping[str, Mask]
    grid_um: float
    origin_um: tuple[float, float]
    source: str
    area_source: str = ""
    area_error: float = 0.0
    notes: tuple[str, ...] = ()

    def area_mm2(self, name: str) -> float | None:
        """Area of a region; None when there is no such region."""
        mask = self.masks.get(name)
        return None if mask is None else float(np.count_nonzero(mask)) * self.grid_um**2 / 1e6

    def members(self, cells: AnnData, name: str) -> NDArray[np.bool_]:
        """Which cells stand in a region, (n,); a cell outside the image stands in none."""
        mask = self.masks[name]
        place = cells.obs[[keys.X_UM, keys.Y_UM]].to_numpy(dtype=float) - np.asarray(self.origin_um)
        row, column, there = _squares(place, mask.shape, self.grid_um)
        inside: NDArray[np.bool_] = mask[row, column] & there
        return inside


def _squares(
    place: NDArray[np.float64], shape: tuple[int, ...], grid_um: float
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.bool_]]:
    """Row and column of the square that each place (x, y in um) lies in, and which places lie in the image.

    A grid may end up to a square before its image does.
    """
    most = (np.array([shape[1], shape[0]]) + 1) * grid_um
    known = (place >= 0) & (place <= most)  # a place that is not a number is in no image
    there: NDArray[np.bool_] = known[:, 0] & known[:, 1]
    at = np.where(there.reshape(-1, 1), place, 0.0) / grid_um
    row: NDArray[np.intp] = np.minimum(at[:, 1].astype(np.intp), shape[0] - 1)
    column: NDArray[np.intp] = np.minimum(at[:, 0].astype(np.intp), shape[1] - 1)
    return row, column, there


def regions_from_cells(
    cells: AnnData,
    *,
    size_um: tuple[float, float],
    origin_um: tuple[float, float] = (0.0, 0.0),
    margin_um: float,
    tissue: Mask | None = None,
    kept: Mask | None = None,
    mpp: float | None = None,
) -> TissueRegions:
    """Draw tissue around all cells, and tumour where tumour cells make up half of the cell area.

    Parameters
    ----------
    cells
        Cells of one image with ``x_um``, ``y_um``, ``area_um2`` and ``cell_class``; those with ``excluded`` true are
        left out, and so are those outside the image, which ``notes`` of the result says.
    size_um
        (height, width) of the image.
    origin_um
        (x, y) of its first corner.
    margin_um
        Width of the margin on either side of the tumour's border.
    tissue
        Where the picture shows tissue, on squares of ``GRID_UM``; told from the cells alone when absent
        (:func:`~biomarkers.score.tissue_cells.tissue_around_cells`).
    kept, mpp
        Pixels (of ``mpp`` um) that annotations leave in, all when absent.

    Returns
    -------
    Regions; without tumour cells there is only ``all``.
    """
    from scipy import ndimage

    shape = tuple(max(1, round(side / GRID_UM)) for side in size_um)
    place = cells.obs[[keys.X_UM, keys.Y_UM]].to_numpy(dtype=float) - np.asarray(origin_um)
    used = ~cells.obs["excluded"].to_numpy(dtype=bool) if "excluded" in cells.obs else np.ones(len(place), bool)
    row, column, there = _squares(place, shape, GRID_UM)
    notes = _outside_notes(place, there, size_um)
    used &= there
    everyone, place = place[there], place[used]  # cells of an ignored area show tissue too, up to where it was drawn
    row, column = row[used], column[used]
    area = cells.obs[keys.AREA_UM2].to_numpy(dtype=float)[used]
    area = np.where(np.isfinite(area), area, 100.0)
    tumor = (cells.obs[keys.CELL_CLASS].astype(str) == keys.TUMOR).to_numpy()[used]
    cover = np.zeros(shape)
    np.add.at(cover, (row, column), area)
    source, error = "cells" if tissue is None else "picture", 0.0
    if tissue is None:
        shown = place if kept is None else everyone
        drawn = tissue_around_cells(shown, shape=(shape[0], shape[1]), grid_um=GRID_UM)
        tissue, error = drawn.mask, drawn.area_error
        notes += _area_notes(error)
    tissue = tissue | (cover > 0)
    nests = None
    if tumor.any():
        own = np.zeros(shape)
        np.add.at(own, (row[tumor], column[tumor]), area[tumor])
        sigma = _NEST_UM / GRID_UM
        share = ndimage.gaussian_filter(own, sigma, mode="nearest") / np.maximum(
            ndimage.gaussian_filter(cover, sigma, mode="nearest"), 1e-9
        )
        nests = _nearest_seen(share > _TUMOR_SHARE, ndimage.gaussian_filter(cover, sigma, mode="nearest") > 1e-6)
    grid_um = GRID_UM
    if kept is not None and mpp is not None:  # what was drawn holds to the pixel
        tissue = _at_pixels(tissue, kept.shape, mpp) & kept
        nests = None if nests is None else _at_pixels(nests, kept.shape, mpp)
        grid_um, source = mpp, f"{source}, within annotations"
    if nests is None:
        return TissueRegions({ALL: tissue}, grid_um, origin_um, "no tumor cells", source, error, notes)
    parted = _parted(tissue, tissue & nests, origin_um, margin_um, "tumor cells", grid_um=grid_um, area_source=source)
    return replace(parted, area_error=error, notes=notes)


def _outside_notes(
    place: NDArray[np.float64], there: NDArray[np.bool_], size_um: tuple[float, float]
) -> tuple[str, ...]:
    """Say how many cells lie outside the image, and where the first of them is."""
    if there.all():
        return ()
    x, y = place[int(np.flatnonzero(~there)[0])]
    note = (
        f"{plural(int((~there).sum()), 'cell')} outside the image ({size_um[1]:g} x {size_um[0]:g} um; the first at x "
        f"{x:g}, y {y:g}) left out of every region: do pixel size and origin of the cells fit the image?"
    )
    return (note,)


def _area_notes(error: float) -> tuple[str, ...]:
    """Say that cells alone tell the area less well than is wanted."""
    if 1.96 * error <= _AREA_WITHIN:
        return ()
    note = (
        f"tissue area told by few cells alone: right within {100 * 1.96 * error:.0f}% (95%), which is in the intervals "
        "of densities; annotations would settle it"
    )
    return (note,)


def regions_from_masks(
    tissue: Mask, tumor: Mask, *, mpp: float, origin_um: tuple[float, float], margin_um: float, source: str
) -> TissueRegions:
    """Take regions that were drawn, to the pixel: tissue and tumour as masks of the image's own size."""
    return _parted(tissue, tumor & tissue, origin_um, margin_um, source, grid_um=mpp, area_source=source)


def implausible_densities(cells: AnnData, regions: TissueRegions) -> list[str]:
    """Say which regions hold more or fewer cells per mm2 than tissue does: area or pixel size may be wrong."""
    counted = ~cells.obs["excluded"].to_numpy(dtype=bool) if "excluded" in cells.obs else np.ones(cells.n_obs, bool)
    counts = {name: int((regions.members(cells, name) & counted).sum()) for name in regions.masks if cells.n_obs}
    return density_notes(counts, {name: regions.area_mm2(name) for name in counts})


def density_notes(counts: Mapping[str, int], areas: Mapping[str, float | None]) -> list[str]:
    """Say which of some cell counts are implausible for their areas (mm2).

    Examples
    --------
    >>> density_notes({"all": 50_000}, {"all": 1.0})
    ['all: 50,000 cells/mm2 are implausible for tissue (100 to 20,000): check the pixel size and the area']
    """
    notes = []
    for name, count in counts.items():
        area = areas.get(name)
        if not area or count < _FEWEST_JUDGED or name == MARGIN:
            continue
        density = count / area
        if not PLAUSIBLE_PER_MM2[0] <= density <= PLAUSIBLE_PER_MM2[1]:
            low, high = PLAUSIBLE_PER_MM2
            notes.append(
                f"{name}: {density:,.0f} cells/mm2 are implausible for tissue ({low:,} to {high:,}): "
                "check the pixel size and the area"
            )
    return notes


def _parted(
    tissue: Mask,
    tumor: Mask,
    origin_um: tuple[float, float],
    margin_um: float,
    source: str,
    *,
    grid_um: float = GRID_UM,
    area_source: str = "",
) -> TissueRegions:
    stroma = tissue & ~tumor
    masks = {ALL: tissue, keys.TUMOR: tumor, keys.STROMA: stroma}
    margin = np.zeros_like(tissue)
    if tumor.any() and stroma.any():
        # neither the image's edge nor glass is a border of the tumour: only stroma makes one
        step = max(1, round(GRID_UM / grid_um)) if tissue.size > _FINE_PX else 1
        to_stroma, to_tumor = (_distance(mask, step) * grid_um for mask in (stroma, tumor))
        margin = tissue & (np.where(tumor, to_stroma, to_tumor) <= margin_um)
    masks[MARGIN] = margin
    return TissueRegions(masks, grid_um, origin_um, source, area_source)


def _distance(mask: Mask, step: int) -> NDArray[np.float64]:
    """Distance to the nearest pixel of a mask, in pixels; of large masks from every ``step``-th pixel."""
    from scipy import ndimage

    if step == 1:
        return np.asarray(ndimage.distance_transform_edt(~mask))
    half = step // 2
    coarse = ndimage.distance_transform_edt(~mask[half::step, half::step]).astype(np.float32) * step
    rows, columns = (
        np.minimum(np.arange(n) // step, side - 1) for n, side in zip(mask.shape, coarse.shape, strict=True)
    )
    return np.asarray(coarse[rows[:, None], columns[None, :]])


def _at_pixels(mask: Mask, shape: tuple[int, ...], mpp: float) -> Mask:
    """Show a mask of squares of ``GRID_UM`` on an image's own pixels."""
    rows, columns = (
        np.minimum(((np.arange(n) + 0.5) * mpp / GRID_UM).astype(int), side - 1)
        for n, side in zip(shape, mask.shape, strict=True)
    )
    return np.asarray(mask[rows[:, None], columns[None, :]])


def _nearest_seen(mask: Mask, seen: Mask) -> Mask:
    """Give squares too far from any cell to be judged the answer of the nearest that were."""
    from scipy import ndimage

    if seen.all() or not seen.any():
        return mask
    at = ndimage.distance_transform_edt(~seen, return_distances=False, return_indices=True)
    return np.asarray(mask[tuple(at)])
