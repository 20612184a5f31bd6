"""OME-XML: which of its images lie in this file, by UUID, file name and directory; their sizes, roles and channels."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from biomarkers.io.pixel_size import PixelSize
from biomarkers.io.units import um_in

_MOST_BYTES = 64 << 20  # of a companion file


@dataclass(frozen=True)
class Planes:
    """Directories of one file that hold planes of an image; ``uuid`` and ``file`` are empty where none is named."""

    first: int
    count: int
    uuid: str
    file: str


@dataclass(frozen=True)
class OmeImage:
    """One image of an OME-XML header; ``name`` may hold anything and is never shown."""

    name: str
    width: int
    height: int
    pixel_size: PixelSize | None
    magnification: float | None
    planes: tuple[Planes, ...]
    pixels: ElementTree.Element


@dataclass(frozen=True)
class OmeHeader:
    """The images of an OME-XML header and the UUID of the file that it stands in."""

    uuid: str
    images: tuple[OmeImage, ...]

    def image_at(self, directory: int, *, file: str) -> OmeImage | None:
        """Find the image that a directory of this file belongs to.

        Parameters
        ----------
        directory
            Number of the TIFF directory, from 0.
        file
            Name of this file, without its folders.
        """
        here = [(image, part) for image in self.images for part in image.planes if self._is_here(part, file)]
        for image, part in here:
            if part.first <= directory < part.first + part.count:
                return image
        starts = sorted({part.first for _, part in here if part.first <= directory})
        if starts:  # a count that is too small, or none
            return next(image for image, part in here if part.first == starts[-1])
        return None

    def _is_here(self, part: Planes, file: str) -> bool:
        if part.uuid and self.uuid:
            return part.uuid.casefold() == self.uuid.casefold()
        return not part.file or part.file.casefold() == file.casefold()


def read_ome(xml: str, *, path: Path | None = None) -> OmeHeader | None:
    """Read an OME-XML header; None where it is no sound XML, or declares entities.

    A file whose header only names where the metadata stand (``BinaryOnly``) is looked up there, in its own folder.
    """
    root = parse_xml(xml)
    if root is None:
        return None
    uuid = root.get("UUID", "")
    elsewhere = next((element for element in root.iter() if tag_of(element) == "BinaryOnly"), None)
    if elsewhere is not None and path is not None:
        uuid = elsewhere.get("UUID", uuid)
        root = _companion(path, elsewhere.get("MetadataFile", ""))
        if root is None:
            return None
    objectives = _objectives(root)
    images = [
        _image(element, pixels, objectives)
        for element in root.iter()
        if tag_of(element) == "Image"
        for pixels in element
        if tag_of(pixels) == "Pixels"
    ]
    return OmeHeader(uuid, tuple(images))


def parse_xml(text: str) -> ElementTree.Element | None:
    """Parse XML without entities; None where it is not sound."""
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        return None
    try:
        return ElementTree.fromstring(re.sub(r"^\s*<\?xml[^>]*\?>", "", text.strip("\0")))  # noqa: S314
    except (ElementTree.ParseError, ValueError):
        return None


def tag_of(element: ElementTree.Element) -> str:
    """Return an element's name without its namespace."""
    return element.tag.rpartition("}")[2]


def _companion(path: Path, name: str) -> ElementTree.Element | None:
    """Read the metadata file of a set; only a file beside the image, never one elsewhere."""
    beside = path.parent / Path(name.replace("\\", "/")).name
    try:
        if not name or beside.stat().st_size > _MOST_BYTES:
            return None
        content = beside.read_bytes()
    except OSError:
        return None
    if content[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        import tifffile

        from biomarkers.io.tiff_open import open_tiff

        try:
            with open_tiff(beside) as file:
                return parse_xml(file.ome_metadata or "")
        except (tifffile.TiffFileError, ValueError, OSError):
            return None
    return parse_xml(content.decode("utf-8-sig", "replace"))


def _image(image: ElementTree.Element, pixels: ElementTree.Element, objectives: dict[str, float]) -> OmeImage:
    x = _length(pixels.get("PhysicalSizeX"), pixels.get("PhysicalSizeXUnit"))
    y = _length(pixels.get("PhysicalSizeY"), pixels.get("PhysicalSizeYUnit"))
    used = next((one.get("ID", "") for one in image if tag_of(one) in ("ObjectiveSettings", "ObjectiveRef")), None)
    magnification = objectives.get(used) if used is not None else None
    return OmeImage(
        name=image.get("Name", ""),
        width=_whole(pixels.get("SizeX")),
        height=_whole(pixels.get("SizeY")),
        pixel_size=PixelSize(x, y, "OME PhysicalSizeX") if x and y else None,
        magnification=magnification,
        planes=tuple(_planes(pixels)),
        pixels=pixels,
    )


def _objectives(root: ElementTree.Element) -> dict[str, float]:
    found = {}
    for element in root.iter():
        if tag_of(element) == "Objective":
            value = _number(element.get("NominalMagnification"))
            if value is not None and value > 0:
                found[element.get("ID", "")] = value
    return found


def _planes(pixels: ElementTree.Element) -> Iterator[Planes]:
    samples = [_whole(one.get("SamplesPerPixel") or "1") or 1 for one in pixels if tag_of(one) == "Channel"]
    color = max(1, _whole(pixels.get("SizeC")) // max(samples, default=1))
    all_planes = color * max(1, _whole(pixels.get("SizeZ"))) * max(1, _whole(pixels.get("SizeT")))
    for element in pixels:
        if tag_of(element) != "TiffData":
            continue
        inner = next((one for one in element if tag_of(one) == "UUID"), None)
        known = element.get("IFD")
        count = _whole(element.get("PlaneCount")) or (1 if known is not None else all_planes)
        yield Planes(
            first=_whole(known),
            count=count,
            uuid="" if inner is None else (inner.text or "").strip(),
            file="" if inner is None else Path(inner.get("FileName", "").replace("\\", "/")).name,
        )


def _length(value: str | None, unit: str | None) -> float | None:
    number = _number(value)
    um = um_in("um" if unit is None else unit)
    return number * um if number is not None and number * um > 0 else None


def _number(value: Any) -> float | None:
    """Read a number as programs of all countries write it."""
    try:
        return float(str(value).strip().replace(",", "."))
    except ValueError:
        return None


def _whole(value: str | None) -> int:
    try:
        return max(0, int(value or 0))
    except ValueError:
        return 0
