"""What chance gives where labels, not cells, are random: labels move over the cells that can bear them.

Cells stay where they are, and so does everything but one label. The label moves within regions and tissue pieces; where
its share varies over the tissue (a gradient), only within squares of eight radii, and what a plane or a curved surface
explains within a square is taken off first, so that two kinds of cells that share a gradient do not look attracted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

REGIONS, LOCAL = "regions", "local"
# squares of so many radii; by `benchmarks/accuracy_space.py squares 100`, 4 / 8 / 16 radii reject .04 to .05 / .06 to .07 /
# .04 to .10 of nulls under a steep gradient and find 54 / 69 / 80% where 20% are attracted beside a gradient
SQUARE_RADII: Final = 8.0
_CLEAR = 2.0  # times the criterion: there is no doubt that the share varies
_PLANE_FROM, _CURVED_FROM = 12, 60  # cells of a stratum from which on a plane, a surface of second degree is taken off
_EVIDENCE = 2.0  # Akaike's: units of explained variation per term from which on a label's share is said to vary
_PIECE_RADII, _PIECE_SPACINGS = 1.0, 4.0  # a gap wider than both parts two pieces of tissue
_ALPHA = 0.05
_BY_COUNTS = 2000  # labels of a stratum from which on their sums are drawn through counts: speed only
_BLOCK = 4096  # cells: speed only
_LEAST_MOVES = 199  # however many cells
_WORK = 4e8  # labels drawn in all, at 5 ns each: two seconds for each way of moving labels
_PER_CELL, _PER_PAIR = 2.0, 0.25  # what a cell and a pair cost in one move of both kinds, in labels drawn


@dataclass(frozen=True)
class Strata:
    """Cells in the order of their strata: labels move within ``order[start[s]:start[s + 1]]``.

    ``terms`` (n, k) are 1, x, y, x2, xy, y2 within each stratum, as far as asked for, 0 where it is too small for them;
    ``inverse`` (strata, k, k) is the inverse of their products, ``rank`` how many they are in all.
    """

    order: Ints
    start: Ints
    terms: Floats
    inverse: Floats
    rank: int

    def residual(self, values: Floats) -> Floats:
        """Return what the terms leave of values, in the order of the strata."""
        ordered = values[self.order]
        sums = np.add.reduceat(self.terms * ordered[:, None], self.start[:-1], axis=0)
        coefficient = np.einsum("scd,sd->sc", self.inverse, sums)
        size = np.diff(self.start)
        return np.asarray(ordered - (self.terms * np.repeat(coefficient, size, axis=0)).sum(axis=1), dtype=np.float64)


@dataclass(frozen=True)
class Chance:
    """A count beside what moved labels give: ``expected``, the 95% range ``low`` to ``high``, and the two-sided ``p``.

    ``n_moves`` says how often labels moved (p comes in steps of 1 / (n_moves + 1)), ``null`` how far: ``regions`` or
    ``local``; ``p_regions`` and ``p_local`` are those of both, ``p_apart`` that of labels that never pass from source
    to other cells or back (NaN where that was not asked).
    ``evidence`` is how much of the label's variation a gradient explains, per term (1 by chance, 2 decides).
    """

    expected: float
    low: float
    high: float
    p: float
    n_moves: int
    null: str
    p_regions: float
    p_local: float
    p_apart: float
    evidence: float

    @property
    def in_doubt(self) -> bool:
        """Whether the two ways of moving labels do not agree at 5%, and the criterion that chose one is not clear."""
        return (self.p_regions <= _ALPHA) != (self.p_local <= _ALPHA) and self.evidence < _CLEAR * _EVIDENCE


def label_can_be_on(source: Bools, target: Bools, *, least: float = 0.2) -> Bools:
    """Say which cells can bear the target's label, by where it is seen.

    A kind of cells (source, and all others) can bear it where its share is at least a fifth of that on the other kind:
    fewer are taken for cells that were parted wrongly.
    """
    share = [float(target[kind].mean()) if kind.any() else 0.0 for kind in (source, ~source)]
    most = max(share)
    able = [one >= least * most for one in share]
    return np.asarray(np.where(source, able[0], able[1]), dtype=bool)


def moved_label(
    xy: Floats, *, near: Ints, target: Bools, movable: Bools, region: NDArray[np.generic], radius_um: float, n: int,
    rng: np.random.Generator, apart: Bools | None = None,
) -> Chance:  # fmt: skip
    """Hold the sum of ``near`` over target cells against labels that move over the movable cells.

    Parameters
    ----------
    xy
        Places in um, (n, 2).
    near
        What each cell would add were it a target: how many source cells are near it, (n,).
    target, movable
        Which cells bear the label, and which can, (n,) bool; labels of other cells stay.
    region
        Labels never leave their region, (n,).
    radius_um
        The distance that ``near`` was counted within.
    n
        Number of shuffles; fewer where :func:`moves_for` says so.
    rng
        Generator.
    apart
        Two kinds of cells, (n,) bool, for a further p of labels that never pass from one kind to the other.
    """
    order, groups, squares = _layout(xy, region, radius_um)
    xy, near, target, movable = xy[order], near[order], target[order], movable[order]
    evidence = _evidence(xy, target, movable, groups, squares)
    ways = {REGIONS: (groups, 0), LOCAL: (squares, 2)}
    n = moves_for(n, _labels_drawn(target, movable, squares))
    found = {}
    for name, (key, degree) in ways.items():
        strata = strata_of(xy, movable, key, degree=degree)
        found[name] = _moved_sums(strata, near, target, n, rng, counted=degree == 0)
    p_apart = float("nan")
    if apart is not None:
        key, degree = ways[_null(evidence)]
        strata = strata_of(xy, movable, _numbered(key, apart[order].astype(np.int64)), degree=degree)
        p_apart = two_sided(*_moved_sums(strata, near, target, n, rng, counted=degree == 0))
    return _chance(float(near[target].sum()), found, n=n, evidence=evidence, p_apart=p_apart)


def moved_both(
    xy: Floats, *, target: Bools, eligible: Bools, movable: Bools, region: NDArray[np.generic], radius_um: float,
    n: int, rng: np.random.Generator,
) -> Chance:  # fmt: skip
    """Hold the pairs of one kind with itself against labels that move; pairs begin at ``eligible`` cells only."""
    from biomarkers.score.kernels.relabel import shuffled_pairs

    order, groups, squares = _layout(xy, region, radius_um)
    xy, target, movable = xy[order], target[order], movable[order]
    evidence = _evidence(xy, target, movable, groups, squares)
    place, begins, label = xy[movable], eligible[order][movable], target[movable]
    first, other = _neighbour_lists(place, begins, radius_um)
    n = moves_for(n, _PER_CELL * len(place) + _PER_PAIR * len(other))
    everyone = np.ones(len(place), dtype=bool)
    found = {}
    for name, key, degree in ((REGIONS, groups, 0), (LOCAL, squares, 2)):
        strata = strata_of(place, everyone, key[movable], degree=degree)  # leaves the order: it is that of the squares
        start, k = strata.start, np.add.reduceat(label.astype(np.int64), strata.start[:-1])
        seed = int(rng.integers(2**31))
        terms, moved = np.ascontiguousarray(strata.terms.T), np.tile(k, (n, 1))
        if not degree:  # in whole regions pairs are counted as they are
            terms = terms[:0]
            start, moved = _in_blocks(start, k, n, np.random.default_rng(seed))
        sums = shuffled_pairs(label.astype(np.float64), start, moved, terms, strata.inverse, first, other, seed)
        centre = float(sums.mean())
        found[name] = (float(sums[0]) - centre, sums[1:] - centre)
    near = other[np.repeat(label, np.diff(first))]
    return _chance(float(label[near].sum()), found, n=n, evidence=evidence)


def moves_for(n: int, work: float) -> int:
    """Say how often labels are moved: ``n`` times, or fewer where one move costs much ``work``, but not below 199.

    Work is counted in labels drawn. .05 (B + 1) is whole, so that a test at 5% keeps its level.

    Examples
    --------
    >>> moves_for(999, 1e5), moves_for(999, 5e5), moves_for(999, 1e8), moves_for(99, 1e8)
    (999, 799, 199, 99)
    """
    affordable = 20 * int(_WORK / max(work, 1.0) / 20) - 1
    return min(n, max(_LEAST_MOVES, affordable))


def _labels_drawn(target: Bools, movable: Bools, key: Ints) -> float:
    """How many labels one move within the strata draws: those of the rarer kind in each."""
    size = np.bincount(key[movable])
    k = np.bincount(key[movable & target], minlength=len(size))
    return float(np.minimum(k, size - k).sum())


def _moved_sums(
    strata: Strata, near: Ints, target: Bools, n: int, rng: np.random.Generator, *, counted: bool
) -> tuple[float, Floats]:
    """Sum what strata leave of ``near`` over the targets, and over labels that moved.

    Where nothing but the mean is taken off (``counted``) and many labels move, the sum is drawn through the numbers of
    cells with 0, 1, 2... neighbours (multivariate hypergeometric): as exact, and independent of the number of cells.
    """
    from biomarkers.score.kernels.relabel import shuffled_sums

    left, label = strata.residual(near.astype(np.float64)), target[strata.order]
    size, k = np.diff(strata.start), np.add.reduceat(label.astype(np.int64), strata.start[:-1])
    seed = int(rng.integers(2**31))
    drawn, by_counts = k.copy(), np.random.default_rng(seed)
    sums = np.zeros(n)
    for s in np.flatnonzero(counted & (np.minimum(k, size - k) > _BY_COUNTS)):
        values, cells = np.unique(near[strata.order[strata.start[s] : strata.start[s + 1]]], return_counts=True)
        if min(k[s], size[s] - k[s]) > _BY_COUNTS / 20 * len(values):
            drawn[s] = 0
            found = by_counts.multivariate_hypergeometric(cells, k[s], size=n, method="marginals") @ values
            sums += found - k[s] * (values @ cells) / size[s]
    return float(left[label].sum()), sums + shuffled_sums(left, strata.start, drawn, n, seed)


def _in_blocks(start: Ints, k: Ints, n: int, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Part large strata into blocks that stay in a processor's cache, and draw how many labels each block gets.

    Labels that move within blocks, after their numbers were drawn (multivariate hypergeometric), move as if within the
    whole stratum.

    Returns
    -------
    Where blocks start, (blocks + 1,); labels of each block in each move, (n, blocks).
    """
    starts, moved = [], []
    for s, many in enumerate(k):
        edges = np.arange(start[s], start[s + 1], _BLOCK)
        sizes = np.diff(np.append(edges, start[s + 1]))
        starts.append(edges)
        one = len(sizes) == 1
        moved.append(
            np.full((n, 1), many) if one else rng.multivariate_hypergeometric(sizes, many, n, method="marginals")
        )
    return np.append(np.concatenate(starts), start[-1]).astype(np.int64), np.concatenate(moved, axis=1)


