"""Compiled versions of the plain steps in :mod:`biomarkers.slide`."""

from biomarkers.notice import announce_compilation

announce_compilation()
