"""One pass over a matrix in stretches: wanted genes, row totals, extremes. Nothing is trusted before it is checked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from biomarkers.errors import DataError
from biomarkers.expression.genes import GeneMatch
from biomarkers.expression.scale import Values, log_base

STRETCH: Final = 1 << 17  # stored values a stretch: they stay in the nearest caches while they are looked at
WANTED_NOT, NO_GENE = -1, -2  # places of columns that are only summed, and of those that are not even summed
_MOST: Final = 1 << 31  # rows or columns
_EXACT: Final = 1 << 24  # beyond it every float32 is whole
_LOOKED_AT: Final = 100  # rows that tell the base of logarithms


@dataclass(frozen=True)
class Sparse:
    """A compressed sparse matrix whose three arrays can be sliced: HDF5, zarr or memory.

    ``by_rows`` is True for CSR (``indices`` are columns), False for CSC.
    """

    data: Any
    indices: Any
    indptr: Any
    shape: tuple[int, int]
    by_rows: bool
    where: str


def places(found: Mapping[str, GeneMatch], n_columns: int, no_gene: Sequence[int] | np.ndarray = ()) -> np.ndarray:
    """Return for each column its position among the wanted genes, ``WANTED_NOT`` or ``NO_GENE``; (n_columns,) int32."""
    slot = np.full(n_columns, WANTED_NOT, dtype=np.int32)
    slot[np.asarray(no_gene, dtype=np.int64)] = NO_GENE
    for position, match in enumerate(found.values()):
        slot[list(match.columns)] = position
    return slot


def scan_sparse(parts: Sparse, slot: np.ndarray, names: Sequence[str]) -> tuple[np.ndarray, Values]:
    """Read wanted genes and row totals of a sparse matrix, every index and value checked.

    Parameters
    ----------
    parts
        The matrix.
    slot
        What :func:`places` returned.
    names
        Of the rows; they choose, whatever the order, which rows tell the base of logarithms.

    Returns
    -------
    (rows, wanted) levels, and what the scan saw.

    Raises
    ------
    DataError
        Lengths do not fit, an index is out of range, or a value is not finite.
    """
    indptr = check_indptr(parts)
    values, totals = np.zeros((parts.shape[0], int(slot.max(initial=-1)) + 1)), np.zeros(parts.shape[0])
    seen = np.array([np.inf, -np.inf, 1.0])
    (_scan_csr if parts.by_rows else _scan_csc)(parts, indptr, slot, values, totals, seen)
    stored = int(indptr[-1])
    if stored < parts.shape[0] * parts.shape[1]:  # the rest are zeros
        seen[0], seen[1] = min(seen[0], 0.0), max(seen[1], 0.0)

    def row(at: int) -> np.ndarray:
        return np.array(parts.data[int(indptr[at]) : int(indptr[at + 1])], dtype=float)  # a copy: slices share memory

    base = _base(seen, row, names) if parts.by_rows else ""
    return values, Values(float(seen[0]), float(seen[1]), bool(seen[2]), totals, base)


def scan_dense(item: Any, slot: np.ndarray, names: Sequence[str], *, where: str) -> tuple[np.ndarray, Values]:
    """Read wanted genes and row totals of a dense matrix in stretches.

    Parameters
    ----------
    item
        (rows, columns); anything that can be sliced.
    slot
        What :func:`places` returned.
    names
        Of the rows.
    where
        For messages.

    Raises
    ------
    DataError
        The shape does not fit, or a value is missing or infinite.
    """
    shape = (len(names), len(slot))
    if tuple(int(edge) for edge in item.shape) != shape:
        raise DataError("the matrix does not fit obs and var", where=where, seen=tuple(item.shape), allowed=shape)
    values, totals = np.zeros((shape[0], int(slot.max(initial=-1)) + 1)), np.zeros(shape[0])
    seen = np.array([np.inf, -np.inf, 1.0])
    step = max(1, STRETCH // max(1, shape[1]))
    for start in range(0, shape[0], step):
        part = np.asarray(item[start : start + step], dtype=float)
        if not np.isfinite(part).all():
            row, column = (int(i) for i in np.argwhere(~np.isfinite(part))[0])
            place = f"{where}, row {start + row}, column {column}"
            raise DataError("a value is missing or infinite", where=place)
        here = slice(start, start + len(part))
        add_block(part, slot, values[here], totals[here], seen)

    def one(at: int) -> np.ndarray:
        return np.asarray(item[at : at + 1], dtype=float)[0]

    return values, Values(float(seen[0]), float(seen[1]), bool(seen[2]), totals, _base(seen, one, names))


def add_block(block: np.ndarray, slot: np.ndarray, values: np.ndarray, totals: np.ndarray, seen: np.ndarray) -> None:
    """Add a dense block (rows, columns) to the sums of its rows; ``slot`` is that of its columns."""
    if (slot == NO_GENE).any():
        block, slot = block[:, slot != NO_GENE], slot[slot != NO_GENE]
    if not block.size:
        return
    totals += block.sum(axis=1)
    seen[0], seen[1] = min(seen[0], block.min()), max(seen[1], block.max())
    seen[2] = min(seen[2], float((block == np.floor(block)).all()))
    for column in np.flatnonzero(slot >= 0).tolist():
        values[:, slot[column]] += block[:, column]


def check_indptr(parts: Sparse) -> np.ndarray:
    """Check the frame of a sparse matrix before anything is looked up in it.

    Raises
    ------
    DataError
        Lengths do not fit, or the pointer falls; nothing of it has reached compiled code.
    """
    where = parts.where
    if max(parts.shape) >= _MOST:
        raise DataError("no matrix is that large", where=where, seen=parts.shape)
    n, stored = parts.shape[0] if parts.by_rows else parts.shape[1], int(parts.data.shape[0])
    if parts.indptr.shape != (n + 1,) or parts.indices.shape != parts.data.shape:
        seen = {"indptr": parts.indptr.shape, "indices": parts.indices.shape, "data": parts.data.shape}
        raise DataError("a sparse matrix is broken: lengths do not fit", where=where, seen=seen)
    indptr = np.asarray(parts.indptr[:])
    if indptr.dtype.kind not in "iu" or np.dtype(parts.indices.dtype).kind not in "iu":
        raise DataError("a sparse matrix is broken: positions are not whole numbers", where=where)
    indptr = indptr.astype(np.int64)
    if indptr[0] != 0 or indptr[-1] != stored or (np.diff(indptr) < 0).any():
        raise DataError("a sparse matrix is broken: its row pointer is not rising", where=where)
    return indptr


def stretches(indptr: np.ndarray) -> Iterator[tuple[int, int]]:
    """Cut rows into runs of about ``STRETCH`` stored values."""
    start = 0
    while start < len(indptr) - 1:
        stop = int(np.searchsorted(indptr, indptr[start] + STRETCH, side="right")) - 1
        stop = min(max(stop, start + 1), len(indptr) - 1)
        yield start, stop
        start = stop


def _scan_csr(
    parts: Sparse, indptr: np.ndarray, slot: np.ndarray, values: np.ndarray, totals: np.ndarray, seen: np.ndarray
) -> None:
    from biomarkers.expression.kernels import pick, row_totals

    special = np.flatnonzero(slot != WANTED_NOT).astype(np.int64)
    for start, stop in stretches(indptr):
        low, high = int(indptr[start]), int(indptr[stop])
        data, indices = _checked(parts, low, high, len(slot), seen)
        starts = indptr[start : stop + 1] - low
        row_totals(data, starts, totals[start:stop])
        pick(data, indices, starts, slot, special, totals[start:stop], values[start:stop])


def _scan_csc(
    parts: Sparse, indptr: np.ndarray, slot: np.ndarray, values: np.ndarray, totals: np.ndarray, seen: np.ndarray
) -> None:
    for start, stop in stretches(indptr):
        low, high = int(indptr[start]), int(indptr[stop])
        data, rows = _checked(parts, low, high, len(totals), seen)
        gene = np.repeat(slot[start:stop] != NO_GENE, np.diff(indptr[start : stop + 1]))
        totals += np.bincount(rows[gene], weights=data[gene], minlength=len(totals))
        for column in (np.flatnonzero(slot[start:stop] >= 0) + start).tolist():
            inside = slice(int(indptr[column]) - low, int(indptr[column + 1]) - low)
            np.add.at(values[:, slot[column]], rows[inside], data[inside])


def _checked(parts: Sparse, low: int, high: int, n: int, seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Read one stretch; every index lies in 0 to n - 1 and every value is finite, or it is refused."""
    from biomarkers.expression.kernels import spans

    data, indices = _plain(parts, low, high)
    if not data.size:
        return data, indices
    kind = np.int32 if data.dtype == np.float32 else np.int64
    least, most, first, last, whole = spans(data, data.view(kind), indices, np.iinfo(kind).max)
    if first < 0 or last >= n or most >= _infinite(data.dtype):
        bad = int(np.flatnonzero((indices < 0) | (indices >= n) | ~np.isfinite(data))[0])
        raise DataError(
            "a sparse matrix is broken: an index is out of range, or a value is not finite",
            where=f"{parts.where}, stored value {low + bad}",
            seen=f"index {indices[bad]}, value {data[bad]}",
        )
    if least < 0:  # bits do not order negative values
        smallest, largest = float(data.min()), float(data.max())
    else:
        smallest, largest = (float(np.array([bits], dtype=kind).view(data.dtype)[0]) for bits in (least, most))
    if max(-smallest, largest) > _EXACT:  # too large for the kernel's own test
        whole = bool((np.floor(data) == data).all())
    seen[0], seen[1], seen[2] = min(seen[0], smallest), max(seen[1], largest), min(seen[2], float(whole))
    return data, indices


