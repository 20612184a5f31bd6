"""One pass over a matrix in stretches: wanted genes, row totals, extremes. Nothing is trusted before it is checked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from biomarkers.core.errors import DataError
from biomarkers.expression.genes import GeneMatch
from biomarkers.expression.scale import Values, log_base

STRETCH: Final = 1 << 17  # stored values a stretch: they stay in the nearest caches while they are looked at
WANTED_NOT, NO_GENE = -1, -2  # places of columns that are only summed, and of those that are not even summed
_MOST: Final = 1 << 31  # rows or columns
_EXACT: Final = 1 << 24  # whole numbers up to here, and their sums, are exact in float32
_LOOKED_AT: Final = 100  # rows that tell the base of logarithms
_FEW: Final = 8  # columns are looked for one by one up to here
_MOST_BYTES: Final = 1 << 26  # of a dense stretch


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


@dataclass
class MatrixSummary:
    """What the stretches showed so far: extremes, whether all values are whole, and where the lowest below 0 stands."""

    low: float = np.inf
    high: float = -np.inf
    whole: bool = True
    below: tuple[int, int] | None = None

    def add(self, low: float, high: float, *, whole: bool, lowest: Callable[[], tuple[int, int]]) -> None:
        """Add a stretch; ``lowest`` tells row and column of its lowest value and is asked only when it is below 0."""
        if low < min(self.low, 0):
            self.below = lowest()
        self.low, self.high, self.whole = min(self.low, low), max(self.high, high), self.whole and whole

    def values(self, totals: np.ndarray, base: str, samples: Sequence[str], genes: Sequence[str]) -> Values:
        """Return it for the whole matrix; names say where the lowest value stands."""
        at = "" if self.below is None else cell_name(self.below, samples, genes)
        return Values(float(self.low), float(self.high), bool(self.whole), totals, base, at)


def cell_name(at: tuple[int, int], samples: Sequence[str], genes: Sequence[str]) -> str:
    """Name a cell of the matrix (row, column) by gene and sample, or by its place where there are no names."""
    row, column = at
    if row < len(samples) and column < len(genes):
        return f"gene {genes[column]}, sample {samples[row]}"
    return f"row {row}, column {column}"


def places(found: Mapping[str, GeneMatch], n_columns: int, no_gene: Sequence[int] | np.ndarray = ()) -> np.ndarray:
    """Return for each column its place among the wanted columns, ``WANTED_NOT`` or ``NO_GENE``; (n_columns,) int32.

    A gene that stands in several columns has a place for each: how they are joined depends on what the numbers are.
    """
    slot = np.full(n_columns, WANTED_NOT, dtype=np.int32)
    slot[np.asarray(no_gene, dtype=np.int64)] = NO_GENE
    wanted = [column for match in found.values() for column in match.columns]
    slot[wanted] = np.arange(len(wanted))
    return slot


def scan_sparse(
    parts: Sparse, slot: np.ndarray, names: Sequence[str], *, genes: Sequence[str] = ()
) -> tuple[np.ndarray, Values]:
    """Read wanted genes and row totals of a sparse matrix, every index and value checked.

    Parameters
    ----------
    parts
        The matrix.
    slot
        What :func:`places` returned.
    names
        Of the rows; they choose, whatever the order, which rows tell the base of logarithms.
    genes
        Names of the columns, for messages.

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
    zeros = int(indptr[-1]) < parts.shape[0] * parts.shape[1]
    stretch = _Stretch(parts, indptr, names, genes, zeros)
    (_scan_csr if parts.by_rows else _scan_csc)(stretch, slot, values, totals)
    seen = stretch.seen
    if zeros:
        seen.low, seen.high = min(seen.low, 0.0), max(seen.high, 0.0)

    def row(at: int) -> np.ndarray:
        return np.array(parts.data[int(indptr[at]) : int(indptr[at + 1])], dtype=float)  # a copy: slices share memory

    base = _base(seen, row, names) if parts.by_rows else ""
    return values, seen.values(totals, base, names, genes)


