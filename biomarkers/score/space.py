"""Who is near whom: nearest neighbours, counts within a radius, and how that compares with chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from biomarkers.cells.phenotype import select_cells
from biomarkers.errors import UsageError
from biomarkers.keys import REGION, SPATIAL

if TYPE_CHECKING:
    from anndata import AnnData

    Rng = np.random.Generator | int


def nearest_distances(cells: AnnData, *, pairs: Sequence[tuple[str, str]]) -> pd.DataFrame:
    """Distance from each cell of one kind to the nearest of another.

    Parameters
    ----------
    cells
        One image's cells, with ``obsm["spatial"]`` in um.
    pairs
        ``(from, to)`` phenotype rules (:func:`~biomarkers.cells.phenotype.select_cells`). A cell is never its own
        neighbour.

    Returns
    -------
    One row a pair: ``from, to, n_from, n_to, mean_um, median_um`` (NaN where there is nobody to be near).
    """
    xy = positions(cells)
    masks = _masks(cells, [name for pair in pairs for name in pair])
    rows = []
    for source, target in pairs:
        distance = _nearest(xy, masks[source], masks[target])
        known = distance[np.isfinite(distance)]
        rows.append(
            {
                "from": source,
                "to": target,
                "n_from": int(masks[source].sum()),
                "n_to": int(masks[target].sum()),
                "mean_um": float(known.mean()) if len(known) else np.nan,
                "median_um": float(np.median(known)) if len(known) else np.nan,
            }
        )
    return pd.DataFrame(rows)


def count_within(
    cells: AnnData,
    *,
    pairs: Sequence[tuple[str, str]],
    radius_um: Sequence[float],
    region: str | None = None,
) -> pd.DataFrame:
    """Count cells of one kind within a radius of cells of another (phenoptr's ``count_within``).

    Parameters
    ----------
    cells
        One image's cells, with ``obsm["spatial"]`` in um.
    pairs
        ``(from, to)`` phenotype rules.
    radius_um
        Radii; a cell at exactly the radius counts.
    region
        Only cells of this region, both as ``from`` and as ``to``; None takes all.

    Returns
    -------
    One row a pair and radius: ``region, from, to, radius_um, n_from, n_to, n_from_with`` (how many have at least one
    near) and ``mean_within`` (how many are near, on average; NaN without ``from`` cells).
    """
    xy = positions(cells)
    inside = (
        np.ones(cells.n_obs, dtype=bool) if region is None else (cells.obs[REGION].astype(str) == region).to_numpy()
    )
    masks = _masks(cells, [name for pair in pairs for name in pair])
    rows = []
    for source, target in pairs:
        for radius in radius_um:
            count = _counts(xy, masks[source] & inside, masks[target] & inside, checked_radius(radius))
            rows.append(
                {
                    "region": "all" if region is None else region,
                    "from": source,
                    "to": target,
                    "radius_um": float(radius),
                    "n_from": len(count),
                    "n_to": int((masks[target] & inside).sum()),
                    "n_from_with": int((count > 0).sum()),
                    "mean_within": float(count.mean()) if len(count) else np.nan,
                }
            )
    return pd.DataFrame(rows)


@dataclass(frozen=True)
class Proximity:
    """How near two kinds of cells are, against shuffled labels.

    ``mean_within`` is observed, ``expected`` and the 95% range ``low``-``high`` are those of the shuffles, ``p`` is
    two-sided with the observed labelling counted among them, so never 0.
    """

    source: str
    target: str
    radius_um: float
    n_from: int
    n_to: int
    mean_within: float
    expected: float
    low: float
    high: float
    p: float
    n_permutations: int
    note: str = ""

    def to_row(self) -> dict[str, Any]:
        """Return the result as a flat row."""
        return dict(vars(self))


def proximity_test(
    cells: AnnData,
    *,
    source: str,
    target: str,
    radius_um: float,
    n_permutations: int = 999,
    rng: Rng = 0,
    among: str | None = None,
) -> Proximity:
    """Ask whether ``target`` cells stand nearer to ``source`` cells than chance would have it.

    The null keeps every cell where it is and shuffles which cells are ``target`` within each tissue region, so that
    neither the shape of the tissue nor a marker's preference for a region makes cells look attracted.

    Parameters
    ----------
    cells
        One image's cells, with ``obsm["spatial"]`` in um and ``obs["region"]``.
    source, target
        Phenotype rules. Source cells keep their labels; target labels move among all cells that are not source.
    radius_um
        The radius.
    n_permutations
        Number of shuffles.
    rng
        Generator or seed.
    among
        A rule that restricts which cells target labels may move to (e.g. ``"CD3+"``: is it PD-1 on T cells, or T cells
        themselves, that is near?).

    Returns
    -------
    Proximity
    """
    generator = np.random.default_rng(rng)
    masks = _masks(cells, [source, target])
    movable = ~masks[source] | masks[target] if among is None else select_cells(cells, among) | masks[target]
    if not masks[source].any() or not masks[target].any():
        return _no_test(source, target, radius_um, masks)
    near = _near_sources(positions(cells), masks[source], checked_radius(radius_um))
    regions = cells.obs[REGION].astype(str).to_numpy()
    groups = [np.flatnonzero(movable & (regions == name)) for name in np.unique(regions[movable])]
    observed = float(near[masks[target]].sum())
    shuffled = shuffled_sums(near, masks[target], groups, n_permutations, generator)
    centre = shuffled.mean()
    extreme = int((np.abs(shuffled - centre) >= abs(observed - centre) - 1e-9).sum())
    n_from = int(masks[source].sum())
    low, high = np.quantile(shuffled, (0.025, 0.975)) / n_from
    return Proximity(
        source, target, radius_um, n_from, int(masks[target].sum()), observed / n_from, centre / n_from,
        float(low), float(high), (extreme + 1) / (n_permutations + 1), n_permutations,
    )  # fmt: skip


def shuffled_sums(
    near: np.ndarray, target: np.ndarray, groups: Sequence[np.ndarray], n: int, generator: np.random.Generator
) -> np.ndarray:
    """Sum ``near`` over as many random cells of each region as the region has targets.

    Which cells carry the label is a sample without replacement, so its sum is drawn through the numbers of cells with
    0, 1, 2... neighbours (multivariate hypergeometric): exact, and independent of the number of cells.
    """
    sums = np.zeros(n)
    for members in groups:
        k = int(target[members].sum())
        if k:
            values, counts = np.unique(near[members], return_counts=True)
            sums += generator.multivariate_hypergeometric(counts, k, size=n, method="marginals") @ values
    return sums


def _near_sources(xy: np.ndarray, source: np.ndarray, radius: float) -> np.ndarray:
    """For every cell, how many source cells other than itself are within the radius."""
    from scipy.spatial import cKDTree

    tree = cKDTree(xy[source])
    near = tree.query_ball_point(xy, radius, return_length=True, workers=-1).astype(np.int64)
    near[source] -= 1
    return near


def _no_test(source: str, target: str, radius_um: float, masks: Mapping[str, np.ndarray]) -> Proximity:
    n_from, n_to = int(masks[source].sum()), int(masks[target].sum())
    who = source if not n_from else target
    nan = float("nan")
    return Proximity(source, target, radius_um, n_from, n_to, nan, nan, nan, nan, nan, 0, f"no {who} cells")


def positions(cells: AnnData) -> np.ndarray:
    """Return (n, 2) places in um; cells without any are refused."""
    if SPATIAL not in cells.obsm:
        raise UsageError("these cells have no positions", allowed=f"obsm[{SPATIAL!r}] in um")
    return np.asarray(cells.obsm[SPATIAL], dtype=float)


def _masks(cells: AnnData, rules: Sequence[str]) -> dict[str, np.ndarray]:
    return {rule: select_cells(cells, rule) for rule in dict.fromkeys(rules)}


def checked_radius(value: float) -> float:
    """Return a radius above 0; others are refused."""
    if not value > 0:
        raise UsageError("a radius must be above 0 um", seen=value)
    return float(value)


def _nearest(xy: np.ndarray, source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Distance to the nearest target; where a cell is both, the nearest but itself."""
    from scipy.spatial import cKDTree

    if not source.any() or not target.any():
        return np.full(int(source.sum()), np.nan)
    tree = cKDTree(xy[target])
    both = target[source]
    distance = np.full(len(both), np.inf)
    distance[~both] = tree.query(xy[source][~both], k=1, workers=-1)[0] if (~both).any() else distance[~both]
    if both.any():
        distance[both] = tree.query(xy[source][both], k=[2], workers=-1)[0][:, 0]
    return distance


def _counts(xy: np.ndarray, source: np.ndarray, target: np.ndarray, radius: float) -> np.ndarray:
    from scipy.spatial import cKDTree

    if not source.any() or not target.any():
        return np.zeros(int(source.sum()), dtype=np.int64)
    found = cKDTree(xy[target]).query_ball_point(xy[source], radius, return_length=True, workers=-1)
    return found.astype(np.int64) - target[source]
