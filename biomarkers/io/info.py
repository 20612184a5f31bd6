"""``slide_info``: what is in an image file, without scoring it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from biomarkers.core.errors import SlideError
from biomarkers.core.sources import is_url
from biomarkers.io.channel_files import ChannelFile, is_channel_folder, open_channels
from biomarkers.io.pixel_size import PixelSize
from biomarkers.io.slide import Slide, open_slide
from biomarkers.io.zarr_header import is_zarr


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
    be true), ``usable`` (its pixels can be scored as brightfield), ``problems`` (what will stop a score, or is odd, in
    words) and ``left_out`` (further images of the file that are never read: label, macro, thumbnail).

    Raises
    ------
    SlideError
        The file is absent, empty, no image, or damaged.

    Examples
    --------
    >>> import biomarkers as bm
    >>> path = bm.sample_trial().folder / "tiles" / "simulated_SIM-001_baseline_PD-L1.ome.tif"
    >>> bm.slide_info(path)["scenes"][0]["mpp"]
    0.5
    """
    if not is_url(path) and is_channel_folder(Path(path)) and not is_zarr(Path(path)):
        return {"path": os.fspath(path), "reader": "channels", "scenes": [_channels(open_channels(Path(path)))]}
    with open_slide(path, scene=0) as slide:
        scenes = [_scene(slide, number) for number in range(len(slide.scenes))]
        found = {"path": os.fspath(path), "reader": slide.reader, "scenes": scenes}
        refused = len(scenes) == 1 and slide.scenes[0].refused
    multiplex = _named_channels(Path(path)) if refused else None
    return found if multiplex is None else {**found, "scenes": [_channels(multiplex)]}


def _named_channels(path: Path) -> ChannelFile | None:
    """Look whether what is no RGB image is a multiplex one."""
    try:
        file = open_channels(path)
    except SlideError:
        return None
    return file if len(file.planes) > 1 and (all(file.names) or path.is_dir()) else None


def _channels(file: ChannelFile) -> dict[str, Any]:
    height, width = file.shape
    problems = ["a multiplex image: score it with --panel"]
    if not all(file.names):
        problems.append("its channels have no names")
    if len(set(file.names)) < len(file.names):
        problems.append("two channels have the same name")
    return {
        "name": "",
        "width": width,
        "height": height,
        "levels": [{"width": width, "height": height, "downsample": 1.0}],
        "channels": list(file.names),
        **_pixel_size(file.pixel_size, problems),
        "usable": False,
        "problems": problems,
        "left_out": [],
    }


def _pixel_size(size: PixelSize | None, problems: list[str]) -> dict[str, Any]:
    """Describe the pixel size; add what is wrong with it to the problems."""
    if size is None:
        problems.append("no pixel size in the file: give it with --mpp")
    elif size.problem:
        problems.append(f"{size.problem}: give the true one with --mpp")
    else:
        problems += [f"{conflict}: give the true one with --mpp" for conflict in size.conflicts]
    return {
        "mpp": None if size is None else size.mpp,
        "mpp_source": None if size is None else size.source,
        "mpp_usable": size is not None and size.problem is None,
    }


def _scene(slide: Slide, number: int) -> dict[str, Any]:
    scene = slide.scenes[number]
    problems = list(scene.problems)
    if scene.refused:
        problems.insert(0, f"cannot be scored: {scene.refused}")
    elif scene.channels == ("grey",):
        problems.insert(0, "cannot be scored as brightfield: the image is grey")
    return {
        "name": scene.name,
        "width": scene.levels[0].width,
        "height": scene.levels[0].height,
        "levels": [{"width": one.width, "height": one.height, "downsample": one.downsample} for one in scene.levels],
        "channels": list(scene.channels),
        **_pixel_size(scene.pixel_size, problems),
        "usable": scene.refused is None and scene.channels != ("grey",),
        "problems": problems,
        "left_out": list(scene.left_out),
    }
