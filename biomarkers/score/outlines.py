"""Label image -> the outline of every label, along pixel edges, so that an outline encloses exactly its pixels."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from biomarkers.core.notice import announce_compilation

announce_compilation()

# right, down, left, up; the labelled pixel is always on the right hand
_DX = np.array([1, 0, -1, 0])
_DY = np.array([0, 1, 0, -1])
# the pixels ahead of a corner, left and right of the heading, relative to the corner
_LEFT_X, _LEFT_Y = np.array([0, 0, -1, -1]), np.array([-1, 0, 0, -1])
_RIGHT_X, _RIGHT_Y = np.array([0, -1, -1, 0]), np.array([0, 0, -1, -1])


def outlines(labels: NDArray[np.integer]) -> dict[int, NDArray[np.int64]]:
    """Trace the outer outline of every label.

    Parameters
    ----------
    labels
        (height, width) integers; 0 is background. A label in several pieces gives its first piece in reading order.

    Returns
    -------
    Label -> (n_corners, 2) x, y of the corners in pixel units, pixel (0, 0) spanning 0 to 1; clockwise as seen, not
    closed, no corner in the middle of a straight edge.
    """
    corners, starts, stops = traced(labels)
    return {label: corners[starts[label] : stops[label]] for label in np.flatnonzero(stops > starts).tolist()}


def traced(labels: NDArray[np.integer]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Trace all labels as :func:`outlines` does; return all corners, and by label where its own begin and end."""
    grid = np.ascontiguousarray(labels, dtype=np.int64)
    highest = int(grid.max(initial=0))
    if highest == 0:
        return np.empty((0, 2), np.int64), np.zeros(1, np.int64), np.zeros(1, np.int64)
    edges = 2 * (np.count_nonzero(np.diff(grid, axis=0)) + np.count_nonzero(np.diff(grid, axis=1)) + sum(grid.shape))
    corners, starts, stops = _trace_all(grid, highest, 2 * edges + 8)
    return corners[: stops.max()], starts, stops


@numba.njit(cache=True)
def _trace_all(grid, highest, room):  # type: ignore[no-untyped-def]
    corners = np.empty((room, 2), np.int64)
    starts = np.zeros(highest + 1, np.int64)
    stops = np.zeros(highest + 1, np.int64)
    used = 0
    for y in range(grid.shape[0]):
        for x in range(grid.shape[1]):
            label = grid[y, x]
            if label > 0 and stops[label] == 0:
                starts[label] = used
                used = _trace_one(grid, label, x, y, corners, used)
                stops[label] = used
    return corners, starts, stops


@numba.njit(cache=True)
def _trace_one(grid, label, x0, y0, corners, used):  # type: ignore[no-untyped-def]
    x, y, heading = x0, y0, 0
    while True:
        corners[used, 0], corners[used, 1] = x, y
        used += 1
        turn = 0
        while turn == 0:  # along a straight edge
            x, y = x + _DX[heading], y + _DY[heading]
            if not _is(grid, label, x + _RIGHT_X[heading], y + _RIGHT_Y[heading]):
                turn = 1
            elif _is(grid, label, x + _LEFT_X[heading], y + _LEFT_Y[heading]):
                turn = 3
        heading = (heading + turn) % 4
        if x == x0 and y == y0:
            return used


@numba.njit(cache=True)
def _is(grid, label, x, y):  # type: ignore[no-untyped-def]
    return 0 <= x < grid.shape[1] and 0 <= y < grid.shape[0] and grid[y, x] == label
