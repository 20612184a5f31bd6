"""Detail, dark stain and grains of a field, on whole numbers; see :mod:`biomarkers.pp.field`."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from biomarkers.pp.field import BROWN_PERCENT, Split
from biomarkers.pp.fixed_point import FIXED_POINT_SCALE

_WORD = 8  # pixels that are looked at together
_SHIFT = 16  # two axes of weights that sum to 256 each
_HALF = 1 << (_SHIFT - 1)


def split(
    rgb: NDArray[np.uint8], densities: NDArray[np.int32], weights: NDArray[np.int32], *, levels: NDArray[np.int32]
) -> Split:
    """Look up green density, DAB and what is stained; see :func:`biomarkers.pp.field.split`."""
    green, dab = (np.empty(rgb.shape[:2], np.int16) for _ in range(2))
    stained = np.empty(rgb.shape[:2], np.uint8)
    lines = np.empty((3, rgb.shape[1]), np.int32)
    beyond = _split(np.ascontiguousarray(rgb), densities, weights, levels, lines, green, dab, stained)
    return Split(green, dab, stained.view(np.bool_), int(beyond))


def at_least(
    rgb: NDArray[np.uint8], densities: NDArray[np.int32], weights: NDArray[np.int32], *, least: int
) -> NDArray[np.bool_]:
    """Compare weighted sums; see :func:`biomarkers.pp.field.at_least`."""
    out = np.empty(rgb.shape[:2], np.uint8)
    _compare(np.ascontiguousarray(rgb), densities * weights[:, None], np.int32(least), out)
    return out.view(np.bool_)


def at_least_in(
    rgb: NDArray[np.uint8],
    dab: NDArray[np.int16],
    part: tuple[slice, slice],
    densities: NDArray[np.int32],
    weights: NDArray[np.int32],
    *,
    least: int,
    near: tuple[int, int],
) -> NDArray[np.bool_]:
    """Compare what is near; see :func:`biomarkers.pp.field.at_least_in`."""
    (top, bottom, _), (left, right, _) = (one.indices(side) for one, side in zip(part, dab.shape, strict=True))
    out = np.empty((bottom - top, right - left), np.uint8)
    low, high = (np.int16(one) for one in near)
    weighted = densities * weights[:, None]
    _compare_near(np.ascontiguousarray(rgb), np.ascontiguousarray(dab), top, left, low, high, weighted, least, out)
    return out.view(np.bool_)


def soft_dab(
    rgb: NDArray[np.uint8],
    densities: NDArray[np.int32],
    weights: NDArray[np.int32],
    smoothing: NDArray[np.int32],
    *,
    levels: NDArray[np.int32],
) -> tuple[NDArray[np.int16], int, int]:
    """Split and smooth row by row; see :func:`biomarkers.pp.field.soft_dab`."""
    wide, reach = rgb.shape[1], smoothing.size - 1
    out = np.empty(rgb.shape[:2], np.int16)
    held = np.empty((2 * reach + 1, wide), np.int16)  # the rows that are still looked at
    lines = np.empty((3, wide), np.int32)
    green, stained = np.empty(wide, np.int16), np.empty(wide, np.uint8)
    line, total = np.empty(wide + 2 * reach, np.int32), np.empty(wide, np.int32)
    room = lines, green, stained, held, line, total
    counts = _soft(np.ascontiguousarray(rgb), densities, weights, levels, smoothing, room, out)
    return out, int(counts[0]), int(counts[1])


def smooth(image: NDArray[np.int16], weights: NDArray[np.int32]) -> NDArray[np.int16]:
    """Smooth with symmetric weights, middle first; see :func:`biomarkers.pp.field.smooth`."""
    out = np.empty(image.shape, np.int16)
    reach, wide = weights.size - 1, image.shape[1]
    _smooth(np.ascontiguousarray(image), weights, np.empty(wide + 2 * reach, np.int32), np.empty(wide, np.int32), out)
    return out


def squares_of_differences(one: NDArray[np.int16], other: NDArray[np.int16], where: NDArray[np.bool_]) -> int:
    """Sum (one - other)^2; see :func:`biomarkers.pp.field.squares_of_differences`."""
    first, second, here = np.ascontiguousarray(one), np.ascontiguousarray(other), np.ascontiguousarray(where)
    return int(_squares(first, second, here.view(np.uint8)))


def count_grains(
    dab: NDArray[np.int16], *, dense: int, area: tuple[int, int], ring: tuple[int, int], around: int
) -> int:
    """Count small dark spots; see :func:`biomarkers.pp.field.count_grains`."""
    rows, columns = dab.shape
    # in a frame of nothing, so that no step leads outside, and in whole words, of which most hold nothing
    waiting = np.zeros((rows + 2, -(-columns // _WORD) * _WORD + 2 * _WORD), np.uint8)
    np.greater(dab, dense, out=waiting[1 : rows + 1, _WORD : _WORD + columns].view(np.bool_))
    count = np.count_nonzero(waiting)
    if count == 0:
        return 0
    least, most = area
    inner, outer = ring
    queue = np.empty((count, 2), np.int32)
    return int(_grains(dab, waiting, waiting.view(np.uint64), queue, least, most, inner, outer, around))


def solid_masks(
    means: NDArray[np.float64], densities: NDArray[np.int32], weights: NDArray[np.int32], *, pen: int, dark: int
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Mark colours of ink and dark ones; see :func:`biomarkers.pp.field.solid_masks`."""
    ink, black = (np.empty(means.shape[:2], np.uint8) for _ in range(2))
    _solid(np.ascontiguousarray(means), densities, weights, pen * pen, dark * dark, ink, black)
    return ink.view(np.bool_), black.view(np.bool_)


