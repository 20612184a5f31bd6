"""Plug-in point for other segmenters: StarDist, Cellpose, InstanSeg, ... with the user's own weights.

Besides an object with ``segment``, the models of these packages are taken as they are, and so is a function of a
picture. What they answer may be a label image, a tuple that begins with one, or one in leading axes of length one.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from inspect import signature
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from biomarkers.core.errors import UsageError, did_you_mean
from biomarkers.seg.grow import Labels

GROUP = "biomarkers.segmenters"
_OF_MODELS = ("predict_instances", "eval_small_image", "eval")  # StarDist, InstanSeg, Cellpose


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
    if not isinstance(made, SegmenterPlugin) and not any(hasattr(made, name) for name in _OF_MODELS):
        raise UsageError("the segmenter has no method segment(rgb, *, mpp)", where=name, seen=type(made).__name__)
    return made


def segment_with(plugin: Any, rgb: NDArray[np.uint8], *, mpp: float) -> Labels:
    """Ask a segmenter for nuclei and check its answer.

    Parameters
    ----------
    plugin
        An object with ``segment(rgb, *, mpp)``; a StarDist, Cellpose or InstanSeg model; or a function of the picture.
        StarDist gets the picture as shares of 1 (scaled by 255, so that no tile is scaled by itself).
    rgb
        uint8 (height, width, 3).
    mpp
        Micrometres per pixel.

    Returns
    -------
    int32 labels 1..n (height, width).

    Raises
    ------
    UsageError
        The object is no segmenter, or its answer is not an image of whole numbers of the window's size, or has negative
        ones.

    Examples
    --------
    >>> window = np.zeros((4, 4, 3), np.uint8)
    >>> def finder(picture):
    ...     found = np.zeros(picture.shape[:2])
    ...     found[1:3, 1:3] = 7.0
    ...     return found[None, None], "details"
    >>> int(segment_with(finder, window, mpp=0.5).max())
    1
    """
    name = type(plugin).__name__
    answer = _label_image(_ask(plugin, rgb, mpp=mpp))
    if answer.shape != rgb.shape[:2] or answer.dtype.kind not in "iub":
        raise UsageError(
            "the segmenter's answer is no label image",
            where=name,
            seen=f"{answer.dtype} {answer.shape}",
            allowed=f"whole numbers, shape {rgb.shape[:2]}",
        )
    if answer.size and answer.min() < 0:
        raise UsageError("the segmenter's answer has negative labels", where=name, seen=int(answer.min()))
    numbers, labels = np.unique(answer, return_inverse=True)
    return (labels.reshape(answer.shape) + (0 if 0 in numbers else 1)).astype(np.int32)


def _ask(plugin: Any, rgb: NDArray[np.uint8], *, mpp: float) -> Any:
    """Call a segmenter in the way of its kind."""
    if isinstance(plugin, type | str):
        raise _no_segmenter(plugin)
    if isinstance(plugin, SegmenterPlugin):
        return plugin.segment(rgb, mpp=mpp)
    if hasattr(plugin, "predict_instances"):  # StarDist
        return plugin.predict_instances(rgb.astype(np.float32) / 255)
    if hasattr(plugin, "eval_small_image"):  # InstanSeg
        return plugin.eval_small_image(rgb, mpp)
    if hasattr(plugin, "eval") and _takes_a_picture(plugin.eval):  # Cellpose
        return plugin.eval(rgb)
    if callable(plugin):
        return plugin(rgb)
    raise _no_segmenter(plugin)


def _no_segmenter(plugin: Any) -> UsageError:
    return UsageError(
        "this object is no segmenter",
        seen=getattr(plugin, "__name__", type(plugin).__name__),
        allowed="an object with segment(rgb, *, mpp); a StarDist, Cellpose or InstanSeg model; a function of a picture",
        hint="Give the model itself, not its class, its weights' file or its labels.",
    )


def _takes_a_picture(method: Any) -> bool:
    """Whether a method takes an argument: that of a network, which only switches training off, takes none."""
    try:
        return bool(signature(method).parameters)
    except (TypeError, ValueError):
        return True


def _label_image(answer: Any) -> NDArray[Any]:
    """Take the label image out of what a segmenter answers."""
    while isinstance(answer, tuple | list) and len(answer):
        answer = answer[0]
    if hasattr(answer, "detach"):  # a tensor, wherever it lies
        answer = answer.detach().cpu().numpy()
    image = np.asarray(answer)
    while image.ndim > 2 and image.shape[0] == 1:
        image = image[0]
    if image.dtype.kind == "f" and np.isfinite(image).all() and (image == np.rint(image)).all():
        image = image.astype(np.int64)
    return image
