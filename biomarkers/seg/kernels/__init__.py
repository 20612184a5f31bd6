"""Fast versions of the plain steps in :mod:`biomarkers.seg`: arrays in, arrays out, whole numbers throughout.

Each gives exactly what its plain version gives (tests hold the one to the other). All release the GIL, so threads
share a process; compiled code is kept in numba's cache.
"""