@numba.njit(cache=True, nogil=True)
def _solid(means, densities, weights, pen, dark, ink, black):  # type: ignore[no-untyped-def]
    for y in range(ink.shape[0]):
        for x in range(ink.shape[1]):
            red = np.int64(densities[0, np.int32(means[y, x, 0] * FIXED_POINT_SCALE + 0.5)])
            green = np.int64(densities[1, np.int32(means[y, x, 1] * FIXED_POINT_SCALE + 0.5)])
            blue = np.int64(densities[2, np.int32(means[y, x, 2] * FIXED_POINT_SCALE + 0.5)])
            length = red * red + green * green + blue * blue
            if length <= pen and length <= dark:  # most of a slide
                ink[y, x], black[y, x] = 0, 0
                continue
            one = (red * weights[0, 0] + green * weights[0, 1] + blue * weights[0, 2] + 2048) >> 12
            other = (red * weights[1, 0] + green * weights[1, 1] + blue * weights[1, 2] + 2048) >> 12
            rest = (red * weights[2, 0] + green * weights[2, 1] + blue * weights[2, 2] + 2048) >> 12
            lowest = min(min(one, other), 0)
            beyond = (400 * lowest * lowest > 9 * length) | (16 * rest * rest > length)
            brown = (blue >= green) & (green >= red) & (100 * (blue - red) > BROWN_PERCENT * (red + green + blue))
            ink[y, x] = beyond & (not brown) & (length > pen)
            black[y, x] = (not beyond) & (not brown) & (length > dark)


@numba.njit(cache=True, nogil=True)
def _compare(rgb, densities, least, out):  # type: ignore[no-untyped-def]
    reds, greens, blues = densities[0], densities[1], densities[2]
    for row in range(rgb.shape[0]):
        source, target = rgb[row], out[row]
        for x in range(target.size):
            target[x] = reds[source[x, 0]] + greens[source[x, 1]] + blues[source[x, 2]] >= least


