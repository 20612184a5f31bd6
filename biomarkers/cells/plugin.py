"""Plug-in point for other segmenters: StarDist, Cellpose, InstanSeg, ... with the user's own weights."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from biomarkers.cells.grow import Labels
from biomarkers.errors import UsageError, did_you_mean

GROUP = "biomarkers.segmenters"


@runtime_checkable
class SegmenterPlugin(Protocol):
    """Anything that finds nuclei. A package offers one under the entry-point group ``biomarkers.segmenters``.

    The object must be made without arguments (a class, or a function that returns one); it is asked for one window at
    a time, with 50 um of surroundings around the part that counts.
    """

    def segment(self, rgb: NDArray[np.uint8], *, mpp: float) -> NDArray[Any]:
        """Find nuclei.

        Parameters
        ----------
        rgb
            uint8 (height, width, 3).
        mpp
            Micrometres per pixel.

        Returns
        -------
        Whole numbers (height, width): 0 = none, each nucleus its own number.
        """


def segmenter_names() -> tuple[str, ...]:
    """Names of the segmenters that are installed."""
    return tuple(sorted(entry.name for entry in entry_points(group=GROUP)))


def load_segmenter(name: str) -> SegmenterPlugin:
    """Load an installed segmenter by its entry point's name.

    Raises
    ------
    UsageError
        There is none of that name, it cannot be loaded, or it has no ``segment`` method.
    """
    found = {entry.name: entry for entry in entry_points(group=GROUP)}
    if name not in found:
        hint = did_you_mean(name, found) or f"A package offers one under the entry-point group {GROUP!r}."
        raise UsageError("no such segmenter is installed", seen=name, allowed=sorted(found) or "none", hint=hint)
    try:
        made = found[name].load()()
    except Exception as error:  # whatever a third party's code raises is told as its failure
        raise UsageError(f"the segmenter cannot be loaded: {type(error).__name__}: {error}", where=name) from error
    if not isinstance(made, SegmenterPlugin):
        raise UsageError("the segmenter has no method segment(rgb, *, mpp)", where=name, seen=type(made).__name__)
    return made


def segment_with(plugin: SegmenterPlugin, rgb: NDArray[np.uint8], *, mpp: float) -> Labels:
    """Ask a segmenter for nuclei and check its answer; returns int32 labels 1..n.

    Raises
    ------
    UsageError
        The answer is not an image of whole numbers of the window's size, or has negative ones.
    """
    answer = np.asarray(plugin.segment(rgb, mpp=mpp))
    if answer.shape != rgb.shape[:2] or answer.dtype.kind not in "iub":
        seen = f"{answer.dtype} {answer.shape}"
        allowed = f"whole numbers, shape {rgb.shape[:2]}"
        raise UsageError(
            "the segmenter's answer is no label image", where=type(plugin).__name__, seen=seen, allowed=allowed
        )
    if answer.size and answer.min() < 0:
        raise UsageError(
            "the segmenter's answer has negative labels", where=type(plugin).__name__, seen=int(answer.min())
        )
    numbers, labels = np.unique(answer, return_inverse=True)
    return (labels.reshape(answer.shape) + (0 if 0 in numbers else 1)).astype(np.int32)
