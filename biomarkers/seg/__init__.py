"""Stain amounts -> nuclei, cells and compartments, measured."""

from biomarkers.core.lazy import lazy_names as _lazy_names

__getattr__, __dir__, __all__ = _lazy_names(
    __name__,
    {
        "CellMap": "biomarkers.seg.find",
        "CellSettings": "biomarkers.seg.settings",
        "find_cells": "biomarkers.seg.find",
    },
)