def strata_of(xy: Floats, movable: Bools, key: Ints, *, degree: int) -> Strata:
    """Part the movable cells by ``key``, with the terms up to ``degree`` (0, 1, 2) that are taken off within each."""
    ids = np.flatnonzero(movable)
    order = ids[np.argsort(key[ids], kind="stable")]
    start = np.append(np.flatnonzero(np.r_[True, np.diff(key[order]) != 0]), len(order)).astype(np.int64)
    size = np.diff(start)
    at = xy[order]
    centre = np.add.reduceat(at, start[:-1], axis=0) / size[:, None]
    x, y = (at - np.repeat(centre, size, axis=0)).T
    wide = np.sqrt(np.add.reduceat(x**2 + y**2, start[:-1]) / size)
    scale = np.repeat(np.where(wide > 0, wide, 1.0), size)
    x, y = x / scale, y / scale
    terms = np.column_stack([np.ones(len(x)), *(x, y)[: 2 * degree], *(x**2, x * y, y**2)[: 3 * (degree > 1)]])
    many = np.repeat(size, size)
    terms[many < _PLANE_FROM, 1:] = 0.0
    terms[many < _CURVED_FROM, 3:] = 0.0
    products = np.zeros((len(size), terms.shape[1], terms.shape[1]))
    for c in range(terms.shape[1]):  # one pair at a time: a million cells would not fit otherwise
        for d in range(c + 1):
            sums = np.add.reduceat(terms[:, c] * terms[:, d], start[:-1])
            products[:, c, d] = products[:, d, c] = sums
    inverse = np.linalg.pinv(products, rcond=1e-9, hermitian=True)
    rank = int(np.einsum("scd,sdc->", inverse, products).round())
    return Strata(order, start, terms, np.asarray(inverse, dtype=np.float64), rank)