def _infinite(dtype: np.dtype) -> int:
    """Bits of infinity, the smallest of what is not finite."""
    return int(np.array([np.inf], dtype=dtype).view(np.int32 if dtype == np.float32 else np.int64)[0])


def _plain(parts: Sparse, low: int, high: int) -> tuple[np.ndarray, np.ndarray]:
    """Read one stretch in one of the few types the kernel is compiled for."""
    data, indices = np.asarray(parts.data[low:high]), np.asarray(parts.indices[low:high])
    if data.dtype.kind not in "iufb":
        raise DataError("the values are not numbers", where=parts.where, seen=str(data.dtype))
    if indices.dtype == np.uint64:
        raise DataError("a sparse matrix is broken: positions are not whole numbers", where=parts.where, seen="uint64")
    return (
        data if data.dtype in (np.float32, np.float64) and data.dtype.isnative else data.astype(np.float64),
        indices if indices.dtype in (np.int32, np.int64) and indices.dtype.isnative else indices.astype(np.int64),
    )


def _base(seen: np.ndarray, row: Callable[[int], np.ndarray], names: Sequence[str]) -> str:
    if seen[2] or seen[0] < 0 or seen[1] > 30:
        return ""
    chosen = np.argsort(np.asarray(names, dtype=str), kind="stable")[:_LOOKED_AT].tolist()
    return log_base([row(at) for at in chosen])