@numba.njit(cache=True, nogil=True)
def _compare_near(rgb, dab, top, left, low, high, densities, least, out):  # type: ignore[no-untyped-def]
    reds, greens, blues = densities[0], densities[1], densities[2]
    wide = out.shape[1]
    unsure = np.zeros(-(-wide // _WORD) * _WORD, np.uint8)
    words, slots = unsure.view(np.uint64), np.empty(unsure.size, np.int32)
    for row in range(out.shape[0]):
        target, source = out[row], rgb[top + row]
        _settle(dab[top + row, left : left + wide], low, high, target, unsure)
        n = np.uint64(0)
        for word in range(words.size):
            if words[word] == 0:
                continue
            for x in range(word * _WORD, word * _WORD + _WORD):  # without a branch that none could guess
                slots[n] = x
                n += np.uint64(unsure[x])
        for slot in slots[:n]:
            light = source[left + slot]
            target[slot] = reds[light[0]] + greens[light[1]] + blues[light[2]] >= least


@numba.njit(cache=True, nogil=True)
def _settle(known, low, high, out, unsure):  # type: ignore[no-untyped-def]
    for x in range(out.size):
        out[x] = known[x] > high
        unsure[x] = (known[x] >= low) & (known[x] <= high)


@numba.njit(cache=True, nogil=True)
def _split(rgb, densities, weights, levels, lines, green, dab, stained):  # type: ignore[no-untyped-def]
    reds, greens, blues = densities[0], densities[1], densities[2]
    first, second, third = lines[0], lines[1], lines[2]
    beyond = 0
    for row in range(rgb.shape[0]):
        source = rgb[row]
        for x in range(first.size):
            first[x] = reds[source[x, 0]]
            second[x] = greens[source[x, 1]]
            third[x] = blues[source[x, 2]]
        beyond += _weigh(first, second, third, weights, levels, green[row], dab[row], stained[row])
    return beyond


@numba.njit(cache=True, nogil=True)
def _weigh(first, second, third, weights, levels, green, dab, stained):  # type: ignore[no-untyped-def]
    a, b, c = weights[0, 0], weights[0, 1], weights[0, 2]
    d, e, f = weights[1, 0], weights[1, 1], weights[1, 2]
    least, residual, saturated = levels[0], levels[1], levels[2]
    count = np.int32(0)
    for x in range(first.size):
        red, middle, blue = first[x], second[x], third[x]
        green[x] = middle
        dab[x] = (red * a + middle * b + blue * c + np.int32(2048)) >> 12
        rest = (red * d + middle * e + blue * f + np.int32(2048)) >> 12
        dense = red + middle + blue > least
        stained[x] = dense
        count += np.int32(dense & (abs(rest) > residual) & (max(max(red, middle), blue) < saturated))
    return count


@numba.njit(cache=True, nogil=True)
def _soft(rgb, densities, weights, levels, smoothing, room, out):  # type: ignore[no-untyped-def]
    reds, greens, blues = densities[0], densities[1], densities[2]
    lines, green, stained, held, line, total = room
    first, second, third = lines[0], lines[1], lines[2]
    height, wide, reach = rgb.shape[0], rgb.shape[1], smoothing.size - 1
    count, beyond = np.int64(0), np.int64(0)
    for y in range(height + reach):
        if y < height:
            source = rgb[y]
            for x in range(wide):
                first[x] = reds[source[x, 0]]
                second[x] = greens[source[x, 1]]
                third[x] = blues[source[x, 2]]
            beyond += _weigh(first, second, third, weights, levels, green, held[y % held.shape[0]], stained)
            part = np.int32(0)
            for x in range(wide):
                part += np.int32(stained[x])
            count += np.int64(part)
        if y >= reach:
            _smooth_row(held, y - reach, height - 1, smoothing, line, total, out[y - reach])
    return count, beyond


@numba.njit(cache=True, nogil=True)
def _smooth(image, weights, line, total, out):  # type: ignore[no-untyped-def]
    for row in range(image.shape[0]):
        _smooth_row(image, row, image.shape[0] - 1, weights, line, total, out[row])


@numba.njit(cache=True, nogil=True)
def _smooth_row(image, row, last, weights, line, total, target):  # type: ignore[no-untyped-def]
    """Smooth one row of an image that ends with row ``last``, of which as many are held as ``image`` has."""
    reach, wide, size = weights.size - 1, target.size, image.shape[0]
    middle = line[reach : reach + wide]
    source, weight = image[row % size], weights[0]
    for x in range(wide):
        middle[x] = np.int32(source[x]) * weight
    for step in range(1, reach + 1):
        above, below, weight = image[max(row - step, 0) % size], image[min(row + step, last) % size], weights[step]
        for x in range(wide):
            middle[x] += (np.int32(above[x]) + np.int32(below[x])) * weight
    for x in range(reach):
        line[x], line[reach + wide + x] = middle[0], middle[wide - 1]
    weight = weights[0]
    for x in range(wide):
        total[x] = middle[x] * weight + np.int32(_HALF)
    for step in range(1, reach + 1):
        left, right, weight = line[reach - step : reach - step + wide], line[reach + step :], weights[step]
        for x in range(wide):
            total[x] += (left[x] + right[x]) * weight
    for x in range(wide):
        target[x] = total[x] >> np.int32(_SHIFT)


@numba.njit(cache=True, nogil=True)
def _squares(one, other, where):  # type: ignore[no-untyped-def]
    total = np.int64(0)
    for row in range(one.shape[0]):
        first, second, here = one[row], other[row], where[row]
        part = np.int64(0)
        for x in range(first.size):
            difference = (np.int32(first[x]) - np.int32(second[x])) * np.int32(here[x])
            part += np.int64(difference) * np.int64(difference)
        total += part
    return total


@numba.njit(cache=True, nogil=True)
def _grains(dab, waiting, words, queue, least, most, inner, outer, around):  # type: ignore[no-untyped-def]
    rows, columns = dab.shape
    found = 0
    for y in range(1, rows + 1):
        for word in range(1, words.shape[1] - 1):
            if words[y, word] == 0:
                continue
            for x in range(word * _WORD, word * _WORD + _WORD):
                if not waiting[y, x]:
                    continue
                area = _flood(waiting, queue, y, x)
                if least <= area <= most:
                    spot = queue[:area]
                    box = _box(spot)
                    whole = box[0] > 0 and box[2] > 0 and box[1] < rows - 1 and box[3] < columns - 1
                    if whole:
                        found += _alone(dab, spot, box, inner, outer, around)
    return found


@numba.njit(cache=True, nogil=True)
def _flood(waiting, queue, y, x):  # type: ignore[no-untyped-def]
    """Take a spot, side by side pixels, into the queue; return its area."""
    one = np.uint32(1)
    waiting[y, x] = 0
    queue[0, 0], queue[0, 1] = y, x
    size, done = np.uint32(1), np.uint32(0)
    while done < size:
        v, u = np.uint32(queue[done, 0]), np.uint32(queue[done, 1])
        done = np.uint32(done + one)
        if waiting[v - one, u]:
            waiting[v - one, u] = 0
            queue[size, 0], queue[size, 1] = v - one, u
            size = np.uint32(size + one)
        if waiting[v + one, u]:
            waiting[v + one, u] = 0
            queue[size, 0], queue[size, 1] = v + one, u
            size = np.uint32(size + one)
        if waiting[v, u - one]:
            waiting[v, u - one] = 0
            queue[size, 0], queue[size, 1] = v, u - one
            size = np.uint32(size + one)
        if waiting[v, u + one]:
            waiting[v, u + one] = 0
            queue[size, 0], queue[size, 1] = v, u + one
            size = np.uint32(size + one)
    return size


@numba.njit(cache=True, nogil=True)
def _box(spot):  # type: ignore[no-untyped-def]
    """Move a spot out of the frame; return the rows and columns that it lies between."""
    for k in range(spot.shape[0]):
        spot[k, 0] -= 1
        spot[k, 1] -= _WORD
    top, bottom, left, right = spot[0, 0], spot[0, 0], spot[0, 1], spot[0, 1]
    for k in range(spot.shape[0]):
        top, bottom = min(top, spot[k, 0]), max(bottom, spot[k, 0])
        left, right = min(left, spot[k, 1]), max(right, spot[k, 1])
    return top, bottom, left, right


@numba.njit(cache=True, nogil=True)
def _alone(dab, spot, box, inner, outer, around):  # type: ignore[no-untyped-def]
    """Whether what lies around a spot, further than ``inner`` and not further than ``outer``, is below ``around``."""
    rows, columns = dab.shape
    reach = 0
    while (reach + 1) * (reach + 1) <= outer:
        reach += 1
    total, count = 0, 0
    for y in range(max(0, box[0] - reach), min(rows, box[1] + reach + 1)):
        for x in range(max(0, box[2] - reach), min(columns, box[3] + reach + 1)):
            nearest = outer + 1
            for k in range(spot.shape[0]):
                down, across = y - spot[k, 0], x - spot[k, 1]
                nearest = min(nearest, down * down + across * across)
            if inner < nearest <= outer:
                total += dab[y, x]
                count += 1
    return total < around * count
