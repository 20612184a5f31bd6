"""Make a simulated whole slide: a pyramidal JPEG TIFF of any size, tissue on glass, from the simulator.

A few simulated fields are rendered and laid over the slide as a mosaic, mirrored at random so that no two neighbours
are alike, under an outline of tissue. The truth of single cells is not kept: the slide is for speed, memory and
invariance, not for accuracy.

    python benchmarks/make_slide.py slide.tif --size 16384 --tissue 0.4
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tifffile
from scipy import ndimage

from biomarkers.simulate import Nuisance, render_hdab, simulate_scene

GLASS = (243.0, 242.0, 241.0)
TILE = 256
FIELD = 512
_OUTLINE = 128  # px of the slide to a cell of the grid on which the outline of the tissue is drawn


def make_slide(
    path: Path, *, size: int, tissue: float = 0.4, mpp: float = 0.5, quality: int = 85, seed: int = 1, fields: int = 6
) -> None:
    """Write a slide of ``size`` x ``size`` px, ``tissue`` (0-1) of it tissue, with levels of 1, 2, 4 ... times."""
    rng = np.random.default_rng(seed)
    stock = _fields(rng, fields, mpp)
    plan = rng.integers(0, len(stock) * 8, (-(-size // FIELD), -(-size // FIELD)))
    inside = _outline(rng, -(-size // _OUTLINE), tissue)
    downs = [2**k for k in range(1, 8) if size // 2**k >= TILE]
    options = {"photometric": "rgb", "tile": (TILE, TILE), "compression": "jpeg", "compressionargs": {"level": quality}}
    with tifffile.TiffWriter(path, bigtiff=True) as writer:
        for down in [1, *downs]:
            side = size // down
            writer.write(
                _tiles(stock, plan, inside, side=side, down=down, seed=seed),
                shape=(side, side, 3),
                dtype=np.uint8,
                subfiletype=int(down > 1),
                resolution=(1e4 / (mpp * down),) * 2,
                resolutionunit="CENTIMETER",
                metadata=None,
                **options,
            )


def _fields(rng: np.random.Generator, count: int, mpp: float) -> list[np.ndarray]:
    """Render fields of every crowding and staining."""
    found = []
    for number in range(count):
        scene = simulate_scene(
            rng=rng, size_px=FIELD, mpp=mpp, crowding=("sparse", "dense", "touching")[number % 3], tps=100 * number / 5
        )
        light = Nuisance(glass=GLASS, jpeg_quality=0)
        found.append(render_hdab(scene, marker="PD-L1", rng=rng, nuisance=light))
    return found


def _outline(rng: np.random.Generator, side: int, share: float) -> np.ndarray:
    """Draw round pieces of tissue that cover a share of the slide, bool (side, side)."""
    rough = ndimage.gaussian_filter(rng.standard_normal((side, side)), side / 10, mode="wrap")
    return rough > np.quantile(rough, 1 - share)


def _tiles(
    stock: list[np.ndarray], plan: np.ndarray, inside: np.ndarray, *, side: int, down: int, seed: int
) -> Iterator[np.ndarray]:
    """Yield the JPEG tiles of one level in reading order; a level is the mean of the pixels below it."""
    rng = np.random.default_rng(seed)
    glass = np.clip(np.rint(np.array(GLASS) + rng.normal(0, 1.2, (FIELD, FIELD, 3))), 0, 255)
    small = [_averaged(field, down) for field in stock]
    turned = [turn for field in small for turn in _eight(field)]
    pale = _averaged(glass, down)
    # a level's tile shows several fields, or a field fills several tiles
    shown, cell = FIELD // down, _OUTLINE // down
    for top in range(0, side, TILE):
        for left in range(0, side, TILE):
            tile = np.empty((TILE, TILE, 3), np.uint8)
            for row in range(top // shown, -(-(top + TILE) // shown)):
                for column in range(left // shown, -(-(left + TILE) // shown)):
                    field = _field(turned, pale, plan, inside, row, column, cell)
                    _lay(tile, field, row * shown - top, column * shown - left)
            yield tile[: min(TILE, side - top), : min(TILE, side - left)]


def _field(
    turned: list[np.ndarray], pale: np.ndarray, plan: np.ndarray, inside: np.ndarray, row: int, column: int, cell: int
) -> np.ndarray:
    """Return one field of the mosaic, with glass where the outline leaves it out."""
    cells = FIELD // _OUTLINE
    grid = inside[row * cells : (row + 1) * cells, column * cells : (column + 1) * cells]
    if not grid.any():
        return pale
    grid = np.pad(grid, ((0, cells - grid.shape[0]), (0, cells - grid.shape[1])))
    mask = np.repeat(np.repeat(grid, cell, 0), cell, 1)[..., None]
    return np.where(mask, turned[int(plan[row, column])], pale)


def _lay(tile: np.ndarray, field: np.ndarray, top: int, left: int) -> None:
    """Copy the overlap of a field whose corner lies at (top, left) of the tile."""
    side = field.shape[0]
    rows, columns = (slice(max(0, at), min(TILE, at + side)) for at in (top, left))
    part = field[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
    tile[rows, columns] = part


def _eight(field: np.ndarray) -> list[np.ndarray]:
    return [np.rot90(one, turn) for one in (field, field[:, ::-1]) for turn in range(4)]


def _averaged(field: np.ndarray, down: int) -> np.ndarray:
    side = FIELD // down
    return np.rint(field.reshape(side, down, side, down, 3).mean((1, 3))).astype(np.uint8)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("path", type=Path)
    parser.add_argument("--size", type=int, default=16384)
    parser.add_argument("--tissue", type=float, default=0.4)
    parser.add_argument("--mpp", type=float, default=0.5)
    parser.add_argument("--quality", type=int, default=85)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    make_slide(given.path, size=given.size, tissue=given.tissue, mpp=given.mpp, quality=given.quality, seed=given.seed)


if __name__ == "__main__":
    main()
