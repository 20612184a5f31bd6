"""Where cells stand: nests of tumour in stroma, lymphocytes and macrophages among them, at a chosen crowding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from biomarkers.core.keys import LYMPHOCYTE, MACROPHAGE, STROMA, TUMOR

Crowding = Literal["sparse", "dense", "touching"]
CROWDINGS: Final = ("sparse", "dense", "touching")

# distance between neighbouring tumour cells, um; nuclei are 9-12 um across
_SPACING_UM: Final = {"sparse": 19.0, "dense": 14.0, "touching": 11.5}
_STROMA_SPACING_UM: Final = {"sparse": 22.0, "dense": 17.0, "touching": 14.0}
_MARGIN_UM: Final = 8.0
_NEST_UM: Final = 70.0
_MACROPHAGE_SHARE: Final = {TUMOR: 0.03, STROMA: 0.15}
# nucleus area in um2 (low, high) and axis ratio (low, high), by class
NUCLEUS_AREA_UM2: Final = {TUMOR: (60, 120), LYMPHOCYTE: (25, 45), MACROPHAGE: (45, 75), STROMA: (30, 60)}
_AXIS_RATIO: Final = {TUMOR: (1.0, 1.5), LYMPHOCYTE: (1.0, 1.15), MACROPHAGE: (1.2, 1.9), STROMA: (2.6, 4.5)}
_CYTOPLASM_UM: Final = {TUMOR: (2.2, 3.6), LYMPHOCYTE: (0.7, 1.1), MACROPHAGE: (2.5, 4.5), STROMA: (0.8, 1.4)}


@dataclass(frozen=True)
class Layout:
    """Cells before they are drawn: positions in um, classes, and the shape of each nucleus.

    ``tumor_mask`` is (y, x) bool at the image's resolution.
    """

    x_um: np.ndarray
    y_um: np.ndarray
    cell_class: np.ndarray
    nucleus_area_um2: np.ndarray
    axis_ratio: np.ndarray
    angle: np.ndarray
    cytoplasm_um: np.ndarray
    tumor_mask: np.ndarray


def lay_out(
    rng: np.random.Generator,
    *,
    size_px: tuple[int, int],
    mpp: float,
    crowding: Crowding,
    tumor_share: float,
    lymphocytes_per_mm2: float,
) -> Layout:
    """Place cells of every class; those whose nucleus would cross the image's edge are kept, as on a real tile."""
    mask = _tumor_mask(rng, size_px, mpp, tumor_share)
    height, width = (edge * mpp for edge in size_px)
    base = _lattice(rng, width, height, _SPACING_UM[crowding])
    base = base[_inside(mask, base, mpp)]
    stroma = _lattice(rng, width, height, _STROMA_SPACING_UM[crowding])
    stroma = stroma[~_inside(mask, stroma, mpp)]
    immune = _lymphocytes(rng, mask, mpp, width, height, lymphocytes_per_mm2)
    kinds = np.concatenate([
        _with_macrophages(rng, TUMOR, len(base)),
        _with_macrophages(rng, STROMA, len(stroma)),
        np.full(len(immune), LYMPHOCYTE, dtype=object),
    ])  # fmt: skip
    points = np.vstack([base, stroma, immune])
    keep = _without_overlap(points, kinds)
    points, kinds = points[keep], kinds[keep]
    order = np.lexsort((points[:, 0], points[:, 1]))
    return _shaped(rng, points[order], kinds[order], mask)


