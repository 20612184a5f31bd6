"""A tissue scene with known truth, from which H-DAB and fluorescence images are rendered."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from biomarkers.core.errors import UsageError
from biomarkers.simulate.markers import plant
from biomarkers.simulate.shapes import draw
from biomarkers.simulate.tissue import CROWDINGS, Crowding, lay_out

Seed = np.random.Generator | int


@dataclass(frozen=True)
class Scene:
    """Truth of one simulated tile.

    ``nucleus_labels`` and ``cell_labels`` are (y, x) int32, 0 = background; row ``label`` of ``cells`` describes them:
    ``label, cell_class, region, x_um, y_um`` (centroid of the nucleus as drawn), ``nucleus_area_um2, area_um2`` (as
    drawn), ``cut`` (the nucleus touches the edge), and the planted markers. ``tumor_mask`` is (y, x) bool.
    """

    nucleus_labels: np.ndarray
    cell_labels: np.ndarray
    cells: pd.DataFrame
    tumor_mask: np.ndarray
    mpp: float
    crowding: Crowding

    @property
    def area_mm2(self) -> float:
        """Area of the tile."""
        return self.nucleus_labels.size * self.mpp**2 / 1e6


def simulate_scene(
    *,
    rng: Seed,
    size_px: int | tuple[int, int] = 512,
    mpp: float = 0.5,
    crowding: Crowding = "dense",
    tps: float = 50.0,
    strength: float = 0.5,
    tumor_share: float = 0.6,
    lymphocytes_per_mm2: float = 500.0,
    pd1_share: float = 0.2,
    macrophage_share: float = 0.3,
    cytoplasm_only: bool = False,
) -> Scene:
    """Simulate tissue with known truth.

    Parameters
    ----------
    rng
        Generator or seed; the same seed gives the same scene.
    size_px
        Edge, or (height, width).
    mpp
        Pixel size in um/px.
    crowding
        ``sparse``, ``dense`` or ``touching``.
    tps
        Tumour cells with PD-L1 on their membrane, in per cent; planted exactly, to the nearest cell.
    strength
        0 makes positive cells 1+, 1 makes them 3+; in between bins are mixed.
    tumor_share
        Share of the tile that is tumour nests.
    lymphocytes_per_mm2
        Density of lymphocytes aimed at.
    pd1_share, macrophage_share
        Share (0-1) of lymphocytes with PD-1, and of macrophages with PD-L1.
    cytoplasm_only
        Staining stays in the cytoplasm, so that TPS is 0 whatever ``tps`` says (it then sets how many cells blush).

    Returns
    -------
    Scene

    Raises
    ------
    UsageError
        A value is out of its range.

    Examples
    --------
    >>> import biomarkers as bm
    >>> scene = bm.simulate_scene(rng=0, size_px=256, tps=50)
    >>> scene.mpp
    0.5
    """
    generator = np.random.default_rng(rng)
    size = (size_px, size_px) if isinstance(size_px, int) else size_px
    _check(size, mpp, crowding, {"tps": (tps, 100), "strength": (strength, 1), "tumor_share": (tumor_share, 1),
                                 "pd1_share": (pd1_share, 1), "macrophage_share": (macrophage_share, 1)})  # fmt: skip
    layout = lay_out(
        generator,
        size_px=size,
        mpp=mpp,
        crowding=crowding,
        tumor_share=tumor_share,
        lymphocytes_per_mm2=lymphocytes_per_mm2,
    )
    shapes = draw(generator, layout, size_px=size, mpp=mpp)
    nuclei, bodies, cells = _measured(
        shapes.nucleus_labels, shapes.cell_labels, layout.cell_class, layout.tumor_mask, mpp
    )
    cells = plant(
        generator,
        cells,
        tps=tps,
        strength=strength,
        macrophage_share=macrophage_share,
        pd1_share=pd1_share,
        cytoplasm_only=cytoplasm_only,
    )
    return Scene(nuclei, bodies, cells, layout.tumor_mask, mpp, crowding)


def _check(size: tuple[int, int], mpp: float, crowding: str, shares: dict[str, tuple[float, float]]) -> None:
    if min(size) < 32:
        raise UsageError("a simulated tile must be at least 32 px wide and high", seen=size)
    if not 0.1 <= mpp <= 2:
        raise UsageError("mpp is out of range", seen=mpp, allowed="0.1 to 2 um/px")
    if crowding not in CROWDINGS:
        raise UsageError("unknown crowding", seen=crowding, allowed=CROWDINGS)
    for name, (value, most) in shares.items():
        if not 0 <= value <= most:
            raise UsageError(f"{name} is out of range", seen=value, allowed=f"0 to {most}")


def _measured(
    nuclei: np.ndarray, bodies: np.ndarray, kinds: np.ndarray, tumor: np.ndarray, mpp: float
) -> tuple[np.ndarray, np.ndarray, pd.DataFrame]:
    """Describe cells as they were drawn; a cell whose nucleus lies outside the tile is tissue without a label."""
    n = len(kinds)
    area = np.bincount(nuclei.ravel(), minlength=n + 1)[1:]
    visible = area * mpp**2 >= 4
    new = np.zeros(n + 1, dtype=np.int32)
    new[1:][visible] = np.arange(1, visible.sum() + 1)
    nuclei, bodies = new[nuclei], new[bodies]
    area, kinds = area[visible], kinds[visible]
    row, column = _centroids(nuclei, area)
    edge = np.unique(np.concatenate([nuclei[0], nuclei[-1], nuclei[:, 0], nuclei[:, -1]]))
    label = np.arange(1, len(kinds) + 1)
    inside = tumor[np.clip(row.astype(int), 0, None), np.clip(column.astype(int), 0, None)]
    cells = pd.DataFrame({
        "label": label,
        "cell_class": kinds,
        "region": np.where(inside, "Tumor", "Stroma"),
        "x_um": (column + 0.5) * mpp,
        "y_um": (row + 0.5) * mpp,
        "nucleus_area_um2": area * mpp**2,
        "area_um2": np.bincount(bodies.ravel(), minlength=len(kinds) + 1)[1:] * mpp**2,
        "cut": np.isin(label, edge),
    })  # fmt: skip
    return nuclei, bodies, cells


def _centroids(labels: np.ndarray, area: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    n, flat = len(area) + 1, labels.ravel()
    rows = np.repeat(np.arange(labels.shape[0]), labels.shape[1])
    columns = np.tile(np.arange(labels.shape[1]), labels.shape[0])
    return (
        np.bincount(flat, weights=rows, minlength=n)[1:] / area,
        np.bincount(flat, weights=columns, minlength=n)[1:] / area,
    )
