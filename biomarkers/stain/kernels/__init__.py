"""Compiled versions of the plain steps in :mod:`biomarkers.stain` and :mod:`biomarkers.cells.contrast`."""
