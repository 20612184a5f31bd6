"""Which images a TIFF holds: pyramids put together in any order of their levels, labels and macro images left out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from biomarkers.io.ome_header import OmeHeader, OmeImage
from biomarkers.io.pixel_size import PixelSize
from biomarkers.io.roles import NOT_TISSUE, alike, role_by_content, role_by_name
from biomarkers.io.tiff_pixel_size import ome_of, pixel_size_of

Look = Callable[[Any], "NDArray[np.uint8] | None"]  # a page's pixels as RGB, or None where it is large or damaged
_MOST_PAGES = 64  # a file of more equal pages is a stack, not so many scenes
_ASPECT_TOLERANCE = 0.02
_SMALLER = 1.25  # the least factor between two levels of a pyramid
_RGB_NAMES = ({"r", "g", "b"}, {"red", "green", "blue"})
_BRIGHT = 120  # grey level: the median of each plane of a brightfield picture lies above it


@dataclass(frozen=True)
class TiffImage:
    """One image of a TIFF.

    Attributes
    ----------
    levels
        Its pages, the largest first; of an image stored as three grey pages the red ones.
    axes, shape, n_pages
        As tifffile tells them of the series it came from.
    name
        The series' name, which may hold anything; only names of formats are ever shown.
    others
        For each level its green and blue page, where colours are stored as three grey pages.
    ome
        What the OME-XML says of it.
    notes
        What a reader of the results must know, in words.
    left_out
        Roles of the file's images that are no slide and say so by their names.
    """

    levels: tuple[Any, ...]
    axes: str
    shape: tuple[int, ...]
    n_pages: int
    name: str = ""
    others: tuple[tuple[Any, Any], ...] = ()
    ome: OmeImage | None = None
    notes: tuple[str, ...] = field(default=())
    left_out: tuple[str, ...] = field(default=())

    @property
    def page(self) -> Any:
        """The page at full resolution."""
        return self.levels[0]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height at full resolution, px."""
        return int(self.page.imagewidth), int(self.page.imagelength)

    @property
    def area(self) -> int:
        """Pixels at full resolution."""
        return self.size[0] * self.size[1]


def images_of(file: Any, *, look: Look) -> list[TiffImage]:
    """List the images of an open TIFF that may show tissue, the order in the file kept.

    Parameters
    ----------
    file
        The open ``tifffile.TiffFile``.
    look
        Reads a small page.

    Returns
    -------
    One a slide. Label, macro and thumbnail images are left out, by their name or by what they show; a note tells of
    them. Reduced copies are levels of what they show, wherever they stand.
    """
    ome = ome_of(file)
    found = [image for series in file.series if series.ndim >= 2 for image in _of_series(file, series, ome, look)]
    if not found:
        return []
    largest = max(found, key=lambda image: image.area)
    named = [image for image in found if image is not largest and _named_role(image) in NOT_TISSUE]
    images = [image for image in found if not any(image is one for one in named)]
    images, dropped = _with_levels(file, images, look)
    images, guessed = _by_content(file, images, look)
    roles = tuple(str(_named_role(image)) for image in named)
    return [replace(image, notes=(*image.notes, *dropped, *_told(guessed)), left_out=roles) for image in images]


def _of_series(file: Any, series: Any, ome: OmeHeader | None, look: Look) -> list[TiffImage]:
    pages = [page for page in series.pages if page is not None]
    if not pages or _is_elsewhere(file, series):
        return []
    name = str(series.name or "")
    own = None if ome is None else ome.image_at(_index(pages[0]), file=file.filehandle.name)
    if own is None and ome is not None and len(ome.images) == 1:
        own = ome.images[0]
    levels = tuple(_keyframe(level) for level in series.levels)
    if series.axes == "IYXS" and len(series.levels) == 1 and len(pages) <= _MOST_PAGES:
        return [TiffImage((page.aspage(),), "YXS", page.shape, 1, name, ome=own) for page in pages]
    image = TiffImage(levels, series.axes, tuple(series.shape), len(series.pages), name, ome=own)
    return [_joined_colours(series, image, look)]


def _joined_colours(series: Any, image: TiffImage, look: Look) -> TiffImage:
    """Take three grey pages for red, green and blue where their names say so, or all three are bright as glass is."""
    long = [(axis, size) for axis, size in zip(image.axes, image.shape, strict=True) if axis not in "YX" and size > 1]
    if len(long) != 1 or long[0][1] != 3 or long[0][0] in "TZS" or not image.axes.endswith("YX"):
        return image
    if image.page.dtype != np.uint8 or image.page.samplesperpixel != 1 or len(series.pages) != 3:
        return image
    names = [] if image.ome is None else channel_names(image.ome)
    order = _colour_order(names)
    if order is None:
        if any(names):
            return image
        planes = [look(_page(page)) for page in series.pages]
        if not all(plane is not None and float(np.median(plane)) >= _BRIGHT for plane in planes):
            return image
        order = (0, 1, 2)
    pages = [[_page(level.pages[number]) for number in order] for level in series.levels]
    note = "colours are stored as three grey pages: taken as red, green and blue"
    return replace(
        image, levels=tuple(one[0] for one in pages), others=tuple((one[1], one[2]) for one in pages), axes="YX",
        shape=image.shape[-2:], n_pages=1, notes=(note,),
    )  # fmt: skip


