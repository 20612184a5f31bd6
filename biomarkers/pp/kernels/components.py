"""Connected pieces of a mask by runs; see :mod:`biomarkers.pp.tissue`."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray


def without_small(mask: NDArray[np.bool_], least: int) -> NDArray[np.bool_]:
    """Drop small pieces; see :func:`biomarkers.pp.tissue.without_small`."""
    there = np.ascontiguousarray(mask).view(np.uint8)
    out = np.zeros(there.shape, np.uint8)
    runs = int(np.count_nonzero(there[:, 1:] > there[:, :-1]) + np.count_nonzero(there[:, :1]))
    start, stop, parent, size = (np.empty(runs, np.int32) for _ in range(4))
    _keep_large(there, least, start, stop, parent, size, out)
    return out.view(np.bool_)


@numba.njit(cache=True, nogil=True)
def _keep_large(there, least, start, stop, parent, size, out):  # type: ignore[no-untyped-def]
    """Join each run of a row to those above that share a column with it; then write the runs of large pieces."""
    first, count = np.zeros(there.shape[0] + 1, np.int32), 0
    above = 0  # the first run of the row above that may still touch
    for y in range(there.shape[0]):
        line = there[y]
        above, end, x = first[max(y - 1, 0)], count, 0
        while x < line.size:
            if line[x] == 0:
                x += 1
                continue
            begin = x
            while x < line.size and line[x] != 0:
                x += 1
            start[count], stop[count], parent[count], size[count] = begin, x, count, x - begin
            while above < end and stop[above] <= begin:
                above += 1
            other = above
            while other < end and start[other] < x:
                one, two = count, other
                while parent[one] != one:
                    one = parent[one]
                while parent[two] != two:
                    parent[two] = parent[parent[two]]
                    two = parent[two]
                if one != two:
                    parent[one], size[two] = two, size[two] + size[one]
                other += 1
            count += 1
        first[y + 1] = count
    for y in range(there.shape[0]):
        for run in range(first[y], first[y + 1]):
            root = run
            while parent[root] != root:
                root = parent[root]
            if size[root] >= least:
                for x in range(start[run], stop[run]):
                    out[y, x] = 1
