"""What a segmentation may be told: everything in micrometres and optical density, nothing in pixels."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from biomarkers.core.config import Settings

Micrometres = Annotated[float, Field(gt=0, le=50)]
Area = Annotated[float, Field(gt=0, le=10_000)]
Density = Annotated[float, Field(ge=0, lt=3)]


class CellSettings(Settings):
    """How nuclei and cells are found.

    Attributes
    ----------
    working_mpp
        Pixel size at which nuclei are outlined; finer tiles are averaged by a whole factor to come near it.
    seeking_mpp
        Largest pixel size at which nuclei are sought; working pixels are averaged by the largest factor that it allows.
    min_nucleus_um2, max_nucleus_um2
        Areas between which an object is a nucleus.
    expansion_um
        How far a cell body reaches beyond its nucleus when no neighbour stops it.
    membrane_um
        Width of the band at the cell's border that counts as membrane.
    membrane_od
        DAB optical density above which a stretch of outline counts as stained (for completeness).
    min_od
        Least optical density (log10, weighted: see :mod:`biomarkers.seg.contrast`) of a pixel in a nucleus.
    min_contrast
        Least optical density by which a nucleus exceeds its surroundings.
    least_of_median
        Least contrast as a share of the median contrast of the slide's nuclei.
    nuclei_by
        ``density``: nuclei are what is dense in either stain, for nuclear markers; ``hue``: they are what is bluer than
        its surroundings, and cells grow to stained membranes, for all others.
    block_px
        Side of the blocks in which large tiles are processed. Results do not depend on it.
    check_stain
        Refuse images that are no immunostain (H&E, grey).

    Examples
    --------
    >>> import biomarkers as bm
    >>> bm.CellSettings(nuclei_by="hue").nuclei_by
    'hue'
    >>> bm.CellSettings().working_mpp
    0.5
    """

    working_mpp: Annotated[float, Field(gt=0.1, le=1.0)] = 0.5
    seeking_mpp: Annotated[float, Field(ge=1.0, le=2.0)] = 1.1
    min_nucleus_um2: Area = 10.0
    max_nucleus_um2: Area = 400.0
    expansion_um: Micrometres = 4.0
    membrane_um: Micrometres = 1.0
    membrane_od: Density = 0.15
    min_od: Density = 0.05
    min_contrast: Density = 0.035
    least_of_median: Annotated[float, Field(ge=0, le=1)] = 0.25
    nuclei_by: Literal["density", "hue"] = "density"
    block_px: Annotated[int, Field(ge=256, le=8192)] = 2048
    check_stain: bool = True

    @model_validator(mode="after")
    def _rising(self) -> Self:
        if self.min_nucleus_um2 >= self.max_nucleus_um2:
            msg = "min_nucleus_um2 must be below max_nucleus_um2"
            raise ValueError(msg)
        return self
