"""Who is near whom: nearest neighbours, counts within a radius, and how that compares with chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from biomarkers.core.errors import DataError, UsageError
from biomarkers.core.keys import REGION, SPATIAL
from biomarkers.core.result import Overview, Result
from biomarkers.pheno.phenotype import select_cells
from biomarkers.score.relabel import SQUARE_RADII, Chance, label_can_be_on, moved_both, moved_label

_IMAGE_COLUMNS = ("slide", "imageid", "image", "library_id", "sample")  # what tables call the image of a cell
_ALPHA = 0.05

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray

    Rng = np.random.Generator | int


def nearest_distances(cells: AnnData, *, pairs: Sequence[tuple[str, str]]) -> pd.DataFrame:
    """Distance from each cell of one kind to the nearest of another.

    Parameters
    ----------
    cells
        One image's cells, with ``obsm["spatial"]`` in um.
    pairs
        ``(from, to)`` phenotype rules (:func:`~biomarkers.pheno.phenotype.select_cells`). A cell is never its own
        neighbour. Cells with ``excluded`` true are left out, here and in all that follows.

    Returns
    -------
    One row a pair: ``from, to, n_from, n_to, mean_um, median_um`` (NaN where there is nobody to be near).

    Raises
    ------
    UsageError
        The cells are of several images, or have no positions.

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
    >>> bm.nearest_distances(cells, pairs=[("CD8+", "CK+")]).iloc[:, -1].dropna().tolist()
    [8.0]
    """
    cells = one_image(cells)
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
    >>> bm.count_within(cells, pairs=[("CD8+", "CK+")], radius_um=[10])["n_from_with"].tolist()
    [2]
    """
    cells = one_image(cells)
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


@dataclass(frozen=True, repr=False)
class Proximity(Result):
    """How near two kinds of cells are, against labels that move among cells.

    ``mean_within`` is observed, ``expected`` and the 95% range ``low``-``high`` are those of moved labels, ``p`` is
    two-sided with the observed labelling counted among them, so never 0. ``null`` says how far labels moved:
    ``regions``, or ``local`` where the label's share varies over the tissue; ``p_regions`` and ``p_local`` are those of
    both. ``note`` says why there is no test, or what puts it in doubt.
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
    null: str = ""
    p_regions: float = float("nan")
    p_local: float = float("nan")

    def to_row(self) -> dict[str, Any]:
        """Return the result as a flat row."""
        return dict(vars(self))

    def _overview(self) -> Overview:
        title = f"{self.target} within {self.radius_um:g} um of {self.source}"
        shown = {name: value for name, value in self.to_row().items() if name not in ("source", "target", "note")}
        return Overview(title, pd.DataFrame([shown]), (self.note,) if self.note else ())


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

    The null keeps every cell, and every source label, where it is and moves the target labels over the cells that can
    bear them: within each tissue region and piece of tissue, and, where their share varies over the tissue by Akaike's
    criterion, only within squares of eight radii, after taking off what a curved surface explains within a square. So
    neither the tissue's shape, nor a preference for a region, nor a gradient that both kinds share makes them look
    attracted. Where source and target are the same cells, both labels move together.

    Parameters
    ----------
    cells
        One image's cells, with ``obsm["spatial"]`` in um; ``obs["region"]`` where regions are known.
    source, target
        Phenotype rules. A cell may be both; it is never its own neighbour.
    radius_um
        The radius.
    n_permutations
        Number of times the labels are moved; fewer, but not below 199, where cells are many (where one kind is asked
        about itself from about 90,000 cells on). ``n_permutations`` of the result says how many; p comes in steps of
        1 / (n_permutations + 1).
    rng
        Generator or seed.
    among
        A rule that says which cells can bear the target label (e.g. ``"CD3+"``: is it PD-1 on T cells, or T cells
        themselves, that is near?); the label of other cells stays. By default a kind of cells (source, and all others)
        can bear it where its share is at least a fifth of the other kind's.

    Returns
    -------
    Proximity

    Raises
    ------
    UsageError
        The cells are of several images or have no positions, a rule cannot be read, or the radius is not above 0.

    References
    ----------
    Random labelling: Diggle 2013, Statistical Analysis of Spatial and Spatio-Temporal Point Patterns, 3rd ed., ch. 6.

    Examples
    --------
    >>> import anndata as ad
    >>> import numpy as np
    >>> import pandas as pd
    >>> import biomarkers as bm
    >>> rng = np.random.default_rng(0)
    >>> obs = pd.DataFrame(
    ...     {"CD8_positive": rng.random(300) < 0.3, "CK_positive": rng.random(300) < 0.3},
    ...     index=[str(i) for i in range(300)],
    ... )
    >>> cells = ad.AnnData(obs=obs, obsm={"spatial": rng.uniform(0, 500, (300, 2))})
    >>> found = bm.proximity_test(cells, source="CD8+", target="CK+", radius_um=30, n_permutations=99)
    >>> found.low <= found.mean_within <= found.high
    True
    """
    generator, radius = np.random.default_rng(rng), checked_radius(radius_um)
    cells = one_image(cells)
    xy, masks = positions(cells), _masks(cells, [source, target])
    start, end = masks[source], masks[target]
    if not start.any() or not end.any():
        return _no_test(source, target, radius, masks, f"no {target if start.any() else source} cells")
    movable = None if among is None else select_cells(cells, among)
    if movable is not None and not movable.any():
        return _no_test(source, target, radius, masks, f"no {among} cells that the target label could move over")
    chance = against_chance(
        xy, eligible=np.ones(len(xy), dtype=bool), source=start, target=end, movable=movable,
        region=region_codes(cells), radius_um=radius, n=n_permutations, rng=generator,
    )  # fmt: skip
    n_from = int(start.sum())
    if not np.isfinite(chance.p):
        why = "the target label cannot move: in every place either all cells that could bear it do, or none"
        return _no_test(source, target, radius, masks, why)
    near = near_sources(xy, start, radius)
    return Proximity(
        source, target, radius, n_from, int(end.sum()), float(near[end].sum()) / n_from, chance.expected / n_from,
        chance.low / n_from, chance.high / n_from, chance.p, chance.n_moves, doubts(chance, radius), chance.null,
        chance.p_regions, chance.p_local,
    )  # fmt: skip


