"""Files -> tiles: readers, slides, pixel sizes, tissue."""

from biomarkers.slide.info import slide_info
from biomarkers.slide.slide import Slide, open_slide
from biomarkers.slide.tile import make_tile, read_tile, tile_rgb
from biomarkers.slide.tissue import tissue_mask

__all__ = ["Slide", "make_tile", "open_slide", "read_tile", "slide_info", "tile_rgb", "tissue_mask"]
