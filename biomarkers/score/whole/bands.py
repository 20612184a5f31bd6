"""Strips of measured cells -> bands of fixed height, each with its surroundings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from biomarkers.score.whole.stream import TileRow
from biomarkers.seg.table import Rows, join_rows

BAND_UM = 512.0  # bands lie at the same place whatever the tiles were, so classes and sums do not depend on tiles


@dataclass(frozen=True)
class Band:
    """Cells in reading order; ``own`` are the band's, the others lie around it."""

    rows: Rows
    own: slice


def in_bands(strips: Iterable[TileRow], *, mpp: float, reach_um: float) -> Iterator[Band]:
    """Yield the bands that hold cells, from top to bottom, as soon as what lies ``reach_um`` below them is known."""
    held: list[Rows] = []
    number = 0
    for strip in strips:
        held.append(strip.rows)
        while (number + 1) * BAND_UM + reach_um <= strip.end * mpp:
            band, held = _cut(held, number, mpp, reach_um)
            number += 1
            if band is not None:
                yield band
    lowest = max((float(_y_um(rows, mpp)[-1]) for rows in held if rows.count), default=-1.0)
    while number * BAND_UM <= lowest:
        band, held = _cut(held, number, mpp, reach_um)
        number += 1
        if band is not None:
            yield band


def _cut(held: list[Rows], number: int, mpp: float, reach_um: float) -> tuple[Band | None, list[Rows]]:
    """Return a band, or None where it holds no cell, and the cells that the next one needs."""
    rows = join_rows(held)
    low, high = number * BAND_UM, (number + 1) * BAND_UM
    edges = [high - reach_um, low - reach_um, low, high, high + reach_um]
    again, first, start, stop, last = np.searchsorted(_y_um(rows, mpp), edges).tolist()
    if start == stop:
        return None, [rows.subset(slice(again, None))]
    own = rows.subset(slice(first, last)).copied()  # a band that waits holds no more than its own cells
    return Band(own, slice(start - first, stop - first)), [rows.subset(slice(again, None))]


def _y_um(rows: Rows, mpp: float) -> np.ndarray:
    return (rows.middle[:, 1] + 0.5) * mpp
