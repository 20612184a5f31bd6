"""The two-sample statistics that permutation tests need by the million, compiled; and their plain definition.

Levels enter sorted, so one pass over the patients gives both statistics for one labelling: the studentised
Brunner-Munzel statistic from placements, and the energy distance of mid-ranks from the gap between the two groups'
distribution functions. Placements are halves of whole numbers, so sums of them are exact in any order.
"""

from __future__ import annotations

import math

import numba
import numpy as np

from biomarkers.core.notice import announce_compilation

announce_compilation()

_FLAT = 1e-12


@numba.njit(cache=True, nogil=True)
def _statistics(
    labels: np.ndarray, order: np.ndarray, last: np.ndarray, position: np.ndarray, n: int
) -> tuple[float, float]:  # pragma: no cover  (compiled)
    """Both statistics of one labelling of one marker; NaN when a group has fewer than two."""
    n1 = 0
    for k in range(n):
        n1 += labels[order[k]]
    n2 = n - n1
    if n1 < 2 or n2 < 2:
        return np.nan, np.nan
    below1 = below2 = run1 = run2 = 0.0
    sum1 = square1 = sum2 = square2 = gap = 0.0
    share1, share2 = 1.0 / n1, 1.0 / n2
    for k in range(n):
        label = float(labels[order[k]])
        run1 += label
        run2 += 1.0 - label
        if last[k] == 1:
            placed1 = below2 + 0.5 * run2
            placed2 = below1 + 0.5 * run1
            sum1 += run1 * placed1
            square1 += run1 * placed1 * placed1
            sum2 += run2 * placed2
            square2 += run2 * placed2 * placed2
            below1 += run1
            below2 += run2
            run1 = 0.0
            run2 = 0.0
            if k + 1 < n:
                step = below1 * share1 - below2 * share2
                gap += (position[k + 1] - position[k]) * step * step
    spread1 = (square1 - sum1 * sum1 / n1) / (n1 - 1)
    spread2 = (square2 - sum2 * sum2 / n2) / (n2 - 1)
    theta = sum1 / (n1 * n2)
    variance = spread1 / (n1 * float(n2) * n2) + spread2 / (n2 * float(n1) * n1)
    if variance > 1e-12:
        return (theta - 0.5) / math.sqrt(variance), 2.0 * gap
    if theta == 0.5:
        return 0.0, 2.0 * gap
    return math.copysign(np.inf, theta - 0.5), 2.0 * gap


@numba.njit(cache=True, nogil=True)
def two_sample(
    labels: np.ndarray,
    order: np.ndarray,
    last: np.ndarray,
    position: np.ndarray,
    length: np.ndarray,
    studentised: np.ndarray,
    energy: np.ndarray,
) -> None:  # pragma: no cover  (compiled; held to two_sample_reference by tests)
    """Fill both statistics for every labelling and marker.

    Parameters
    ----------
    labels
        (B, n) uint8, 1 = first group.
    order
        (m, n) int32, patients of each marker by rising level; entries from ``length`` on are unused.
    last
        (m, n) uint8, 1 where a run of equal levels ends.
    position
        (m, n) float64, mid-rank of each sorted level.
    length
        (m,) int32, patients with a level.
    studentised, energy
        (B, m) float64, filled. Undefined (an empty group) is NaN; complete separation is infinite.
    """
    for b in range(labels.shape[0]):
        for j in range(order.shape[0]):
            studentised[b, j], energy[b, j] = _statistics(labels[b], order[j], last[j], position[j], length[j])


