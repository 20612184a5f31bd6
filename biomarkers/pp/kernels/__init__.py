"""Compiled versions of the plain steps in :mod:`biomarkers.pp` and :mod:`biomarkers.seg.contrast`."""

from biomarkers.core.notice import announce_compilation

announce_compilation()
