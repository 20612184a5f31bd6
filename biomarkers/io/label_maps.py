"""Label maps made elsewhere: inForm's segmentation maps, and masks of Mesmer, Cellpose, StarDist, QuPath."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from biomarkers.core.errors import DataError, SlideError, UsageError
from biomarkers.io.reader import DECODE_ERRORS, check_is_image

Map = NDArray[np.int32]


@dataclass(frozen=True)
class LabelMaps:
    """Which pixel belongs to which cell, all int32 (height, width), 0 = none; a cell has one number in all maps.

    ``nuclei`` or ``cells`` may be None, not both. ``cytoplasm`` may overlap ``membrane`` (inForm's do); ``membrane``
    is True on membrane pixels. ``tissue`` holds numbers of ``tissue_names``.
    """

    nuclei: Map | None
    cells: Map | None
    cytoplasm: Map | None = None
    membrane: NDArray[np.bool_] | None = None
    tissue: Map | None = None
    tissue_names: tuple[str, ...] = ()
    source: str = ""


def read_labels(path: str | os.PathLike[str], *, shape: tuple[int, int], show: str = "nuclei") -> LabelMaps:
    """Read label maps and check that they fit the image.

    Parameters
    ----------
    path
        inForm's ``*_binary_seg_maps.tif``, or a TIFF or PNG with one plane of labels (or two: cells, then nuclei, as
        Mesmer writes them).
    shape
        (height, width) of the image.
    show
        What a single plane shows: ``nuclei`` or ``cells``.

    Raises
    ------
    DataError
        The maps are of another size than the image, hold fractions or negative numbers, or no label at all.
    SlideError
        The file cannot be read.

    Examples
    --------
    >>> import numpy as np
    >>> import tifffile
    >>> import biomarkers as bm
    >>> labels = np.zeros((64, 64), np.uint16)
    >>> labels[10:20, 10:20] = 1
    >>> tifffile.imwrite("mask.tif", labels)
    >>> int(bm.read_labels("mask.tif", shape=(64, 64)).nuclei.max())
    1
    """
    where = Path(path)
    if show not in ("nuclei", "cells"):
        raise UsageError("labels show nuclei or cells", seen=show, allowed=("nuclei", "cells"))
    planes, kinds, tissue_names = _planes(where)
    for plane in planes:
        if plane.shape != shape:
            raise DataError(
                "the labels are of another size than the image", where=where,
                seen=f"{plane.shape[1]} x {plane.shape[0]}", allowed=f"{shape[1]} x {shape[0]}",
            )  # fmt: skip
    whole = [_whole(plane, where) for plane in planes]
    if any(kinds):
        return _inform(dict(zip(kinds, whole, strict=True)), tissue_names, where)
    if len(whole) == 2:
        return _checked(LabelMaps(nuclei=whole[1], cells=whole[0], source=where.name), where)
    if len(whole) != 1:
        raise DataError("neither one plane of labels nor two", where=where, seen=f"{len(whole)} planes")
    maps = LabelMaps(nuclei=whole[0], cells=None) if show == "nuclei" else LabelMaps(nuclei=None, cells=whole[0])
    return _checked(LabelMaps(**{**vars(maps), "source": where.name}), where)


def _planes(where: Path) -> tuple[list[NDArray[Any]], list[str], tuple[str, ...]]:
    import tifffile

    from biomarkers.io.tiff_open import open_tiff

    check_is_image(where)
    if where.suffix.casefold() == ".png":
        from PIL import Image

        with Image.open(where) as image:
            return [np.asarray(image)], [""], ()
    try:
        with open_tiff(where) as file:
            pages = [file.pages[number] for number in range(len(file.pages))]
            texts = [str(page.tags.valueof(270, "") or "") for page in pages]
            kinds = [_kind(text) for text in texts]
            if any(kinds):
                names = (
                    tuple(re.findall(r"<Name>([^<]*)</Name>", texts[kinds.index("tissue")]))
                    if "tissue" in kinds
                    else ()
                )
                return [page.asarray() for page in pages], kinds, names
            stack = np.asarray(file.series[0].asarray())
    except (tifffile.TiffFileError, *DECODE_ERRORS) as error:
        raise SlideError(f"the label map cannot be read: {error}", where=where) from error
    stack = stack.squeeze()
    if stack.ndim == 3 and stack.shape[-1] <= 2:
        stack = np.moveaxis(stack, -1, 0)
    planes = [stack] if stack.ndim == 2 else list(stack)
    return planes, [""] * len(planes), ()


def _kind(text: str) -> str:
    if "TissueClassMap" in text:
        return "tissue"
    found = re.search(r"<CompartmentType>(\w+)</CompartmentType>", text)
    return found[1].casefold() if found else ""


def _whole(plane: NDArray[Any], where: Path) -> Map:
    if plane.ndim != 2 or plane.dtype.kind not in "uibf":
        raise DataError("not a map of labels", where=where, seen=f"{plane.dtype} {plane.shape}")
    if plane.dtype.kind == "f" and not (np.isfinite(plane).all() and (plane == np.floor(plane)).all()):
        raise DataError("labels must be whole numbers", where=where)
    if plane.size and (plane.min() < 0 or plane.max() >= 2**31):
        raise DataError("labels must be whole numbers from 0", where=where, seen=float(plane.min()))
    return plane.astype(np.int32)


def _inform(found: dict[str, Map], tissue_names: tuple[str, ...], where: Path) -> LabelMaps:
    membrane = found.get("membrane")
    nuclei, cytoplasm = found.get("nucleus"), found.get("cytoplasm")
    cells = None
    if nuclei is not None and cytoplasm is not None:
        cells = np.where(nuclei > 0, nuclei, cytoplasm).astype(np.int32)
    maps = LabelMaps(
        nuclei=nuclei,
        cells=cells,
        cytoplasm=cytoplasm,
        membrane=None if membrane is None else membrane > 0,
        tissue=found.get("tissue"),
        tissue_names=tissue_names,
        source=where.name,
    )
    return _checked(maps, where)


def _checked(maps: LabelMaps, where: Path) -> LabelMaps:
    if not any(one is not None and one.any() for one in (maps.nuclei, maps.cells)):
        raise DataError("the map holds no label", where=where)
    return maps
