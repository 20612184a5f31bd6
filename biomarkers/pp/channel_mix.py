"""One compiled pass that takes off what is no marker: background, exposure, autofluorescence, bleed-through."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
from numpy.typing import NDArray

from biomarkers.core.notice import announce_compilation

announce_compilation()

_THREADS = 2


def mixed(
    raw: NDArray, *, dark: NDArray[np.float64], weights: NDArray[np.float64], full: float | None = None
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Take ``weights @ (raw - dark)`` in every pixel.

    Parameters
    ----------
    raw
        (c, y, x) pixels of any real type.
    dark
        (c,) level without light.
    weights
        (targets, c) what each raw channel adds to each cleaned one.
    full
        The highest level that the stored type can hold, if there is one.

    Returns
    -------
    float32 (targets, y, x), and how many pixels of each raw channel are at ``full`` or above, (c,).
    """
    kind = np.dtype(np.float32) if raw.dtype == np.float16 else raw.dtype.newbyteorder("=")
    planes = np.ascontiguousarray(raw, dtype=kind)
    out = np.empty((len(weights), *planes.shape[1:]), np.float32)
    cuts = np.linspace(0, planes.shape[1], _THREADS + 1).astype(int)
    saturated = np.zeros((_THREADS, len(planes)), np.int64)
    floor, share = dark.astype(np.float32), weights.astype(np.float32)
    most = np.iinfo(planes.dtype).max if planes.dtype.kind in "ui" else np.inf
    reachable = full is not None and full <= most
    limit = planes.dtype.type(full if reachable else 0)

    def work(k: int) -> None:
        _rows(planes, floor, share, limit, reachable, cuts[k], cuts[k + 1], out, saturated[k])

    with ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(work, range(_THREADS)))
    return out, saturated.sum(axis=0)


def plainly_mixed(raw: NDArray, *, dark: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Take the same plainly: the definition of what :func:`mixed` gives."""
    mixture: NDArray[np.float64] = np.tensordot(weights, raw - dark[:, None, None], axes=1)
    return mixture


@numba.njit(cache=True, nogil=True)
def _rows(  # type: ignore[no-untyped-def]
    raw, dark, weights, full, limited, top, bottom, out, saturated
):  # pragma: no cover  (compiled)
    channels, _, width = raw.shape
    for row in range(top, bottom):
        for target in range(out.shape[0]):
            line = out[target, row]
            line[:] = np.float32(0)
            for source in range(channels):
                weight, floor, plane = weights[target, source], dark[source], raw[source, row]
                if weight != 0:
                    for x in range(width):
                        line[x] += weight * (np.float32(plane[x]) - floor)
        if limited:
            for source in range(channels):
                plane, count = raw[source, row], 0
                for x in range(width):
                    count += plane[x] >= full
                saturated[source] += count
