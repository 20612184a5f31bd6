"""Compile every kernel into numba's cache: ``python -m biomarkers.cells.kernels``, once after an installation."""

from __future__ import annotations

import numpy as np

from biomarkers.cells.pipeline import Plan, find_rows
from biomarkers.cells.settings import CellSettings
from biomarkers.stain.vectors import StainVectors


def main() -> None:
    """Find cells in a small picture of discs, at a pixel size with averaging and at one without."""
    y, x = np.mgrid[:160, :160]
    disc = ((y % 40 - 20) ** 2 + (x % 40 - 20) ** 2 < 90)[..., None]
    rgb = np.where(disc, np.array([120, 100, 170], np.uint8), np.array([240, 240, 240], np.uint8))
    for mpp in (0.25, 0.5):
        plan = Plan(mpp=mpp, white=(240.0, 240.0, 240.0), vectors=StainVectors(), settings=CellSettings())
        find_rows(rgb, np.ones(rgb.shape[:2], bool), plan=plan, progress=False)


if __name__ == "__main__":
    main()
