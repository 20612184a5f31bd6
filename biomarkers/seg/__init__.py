"""Stain amounts -> labels -> measured, classified cells."""

from biomarkers.seg.find import CellMap, find_cells
from biomarkers.seg.settings import CellSettings

__all__ = ["CellMap", "CellSettings", "find_cells"]
