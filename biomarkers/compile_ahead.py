"""Compile every kernel into numba's cache: ``python -m biomarkers.compile_ahead``, once after an installation.

A kernel is compiled for each kind of arrays that it meets (type, layout, whether they may be written to), so the real
calls run here, on small simulated images and levels. Afterwards no call on this machine waits for a compiler.
"""

from __future__ import annotations

import compileall
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Final, Literal

import numpy as np
from PIL import Image

from biomarkers.core.panel import Panel, PanelChannel, PanelScore
from biomarkers.io import make_tile
from biomarkers.io.channels import read_channels
from biomarkers.score import cells_geojson, score_slide
from biomarkers.score.multiplex_blocks import measure_in_blocks
from biomarkers.score.multiplex_slide import score_multiplex
from biomarkers.score.whole import score_whole_slide
from biomarkers.seg import CellSettings, find_cells
from biomarkers.seg.dapi import segment_dapi
from biomarkers.simulate import Nuisance, plant_multiplex, render_hdab, render_if, simulate_scene, write_if
from biomarkers.simulate.files import write_ome_tiff
from biomarkers.stats.permutation import joint_permutation
from biomarkers.stats.permutation_association import hsic_permutation
from biomarkers.stats.permutation_marginal import marginal_permutation

NUCLEI_BY: Final[tuple[Literal["density", "hue"], ...]] = ("density", "hue")
_SIDE = 320  # px: more than the smallest block, so that there are several
_PANEL = Panel(
    name="simulated",
    channels={
        "DAPI": PanelChannel(marker="DAPI", role="nuclei"),
        "AF": PanelChannel(marker="AF", role="autofluorescence"),
        "PD-L1": PanelChannel(marker="PD-L1", compartment="membrane"),
        "CK": PanelChannel(marker="CK", compartment="cytoplasm"),
    },
    phenotypes={"tumor": "CK+"},
    classes={"tumor": "CK+"},
    scores=(PanelScore(name="PD-L1", kind="tps", marker="PD-L1", of="tumor"),),
)


def main(arguments: Sequence[str]) -> None:
    """Go every way, or the one that is named.

    Each way has its own process: one in which a more general kernel is loaded would never compile the narrower one
    that another process looks for first.
    """
    if arguments:
        with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
            warnings.simplefilter("ignore")
            WAYS[arguments[0]](Path(folder))
        return
    # an editable installation leaves this to the first call, and PYTHONDONTWRITEBYTECODE to every call
    compileall.compile_dir(Path(__file__).parent, quiet=2)
    sys.stderr.write("biomarkers: compiling kernels, once on this machine (about a minute)\n")
    for way in WAYS:
        command = (sys.executable, "-m", "biomarkers.compile_ahead", way)
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  (our own module)
        if done.returncode:
            sys.exit(f"compiling ahead failed ({way}):\n{done.stderr}")


def tiles(folder: Path) -> None:
    """Find cells in whole images and in blocks, with and without averaging, of even and odd sides.

    Arrays in one piece that may be written to come first: kernels for all others take those too.
    """
    whole = _hdab()
    odd = whole[:-1, :-1]
    for writable in (True, False):
        for rgb in (whole, odd.copy(), odd):
            rgb.flags.writeable = writable
            for block, by in product((2048, 256), NUCLEI_BY):
                settings = CellSettings(block_px=block, check_stain=False, nuclei_by=by)
                for mpp in (0.25, 0.5):
                    find_cells(make_tile(rgb, mpp=mpp), settings=settings, progress=False)


def blank(folder: Path) -> None:
    """Find no cell: arrays of one row count as laid out in one piece."""
    tile = make_tile(np.full((_SIDE, _SIDE, 3), (190, 170, 200), np.uint8), mpp=0.5)
    for by in NUCLEI_BY:
        settings = CellSettings(check_stain=False, nuclei_by=by)
        found = find_cells(tile, white=(245.0, 245.0, 245.0), settings=settings, progress=False)
        assert found.cells.n_obs == 0, "this way is to be gone without cells"


def files(folder: Path) -> None:
    """Score image files, whose pixels may not be written to, or may; outlines too."""
    tile, picture = folder / "simulated.ome.tif", folder / "simulated.png"
    write_ome_tiff(tile, _hdab(), mpp=0.5)
    Image.fromarray(_hdab()).save(picture)
    for file in (tile, picture):
        for mpp in (0.25, 0.5):
            scored = score_slide(file, assay="pd-1", mpp=mpp)
            assert scored.cells.n_obs, "this way is to be gone with cells"
            cells_geojson(scored)


def slides(folder: Path) -> None:
    """Score a slide tile by tile."""
    file = folder / "simulated.ome.tif"
    write_ome_tiff(file, _hdab(), mpp=0.5)
    for mpp in (0.25, 0.5):
        score_whole_slide(file, assay="pd-1", mpp=mpp, cells_to=folder / "cells.parquet", tile_px=256)


def _hdab() -> np.ndarray:
    # without nuisance effects: a drawn turn of the stains may look like H&E, which is refused before any cell is sought
    return render_hdab(simulate_scene(rng=3, size_px=_SIDE, mpp=0.5, tps=60), rng=3, nuisance=Nuisance()).copy()


def multiplex(folder: Path) -> None:
    """Score a multiplex image, whole and in blocks, in each of the types that cameras write."""
    scene = plant_multiplex(simulate_scene(rng=0, size_px=_SIDE, mpp=0.5), rng=0)
    image = render_if(scene, markers=("PD-L1", "CK"), rng=0)
    file = folder / "simulated_if.ome.tif"
    for kind in (np.uint16, np.uint8, np.float32):
        pixels = (image.pixels // 256 if kind == np.uint8 else image.pixels).astype(kind)
        for mpp in (0.5, 0.4):  # read as they lie, and between pixels
            write_if(file, replace(image, pixels=pixels, mpp=mpp))
            segment_dapi(read_channels(file, panel=_PANEL))
            score_multiplex(file, panel=_PANEL)
        measure_in_blocks(file, panel=_PANEL, block_px=256, shown_px=160)


def statistics(folder: Path) -> None:
    """Permute small simulated levels: two groups, and any dependence at all."""
    levels = np.random.default_rng(0).normal(size=(24, 2))
    first = np.arange(24) < 9
    joint_permutation(levels, first, n_permutations=20)
    levels[0, 0] = np.nan
    joint_permutation(levels, first, n_permutations=20)
    levels[0, 0] = 0.0
    marginal_permutation(levels, first, n_permutations=20)
    hsic_permutation(levels[:, 0], levels[:, 1], n_permutations=20)


WAYS: dict[str, Callable[[Path], None]] = {
    way.__name__: way for way in (tiles, blank, files, slides, multiplex, statistics)
}

if __name__ == "__main__":
    main(sys.argv[1:])