@numba.njit(cache=True, nogil=True)
def two_sample_hits(
    labels: np.ndarray,
    order: np.ndarray,
    last: np.ndarray,
    position: np.ndarray,
    length: np.ndarray,
    reach: np.ndarray,
    reach_energy: np.ndarray,
    hits: np.ndarray,
) -> None:  # pragma: no cover  (compiled; held to two_sample by tests)
    """Count the labellings whose statistics reach given values, keeping none of them.

    Parameters
    ----------
    labels, order, last, position, length
        As for :func:`two_sample`.
    reach, reach_energy
        (m,) values to reach: absolute studentised statistic, energy.
    hits
        (2, m) int64, added to.
    """
    for b in range(labels.shape[0]):
        for j in range(order.shape[0]):
            studentised, energy = _statistics(labels[b], order[j], last[j], position[j], length[j])
            if abs(studentised) >= reach[j]:
                hits[0, j] += 1
            if energy >= reach_energy[j]:
                hits[1, j] += 1


@numba.njit(cache=True, nogil=True)
def coupled_labels(
    orders: np.ndarray, known: np.ndarray, block: np.ndarray, need: np.ndarray, first: int, labels: np.ndarray
) -> None:  # pragma: no cover  (compiled; held to its definition by tests)
    """Label each marker's own patients by one random order of all patients.

    Parameters
    ----------
    orders
        (B, n) int32, random orders of the patients.
    known
        (m, n) uint8, 1 where the patient has this marker's level.
    block
        (n,) int64, stratum numbers from 0.
    need
        (m, strata) int64: in each stratum so many of the marker's patients, the first in the order, get ``first``.
    first
        1 or 0, the label of those; the other patients with a level get the other label.
    labels
        (m, B, n) uint8, filled; patients without the level get 0.
    """
    taken = np.zeros(need.shape[1], dtype=np.int64)
    for j in range(known.shape[0]):
        for b in range(orders.shape[0]):
            taken[:] = 0
            for k in range(orders.shape[1]):
                patient = orders[b, k]
                if known[j, patient] == 0:
                    labels[j, b, patient] = 0
                elif taken[block[patient]] < need[j, block[patient]]:
                    labels[j, b, patient] = first
                    taken[block[patient]] += 1
                else:
                    labels[j, b, patient] = 1 - first


@numba.njit(cache=True, nogil=True)
def permuted_products(
    one: np.ndarray, two: np.ndarray, orders: np.ndarray, sums: np.ndarray
) -> None:  # pragma: no cover  (compiled; held to numpy by tests)
    """Fill the sum of the products of two symmetric matrices, the second reordered by each permutation.

    Parameters
    ----------
    one, two
        (n, n) float64, symmetric.
    orders
        (B, n) int32, permutations.
    sums
        (B,) float64, filled: sum over i, j of one[i, j] * two[o[i], o[j]].
    """
    n = one.shape[0]
    for b in range(orders.shape[0]):
        total = 0.0
        for i in range(n):
            row = one[i]
            other = two[orders[b, i]]
            part = 0.0
            for j in range(i):
                part += row[j] * other[orders[b, j]]
            total += 2.0 * part + row[i] * other[orders[b, i]]
        sums[b] = total


@numba.njit(cache=True, nogil=True)
def ordered_pairs(
    codes: np.ndarray, ends: np.ndarray, kinds: int, total: np.ndarray
) -> None:  # pragma: no cover  (compiled; held to its definition by tests)
    """Count pairs in which the higher level has the higher category, less those in which it has the lower one.

    Parameters
    ----------
    codes
        (B, n) int64, categories 0..kinds-1 of the patients by rising level.
    ends
        (n,) uint8, 1 where a run of equal levels ends.
    kinds
        Number of categories.
    total
        (B,) int64, filled.
    """
    before = np.zeros(kinds, dtype=np.int64)
    run = np.zeros(kinds, dtype=np.int64)
    for b in range(codes.shape[0]):
        before[:] = 0
        run[:] = 0
        found = 0
        for k in range(codes.shape[1]):
            run[codes[b, k]] += 1
            if ends[k] == 1:
                for high in range(kinds):
                    if run[high] > 0:
                        for other in range(kinds):
                            if other < high:
                                found += run[high] * before[other]
                            elif other > high:
                                found -= run[high] * before[other]
                for kind in range(kinds):
                    before[kind] += run[kind]
                    run[kind] = 0
        total[b] = found


