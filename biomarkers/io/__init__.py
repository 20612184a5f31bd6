"""Files -> objects: slides and tiles, multichannel images, label maps, annotations, cell tables."""

from biomarkers.io.info import slide_info
from biomarkers.io.slide import Slide, open_slide
from biomarkers.io.tile import make_tile, read_tile, tile_rgb

__all__ = ["Slide", "make_tile", "open_slide", "read_tile", "slide_info", "tile_rgb"]