def _colour_order(names: Sequence[str]) -> tuple[int, int, int] | None:
    """Return where red, green and blue stand, by the channels' names; None where these are no colours."""
    plain = [name.strip().casefold() for name in names]
    if set(plain) not in _RGB_NAMES or len(plain) != 3:
        return None
    red, green, blue = (next(k for k, name in enumerate(plain) if name.startswith(letter)) for letter in "rgb")
    return red, green, blue


def channel_names(image: OmeImage) -> list[str]:
    """Return the names of an image's channels, empty where they have none."""
    from biomarkers.io.ome_header import tag_of

    return [element.get("Name", "").strip() for element in image.pixels if tag_of(element) == "Channel"]


def _named_role(image: TiffImage) -> str | None:
    own = role_by_name(image.name)
    if own is None and image.ome is not None:
        own = role_by_name(image.ome.name)
    return own


def _with_levels(file: Any, images: list[TiffImage], look: Look) -> tuple[list[TiffImage], list[str]]:
    """Put reduced copies among the levels of what they show, in whatever order they stand; name those that fit none."""
    largest_first = sorted(images, key=lambda image: -image.area)
    kept: list[TiffImage] = []
    notes: list[str] = []
    for image in largest_first:
        reduced = bool(int(image.page.subfiletype) & 1)
        host = next((k for k, one in enumerate(kept) if _is_level_of(image, one, look, reduced=reduced)), None)
        if host is not None:
            levels = sorted((*kept[host].levels, *image.levels), key=lambda page: -page.imagewidth)
            kept[host] = replace(kept[host], levels=tuple(levels))
        elif reduced and kept:
            notes.append(misfit(image.page))
        else:
            kept.append(image)
    return [one for image in images for one in kept if one.page is image.page], notes


def _is_level_of(image: TiffImage, host: TiffImage, look: Look, *, reduced: bool) -> bool:
    across, down = host.size[0] / max(image.size[0], 1), host.size[1] / max(image.size[1], 1)
    if min(across, down) < _SMALLER or abs(across - down) > aspect_slack(across, down, min(image.size)):
        return False
    if image.page.samplesperpixel != host.page.samplesperpixel or image.page.dtype != host.page.dtype or host.others:
        return False
    if image.n_pages > 1 or host.n_pages > 1:
        return False
    if reduced:
        return True
    if _scale_of(image) is not None and image.ome is not None:
        return False  # an image of its own, which says so
    shown, of_host = look(image.page), look(min(host.levels, key=lambda page: page.imagewidth))
    return shown is not None and of_host is not None and alike(shown, of_host)


def aspect_slack(across: float, down: float, shorter: int) -> float:
    """By how much two factors may differ: 2%, and a pixel of rounding."""
    return _ASPECT_TOLERANCE * max(across, down) + max(across, down) / max(shorter, 1)


def _by_content(file: Any, images: list[TiffImage], look: Look) -> tuple[list[TiffImage], list[str]]:
    """Leave out what shows a label or the whole glass though no name says so; name what might."""
    if len(images) < 2:
        return images, []
    main = max(images, key=lambda image: image.area)
    main_scale = _credible(pixel_size_of(file, main.page, ome=main.ome))
    shown = look(min(main.levels, key=lambda page: page.imagewidth))
    kept: list[TiffImage] = []
    left_out: list[str] = []
    for image in images:
        if image is main or image.size == main.size or image.n_pages > 1:
            kept.append(image)
            continue
        scale = _credible(_scale_of(image) or (None if main.ome else pixel_size_of(file, image.page)))
        role = role_by_content(
            look(image.page), shown, size=image.size, main_size=main.size, own_scale=scale or not main_scale
        )
        if role in NOT_TISSUE:
            left_out.append(role)
        elif role == "unsure":
            note = "this further image of the file might be a label or macro image: look at it before its score is used"
            kept.append(replace(image, notes=(*image.notes, note)))
        else:
            kept.append(image)
    return kept, left_out


def _scale_of(image: TiffImage) -> PixelSize | None:
    return None if image.ome is None else image.ome.pixel_size


def _credible(size: PixelSize | None) -> bool:
    return size is not None and size.problem is None and size.mpp < 5


def _told(roles: Sequence[str]) -> list[str]:
    if not roles:
        return []
    counted = ", ".join(f"{roles.count(role)} {role}" for role in dict.fromkeys(roles))
    return [f"further images that by their size and content are no slide are left out: {counted}"]


def misfit(page: Any) -> str:
    """Say that a level is left out since its form is another."""
    return f"a level of {page.imagewidth} x {page.imagelength} px does not match level 0 and is left out"


def _is_elsewhere(file: Any, series: Any) -> bool:
    """Whether the pixels of a series lie in another file of a set: that one has its own row."""
    parent = getattr(_keyframe(series), "parent", None)
    name = getattr(getattr(parent, "filehandle", None), "name", None)
    return name is not None and Path(str(name)).name != Path(str(file.filehandle.name)).name


def _keyframe(level: Any) -> Any:
    return level.keyframe if level.keyframe is not None else level.pages[0]


def _page(page: Any) -> Any:
    return page.aspage() if hasattr(page, "aspage") else page


def _index(page: Any) -> int:
    index = page.index
    return int(index[0] if isinstance(index, tuple) else index)
