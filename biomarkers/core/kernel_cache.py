"""Compiled kernels of earlier sources are forgotten.

numba keeps compiled code beside the source and compiles again when the file of a kernel changes. It does not ask for
the files that a kernel takes constants, or other kernels, from: after an update of these alone, old code would run with
old numbers, or write beyond arrays that became smaller.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

# what files with kernels take from other files; tests/core/test_kernel_cache.py holds that it is all here
TAKEN_FROM = (
    "seg/basins.py",
    "seg/contrast.py",
    "seg/filters.py",
    "seg/grow.py",
    "seg/hue.py",
    "seg/kernels/distance.py",
    "seg/kernels/wanted.py",
    "seg/measure.py",
    "seg/moments.py",
    "seg/outline.py",
    "seg/outline_stain.py",
    "seg/regions.py",
    "seg/table.py",
    "pp/density.py",
    "pp/field.py",
    "pp/fixed_point.py",
)
_PACKAGE = Path(__file__).parents[1]
_STAMP = "biomarkers_kernels.txt"


def forget_stale_kernels(*, package: Path = _PACKAGE, cache: str = "") -> bool:
    """Remove the indexes of numba's cache unless they were made since the files that kernels take from changed.

    Parameters
    ----------
    package
        Folder of the package.
    cache
        ``NUMBA_CACHE_DIR`` where it is set; otherwise the cache lies in the package's own ``__pycache__`` folders.

    Returns
    -------
    Whether anything may have been stale. Where the cache cannot be written to nothing is removed: numba then keeps it
    elsewhere, and a package that cannot be written to is replaced as a whole, with new times for all files.
    """
    try:
        told = [(name, (package / name).stat()) for name in TAKEN_FROM]
    except OSError:  # an installation without sources, which nobody changes
        return False
    seen = "".join(f"{name} {of.st_size} {of.st_mtime_ns}\n" for name, of in told)
    stamp = (Path(cache) if cache else package / "__pycache__") / _STAMP
    with contextlib.suppress(OSError):
        if stamp.read_text(encoding="utf-8") == seen:
            return False
    with contextlib.suppress(OSError):
        for index in _indexes(package, cache):
            index.unlink(missing_ok=True)
        stamp.parent.mkdir(parents=True, exist_ok=True)
        stamp.write_text(seen, encoding="utf-8")
    return True


def _indexes(package: Path, cache: str) -> Iterator[Path]:
    if not cache:
        yield from package.rglob("__pycache__/*.nbi")
        return
    for folder in package.rglob("*/"):
        # numba's name of a folder in its cache: that of the source's, and a checksum
        yield from Path(cache).glob(f"{folder.name}_*/*.nbi")
