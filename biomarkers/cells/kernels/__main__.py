"""Compile every kernel into numba's cache: ``python -m biomarkers.cells.kernels``, once after an installation."""

from __future__ import annotations

import numpy as np

from biomarkers.cells.find import find_cells
from biomarkers.slide.tile import make_tile


def main() -> None:
    """Find cells in a small picture of discs, at a pixel size with averaging and at one without."""
    y, x = np.mgrid[:160, :160]
    disc = ((y % 40 - 20) ** 2 + (x % 40 - 20) ** 2 < 90)[..., None]
    rgb = np.where(disc, np.array([120, 100, 170], np.uint8), np.array([240, 240, 240], np.uint8))
    for mpp in (0.25, 0.5):
        find_cells(make_tile(rgb, mpp=mpp), progress=False)


if __name__ == "__main__":
    main()
