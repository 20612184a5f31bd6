"""Histograms and tallies of colours; see :mod:`biomarkers.pp.colours`."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

_STRETCH = 1024  # colours looked up at a time; sums of so many stay within 32 bits


def pair_sums(rgb: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """Sum 2 x 2 pixels; see :func:`biomarkers.pp.colours.pair_sums`."""
    height, width = rgb.shape[0] // 2, rgb.shape[1] // 2
    out = np.empty((height, width, 3), np.uint16)
    lines = np.ascontiguousarray(rgb).reshape(rgb.shape[0], rgb.shape[1] * 3)
    _pair(lines, np.empty(width * 6, np.uint16), out.reshape(height, width * 3))
    return out.reshape(-1, 3)


def histograms(colours: NDArray[np.integer], *, levels: int) -> NDArray[np.int64]:
    """Count levels, channel by channel; see :func:`biomarkers.pp.colours.histograms`."""
    out = np.zeros((3, levels), np.int64)
    _count(np.ascontiguousarray(colours), out)
    return out


def count_near(colours: NDArray[np.integer], densities: NDArray[np.int32], *, least: int, leave_out: int) -> int:
    """Count colours near glass; see :func:`biomarkers.pp.colours.count_near`."""
    return int(_near(np.ascontiguousarray(colours), densities, np.int32(least), leave_out))


def tally_colours(
    colours: NDArray[np.uint8],
    densities: NDArray[np.int32],
    *,
    dab: NDArray[np.int32],
    neutral: NDArray[np.int32],
    levels: NDArray[np.int32],
) -> NDArray[np.int64]:
    """Tally colours of stains; see :func:`biomarkers.pp.colours.tally_colours`."""
    out = np.zeros(6, np.int64)
    lines = np.empty((3, _STRETCH), np.int32)
    _tally(colours if colours.ndim == 3 else colours[None], densities, dab, neutral, levels, lines, out)
    return out


@numba.njit(cache=True, nogil=True)
def _pair(lines, line, out):  # type: ignore[no-untyped-def]
    for row in range(out.shape[0]):
        upper, lower = lines[2 * row], lines[2 * row + 1]
        for x in range(line.size):
            line[x] = np.uint16(upper[x]) + np.uint16(lower[x])
        target = out[row]
        for x in range(target.size // 3):
            for channel in range(3):
                target[3 * x + channel] = line[6 * x + channel] + line[6 * x + 3 + channel]


@numba.njit(cache=True, nogil=True)
def _count(colours, out):  # type: ignore[no-untyped-def]
    red, green, blue = out[0], out[1], out[2]
    for i in range(colours.shape[0]):
        red[np.uint32(colours[i, 0])] += 1
        green[np.uint32(colours[i, 1])] += 1
        blue[np.uint32(colours[i, 2])] += 1


@numba.njit(cache=True, nogil=True)
def _near(colours, densities, least, leave_out):  # type: ignore[no-untyped-def]
    reds, greens, blues = densities[0], densities[1], densities[2]
    near = 0
    for i in range(colours.shape[0]):
        red, green, blue = np.uint32(colours[i, 0]), np.uint32(colours[i, 1]), np.uint32(colours[i, 2])
        left_out = (red == leave_out) & (green == leave_out) & (blue == leave_out)
        near += (reds[red] + greens[green] + blues[blue] < least) & (not left_out)
    return near


@numba.njit(cache=True, nogil=True)
def _tally(colours, densities, dab, neutral, levels, lines, out):  # type: ignore[no-untyped-def]
    """Look up a stretch of colours at a time, then compare: what only compares runs eight at a time."""
    reds, greens, blues = densities[0], densities[1], densities[2]
    size, room = colours.shape[1], lines.shape[1]
    for row in range(colours.shape[0]):
        for start in range(0, size, room):
            part = colours[row, start : min(start + room, size)]
            red, green, blue = lines[0, : part.shape[0]], lines[1, : part.shape[0]], lines[2, : part.shape[0]]
            for i in range(part.shape[0]):
                red[i] = reds[part[i, 0]]
                green[i] = greens[part[i, 1]]
                blue[i] = blues[part[i, 2]]
            _own(red, green, blue, dab, levels, out)
            _neutral(red, green, blue, neutral, levels, out)


@numba.njit(cache=True, nogil=True)
def _own(reds, greens, blues, dab, levels, out):  # type: ignore[no-untyped-def]
    stained, brown = levels[0], levels[1]
    first, second, third = dab[0], dab[1], dab[2]
    zero = np.int32(0)
    n, browns, pinks, spread = zero, zero, zero, zero
    for i in range(reds.size):
        red, green, blue = reds[i], greens[i], blues[i]
        dense = red + green + blue > stained
        amount = red * first + green * second + blue * third
        n += np.int32(dense)
        browns += np.int32(dense & (blue > green) & (green > red) & (amount > brown))
        pinks += np.int32(dense & (np.int32(2) * red < green) & (np.int32(20) * blue < np.int32(17) * green))
        wide = max(max(red, green), blue) - min(min(red, green), blue)
        spread += wide if dense else zero
    out[0] += n
    out[1] += browns
    out[2] += pinks
    out[3] += spread


@numba.njit(cache=True, nogil=True)
def _neutral(reds, greens, blues, more, levels, out):  # type: ignore[no-untyped-def]
    stained = levels[0]
    first, second, third = more[0], more[1], more[2]
    n, pinks = np.int32(0), np.int32(0)
    for i in range(reds.size):
        red, green, blue = reds[i] + first, greens[i] + second, blues[i] + third
        dense = red + green + blue > stained
        n += np.int32(dense)
        pinks += np.int32(dense & (np.int32(2) * red < green) & (np.int32(20) * blue < np.int32(17) * green))
    out[4] += n
    out[5] += pinks
