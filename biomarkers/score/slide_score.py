"""What scoring one slide gives."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from biomarkers.core.result import Overview, Result
from biomarkers.io.tile import PlainTile
from biomarkers.score.plain_cells import PlainCells

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from anndata import AnnData
    from PIL.Image import Image

    from biomarkers.core.config import Assay


NO_CELLS = "no cell was found in the tissue"  # a warning: the status says that the image itself was fit to be scored


@dataclass(frozen=True, repr=False)
class SlideScore(Result):
    """The scores of one slide and everything they were made from.

    Attributes
    ----------
    row
        One row of ``slides.csv``: ``keys.SLIDE_COLUMNS``, then quality flags.
    scores
        Tidy rows, ``keys.SCORE_COLUMNS``; for the whole (region ``all``) and for each annotated tissue.
    called
        Measured, classified and called cells as they were counted; ``cells`` are the same as an AnnData.
    sensitivity
        Every score of cells as a function of the 1+ cut, the first evaluable one first (see
        :func:`biomarkers.score.sensitivity_curve`).
    record
        Settings, white level, stain vectors and cuts in force, for ``run.json``.
    image
        The pixels as they were read; ``tile`` is the same as a DataArray.
    """

    slide: str
    assay: Assay
    marker: str
    row: dict[str, Any]
    scores: pd.DataFrame
    called: PlainCells | AnnData = field(repr=False)
    sensitivity: pd.DataFrame
    record: dict[str, Any]
    image: PlainTile | xr.DataArray = field(repr=False)
    nucleus_labels: NDArray[np.integer] = field(repr=False)
    cell_labels: NDArray[np.integer] = field(repr=False)

    @cached_property
    def cells(self) -> AnnData:
        """Measured, classified and called cells, made into an AnnData when first asked for."""
        return self.called.table() if isinstance(self.called, PlainCells) else self.called

    @property
    def shown(self) -> PlainCells | AnnData:
        """The cells as pictures and tables show them: the AnnData once somebody has it, and may have changed it."""
        held: PlainCells | AnnData = vars(self).get("cells", self.called)
        return held

    @cached_property
    def tile(self) -> xr.DataArray:
        """The tile (c, y, x), made into a DataArray when first asked for."""
        return self.image.as_array() if isinstance(self.image, PlainTile) else self.image

    def overlay(self) -> Image:
        """Draw the picture with every cell outlined by class and intensity bin, with a legend."""
        from biomarkers.score.overlay import overlay_image

        return overlay_image(self)

    def geojson(self) -> dict[str, Any]:
        """Lay the cells out as QuPath opens them, in full-resolution pixels."""
        from biomarkers.score.outputs import cells_geojson

        return cells_geojson(self)

    def cells_table(self) -> pd.DataFrame:
        """Lay the cells out, one row each: position, class, calls and measurements."""
        from biomarkers.score.outputs import cells_table

        return cells_table(self)

    @property
    def table(self) -> pd.DataFrame:
        """The same as ``scores``."""
        return self.scores

    def _overview(self) -> Overview:
        reason = f" ({self.row['reason']})" if self.row["reason"] else ""
        title = f"{self.slide}: {self.assay.title}, {self.row['status']}{reason}"
        return Overview(title, self.scores.drop(columns=["slide", "marker"]))


def _safe(text: str) -> str:
    import html

    return html.escape(text)
