"""Where tumour, stroma and the margin between them lie in a multiplex image, and how large they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from biomarkers import keys

if TYPE_CHECKING:
    from anndata import AnnData

ALL, MARGIN = "all", "margin"
GRID_UM: Final = 4.0  # regions are drawn on squares of this size
_GAP_UM = 20.0  # tissue between cells up to twice this apart is tissue
_NEST_UM = 14.0  # over so much tissue the share of tumour cells is judged
_TUMOR_SHARE = 0.5
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Regions:
    """Masks on a grid of ``grid_um``: ``all`` (tissue), ``tumor``, ``stroma``, and ``margin``, which overlaps both.

    ``origin_um`` is the place of the grid's first corner. ``source`` says what the tumour was told by.
    """

    masks: Mapping[str, Mask]
    grid_um: float
    origin_um: tuple[float, float]
    source: str

    def area_mm2(self, name: str) -> float | None:
        """Area of a region; None when there is no such region."""
        mask = self.masks.get(name)
        return None if mask is None else float(np.count_nonzero(mask)) * self.grid_um**2 / 1e6

    def members(self, cells: AnnData, name: str) -> NDArray[np.bool_]:
        """Which cells stand in a region, (n,)."""
        mask = self.masks[name]
        place = cells.obs[[keys.X_UM, keys.Y_UM]].to_numpy(dtype=float) - np.asarray(self.origin_um)
        column, row = (
            np.clip((place[:, axis] / self.grid_um).astype(int), 0, mask.shape[1 - axis] - 1) for axis in (0, 1)
        )
        inside: NDArray[np.bool_] = mask[row, column]
        return inside


def regions_from_cells(
    cells: AnnData, *, size_um: tuple[float, float], origin_um: tuple[float, float] = (0.0, 0.0), margin_um: float
) -> Regions:
    """Draw tissue around all cells, and tumour where tumour cells make up half of the cell area.

    Parameters
    ----------
    cells
        Cells of one image with ``x_um``, ``y_um``, ``area_um2`` and ``cell_class``.
    size_um
        (height, width) of the image.
    origin_um
        (x, y) of its first corner.
    margin_um
        Width of the margin on either side of the tumour's border.

    Returns
    -------
    Regions; without tumour cells there is only ``all``.
    """
    from scipy import ndimage

    shape = tuple(max(1, round(side / GRID_UM)) for side in size_um)
    place = cells.obs[[keys.X_UM, keys.Y_UM]].to_numpy(dtype=float) - np.asarray(origin_um)
    row, column = (np.clip((place[:, axis] / GRID_UM).astype(int), 0, shape[1 - axis] - 1) for axis in (1, 0))
    area = cells.obs[keys.AREA_UM2].to_numpy(dtype=float)
    area = np.where(np.isfinite(area), area, 100.0)
    tumor = (cells.obs[keys.CELL_CLASS].astype(str) == keys.TUMOR).to_numpy()
    cover = np.zeros(shape)
    np.add.at(cover, (row, column), area)
    tissue = _closed(cover > 0, _GAP_UM / GRID_UM)
    if not tumor.any():
        return Regions({ALL: tissue}, GRID_UM, origin_um, "no tumor cells")
    own = np.zeros(shape)
    np.add.at(own, (row[tumor], column[tumor]), area[tumor])
    sigma = _NEST_UM / GRID_UM
    share = ndimage.gaussian_filter(own, sigma, mode="nearest") / np.maximum(
        ndimage.gaussian_filter(cover, sigma, mode="nearest"), 1e-9
    )
    return _parted(tissue, tissue & (share > _TUMOR_SHARE), origin_um, margin_um, "tumor cells")


def regions_from_masks(
    tissue: Mask, tumor: Mask, *, mpp: float, origin_um: tuple[float, float], margin_um: float, source: str
) -> Regions:
    """Take regions that were drawn: tissue and tumour as masks of the image's own size."""
    step = max(1, round(GRID_UM / mpp))
    half = step // 2
    return _parted(
        tissue[half::step, half::step], (tumor & tissue)[half::step, half::step], origin_um, margin_um, source,
        grid_um=step * mpp,
    )  # fmt: skip


def _parted(
    tissue: Mask,
    tumor: Mask,
    origin_um: tuple[float, float],
    margin_um: float,
    source: str,
    *,
    grid_um: float = GRID_UM,
) -> Regions:
    from scipy import ndimage

    masks = {ALL: tissue, keys.TUMOR: tumor, keys.STROMA: tissue & ~tumor}
    margin = np.zeros_like(tissue)
    if tumor.any() and (tissue & ~tumor).any():
        # neither the image's edge nor glass is a border of the tumour: only stroma makes one
        to_stroma = ndimage.distance_transform_edt(~(tissue & ~tumor))
        to_tumor = ndimage.distance_transform_edt(~tumor)
        margin = tissue & (np.where(tumor, to_stroma, to_tumor) <= margin_um / grid_um)
    masks[MARGIN] = margin
    return Regions(masks, grid_um, origin_um, source)


def _closed(mask: Mask, radius: float) -> Mask:
    """Close gaps up to twice the radius, as if the picture went on beyond its edge."""
    from scipy import ndimage

    wide = int(np.ceil(radius))
    padded = np.pad(mask, wide, mode="reflect" if min(mask.shape) > wide else "edge")
    grown = ndimage.distance_transform_edt(~padded) <= radius
    back = ndimage.distance_transform_edt(grown) > radius
    inner = (padded | back | (ndimage.distance_transform_edt(~padded) <= 1.5))[wide:-wide, wide:-wide]
    return np.asarray(inner, dtype=bool)
