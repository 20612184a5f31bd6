"""Cells become label images: each pixel goes to the nucleus, then to the cell, whose outline it lies deepest in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from biomarkers.simulate.tissue import Layout

_N_LOBES: Final = 2
_LOBE_SIZE: Final = 0.04


@dataclass(frozen=True)
class Shapes:
    """Instance labels, (y, x) int32, 0 = background; nucleus ``i`` lies in cell ``i``; row ``i - 1`` of the layout."""

    nucleus_labels: np.ndarray
    cell_labels: np.ndarray


def draw(rng: np.random.Generator, layout: Layout, *, size_px: tuple[int, int], mpp: float) -> Shapes:
    """Rasterise nuclei (ellipses with a few lobes) and cell bodies (the nucleus's outline, moved out)."""
    nearest = np.full(size_px, np.inf, dtype=np.float32)
    nearest_body = np.full(size_px, np.inf, dtype=np.float32)
    nuclei = np.zeros(size_px, dtype=np.int32)
    bodies = np.zeros(size_px, dtype=np.int32)
    radius = np.sqrt(layout.nucleus_area_um2 / np.pi)
    phase = rng.uniform(0, 2 * np.pi, (len(radius), _N_LOBES)).astype(np.float32)
    for i in range(len(radius)):
        long = radius[i] * np.sqrt(layout.axis_ratio[i])
        window = _window(layout.x_um[i], layout.y_um[i], (long + layout.cytoplasm_um[i]) * 1.15, size_px, mpp)
        if window is None:
            continue
        depth = _outside_um(layout, i, radius[i], phase[i], window, mpp)
        own = np.where(depth <= 0, depth / np.float32(radius[i]), np.inf)
        _claim(nearest[window], nuclei[window], own, i + 1)
        body = np.where(depth <= layout.cytoplasm_um[i], depth, np.inf)
        _claim(nearest_body[window], bodies[window], body, i + 1)
    bodies = np.where(nuclei > 0, nuclei, bodies)
    return Shapes(nuclei, bodies)


def _window(x: float, y: float, reach: float, size_px: tuple[int, int], mpp: float) -> tuple[slice, slice] | None:
    top, bottom = max(0, int((y - reach) / mpp)), min(size_px[0], int((y + reach) / mpp) + 2)
    left, right = max(0, int((x - reach) / mpp)), min(size_px[1], int((x + reach) / mpp) + 2)
    return (slice(top, bottom), slice(left, right)) if top < bottom and left < right else None


def _outside_um(
    layout: Layout, i: int, radius: float, phase: np.ndarray, window: tuple[slice, slice], mpp: float
) -> np.ndarray:
    """Distance from the nucleus's outline in um, negative inside (exact on a circle, close on an ellipse)."""
    y = (np.arange(window[0].start, window[0].stop, dtype=np.float32) + 0.5) * np.float32(mpp) - np.float32(
        layout.y_um[i]
    )
    x = (np.arange(window[1].start, window[1].stop, dtype=np.float32) + 0.5) * np.float32(mpp) - np.float32(
        layout.x_um[i]
    )
    cos, sin = np.float32(np.cos(layout.angle[i])), np.float32(np.sin(layout.angle[i]))
    stretch = np.float32(np.sqrt(layout.axis_ratio[i]))
    u = (x[None, :] * cos + y[:, None] * sin) / stretch
    v = (y[:, None] * cos - x[None, :] * sin) * stretch
    distance = np.sqrt(u * u + v * v)
    safe = np.maximum(distance, np.float32(1e-3))
    outline = np.float32(radius) * (1 + np.float32(_LOBE_SIZE) * _lobes(u / safe, v / safe, phase))
    scale = np.sqrt(x[None, :] ** 2 + y[:, None] ** 2) / safe
    outside: np.ndarray = (distance - outline) * np.clip(scale, 1 / stretch, stretch)
    return outside


def _lobes(c: np.ndarray, s: np.ndarray, phase: np.ndarray) -> np.ndarray:
    """Sum cos(2t + p2) + cos(3t + p3) by multiple-angle formulas from c = cos t and s = sin t."""
    cos2, sin2 = c * c - s * s, 2 * c * s
    cos3, sin3 = c * cos2 - s * sin2, s * cos2 + c * sin2
    a, b = np.cos(phase), np.sin(phase)
    lobes: np.ndarray = cos2 * a[0] - sin2 * b[0] + cos3 * a[1] - sin3 * b[1]
    return lobes


def _claim(nearest: np.ndarray, labels: np.ndarray, value: np.ndarray, label: int) -> None:
    won = value < nearest
    nearest[won] = value[won]
    labels[won] = label