@numba.njit(cache=True, nogil=True)
def distance_products(
    x: np.ndarray,
    rows_x: np.ndarray,
    values: np.ndarray,
    ranks: np.ndarray,
    rows_y: np.ndarray,
    orders: np.ndarray,
    sums: np.ndarray,
) -> None:  # pragma: no cover  (compiled; held to distance matrices by tests)
    """Fill sum |x_i - x_j| |y_i - y_j| - 2/n sum x_i. y_i. for each way of giving outcomes to patients.

    Parameters
    ----------
    x, rows_x
        (n,) rising levels, and the sum of the distances of each from all.
    values, ranks, rows_y
        (k,) distinct outcomes, rising; (n,) int64 which of them each outcome is; (n,) sums of its distances.
    orders
        (B, n) int64: patient i (by rising level) gets outcome ``orders[b, i]``.
    sums
        (B,) float64, filled.
    """
    n, k = x.shape[0], values.shape[0]
    # sums over patients already seen, by rank of the outcome: how many, of x, of y, of x y (binary indexed trees)
    tree = np.zeros((k + 1, 4))
    for b in range(orders.shape[0]):
        tree[:, :] = 0.0
        count_all = x_all = y_all = xy_all = 0.0
        products = 0.0
        rows = 0.0
        for i in range(n):
            place = ranks[orders[b, i]]
            y = values[place]
            count = x_sum = y_sum = xy_sum = 0.0
            at = place + 1
            while at > 0:
                count += tree[at, 0]
                x_sum += tree[at, 1]
                y_sum += tree[at, 2]
                xy_sum += tree[at, 3]
                at -= at & -at
            # (x_i - x_j) (y_i - y_j) for outcomes at or below, the other sign for those above
            below = x[i] * y * count - x[i] * y_sum - y * x_sum + xy_sum
            whole = x[i] * y * count_all - x[i] * y_all - y * x_all + xy_all
            products += 2.0 * below - whole
            rows += rows_x[i] * rows_y[orders[b, i]]
            at = place + 1
            while at <= k:
                tree[at, 0] += 1.0
                tree[at, 1] += x[i]
                tree[at, 2] += y
                tree[at, 3] += x[i] * y
                at += at & -at
            count_all += 1.0
            x_all += x[i]
            y_all += y
            xy_all += x[i] * y
        sums[b] = 2.0 * products - 2.0 * rows / n


def two_sample_reference(level: np.ndarray, first: np.ndarray) -> tuple[float, float]:
    """Define both statistics for one labelling of one marker, in plain numpy.

    Parameters
    ----------
    level
        (n,) finite levels.
    first
        (n,) bool, the first group.

    Returns
    -------
    (theta - 1/2) / sqrt(variance), the variance from placements (Brunner and Munzel 2000, Biom J 42:17); and the
    energy distance 2 E|X-Y| - E|X-X'| - E|Y-Y'| of the mid-ranks (Szekely and Rizzo 2004, InterStat 5).
    """
    from scipy.stats import rankdata

    x, y = level[first], level[~first]
    if len(x) < 2 or len(y) < 2:
        return math.nan, math.nan
    above = (np.sign(x[:, None] - y[None, :]) + 1) / 2
    theta = float(above.mean())
    variance = float(above.mean(axis=1).var(ddof=1) / len(x) + above.mean(axis=0).var(ddof=1) / len(y))
    ranks = rankdata(level)
    distance = np.abs(ranks[:, None] - ranks[None, :])
    energy = float(
        2 * distance[np.ix_(first, ~first)].mean()
        - distance[np.ix_(first, first)].mean()
        - distance[np.ix_(~first, ~first)].mean()
    )
    if variance <= _FLAT:
        return math.copysign(math.inf, theta - 0.5) if theta != 0.5 else 0.0, energy
    return (theta - 0.5) / math.sqrt(variance), energy
