"""Where tissue lies when nothing but cells tells it: the triangles between them, and what is missing at its edges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Floats = NDArray[np.float64]
_NEIGHBOURS: Final = 8  # that say how far apart cells stand, before triangles do
_SPACING_UM: Final = (8.0, 100.0)  # cells are 100 to 15,000 per mm2 where there is tissue
# in units of the local spacing 1 / sqrt(density). Where cells are strewn evenly, a circle of 1.7 spacings is empty with
# a chance of exp(-pi 1.7^2) = 0.01%.
_REACH: Final = 1.7
_CLUMPED: Final = 1.5  # the reach grows up to so much where cells stand in clusters
_EVEN_NEAREST: Final = 0.5  # spacings from a cell to its nearest, where cells are strewn evenly (Clark and Evans)
_EVEN_CV: Final = 0.523  # and the coefficient of variation of that distance, sqrt(4 / pi - 1)
# interior angle, as a share of pi, up to which a corner would lie outside a shape drawn without it. Set on strewn
# points (benchmarks/accuracy_panels.py area): 1.0 left areas 2 to 5% too small, 1.2 made them 1 to 5% too large.
_CORNER: Final = 1.12
# the spread of areas, in units of what independent corners explain: with 1.2, 75% of the 95% intervals of wavy edges
# held the area, with 1.5 at least 92% for strewn cells (benchmarks/accuracy_panels.py area)
_SPREAD: Final = 1.5
_ROUNDS: Final = 2
_FEWEST_REGULAR: Final = 10  # cells that tell how even a pattern is


@dataclass(frozen=True)
class TissueAroundCells:
    """Tissue as squares of a grid, and the standard error of its area as a share of it."""

    mask: Mask
    area_error: float


@dataclass(frozen=True)
class _Triangles:
    """Delaunay triangles of cells and their mirror images: corners (m, 3), area and radius of the circle through them.

    ``number`` (k,) says which cell each of the points is.
    """

    points: Floats
    number: NDArray[np.intp]
    corners: NDArray[np.intp]
    area: Floats
    radius: Floats
    sides: tuple[Floats, Floats, Floats]


def tissue_around_cells(place: Floats, *, shape: tuple[int, int], grid_um: float) -> TissueAroundCells:
    """Draw tissue around cells, as far as they stand apart where they are, with an area that is right on average.

    Cells are joined by triangles (an alpha shape whose radius follows the local spacing), so that gaps which the
    spacing explains are tissue, in sparse stroma as in dense tumour. Such a shape lies inside the tissue. What it
    misses is the chance that a further cell falls outside of it, which is the share of cells that lie outside the shape
    of all the others: its corners. Each corner adds the area that a cell has there, less where cells are regular; the
    shape is widened, in units of the local spacing, until that area is reached. The picture is taken to go on beyond
    its edge.

    Parameters
    ----------
    place
        (n, 2) x and y in um from the first corner.
    shape
        Rows and columns of the grid.
    grid_um
        Side of its squares.

    Returns
    -------
    TissueAroundCells; an empty mask without cells.

    References
    ----------
    Efron 1965, Biometrika 52:331 (what a hull misses); Ripley and Rasson 1977, J Appl Prob 14:483 (the edge of a
    Poisson forest); Edelsbrunner 1983, IEEE Trans Inf Theory 29:551 (alpha shapes); Clark and Evans 1954, Ecology
    35:445.

    Examples
    --------
    >>> place = np.random.default_rng(1).uniform(0, (600, 1000), (600, 2))
    >>> drawn = tissue_around_cells(place, shape=(250, 250), grid_um=4.0)
    >>> bool(abs(drawn.mask.mean() - 0.6) < 0.03), bool(drawn.area_error < 0.03)
    (True, True)
    """
    empty = np.zeros(shape, dtype=bool)
    if not len(place):
        return TissueAroundCells(empty, 0.0)
    size = np.array([shape[1], shape[0]], dtype=float) * grid_um
    spacing, nearest = _spacings(place, size)
    triangles = _triangles(place, size, 2 * _REACH * _CLUMPED * float(spacing.max()))
    clumped = 1.0
    if triangles is None:
        return _widened(empty, place, spacing, spacing, grid_um=grid_um, spread=_SPREAD)
    for _ in range(_ROUNDS):
        spacing = _by_triangles(triangles, _kept(triangles, spacing, _REACH * clumped), spacing)
        mean = float(np.mean(nearest / spacing))
        clumped = float(np.clip((_EVEN_NEAREST / max(mean, 1e-9)) ** 2, 1.0, _CLUMPED))
    kept = _kept(triangles, spacing, _REACH * clumped)
    corner = _corners(triangles, kept, len(place))
    cell = spacing * np.sqrt(_regular(nearest / spacing))
    inside = _drawn(triangles, kept, shape, grid_um)
    return _widened(inside, place, spacing, np.where(corner, cell, 0.0), grid_um=grid_um, spread=_SPREAD * clumped**2)


def _spacings(place: Floats, size: Floats) -> tuple[Floats, Floats]:
    """Spacing of cells around each, um: 1 / sqrt(density) among its 8 nearest neighbours; and how far the nearest is.

    Near an edge of the tissue it is too large, since there half of the neighbours' circle is empty.
    """
    from scipy.spatial import KDTree

    points, _ = mirrored(place, size, 4 * _SPACING_UM[1])
    k = min(_NEIGHBOURS, len(points) - 1)
    if k < 1:
        return np.full(len(place), _SPACING_UM[1] / 2), np.full(len(place), _SPACING_UM[1] / 2)
    distance = KDTree(points).query(place, k=k + 1, workers=-1)[0]
    return np.clip(distance[:, k] * np.sqrt(np.pi / k), *_SPACING_UM), distance[:, 1]


def mirrored(place: Floats, size: Floats, within: float) -> tuple[Floats, NDArray[np.intp]]:
    """Add the mirror images of cells near the edges; return all points, and which cell each of them is."""
    points, number = place, np.arange(len(place))
    for axis in (0, 1):
        low, high = points[:, axis] < within, points[:, axis] > size[axis] - within
        before, after = points[low].copy(), points[high].copy()
        before[:, axis] *= -1
        after[:, axis] = 2 * size[axis] - after[:, axis]
        points, number = np.concatenate([points, before, after]), np.concatenate([number, number[low], number[high]])
    return points, number


def _triangles(place: Floats, size: Floats, within: float) -> _Triangles | None:
    """Join cells and their mirror images near the edge; None for fewer than four, or all on one line."""
    from scipy.spatial import Delaunay, QhullError

    points, number = mirrored(place, size, within)
    if len(points) < 4:
        return None
    try:
        corners = Delaunay(points).simplices.astype(np.intp)
    except QhullError:
        return None
    a, b, c = (points[corners[:, one]] for one in range(3))
    sides = tuple(np.hypot(*(one - other).T) for one, other in ((b, c), (a, c), (a, b)))
    area = np.abs((b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])) / 2
    radius = sides[0] * sides[1] * sides[2] / np.maximum(4 * area, 1e-9)
    return _Triangles(points, number, corners, area, radius, (sides[0], sides[1], sides[2]))


def _kept(triangles: _Triangles, spacing: Floats, reach: float) -> Mask:
    """Which triangles are tissue: those whose circle is no larger than the widest spacing of their cells explains."""
    return np.asarray(triangles.radius <= reach * spacing[triangles.number][triangles.corners].max(axis=1))


def _by_triangles(triangles: _Triangles, kept: Mask, spacing: Floats) -> Floats:
    """Spacing by the triangles around each cell and its neighbours' neighbours: two make up the area of a cell.

    It does not widen near an edge. Cells without a triangle keep theirs.
    """
    from scipy import sparse

    corners, n = triangles.corners[kept], len(triangles.points)
    if not len(corners):
        return spacing
    ends = corners[:, [0, 1, 2, 1, 2, 0]].ravel(), corners[:, [1, 2, 0, 0, 1, 2]].ravel()
    near = sparse.csr_array((np.ones(len(ends[0])), ends), shape=(n, n))
    near.data[:] = 1.0
    area = np.bincount(corners.ravel(), np.repeat(triangles.area[kept], 3), minlength=n)
    count = np.bincount(corners.ravel(), minlength=n).astype(float)
    for _ in range(2):
        area, count = area + near @ area, count + near @ count
    area, count = area[: len(spacing)], count[: len(spacing)]
    found = np.clip(np.sqrt(2 * area / np.maximum(count, 1)), *_SPACING_UM)
    return np.where(count > 0, found, spacing)


def _corners(triangles: _Triangles, kept: Mask, n: int) -> Mask:
    """Which of the n cells would lie outside the shape of all the others."""
    corners, k = triangles.corners[kept], len(triangles.points)
    sides = np.sort(corners[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    names, times = np.unique(sides[:, 0] * k + sides[:, 1], return_counts=True)
    border = np.zeros(k, dtype=bool)
    border[names[times == 1] // k] = border[names[times == 1] % k] = True
    angle = np.zeros(k)
    for at, (own, one, other) in enumerate(((0, 1, 2), (1, 0, 2), (2, 0, 1))):
        a, b, c = (triangles.sides[which][kept] for which in (own, one, other))
        cosine = (b**2 + c**2 - a**2) / np.maximum(2 * b * c, 1e-12)
        angle += np.bincount(corners[:, at], np.arccos(np.clip(cosine, -1, 1)), minlength=k)
    joined = np.zeros(k, dtype=bool)
    joined[triangles.corners.ravel()] = True  # a cell on another's place is in no triangle, and no corner
    alone = joined.copy()
    alone[corners.ravel()] = False
    return np.asarray((alone | (border & (angle < _CORNER * np.pi)))[:n])


def _regular(nearest: Floats) -> float:
    """Which part of a cell's area tissue goes on beyond its corners: 1 where cells are strewn, 1/2 on a lattice.

    The mean distance from an edge to the next of evenly spaced points is (1 + CV^2) / 2 of their spacing.
    """
    if len(nearest) < _FEWEST_REGULAR or nearest.mean() <= 0:
        return 1.0
    variation = float(nearest.std() / nearest.mean()) / _EVEN_CV
    return float(np.clip((1 + variation**2) / 2, 0.5, 1.0))


def _drawn(triangles: _Triangles, kept: Mask, shape: tuple[int, int], grid_um: float) -> Mask:
    """Squares whose middle lies in a triangle that was kept, row by row of each triangle."""
    place = triangles.points[triangles.corners[kept]] / grid_um - 0.5  # (m, 3, 2); middles are whole numbers now
    first = np.clip(np.ceil(place[:, :, 1].min(axis=1)), 0, shape[0]).astype(np.intp)
    last = np.clip(np.ceil(place[:, :, 1].max(axis=1)), 0, shape[0]).astype(np.intp)
    rows = last - first
    which = np.repeat(np.arange(len(rows)), rows)
    row = np.arange(len(which)) - np.repeat(np.cumsum(rows) - rows, rows) + first[which]
    left, right = np.full(len(which), np.inf), np.full(len(which), -np.inf)
    for one, other in ((0, 1), (1, 2), (2, 0)):
        (x, y), (to_x, to_y) = place[which, one].T, place[which, other].T
        crossed = (np.minimum(y, to_y) <= row) & (row <= np.maximum(y, to_y)) & (y != to_y)
        share = np.divide(row - y, to_y - y, out=np.zeros(len(y)), where=crossed)
        at = x + share * (to_x - x)
        left = np.where(crossed, np.minimum(left, at), left)
        right = np.where(crossed, np.maximum(right, at), right)
    found = left <= right
    row, left, right = row[found], left[found], right[found]
    steps = np.zeros((shape[0], shape[1] + 1), dtype=np.int32)
    np.add.at(steps, (row, np.clip(np.ceil(left), 0, shape[1]).astype(np.intp)), 1)
    np.add.at(steps, (row, np.clip(np.ceil(right), 0, shape[1]).astype(np.intp)), -1)
    return np.asarray(np.cumsum(steps, axis=1)[:, :-1] > 0)


def _widened(
    inside: Mask, place: Floats, spacing: Floats, cell: Floats, *, grid_um: float, spread: float
) -> TissueAroundCells:
    """Widen a shape in units of the local spacing by the area of its corners, ``cell`` (um, 0 elsewhere) squared."""
    from scipy import ndimage

    mask = inside.copy()
    column, row = (np.clip((place[:, axis] / grid_um).astype(int), 0, mask.shape[1 - axis] - 1) for axis in (0, 1))
    base = int(np.count_nonzero(inside))
    mask[row, column] = True
    local = np.zeros(mask.shape)
    local[row, column] = spacing
    at = ndimage.distance_transform_edt(local == 0, return_distances=False, return_indices=True)
    away = ndimage.distance_transform_edt(~mask) * grid_um / local[tuple(at)]
    wanted = base + round(float((cell**2).sum()) / grid_um**2)
    more = wanted - int(np.count_nonzero(mask))
    outside = np.flatnonzero(~mask & (away <= 1.0))
    if more > 0:  # so many squares, and no more: whole rings of them are equally far
        mask.ravel()[outside[np.argsort(away.ravel()[outside], kind="stable")[:more]]] = True
    area = float(np.count_nonzero(mask)) * grid_um**2
    return TissueAroundCells(mask, spread * float(np.sqrt((cell**4).sum())) / area)
