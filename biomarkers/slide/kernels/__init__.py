"""Compiled versions of the plain steps in :mod:`biomarkers.slide`."""
