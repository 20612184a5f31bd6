"""Files -> objects: slides and tiles, multichannel images, label maps, annotations, cell tables."""

from biomarkers.core.lazy import lazy_names as _lazy_names

__getattr__, __dir__, __all__ = _lazy_names(
    __name__,
    {
        "Slide": "biomarkers.io.slide",
        "import_cells": "biomarkers.io.cell_tables.read",
        "make_channels": "biomarkers.io.channels",
        "make_tile": "biomarkers.io.tile",
        "open_slide": "biomarkers.io.slide",
        "read_annotations": "biomarkers.io.annotations",
        "read_channels": "biomarkers.io.channels",
        "read_labels": "biomarkers.io.label_maps",
        "read_tile": "biomarkers.io.tile",
        "slide_info": "biomarkers.io.info",
        "tile_rgb": "biomarkers.io.tile",
    },
)
