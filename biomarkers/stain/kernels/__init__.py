"""Compiled versions of the plain steps in :mod:`biomarkers.stain` and :mod:`biomarkers.cells.contrast`."""

from biomarkers.notice import announce_compilation

announce_compilation()