def scan_dense(
    item: Any, slot: np.ndarray, names: Sequence[str], *, where: str, genes: Sequence[str] = ()
) -> tuple[np.ndarray, Values]:
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
    genes
        Names of the columns, for messages.

    Raises
    ------
    DataError
        The shape does not fit, or a value is missing or infinite.
    """
    shape = (len(names), len(slot))
    if tuple(int(edge) for edge in item.shape) != shape:
        raise DataError("the matrix does not fit obs and var", where=where, seen=tuple(item.shape), allowed=shape)
    values, totals = np.zeros((shape[0], int(slot.max(initial=-1)) + 1)), np.zeros(shape[0])
    seen, step = MatrixSummary(), _rows_at_once(item, shape)
    for start in range(0, shape[0], step):
        part = _numbers(item[start : start + step], where)
        if not np.isfinite(part).all():
            row, column = (int(i) for i in np.argwhere(~np.isfinite(part))[0])
            place = f"{where}, {cell_name((start + row, column), names, genes)}"
            raise DataError("a value is missing or infinite", where=place, seen=float(part[row, column]))
        here = slice(start, start + len(part))
        add_block(part, slot, values[here], totals[here], seen, first=(start, 0))

    def one(at: int) -> np.ndarray:
        return np.asarray(item[at : at + 1], dtype=float)[0]

    return values, seen.values(totals, _base(seen, one, names), names, genes)


def _rows_at_once(item: Any, shape: tuple[int, int]) -> int:
    """Rows of a dense stretch: whole chunks of the file, so that none is unpacked twice, as far as memory allows."""
    step = max(1, 2 * STRETCH // max(1, shape[1]))
    chunks = getattr(item, "chunks", None)
    rows = int(chunks[0]) if isinstance(chunks, tuple) and isinstance(chunks[0], int) else 1
    most = max(1, _MOST_BYTES // max(1, 8 * shape[1]))
    return -(-step // rows) * rows if rows <= most else most


def _numbers(part: Any, where: str) -> np.ndarray:
    array = np.asarray(part)
    if array.dtype.kind not in "iufb":
        raise DataError("the values are not numbers", where=where, seen=str(array.dtype))
    return array.astype(float, copy=False)


def add_block(
    block: np.ndarray, slot: np.ndarray, values: np.ndarray, totals: np.ndarray, seen: MatrixSummary, *,
    first: tuple[int, int] = (0, 0),
) -> None:  # fmt: skip
    """Add a dense block (rows, columns) to the sums of its rows.

    Parameters
    ----------
    block
        Finite numbers.
    slot
        Of its columns.
    values, totals, seen
        Added to.
    first
        Row and column of the whole matrix where the block begins.
    """
    kept = np.flatnonzero(slot != NO_GENE)
    if len(kept) < len(slot):
        block = block[:, kept]
    if not block.size:
        return
    totals += block.sum(axis=1)

    def lowest() -> tuple[int, int]:
        row, column = np.unravel_index(int(block.argmin()), block.shape)
        return first[0] + int(row), first[1] + int(kept[column])

    seen.add(float(block.min()), float(block.max()), whole=bool((block == np.floor(block)).all()), lowest=lowest)
    for column in np.flatnonzero(slot >= 0).tolist():
        values[:, slot[column]] += block[:, int(np.searchsorted(kept, column))]


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
    n = parts.shape[0] if parts.by_rows else parts.shape[1]
    if parts.indptr.shape != (n + 1,) or len(parts.data.shape) != 1 or parts.indices.shape != parts.data.shape:
        seen = {"indptr": parts.indptr.shape, "indices": parts.indices.shape, "data": parts.data.shape}
        raise DataError("a sparse matrix is broken: lengths do not fit", where=where, seen=seen)
    stored = int(parts.data.shape[0])
    indptr = np.asarray(parts.indptr[:])
    if indptr.dtype.kind not in "iu" or np.dtype(parts.indices.dtype).kind not in "iu":
        raise DataError("a sparse matrix is broken: positions are not whole numbers", where=where)
    if indptr[0] != 0 or indptr[-1] != stored or (indptr[1:] < indptr[:-1]).any():
        raise DataError("a sparse matrix is broken: its row pointer is not rising", where=where,
                        seen=f"{indptr[0]} to {indptr[-1]}", allowed=f"0 to {stored}, never falling")  # fmt: skip
    return indptr.astype(np.int64)


def stretches(indptr: np.ndarray) -> Iterator[tuple[int, int]]:
    """Cut rows into runs of about ``STRETCH`` stored values."""
    start = 0
    while start < len(indptr) - 1:
        stop = int(np.searchsorted(indptr, indptr[start] + STRETCH, side="right")) - 1
        stop = min(max(stop, start + 1), len(indptr) - 1)
        yield start, stop
        start = stop


@dataclass
class _Stretch:
    """Reads stretches of a sparse matrix and checks them; keeps memory between them, which fresh memory costs."""

    parts: Sparse
    indptr: np.ndarray
    names: Sequence[str]
    genes: Sequence[str]
    zeros: bool  # there are values that are not stored
    seen: MatrixSummary = field(default_factory=MatrixSummary)
    floats: np.ndarray = field(default_factory=lambda: np.empty(0, np.float32))
    flags: bytearray = field(default_factory=bytearray)

    def read(self, low: int, high: int) -> tuple[np.ndarray, np.ndarray]:
        """Return values (float32 or float64) and indices; indices lie in the matrix, values are finite."""
        data, indices = np.asarray(self.parts.data[low:high]), np.asarray(self.parts.indices[low:high])
        if len(data) != high - low or len(indices) != high - low:
            raise DataError("a sparse matrix is broken: it is cut short", where=self.parts.where, seen=len(data))
        if data.dtype.kind not in "iufb":
            raise DataError("the values are not numbers", where=self.parts.where, seen=str(data.dtype))
        if data.dtype not in (np.float32, np.float64) or not data.dtype.isnative:
            data = data.astype(np.float64)
        if not data.size:
            return data, indices.astype(np.int64)
        n = self.parts.shape[1] if self.parts.by_rows else self.parts.shape[0]
        unsigned = indices.view(f"u{indices.dtype.itemsize}") if indices.dtype.kind == "i" else indices
        if unsigned.max() >= n:  # below 0 is very large without a sign
            bad = int(np.flatnonzero((indices < 0) | (indices >= n))[0])
            raise DataError("a sparse matrix is broken: an index is out of range", seen=int(indices[bad]),
                            where=f"{self.parts.where}, stored value {low + bad}", allowed=f"0 to {n - 1}")  # fmt: skip
        if indices.dtype == np.uint64:  # numpy does not look up by these
            indices = indices.astype(np.int64)
        least, most = _span(data, zeros=self.zeros)
        if not (np.isfinite(least) and np.isfinite(most)):
            bad = int(np.flatnonzero(~np.isfinite(data))[0])
            place = cell_name(self._cell(low + bad, indices[bad]), self.names, self.genes)
            raise DataError(
                "a value is missing or infinite", where=f"{self.parts.where}, {place}", seen=float(data[bad])
            )
        self.seen.add(least, most, whole=self.seen.whole and self._whole(data),
                      lowest=lambda: self._cell(low + int(data.argmin()), indices[int(data.argmin())]))  # fmt: skip
        return data, indices

    def _cell(self, at: int, index: int) -> tuple[int, int]:
        line = int(np.searchsorted(self.indptr, at, side="right")) - 1
        return (line, int(index)) if self.parts.by_rows else (int(index), line)

    def _whole(self, data: np.ndarray) -> bool:
        if len(self.floats) < len(data) or self.floats.dtype != data.dtype:
            self.floats = np.empty(len(data), dtype=data.dtype)
        floor = np.floor(data, out=self.floats[: len(data)])
        return bool(np.equal(floor, data, out=self._mask(len(data))).all())

    def _mask(self, n: int) -> np.ndarray:
        """(n,) flags to write into; they stand in ``flags``."""
        if len(self.flags) < n:
            self.flags = bytearray(n)
        return np.frombuffer(self.flags, dtype=bool, count=n)

    def hits(self, indices: np.ndarray, special: np.ndarray, lookup: np.ndarray) -> np.ndarray:
        """Return where ``indices`` hold one of the ``special`` columns, rising; ``lookup`` marks these columns."""
        mask = self._mask(len(indices))
        if len(special) > _FEW:
            return np.flatnonzero(lookup.take(indices, out=mask, mode="clip"))
        found: list[int] = []
        for column in special.tolist():
            np.equal(indices, column, out=mask)
            at = self.flags.find(1, 0, len(indices))  # there are few: looking for the next is the quickest way
            while at >= 0:
                found.append(at)
                at = self.flags.find(1, at + 1, len(indices))
        return np.array(sorted(found), dtype=np.int64)


def _span(data: np.ndarray, *, zeros: bool) -> tuple[float, float]:
    """Return smallest and largest value, NaN or infinite where there is one.

    Floats that are not below 0 are ordered as their bits are; one look at the bits tells that none is below 0, and
    where there are zeros that are not stored, the smallest is known then.
    """
    bits = data.view(f"u{data.dtype.itemsize}").max()
    infinite = np.array(np.inf, dtype=data.dtype).view(bits.dtype)
    if zeros and bits < infinite:
        return 0.0, float(bits.view(data.dtype))
    return float(data.min()), float(data.max())


def _scan_csr(stretch: _Stretch, slot: np.ndarray, values: np.ndarray, totals: np.ndarray) -> None:
    indptr, special, lookup = stretch.indptr, np.flatnonzero(slot != WANTED_NOT), slot != WANTED_NOT
    for start, stop in stretches(indptr):
        low, high = int(indptr[start]), int(indptr[stop])
        data, indices = stretch.read(low, high)
        if not data.size:
            continue
        starts = indptr[start : stop + 1] - low
        totals[start:stop] = _row_totals(data, starts, stretch.seen)
        at = stretch.hits(indices, special, lookup)
        if not at.size:
            continue
        rows = np.searchsorted(starts, at, side="right") - 1 + start
        place, number = slot[indices[at]], data[at].astype(float)
        wanted = place >= 0
        np.add.at(values, (rows[wanted], place[wanted]), number[wanted])  # a column may stand twice in a row
        np.subtract.at(totals, rows[~wanted], number[~wanted])


def _row_totals(data: np.ndarray, starts: np.ndarray, seen: MatrixSummary) -> np.ndarray:
    """Return the sums of rows that begin at ``starts`` (r + 1,); sums of counts are exact in any order of addition."""
    filled = np.flatnonzero(np.diff(starts))
    most = max(seen.high, -seen.low) * int(np.diff(starts).max(initial=0))
    exact = seen.whole and most < _EXACT
    sums = np.zeros(len(starts) - 1)
    sums[filled] = np.add.reduceat(data if exact else data.astype(float, copy=False), starts[:-1][filled])
    return sums


def _scan_csc(stretch: _Stretch, slot: np.ndarray, values: np.ndarray, totals: np.ndarray) -> None:
    indptr = stretch.indptr
    for start, stop in stretches(indptr):
        low, high = int(indptr[start]), int(indptr[stop])
        data, rows = stretch.read(low, high)
        if not data.size:
            continue
        gene = np.repeat(slot[start:stop] != NO_GENE, np.diff(indptr[start : stop + 1]))
        if not gene.all():
            totals += np.bincount(rows[gene], weights=data[gene], minlength=len(totals))
        else:
            totals += np.bincount(rows, weights=data, minlength=len(totals))
        for column in (np.flatnonzero(slot[start:stop] >= 0) + start).tolist():
            inside = slice(int(indptr[column]) - low, int(indptr[column + 1]) - low)
            np.add.at(values[:, slot[column]], rows[inside], data[inside])


def _base(seen: MatrixSummary, row: Callable[[int], np.ndarray], names: Sequence[str]) -> str:
    if seen.whole or seen.low < 0 or seen.high > 30:
        return ""
    chosen = np.argsort(np.asarray(names, dtype=str), kind="stable")[:_LOOKED_AT].tolist()
    return log_base([row(at) for at in chosen])