def against_chance(
    xy: NDArray[np.float64],
    *,
    eligible: NDArray[np.bool_],
    source: NDArray[np.bool_],
    target: NDArray[np.bool_],
    movable: NDArray[np.bool_] | None,
    region: NDArray[np.int64],
    radius_um: float,
    n: int,
    rng: np.random.Generator,
) -> Chance:
    """Hold the pairs of sources and targets against moved labels; they begin at eligible sources only.

    Where labels move over source and other cells alike, the p of labels that never pass from one kind to the other is
    given as well (``p_apart``).
    """
    words: dict[str, Any] = {"target": target, "region": region, "radius_um": radius_um, "n": n, "rng": rng}
    if (source == target).all():
        able = np.ones(len(xy), dtype=bool) if movable is None else movable
        return moved_both(xy, eligible=eligible, movable=able, **words)
    able = label_can_be_on(source, target) if movable is None else movable
    near = near_sources(xy, source & eligible, radius_um)
    both = (target & source & able).any() and (target & ~source & able).any()
    return moved_label(xy, near=near, movable=able, apart=source if both else None, **words)


def doubts(chance: Chance, radius_um: float) -> str:
    """Say where another way of moving labels would answer otherwise at 5%."""
    said = []
    if chance.in_doubt:
        local = f"within squares of {SQUARE_RADII * radius_um:.3g} um p is {chance.p_local:.2g}"
        said.append(f"in doubt: labels moved {local}, within whole regions {chance.p_regions:.2g}")
    if np.isfinite(chance.p_apart) and (chance.p_apart <= _ALPHA) != (chance.p <= _ALPHA):
        said.append(
            f"in doubt: cells are source and target more or less often than chance gives; with as many as there are,"
            f" p is {chance.p_apart:.2g}"
        )
    return "; ".join(said)


def region_codes(cells: AnnData) -> NDArray[np.int64]:
    """Give numbers to the tissue regions of cells; one where none are known."""
    if REGION not in cells.obs:
        return np.zeros(cells.n_obs, dtype=np.int64)
    # cells without a region's name are together: numpy takes each missing value for another one
    return np.asarray(pd.factorize(cells.obs[REGION], sort=True, use_na_sentinel=False)[0], dtype=np.int64)


def one_image(cells: AnnData) -> AnnData:
    """Return the cells that are not excluded; cells of several images are refused.

    Raises
    ------
    UsageError
        A column says that there is more than one image.
    """
    for column in _IMAGE_COLUMNS:
        if column in cells.obs:
            names = list(dict.fromkeys(cells.obs[column].astype(str)))
            if len(names) > 1:
                raise UsageError(
                    "distances between cells of several images mean nothing", where=f"obs[{column!r}]", seen=names[:5],
                    allowed="one image", hint=f"Take one at a time: cells[cells.obs[{column!r}] == {names[0]!r}].",
                )  # fmt: skip
    if "excluded" not in cells.obs:
        return cells
    return cells[~cells.obs["excluded"].to_numpy(dtype=bool)]


def near_sources(xy: np.ndarray, source: np.ndarray, radius: float) -> np.ndarray:
    """For every cell, how many source cells other than itself are within the radius."""
    from biomarkers.score.kernels.within import counts_within

    return counts_within(xy, source, radius)


def _no_test(source: str, target: str, radius_um: float, masks: Mapping[str, NDArray[np.bool_]], why: str) -> Proximity:
    n_from, n_to = int(masks[source].sum()), int(masks[target].sum())
    nan = float("nan")
    return Proximity(source, target, radius_um, n_from, n_to, nan, nan, nan, nan, nan, 0, f"not testable: {why}")


def positions(cells: AnnData) -> np.ndarray:
    """Return (n, 2) places in um; cells without any, or with one that is not finite, are refused."""
    if SPATIAL not in cells.obsm:
        raise UsageError("these cells have no positions", allowed=f"obsm[{SPATIAL!r}] in um")
    found = np.asarray(cells.obsm[SPATIAL], dtype=float)[:, :2]
    wrong = ~np.isfinite(found).all(axis=1)
    if wrong.any():
        first = cells.obs_names[int(np.flatnonzero(wrong)[0])]
        raise DataError(f"{int(wrong.sum())} cells have no position", where=f"cell {first}", allowed="x and y in um")
    return found


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
