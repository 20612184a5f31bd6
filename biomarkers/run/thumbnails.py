"""A small picture of every brightfield slide that could be read, for a look at what its row in slides.csv says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from biomarkers.core.files import atomic_path
from biomarkers.io.tile import tile_rgb

if TYPE_CHECKING:
    from biomarkers.score import SlideScore
    from biomarkers.score.whole import WholeSlideScore

LONGEST_PX = 512


def write_thumbnail(job: dict[str, Any], result: SlideScore | WholeSlideScore) -> str:
    """Write a slide at no more than 512 px a side, made from its pixels; no thumbnail stored in the file is looked at.

    Parameters
    ----------
    job
        The job of a batch.
    result
        What came of it; a slide that was held whole is not read again.

    Returns
    -------
    The name of the file below the output folder.
    """
    from PIL import Image

    image = getattr(result, "image", None)
    pixels = _of_file(job) if image is None else _of_pixels(tile_rgb(image))
    name = f"thumbnails/{job['file_stem']}.jpg"
    with atomic_path(Path(job["out"]) / name) as path:
        Image.fromarray(pixels).save(path, "JPEG", quality=85)
    return name


def _of_pixels(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Average blocks of pixels; those at the right and lower border have what there is."""
    step = max(1, -(-max(rgb.shape[:2]) // LONGEST_PX))
    if step == 1:
        return np.ascontiguousarray(rgb)
    from biomarkers.pp.tissue import block_means

    return np.rint(block_means(rgb, step)).astype(np.uint8)


def _of_file(job: dict[str, Any]) -> NDArray[np.uint8]:
    from biomarkers.io import open_slide
    from biomarkers.pp.coarse_tissue import thumbnail

    with open_slide(job["path"], mpp=job["mpp"], scene=job.get("scene")) as slide:
        return thumbnail(slide.without_padding(), longest=LONGEST_PX)[0]
