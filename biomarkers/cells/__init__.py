"""Stain amounts -> labels -> measured, classified cells."""

from biomarkers.cells.find import CellMap, find_cells
from biomarkers.cells.settings import CellSettings

__all__ = ["CellMap", "CellSettings", "find_cells"]