def _tumor_mask(rng: np.random.Generator, size_px: tuple[int, int], mpp: float, share: float) -> np.ndarray:
    """Smooth noise cut at the wanted share: nests with rounded edges."""
    if share >= 1 or share <= 0:
        return np.full(size_px, share >= 1)
    step = max(1, round(8 / mpp))  # drawn coarse, then enlarged: nests have no fine detail
    coarse = (size_px[0] // step + 3, size_px[1] // step + 3)
    field = ndimage.gaussian_filter(rng.standard_normal(coarse), _NEST_UM / mpp / step / 3, mode="wrap")
    fine = ndimage.zoom(field, step, order=1)[: size_px[0], : size_px[1]]
    return fine > np.quantile(fine, 1 - share)


def _lattice(rng: np.random.Generator, width: float, height: float, spacing: float) -> np.ndarray:
    """Return a jittered hexagonal lattice: even, as epithelium is, but not regular."""
    rows = np.arange(-_MARGIN_UM, height + _MARGIN_UM, spacing * np.sqrt(3) / 2)
    columns = np.arange(-_MARGIN_UM, width + _MARGIN_UM, spacing)
    x, y = np.meshgrid(columns, rows)
    x = x + (np.arange(len(rows)) % 2)[:, None] * spacing / 2
    points = np.column_stack([x.ravel(), y.ravel()])
    return points + rng.normal(0, 0.13 * spacing, points.shape)


def _lymphocytes(
    rng: np.random.Generator, mask: np.ndarray, mpp: float, width: float, height: float, per_mm2: float
) -> np.ndarray:
    """Scatter lymphocytes, three times as dense in stroma as inside nests."""
    area_mm2 = (width + 2 * _MARGIN_UM) * (height + 2 * _MARGIN_UM) / 1e6
    share = mask.mean()
    peak = per_mm2 / (1 - share + share / 3)
    n = rng.poisson(peak * area_mm2)
    x, y = (rng.uniform(-_MARGIN_UM, edge + _MARGIN_UM, n) for edge in (width, height))
    points = np.column_stack([x, y])
    return points[~_inside(mask, points, mpp) | (rng.random(len(points)) < 1 / 3)]


def _with_macrophages(rng: np.random.Generator, kind: str, n: int) -> np.ndarray:
    kinds = np.full(n, kind, dtype=object)
    kinds[rng.random(n) < _MACROPHAGE_SHARE[kind]] = MACROPHAGE
    return kinds


def _without_overlap(points: np.ndarray, kinds: np.ndarray) -> np.ndarray:
    """Drop whoever stands on a cell that came before; lymphocytes come first, since they squeeze in between others."""
    radius = np.array([np.sqrt(np.mean(NUCLEUS_AREA_UM2[kind]) / np.pi) for kind in kinds])
    rank = np.where(kinds == LYMPHOCYTE, 0, 1)
    pairs = cKDTree(points).query_pairs(2 * radius.max(), output_type="ndarray")
    distance = np.linalg.norm(points[pairs[:, 0]] - points[pairs[:, 1]], axis=1)
    close = pairs[distance < 0.8 * (radius[pairs[:, 0]] + radius[pairs[:, 1]])]
    keep = np.ones(len(points), dtype=bool)
    for first, second in close[np.lexsort((close[:, 1], close[:, 0]))]:
        if keep[first] and keep[second]:
            keep[second if rank[first] <= rank[second] else first] = False
    return keep


def _shaped(rng: np.random.Generator, points: np.ndarray, kinds: np.ndarray, mask: np.ndarray) -> Layout:
    n = len(points)
    low, high = (np.array([NUCLEUS_AREA_UM2[kind][i] for kind in kinds]) for i in (0, 1))
    flat, long = (np.array([_AXIS_RATIO[kind][i] for kind in kinds]) for i in (0, 1))
    thin, thick = (np.array([_CYTOPLASM_UM[kind][i] for kind in kinds]) for i in (0, 1))
    return Layout(
        x_um=points[:, 0],
        y_um=points[:, 1],
        cell_class=kinds,
        nucleus_area_um2=low + (high - low) * rng.beta(2, 2, n),
        axis_ratio=flat + (long - flat) * rng.beta(1.5, 3, n),
        angle=rng.uniform(0, np.pi, n),
        cytoplasm_um=rng.uniform(thin, thick),
        tumor_mask=mask,
    )


def _inside(mask: np.ndarray, points: np.ndarray, mpp: float) -> np.ndarray:
    column = np.clip((points[:, 0] / mpp).astype(int), 0, mask.shape[1] - 1)
    row = np.clip((points[:, 1] / mpp).astype(int), 0, mask.shape[0] - 1)
    inside: np.ndarray = mask[row, column]
    return inside
