"""Whole numbers of cells -> means, shares and shapes, a cell at a time; see :func:`biomarkers.seg.measure.numbers`.

Each number is reckoned in the order of the plain step, so that it is the same to the last digit.
"""

from __future__ import annotations

import math

import numba
import numpy as np
from numpy.typing import NDArray

from biomarkers.seg.measure import Sums
from biomarkers.seg.moments import PIXEL
from biomarkers.seg.outline_stain import MILLI, OutlineStain
from biomarkers.seg.table import COLUMNS, Rows

_RIM = 26  # column of the level that half of the outline reaches; those of its lines and of dark pixels follow


def numbers(sums: Sums, outline: OutlineStain, contrast: NDArray[np.int64]) -> Rows:
    """Turn whole numbers into what is kept of a cell; see :func:`biomarkers.seg.measure.numbers`."""
    out = np.empty((contrast.size - 1, COLUMNS))
    of_nuclei = sums.dab, sums.hematoxylin, sums.squares, sums.edge
    bands = tuple(field for band in outline.bands for field in band)
    _reckon(sums.moments, of_nuclei, tuple(outline.stretches), bands, outline.highest, contrast, out)
    if outline.rim is not None:
        out[:, _RIM] = outline.rim.level / MILLI
        out[:, _RIM + 2] = outline.rim.line / MILLI
        out[:, _RIM + 4] = outline.rim.dark / np.maximum(out[:, 2], 1)
    return Rows(out)


@numba.njit(cache=True, nogil=True)
def _reckon(moments, of_nuclei, stretches, bands, highest, contrast, out):  # type: ignore[no-untyped-def]
    """Columns of ``out`` are those of ``Rows``: places, areas, shapes, means, layers, in the order of their names."""
    dabs, blues, squares, edges = of_nuclei
    presents, levels, staineds, stained_levels, partials = stretches
    on_size, _, on_blue, in_size, in_dab, in_blue, all_size, all_dab, all_blue = bands
    for k in range(out.shape[0]):
        row = out[k]
        size, x, y, dab, blue = moments[0, k], moments[1, k], moments[2, k], dabs[k], blues[k]
        row[0], row[1] = _quotient(x, size), _quotient(y, size)
        row[2], row[3] = size + all_size[k], size
        row[4] = contrast[k + 1] / MILLI
        row[5], row[6], row[7] = _ellipse(size, x, y, moments[3, k], moments[4, k], moments[5, k])
        around = max(edges[k] * 1.06 + math.pi, 1.0)
        row[8] = min(4 * math.pi * size / (around * around), 1.0)
        mean = blue / max(size, 1)
        row[9] = math.sqrt(max(squares[k] / max(size, 1) - mean * mean, 0.0)) / MILLI
        row[10], row[11] = _means(size + all_size[k], dab + all_dab[k], blue + all_blue[k])
        row[12], row[13] = _means(size, dab, blue)
        row[14], row[15] = _means(in_size[k], in_dab[k], in_blue[k])
        row[16] = _quotient(levels[k], presents[k]) / MILLI
        row[17] = _quotient(on_blue[k], on_size[k]) / MILLI
        row[18], row[19] = highest[k, 0] / MILLI, highest[k, 1] / MILLI
        row[20] = staineds[k] / presents[k] if presents[k] > 0 else 0.0
        row[22] = _quotient(stained_levels[k], staineds[k]) / MILLI
        row[24] = partials[k] / MILLI
        row[21] = row[23] = row[25] = np.nan
        row[26:] = np.nan  # of the rim, where it was asked for


@numba.njit(cache=True, nogil=True)
def _quotient(total, count):  # type: ignore[no-untyped-def]
    """Quotient, NaN where nothing was counted."""
    return total / count if count > 0 else np.nan


@numba.njit(cache=True, nogil=True)
def _means(size, dab, blue):  # type: ignore[no-untyped-def]
    """Mean of both stains in optical density."""
    return _quotient(dab, size) / MILLI, _quotient(blue, size) / MILLI


@numba.njit(cache=True, nogil=True)
def _ellipse(size, x, y, xx, yy, xy):  # type: ignore[no-untyped-def]
    """Elongation, eccentricity and fit of the ellipse of the same moments."""
    whole = np.float64(max(size, 1))
    square = whole * whole
    wide, tall = (size * xx - x * x) / square + PIXEL, (size * yy - y * y) / square + PIXEL
    slant = (size * xy - x * y) / square
    half = (wide - tall) / 2
    middle, swing = (wide + tall) / 2, math.sqrt(half * half + slant * slant)
    minor, major = max(middle - swing, 0.0), middle + swing
    ratio = math.sqrt(minor / major)
    fit = size / (4 * math.pi * math.sqrt(max(minor * major, 1e-9)))
    return ratio, math.sqrt(max(1 - ratio * ratio, 0.0)), min(fit, 1.0)
