"""Cross-type functions: how many cells of one kind, and how near the nearest, around those of another, by distance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from biomarkers.core.errors import UsageError
from biomarkers.pheno.phenotype import select_cells
from biomarkers.score.regions import TissueRegions
from biomarkers.score.space import against_chance, checked_radius, doubts, one_image, positions, region_codes

if TYPE_CHECKING:
    from anndata import AnnData

    Rng = np.random.Generator | int

Window = TissueRegions | tuple[float, float, float, float]
Bools = NDArray[np.bool_]
COLUMNS = (
    "region", "from", "to", "radius_um", "n_from", "n_to", "n_inner", "k_um2", "l_um", "g", "k_random", "g_random",
    "k_expected", "k_low", "k_high", "p", "note",
)  # fmt: skip


@dataclass(frozen=True)
class _Place:
    """Where cells can be: its area in um2, which cells lie in it, and how far each is from its border."""

    area: float
    inside: Bools
    to_border: NDArray[np.float64]


def cross_functions(
    cells: AnnData,
    *,
    source: str,
    target: str,
    radius_um: Sequence[float],
    window: Window | None = None,
    region: str = "all",
    n_permutations: int = 0,
    rng: Rng = 0,
) -> pd.DataFrame:
    """Ripley's cross-type K and L, and the cross-type nearest-neighbour distribution G.

    Parameters
    ----------
    cells
        One image's cells, with ``obsm["spatial"]`` in um.
    source, target
        Phenotype rules (:func:`~biomarkers.pheno.phenotype.select_cells`); a cell is never its own neighbour.
    radius_um
        Distances at which the functions are read.
    window
        Where cells can be: the regions of a scored image, or a rectangle (x_low, y_low, x_high, y_high) in um; the
        rectangle around all cells when absent.
    region
        Which of the regions: ``all`` (tissue), ``tumor``, ``stroma``, ``margin``.
    n_permutations
        How often target labels are moved over the cells that can bear them, as :func:`~biomarkers.score.space.
        proximity_test` does, as often or, where cells are many, less often; 0 leaves the last columns empty.
    rng
        Generator or seed.

    Returns
    -------
    One row a radius. ``k_um2``: targets within the radius of a source, per target density; ``l_um`` = sqrt(K / pi);
    ``g``: share of sources whose nearest target is within the radius. ``n_inner`` sources lie at least the radius
    inside the window; only these are looked at, so that what lies beyond the border is not taken for empty (the border
    or reduced-sample correction). ``k_random`` and ``g_random`` are those of targets strewn evenly; ``k_expected`` and
    its 95% range ``k_low`` to ``k_high`` those of moved labels, ``p`` two-sided; ``note`` says what puts it in doubt,
    or why there is none.

    Raises
    ------
    UsageError
        There is no such region, a radius is not above 0, or cells have no positions.

    References
    ----------
    Ripley 1988, Statistical Inference for Spatial Processes; Baddeley, Rubak and Turner 2015, Spatial Point Patterns.
    Held to spatstat's ``Kcross(correction = "border")`` and ``Gcross(correction = "rs")``.

    Examples
    --------
    >>> import anndata as ad
    >>> import numpy as np
    >>> import pandas as pd
    >>> import biomarkers as bm
    >>> xy = np.array([[0.0, 0.0], [8.0, 0.0], [100.0, 0.0], [108.0, 0.0]])
    >>> obs = pd.DataFrame(
    ...     {"CD8_positive": [True, False, True, False], "CK_positive": [False, True, False, True]},
    ...     index=list("abcd"),
    ... )
    >>> cells = ad.AnnData(obs=obs, obsm={"spatial": xy})
    >>> found = bm.cross_functions(
    ...     cells, source="CD8+", target="CK+", radius_um=[5, 10], window=(0, 0, 200, 200)
    ... )
    >>> found["radius_um"].tolist()
    [5.0, 10.0]
    """
    cells = one_image(cells)
    xy = positions(cells)
    place = _place(cells, xy, window, region)
    masks = {name: select_cells(cells, name) & place.inside for name in (source, target)}
    start, end = masks[source], masks[target]
    density = end.sum() / place.area
    generator = np.random.default_rng(rng)
    rows = []
    for radius in map(checked_radius, radius_um):
        eligible = place.to_border >= radius
        inner = start & eligible
        near, nearest = _neighbours(xy, inner, end, radius)
        scale = 1 / (density * inner.sum()) if inner.any() and end.any() else np.nan
        k = near.sum() * scale
        row = {
            "region": region, "from": source, "to": target, "radius_um": radius, "n_from": int(start.sum()),
            "n_to": int(end.sum()), "n_inner": int(inner.sum()), "k_um2": k, "l_um": np.sqrt(k / np.pi),
            "g": float((nearest <= radius).mean()) if inner.any() and end.any() else np.nan,
            "k_random": np.pi * radius**2, "g_random": 1 - np.exp(-density * np.pi * radius**2),
            "note": "" if np.isfinite(scale) else _nobody(start, end, inner, source, target),
        }  # fmt: skip
        if n_permutations and np.isfinite(scale):
            chance = against_chance(
                xy[place.inside], eligible=eligible[place.inside], source=start[place.inside], target=end[place.inside],
                movable=None, region=region_codes(cells)[place.inside], radius_um=radius, n=n_permutations,
                rng=generator,
            )  # fmt: skip
            row |= {
                "k_expected": chance.expected * scale, "k_low": chance.low * scale, "k_high": chance.high * scale,
                "p": chance.p, "note": doubts(chance, radius),
            }  # fmt: skip
        rows.append(row)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _nobody(start: Bools, end: Bools, inner: Bools, source: str, target: str) -> str:
    if not start.any() or not end.any():
        return f"not testable: no {target if start.any() else source} cells in the window"
    return "not testable: no source cell lies as far as the radius inside the window" if not inner.any() else ""


def _place(cells: AnnData, xy: NDArray[np.float64], window: Window | None, region: str) -> _Place:
    if isinstance(window, TissueRegions):
        return _in_regions(cells, xy, window, region)
    if region != "all":
        raise UsageError(
            "a region needs the regions of a scored image", seen=region, hint="Give window=result.regions."
        )
    if window is None:
        window = (*xy.min(axis=0), *xy.max(axis=0)) if len(xy) else (0.0, 0.0, 1.0, 1.0)
    low, high = np.array(window[:2], float), np.array(window[2:], float)
    if not (high > low).all():
        hint = "Give window=(x_low, y_low, x_high, y_high): the cells themselves span no area."
        raise UsageError(
            "the window has no area", seen=window, allowed="(x_low, y_low, x_high, y_high) in um", hint=hint
        )
    to_border = np.minimum(xy - low, high - xy).min(axis=1)
    return _Place(float((high - low).prod()), to_border >= 0, to_border)


def _in_regions(cells: AnnData, xy: NDArray[np.float64], regions: TissueRegions, region: str) -> _Place:
    """Distances to a region's border, to the nearest half of a square of its grid; the image's edge is a border."""
    from scipy import ndimage

    if region not in regions.masks:
        raise UsageError("no such region", seen=region, allowed=tuple(regions.masks))
    mask = regions.masks[region]
    far = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1] - 0.5
    at = ((xy - np.asarray(regions.origin_um)) / regions.grid_um).astype(int)
    column, row = (np.clip(at[:, axis], 0, mask.shape[1 - axis] - 1) for axis in (0, 1))
    inside = regions.members(cells, region)
    return _Place(float(mask.sum()) * regions.grid_um**2, inside, far[row, column] * regions.grid_um)


def _neighbours(
    xy: NDArray[np.float64], inner: Bools, end: Bools, radius: float
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """For each inner source, how many other targets are within the radius, and how far the nearest one is."""
    from scipy.spatial import cKDTree

    if not inner.any() or not end.any():
        return np.zeros(int(inner.sum()), np.int64), np.full(int(inner.sum()), np.inf)
    tree, own = cKDTree(xy[end]), end[inner]
    near = tree.query_ball_point(xy[inner], radius, return_length=True, workers=-1).astype(np.int64) - own
    nearest = tree.query(xy[inner], k=[1, 2], workers=-1)[0]
    return near, np.where(own, nearest[:, 1], nearest[:, 0])