def _layout(xy: Floats, region: NDArray[np.generic], radius: float) -> tuple[Ints, Ints, Ints]:
    """Order cells so that those near each other lie side by side in memory, and number, in this order, where they lie.

    Returns
    -------
    The order; the numbers of the pieces of tissue within regions, and those of the squares within these.
    """
    names = np.unique(region, return_inverse=True)[1].ravel()
    whole = _numbered(names, _pieces(xy, radius))
    squares = _numbered(whole, _squares(xy, SQUARE_RADII * radius))
    order = np.argsort(squares, kind="stable")
    return order, whole[order], squares[order]


def _numbered(first: Ints, second: Ints) -> Ints:
    """Give numbers to the combinations of two numberings, the first leading."""
    if not len(first):
        return first
    key = first * (int(second.max()) + 1) + second
    return np.unique(key, return_inverse=True)[1].ravel().astype(np.int64)


def _pieces(xy: Floats, radius: float) -> Ints:
    """Give numbers to the pieces of tissue: cells on squares that touch, whose side is the gap that parts pieces."""
    from scipy import ndimage
    from scipy.spatial import cKDTree

    if len(xy) < 2:
        return np.zeros(len(xy), dtype=np.int64)
    some = xy[:: max(1, len(xy) // 20_000)]
    tree = cKDTree(xy, balanced_tree=False, compact_nodes=False)  # built faster, and asked little
    spacing = float(np.median(tree.query(some, k=2)[0][:, 1]))
    side = max(_PIECE_RADII * radius, _PIECE_SPACINGS * spacing, 1e-6)
    side = max(side, float(np.ptp(xy, axis=0).max()) / 4000)  # a bound on memory
    at = ((xy - xy.min(axis=0)) / side).astype(np.int64)
    grid = np.zeros(at.max(axis=0) + 1, dtype=bool)
    grid[at[:, 0], at[:, 1]] = True
    labels, _ = ndimage.label(grid, structure=np.ones((3, 3)))
    return np.asarray(labels[at[:, 0], at[:, 1]], dtype=np.int64)


def _squares(xy: Floats, side: float) -> Ints:
    low, extent = xy.min(axis=0), np.maximum(np.ptp(xy, axis=0), 1e-9)
    count = np.maximum(1, np.round(extent / side)).astype(np.int64)
    at = np.minimum(((xy - low) / extent * count).astype(np.int64), count - 1)
    return np.asarray(at[:, 0] * count[1] + at[:, 1], dtype=np.int64)


def _evidence(xy: Floats, target: Bools, movable: Bools, groups: Ints, squares: Ints) -> float:
    """Measure how the label's share varies over the tissue: along a plane, a curved surface, or from square to square.

    By Akaike's criterion (1974, IEEE Trans Automat Contr 19:716): what is explained must exceed twice its terms.
    """
    label = target.astype(np.float64)
    flat = strata_of(xy, movable, groups, degree=0)
    size = np.diff(flat.start)
    share = np.add.reduceat(label[flat.order], flat.start[:-1]) / size
    spread = np.repeat(share * (1 - share), size)
    weight = np.zeros(len(xy))
    weight[flat.order] = np.where(spread > 0, 1 / np.sqrt(np.where(spread > 0, spread, 1.0)), 0.0)
    plain = np.zeros(len(xy))
    plain[flat.order] = flat.residual(label)
    scaled = plain * weight  # unit variance within each group
    found = (
        strata_of(xy, movable, groups, degree=1), strata_of(xy, movable, groups, degree=2),
        strata_of(xy, movable, squares, degree=0),
    )  # fmt: skip
    most = 0.0
    for strata in found:
        explained = float((scaled**2).sum() - (strata.residual(scaled) ** 2).sum())
        terms = strata.rank - len(size)
        most = max(most, explained / terms if terms > 0 else 0.0)
    return most


def _neighbour_lists(xy: Floats, begins: Bools, radius: float) -> tuple[Ints, NDArray[np.int32]]:
    """Neighbours of each cell that pairs begin at, one list after the other, and where each list begins."""
    from biomarkers.score.kernels.within import lists_within

    first, other = lists_within(xy, np.ones(len(xy), dtype=bool), radius)
    if begins.all():
        return first, other
    many = np.diff(first)
    kept = np.append(0, np.cumsum(np.where(begins, many, 0)))
    return kept, other[np.repeat(begins, many)]


def _null(evidence: float) -> str:
    return LOCAL if evidence > _EVIDENCE else REGIONS


def _chance(
    observed: float, found: dict[str, tuple[float, Floats]], *, n: int, evidence: float, p_apart: float = float("nan")
) -> Chance:
    null = _null(evidence)
    p = {name: two_sided(one, shuffled) for name, (one, shuffled) in found.items()}
    excess, shuffled = found[null]
    low, high = np.quantile(shuffled, (_ALPHA / 2, 1 - _ALPHA / 2))
    expected = observed - excess
    return Chance(
        expected, expected + float(low), expected + float(high), p[null], n, null, p[REGIONS], p[LOCAL], p_apart,
        evidence,
    )  # fmt: skip


def two_sided(excess: float, shuffled: Floats) -> float:
    """How often moved labels are as far from 0 as the observed ones, counted among them; NaN where none moves."""
    near = 1e-9 * max(1.0, abs(excess))
    if not len(shuffled) or np.ptp(shuffled) <= near:
        return float("nan")
    return (int((np.abs(shuffled) >= abs(excess) - near).sum()) + 1) / (len(shuffled) + 1)
