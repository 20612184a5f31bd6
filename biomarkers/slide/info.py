"""``slide_info``: what is in an image file, without scoring it."""

from __future__ import annotations

import os
from typing import Any

from biomarkers.slide.slide import Slide, open_slide


def slide_info(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Describe an image file from its header.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    ``path``, ``reader`` and ``scenes``: one dict an image with ``name``, ``width``, ``height``, ``levels`` (width,
    height, downsample), ``channels``, ``mpp``, ``mpp_source`` (None when the file does not say), ``mpp_usable`` (it can
    be true), ``usable`` (its pixels can be scored as brightfield) and ``problems`` (what will stop a score, or is
    odd, in words).

    Raises
    ------
    SlideError
        The file is absent, empty, no image, or damaged.
    """
    with open_slide(path, scene=0) as slide:
        scenes = [_scene(slide, number) for number in range(len(slide.scenes))]
        return {"path": os.fspath(path), "reader": slide.reader, "scenes": scenes}


def _scene(slide: Slide, number: int) -> dict[str, Any]:
    scene = slide.scenes[number]
    size = scene.pixel_size
    problems = list(scene.problems)
    if scene.refused:
        problems.insert(0, f"cannot be scored: {scene.refused}")
    elif scene.channels == ("grey",):
        problems.insert(0, "cannot be scored as brightfield: the image is grey")
    if size is None:
        problems.append("no pixel size in the file: give it with --mpp")
    elif size.problem:
        problems.append(f"{size.problem}: give the true one with --mpp")
    return {
        "name": scene.name,
        "width": scene.levels[0].width,
        "height": scene.levels[0].height,
        "levels": [{"width": one.width, "height": one.height, "downsample": one.downsample} for one in scene.levels],
        "channels": list(scene.channels),
        "mpp": None if size is None else size.mpp,
        "mpp_source": None if size is None else size.source,
        "mpp_usable": size is not None and size.problem is None,
        "usable": scene.refused is None and scene.channels != ("grey",),
        "problems": problems,
    }
